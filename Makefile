# Every target builds .venv itself when it is missing or older than pyproject.toml.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made
# Half of their time tests wait for servers, children and deadlines.
AT_ONCE = -n $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) * 2))) --dist worksteal

.PHONY: help install demo test faults soak check bench screenshots man lock

help: ## what can be made
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mmconsole needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv is missing here. Type: sudo apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@# Tests start thousands of commands, and where no bytecode may be written (CI) each would compile all of them anew.
	@$(BIN)/python -m compileall -q src
	@touch $@

install: $(STAMP) ## .venv with mmconsole in it

demo: $(STAMP) ## users of a demo application get accounts and tokens on a simulated server
	@$(BIN)/mmconsole demo

test: $(STAMP) ## all tests
	@$(BIN)/pytest $(AT_ONCE) -q

faults: $(STAMP) ## every fault and every planted secret at length: half an hour or more (a small disk needs root)
	@MMCONSOLE_TEST_FAULTS=all MMCONSOLE_TEST_REQUESTS=100000 MMCONSOLE_TEST_EXAMPLES=500 \
		$(BIN)/pytest $(AT_ONCE) -q tests/faults tests/secrets tests/web/test_fuzz.py

soak: $(STAMP) ## four processes on one database for ten minutes of misfortunes, on SQLite and PostgreSQL (SECONDS=600)
	@MMCONSOLE_TEST_SOAK=$(or $(SECONDS),600) $(BIN)/pytest -n 2 -q -rP tests/soak

check: $(STAMP) ## format, lint, types, imports
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(STAMP) ## how fast, beside naive and bare loops (ONLY="sync console", SHORT=1, WRITE=1 into the README)
	@$(BIN)/python -m benchmarks $(ONLY) $(if $(SHORT),--short) $(if $(WRITE),--write)

screenshots: $(STAMP) ## draw the pictures and the keys of docs/console.md anew (needs tmux; PNG by Chromium)
	@$(BIN)/python screenshots/make.py

man: $(STAMP) ## write the manual page and the quick help anew from the help of the commands
	@$(BIN)/python man/make.py

lock: ## write requirements.lock anew from pyproject.toml
	$(PYTHON) -m venv --clear .lock-venv
	.lock-venv/bin/pip install --quiet uv
	.lock-venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--all-extras --group dev --custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml
	rm -rf .lock-venv
