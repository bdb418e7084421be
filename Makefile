# Two commands for a fresh machine with Python 3.11+: `make leaderboard` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# the public data sets, where they lie beside the checkout; tests that need them skip with a reason elsewhere
export DIALOG_GYM_DATA ?= $(abspath $(wildcard ../shared/data))

.PHONY: leaderboard test test-slow lint bench clean

leaderboard: $(VENV)/.installed ## train and compare all agents in about 12 minutes on two cores; again: goes on where it was
	$(BIN)/dialog-gym leaderboard --suite credit-v1 --preset quick --out runs/quick --resume

test: lint ## the whole default suite, under 10 minutes on two cores
	$(BIN)/python -m pytest -n 2

test-slow: $(VENV)/.installed-dev ## the longer runs
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-dev ## performance benchmarks, as ratios to Gymnasium's Blackjack-v1
	$(BIN)/python -m dialog_gym.benchmarks.speed

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dialog-gym needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[train,report]"
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist *.egg-info runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
