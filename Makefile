# Everything that is done to this project. `make` lists the targets; all of them set up what they need.

PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
PYTEST := $(PY) -m pytest
JOBS ?= 2
OUT ?= out
ROOMS := jsm sim models

# The environment is made anew when the lock changes, and the project installed anew when pyproject.toml does.
LOCK_STAMP := .venv/.lock-installed
STAMP := .venv/.installed

# An environment that came here by copying belongs to another folder: make it anew.
ifneq ($(shell cat $(LOCK_STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(LOCK_STAMP)
endif

.PHONY: help setup simulate test test-all bench docs reports lint format types contracts check stale lock clean
.DELETE_ON_ERROR:

help:
	@echo 'make simulate   simulate the bundled scenario, then three months of a real log; results in $(OUT)/'
	@echo 'make test       the tests, in a few minutes'
	@echo 'make test-all   the tests and the long explorations and validation runs'
	@echo 'make bench      the benchmarks'
	@echo 'make check      format, lint, types, import contracts and stale files, as continuous integration does'
	@echo 'make format     put the code into the house format'
	@echo 'make docs       write the generated parts anew: diagram, schema, README'
	@echo 'make reports    write reports/nasa-ipsc, counterexamples and mutants anew'
	@echo 'make lock       write requirements.lock anew from pyproject.toml'
	@echo 'make setup      only make .venv and install everything there'
	@echo 'make clean      remove .venv, caches and $(OUT)/'

setup: $(STAMP)

$(LOCK_STAMP): requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo 'make: $(PYTHON) is not there: apt-get install python3, or name another: make PYTHON=python3.12 …' >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $$($(PYTHON) --version) is too old, 3.11 or later is needed: make PYTHON=python3.11 …" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo 'make: Python can make no environment here: apt-get install python3-venv' >&2; exit 2; }
	@echo 'Making .venv; the first time this takes a minute or two.'
	@$(PYTHON) -m venv --clear .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --only-binary :all: -r requirements.lock
	@echo '$(CURDIR)' > $@

$(STAMP): pyproject.toml $(LOCK_STAMP)
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation --editable .
	@touch $@

simulate: setup
	$(PY) -m jsm simulate --out $(OUT)/steady
	$(PY) -m jsm simulate nasa-ipsc --out $(OUT)/nasa-ipsc
	@echo 'Open $(OUT)/steady/report.html and $(OUT)/nasa-ipsc/report.html. Your own scenario: $(BIN)/jsm simulate FILE.toml'

test: setup
	$(PYTEST) -n $(JOBS) -m 'not slow'

test-all: setup
	$(PYTEST) -n $(JOBS)

bench: setup
	$(PYTEST) tests/benchmarks --benchmark-only
	set -e; for file in tests/benchmarks/bench_*.py; do $(PY) -m tests.benchmarks.$$(basename $$file .py); done

check: setup
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory stale

lint: setup
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .

format: setup
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

types: setup
	$(PY) -m mypy

contracts: setup
	$(BIN)/lint-imports

stale: setup
	$(PY) -m jsm graph --format mermaid --check reports/state-diagram.mmd
	$(PY) -m jsm graph --format svg --check reports/state-diagram.svg
	$(PY) -m reports.tools.docs --check
	$(PY) -m reports.tools.counterexamples --check

docs: setup
	$(PY) -m jsm graph --format mermaid --out reports/state-diagram.mmd
	$(PY) -m jsm graph --format svg --out reports/state-diagram.svg
	$(PY) -m reports.tools.docs

reports: setup
	$(PY) -m reports.tools.reports
	$(PY) -m reports.tools.counterexamples
	$(PY) -m reports.tools.mutants

lock: setup
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --python-version 3.11 --all-extras --custom-compile-command 'make lock' pyproject.toml -o requirements.lock

clean:
	rm -rf .venv build dist $(OUT) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .benchmarks .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
