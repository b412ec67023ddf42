# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# `make help` lists the commands. tools/run_tests.py has the checks.

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

CHECKS := lint unit integration docs faults migration package sanity fleet findings awx emulators sandbox-tests mutation molecule artifact

.PHONY: help demo test release-check setup setup-run setup-release docs-tables presets-check bench browser clean $(CHECKS)

help:
	@echo "make demo          run the guide's example on the sandbox: plan, apply, verify, teardown"
	@echo "make test          run the checks that a change can break, on the newest ansible-core"
	@echo "make release-check run all checks in full, on every supported ansible-core"
	@echo "make CHECK         run one of these checks: $(CHECKS)"
	@echo "make docs-tables   update the generated tables, JSON Schema, options and defaults of roles, and surveys"
	@echo "make presets-check compare the presets with the newest AWS managed policies (needs PyPI)"
	@echo "make browser       test the page of the access report in headless Chromium"
	@echo "make bench         measure the guide's CLI sequence, amazon.aws, boto3, this collection, a fleet, and policy evaluation"
	@echo "make clean         remove environments and build output"

setup-run:
	@$(SETUP) run

# The older versions of ansible-core are only installed for tests that use them.
setup:
	@$(SETUP) $(if $(filter all,$(CORES) $(SANITY)),matrix,dev)

setup-release:
	@$(SETUP) matrix
	@$(SETUP) release

demo: setup-run
	@$(SANDBOX) run -- $(VENV)/python tools/demo.py

test: setup
	@$(VENV)/python tools/run_tests.py test

release-check: setup-release
	@$(VENV)/python tools/run_tests.py release

artifact: setup-release

$(CHECKS): setup
	@$(VENV)/python tools/run_tests.py $@

docs-tables: setup
	@PYTHONPATH=.collections $(VENV)/python tools/make_docs.py
	@PYTHONPATH=.collections $(VENV)/python tools/make_forms.py
	@PYTHONPATH=.collections $(VENV)/python tools/make_variables.py

presets-check: setup
	@PYTHONPATH=.collections $(VENV)/python tools/check_presets.py

# BENCH="--only peers --counts 1" measures only a part; benchmarks/run.py --help lists the options.
bench: setup
	@PYTHONPATH=.collections:sandbox/src $(SANDBOX) run -- $(VENV)/python benchmarks/run.py $(BENCH)

# Debian: apt-get install chromium chromium-driver. SCREENSHOTS=FOLDER saves screenshots of the page.
SELENIUM := selenium==4.51.0
browser: setup
	@command -v chromedriver >/dev/null || { echo "chromedriver is missing. Debian: apt-get install chromium chromium-driver." >&2; exit 1; }
	@test -f .venv-browser/$(SELENIUM) || { $(VENV)/python -m venv .venv-browser \
	  && .venv-browser/bin/python -m pip install -q $(SELENIUM) ansible-core pytest && touch .venv-browser/$(SELENIUM); }
	@PYTHONPATH=.collections .venv-browser/bin/python -m pytest -q tests/browser

clean:
	rm -rf .venv .venv-* .collections .cache build dist
