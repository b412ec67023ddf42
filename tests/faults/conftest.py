# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the embedded AWS for the fault tests, and print a table of the faults after the tests."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.tests.faults.harness import Account

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("SANDBOX_PYTHON", str(ROOT / ".venv-sandbox" / "bin" / "python"))
COLUMNS = ("runs", "well", "named", "converged", "lost")


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """Run the embedded AWS endpoint on a free port. Yield its address."""
    process = subprocess.Popen(
        [PYTHON, "-m", "sandbox.aws", "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "sandbox" / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, f"the server printed {line!r}"
        yield found.group()
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="session")
def shared_account(endpoint: str) -> Account:
    return Account(endpoint)


@pytest.fixture
def account(shared_account: Account) -> Iterator[Account]:
    """Reset the account, so that it has only resources that no run manages, and return it."""
    shared_account.control.set_propagation(0)
    shared_account.clean()
    yield shared_account
    shared_account.before_request = None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print a table that sums the counts of all tests, including tests in other pytest processes."""
    rows: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, value in getattr(report, "user_properties", ()):
                if name == "faults":
                    counts = rows.setdefault(value["kind"], Counter())
                    counts.update({column: value.get(column, 0) for column in COLUMNS})
    if not rows:
        return
    rows = dict(sorted(rows.items()))
    rows["all"] = sum(rows.values(), Counter())
    terminalreporter.write_line("")
    terminalreporter.write_line(f"| fault | {' | '.join(COLUMNS)} |")
    terminalreporter.write_line("| --- |" + " ---: |" * len(COLUMNS))
    for kind, counts in rows.items():
        terminalreporter.write_line(f"| {kind} | {' | '.join(str(counts[name]) for name in COLUMNS)} |")
