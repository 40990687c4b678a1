# Two commands: `make demo` shows the whole job in the miniature, `make test` runs the everyday suite.
SHELL := bash
PYTHON := .venv/bin/python
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false
# A worker keeps the tests of a file, which share what is made for them, until the other has nothing left to do.
PARALLEL = -q -n 2 --dist worksteal

.PHONY: demo test test-slow test-slurm test-ci-slurm test-debian13 test-alliance lint format clean

demo: .venv
	$(PYTHON) launch.py demo

test: .venv
	$(PYTHON) -m pytest $(PARALLEL) $(ARGS)

test-slow: .venv
	$(PYTHON) -m pytest $(PARALLEL) --timeout 1500 -m "slow and not slurm" $(ARGS)

# Every cause of interruption with every way of going on; as root, with the packages that the sandbox names.
test-slurm: .venv
	$(PYTHON) -m pytest -q -m slurm $(ARGS)

# Of these, what CI has time for.
test-ci-slurm: .venv
	$(PYTHON) -m pytest -q -m "slurm and not slow" $(ARGS)

# The same under Slurm 24.11, in a Debian 13 root that is made once; needs the package debootstrap too.
test-debian13: .venv
	.ci/debian13 $(PYTHON) -m pytest -q -m slurm $(ARGS)

test-alliance:
	envs/venv.sh .venv-alliance envs/alliance.txt
	.venv-alliance/bin/python -m pytest $(PARALLEL) -m "core and not slow"

lint: .venv
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

format: .venv
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

.PHONY: .venv
.venv:
	@envs/venv.sh .venv envs/local.txt

clean:
	rm -rf .venv .venv-alliance .mypy_cache .ruff_cache .pytest_cache
