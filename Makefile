# One word per habit; `make` alone lists them. Each does its own set-up in $(VENV), once:
# the files $(VENV)/.made-* say what is done, and are older than setup.py when it changed.

PYTHON ?= python3
VENV ?= .venv
ADDR ?= 127.0.0.1:8000
ARGS ?=

BIN = $(VENV)/bin/python
PIP = $(BIN) -m pip --quiet --disable-pip-version-check
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
NODE_MODULES = tests/node/node_modules/.made

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-all conformance fuzz soak lint format types bench dist clean

help: ## this list
	@echo 'make WORD, where WORD is one of'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | \
	    while IFS='|' read -r word text; do printf '  %-12s %s\n' "$$word" "$$text"; done
	@echo
	@echo 'Variables: PYTHON=$(PYTHON) VENV=$(VENV)'

demo: $(VENV)/.made-package ## serve the demo in the foreground (ADDR=127.0.0.1:8000)
	$(BIN) demo/manage.py migrate --verbosity 0
	$(BIN) demo/manage.py runwsserver $(ADDR)

test: $(VENV)/.made-test $(NODE_MODULES) ## run the tests (ARGS="-k echo" goes to pytest)
	$(BIN) -m pytest -m "not slow" --numprocesses=auto --dist=loadfile $(ARGS)

test-slow: $(VENV)/.made-test $(NODE_MODULES) ## run the others: packaging, browser, 3,000 clients
	$(BIN) -m pytest -m slow $(ARGS)

# pyenv's Pythons are found through its shims, which serve those that PYENV_VERSION names.
test-all: $(VENV)/.made-matrix $(NODE_MODULES) ## run the tests on every Python, Django, gunicorn and hub (ARGS="-t ends")
	PYENV_VERSION=$$(pyenv versions --bare 2>/dev/null | grep '^3' | paste -s -d: -) \
	    $(BIN) -m nox $(ARGS)

conformance: $(VENV)/.made-test ## run the Autobahn test suite, some ten minutes a server (ARGS=ours)
	$(BIN) -m compliance $(or $(ARGS),ours gunicorn)

fuzz: $(VENV)/.made-test ## send mutated sessions through the protocol, compare with websockets (SECONDS=3600)
	$(BIN) -m fuzzing --seconds $(or $(SECONDS),60) $(ARGS)

soak: $(VENV)/.made-bench ## let 2,000 clients do what clients do, and look for leaks (SECONDS=1800)
	$(BIN) -m soak --seconds $(or $(SECONDS),1800) $(ARGS)

lint: $(VENV)/.made-lint ## look for mistakes and for other than the common format
	$(BIN) -m ruff check
	$(BIN) -m ruff format --check

format: $(VENV)/.made-lint ## mend what `make lint` finds, as far as a tool can
	$(BIN) -m ruff check --fix
	$(BIN) -m ruff format

types: $(VENV)/.made-lint ## check the package's types, strictly
	$(BIN) -m mypy

$(VENV)/.made-bench: bench/requirements.txt
bench: $(VENV)/.made-bench ## measure against all peers, about an hour (ARGS="--scenario echo-32")
	$(BIN) -m bench $(ARGS)

dist: $(VENV)/.made-lint ## build the sdist, and the wheel from it, in dist/
	rm -rf dist build *.egg-info
	$(BIN) -m build

clean: ## remove all that was built or installed here, the demo's database too
	rm -rf $(VENV) .nox build dist *.egg-info tests/node/node_modules
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .compliance demo/*.sqlite3*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Named after its Python, so that another PYTHON makes it anew.
$(VENV)/.made-$(VERSION):
	@command -v $(PYTHON) >/dev/null || \
	    { echo 'There is no $(PYTHON) here. Name a Python: make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo 'Python 3.10 or later is needed, and $(PYTHON) is $(VERSION).' \
	           'Name another: make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo '$(PYTHON) has no venv module. On Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.made-package: setup.py $(VENV)/.made-$(VERSION)
	$(PIP) install --editable .
	@touch $@

$(VENV)/.made-test $(VENV)/.made-lint $(VENV)/.made-bench $(VENV)/.made-matrix: $(VENV)/.made-%: setup.py $(VENV)/.made-$(VERSION)
	$(PIP) install --editable '.[$*]'
	@touch $@

# Node's client is one of several: without npm, or without a network, its tests skip.
$(NODE_MODULES): tests/node/package-lock.json
	@if ! command -v npm >/dev/null; then \
	    echo "No npm here: the tests with Node's ws will skip."; \
	elif (cd tests/node && npm ci --silent --no-audit --no-fund --no-progress); then \
	    touch $@; \
	else \
	    echo "npm failed: the tests with Node's ws will skip."; \
	fi
