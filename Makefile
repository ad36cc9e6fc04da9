# Every target makes its own environment in .venv first, anew whenever the dependencies change.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TEST_WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test check bench soak audit docs site lock clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt scripts/install.sh
	@scripts/install.sh $(VENV) $(PYTHON)
	@touch $@

demo: $(STAMP) ## Run the whole journey on a made-up legacy database.
	@$(BIN)/python -m chatctl demo run

test: $(STAMP) ## Run every test that this machine can run, and say which it can't.
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal

check: $(STAMP) ## Lint, types and import contracts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP) ## Measure chatctl against the engines' own tools (BENCH_ROWS=1000000).
	@$(BIN)/python -m bench

soak: $(STAMP) ## Run the long tests (hours), or only some faults: FAULTS='kills and regroup' SEED=7.
	CHATCTL_SOAK=1 $(if $(SEED),CHATCTL_FAULTS_SEED=$(SEED)) $(BIN)/python -m pytest -s -m slow --timeout 7200 \
		-o log_cli=true -o log_cli_level=INFO $(if $(FAULTS),tests/faults -k "$(FAULTS)")

audit: ## Ask PyPI's advisories about every pinned dependency (needs the internet).
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip --disable-pip-version-check -qq install pip-audit
	build/audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

docs: $(STAMP) ## Write the pages of docs/ that are tables of the code.
	$(BIN)/python scripts/docs.py

site: $(STAMP) ## Build the documentation's site in build/site.
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --site-dir build/site

lock: ## Pin every dependency anew in constraints.txt (needs uv).
	scripts/lock.sh

clean: ## Remove what the other targets made.
	rm -rf $(VENV) demo dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests migrations scripts -name __pycache__ -type d -prune -exec rm -rf {} +
