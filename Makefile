# `make run` serves the form; `make test` is the whole check. Both make .venv and install what they need into it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := test
.PHONY: run test lint bench quality size deploy clean

run: $(VENV)/serve.stamp
	@exec $(BIN)/python -m stork serve

test: $(VENV)/dev.stamp lint
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/serve.stamp
	@$(BIN)/python bench/serve.py $(ARGS)

quality: $(VENV)/dev.stamp
	@$(BIN)/python bench/quality.py $(ARGS)

size: $(VENV)/serve.stamp
	@$(BIN)/python bench/size.py

deploy:
	@test -n "$(PROJECT)" || { echo "make deploy PROJECT=<your project> [TENSORFLOW=1] [VERSION=v1]"; exit 2; }
	PROJECT="$(PROJECT)" TENSORFLOW="$(TENSORFLOW)" VERSION="$(VERSION)" ./deploy.sh

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Stork needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). PYTHON=python3.12 make run takes another."; exit 2; }
	$(PYTHON) -m venv $(VENV)

# A stamp is newer than the file it stands for once that is installed: the second run asks no registry.
$(VENV)/serve.stamp: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements.txt requirements-tensorflow.txt requirements-train.txt requirements-dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/serve.stamp
