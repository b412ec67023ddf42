# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test every condition operator. Each case has a reason.

The reasons refer to the IAM User Guide: "Condition operators", "Set operators", "Variables and tags".
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.conditions import (
    Test as Condition,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.conditions import (
    describe_values,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.context import (
    ABSENT,
    PRESENT,
    UNKNOWN_VALUE,
    Context,
    Unknown,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    parse_conditions,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.operators import (
    date,
    family,
)

ARN = "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"


def holds(operator, values, state, *, variables=True, **variables_by_name):
    """Return whether the condition {operator: {"aws:Key": values}} is true for a request. ``state`` is the value of aws:Key."""
    (condition,) = parse_conditions({operator: {"aws:Key": values}}, "Statement 1")
    keys = {"aws:key": state if not isinstance(state, str) else (state,)}
    keys.update({f"aws:{name}": value for name, value in variables_by_name.items()})
    return Condition(condition, variables).holds(Context(keys, default=ABSENT))


STRINGS = [
    ("StringEquals", "a", "a", True, "equal"),
    ("StringEquals", "a", "A", False, "case counts"),
    ("StringEquals", ["a", "b"], "b", True, "values are alternatives"),
    ("StringEquals", "a*", "ab", False, "* is no wildcard here"),
    ("StringEquals", "a*", "a*", True, "* is itself here"),
    ("StringEquals", "a", ABSENT, False, "an absent key equals nothing"),
    ("StringEquals", [], "a", False, "no values, nothing to equal"),
    ("StringEquals", "a", "", False, "empty is not a"),
    ("StringNotEquals", "a", "b", True, "different"),
    ("StringNotEquals", "a", "a", False, "equal"),
    ("StringNotEquals", ["a", "b"], "b", False, "must differ from all"),
    ("StringNotEquals", "a", ABSENT, True, "negated operators hold when the key is absent"),
    ("StringNotEquals", [], "a", True, "differs from all of none"),
    ("StringEqualsIgnoreCase", "ABC", "abc", True, "case does not count"),
    ("StringEqualsIgnoreCase", "ABC", "abd", False, "different all the same"),
    ("StringEqualsIgnoreCase", "a", ABSENT, False, "absent"),
    ("StringNotEqualsIgnoreCase", "ABC", "abc", False, "equal but for case"),
    ("StringNotEqualsIgnoreCase", "ABC", "x", True, "different"),
    ("StringNotEqualsIgnoreCase", "ABC", ABSENT, True, "negated, absent"),
    ("StringLike", "prod-*", "prod-1", True, "* is any run"),
    ("StringLike", "prod-*", "prod-", True, "* may be nothing"),
    ("StringLike", "prod-?", "prod-", False, "? is exactly one"),
    ("StringEqualsIgnoreCase", "\u0130", "i\u0307", False, "a letter whose lower case is two characters"),
    ("StringLike", "prod-?", "prod-12", False, "? is exactly one"),
    ("StringLike", "*:*/x", "a:b/c/x", True, "in a text * crosses everything"),
    ("StringLike", "Prod-*", "prod-1", False, "case counts"),
    ("StringLike", "prod-*", "Prod-1", False, "case counts"),
    ("StringLike", "*", ABSENT, False, "* needs a value"),
    ("StringNotLike", "prod-*", "dev-1", True, "no match"),
    ("StringNotLike", ["dev-*", "prod-*"], "dev-1", False, "must match none"),
    ("StringNotLike", "*", ABSENT, True, "negated, absent"),
]

NUMBERS_AND_DATES = [
    ("NumericEquals", "10", "10.0", True, "numbers, not text"),
    ("NumericEquals", 10, "10", True, "JSON numbers are taken"),
    ("NumericEquals", "10", "ten", False, "not a number"),
    ("NumericNotEquals", "10", "11", True, "different"),
    ("NumericNotEquals", "10", "10", False, "equal"),
    ("NumericNotEquals", "10", ABSENT, True, "negated, absent"),
    ("NumericLessThan", "10", "9", True, "less; as text 9 would be more"),
    ("NumericLessThan", "10", "10", False, "not less"),
    ("NumericLessThanEquals", "10", "10", True, "equal"),
    ("NumericLessThanEquals", "10", "11", False, "more"),
    ("NumericGreaterThan", "10", "11", True, "more"),
    ("NumericGreaterThan", "10", "10", False, "not more"),
    ("NumericGreaterThanEquals", "10", "10", True, "equal"),
    ("NumericGreaterThanEquals", "10", "9", False, "less"),
    ("NumericLessThan", "10", ABSENT, False, "absent is not less"),
    ("NumericLessThan", "10", "NaN", False, "no number at all"),
    ("NumericEquals", "10", "1_0", False, "an underscore is no digit"),
    ("NumericEquals", "1_0", "10", False, "an underscore is no digit"),
    ("NumericEquals", "10", "\uff11\uff10", False, "digits of another script"),
    ("NumericEquals", "\uff11\uff10", "\uff11\uff10", False, "digits of another script"),
    ("NumericEquals", "1e1", "10", True, "an exponent"),
    ("NumericLessThan", "1e9999999", "5", False, "an exponent of seven digits makes no number"),
    ("NumericLessThan", "5", "1e9999999", False, "nor as a value of the request"),
    ("DateLessThan", "1e9999999", "2026-01-01", False, "nor a moment"),
    ("DateEquals", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", True, "the same moment"),
    ("DateEquals", "2026-01-01", "2026-01-01T00:00:00Z", True, "a date is its first moment, in UTC"),
    ("DateEquals", "1767225600", "2026-01-01T00:00:00Z", True, "epoch seconds"),
    ("DateNotEquals", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", True, "different"),
    ("DateNotEquals", "2026-01-01T00:00:00Z", ABSENT, True, "negated, absent"),
    ("DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", True, "before"),
    ("DateLessThan", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", False, "not before"),
    ("DateLessThanEquals", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", True, "equal"),
    ("DateGreaterThan", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", True, "after"),
    ("DateGreaterThan", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", False, "not after"),
    ("DateGreaterThanEquals", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", True, "equal"),
    ("DateGreaterThan", "soon", "2026-01-01T00:00:00Z", False, "no date to compare with"),
]

# A text, its time in seconds since the epoch (None if the text is not a date), and the name of the case.
DATES = [
    ("2026-11-24T10:15:30Z", "1795515330", "date and time"),
    ("2026-11-24t10:15:30z", "1795515330", "letters in lower case"),
    ("2026-11-24 10:15:30Z", "1795515330", "as YAML writes it"),
    (" 2026-11-24T10:15:30Z\n", "1795515330", "space around it"),
    ("2026-11-24T10:15Z", "1795515300", "no seconds"),
    ("2026-11-24T10:15:30", "1795515330", "no zone is UTC"),
    ("2026-11-24", "1795478400", "a date is its first moment"),
    ("2026-11", "1793491200", "a month is its first moment"),
    ("2026-11-24T10:15:30+01:00", "1795511730", "east of Greenwich"),
    ("2026-11-24T10:15:30-05:30", "1795535130", "west of Greenwich"),
    ("2026-11-24T10:15:30-00:00", "1795515330", "at Greenwich"),
    ("2026-11-24T10:15:30.5Z", "1795515330.5", "one digit"),
    ("2026-11-24T10:15:30.25+00:00", "1795515330.25", "two digits and a zone"),
    ("2026-11-24T10:15:30.123Z", "1795515330.123", "milliseconds"),
    ("2026-11-24T10:15:30.123456", "1795515330.123456", "microseconds"),
    ("2026-11-24T10:15:30.123456789Z", "1795515330.123456789", "nanoseconds"),
    ("1969-12-31T23:59:59.5Z", "-0.5", "before 1970"),
    ("0001-01-01T00:00:00+23:59", "-62135683140", "the first that can be"),
    ("9999-12-31T23:59:59-23:59", "253402387139", "the last that can be"),
    ("2024-02-29", "1709164800", "a leap day"),
    ("1795515330", "1795515330", "epoch seconds"),
    ("-1.5", "-1.5", "epoch seconds before 1970"),
    ("2026", "2026", "a year alone is a number"),
    ("20261124", "20261124", "a date without hyphens is a number"),
    ("20261124T101530Z", None, "nor is it a date with a time"),
    ("2026-11-24T101530Z", None, "a time without colons"),
    ("2026-11-24T10Z", None, "an hour alone"),
    ("2026-11-24T10:15:30,5Z", None, "a comma"),
    ("2026-11-24T10:15:30.Z", None, "a point and nothing after it"),
    ("2026-11-24T10:15.5Z", None, "parts of a minute"),
    ("2026-11-24T10:15:30+0100", None, "a zone without colon"),
    ("2026-11-24T10:15:30+01", None, "a zone without minutes"),
    ("2026-11-24T10:15:30+01:00:30", None, "a zone with seconds"),
    ("2026-11-24T10:15:30+24:00", None, "no zone is a day away"),
    ("2026-11-24T24:00:00Z", None, "a day has no hour 24"),
    ("2026-11-24T10:60:00Z", None, "no minute 60"),
    ("2026-12-31T23:59:60Z", None, "no leap seconds"),
    ("2026-11-24_10:15:30Z", None, "another separator"),
    ("2026-11T10:15Z", None, "a time of a month"),
    ("2026-11-24Z", None, "a zone without time"),
    ("2026-W48-2", None, "a week"),
    ("2026-328", None, "a day of the year"),
    ("2026-02-29", None, "no such day"),
    ("2026-13", None, "no such month"),
    ("0000-01-01", None, "no such year"),
    ("\u0662026-11-24", None, "digits of another script"),
    ("soon", None, "no date"),
    ("", None, "nothing"),
]

OTHERS = [
    ("Bool", "true", "true", True, "equal"),
    ("Bool", True, "true", True, "JSON booleans are taken"),
    ("Bool", "TRUE", "true", True, "case does not count"),
    ("Bool", "false", "true", False, "different"),
    ("Bool", "false", ABSENT, False, "absent is not false"),
    ("BoolIfExists", "false", ABSENT, True, "IfExists holds when absent"),
    ("BinaryEquals", "QUJD", "QUJD", True, "the same bytes"),
    ("BinaryEquals", "QUJD", "QUJE", False, "other bytes"),
    ("IpAddress", "203.0.113.0/24", "203.0.113.9", True, "in the block"),
    ("IpAddress", "203.0.113.0/24", "203.0.114.9", False, "outside"),
    ("IpAddress", "203.0.113.9", "203.0.113.9", True, "one address is a block of one"),
    ("IpAddress", "203.0.113.77/24", "203.0.113.9", True, "host bits do not count"),
    ("IpAddress", "2001:db8::/32", "2001:db8::1", True, "IPv6"),
    ("IpAddress", "2001:db8::/32", "203.0.113.9", False, "other family"),
    ("IpAddress", "203.0.113.0/24", "not an address", False, "no address"),
    ("IpAddress", "203.0.113.0/24", ABSENT, False, "absent"),
    ("NotIpAddress", "203.0.113.0/24", "203.0.113.9", False, "in the block"),
    ("NotIpAddress", "203.0.113.0/24", "198.51.100.1", True, "outside"),
    ("NotIpAddress", "203.0.113.0/24", ABSENT, True, "negated, absent"),
    ("ArnEquals", ARN, ARN, True, "equal"),
    ("ArnEquals", "arn:aws:eks:*:111122223333:cluster/*", ARN, True, "ArnEquals takes wildcards, too"),
    ("ArnLike", "arn:aws:eks:*:cluster/*", ARN, False, "* never crosses a colon"),
    ("ArnLike", "arn:aws:eks:us-west-2:111122223333:*", ARN, True, "the last part is one part"),
    (
        "ArnLike",
        "arn:aws:logs:*:*:log-group:*",
        "arn:aws:logs:r:1:log-group:a:b",
        True,
        "colons of the last part",
    ),
    ("ArnLike", "arn:aws:eks:us-west-2:111122223333:cluster/My-*", ARN, False, "case counts"),
    ("ArnLike", "arn:aws:eks:*", ARN, False, "six parts are compared"),
    ("ArnNotLike", "arn:aws:eks:*", ARN, True, "six parts are compared"),
    ("ArnLike", "*", ARN, True, "missing parts are completed"),
    ("ArnLike", "arn:aws:eks:*:*:*", "no arn", False, "not an ARN"),
    ("ArnLike", ARN, ABSENT, False, "absent"),
    ("ArnNotEquals", ARN, ARN, False, "equal"),
    ("ArnNotLike", "arn:aws:eks:*:*:cluster/other", ARN, True, "no match"),
    ("ArnNotLike", ARN, ABSENT, True, "negated, absent"),
    ("Null", "true", ABSENT, True, "absent"),
    ("Null", "true", "a", False, "present"),
    ("Null", "false", "a", True, "present"),
    ("Null", "false", ABSENT, False, "absent"),
    ("Null", True, ABSENT, True, "JSON boolean"),
    ("Null", ["true", "false"], "a", True, "either"),
    ("StringEqualsIfExists", "a", ABSENT, True, "IfExists holds when absent"),
    ("StringEqualsIfExists", "a", "b", False, "present, so compared"),
    ("StringNotEqualsIfExists", "a", "a", False, "present, so compared"),
    ("ArnLikeIfExists", ARN, ABSENT, True, "IfExists holds when absent"),
    ("NumericLessThanIfExists", "10", "11", False, "present, so compared"),
    ("stringequals", "a", "a", True, "letter case of operators does not count"),
]

SETS = [
    ("ForAllValues:StringEquals", ["a", "b"], ("a",), True, "all are listed"),
    ("ForAllValues:StringEquals", ["a", "b"], ("a", "c"), False, "c is not listed"),
    ("ForAllValues:StringEquals", ["a"], ABSENT, True, "all of none"),
    ("ForAllValues:StringEquals", ["a"], ("",), True, "an empty value is no value"),
    ("ForAllValues:StringNotEquals", ["a"], ("b", "c"), True, "none is listed"),
    ("ForAllValues:StringNotEquals", ["a"], ("a", "c"), False, "a is listed"),
    ("ForAllValues:StringLike", ["k*"], ("k1", "k2"), True, "all match"),
    ("ForAnyValue:StringEquals", ["a", "b"], ("c", "b"), True, "b is listed"),
    ("ForAnyValue:StringEquals", ["a"], ("b", "c"), False, "none is listed"),
    ("ForAnyValue:StringEquals", ["a"], ABSENT, False, "any of none"),
    ("ForAnyValue:StringEquals", ["a"], ("",), False, "an empty value is no value"),
    ("ForAnyValue:StringNotEquals", ["a"], ("a", "b"), True, "b differs"),
    ("ForAnyValue:StringNotEquals", ["a"], ("a",), False, "nothing differs"),
    ("ForAnyValue:StringNotEquals", ["a"], ABSENT, False, "any of none, also negated"),
    ("ForAnyValue:StringEqualsIfExists", ["a"], ABSENT, True, "IfExists holds when absent"),
    ("ForAnyValue:ArnLike", ["arn:aws:eks:*:*:cluster/*"], (ARN,), True, "sets of ARNs"),
    ("ForAnyValue:IpAddress", ["203.0.113.0/24"], ("203.0.113.1", "198.51.100.1"), True, "sets of addresses"),
    ("StringEquals", ["a"], ("b", "a"), True, "without a set operator any value may match"),
    ("StringNotEquals", ["a"], ("b", "a"), False, "and negated none may"),
]


def case_id(case):
    operator, values, state, _, reason = case
    return f"{operator} {values} {state or 'absent'}: {reason}"


@pytest.mark.parametrize("case", STRINGS + NUMBERS_AND_DATES + OTHERS + SETS, ids=case_id)
def test_operator(case):
    operator, values, state, expected, _reason = case
    assert holds(operator, values, state) is expected


@pytest.mark.parametrize(("text", "seconds", "_reason"), DATES, ids=[repr(case[0]) for case in DATES])
def test_date(text, seconds, _reason):
    assert date(text) == (None if seconds is None else Decimal(seconds))


UNKNOWNS = [
    ("StringEquals", "a", UNKNOWN_VALUE, None, "any value is possible"),
    ("StringEqualsIfExists", "a", UNKNOWN_VALUE, None, "a value may be there and differ"),
    ("Null", "false", PRESENT, True, "certainly there, whatever it is"),
    ("Null", "true", PRESENT, False, "certainly there, whatever it is"),
    ("Null", "true", UNKNOWN_VALUE, None, "may be absent"),
    ("Null", ["true", "false"], UNKNOWN_VALUE, True, "either"),
    ("ArnLike", "arn:aws:eks:*:*:cluster/*", Unknown(choices=(ARN,)), None, "this ARN or absent"),
    ("ArnLike", "arn:aws:eks:*:*:nodegroup/*", Unknown(choices=(ARN,)), False, "neither matches"),
    ("ArnLikeIfExists", ARN, Unknown(choices=(ARN,)), True, "both match"),
    ("ArnLike", ARN, Unknown(may_be_absent=False, choices=(ARN,)), True, "the only choice"),
]


@pytest.mark.parametrize("case", UNKNOWNS, ids=case_id)
def test_unknown_key_is_not_absent(case):
    operator, values, state, expected, _reason = case
    assert holds(operator, values, state) is expected


VARIABLES = [
    ("StringEquals", "${aws:Other}", "a", ("a",), True, "the other key's value"),
    ("StringEquals", "${AWS:OTHER}", "a", ("a",), True, "key names are case-insensitive"),
    ("StringEquals", "${aws:Other}", "a", ("b",), False, "another value"),
    ("StringEquals", "${aws:Other}", "a", ABSENT, False, "no value equals nothing"),
    ("StringNotEquals", "${aws:Other}", "a", ABSENT, True, "and differs from everything"),
    ("StringEquals", "${aws:Other}", "a", ("a", "b"), False, "several values are no variable"),
    ("StringEquals", "${aws:Other, 'a'}", "a", ABSENT, True, "the default"),
    ("StringEquals", "${aws:Other, 'a'}", "a", ("b",), False, "a value comes before the default"),
    ("StringEquals", "${aws:Other, 'a'}", "a", ("a", "b"), False, "the default is not for several"),
    ("StringEquals", "x-${aws:Other}-y", "x-a-y", ("a",), True, "inside a text"),
    ("StringLike", "${aws:Other}/*", "a/b", ("a",), True, "beside a wildcard"),
    ("StringLike", "${aws:Other}", "ab", ("a*",), False, "a value's * is no wildcard"),
    ("StringLike", "${aws:Other}", "a*", ("a*",), True, "a value's * is itself"),
    ("StringLike", "a${*}", "a*", ABSENT, True, "${*} is the character"),
    ("StringLike", "a${*}", "ab", ABSENT, False, "${*} is the character"),
    ("StringLike", "a${?}${$}", "a?$", ABSENT, True, "${?} and ${$} are the characters"),
    ("StringEqualsIgnoreCase", "${aws:Other}", "A", ("a",), True, "case does not count"),
    ("ArnLike", "arn:aws:iam::${aws:Other}:role/*", "arn:aws:iam::1:role/r", ("1",), True, "in ARNs"),
    ("StringEquals", "${aws:Other}", "a", UNKNOWN_VALUE, None, "turns on the other key"),
    ("StringEquals", ["a", "${aws:Other}"], "a", UNKNOWN_VALUE, True, "the first value is enough"),
    ("NumericEquals", "${aws:Other}", "1", ("1",), False, "numbers take no variables"),
    ("StringEquals", "A${aws:Other}", "ab", UNKNOWN_VALUE, False, "case counts"),
    ("StringEqualsIgnoreCase", "A${aws:Other}", "ab", UNKNOWN_VALUE, None, "case does not count"),
    ("StringEquals", "${aws:Other", "${aws:Other", ABSENT, True, "not closed: text"),
    ("StringEquals", "${aws:Other, a}", "${aws:Other, a}", ABSENT, True, "no quotes: text"),
]


@pytest.mark.parametrize("case", VARIABLES, ids=lambda case: f"{case[0]} {case[1]}: {case[5]}")
def test_variable(case):
    operator, values, state, other, expected, _reason = case
    assert holds(operator, values, state, other=other) is expected


def test_long_lists_and_values_are_shortened() -> None:
    values = ("a" * 200, "b" * 201, *"cdef")
    assert describe_values(values[:5]) == f"'{'a' * 200}' or '{'b' * 197}...' or 'c' or 'd' or 'e'"
    assert describe_values(values).endswith(" or 'e' or 1 more")


def test_operator_without_family_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^the operator VersionEquals has no family$"):
        family("VersionEquals")
