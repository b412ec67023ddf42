# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""One request with the statements that speak of it, to be answered for any values of the keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..language.context import Context, Unknown
from ..language.template import variable_keys
from .rules import Request, Rule


@dataclass(frozen=True, slots=True)
class Question:
    """``denies`` from every layer; ``allows`` by layer name."""

    request: Request
    denies: tuple[Rule, ...]
    allows: tuple[tuple[str, tuple[Rule, ...]], ...]

    def allowed(self, context: Context) -> bool | None:
        """Allowed, denied, or None when unknown keys might decide.

        True and False are certain; None may still turn out to be always the same.
        """
        request = self.request
        answer: bool | None = True
        for rule in self.denies:
            applies = rule.applies(request, context)
            if applies:
                return False
            if applies is None:
                answer = None
        for _name, rules in self.allows:
            best: bool | None = False
            for rule in rules:
                applies = rule.applies(request, context)
                if applies:
                    best = True
                    break
                if applies is None:
                    best = None
            if best is False:
                return False
            if best is None:
                answer = None
        return answer

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every statement that speaks of the request."""
        return (*self.denies, *(rule for _name, rules in self.allows for rule in rules))

    @property
    def weight(self) -> int:
        """How much work one answer is."""
        return sum(rule.weight for rule in self.rules)

    def turning_keys(self, context: Context) -> Iterator[str]:
        """The unknown keys that keep a statement's answer open, as the policy refers to them, in lower case."""
        for rule in self.rules:
            if rule.applies(self.request, context) is not None:
                continue
            for test in rule.tests:
                if test.holds(context) is None:
                    yield from _unknown((test.key, *test.variables), context)
            if rule.means_resource(self.request, context) is None:
                for value in rule.open_resources:
                    yield from _unknown(variable_keys(value.tokens), context)

    def open_points(self, context: Context) -> Iterator[object]:
        """What is open although every key that matters has a value or stands for many."""
        for rule in self.rules:
            if rule.applies(self.request, context) is not None:
                continue
            for test in rule.tests:
                if test.holds(context) is None:
                    yield test.question(context)[0]
            if rule.means_resource(self.request, context) is None:
                yield rule.resource_question(self.request)

    def open_part(self, context: Context) -> Question:
        """Return the same question without what is certain in this context, and therefore in each completion of it."""

        def parts(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
            found = (rule.open_part(self.request, context) for rule in rules)
            return tuple(rule for rule in found if rule is not None)

        allows = tuple((name, parts(rules)) for name, rules in self.allows)
        return Question(self.request, parts(self.denies), allows)

    def without(self, rules: frozenset[Rule]) -> Question:
        """The same question, were these statements not there."""
        if not rules:
            return self
        denies = tuple(rule for rule in self.denies if rule not in rules)
        allows = tuple((name, tuple(r for r in each if r not in rules)) for name, each in self.allows)
        return Question(self.request, denies, allows)

    def same_as(self, other: Question) -> bool:
        """Whether the same statements speak of both, and none of a resource, so that the answers are the same."""
        return self.denies == other.denies and self.allows == other.allows and self.request.resource is None

    def without_denies(self) -> Question:
        """The same question, were there no Deny."""
        return Question(self.request, (), self.allows)


def _unknown(keys: tuple[str, ...], context: Context) -> Iterator[str]:
    for key in keys:
        if isinstance(context.get(key), Unknown):
            yield key
