# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# /// script
# dependencies = ["nox>=2025.02.09", "antsibull-nox"]
# ///
"""The sessions of antsibull-nox.toml, and checks of tools/run_tests.py: ``nox -s lint units``, ``nox -s check -- fleet``."""

import antsibull_nox
import nox

antsibull_nox.load_antsibull_nox_toml()
# By session: the check.
SESSIONS = {"lint": "lint", "units": "unit", "docs": "docs", "sanity": "sanity", "integration": "integration"}


def _add(name: str, *checks: str) -> None:
    @nox.session(name=name, python=False, default=name in ("lint", "units"))
    def run(session: nox.Session) -> None:
        """Install the requirements, and run checks of this project."""
        session.run("make", *(checks or session.posargs), external=True)


for session_name, check in SESSIONS.items():
    _add(session_name, check)
_add("check")


if __name__ == "__main__":
    nox.main()
