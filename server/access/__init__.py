"""Who may do what: keys, scopes, people, and the log of who did it. Knows no HTTP."""
