# `make run` serves the form; `make test` is the whole check. Both make .venv and install what they need into it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := test
.PHONY: run test lint bench bench-road bench-batching bench-swap bench-peers bench-pipeline quality refusals intervals staleness walk size deploy clean

run: $(VENV)/serve.stamp
	@exec $(BIN)/python -m stork serve

test: $(VENV)/dev.stamp $(VENV)/clients.stamp $(VENV)/beam.stamp lint
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/serve.stamp
	@$(BIN)/python bench/serve.py $(ARGS)

bench-road: $(VENV)/serve.stamp
	@$(BIN)/python bench/road.py

bench-batching: $(VENV)/dev.stamp
	@$(BIN)/python bench/batching.py

bench-swap: $(VENV)/dev.stamp
	@$(BIN)/python bench/swap.py

# Makes an environment per peer below .venv/peers, about 15 GB in all, when it is first asked for.
bench-peers: $(VENV)/serve.stamp
	@$(BIN)/python -m bench.peers $(ARGS)

bench-pipeline: $(VENV)/dev.stamp
	@$(BIN)/python bench/pipeline.py $(ARGS)

quality: $(VENV)/dev.stamp
	@$(BIN)/python bench/quality.py $(ARGS)

refusals: $(VENV)/dev.stamp
	@$(BIN)/python bench/refusals.py $(ARGS)

intervals: $(VENV)/dev.stamp
	@$(BIN)/python bench/intervals.py $(ARGS)

staleness: $(VENV)/dev.stamp
	@$(BIN)/python bench/staleness.py $(ARGS)

walk: $(VENV)/dev.stamp
	@$(BIN)/python bench/validation.py $(ARGS)

size: $(VENV)/serve.stamp
	@$(BIN)/python bench/size.py

# One command for a person. TensorFlow does not fit the smallest instances, so it is asked for: TENSORFLOW=1.
deploy:
	@test -n "$(PROJECT)" || { echo "make deploy PROJECT=<your project> [VERSION=v2] [TENSORFLOW=1] [ARGS=--no-promote]"; exit 2; }
	@command -v gcloud >/dev/null || { echo "make deploy needs the Google Cloud SDK (gcloud)"; exit 2; }
	$(PYTHON) deploy/stage.py $(if $(TENSORFLOW),--tensorflow)
	cd deploy/staged && gcloud app deploy app.yaml --project="$(PROJECT)" $(if $(VERSION),--version="$(VERSION)") $(ARGS)

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

# Clients that others wrote, for the tests: their dependencies are not ours.
$(VENV)/clients.stamp: tests/clients/requirements.txt | $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)/clients
	$(VENV)/clients/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Apache Beam wants older protobuf and pyarrow than TensorFlow's environment has.
$(VENV)/beam.stamp: requirements-beam.txt | $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)/beam
	$(VENV)/beam/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
