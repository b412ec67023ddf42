# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Decide whether an open answer really depends on unknown keys, and on which.

Two walks, both over the kinds of values that each unknown key can have:

* One gives the keys values, and looks for a completion that allows and one that denies. Where every
  kind was tried, and one value of a kind is as good as another, that is a proof as well.
* Values are not as good as each other where one key is compared with another. The second walk then
  leaves them open, and takes both results of such a comparison for possible. What is the same at
  every end of it is proven.

What neither walk settles within the budget stays conditional, and is marked undecided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..language.context import Context, KeyState, Part, Some, Unknown
from ..language.match import Variable
from ..language.words import Budget
from .asked import Asked, Values, home
from .keys import EPOCH, TagLinks, same_moment, tag_links
from .rules import Answer, Question, Request, Rule, Witness
from .values import values_of

# Steps for statements that never apply, for the walk over values, for that over kinds, and for naming the keys.
RULE_STEPS, VALUE_STEPS, KIND_STEPS, KEY_STEPS = 800, 2_000, 1_600, 500
_MAX_LEAVES = 24


def explore(
    questions: Sequence[Question], context: Context, memo: dict[object, Values] | None = None
) -> tuple[Answer, ...]:
    """Answer the questions for every completion of the unknown keys: each, and last all together.

    :arg memo: keeps what was found of the policy, for the next question about the same statements.
    """
    names = _spelling(questions)
    context = same_moment(context, names)
    questions = whole = tuple(question.open_part(context) for question in questions)
    links = tag_links((question.request for question in questions), context, names)
    asked = Asked(questions, context, links, {} if memo is None else memo)
    budget = Budget(RULE_STEPS)
    questions = tuple(question.without(_dead(question, context, asked, budget)) for question in questions)
    if all(question is original for question, original in zip(questions, whole, strict=True)):
        whole = questions
    walk = _Walk(questions, context, asked, Budget(VALUE_STEPS), links, hold=False)
    walk.run()
    proven = walk.proven()
    if None in proven and not walk.settled():
        kinds = _Walk(questions, context, asked, Budget(KIND_STEPS), links, hold=True)
        kinds.run()
        proven = tuple(
            by_value if by_value is not None else by_kind
            for by_value, by_kind in zip(proven, kinds.proven(), strict=True)
        )
    if len(questions) == 1:
        # The question alone, and all together.
        return (_answer(0, proven[0], walk, whole, names),) * 2
    return tuple(_answer(at, value, walk, whole, names) for at, value in enumerate(proven))


def _dead(question: Question, context: Context, asked: Asked, budget: Budget) -> frozenset[Rule]:
    """Statements that never apply, as no value of some key meets all that they ask."""
    return frozenset(
        rule
        for rule in question.rules
        if rule.applies(question.request, context) is None
        and any(
            _excluded(rule, question.request, key, context, asked, budget)
            for key in dict.fromkeys(home(name, context)[0] for name in rule.often)
            if isinstance(context.get(key), Unknown)
        )
    )


def _excluded(rule: Rule, request: Request, key: str, context: Context, asked: Asked, budget: Budget) -> bool:
    """Whether a statement does not apply for any value of a key."""
    values = values_of(key, asked, context, budget)
    if not values.complete:
        return False
    for state in values.states:
        if not budget.spend(1 + rule.weight // 2):
            return False
        completed = context.assume({key: state})
        if rule.applies(request, completed) is not False and not (
            isinstance(state, Unknown) and _excluded(rule, request, key, completed, asked, budget)
        ):
            return False
    return True


def _answer(
    at: int, proven: bool | None, walk: _Walk, whole: Sequence[Question], names: Mapping[str, str]
) -> Answer:
    if proven is not None:
        return Answer(proven)
    allowed, denied = walk.witness(at, True, whole, names), walk.witness(at, False, whole, names)
    return Answer(None, walk.keys(at, names), allowed, denied, allowed is None or denied is None)


def _answers(questions: Sequence[Question], context: Context) -> tuple[bool | None, ...]:
    each = tuple(question.allowed(context) for question in questions)
    return (*each, False if False in each else None if None in each else True)


@dataclass(slots=True)
class _Walk:
    """``hold``: a value that stands for many is left open in comparisons with other keys."""

    questions: Sequence[Question]
    context: Context
    asked: Asked
    budget: Budget
    links: TagLinks
    hold: bool
    weight: int = 0
    first: tuple[bool | None, ...] = ()
    seen: list[set[bool]] = field(default_factory=list)
    leaves: list[tuple[dict[str, KeyState | Part], tuple[bool | None, ...]]] = field(default_factory=list)
    tried: dict[str, tuple[KeyState | Part, ...]] = field(default_factory=dict)
    order: dict[str, None] = field(default_factory=dict)
    opaque: set[str] = field(default_factory=set)
    exact: bool = True

    def run(self) -> None:
        self.weight = 1 + sum(question.weight for question in self.questions) // 2 + len(self.asked.open)
        self.first = self.answers(self.context)
        self.seen = [set() if answer is None else {answer} for answer in self.first]
        self.order = dict.fromkeys(self.turning(self.context, [len(self.questions)]))
        self.step(self.context, {})

    def answers(self, context: Context) -> tuple[bool | None, ...]:
        return _answers(self.questions, context)

    def settled(self) -> bool:
        """Whether both outcomes were found wherever the answer is open."""
        return all(
            answer is not None or len(seen) == 2 for answer, seen in zip(self.first, self.seen, strict=True)
        )

    def proven(self) -> tuple[bool | None, ...]:
        """What is the same for every completion."""
        whole = self.exact and self.budget.left >= 0
        return tuple(
            answer if answer is not None else next(iter(seen)) if whole and len(seen) == 1 else None
            for answer, seen in zip(self.first, self.seen, strict=True)
        )

    def step(self, context: Context, given: dict[str, KeyState | Part]) -> None:
        if not self.budget.spend(self.weight):
            return
        answers = self.answers(context)
        open_ones = [
            at
            for at, answer in enumerate(answers)
            if answer is None and self.first[at] is None and len(self.seen[at]) < 2
        ]
        self.record(given, answers)
        if not open_ones or self.settled():
            return
        key = self.next_key(context, open_ones)
        if key is not None:
            self.branch(key, context, given)
            return
        point = next((point for question in self.questions for point in question.open_points(context)), None)
        if point is None or not self.hold:
            self.exact = False
            return
        for answer in (True, False):
            self.step(context.decide(point, answer), given)

    def branch(self, key: str, context: Context, given: dict[str, KeyState | Part]) -> None:
        values = values_of(key, self.asked, context, self.budget)
        if not values.complete and self.hold:
            # Nothing is known of the key: what its conditions say is taken for possible either way.
            self.opaque.add(key)
            self.step(context, given)
            self.opaque.discard(key)
            return
        self.exact = self.exact and values.complete
        self.tried[key] = tuple(dict.fromkeys([*self.tried.get(key, ()), *values.states]))
        for state in values.states:
            if isinstance(state, Some) and not self.hold:
                self.exact = False
                state = state.values
            if self.budget.left < 0 or self.settled():
                return
            completed = context.assume({key: state})
            if not self.links.tags or self.links.possible(completed):
                self.step(completed, {**given, key: state})

    def next_key(self, context: Context, open_ones: Sequence[int]) -> str | None:
        """The next key to give a value: one that others are compared with before those, so that what they
        are compared with is known."""
        fallback = None
        for key in self.turning(context, open_ones):
            root = context.canonical(key)
            self.order.setdefault(key)
            if root in self.opaque:
                continue
            if fallback is None:
                fallback = root
            if not self.waits(root, context):
                return root
        return fallback

    def turning(self, context: Context, open_ones: Sequence[int]) -> Iterator[str]:
        asked = (
            self.questions if len(self.questions) in open_ones else [self.questions[at] for at in open_ones]
        )
        for question in asked:
            yield from question.turning_keys(context)

    def waits(self, root: str, context: Context) -> bool:
        """Whether a condition on the key has a variable that is still unknown."""
        return any(
            isinstance(context.get(name), Unknown) and home(name, context)[0] != root
            for test, _extract in self.asked.tests.get(root, ())
            for name in test.variables
            if home(name, context)[0] not in self.opaque
        )

    def record(self, given: dict[str, KeyState | Part], answers: tuple[bool | None, ...]) -> None:
        new = False
        for at, answer in enumerate(answers):
            if answer is not None and answer not in self.seen[at]:
                self.seen[at].add(answer)
                new = True
        if new or (len(self.leaves) < _MAX_LEAVES and None not in answers):
            self.leaves.append((given, answers))

    def witness(
        self, at: int, answer: bool, whole: Sequence[Question], names: Mapping[str, str]
    ) -> Witness | None:
        """A completion with this answer, by the names of the policy; checked by evaluating all statements, also
        those that never apply: a key of theirs may be linked with one that is given a value."""
        for given, answers in self.leaves:
            if answers[at] is not answer:
                continue
            if (
                whole is self.questions
                and all(key in names and isinstance(state, tuple) for key, state in given.items())
                and EPOCH not in names
            ):
                # Evaluated as it is.
                return {names[key]: state for key, state in given.items() if isinstance(state, tuple)}
            completed = self.filled(self.context.assume(given), given)
            states: dict[str, tuple[str, ...]] = {}
            for key in names:
                state = completed.get(key)
                if isinstance(self.context.get(key), Unknown) and isinstance(state, tuple):
                    states[key] = state
            if _answers(whole, self.context.assume(states))[at] is answer:
                return {names[key]: state for key, state in states.items()}
        return None

    def filled(self, context: Context, given: dict[str, KeyState | Part]) -> Context:
        """With a value for each key of which only is said that it is there."""
        for key, state in given.items():
            if isinstance(state, Unknown):
                for each in values_of(key, self.asked, context, Budget(KEY_STEPS)).states:
                    completed = context.assume({key: each.values if isinstance(each, Some) else each})
                    if self.links.possible(completed):
                        context = completed
                        break
        return context

    def keys(self, at: int, names: Mapping[str, str]) -> tuple[str, ...]:
        """The keys that alone can turn this answer, somewhere among the completions found; all that keep it open
        when there is no time to tell."""
        if len(self.order) == 1:
            return tuple(names.get(key, key) for key in self.order)
        pivots: set[str] = set()
        budget = Budget(KEY_STEPS)
        for given, answers in self.leaves:
            for key in given:
                if key in pivots or answers[at] is None:
                    continue
                for state in self.tried.get(key, ()):
                    if not budget.spend(self.weight):
                        break
                    if isinstance(state, Unknown):
                        continue
                    value = state.values if isinstance(state, Some) else state
                    turned = self.context.assume({**given, key: value})
                    other = self.answers(turned)[at]
                    if self.links.possible(turned) and other is not None and other is not answers[at]:
                        pivots.add(key)
                        break
        if not pivots or budget.left < 0:
            pivots = {home(key, self.context)[0] for key in self.order}
        named: dict[tuple[object, ...], str] = {}
        for key in self.order:
            place = home(key, self.context)
            if key in pivots or place[0] in pivots:
                named.setdefault(place, names.get(key, key))
        return tuple(named.values())


def _spelling(questions: Sequence[Question]) -> dict[str, str]:
    """Condition keys as the policy writes them."""
    names: dict[str, str] = {}
    for question in questions:
        for rule in question.rules:
            for value in rule.open_resources:
                names.update((t.key, t.name) for t in value.tokens if isinstance(t, Variable))
            for test in rule.tests:
                names.update(test.variable_names)
    for question in questions:
        for rule in question.rules:
            names.update((test.key, test.condition.key) for test in rule.tests)
    return names
