# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find out whether the outcome of a request depends on unknown condition keys, and on which of them.

The values of a key are divided into kinds (see values.py): all values of a kind have the same result in every condition
that compares the key with constants. Two searches try the kinds of each unknown key:

* The first search evaluates one value of each kind. It looks for values that allow the request and values that deny it. If it
  has tried every kind and found only one outcome, that outcome is proven.
* If two keys are compared with each other, values of one kind may have different results, so the first search does not prove
  the outcome. The second search does not choose values for such keys, but assumes both results of each comparison in turn. If
  the outcome is always the same, it is proven.

Each search stops after a limited number of steps, its budget. If no outcome is proven, the answer is conditional. It is marked as
undecided unless there are values for both outcomes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..language.automata import Budget
from ..language.context import Context, KeyState, Part, Representative, Unknown
from ..language.match import Variable
from .comparisons import Comparisons, Values, home
from .keys import EPOCH, TagLinks, same_moment, tag_links
from .rules import Answer, Question, Request, Rule, Witness
from .values import possible_values

# The budgets in steps: to find statements that can never apply, for the first search, for the second search, and to find
# the keys on which the outcome depends.
RULE_STEPS, VALUE_STEPS, KIND_STEPS, KEY_STEPS = 800, 2_000, 1_600, 500
# A search records this number of combinations of values with their outcomes. Then it records only those with a new outcome.
_MAX_LEAVES = 24


def explore(
    questions: Sequence[Question], context: Context, memo: dict[object, Values] | None = None
) -> tuple[Answer, ...]:
    """Find out for each question whether all, some or no values of the unknown keys allow the request.

    :arg memo: a cache of the possible values of keys. Reuse it for further questions about the same statements.
    :returns: the answer to each question, and as the last item the answer to the question whether the same values of the keys
        allow all requests.
    """
    spelling = _spelling(questions)
    context = same_moment(context, spelling)
    questions = original_questions = tuple(question.undecided_part(context) for question in questions)
    links = tag_links((question.request for question in questions), context, spelling)
    comparisons = Comparisons(questions, context, links, {} if memo is None else memo)
    budget = Budget(RULE_STEPS)
    questions = tuple(
        question.excluding(_dead(question, context, comparisons, budget)) for question in questions
    )
    if all(question is unchanged for question, unchanged in zip(questions, original_questions, strict=True)):
        original_questions = questions
    walk = _Walk(questions, context, comparisons, Budget(VALUE_STEPS), links, hold=False)
    walk.run()
    proven = walk.proven()
    if None in proven and not walk.settled():
        kinds = _Walk(questions, context, comparisons, Budget(KIND_STEPS), links, hold=True)
        kinds.run()
        proven = tuple(
            by_value if by_value is not None else by_kind
            for by_value, by_kind in zip(proven, kinds.proven(), strict=True)
        )
    if len(questions) == 1:
        # With one question, the answer for all requests together is the answer to this question.
        return (_answer(0, proven[0], walk, original_questions, spelling),) * 2
    return tuple(
        _answer(index, value, walk, original_questions, spelling) for index, value in enumerate(proven)
    )


def _dead(question: Question, context: Context, comparisons: Comparisons, budget: Budget) -> frozenset[Rule]:
    """Return the statements that can never apply: for one of their keys, no value meets all conditions of the statement."""
    return frozenset(
        rule
        for rule in question.rules
        if rule.applies(question.request, context) is None
        and any(
            _excluded(rule, question.request, key, context, comparisons, budget)
            for key in dict.fromkeys(home(name, context)[0] for name in rule.joint_keys)
            if isinstance(context.get(key), Unknown)
        )
    )


def _excluded(
    rule: Rule, request: Request, key: str, context: Context, comparisons: Comparisons, budget: Budget
) -> bool:
    """Return whether a statement certainly does not apply, whatever value a key has."""
    values = possible_values(key, comparisons, context, budget)
    if not values.complete:
        return False
    for state in values.states:
        if not budget.spend(1 + rule.weight // 2):
            return False
        completed = context.assume({key: state})
        if rule.applies(request, completed) is not False and not (
            isinstance(state, Unknown) and _excluded(rule, request, key, completed, comparisons, budget)
        ):
            return False
    return True


def _answer(
    index: int, proven: bool | None, walk: _Walk, whole: Sequence[Question], names: Mapping[str, str]
) -> Answer:
    if proven is not None:
        return Answer(proven)
    allowed, denied = walk.witness(index, True, whole, names), walk.witness(index, False, whole, names)
    return Answer(None, walk.keys(index, names), allowed, denied, allowed is None or denied is None)


def _answers(questions: Sequence[Question], context: Context) -> tuple[bool | None, ...]:
    answers = tuple(question.allowed(context) for question in questions)
    return (*answers, False if False in answers else None if None in answers else True)


@dataclass(slots=True)
class _Walk:
    """A depth-first search over the values of the unknown keys.

    ``hold`` selects the second search, which assumes both results of a comparison of two keys instead of choosing values for
    them. ``weight`` is the number of steps that one evaluation costs. Outcomes have the order of the questions, followed by the
    outcome of the question whether all requests are allowed together.

    * ``first`` has the outcomes before any value is chosen.
    * ``seen`` has the different outcomes of each question.
    * ``leaves`` has combinations of values with their outcomes.
    * ``tried`` has the values that were tried for each key.
    * ``order`` has all keys on which an outcome may depend.
    * ``opaque`` has the keys for which the second search does not choose values.
    * ``exact`` becomes False if the search skips values; then the search does not prove the outcome.
    """

    questions: Sequence[Question]
    context: Context
    comparisons: Comparisons
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
        self.weight = (
            1 + sum(question.weight for question in self.questions) // 2 + len(self.comparisons.open)
        )
        self.first = self.answers(self.context)
        self.seen = [set() if answer is None else {answer} for answer in self.first]
        self.order = dict.fromkeys(self.unknown_keys(self.context, [len(self.questions)]))
        self.step(self.context, {})

    def answers(self, context: Context) -> tuple[bool | None, ...]:
        return _answers(self.questions, context)

    def settled(self) -> bool:
        """Return whether both outcomes were found for each question whose outcome may depend on unknown keys."""
        return all(
            answer is not None or len(seen) == 2 for answer, seen in zip(self.first, self.seen, strict=True)
        )

    def proven(self) -> tuple[bool | None, ...]:
        """Return for each question the proven outcome, or None if no outcome is proven."""
        complete = self.exact and self.budget.left >= 0
        return tuple(
            answer if answer is not None else next(iter(seen)) if complete and len(seen) == 1 else None
            for answer, seen in zip(self.first, self.seen, strict=True)
        )

    def step(self, context: Context, assigned: dict[str, KeyState | Part]) -> None:
        """Evaluate the questions, and continue with the next unknown key or undecided comparison.

        :arg assigned: the values that were chosen so far; ``context`` contains them.
        """
        if not self.budget.spend(self.weight):
            return
        answers = self.answers(context)
        undecided = [
            index
            for index, answer in enumerate(answers)
            if answer is None and self.first[index] is None and len(self.seen[index]) < 2
        ]
        self.record(assigned, answers)
        if not undecided or self.settled():
            return
        key = self.next_key(context, undecided)
        if key is not None:
            self.branch(key, context, assigned)
            return
        comparison = next(
            (point for question in self.questions for point in question.undecided_comparisons(context)), None
        )
        if comparison is None or not self.hold:
            self.exact = False
            return
        for answer in (True, False):
            self.step(context.decide(comparison, answer), assigned)

    def branch(self, key: str, context: Context, assigned: dict[str, KeyState | Part]) -> None:
        """Continue the search with each possible value of a key."""
        values = possible_values(key, self.comparisons, context, self.budget)
        if not values.complete and self.hold:
            # Some kinds of values are unknown. So do not choose a value, but assume both results of each condition on the key.
            self.opaque.add(key)
            self.step(context, assigned)
            self.opaque.discard(key)
            return
        self.exact = self.exact and values.complete
        self.tried[key] = tuple(dict.fromkeys([*self.tried.get(key, ()), *values.states]))
        for state in values.states:
            if isinstance(state, Representative) and not self.hold:
                self.exact = False
                state = state.values
            if self.budget.left < 0 or self.settled():
                return
            completed = context.assume({key: state})
            if not self.links.tags or self.links.possible(completed):
                self.step(completed, {**assigned, key: state})

    def next_key(self, context: Context, undecided: Sequence[int]) -> str | None:
        """Return the next key to choose a value for, or None.

        If a key is compared with a policy variable, first choose a value for the key of the variable.
        """
        fallback = None
        for key in self.unknown_keys(context, undecided):
            root = context.canonical(key)
            self.order.setdefault(key)
            if root in self.opaque:
                continue
            if fallback is None:
                fallback = root
            if not self.waits(root, context):
                return root
        return fallback

    def unknown_keys(self, context: Context, undecided: Sequence[int]) -> Iterator[str]:
        """Yield the unknown keys that decide whether the undecided statements of some questions apply.

        :arg undecided: the positions of these questions. The number of questions is the position of the question whether
            all requests are allowed together.
        """
        questions = (
            self.questions
            if len(self.questions) in undecided
            else [self.questions[index] for index in undecided]
        )
        for question in questions:
            yield from question.unknown_keys(context)

    def waits(self, root: str, context: Context) -> bool:
        """Return whether the key is compared with a policy variable for which no value is chosen yet."""
        return any(
            isinstance(context.get(name), Unknown) and home(name, context)[0] != root
            for test, _extract in self.comparisons.tests.get(root, ())
            for name in test.variables
            if home(name, context)[0] not in self.opaque
        )

    def record(self, assigned: dict[str, KeyState | Part], answers: tuple[bool | None, ...]) -> None:
        """Record outcomes in ``seen``, and the values that lead to them in ``leaves``."""
        new = False
        for index, answer in enumerate(answers):
            if answer is not None and answer not in self.seen[index]:
                self.seen[index].add(answer)
                new = True
        if new or (len(self.leaves) < _MAX_LEAVES and None not in answers):
            self.leaves.append((assigned, answers))

    def witness(
        self, index: int, answer: bool, whole: Sequence[Question], names: Mapping[str, str]
    ) -> Witness | None:
        """Return values of the unknown keys that lead to the outcome ``answer``, or None if none were found.

        The keys have the letter case of the policy. If necessary, the values are evaluated once more with all statements,
        including those that the search has left out, because the values of two keys may depend on each other (see keys.py).

        :arg index: the position of the question.
        :arg whole: the questions with all statements.
        :arg names: the result of ``_spelling``.
        """
        for assigned, answers in self.leaves:
            if answers[index] is not answer:
                continue
            if (
                whole is self.questions
                and all(key in names and isinstance(state, tuple) for key, state in assigned.items())
                and EPOCH not in names
            ):
                # The search has already evaluated exactly these values.
                return {names[key]: state for key, state in assigned.items() if isinstance(state, tuple)}
            completed = self.filled(self.context.assume(assigned), assigned)
            states: dict[str, tuple[str, ...]] = {}
            for key in names:
                state = completed.get(key)
                if isinstance(self.context.get(key), Unknown) and isinstance(state, tuple):
                    states[key] = state
            if _answers(whole, self.context.assume(states))[index] is answer:
                return {names[key]: state for key, state in states.items()}
        return None

    def filled(self, context: Context, assigned: dict[str, KeyState | Part]) -> Context:
        """Return a context with a value for each key that the search has only assumed to be present."""
        for key, state in assigned.items():
            if isinstance(state, Unknown):
                for value in possible_values(key, self.comparisons, context, Budget(KEY_STEPS)).states:
                    completed = context.assume(
                        {key: value.values if isinstance(value, Representative) else value}
                    )
                    if self.links.possible(completed):
                        context = completed
                        break
        return context

    def keys(self, index: int, names: Mapping[str, str]) -> tuple[str, ...]:
        """Return the keys on which the outcome depends: a change of one such key alone can change the outcome.

        If no such key is found, or the budget is used up, return all keys on which the outcome may depend.
        """
        if len(self.order) == 1:
            return tuple(names.get(key, key) for key in self.order)
        pivots: set[str] = set()
        budget = Budget(KEY_STEPS)
        for assigned, answers in self.leaves:
            for key in assigned:
                if key in pivots or answers[index] is None:
                    continue
                for state in self.tried.get(key, ()):
                    if not budget.spend(self.weight):
                        break
                    if isinstance(state, Unknown):
                        continue
                    value = state.values if isinstance(state, Representative) else state
                    changed = self.context.assume({**assigned, key: value})
                    other = self.answers(changed)[index]
                    if self.links.possible(changed) and other is not None and other is not answers[index]:
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
    """Map the lower-case name of each condition key to its name in the letter case of the policy."""
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
