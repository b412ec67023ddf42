# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# /// script
# dependencies = ["nox>=2025.02.09", "antsibull-nox"]
# ///
"""The sessions of antsibull-nox.toml, and the checks of the Makefile: ``nox -s make -- unit sanity``."""

import antsibull_nox
import nox

antsibull_nox.load_antsibull_nox_toml()


@nox.session(python=False)
def make(session: nox.Session) -> None:
    """Run targets of the Makefile. Without arguments, run lint."""
    session.run("make", *(session.posargs or ["lint"]), external=True)


if __name__ == "__main__":
    nox.main()
