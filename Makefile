# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Short forms of the most frequent commands. tools/run_tests.py has the checks, and `nox --list` lists them.

PYTHON ?= python3
# Python older than 3.8 cannot parse tools/setup.py. That program itself looks for Python 3.11 or newer.
SETUP = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || \
  { echo "$(PYTHON) is missing or too old. Install Python 3.11 or newer. Debian: apt-get install python3 python3-venv;" \
    "Red Hat: dnf install python3.12, then make PYTHON=python3.12." >&2; exit 1; }; $(PYTHON) tools/setup.py
RUN := .venv/bin/python tools/run_tests.py

.PHONY: help demo lint unit test check release-check setup clean

help:
	@echo "make demo             run the guide's example on the sandbox: plan, apply, verify, teardown"
	@echo "make lint             run the linters"
	@echo "make unit             run the unit tests"
	@echo "make test             run the checks that a change can break, on the newest ansible-core"
	@echo "make check NAME=fleet run one check; tools/run_tests.py lists their names, and nox has them as sessions"
	@echo "make release-check    run all checks in full, on every supported ansible-core"
	@echo "make clean            remove environments and build output"

setup:
	@$(SETUP) dev

demo:
	@$(SETUP) run
	@$(RUN) demo

lint unit test: setup
	@$(RUN) $@

check: setup
	@$(RUN) $(NAME)

release-check: setup
	@$(RUN) release

clean:
	rm -rf .venv .venv-* .collections .cache build dist
