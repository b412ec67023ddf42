# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the wording check finds wordings to avoid."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import lint_words
import pytest

PLANTED_PYTHON = {
    '"""What one part of the writes comes to."""': "headless-opening",
    "# Whom the policy lets in.\nx = 1": "headless-opening",
    'def f():\n    """The policies of a role."""': "not-imperative",
    '"""Return the roles of those who use the policy."""': "headless-clause",
    "# AWS says that the role exists.\nx = 1": "speech",
    "# The trust policy is no document.\nx = 1": "no-noun",
    "def f():\n    wanted = read()": "particle",
    "def f(told):\n    return 1": "particle",
    "def roles_that_stay():\n    return 1": "clause-name",
    'raise ValueError("the policy of the role stays beside the other")': "beside",
    'DOCUMENTATION = """\ndescription:\n  - Findings are told of each workload.\n"""': "speech",
}
PLANTED_YAML = {
    "- name: Put together what was done\n  debug:": "headless-clause",
    "- assert:\n    fail_msg: The role is to be made anew.": "is-to",
    "# Nobody reads this.\n- debug:": "no-noun",
}
PLANTED_MARKDOWN = {
    "It removes what was made here.": "made",
    "| variable | the policy stays |": "motion",
    "A role,\nwhoever owns it.": "archaic",
}
NATIVE = '''
"""Trust policies."""

class Role:
    """A role as IAM stores it."""

def read_role(name):
    """Return whether the role exists, or None when ``what`` is unknown."""
    # What if the role was deleted? Then read it again.
    arn = lookup(name)
    raise ValueError(f"role {name} does not exist in account {arn}")
'''


def _names(folder: Path, file: str, source: str) -> set[str]:
    path = folder / file
    path.write_text(source, encoding="utf-8")
    return {pattern.name for text in lint_words.texts(path, folder) for pattern in lint_words.hits(text)}


@pytest.mark.parametrize(("source", "pattern"), PLANTED_PYTHON.items())
def test_finds_planted_code(tmp_path: Path, source: str, pattern: str) -> None:
    assert pattern in _names(tmp_path, "planted.py", source)


@pytest.mark.parametrize(("source", "pattern"), PLANTED_YAML.items())
def test_finds_planted_yaml(tmp_path: Path, source: str, pattern: str) -> None:
    assert pattern in _names(tmp_path, "planted.yml", source)


@pytest.mark.parametrize(("source", "pattern"), PLANTED_MARKDOWN.items())
def test_finds_planted_prose(tmp_path: Path, source: str, pattern: str) -> None:
    assert pattern in _names(tmp_path, "planted.md", source)


def test_accepts_native_text(tmp_path: Path) -> None:
    assert _names(tmp_path, "native.py", NATIVE) == set()
    page = "# Ownership\n\nRun `what is told` first:\n\n```console\n$ what is told\n```\n\nDelete the role.\n"
    assert _names(tmp_path, "native.md", page) == set()


def test_every_pattern_has_a_planted_text() -> None:
    planted = {*PLANTED_PYTHON.values(), *PLANTED_YAML.values(), *PLANTED_MARKDOWN.values()}
    tested_elsewhere = {"pronoun-head", "meant"}
    assert {pattern.name for pattern in lint_words.PATTERNS} == planted | tested_elsewhere


@pytest.mark.parametrize(
    ("text", "pattern"), [("the policy of its own", "pronoun-head"), ("the run ends badly", "meant")]
)
def test_finds_in_sentences(text: str, pattern: str) -> None:
    found = lint_words.hits(lint_words.Text("docs/page.md", 1, "prose", text))
    assert [match.name for match in found] == [pattern]


def test_lines_point_to_the_text(tmp_path: Path) -> None:
    path = tmp_path / "planted.md"
    path.write_text("# Page\n\nThe first line.\nThe role stays.\n", encoding="utf-8")
    lines = [text.line for text in lint_words.texts(path, tmp_path) if lint_words.hits(text)]
    assert lines == [4]


def test_more_hits_than_the_allowed_share_fail() -> None:
    totals = Counter({("plugins/a", "code"): 100, ("plugins/a", "opening"): 100})
    assert lint_words.excess(Counter({("plugins/a", "code"): 2}), totals) == []
    assert lint_words.excess(Counter({("plugins/a", "code"): 3, ("plugins/a", "opening"): 1}), totals) == [
        "plugins/a: 3 of 100 texts of kind code; 2 are allowed",
        "plugins/a: 1 of 100 texts of kind opening; 0 are allowed",
    ]


def test_accepts_the_fields_of_a_diff(tmp_path: Path) -> None:
    assert _names(tmp_path, "planted.py", "class Row:\n    before: str\n    after: str") == set()
    assert _names(tmp_path, "planted.py", "def f(before):\n    after = 1") == {"particle"}


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("README.md", "."),
        ("docs/codes.md", "docs"),
        ("plugins/module_utils/_policy/trust/check.py", "plugins/module_utils/_policy/trust"),
        (
            "plugins/module_utils/_identity/kubernetes/pods/reads.py",
            "plugins/module_utils/_identity/kubernetes",
        ),
        ("roles/pod_identity/tasks/main.yml", "roles/pod_identity"),
        ("tests/unit/plugins/module_utils/_aws/test_client.py", "tests/unit/plugins/module_utils/_aws"),
    ],
)
def test_folders(path: str, folder: str) -> None:
    assert lint_words.folder(path) == folder


@pytest.mark.parametrize(("collection", "share"), [("amazon/aws", 0.02), ("kubernetes/core", 0.01)])
def test_other_collections_pass(collection: str, share: float) -> None:
    """Check that the docstrings and comments of other collections have no larger share of hits than ``share``."""
    root = lint_words.ROOT / ".collections" / "ansible_collections" / collection
    total = found = 0
    for path in sorted((root / "plugins").rglob("*.py")):
        for text in lint_words.texts(path, root):
            if text.kind == "code":
                total += 1
                found += bool(lint_words.hits(text))
    assert total > 500
    assert found / total <= share


def test_patterns_have_a_replacement() -> None:
    for pattern in lint_words.PATTERNS:
        assert re.fullmatch(r"[a-z].*[a-z]", pattern.instead)
        assert set(pattern.kinds) <= set(lint_words.SHARES)
