# Every command a person needs; `make help` lists them. All of them set up what they need first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test e2e faults soak fuzz check-all serve bench lint format lock clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: $(READY)  ## make .venv with the `retestr` command, and find or install a browser

$(READY): pyproject.toml requirements/dev.lock scripts/setup
	@PYTHON=$(PYTHON) scripts/setup $(VENV)

demo: $(READY)  ## the whole job on a sample site; DETACH=1 ends by itself
	@$(BIN)/python scripts/demo.py $(if $(DETACH),--detach)

serve: $(READY)  ## a server on http://127.0.0.1:8000 with its data in ./data
	@$(BIN)/retestr serve

lint: $(READY)  ## ruff, mypy, import-linter
	@scripts/lint

test: $(READY) lint  ## the whole test suite
	@$(BIN)/python -m pytest -n 2 --dist loadfile

e2e: $(READY)  ## retestr tests itself: one server watches the dashboard of another
	@RETESTR_LONG=1 $(BIN)/python -m pytest -s tests/e2e/test_itself.py

faults: $(READY)  ## kill processes of a server for 30 rounds; RETESTR_FAULT_SEED=N plays them again
	@RETESTR_LONG=1 $(BIN)/python -m pytest -s tests/e2e/test_faults.py

soak: $(READY)  ## half an hour of mixed load: memory and open files stay flat; RETESTR_SOAK_MINUTES=N
	@$(BIN)/python -m scripts.soak

fuzz: $(READY)  ## decode and compare 100,000 broken images; RETESTR_FUZZ_SEED=N plays them again
	@RETESTR_FUZZ_INPUTS=$${RETESTR_FUZZ_INPUTS:-100000} $(BIN)/python -m pytest -s tests/vision/test_compare_fuzz.py

check-all: test  ## the suite and the slow proofs
	@scripts/check-all

bench: $(READY)  ## every benchmark, with its peers; writes docs/benchmarks.md
	@scripts/bench

format: $(READY)  ## let ruff format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

UV = $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" $(UPGRADE)
lock:  ## write the lock files anew (UPGRADE=--upgrade for newer versions)
	@test -x $(VENV)/bin/uv || $(VENV)/bin/pip install --quiet uv
	@$(UV) --all-extras --group dev pyproject.toml -o requirements/dev.lock
	@$(UV) --all-extras pyproject.toml -o requirements/server.lock
	@$(UV) --group action -o requirements/action.lock

clean:  ## remove .venv and the data of demo and server
	rm -rf $(VENV) data demo-data
