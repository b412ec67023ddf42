# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Evaluate the conditions of statements, and describe them in messages.

Sources: IAM User Guide, "IAM JSON policy elements: Condition operators" (negated operators and IfExists hold if the key is
absent) and "Set operators for multi-valued context keys" (without values, ForAllValues holds and ForAnyValue does not).
"""

from __future__ import annotations

from collections.abc import Iterable

from .automata import Language
from .context import ABSENT, Context, KeyState, Representative, Unknown
from .document import Condition
from .match import Variable, Wild, resolve
from .operators import NEGATED, OpenValue, comparison, family, language, value_tokens


class Test:
    """A condition, compiled for repeated evaluation."""

    __slots__ = (
        "_absent",
        "_closed",
        "_compare",
        "_language",
        "_negated",
        "_nulls",
        "_same",
        "condition",
        "key",
        "length",
        "open_values",
        "variable_names",
        "variables",
    )

    def __init__(self, condition: Condition, variables: bool) -> None:
        self.condition = condition
        # The number of characters in the values, for the cost of the property ``language``.
        self.length = sum(map(len, condition.values))
        self.key = condition.key.lower()
        base = condition.base
        takes_variables = family(base) in ("String", "Arn")
        tokens = value_tokens(base, condition.values, variables) if takes_variables else ()
        self.variable_names = {
            token.key: token.name for value in tokens for token in value if isinstance(token, Variable)
        }
        self.variables = tuple(self.variable_names)
        closed = tuple(v for v in tokens if not any(isinstance(token, Variable) for token in v))
        opened = [v for v in tokens if any(isinstance(token, Variable) for token in v)]
        self.open_values = tuple(OpenValue(v, base) for v in opened)
        self._negated = base in NEGATED
        self._nulls = frozenset(value.lower() for value in condition.values) if base == "Null" else None
        self._closed = closed
        self._compare = comparison(base, condition.values, closed)
        self._language: Language | None = None
        # For a condition such as StringEquals with the single value "${aws:username}": the key of that variable.
        self._same = (
            opened[0][0].key
            if len(tokens) == 1
            and opened
            and len(opened[0]) == 1
            and isinstance(opened[0][0], Variable)
            and family(base) == "String"
            and "IgnoreCase" not in base
            and not condition.quantifier
            else None
        )
        if self._nulls is not None:
            self._absent = "true" in self._nulls
        elif condition.if_exists or condition.quantifier == "ForAllValues":
            self._absent = True
        else:
            self._absent = self._negated and not condition.quantifier

    @property
    def language(self) -> Language | None:
        """Return the texts that match a policy value without variables, or None if the condition does not compare text."""
        if self._language is None:
            self._language = language(self.condition.base, self.condition.values, self._closed)
        return self._language

    @property
    def reads_text(self) -> bool:
        """Return whether the condition compares text, so that it has a ``language``."""
        return family(self.condition.base) in ("String", "Arn", "Bool")

    @property
    def weight(self) -> int:
        """Return the cost of one evaluation in steps (see ``Budget``): about one step for each value that is compared."""
        looked_up = "Equals" in self.condition.base and not self.condition.base.startswith("Arn")
        return 1 + len(self.open_values) + (0 if looked_up else len(self.condition.values))

    @property
    def presence(self) -> bool:
        """Return whether the condition has the operator Null, which tests only whether the key is present."""
        return self._nulls is not None

    def matches(self, value: str) -> bool:
        """Return whether a value of the key matches a policy value without variables.

        Negation is not considered: StringNotEquals has the same result as StringEquals.
        """
        return self._nulls is None and self._compare(value)

    def holds(self, context: Context) -> bool | None:
        """Return whether the condition is true for a request, or None if that depends on keys with unknown values."""
        state = context.get(self.key)
        if isinstance(state, tuple):
            answer = self._known(state, context, None)
        elif isinstance(state, Representative):
            answer = self._known(state.values, context, state)
        else:
            answer = self._unknown(state, context)
        if answer is None and context.decided:
            question, negated = self.question(context)
            assumed = context.decided.get(question)
            return assumed if assumed is None or not negated else not assumed
        return answer

    def question(self, context: Context) -> tuple[object, bool]:
        """Return an identifier of the undecided comparison, and whether the condition negates its result.

        A condition and its negation, such as StringEquals and StringNotEquals, have the same identifier. So a search that
        assumes a result for one of them also decides the other.
        """
        if self._same is not None and self._single(self.key, context) and self._single(self._same, context):
            return ("same", frozenset({context.root(self.key), context.root(self._same)})), self._negated
        condition = self.condition
        negated = self._negated and not condition.quantifier
        base = condition.base.replace("Not", "", 1) if negated else condition.base
        # Conditions that treat an absent key differently, or that have other variables, are different comparisons.
        absent = self._absent is not negated
        return (
            condition.quantifier,
            base,
            context.root(self.key),
            condition.values,
            absent,
            self.variables,
        ), negated

    @staticmethod
    def _single(key: str, context: Context) -> bool:
        state = context.get(key)
        values = state if isinstance(state, tuple) else () if isinstance(state, Unknown) else state.values
        return len(values) == 1

    def _known(
        self, values: tuple[str, ...], context: Context, representative: Representative | None
    ) -> bool | None:
        if not values:
            return self._absent
        if self._nulls is not None:
            return "false" in self._nulls
        quantifier = self.condition.quantifier
        if not quantifier:
            if len(values) == 1:
                answer = self._match(values[0], context, representative)
            else:
                answer = _any(self._match(value, context, representative) for value in values)
            return _not(answer) if self._negated else answer
        # ForAllValues and ForAnyValue ignore empty values.
        results = [self._test_value(value, context, representative) for value in values if value]
        return _any(results) if quantifier == "ForAnyValue" else _all(results)

    def _test_value(self, value: str, context: Context, representative: Representative | None) -> bool | None:
        answer = self._match(value, context, representative)
        return _not(answer) if self._negated else answer

    def _match(self, value: str, context: Context, representative: Representative | None) -> bool | None:
        if self._compare(value):
            return True
        if not self.open_values:
            return False
        return _any(self._match_open(pattern, value, context, representative) for pattern in self.open_values)

    def _match_open(
        self, pattern: OpenValue, value: str, context: Context, representative: Representative | None
    ) -> bool | None:
        if representative is None or pattern in representative.exact:
            return pattern.matches(value, context)
        if not pattern.may_match(value) or isinstance(resolve(pattern.tokens, context, pattern), bool):
            return False
        variables = [token for token in pattern.tokens if isinstance(token, Variable)]
        root = context.root(self.key)
        if len(representative.values) > 1:
            return False if any(context.root(token.key) == root for token in variables) else None
        if any(context.root(token.key) != root for token in variables) or pattern.arn or not value:
            return None
        # The key is compared with its own value, so the comparison holds unless the pattern requires additional characters.
        return len(variables) == 1 and not any(
            token for token in pattern.tokens if token is not Wild.ANY and not isinstance(token, Variable)
        )

    def _unknown(self, state: Unknown, context: Context) -> bool | None:
        if self._nulls is not None:
            return (
                "false" in self._nulls if not state.may_be_absent else True if len(self._nulls) == 2 else None
            )
        if state.choices is None:
            return None
        cases: list[KeyState] = [(choice,) for choice in state.choices]
        if state.may_be_absent:
            cases.append(ABSENT)
        answers = {
            self._known(case, context.assume({self.key: case}), None)
            for case in cases
            if isinstance(case, tuple)
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
