# Every target does all the set-up that it needs. When the set-up is done, it is quick. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Each test of the command line starts a Python that reads hundreds of our modules: compiled once, not each time.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
BIN := .venv/bin
# The first use makes the folder of Pulumi and the S3 servers, or takes it from the cache.
WITH_TOOLS = tools=$$(toolchain/install); export PATH="$(CURDIR)/$(BIN):$(CURDIR)/bin:$$tools:$$PATH"

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

up: setup  ## build a lab cluster on a bare machine, then show its status
	@$(WITH_TOOLS); python -m lab up && python -m lab.cluster up

down: setup  ## remove the lab of `make up`
	@$(WITH_TOOLS); python -m lab.cluster down && python -m lab down

demo: setup  ## record a total loss and its recovery on the lab of `make up`, as docs/demo.svg
	@$(WITH_TOOLS); python -m lab up && python -m lab.cluster up && python -m lab.demo docs/demo.svg

test: $(BIN)/.ready  ## run what each push needs: checks, unit tests, every loss on the fake swarm, real S3 servers, the lab
	@$(BIN)/python -m tests

nightly: setup  ## run every test, also those that `make test` leaves out, the whole chaos matrix, and the example drivers
	@$(WITH_TOOLS); status=0; python -m tests --whole || status=$$?; python -m tests.chaos $(ARGS) || status=$$?; python -m tests.examples || status=$$?; exit $$status

examples: $(BIN)/.ready  ## check the example drivers with strict types against the SDKs of their clouds, and test them (EXAMPLES="hetzner aws")
	@$(BIN)/python -m tests.examples $(EXAMPLES)

check: $(BIN)/.ready  ## run lint, strict types, alert rules, shipped workflows and unit tests, without a lab
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@promtool=$$(toolchain/promtool); $$promtool test rules tests/alerts.yml
	@actionlint=$$(toolchain/actionlint); $$actionlint -config-file pipelines/actionlint.yaml pipelines/github/*.yml
	@$(BIN)/zizmor --offline --quiet pipelines/github/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows pipelines/github/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.gitlab-ci pipelines/gitlab/*.yml
	@$(BIN)/python -m pytest -q -n auto $(OPTIONS) tests/unit tests/adversary

docs: $(BIN)/.ready  ## write the reference from the code, and build the docs site into site/, to be read and searched offline
	@$(BIN)/python -m manual && $(BIN)/python -m manual site

bench: setup  ## measure recoveries, and compare them with the runbook and the floor
	@$(WITH_TOOLS); python -m bench

chaos: setup  ## run every loss of managers with every state of the copies and every edit of the stack file, write docs/chaos.md, and kill at every step (ARGS="--resume FILE" continues)
	@$(WITH_TOOLS); python -m tests.chaos --write $(ARGS) && python -m pytest tests/lab/test_interrupted_steps.py --whole

env: $(BIN)/.ready  ## print lines for eval, to use pulumi, requorum and docker on the lab
	@tools=$$(toolchain/install); echo "export PATH=$(CURDIR)/$(BIN):$(CURDIR)/bin:$$tools:\$$PATH"; PATH="$$tools:$$PATH" $(BIN)/python -m lab.cluster env

setup: $(BIN)/.ready packages
	@toolchain/install >/dev/null

packages:
	@lab/packages-installed

toolchain: ## build Pulumi, its plugins and the S3 servers
	@toolchain/install

# The virtual environment is in the cache, under a hash of what determines it. A new clone uses it again.
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

.PHONY: help up down demo test nightly examples check docs bench chaos env setup packages toolchain
