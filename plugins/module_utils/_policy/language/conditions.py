# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evaluate the conditions of statements, and describe them in messages.

Sources: IAM User Guide, "IAM JSON policy elements: Condition operators" (negated operators and IfExists hold if the key is
absent) and "Set operators for multi-valued context keys" (without values, ForAllValues holds and ForAnyValue does not).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .context import Context, Unknown
from .document import Condition
from .match import Cover, policy_variables
from .operators import NEGATED, OpenValue, comparison, compile_values, family, pattern_cover, value_tokens

# The condition keys that may have several values in one request. Source: IAM User Guide, "AWS global condition context keys".
_MULTIVALUED = frozenset(
    {
        "aws:calledvia",
        "aws:principalorgpaths",
        "aws:principalservicenameslist",
        "aws:resourceorgpaths",
        "aws:sourceorgpaths",
        "aws:tagkeys",
        "aws:vpceorgpaths",
        "sts:identitytokenaudience",
        "sts:requestcontextproviders",
        "sts:transitivetagkeys",
    }
)


_ANSWERS: Mapping[Cover, bool | None] = {Cover.NONE: False, Cover.SOME: None, Cover.ALL: True}


class Test:
    """A condition, compiled for repeated evaluation.

    ``_absent`` is the result if the key is absent. ``_closed`` are the values without policy variables, ``open_values`` the other
    ones. ``_nulls`` are the values of the operator Null, and None for other operators.
    """

    __slots__ = (
        "_absent",
        "_closed",
        "_compare",
        "_negated",
        "_nulls",
        "condition",
        "key",
        "open_values",
        "variable_names",
    )

    def __init__(self, condition: Condition, variables: bool) -> None:
        self.condition = condition
        self.key = condition.key.lower()
        base = condition.base
        takes_variables = family(base) in ("String", "Arn")
        tokens = value_tokens(base, condition.values, variables) if takes_variables else ()
        opened = tuple(value for value in tokens if policy_variables(value))
        self.variable_names = {
            variable.key: variable.name for value in opened for variable in policy_variables(value)
        }
        self._closed = compile_values(base, (value for value in tokens if not policy_variables(value)))
        self.open_values = tuple(OpenValue(value, base) for value in opened)
        self._negated = base in NEGATED
        self._nulls = frozenset(value.lower() for value in condition.values) if base == "Null" else None
        self._compare = comparison(base, condition.values)
        if self._nulls is not None:
            self._absent = "true" in self._nulls
        elif condition.if_exists or condition.quantifier == "ForAllValues":
            self._absent = True
        else:
            self._absent = self._negated and not condition.quantifier

    @property
    def required_values(self) -> tuple[str, ...]:
        """Return the values of which the key must have one, or an empty tuple if the condition does not list all of them."""
        condition = self.condition
        is_listed = condition.base in ("StringEquals", "ArnEquals") and not self.open_values
        is_single = self.key.startswith(("aws:", "sts:")) and self.key not in _MULTIVALUED
        if not is_listed or not is_single or condition.if_exists or condition.quantifier:
            return ()
        literal = condition.base == "StringEquals" or not any(
            sign in value for value in condition.values for sign in "*?"
        )
        return condition.values if literal else ()

    def holds(self, context: Context) -> bool | None:
        """Return whether the condition is true for a request, or None if that depends on keys with unknown values."""
        state = context.get(self.key)
        return (
            self._judge_unknown(state, context)
            if isinstance(state, Unknown)
            else self._judge_known(state, context)
        )

    def _judge_known(self, values: tuple[str, ...], context: Context) -> bool | None:
        if not values:
            return self._absent
        if self._nulls is not None:
            return "false" in self._nulls
        quantifier = self.condition.quantifier
        if not quantifier:
            answer = _or(self._match(value, context) for value in values)
            return _not(answer) if self._negated else answer
        # ForAllValues and ForAnyValue ignore empty values.
        answers = [self._match(value, context) for value in values if value]
        results = map(_not, answers) if self._negated else answers
        return _or(results) if quantifier == "ForAnyValue" else _not(_or(map(_not, results)))

    def _match(self, value: str, context: Context) -> bool | None:
        return self._compare(value) if self._compare else _ANSWERS[self._cover(value, False, context)]

    def _cover(self, text: str, wild: bool, context: Context) -> Cover:
        cover = pattern_cover(self.condition.base, self._closed, text, wild)
        return max((cover, *(value.cover(text, wild, context) for value in self.open_values)))

    def _judge_unknown(self, state: Unknown, context: Context) -> bool | None:
        answers: set[bool | None]
        if self._nulls is not None:
            answers = {"false" in self._nulls}
        elif state.choices is not None:
            answers = {self._judge_known((choice,), context) for choice in state.choices}
        else:
            answers = {self._judge_pattern(state.pattern, context)}
        if state.may_be_absent:
            answers.add(self._absent)
        return answers.pop() if len(answers) == 1 else None

    def _judge_pattern(self, pattern: str, context: Context) -> bool | None:
        """Return the result if it is the same for all values that match a pattern, otherwise None."""
        if self.condition.quantifier and not pattern.strip("*"):
            # The value may be empty, and the quantifiers ignore empty values.
            return None
        answer = _ANSWERS[self._cover(pattern, True, context)]
        return _not(answer) if self._negated else answer


def _not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _or(answers: Iterable[bool | None]) -> bool | None:
    values = set(answers)
    return True if True in values else None if None in values else False


_SHOWN = 5


def describe_values(values: tuple[str, ...]) -> str:
    """Describe values for a message: the first five and the number of the others, or "nothing" if there are none."""
    if not values:
        return "nothing"
    quoted = [repr(value if len(value) <= 200 else value[:197] + "...") for value in values[:_SHOWN]]
    more = len(values) - len(quoted)
    return " or ".join(quoted) + (f" or {more} more" if more > 0 else "")


def describe_action(action: str) -> str:
    """Return an action for a message. It is quoted if it has a character other than the visible ASCII characters."""
    return action if all("!" <= character <= "~" for character in action) else repr(action)


def describe_condition(condition: Condition) -> str:
    """Describe a condition for a message by its operator, key and values."""
    return f"{condition.operator} {condition.key} {describe_values(condition.values)}"


def describe_actual(key: str, context: Context) -> str:
    """Describe the state of a condition key for a message: its values, "an unknown value" or "no such key"."""
    state = context.get(key.lower())
    if isinstance(state, Unknown) and state.choices:
        choices = " or ".join(repr(choice) for choice in state.choices)
        return f"{choices}, or no such key" if state.may_be_absent else choices
    if not isinstance(state, tuple):
        return "an unknown value"
    if not state:
        return "no such key"
    return " and ".join(repr(value) for value in state)
