# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Whether an open answer really turns on the unknown keys, and on which.

Unknown keys are given values one after the other, taken from the policy itself (and one that the
policy does not name, and absence), until the answer is certain. "Conditional" is said only when
one completion allows and another denies; the search is bounded, and where it ends early the
answer stays conditional, because then neither "allowed" nor "denied" is proven.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..language.context import Context, State
from ..language.template import Variable
from .answer import Answer, Witness
from .candidates import candidates
from .query import Question

# Statements looked at before the search, and then the naming of keys, ends early.
MAX_WORK = 20_000
MAX_LEAVES = 64

# Values for some of the unknown keys.
Completion: TypeAlias = dict[str, State]


@dataclass(frozen=True, slots=True)
class Exploration:
    """``answers`` has one entry a question and a last one for all together."""

    answers: tuple[Answer, ...]
    leaves: tuple[tuple[Completion, tuple[bool, ...]], ...]
    complete: bool


@dataclass(slots=True)
class _Search:
    questions: Sequence[Question]
    context: Context
    values: dict[str, tuple[State, ...]] = field(default_factory=dict)
    leaves: list[tuple[Completion, tuple[bool, ...]]] = field(default_factory=list)
    seen: list[set[bool]] = field(default_factory=list)
    work: int = 0
    stuck: bool = False
    order: list[str] = field(default_factory=list)

    def answers(self, context: Context) -> tuple[bool | None, ...]:
        self.work += sum(len(question.rules) for question in self.questions)
        each = tuple(question.allowed(context) for question in self.questions)
        return (*each, False if False in each else None if None in each else True)

    def states(self, key: str) -> tuple[State, ...]:
        if key not in self.values:
            self.values[key] = candidates(key, self.context, self.questions)
            self.order.append(key)
        return self.values[key]

    def settled(self) -> bool:
        return all(len(seen) == 2 for seen in self.seen)

    def walk(self, completion: Completion) -> None:
        context = self.context.assume(completion)
        answers = self.answers(context)
        if None not in answers:
            self.record(completion, answers)
            return
        key = next((k for q in self.questions for k in q.turning_keys(context)), None)
        if key is None:
            self.stuck = True
            return
        for state in self.states(key):
            if self.work >= MAX_WORK or self.settled():
                return
            self.walk({**completion, key: state})

    def record(self, completion: Completion, answers: tuple[bool | None, ...]) -> None:
        leaf = tuple(bool(answer) for answer in answers)
        new = any(value not in seen for seen, value in zip(self.seen, leaf, strict=True))
        for seen, value in zip(self.seen, leaf, strict=True):
            seen.add(value)
        if new or len(self.leaves) < MAX_LEAVES:
            self.leaves.append((completion, leaf))

    def witness(self, component: int, value: bool, spelled: Mapping[str, str]) -> Witness | None:
        """A completion that was found with this answer."""
        for completion, leaf in self.leaves:
            if leaf[component] is value:
                return {
                    spelled.get(key, key): state
                    for key, state in completion.items()
                    if isinstance(state, tuple)
                }
        return None

    def pivots(self, component: int) -> tuple[str, ...]:
        """The keys that alone can turn this answer, somewhere among the completions found."""
        pivots: set[str] = set()
        self.work = 0
        for completion, leaf in self.leaves:
            for key in completion:
                if key in pivots:
                    continue
                for state in self.states(key):
                    if self.work >= MAX_WORK:
                        break
                    answers = self.answers(self.context.assume({**completion, key: state}))
                    if answers[component] is not None and answers[component] != leaf[component]:
                        pivots.add(key)
                        break
        return tuple(key for key in self.order if key in pivots) or tuple(self.order)


def explore(questions: Sequence[Question], context: Context) -> Exploration:
    """Answer the questions for every completion of the unknown keys."""
    search = _Search(questions, context, seen=[set() for _index in range(len(questions) + 1)])
    search.walk({})
    complete = search.work < MAX_WORK and not search.stuck
    spelled = _spelling(questions, context)
    answers: list[Answer] = []
    for at, seen in enumerate(search.seen):
        if len(seen) == 1 and complete:
            answers.append(Answer(next(iter(seen))))
            continue
        keys = tuple(spelled.get(key, key) for key in search.pivots(at))
        allowed, denied = (search.witness(at, value, spelled) for value in (True, False))
        answers.append(Answer(None, keys, allowed, denied, allowed is None or denied is None))
    return Exploration(tuple(answers), tuple(search.leaves), complete)


def _spelling(questions: Sequence[Question], context: Context) -> dict[str, str]:
    """Condition keys as the policy writes them."""
    names: dict[str, str] = {}
    for question in questions:
        for rule in question.rules:
            for tokens in rule.open_resources:
                names.update((t.key, t.name) for t in tokens if isinstance(t, Variable))
            for test in rule.tests:
                names.update(test.variable_names)
    for question in questions:
        for rule in question.rules:
            names.update((test.key, test.condition.key) for test in rule.tests)
    return {context.canonical(key): name for key, name in names.items()}
