# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""One line of a Condition block as a test with three answers: True, False, or None for unknown.

Sources: IAM User Guide, "IAM JSON policy elements: Condition operators" (negated operators and
IfExists hold when the key is absent) and "Set operators for multi-valued context keys"
(ForAllValues holds on no values, ForAnyValue does not).
"""

from __future__ import annotations

from collections.abc import Iterable

from .context import ABSENT, Context, State, Unknown
from .elements import Condition
from .operators import NEGATED, comparison, family, value_tokens
from .template import Variable


class Test:
    """A condition, prepared to be tested many times. Its answer is None when it turns on a key
    that is unknown."""

    __slots__ = (
        "_absent",
        "_compare",
        "_negated",
        "_nulls",
        "condition",
        "key",
        "variable_names",
        "variables",
    )

    def __init__(self, condition: Condition, variables: bool) -> None:
        self.condition = condition
        self.key = condition.key.lower()
        base = condition.base
        takes_variables = family(base) in ("String", "Arn")
        tokens = value_tokens(base, condition.values, variables) if takes_variables else ()
        self.variable_names = {
            token.key: token.name for value in tokens for token in value if isinstance(token, Variable)
        }
        self.variables = tuple(self.variable_names)
        self._negated = base in NEGATED
        self._nulls = frozenset(value.lower() for value in condition.values) if base == "Null" else None
        self._compare = comparison(base, condition.values, tokens)
        if self._nulls is not None:
            self._absent = "true" in self._nulls
        elif condition.if_exists or condition.quantifier == "ForAllValues":
            self._absent = True
        else:
            self._absent = self._negated and not condition.quantifier

    def holds(self, context: Context) -> bool | None:
        """Whether the condition holds for a request with these keys."""
        state = context.get(self.key)
        if isinstance(state, Unknown):
            return self._unknown(state, context)
        return self._known(state, context)

    def _known(self, values: tuple[str, ...], context: Context) -> bool | None:
        if not values:
            return self._absent
        if self._nulls is not None:
            return "false" in self._nulls
        quantifier = self.condition.quantifier
        if not quantifier:
            if len(values) == 1:
                answer = self._compare(values[0], context)
            else:
                answer = _any(self._compare(value, context) for value in values)
            return _not(answer) if self._negated else answer
        # A key whose only values are empty counts as no values for the set operators.
        each = [self._each(value, context) for value in values if value]
        return _any(each) if quantifier == "ForAnyValue" else _all(each)

    def _each(self, value: str, context: Context) -> bool | None:
        answer = self._compare(value, context)
        return _not(answer) if self._negated else answer

    def _unknown(self, state: Unknown, context: Context) -> bool | None:
        if self._nulls is not None and not state.may_be_absent:
            return "false" in self._nulls
        if state.choices is None:
            return None
        cases: list[State] = [(choice,) for choice in state.choices]
        if state.may_be_absent:
            cases.append(ABSENT)
        answers = {
            self._known(case, context.assume({self.key: case})) for case in cases if isinstance(case, tuple)
        }
        return answers.pop() if len(answers) == 1 else None


def _not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _any(answers: Iterable[bool | None]) -> bool | None:
    result: bool | None = False
    for answer in answers:
        if answer:
            return True
        if answer is None:
            result = None
    return result


def _all(answers: Iterable[bool | None]) -> bool | None:
    result: bool | None = True
    for answer in answers:
        if answer is False:
            return False
        if answer is None:
            result = None
    return result
