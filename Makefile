# make test   the whole gate: lint, types, tests          make book   the book, in book/_build/html
# make lint   lint and types alone                        make clean  removes what the others made
# PYTHON chooses the interpreter (3.11 or later), WORKERS how many tests run at once.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
READY := .venv/.ready
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: book test lint env clean
.DELETE_ON_ERROR:

# Threads that wait sleep: beside other work on the machine, spinning ones cost most of the time.
book: export OMP_WAIT_POLICY = PASSIVE
book: $(READY)
	rm -rf book/_build/html book/_build/.doctrees  # warnings of unchanged pages are not repeated
	$(BIN)/jupyter-book build book/ -W -n --keep-going

# One thread a worker: two workers on two cores would otherwise fight for them.
test: export OMP_NUM_THREADS = 1
test: export MKL_NUM_THREADS = 1
test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

env: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "softshare needs Python 3.11 or later; point PYTHON at one: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up .venv: PyTorch and the tools, a download of some gigabytes"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[book,test,workflow]'
	touch $@

clean:
	rm -rf .venv book/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .snakemake
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
