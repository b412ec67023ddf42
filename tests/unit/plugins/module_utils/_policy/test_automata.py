# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the automaton of several patterns finds exactly the combinations of patterns that one text can match."""

from __future__ import annotations

import itertools

from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.automata import (
    Budget,
    Language,
    Pattern,
    arn_units,
    containing,
    fold,
    kinds,
    prefix_lengths,
    shape_regex,
    shape_units,
    spellings,
    text_units,
)
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
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

SETTINGS = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def tokens(text):
    return tokenize(text, variables=False, wildcards=True)


def pattern(text, ignore_case=False):
    return Pattern(text_units(tokens(text), ignore_case))


def all_texts(alphabet, longest):
    return ("".join(item) for n in range(longest + 1) for item in itertools.product(alphabet, repeat=n))


@SETTINGS
@given(st.lists(st.text(alphabet="ab*?", max_size=4), min_size=1, max_size=4))
def test_matched_combinations_equal_brute_force(patterns):
    found, complete = kinds([(pattern(item),) for item in patterns], -1, Budget(1_000_000))
    assert complete
    globs = [Glob(tokens(item)) for item in patterns]
    expected = {tuple(glob.matches(text) for glob in globs) for text in all_texts("abc", 6)}
    assert set(found) == expected
    for matched, text in found.items():
        assert tuple(glob.matches(text) for glob in globs) == matched


@settings(SETTINGS, max_examples=2_000)
@given(*[st.text(alphabet=f"ab*?*?{STAR}{MARK}", max_size=7)] * 2)
@example(STAR, "*")
@example(f"a{MARK}", "a?")
@example("*", STAR)
def test_cover_of_patterns_agrees_with_the_automaton(first, second):
    found, complete = kinds([(pattern(first),), (pattern(second),)], -1, Budget(1_000_000))
    assert complete
    cover = Glob(tokens(first)).covers(second, True)
    assert cover is not Cover.ALL or (False, True) not in found
    assert (cover is not Cover.NONE) is ((True, True) in found)


@SETTINGS
@given(st.lists(st.text(alphabet="a:*?", max_size=12), min_size=1, max_size=3))
def test_arn_patterns_agree_with_the_automaton(patterns):
    units = [arn_units(tokens(item)) for item in patterns]
    globs = [ArnGlob(tokens(item), complete=False) for item in patterns]
    found, complete = kinds(
        [() if item is None else (Pattern(item),) for item in units], -1, Budget(1_000_000)
    )
    assert complete
    for matched, text in found.items():
        assert tuple(glob.matches(arn_parts(text)) for glob in globs) == matched


def test_wildcards_match_within_arn_part():
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


def test_example_texts_match_the_shape():
    found, complete = kinds([(pattern("1*"),), (Pattern(shape_units("##")),)], 1, Budget(10_000))
    assert complete
    assert set(found) == {(True, True), (False, True)}
    assert all(shape_regex("##").fullmatch(text) for text in found.values())


def test_exhausted_budget_is_reported():
    found, complete = kinds([(pattern("*a?????????????b*"),)], -1, Budget(50))
    assert not complete
    assert set(found) == {(False,)}


def test_many_final_states_stay_within_the_budget():
    patterns = tuple(pattern(f"*{a}{b}*") for a, b in itertools.product("abcdefgh", repeat=2))
    found, complete = kinds([patterns], -1, Budget(3_000))
    assert complete
    assert set(found) == {(True,), (False,)}


def test_spellings_have_all_folded_characters():
    by_folded = {}
    # Unicode planes above 1 have no letters with an upper and a lower case.
    for code in range(0x20000):
        if not 0xD800 <= code < 0xE000:
            by_folded.setdefault(fold(chr(code)), set()).add(chr(code))
    wrong = [
        item for item, found in by_folded.items() if fold(item) == item and set(spellings(item)) != found
    ]
    assert wrong == []


def test_match_is_case_insensitive():
    found, complete = kinds([(pattern("ab", ignore_case=True),), (pattern("aB"),)], -1, Budget(1_000))
    assert complete
    assert set(found) == {(False, False), (True, False), (True, True)}


def test_extracted_part_restricts_the_whole_value():
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


def test_prefix_lengths():
    assert prefix_lengths(text_units(tokens("a*b")), "aabab") == [3, 5]
    assert prefix_lengths(text_units(tokens("*")), "ab") == [0, 1, 2]
    assert prefix_lengths((), "ab") == [0]
