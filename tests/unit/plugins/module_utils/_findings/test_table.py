# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every code has one description, is raised by the collection, and is expected by a test."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings import (
    kubernetes_codes,
    run_codes,
    verification_codes,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code, Description
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import TABLE, Finding

ROOT = Path(__file__).resolve().parents[5]
PLUGINS = ROOT / "plugins"
GROUPS = (
    verification_codes.VERIFICATION,
    run_codes.RUNS,
    run_codes.FAILURES,
    kubernetes_codes.CLUSTER,
    kubernetes_codes.INJECTION,
    kubernetes_codes.PROOF,
    verification_codes.TRUST_REASONS,
    verification_codes.TRUST_NOTES,
    verification_codes.PERMISSIONS,
)


def fragments(description: Description) -> list[str]:
    texts = [description.title, description.cause, description.remedy, description.evidence]
    if description.failure is not None:
        texts += [description.failure.cause, description.failure.remedy]
    return texts


def named(path: Path) -> Iterator[str]:
    """The members of Code that a file names as ``Code.NAME``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Code":
            yield node.attr


def expected(path: Path) -> Iterator[str]:
    """The codes that a test names, as members or as the text of results."""
    yield from named(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_every_code_stands_in_one_group() -> None:
    counts = Counter(code for group in GROUPS for code in group)
    assert {code: counts[code] for code in Code if counts[code] != 1} == {}
    assert set(TABLE) == set(Code)


def test_a_code_is_its_name() -> None:
    assert {name: member.value for name, member in Code.__members__.items()} == {name: name for name in Code}


@pytest.mark.parametrize("code", Code)
def test_descriptions_fit_a_table(code: Code) -> None:
    description = TABLE[code]
    assert description.title[0].isupper() or description.title.startswith("sts:")
    assert all((description.title, description.cause, description.remedy))
    unfit = [text for text in fragments(description) if "|" in text or "\n" in text or text.endswith(".")]
    assert unfit == []
    assert len(set(description.severities)) == len(description.severities)


def test_titles_tell_codes_apart() -> None:
    counts = Counter(description.title for description in TABLE.values())
    assert [title for title, count in counts.items() if count > 1] == []


def test_every_code_is_raised() -> None:
    files = [path for path in PLUGINS.rglob("*.py") if path.parent.name != "_findings"]
    raised = {name for path in files for name in named(path)}
    assert sorted(set(Code.__members__) - raised) == []


def test_every_code_is_expected_by_a_test() -> None:
    files = [path for folder in ("unit", "findings") for path in (ROOT / "tests" / folder).rglob("*.py")]
    tested = {name for path in files for name in expected(path)}
    assert sorted(set(Code.__members__) - tested) == []


@pytest.mark.parametrize(
    ("finding", "severity"),
    [
        (Finding(Code.AGENT_NOT_READY, "What.", "Do."), "error"),
        (Finding(Code.AGENT_NOT_READY, "What.", "Do.", raised_as="warning"), "warning"),
        (Finding(Code.TRUST_CONDITIONAL, "What.", "Do."), "warning"),
        (Finding(Code.BULK_READ_DENIED, "What.", "Do."), "info"),
    ],
)
def test_severity_comes_from_the_table_unless_raised_otherwise(finding: Finding, severity: str) -> None:
    assert finding.severity == severity
