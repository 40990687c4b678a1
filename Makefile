# `make` lists what there is, and makes nothing.
SHELL := bash
PYTHON := .venv/bin/python
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false
SEED ?= 1
COUNT ?= 40
# A worker keeps the tests of a file, which share what is made for them, until the other has nothing left to do.
PARALLEL = -q -n 2 --dist worksteal

.PHONY: help demo test test-slow test-slurm test-ci-slurm test-debian13 test-alliance chaos fuzz mutate lint format clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  while IFS='|' read -r name told; do printf '%-20s %s\n' "$$name" "$$told"; done
	@echo 'The first that needs it makes .venv from envs/local.txt; ARGS="..." goes to pytest.'

demo: .venv ## both stages of three methods in a miniature world, their table and plots
	$(PYTHON) launch.py demo

test: .venv ## the everyday suite
	$(PYTHON) -m pytest $(PARALLEL) $(ARGS)

test-slow: .venv ## what takes longer than that allows
	$(PYTHON) -m pytest $(PARALLEL) --timeout 1500 -m "slow and not slurm" $(ARGS)

# Every cause of interruption with every way of going on; as root, with the packages that the sandbox names.
test-slurm: .venv ## on a real Slurm in a sandbox, as root
	$(PYTHON) -m pytest -q -m slurm $(ARGS)

# Of these, what CI has time for.
test-ci-slurm: .venv ## of these, what CI has time for
	$(PYTHON) -m pytest -q -m "slurm and not slow" $(ARGS)

# The same under Slurm 24.11, in a Debian 13 root that is made once; needs the package debootstrap too.
test-debian13: .venv ## the same under Slurm 24.11, in a Debian 13 root
	.ci/debian13 $(PYTHON) -m pytest -q -m slurm $(ARGS)

# Seeded faults against whole grids; one case again: make chaos SEED=5 ARGS="--case 2"; those of a cluster, in a sandbox:
# make chaos ARGS="--on slurm". As root: disks are mounted, networks cut. Needs strace too.
chaos: .venv ## seeded faults against whole grids
	$(PYTHON) -m tests.chaos --seed $(SEED) --count $(COUNT) $(ARGS)

mutate: .venv ## mutation testing of one module: make mutate MODULE=lease
	.ci/mutate "$(MODULE)"

# As many examples of each property, of a seed that is printed; the same again: make fuzz COUNT=1000 SEED=7.
fuzz: COUNT := 1000
fuzz: SEED := $(shell od -An -N3 -tu4 /dev/urandom)
fuzz: .venv ## properties of readers, records and names on random values
	LAYALIGN_FUZZ=$(COUNT) $(PYTHON) -m pytest -q -n 0 --timeout 0 --hypothesis-seed=$(strip $(SEED)) $(or $(ARGS),tests/fuzz)

test-alliance: ## the training core on the Alliance wheelhouse's versions
	envs/venv.sh .venv-alliance envs/alliance.txt
	.venv-alliance/bin/python -m pytest $(PARALLEL) -m "core and not slow"

lint: .venv ## format, ruff and mypy: no complaint of any
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

format: .venv ## rewrite the files as lint wants them
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

.PHONY: .venv
.venv:
	@envs/venv.sh .venv envs/local.txt

clean: ## remove environments and caches
	rm -rf .venv .venv-alliance .mypy_cache .ruff_cache .pytest_cache
