# Two commands on a fresh clone: `make demo` shows the program at work, `make test` checks it.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_RUN := $(VENV)/demo

.PHONY: demo test lint clean help

help:
	@echo "make demo   install into $(VENV), train on the demo data for two minutes, evaluate, draw demo.gif"
	@echo "make test   install into $(VENV), run the linters and all tests"
	@echo "make clean  remove $(VENV) and what the demo made"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12 demo")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.txt constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q -r requirements.txt -c constraints.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt requirements.txt constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q -r requirements-dev.txt -c constraints.txt
	@touch $@ $(VENV)/installed

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest

clean:
	rm -rf $(VENV) demo.gif data/data_3d_demo.npz
