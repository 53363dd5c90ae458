"""One file per question: what something costs, beside its peers. `make bench` prints the tables."""
