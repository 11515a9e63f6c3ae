# Needs Python >= 3.11 and make; .ci/uv brings uv into .tools/ if the machine has none.
# ARGS are handed on: make demo ARGS=--exit, make test ARGS=tests/embedded.
UV := ./.ci/uv
RUN := $(UV) run --frozen
ARGS ?=
MAKEFLAGS += --no-print-directory
# Every process of a platform imports Dagster: compiled once, not at each start (3.6 s -> 1.6 s).
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help demo test check bench clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\): ## /make \1	/p' Makefile | expand -t 14

demo: ## start the platform with the simulated market and fill two years of AAPL
	@$(RUN) --no-default-groups swiftbolt demo $(ARGS)

test: ## run all tests
	@./.ci/test $(ARGS)

check: ## check lock, format, lint, types and import directions
	@$(UV) lock --check --quiet
	@$(RUN) ruff format --check
	@$(RUN) ruff check
	@$(RUN) mypy
	@$(RUN) lint-imports

bench: ## measure speed against the limits of this machine
	@$(RUN) python bench/run.py $(ARGS)

clean: ## remove what the other targets made, except the data in .swiftbolt/
	@rm -rf .venv .tools dist build swiftbolt_assets/api/page/vendor .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
