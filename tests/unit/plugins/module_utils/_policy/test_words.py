# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The automaton of patterns finds every combination of matches that some text has, and no other."""

from __future__ import annotations

import itertools

from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.context import (
    ACCOUNT,
    CLUSTER_NAME,
    ORGANIZATION,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.match import (
    MARK,
    STAR,
    ArnGlob,
    Cover,
    Glob,
    arn_parts,
    tokenize,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.words import (
    Budget,
    Language,
    Pattern,
    arn_units,
    containing,
    fold,
    kinds,
    places,
    shape_form,
    shape_units,
    spellings,
    text_units,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

SETTINGS = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def tokens(text):
    return tokenize(text, variables=False, wildcards=True)


def pattern(text, ignore_case=False):
    return Pattern(text_units(tokens(text), ignore_case))


def all_texts(alphabet, longest):
    return ("".join(each) for n in range(longest + 1) for each in itertools.product(alphabet, repeat=n))


@SETTINGS
@given(st.lists(st.text(alphabet="ab*?", max_size=4), min_size=1, max_size=4))
def test_the_kinds_are_those_of_all_texts(patterns):
    found, complete = kinds([(pattern(each),) for each in patterns], -1, Budget(1_000_000))
    assert complete
    globs = [Glob(tokens(each)) for each in patterns]
    expected = {tuple(glob.matches(text) for glob in globs) for text in all_texts("abc", 6)}
    assert set(found) == expected
    for matched, text in found.items():
        assert tuple(glob.matches(text) for glob in globs) == matched


@settings(SETTINGS, max_examples=2_000)
@given(*[st.text(alphabet=f"ab*?*?{STAR}{MARK}", max_size=7)] * 2)
@example(STAR, "*")
@example(f"a{MARK}", "a?")
@example("*", STAR)
def test_a_pattern_that_covers_another_as_text_matches_all_that_it_matches(one, other):
    found, complete = kinds([(pattern(one),), (pattern(other),)], -1, Budget(1_000_000))
    assert complete
    cover = Glob(tokens(one)).covers(other, True)
    assert cover is not Cover.ALL or (False, True) not in found
    assert (cover is not Cover.NONE) is ((True, True) in found)


@SETTINGS
@given(st.lists(st.text(alphabet="a:*?", max_size=12), min_size=1, max_size=3))
def test_arn_patterns_match_as_their_automaton(patterns):
    units = [arn_units(tokens(each)) for each in patterns]
    globs = [ArnGlob(tokens(each), complete=False) for each in patterns]
    found, complete = kinds(
        [() if each is None else (Pattern(each),) for each in units], -1, Budget(1_000_000)
    )
    assert complete
    for matched, text in found.items():
        assert tuple(glob.matches(arn_parts(text)) for glob in globs) == matched


def test_a_wildcard_stays_in_its_part():
    for given_pattern, text, expected in (
        ("a*:b:c:d:e:f", "ax:b:c:d:e:f", True),
        ("a*:b:c:d:e:f", "ax:y:b:c:d:e:f", False),
        ("a?:b:c:d:e:f", "a::b:c:d:e:f", False),
        ("a:b:c:d:e:*", "a:b:c:d:e:f:g", True),
        ("a:b:c:d:e", "a:b:c:d:e:f", False),
        ("*", "a:b:c:d:e:f:g", True),
        ("*", "a:b:c:d:e", False),
    ):
        units = arn_units(tokens(given_pattern))
        language = Language(patterns=() if units is None else (Pattern(units),))
        assert language.matches(text) is expected
        assert ArnGlob(tokens(given_pattern), complete=False).matches(arn_parts(text)) is expected


def test_texts_stay_within_a_shape():
    found, complete = kinds([(pattern("1*"),), (Pattern(shape_units("##")),)], 1, Budget(10_000))
    assert complete
    assert set(found) == {(True, True), (False, True)}
    assert all(shape_form("##").fullmatch(text) for text in found.values())


def test_work_that_ends_early_says_so():
    found, complete = kinds([(pattern("*a?????????????b*"),)], -1, Budget(50))
    assert not complete
    assert set(found) == {(False,)}


def test_a_pattern_that_needs_nothing_more_is_told_apart_no_further():
    patterns = tuple(pattern(f"*{a}{b}*") for a, b in itertools.product("abcdefgh", repeat=2))
    found, complete = kinds([patterns], -1, Budget(3_000))
    assert complete
    assert set(found) == {(True,), (False,)}


def test_spellings_are_all_characters_that_fold_to_the_same():
    by_folded = {}
    # The planes above hold no letters that have a case.
    for code in range(0x20000):
        if not 0xD800 <= code < 0xE000:
            by_folded.setdefault(fold(chr(code)), set()).add(chr(code))
    wrong = [
        each for each, found in by_folded.items() if fold(each) == each and set(spellings(each)) != found
    ]
    assert wrong == []


def test_letter_case_does_not_count():
    found, complete = kinds([(pattern("ab", ignore_case=True),), (pattern("aB"),)], -1, Budget(1_000))
    assert complete
    assert set(found) == {(False, False), (True, False), (True, True)}


def test_a_language_of_a_part_is_one_of_the_whole():
    arn = "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"
    for extract, word, other in (
        (ACCOUNT, "111122223333", "us-west-2"),
        (CLUSTER_NAME, "my-cluster", "cluster"),
    ):
        assert extract.take(arn) == word
        assert containing(extract, Language((word,))).matches(arn)
        assert containing(extract, Language(patterns=(pattern(word[:1] + "*"),))).matches(arn)
        assert not containing(extract, Language((other,))).matches(arn)
        assert not containing(extract, Language(patterns=(pattern("*:*"),))).matches(arn)
    assert containing(ORGANIZATION, Language(("o-a",))).matches("o-a/r-b/ou-c/")
    assert containing(ORGANIZATION, Language(("o-a",))).matches("o-a")
    assert not containing(ORGANIZATION, Language(patterns=(pattern("*/*"),))).matches("o-a/r-b/")


def test_how_much_of_a_beginning_matches():
    assert places(text_units(tokens("a*b")), "aabab") == [3, 5]
    assert places(text_units(tokens("*")), "ab") == [0, 1, 2]
    assert places((), "ab") == [0]
