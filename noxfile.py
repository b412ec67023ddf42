# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# /// script
# dependencies = ["nox>=2025.02.09", "antsibull-nox"]
# ///
"""The sessions of antsibull-nox.toml, and the checks of tools/run_tests.py: ``nox -s lint``, ``nox -s units -- -k name``."""

import runpy
import sys

import antsibull_nox
import nox

antsibull_nox.load_antsibull_nox_toml()


def _add(check: str, session_name: str, file: str) -> None:
    def run(session: nox.Session) -> None:
        session.run(sys.executable, "tools/setup.py", "dev", external=True)
        options = ("--", *session.posargs) if session.posargs else ()
        session.run(".venv/bin/python", "tools/run_tests.py", check, *options, external=True)

    run.__doc__ = f"Install the requirements, and run {file}."
    nox.session(run, name=session_name, python=False, default=check in ("lint", "unit"))


for each in runpy.run_path("tools/run_tests.py")["CHECKS"]:
    script = next(part for part in reversed(each.command) if "/" in part)
    _add(each.name, "units" if each.name == "unit" else each.name, script)


if __name__ == "__main__":
    nox.main()
