# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that every code has one description, is used by the collection, and is expected by a test."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding

ROOT = Path(__file__).resolve().parents[5]
PLUGINS = ROOT / "plugins"
CODES, TEXTS = "plugins/module_utils/_findings/codes.py", "docs/codes.yml"
GROUPS = yaml.safe_load((ROOT / TEXTS).read_text(encoding="utf-8"))
DESCRIPTIONS = {code: texts for group in GROUPS.values() for code, texts in group.items()}


def used_codes(path: Path) -> Iterator[str]:
    """Yield the names of the members of Code that a file uses."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Code":
            yield node.attr


def codes_in_tests(path: Path) -> Iterator[str]:
    """Yield the names of the members of Code and all strings in a test file: some tests compare codes as text."""
    yield from used_codes(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_every_code_is_described_once() -> None:
    counts = Counter(code for group in GROUPS.values() for code in group)
    assert [code for code in Code if code not in counts] == [], f"{TEXTS} has no texts for these codes"
    assert sorted(set(counts) - set(Code)) == [], f"{CODES} does not have these codes of {TEXTS}"
    assert [code for code, count in counts.items() if count > 1] == [], f"{TEXTS} has these codes twice"


def test_value_of_a_code_is_its_name() -> None:
    assert {name: member.value for name, member in Code.__members__.items()} == {name: name for name in Code}


@pytest.mark.parametrize("code", Code)
def test_descriptions_fit_a_table(code: Code) -> None:
    assert code in DESCRIPTIONS, f"{TEXTS} has no texts for {code}"
    texts = {name: text for name, text in DESCRIPTIONS[code].items() if name != "failure"}
    assert texts.keys() == {"cause", "remedy"}, f"{code} needs a cause and a remedy in {TEXTS}"
    assert [text for text in texts.values() if "|" in text or "\n" in text or not text.endswith(".")] == []


def test_severities_differ() -> None:
    assert [
        code for code in Code if not code.severities or len(set(code.severities)) < len(code.severities)
    ] == []


def test_every_code_is_raised() -> None:
    files = [path for path in PLUGINS.rglob("*.py") if path.parent.name != "_findings"]
    raised = {name for path in files for name in used_codes(path)}
    assert sorted(set(Code.__members__) - raised) == []


def test_every_code_is_expected_by_a_test() -> None:
    files = [path for folder in ("unit", "findings") for path in (ROOT / "tests" / folder).rglob("*.py")]
    tested = {name for path in files for name in codes_in_tests(path)}
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
def test_default_severity_is_the_first_of_the_code(finding: Finding, severity: str) -> None:
    assert finding.severity == severity
