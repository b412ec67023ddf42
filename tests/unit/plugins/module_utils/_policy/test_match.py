# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test wildcards in texts and in ARNs."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.match import (
    ArnGlob,
    Cover,
    Glob,
    Variable,
    Wild,
    arn_parts,
    tokenize,
)


def tokens(text):
    return tokenize(text, variables=False, wildcards=True)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("**", "abc", True),
        ("?", "", False),
        ("a*b*c", "aXbYc", True),
        ("a*b*c", "abbc", True),
        ("a*b*c", "acb", False),
        ("ab*ba", "aba", False),
        ("*ab*ba*", "aba", False),
        ("*ab*ba*", "abba", True),
        ("*a?c*", "xxabcabd", True),
        ("*a?c", "aacabc", True),
        ("*a?c?*", "abc", False),
        ("a?", "a", False),
        ("?b*", "ab", True),
        ("*?", "", False),
        ("*ab?", "abab", False),
        ("*ab?", "ababx", True),
        ("?b*", "*bc", True),
        ("a?*?b", "a**b", True),
        ("a?b", "a?b", True),
    ],
)
def test_glob(pattern, text, expected):
    assert Glob(tokens(pattern)).matches(text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "cover"),
    [
        ("a*", "ab*", Cover.ALL),
        ("ab*", "a*", Cover.SOME),
        ("a?", "a*", Cover.SOME),
        ("a?", "a?", Cover.ALL),
        ("a*", "a?", Cover.ALL),
        ("b*", "a*", Cover.NONE),
        ("*b*", "a*", Cover.SOME),
        ("x?y*", "x*", Cover.SOME),
    ],
)
def test_pattern_covers_a_request(pattern, text, cover):
    assert Glob(tokens(pattern)).covers(text, True) is cover


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b/c:d", True),
        ("arn:aws:s3:::*", "arn:aws:s3:::b", True),
        ("arn:aws:*:::b", "arn:aws:s3:::b", True),
        ("arn:aws:s3*::b", "arn:aws:s3:::b", False),
        ("*:b", "arn:aws:s3:::b", False),
        ("arn:aws:s3:::b", "arn:aws:s3::b", False),
        ("arn:aws:sqs", "arn:aws:sqs:r:1:q", True),
        ("arn:aws:sqs:r", "arn:aws:sqs:s:1:q", False),
    ],
)
def test_arn_parts_match_separately(pattern, text, expected):
    assert ArnGlob(tokens(pattern)).matches(arn_parts(text)) is expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("a*", "*b", True),
        ("a", "b", False),
        ("a?c", "*", True),
        ("a*c", "ab?", True),
        ("", "*", True),
        ("", "?", False),
        ("?", "?", True),
        ("*a", "*b", False),
        ("*?", "", False),
        ("a*b*c", "ac", False),
        ("a" * 2000, "b" * 2000, False),
        ("*a" * 1000, "a?" * 1000, True),
    ],
    ids=str,
)
def test_overlaps(first, second, expected):
    assert (Glob(tokens(first)).covers(second, True) is not Cover.NONE) is expected
    assert (Glob(tokens(second)).covers(first, True) is not Cover.NONE) is expected


def test_tokens():
    assert tokenize("a${aws:X}*?${*}${$}", variables=True, wildcards=True) == (
        "a",
        Variable("aws:x", name="aws:X"),
        Wild.ANY,
        Wild.ONE,
        "*$",
    )
    assert tokenize("${aws:X, 'd, e'}", variables=True, wildcards=False) == (
        Variable("aws:x", "d, e", "aws:X"),
    )
    assert tokenize("${}${a b}${aws:X", variables=True, wildcards=False) == ("${}${a b}${aws:X",)
    assert tokenize("***", variables=True, wildcards=True) == (Wild.ANY,)
