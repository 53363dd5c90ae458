"""retestr's GitHub Action: triggers a run, follows it to its end, reports what it found.

Knows the API only over HTTP: nothing of `server` is imported here.
"""

VERSION = "1.0.0"
