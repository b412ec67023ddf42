# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The evaluation logic of IAM: whether statements allow or deny a request, or whether this depends on unknown keys.

An explicit Deny overrides every Allow. Otherwise every layer (identity policies, permissions boundary, session policy) must
have an Allow, and the default is an implicit deny. Source: IAM User Guide, "Policy evaluation logic".

Each statement applies, does not apply, or depends on unknown condition keys. These three values are combined with Kleene's
logic, so a definite decision holds for all values of the unknown keys. "conditional" may also be the decision if a proof with
the values of several keys would show that all values have the same outcome.

A request with wildcards, such as s3:Get*, represents every literal request that matches it. It is allowed if all of them are
allowed, and partly allowed if only some of them are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from ..language.context import Context
from ..language.match import Cover
from .rules import Request, Rule, fill_wildcards

ALLOWED = "allowed"
PARTLY_ALLOWED = "partly_allowed"
EXPLICIT_DENY = "explicit_deny"
IMPLICIT_DENY = "implicit_deny"
CONDITIONAL = "conditional"

# For a request with wildcards: the largest number of literal requests to evaluate, and the largest number of comparisons of these
# requests with actions and resources of statements.
_SAMPLES, _COMPARISONS = 40, 10_000
# Texts in place of the wildcards of a pattern.
_FILLS = ("x", "", "xy-z")


@dataclass(frozen=True, slots=True)
class Layer:
    """The statements of a group of policies, such as the identity policies or the permissions boundary.

    A request is allowed only if each layer has a statement that allows it.
    """

    name: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one request.

    ``decision`` is one of the constants of this module. ``rules`` has the statements that determine the decision; for
    "conditional", the statements that may determine it. ``missing`` has the names of the layers without an Allow.
    ``conditional_on`` has the unknown condition keys of these statements, as the policy spells them. ``allows_part`` is set if a
    part of the request is certainly allowed, or the whole request.
    """

    decision: str
    conditional_on: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    missing: tuple[str, ...] = ()
    allows_part: bool = False

    @property
    def allowed(self) -> bool:
        """Return whether the whole request is allowed, for all values of the unknown condition keys."""
        return self.decision == ALLOWED

    @property
    def denied(self) -> bool:
        """Return whether no part of the request is allowed, for all values of the unknown condition keys."""
        return self.decision in (EXPLICIT_DENY, IMPLICIT_DENY)


@dataclass(frozen=True, slots=True)
class _Effect:
    """A statement with the part of a request to which it applies: at least ``least`` and at most ``most``."""

    rule: Rule
    least: Cover
    most: Cover

    @property
    def is_unknown(self) -> bool:
        return self.least is not self.most


def evaluate(layers: Sequence[Layer], request: Request, context: Context) -> Verdict:
    """Evaluate a request against the statements of all layers.

    :arg context: the condition keys of the request; a key may be unknown.
    """
    verdict = _evaluate(layers, request, context)
    if verdict.decision != CONDITIONAL:
        return verdict
    keys = dict.fromkeys(key for rule in verdict.rules for key in rule.unknown_keys(request, context))
    return replace(verdict, conditional_on=tuple(keys))


def _evaluate(layers: Sequence[Layer], request: Request, context: Context) -> Verdict:
    """Return the verdict on a request, without the condition keys on which it depends."""
    denies: list[_Effect] = []
    allows: list[tuple[str, list[_Effect]]] = []
    for layer in layers:
        allowing: list[_Effect] = []
        for rule in layer.rules:
            least, most = rule.cover(request, context)
            if most is not Cover.NONE:
                (allowing if rule.allow else denies).append(_Effect(rule, least, most))
        allows.append((layer.name, allowing))
    missing = tuple(name for name, effects in allows if not effects)
    denying = tuple(effect.rule for effect in denies if effect.least is Cover.ALL)
    if denying:
        return Verdict(EXPLICIT_DENY, rules=denying, missing=missing)
    if missing:
        return Verdict(IMPLICIT_DENY, missing=missing)
    granting = [effect for _name, effects in allows for effect in effects]
    open_layers = [effects for _name, effects in allows if not _allows_all(effects, request, context)]
    if not denies and not open_layers:
        complete = tuple(effect.rule for effect in granting if effect.least is Cover.ALL)
        rules = complete or tuple(effect.rule for effect in granting)
        return Verdict(ALLOWED, rules=rules, allows_part=True)
    effects = (*denies, *granting)
    part = _find_part(layers, request, context, effects) if request.is_wild else None
    if part is not None and part.decision == PARTLY_ALLOWED:
        return part
    candidates = (*denies, *(effect for layer_effects in open_layers for effect in layer_effects))
    unknown = tuple(effect.rule for effect in candidates if effect.is_unknown)
    rules = unknown or tuple(effect.rule for effect in effects)
    return Verdict(CONDITIONAL, rules=rules, allows_part=part is not None)


def _allows_all(effects: Sequence[_Effect], request: Request, context: Context) -> bool:
    """Return whether Allow statements certainly allow every request that a request represents.

    One statement does, or a statement with NotAction or NotResource together with statements for its exceptions.
    """
    if any(effect.least is Cover.ALL for effect in effects):
        return True
    if not request.is_wild:
        return False
    for effect in effects:
        parts = effect.rule.exceptions(request, context)
        if parts is not None and all(
            any(other.rule.cover(part, context)[0] is Cover.ALL for other in effects) for part in parts
        ):
            return True
    return False


def _find_part(
    layers: Sequence[Layer], request: Request, context: Context, effects: Sequence[_Effect]
) -> Verdict | None:
    """Return "partly_allowed" if one part of a request with wildcards is certainly allowed, and another part certainly is not.

    To find the parts, the function evaluates literal requests that match the patterns in the statements.

    :arg effects: the statements that apply, or may apply, to a part of the request.
    :returns: the verdict on an allowed part if no part is certainly denied; None if no part is certainly allowed.
    """
    denying = tuple(effect.rule for effect in effects if not effect.rule.allow)
    denied = any(effect.least is not Cover.NONE for effect in effects if not effect.rule.allow)
    allowed: Verdict | None = None
    missing: tuple[str, ...] = ()
    limit = min(_SAMPLES, _COMPARISONS // sum(effect.rule.weight for effect in effects))
    for sample in islice(_samples(request, effects, context), limit):
        verdict = _evaluate(layers, sample, context)
        if verdict.allowed:
            allowed = allowed or verdict
        elif verdict.denied:
            denied, missing = True, missing or verdict.missing
        if allowed is not None and denied:
            rules = tuple(dict.fromkeys((*allowed.rules, *denying)))
            return Verdict(PARTLY_ALLOWED, rules=rules, missing=missing, allows_part=True)
    return allowed


def _samples(request: Request, effects: Iterable[_Effect], context: Context) -> Iterator[Request]:
    for fill in _FILLS:
        resource = request.resource
        if resource is not None and request.resource_wild:
            resource = fill_wildcards(resource, fill)
        action = fill_wildcards(request.action, fill) if request.action_wild else request.action
        if all(action.split(":")):
            yield Request(action, resource, request.caller)
    for effect in effects:
        yield from effect.rule.samples(request, context)
