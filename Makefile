# Every verb does all the set-up it needs and is quick when that is done. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
# The folder of Pulumi and the S3 servers is made, or found in the cache, when first used.
WITH_TOOLS = tools=$$(toolchain/install); export PATH="$(CURDIR)/$(BIN):$(CURDIR)/bin:$$tools:$$PATH"

help:  ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

up: setup  ## from a bare machine to a running lab cluster, then its status
	@$(WITH_TOOLS); python -m lab up && python -m lab.cluster up

down: setup  ## remove what `make up` made
	@$(WITH_TOOLS); python -m lab.cluster down && python -m lab down

test: $(BIN)/.ready  ## what each push needs: checks, unit tests, every loss on the fake swarm, real S3 servers, the lab
	@$(BIN)/python -m tests

nightly: setup  ## every test, also those that `make test` leaves out, and the whole chaos matrix
	@$(WITH_TOOLS); status=0; python -m tests --whole || status=$$?; python -m tests.chaos $(ARGS) || status=$$?; exit $$status

check: $(BIN)/.ready  ## lint, strict types, alert rules and unit tests; no lab, below a minute
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@promtool=$$(toolchain/promtool); $$promtool test rules tests/alerts.yml
	@$(BIN)/python -m pytest -q -n auto $(OPTIONS) tests/unit

bench: setup  ## ratios of one run: recovery against the runbook and against the floor
	@$(WITH_TOOLS); python -m bench

chaos: setup  ## every loss of managers with every state of the copies, into docs/chaos.md, and kills at every step; ARGS="--resume FILE" goes on
	@$(WITH_TOOLS); python -m tests.chaos --write $(ARGS) && python -m pytest tests/lab/test_interrupted_steps.py --whole

env: $(BIN)/.ready  ## lines for eval: pulumi, requorum and docker by hand on the lab
	@tools=$$(toolchain/install); echo "export PATH=$(CURDIR)/$(BIN):$(CURDIR)/bin:$$tools:\$$PATH"; PATH="$$tools:$$PATH" $(BIN)/python -m lab.cluster env

setup: $(BIN)/.ready packages
	@toolchain/install >/dev/null

packages:
	@lab/packages-installed

toolchain: ## build or fetch Pulumi, its plugins and the S3 servers (TOOLCHAIN=auto|official|build)
	@toolchain/install

# The virtual environment lies in the cache under what determines it, so that a new clone finds it made.
$(BIN)/.ready: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: apt-get install python3, or PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "setup: installing python3-venv" >&2; lab/packages-installed python3-venv; }
	@key=$$({ $(PYTHON) -VV; command -v $(PYTHON); cat requirements-dev.txt; } | sha256sum | cut -c1-16); \
	  made=$${REQUORUM_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/requorum}/venv/$$key; \
	  mkdir -p "$$(dirname "$$made")"; exec 9>"$$made.lock"; flock 9; \
	  if [ ! -e "$$made/bin/.ready" ]; then \
	    echo "setup: Python packages" >&2; rm -rf "$$made"; \
	    $(PYTHON) -m venv "$$made"; "$$made/bin/python" toolchain/python-packages requirements-dev.txt; \
	    touch "$$made/bin/.ready"; \
	  fi; \
	  rm -rf .venv && ln -s "$$made" .venv && touch "$$made/bin/.ready"

.PHONY: help up down test nightly check bench chaos env setup packages toolchain
