# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# make demo    the guide's example on the sandbox: plan, converge, proof, teardown
# make test    every check, quick ones first, some at a time
# make help    the rest

PYTHON ?= python3
# Older versions cannot read tools/setup.py, which looks for a newer Python itself
SETUP = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || \
  { echo "$(PYTHON) is missing or too old. Install Python 3.11 or newer. Debian: apt-get install python3 python3-venv;" \
    "Red Hat: dnf install python3.12, then make PYTHON=python3.12." >&2; exit 1; }; $(PYTHON) tools/setup.py
VENV := .venv/bin
SANDBOX := .venv-sandbox/bin/sandbox
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.collections
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_HOME := $(CURDIR)/.cache/ansible
unexport ANSIBLE_CONFIG
# What is compiled once is not compiled by each of a thousand processes
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test setup setup-run setup-matrix setup-release lint unit findings fleet emulators docs docs-tables presets-check awx sandbox-tests faults migration sanity integration molecule package mutation release-check bench browser clean

help:
	@echo "make demo          the guide's example on the sandbox: plan, converge, proof, teardown"
	@echo "make test          every check: $(TESTS)"
	@echo "make TARGET        one of these checks"
	@echo "make docs-tables   write the tables of codes the presets and the form of workloads into docs/ and the role"
	@echo "make presets-check compare the presets with the newest AWS managed policies (needs PyPI)"
	@echo "make release-check what a release needs: sanity, package, changelog, import into Galaxy, documentation site"
	@echo "make browser       the page of the access report in headless Chromium; not a part of make test"
	@echo "make bench         one table: the guide's CLI sequence, amazon.aws, boto3, this collection, a fleet, verdicts"
	@echo "make clean         remove environments and build output"

setup-run:
	@$(SETUP) run

setup:
	@$(SETUP) dev

setup-matrix:
	@$(SETUP) matrix

setup-release:
	@$(PYTHON) tools/setup.py release

demo: setup-run
	@$(SANDBOX) run --fresh -- $(VENV)/python tools/demo.py

# Worker processes of one check; with 0 it is one process
WORKERS ?= 2
# Quick ones first; then those that take longest, so that none is left alone at the end
TESTS := lint unit findings emulators migration package integration docs faults sanity awx fleet sandbox-tests mutation molecule

test: setup
	@$(VENV)/python tools/run_tests.py $(TESTS)

lint: setup
	@$(VENV)/python tools/run_lint.py

# SEED=N draws other cases for the properties
SEED ?= 0

unit: setup
	@PYTHONPATH=.collections $(VENV)/python -m pytest -q -n $(WORKERS) --hypothesis-seed=$(SEED) tests/unit

findings: setup
	@PYTHONPATH=.collections $(VENV)/python -m pytest -q -n $(WORKERS) tests/findings

fleet: setup
	@PYTHONPATH=.collections:sandbox/src $(VENV)/python -m pytest -q -n $(WORKERS) --dist loadfile tests/fleet

emulators: setup
	@PYTHONPATH=.collections $(VENV)/python -m pytest -q -n $(WORKERS) tests/emulators

mutation: setup
	@$(VENV)/python tests/mutation/run.py --jobs $(or $(filter-out 0,$(WORKERS)),1)

docs: setup-matrix
	@$(VENV)/python -m pytest -q -n $(WORKERS) --dist loadfile tests/docs

# With CONTROLLER_HOST set it sets that AWX up, and clears it again
awx: setup
	@$(VENV)/python -m pytest -q -n $(WORKERS) tests/awx

docs-tables: setup
	@PYTHONPATH=.collections $(VENV)/python tools/make_docs.py
	@PYTHONPATH=.collections $(VENV)/python tools/make_forms.py

presets-check: setup
	@PYTHONPATH=.collections $(VENV)/python tools/check_presets.py

sandbox-tests: setup
	@$(VENV)/python -m pytest -q -n $(WORKERS) sandbox/tests

# FAULTS=all disturbs every request instead of every kind of request
faults: setup
	@$(VENV)/python -m pytest -q -n $(WORKERS) tests/faults

# MIGRATION=all has 60 service accounts, and ends a run at each write
migration: setup
	@PYTHONPATH=.collections:sandbox/src $(VENV)/python -m pytest -q -n $(WORKERS) --dist loadfile tests/migration

integration: setup
	@$(VENV)/python tools/run_integration.py

molecule: setup
	@$(VENV)/python tools/run_molecule.py

# CORES=all runs it on every ansible-core, rather than on the oldest and the newest
package: setup-matrix
	@$(VENV)/python -m pytest -q -n $(WORKERS) --dist loadfile tests/package

# SANITY=all has every test on every ansible-core, rather than on the newest, and a part on the oldest
sanity: setup-matrix
	@$(VENV)/python tools/run_sanity.py

release-check: sanity package setup-release
	@$(VENV)/python tools/release_check.py

# BENCH="--only peers --counts 1" for a part of it; benchmarks/run.py --help has all options
bench: setup
	@PYTHONPATH=.collections:sandbox/src $(SANDBOX) run --fresh -- $(VENV)/python benchmarks/run.py $(BENCH)

# Debian: apt-get install chromium chromium-driver. SCREENSHOTS=folder keeps pictures of the page
SELENIUM := selenium==4.51.0
browser: setup
	@command -v chromedriver >/dev/null || { echo "chromedriver is missing. Debian: apt-get install chromium chromium-driver." >&2; exit 1; }
	@test -f .venv-browser/$(SELENIUM) || { $(VENV)/python -m venv .venv-browser \
	  && .venv-browser/bin/python -m pip install -q $(SELENIUM) ansible-core pytest && touch .venv-browser/$(SELENIUM); }
	@PYTHONPATH=.collections .venv-browser/bin/python -m pytest -q tests/browser

clean:
	rm -rf .venv .venv-* .collections .cache build dist
