# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the wording check finds wordings to avoid."""

from __future__ import annotations

from pathlib import Path

import lint_words
import pytest


def names(file: str, source: str) -> set[str]:
    texts = (
        lint_words.python_texts(source, False)
        if file == "a.py"
        else lint_words.prose_texts(source, Path(file).suffix == ".md")
    )
    return {
        advice.partition(";")[0]
        for _line, kind, text in texts
        for regex, kinds, advice in lint_words.PATTERNS
        if kind in kinds and regex.search(lint_words.IGNORED.sub("CODE", text).strip())
    }


@pytest.mark.parametrize(
    ("file", "source", "pattern"),
    [
        ("a.py", '"""What one part of the writes comes to."""', "headless-opening"),
        ("a.py", "# Whom the policy lets in.\nx = 1", "headless-opening"),
        ("a.py", 'def f():\n    """The policies of a role."""', "not-imperative"),
        ("a.py", "# AWS says that the role exists.\nx = 1", "speech"),
        ("a.py", "def f(told):\n    return 1", "particle"),
        ("a.py", "def roles_that_stay():\n    return 1", "clause-name"),
        ("a.py", 'raise ValueError("the policy of the role stays beside the other")', "beside"),
        ("a.yml", "- assert:\n    fail_msg: The role is to be made anew.", "is-to"),
        ("a.md", "It removes what was made here.", "made"),
    ],
)
def test_finds_wordings_to_avoid(file: str, source: str, pattern: str) -> None:
    assert pattern in names(file, source + "\n")


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (
            "a.py",
            'class Role:\n    """A role as IAM stores it."""\n\nraise ValueError("role x does not exist")',
        ),
        ("a.md", "Run `what is told` first:\n\n```console\n$ what is told\n```\n\nDelete the role.\n"),
    ],
)
def test_accepts_other_wordings(file: str, source: str) -> None:
    assert names(file, source) == set()
