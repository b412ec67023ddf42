# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# `make help` lists the commands.

PYTHON ?= python3
# Python older than 3.8 cannot parse tools/setup.py. That program itself looks for Python 3.11 or newer.
SETUP = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || \
  { echo "$(PYTHON) is missing or too old. Install Python 3.11 or newer. Debian: apt-get install python3 python3-venv;" \
    "Red Hat: dnf install python3.12, then make PYTHON=python3.12." >&2; exit 1; }; $(PYTHON) tools/setup.py
VENV := .venv/bin
SANDBOX := .venv-sandbox/bin/sandbox
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.collections
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_HOME := $(CURDIR)/.cache/ansible
unexport ANSIBLE_CONFIG
# Let Python cache bytecode, because the checks start thousands of processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test setup setup-run setup-matrix setup-release lint unit findings fleet emulators docs docs-tables presets-check awx sandbox-tests faults migration sanity integration molecule package mutation release-check bench browser clean

help:
	@echo "make demo          run the guide's example on the sandbox: plan, apply, verify, teardown"
	@echo "make test          run all of these checks: $(TESTS)"
	@echo "make CHECK         run one of these checks"
	@echo "make docs-tables   update the generated tables and the JSON Schema in docs/, and the generated options of the role"
	@echo "make presets-check compare the presets with the newest AWS managed policies (needs PyPI)"
	@echo "make release-check check a release: sanity, package, changelog, import into Galaxy, documentation site"
	@echo "make browser       test the page of the access report in headless Chromium; not a part of make test"
	@echo "make bench         measure the guide's CLI sequence, amazon.aws, boto3, this collection, a fleet, and policy evaluation"
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

# The number of worker processes of pytest in a check. With 0, pytest runs the tests in its own process.
WORKERS ?= 2
# The checks start in this order: quick ones first, then the longest, so that no long check runs alone at the end.
TESTS := lint unit findings emulators migration package integration docs faults sanity awx fleet mutation molecule

test: setup
	@$(VENV)/python tools/run_tests.py $(TESTS)

lint: setup
	@$(VENV)/python tools/run_lint.py

# With SEED=N, the property tests use other random cases.
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

# With CONTROLLER_HOST, the tests use that AWX: they create their objects in it, and delete them again.
awx: setup
	@$(VENV)/python -m pytest -q -n $(WORKERS) tests/awx

docs-tables: setup
	@PYTHONPATH=.collections $(VENV)/python tools/make_docs.py
	@PYTHONPATH=.collections $(VENV)/python tools/make_forms.py

presets-check: setup
	@PYTHONPATH=.collections $(VENV)/python tools/check_presets.py

sandbox-tests: setup
	@$(VENV)/python -m pytest -q -n $(WORKERS) sandbox/tests

# FAULTS=all injects each fault into every request, instead of one request of each operation.
faults: setup
	@$(VENV)/python -m pytest -q -n $(WORKERS) tests/faults

# MIGRATION=all uses 60 service accounts, and interrupts runs at every write.
migration: setup
	@PYTHONPATH=.collections:sandbox/src $(VENV)/python -m pytest -q -n $(WORKERS) --dist loadfile tests/migration

integration: setup
	@$(VENV)/python tools/run_integration.py

molecule: setup
	@$(VENV)/python tools/run_molecule.py

# CORES=all uses every supported ansible-core, instead of the oldest and the newest.
package: setup-matrix
	@$(VENV)/python -m pytest -q -n $(WORKERS) --dist loadfile tests/package

# SANITY=all runs all tests on every ansible-core, instead of all on the newest and some on the oldest.
sanity: setup-matrix
	@$(VENV)/python tools/run_sanity.py

release-check: sanity package setup-release
	@$(VENV)/python tools/release_check.py

# BENCH="--only peers --counts 1" measures only a part; benchmarks/run.py --help lists the options.
bench: setup
	@PYTHONPATH=.collections:sandbox/src $(SANDBOX) run --fresh -- $(VENV)/python benchmarks/run.py $(BENCH)

# Debian: apt-get install chromium chromium-driver. SCREENSHOTS=FOLDER saves screenshots of the page.
SELENIUM := selenium==4.51.0
browser: setup
	@command -v chromedriver >/dev/null || { echo "chromedriver is missing. Debian: apt-get install chromium chromium-driver." >&2; exit 1; }
	@test -f .venv-browser/$(SELENIUM) || { $(VENV)/python -m venv .venv-browser \
	  && .venv-browser/bin/python -m pip install -q $(SELENIUM) ansible-core pytest && touch .venv-browser/$(SELENIUM); }
	@PYTHONPATH=.collections .venv-browser/bin/python -m pytest -q tests/browser

clean:
	rm -rf .venv .venv-* .collections .cache build dist
