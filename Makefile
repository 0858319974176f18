# The verbs of this repository; bare `make` prints them.
.DEFAULT_GOAL := help
.PHONY: help setup setup-check setup-test demo demo-dockerfile samples test check bench docs clean

BIN := .venv/bin
SCRIPTS := scripts/demo scripts/docs scripts/readme-commands scripts/samples # Python without the suffix that ruff looks for

help: ## Print the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what pylife needs; leaves the command at .venv/bin/pylife
	@scripts/setup use

setup-check: # what `check`, `docs` and the unit tests need: no packages of the system
	@scripts/setup check

setup-test: ## Install what the tests need besides (registry, peers, compiler)
	@scripts/setup test

demo: setup ## Build samples/python-django, run the image, show its answer
	@$(BIN)/python scripts/demo

demo-dockerfile: setup ## Build samples/dockerfile-multistage with its Dockerfile, run it, show its answer
	@$(BIN)/python scripts/demo dockerfile

samples: setup ## Build, run and probe every sample; ONLY=NAME for one, REBUILD=1 to build again with one file changed
	@$(BIN)/python scripts/samples $(addprefix --only ,$(ONLY)) $(if $(REBUILD),--rebuild)

test: setup-test ## Run all tests: unit, buildpacks, functional
	$(BIN)/pytest -q -n 2 tests/unit
	$(BIN)/pytest -q -n 2 --dist loadfile tests/buildpacks
	$(BIN)/pytest -q -n 2 --dist loadfile tests/functional

check: setup-check ## Formatting, lint, types, the import rows, generated documents
	$(BIN)/ruff format --check . $(SCRIPTS)
	$(BIN)/ruff check . $(SCRIPTS)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/docs --check

bench: setup-test ## Measure against Buildah and tar | gzip, as ratios
	$(BIN)/python -m benchmarks

docs: setup-check ## Write docs/cli.md from the commands themselves
	$(BIN)/python scripts/docs

clean: ## Remove what the other verbs made in this checkout
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
