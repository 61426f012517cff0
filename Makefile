# Everything a newcomer needs: `make demo` and `make test`, on a fresh clone with Python and pip.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= runs/demo

.PHONY: demo test lint types docs unit smoke wheel clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   install into $(VENV) and train a small network with a learned schedule"
	@echo "make test   install into $(VENV) and run the linter, the type check and all tests"
	@echo "make docs   build the documentation into site/"
	@echo "make smoke  run every benchmark at its smallest size"
	@echo "make wheel  build the distribution and try it in empty environments"
	@echo "make clean  remove $(VENV), caches and the demo's results"

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# A stamp a set of extras: a second call installs nothing.
$(VENV)/.installed-%: pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	@touch $@

demo: $(VENV)/.installed-train
	$(BIN)/optuna-gamma train --dataset digits --threads 1 --out $(DEMO)
	@echo
	@echo "Results are in $(DEMO). Next:"
	@echo "  $(BIN)/optuna-gamma train --help"
	@echo "  $(BIN)/optuna-gamma train --dataset digits --stages 4 --threads 1 --out $(DEMO)   # go on where the demo ended"
	@echo "  $(BIN)/python examples/sampler.py                              # the sampler alone, in any Optuna study"

test: lint types docs unit

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.installed-dev
	$(BIN)/mypy

docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

unit: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

smoke: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks chaos --preset smoke --out build/benchmarks
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks fuzz --n 300 --out build/benchmarks
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks overhead --preset smoke --out build/benchmarks
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks parallel --preset smoke --out build/benchmarks
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks pruning --preset smoke --out build/benchmarks
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks staged --preset smoke --out build/benchmarks
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks startup --preset smoke --out build/benchmarks
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks thesis --table all --preset smoke --out build/benchmarks
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks training --preset smoke --out build/benchmarks
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks transfer --preset smoke --out build/benchmarks

wheel: $(VENV)/.installed-dev
	$(BIN)/python tests/distribution/check.py

clean:
	rm -rf $(VENV) $(DEMO) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
