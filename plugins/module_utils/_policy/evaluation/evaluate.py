# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The evaluation logic of IAM: whether statements allow or deny a request, or whether this depends on unknown keys.

An explicit Deny overrides every Allow. Otherwise every layer (identity policies, permissions boundary, session policy) must
have an Allow, and the default is an implicit deny. Source: IAM User Guide, "Policy evaluation logic".

A request may have wildcards, such as s3:Get*. Such a request is allowed if and only if every literal request that matches it is
allowed. A policy distinguishes actions and ARNs only by the patterns in its statements. So it is sufficient to evaluate one
literal request for each combination of patterns that a request can match.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

from ..language.automata import Budget, Pattern, Unit, arn_units, kinds, part_units, text_units
from ..language.context import Context
from ..language.match import literal_tokens
from .comparisons import Values
from .rules import CONDITIONAL, Answer, Question, Request, Rule, Witness
from .search import explore

# The budget in steps to split a request with wildcards into literal requests, and the maximum number of literal requests.
_STEPS = 4_000
_MOST = 400
# The texts that replace ``*`` in the literal requests that ``_samples`` generates.
_FILLS = ("", "x", "xy-z")


class OverBudget(Exception):
    """The error for a request with wildcards for which there are too many literal requests to evaluate."""


def _samples(request: Request) -> Iterator[Request]:
    """Yield a few literal requests that a request with wildcards matches.

    If one of them is denied, the request with wildcards is denied.
    """
    for fill in _FILLS:
        texts = [
            text.replace("*", fill).replace("?", "x") if wild and text is not None else text
            for text, wild in (
                ("*:*" if request.action == "*" else request.action, request.action_wild),
                (request.resource, request.resource_wild),
            )
        ]
        if texts[0] is not None and all(texts[0].split(":")):
            yield Request(texts[0], texts[1], request.caller, literal=True, sampled=request.action_wild)


def split(rules: Iterable[Rule], request: Request, context: Context) -> tuple[Request, ...]:
    """Return one literal request for each combination of patterns that a request with wildcards can match.

    :returns: an empty tuple if the patterns cannot be compared as text, for example because the value of a policy variable is
        unknown.
    :raises OverBudget: when there are too many combinations of patterns.
    """
    if request.resource == "*" and request.action_wild and not request.service_is_text:
        return ()
    budget = Budget(_STEPS)
    all_rules = list(rules)
    actions, resources = [request.action], [request.resource]
    if request.action_wild:
        patterns = {tokens for rule in all_rules for tokens in rule.partial_actions(request)}
        action = literal_tokens("?*:?*" if request.action == "*" else request.action)
        actions = _texts(sorted(map(text_units, patterns), key=repr), text_units(action), budget)
    if request.resource_wild and request.resource is not None:
        units: set[tuple[Unit, ...]] = set()
        for rule in all_rules:
            for glob in rule.partial_resources(request, context):
                if glob is None:
                    return ()
                units.add(part_units(part.tokens for part in glob.parts))
        whole = arn_units(literal_tokens(request.resource))
        if whole is None:
            return ()
        resources = [*_texts(sorted(units, key=repr), whole, budget)]
    if len(actions) * len(resources) > _MOST:
        raise OverBudget
    return tuple(
        Request(text, resource, request.caller, literal=True, sampled=request.action_wild)
        for text, resource in product(actions, resources)
    )


def _texts(patterns: Iterable[tuple[Unit, ...]], request: tuple[Unit, ...], budget: Budget) -> list[str]:
    languages = [(Pattern(units),) for units in patterns]
    combinations, complete = kinds([*languages, (Pattern(request),)], len(languages), budget)
    if not complete:
        raise OverBudget
    return list(combinations.values())


ALLOWED = "allowed"
EXPLICIT_DENY = "explicit_deny"
IMPLICIT_DENY = "implicit_deny"


@dataclass(frozen=True, slots=True)
class Layer:
    """The statements of a group of policies, such as the identity policies or the permissions boundary.

    A request is allowed only if each layer has a statement that allows it. ``memo`` caches the possible values of condition keys
    across requests.
    """

    name: str
    rules: tuple[Rule, ...]
    memo: dict[object, Values] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one request.

    ``decision`` is "allowed", "explicit_deny", "implicit_deny" or "conditional". ``rules`` has the statements that
    determine the decision; for "conditional", the statements that may determine it. ``missing`` has the names of the layers
    without an Allow. ``conditional_on`` has the condition keys on which the decision depends, in the letter case of the
    policy. ``allowed_when`` and ``denied_when`` have example values of these keys. If ``undecided``, the evaluation is
    incomplete: a "conditional" request may always have the same outcome, and an "explicit_deny" may be an implicit deny.
    """

    decision: str
    conditional_on: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    missing: tuple[str, ...] = ()
    allowed_when: Witness | None = None
    denied_when: Witness | None = None
    undecided: bool = False

    @property
    def allowed(self) -> bool:
        """Return whether the request is allowed for all values of the unknown condition keys."""
        return self.decision == ALLOWED


def evaluate(layers: Sequence[Layer], request: Request, context: Context) -> Verdict:
    """Evaluate a request against the statements of all layers.

    :arg context: the condition keys of the request; a key may be unknown.
    """
    question = ask(layers, request)
    allowed = question.allowed(context)
    if allowed is not True and (request.action_wild or request.resource_wild):
        verdict = _evaluate_wildcards(layers, question, context)
        if verdict is not None:
            return verdict
    answer = Answer(allowed) if allowed is not None else explore((question,), context, layers[0].memo)[0]
    return describe(question, context, answer)


def _evaluate_wildcards(layers: Sequence[Layer], question: Question, context: Context) -> Verdict | None:
    """Evaluate a request with wildcards, which several statements may allow together.

    :returns: None if a Deny certainly applies, or if the patterns cannot be compared as text (see ``split``).
    """
    request = question.request
    certain = [
        rule
        for rule in question.denies
        if not (rule.statement.not_action or rule.statement.not_resource) and rule.applies(request, context)
    ]
    if certain:
        return None
    for sample in _samples(request):
        if ask(layers, sample).allowed(context) is False:
            return evaluate(layers, sample, context)
    try:
        parts = split((rule for layer in layers for rule in layer.rules), request, context)
    except OverBudget:
        return Verdict(CONDITIONAL, undecided=True)
    if not parts:
        return None
    verdicts, together = evaluate_together(layers, parts, context)
    denied = [verdict for verdict in verdicts if verdict.decision in (EXPLICIT_DENY, IMPLICIT_DENY)]
    if denied:
        # Prefer an explicit Deny, because an additional Allow would not override it.
        return min(denied, key=lambda verdict: verdict.decision != EXPLICIT_DENY)
    rules = tuple(dict.fromkeys(rule for verdict in verdicts for rule in verdict.rules))
    if together.proven:
        return Verdict(ALLOWED, rules=rules)
    if together.proven is None:
        return Verdict(
            CONDITIONAL,
            together.keys,
            rules,
            (),
            together.allowed_when,
            together.denied_when,
            together.undecided,
        )
    # Each request is allowed for some values of the condition keys, but there are no values for which all requests are allowed.
    return Verdict(IMPLICIT_DENY, missing=tuple(layer.name for layer in layers))


def evaluate_together(
    layers: Sequence[Layer], requests: Iterable[Request], context: Context
) -> tuple[tuple[Verdict, ...], Answer]:
    """Evaluate requests that must all be allowed for the same values of the unknown condition keys.

    :returns: the verdict on each request, and the answer to whether all of them are allowed together.
    """
    questions = tuple(ask(layers, request) for request in requests)
    first = tuple(question.allowed(context) for question in questions)
    if None in first and all(question.same_as(questions[0]) for question in questions):
        answers = [explore(questions[:1], context, layers[0].memo)[0]] * len(questions)
        together = answers[0]
    elif None in first:
        *answers, together = explore(questions, context, layers[0].memo)
    else:
        answers, together = [Answer(answer) for answer in first], Answer(all(first))
    verdicts = tuple(
        describe(question, context, answer) for question, answer in zip(questions, answers, strict=True)
    )
    return verdicts, together


def ask(layers: Sequence[Layer], request: Request) -> Question:
    """Build the question whether a request is allowed: select the statements that match its caller and action."""
    denies: list[Rule] = []
    allows: list[tuple[str, tuple[Rule, ...]]] = []
    for layer in layers:
        granting: list[Rule] = []
        for rule in layer.rules:
            if rule.concerns(request):
                (granting if rule.allow else denies).append(rule)
        allows.append((layer.name, tuple(granting)))
    return Question(request, tuple(denies), tuple(allows))


def describe(question: Question, context: Context, answer: Answer) -> Verdict:
    """Convert an answer to a verdict, which has the statements that determine the answer."""
    request = question.request
    allowed = answer.proven
    denies = [(rule, rule.applies(request, context)) for rule in question.denies]
    allows = [
        (name, [(rule, rule.applies(request, context)) for rule in rules]) for name, rules in question.allows
    ]
    if allowed is None:
        undecided_rules = [rule for rule, answer in denies if answer is None]
        undecided_rules += [rule for _name, rules in allows for rule, answer in rules if answer is None]
        return Verdict(
            CONDITIONAL,
            answer.keys,
            tuple(undecided_rules),
            (),
            answer.allowed_when,
            answer.denied_when,
            answer.undecided,
        )
    if allowed:
        deciding = tuple(rule for _name, rules in allows for rule, answer in rules if answer)
        if not deciding:
            deciding = tuple(r for _name, rules in allows for r, answer in rules if answer is None)
        return Verdict(ALLOWED, rules=deciding)
    missing = tuple(name for name, rules in allows if not any(answer is not False for _rule, answer in rules))
    denying = tuple(rule for rule, answer in denies if answer)
    if denying:
        return Verdict(EXPLICIT_DENY, rules=denying, missing=missing)
    if missing:
        return Verdict(IMPLICIT_DENY, missing=missing)
    # Two cases remain: some Deny applies whenever an Allow applies, or no Allow can apply.
    possible = tuple(rule for rule, answer in denies if answer is None)
    if possible:
        without_denies = explore((question.without_denies(),), context)[0]
        if without_denies.proven is not False:
            return Verdict(EXPLICIT_DENY, rules=possible, undecided=without_denies.undecided)
    failing = tuple(name for name, rules in allows if not any(answer for _rule, answer in rules))
    return Verdict(IMPLICIT_DENY, missing=failing)
