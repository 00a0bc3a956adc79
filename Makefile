# Everything starts here: `make demo` on a fresh clone sets up and runs the main job.

.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
STAMP := .venv/.complete
PYTHON := $(shell for name in python3.11 python3.12 python3.13 python3; do command -v $$name >/dev/null 2>&1 && \
	$$name -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && \
	{ command -v $$name; break; }; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo demo-all test chaos lint up down lock

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv: $(STAMP) ## set up: a virtual environment with everything in requirements.lock

demo: $(STAMP) ## from nothing to live, traced predictions
	@$(BIN)/mlops demo

demo-all: $(STAMP) ## the same with every workload
	@$(BIN)/mlops demo --all

# Job control, since a shell without it has its background commands ignore SIGINT, and all that they start. The tests on
# the platform take longer, so the others make do with what these leave of the processors (Ray's workers have nice 15).
# One room is every folder of that name below tests/; pytest's 5 says that nothing is left without those on the platform.
test: $(STAMP) ## run the tests, on real services; ONLY=serving runs one room's without those on the platform
ifdef ONLY
	@rooms=$$(find tests -path tests/support -prune -o -type d -name '$(ONLY)' -print); \
	test -n "$$rooms" || { echo "There is no room '$(ONLY)'; choose one of:" \
		$$(find tests -mindepth 2 -name 'test_*.py' -exec dirname {} + | xargs -n1 basename | sort -u) >&2; exit 2; }; \
	$(BIN)/python -m pytest $$rooms -m 'not platform'; code=$$?; \
	test $$code -eq 5 || exit $$code; $(BIN)/python -m pytest $$rooms
else
	@set -m; log=$$(mktemp); trap 'kill -INT $$beside 2>/dev/null; rm -f "$$log"' EXIT; \
	nice -n 10 $(BIN)/python -m pytest -m 'not platform' >"$$log" 2>&1 & beside=$$!; \
	echo 'Tests on the platform; those that need none run beside them and are shown afterwards.'; \
	$(BIN)/python -m pytest -m platform; platform=$$?; test $$platform -ne 2 || exit 2; \
	wait $$beside; rest=$$?; cat "$$log"; test $$platform -eq 0 -a $$rest -eq 0
endif

chaos: $(STAMP) ## ten minutes of load and data tags while each process in turn is killed; MINUTES=5 shortens it
	@$(BIN)/python -m benchmarks.chaos --minutes $(or $(MINUTES),10)

lint: $(STAMP) ## check style, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

up: $(STAMP) ## start the platform
	@$(BIN)/mlops up

down: $(STAMP) ## stop the platform; the data stays
	@$(BIN)/mlops down

# The stamp is written last: an interrupted set-up is done again. torch is not in the lock, so that each machine gets
# its own build; both installations leave dependencies alone which the lock has chosen.
$(STAMP): requirements.lock pyproject.toml
	@test -n '$(PYTHON)' || { echo 'Python 3.11, 3.12 or 3.13 with its module venv is missing; install one' \
		'(Debian: apt-get install python3 python3-venv; macOS: brew install python@3.11).' >&2; exit 1; }
	@command -v git >/dev/null || { echo 'git is missing; install it first.' >&2; exit 1; }
	@$(PIP) --version >/dev/null 2>&1 || { echo 'Set-up 1/4: .venv with $(PYTHON)'; '$(PYTHON)' -m venv .venv; }
	@echo 'Set-up 2/4: the packages of requirements.lock (some minutes, 3 GB)'
	@$(PIP) install -qq --no-deps -r requirements.lock
	@echo 'Set-up 3/4: torch'
	@$(PIP) install -qq $$(sed -nE 's/^ *"(torch==[^"]+)".*/\1/p' pyproject.toml)
	@echo 'Set-up 4/4: this project'
	@$(PIP) install -qq --no-deps -e .
	@touch $@

lock: ## compile requirements.lock from pyproject.toml
	@tool=$$(mktemp -d) && trap 'rm -rf "$$tool"' EXIT && '$(PYTHON)' -m venv "$$tool" && \
		"$$tool/bin/pip" install --quiet --disable-pip-version-check uv && \
		"$$tool/bin/uv" pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--no-emit-index-url --no-annotate --no-emit-package torch --no-emit-package hydra-core \
		--no-emit-package omegaconf -o requirements.lock --quiet
