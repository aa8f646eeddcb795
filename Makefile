# make demo   from two commands to a generated video with its depth: installs, runs, prints the report's path
# make test   lint, types, import contracts and the offline tests: what the project calls green
# Every target works from a fresh clone, twice in a row, in any order.

VENV    ?= .venv
PYTHON  ?= $(shell for p in python3.11 python3.12 python3; do command -v $$p && break; done)
WORKERS ?= 2
OUT     ?= out/demo

PYTHON12 ?= $(shell for p in python3.12 $$HOME/.pyenv/versions/3.12*/bin/python; do $$p -c "" 2>/dev/null && echo $$p && break; done)
GPU     := .venv-gpu/bin/python
GPU_OUT ?= out/gpu-rehearsal
# Of a processor; a GPU has nine. Shares of them go to the parts, and what does not fit is skipped.
REHEARSAL_MINUTES ?= 30

BIN     := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SPEC    := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test lint format constraints wheel rehearse-gpu clean

help:
	@echo "make demo         install, then prepare, train a little, generate and score; ends with a report to open"
	@echo "make test         install, then lint, types, import contracts and the offline tests"
	@echo "make lint         the checks of 'make test' without the tests"
	@echo "make format       let ruff rewrite what it can"
	@echo "make wheel        build the wheel into dist/"
	@echo "make rehearse-gpu what a GPU would be asked, at toy size on the CPU, with what a bare CUDA machine has"
	@echo "make clean        remove the environment, caches and builds; data, runs and results stay"

demo: $(VENV)/.installed
	$(BIN)/idol demo -o $(OUT)

# One thread a process: the tests run in WORKERS processes, and results do not depend on the machine's cores.
# The twenty slowest are printed with their times.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --durations=20 -m "not slow and not real"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(VENV)/.installed-dev
	$(BIN)/python -m build --wheel

# The tested set, after a deliberate upgrade inside the environment.
constraints: $(VENV)/.installed-dev
	@echo '# The exact set this version was tested with (Python 3.11, Linux x86-64). Written by `make constraints`.' > constraints.txt
	@$(BIN)/python -m pip freeze --exclude idol-video-depth | grep -E '^[A-Za-z0-9_.-]+==[^ ]+$$' >> constraints.txt

# Python 3.12 and no more than a bare CUDA machine has; what is missing comes as wheels, as it would there.
rehearse-gpu: .venv-gpu/.installed wheels/.fetched
	$(GPU) -m benchmarks.gpu --rehearse --minutes $(REHEARSAL_MINUTES) --out $(GPU_OUT)

.venv-gpu/.installed: Makefile
	@test -n "$(PYTHON12)" || { echo "no Python 3.12 found: make rehearse-gpu PYTHON12=/path/to/python3.12"; exit 1; }
	$(PYTHON12) -m venv .venv-gpu
	$(GPU) -m pip install --quiet --disable-pip-version-check 'torch==2.11.*' 'numpy==2.*' 'transformers==5.17.*' \
	  accelerate safetensors scipy typer
	@touch $@

wheels/.fetched: benchmarks/gpu/wheels.py .venv-gpu/.installed
	$(GPU) -m benchmarks.gpu --wheels wheels
	@touch $@

clean:
	rm -rf $(VENV) .venv-gpu wheels build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or 3.12 found: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(SPEC) | $(BIN)/python
	@echo "installing into $(VENV) (some minutes, about 7 GB, once)"
	$(INSTALL) -e '.[prep]'
	@touch $@

$(VENV)/.installed-dev: $(SPEC) | $(BIN)/python
	@echo "installing into $(VENV) with the developer's tools (some minutes, about 7 GB, once)"
	$(INSTALL) -e '.[prep,decord,8bit,dev]'
	@touch $@ $(VENV)/.installed
