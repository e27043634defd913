# Waihu. `make` lists what there is.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
PYTHON := $(BIN)/python -X dev -W ignore
CODE := agi campaigns dialer lab recorder tests scripts
PACKAGES := agi campaigns dialer lab recorder tests
# System tests hold an Asterisk each: more workers than cores gain nothing.
WORKERS ?= $(shell n=$$(nproc); echo $$((n > 4 ? 4 : n)))

.PHONY: help
help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## system packages, virtual environment, Asterisk image: whatever is missing
	@scripts/bootstrap.sh

.PHONY: browser
browser: ## like setup, and a Chromium for the tests
	@scripts/bootstrap.sh tests

.PHONY: venv
venv: ## like setup, without the image
	@scripts/bootstrap.sh venv

.PHONY: image
image: venv ## build the Asterisk image with Docker or podman
	@$(BIN)/python -m lab.image

.PHONY: demo
demo: setup ## real calls on a fake carrier, with a live view; ONCE=1 dials its list to the end, MODE=progressive|ratio|predictive
	@$(BIN)/python -m lab.demo $(if $(ONCE),--once) $(if $(MODE),--mode $(MODE)) $(DEMO_ARGS)

.PHONY: check
check: venv ## format, lint, types, imports, unit tests: a minute or two
	@$(BIN)/ruff format --check --quiet $(CODE)
	@$(BIN)/ruff check --quiet $(CODE)
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo 2>&1 | sed -n '/BROKEN\|not allowed\|->\|is not/p;$$!d'; exit $${PIPESTATUS[0]}
	@$(BIN)/pytest -q -m "not services and not system and not slow" -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: format
format: venv ## put the code into the format that check wants
	@$(BIN)/ruff check --quiet --fix-only $(CODE)
	@$(BIN)/ruff format --quiet $(CODE)

.PHONY: test
test: browser ## every test, on real PostgreSQL, Redis and Asterisk; ARGS="-k word" for some
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: bench
bench: setup ## the figures of tests/benchmarks beside their bounds; ONLY="ami claim" for some
	@$(BIN)/python -m tests.benchmarks $(ONLY)

.PHONY: bench-pacing
bench-pacing: venv ## the tables of docs/pacing.md, by simulation (an hour of one core); ARGS="--quick" for four minutes
	@$(BIN)/python -m tests.benchmarks.pacing_tables $(ARGS)

.PHONY: chaos
chaos: setup ## kill -9 of everything at random under load, invariants after each; KILLS=200 SEED=1
	@$(BIN)/python -m lab.chaos --kills $(or $(KILLS),200) --seed $(or $(SEED),1)

.PHONY: chaos-recorder
chaos-recorder: setup ## the faults of recordings at full count, each figure beside its demand; ONLY="kills flips" SHARE=0.01 SEED=1
	@$(BIN)/python -m tests.recorder.chaos --seed $(or $(SEED),1) --share $(or $(SHARE),1) $(ONLY)

.PHONY: lock
lock: venv ## write requirements*.lock anew from requirements*.in
	@scripts/lock.sh

.PHONY: clean
clean: ## stop what runs from this checkout and remove all that was made in it
	@scripts/clean.sh
