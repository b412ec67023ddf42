# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The evaluation logic of IAM: return whether statements allow a request, deny it, or whether this depends on unknown keys.

Each statement has one of Kleene's three values for a request: it applies (yes), does not apply (no), or this depends on unknown
condition keys (maybe). "Deny" is Kleene's OR of the Deny statements of all layers. "Allow" is his AND of the layers (identity
policies, permissions boundary, session policy), and a layer is the OR of its Allow statements:

=====  ===  =====  =====    =====  =====  =====  ==
OR     yes  maybe  no       AND    yes    maybe  no
=====  ===  =====  =====    =====  =====  =====  ==
yes    yes  yes    yes      yes    yes    maybe  no
maybe  yes  maybe  maybe    maybe  maybe  maybe  no
no     yes  maybe  no       no     no     no     no
=====  ===  =====  =====    =====  =====  =====  ==

The decision follows from both values. "Denied" is explicit_deny if Deny is yes, otherwise implicit_deny:

===========  ===========  ============  =========
decision     Allow: yes   Allow: maybe  Allow: no
===========  ===========  ============  =========
Deny: yes    denied       denied        denied
Deny: maybe  conditional  conditional   denied
Deny: no     allowed      conditional   denied
===========  ===========  ============  =========

So a definite decision holds for all values of the unknown keys. A conditional decision may have the same outcome for all values.

A request with wildcards, such as s3:Get*, represents every literal request that matches it. Then yes means that a statement
applies to all of them, and no to none. If literal requests show that one is certainly allowed and another certainly is not, the
decision is partly_allowed. Source: IAM User Guide, "Policy evaluation logic".
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
    """A statement that applies to a request or may apply: at least to the part ``least``, at most to the part ``most`` of it.

    For a request without wildcards, the value is yes if ``least`` is ALL, otherwise maybe.
    """

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
    # The statements that are not no: the Deny statements, and the Allow statements by layer.
    denies: list[_Effect] = []
    allows: list[tuple[str, list[_Effect]]] = []
    for layer in layers:
        allowing: list[_Effect] = []
        for rule in layer.rules:
            least, most = rule.cover(request, context)
            if most is not Cover.NONE:
                (allowing if rule.allow else denies).append(_Effect(rule, least, most))
        allows.append((layer.name, allowing))
    # A layer without them is no.
    missing = tuple(name for name, effects in allows if not effects)
    denying = tuple(effect.rule for effect in denies if effect.least is Cover.ALL)
    if denying:
        return Verdict(EXPLICIT_DENY, rules=denying, missing=missing)
    if missing:
        return Verdict(IMPLICIT_DENY, missing=missing)
    # From here on, Allow is yes or maybe, and Deny is maybe or no. The open layers are maybe.
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
