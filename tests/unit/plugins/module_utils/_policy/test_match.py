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
    WildText,
    arn_parts,
    overlaps,
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


def test_star_in_literal_request_is_a_character():
    assert Glob(tokens("a?")).covers("a*", False) is Cover.ALL


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


def test_arn_is_covered_as_its_least_covered_part():
    glob = ArnGlob(tokens("arn:aws:sqs:us-*:*:a*"))
    assert glob.covers(arn_parts("arn:aws:sqs:us-west-2:1:a*"), True) is Cover.ALL
    assert glob.covers(arn_parts("arn:aws:sqs:*:1:ab"), True) is Cover.SOME
    assert glob.covers(arn_parts("arn:aws:sqs:*:1:b*"), True) is Cover.NONE
    assert glob.covers(("*",), True) is Cover.NONE


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
    assert overlaps(tokens(first), WildText(second)) is expected
    assert overlaps(tokens(second), WildText(first)) is expected


def test_star_in_variable_value_is_literal():
    assert Glob(("b/", "*")).covers("b/*", True) is Cover.SOME
    assert Glob(("b/", "?")).covers("b/?", True) is Cover.SOME


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
