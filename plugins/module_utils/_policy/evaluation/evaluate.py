# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The evaluation logic of IAM: return whether statements allow a request, deny it, or whether this depends on unknown keys.

Each statement has one of Kleene's three values for a request: it applies (yes), does not apply (no), or this depends on unknown
condition keys or, for a request with wildcards, on the part of the request (maybe). "Deny" is Kleene's OR of the Deny statements
of all layers. "Allow" is his AND of the layers (identity policies, permissions boundary, session policy), and a layer is the OR
of its Allow statements. A trust policy is evaluated alone, as one layer. Resource-based policies, service control policies and
resource control policies are not evaluated.

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
If AWS does not document a form of a statement, the statement is read so that it grants less.

A request with wildcards, such as s3:Get*, represents every literal request that matches it. Then yes means that a statement
applies to all of them, and no to none. The resource ``*`` alone is not a wildcard: it stands for an action without a resource.
For a request with wildcards, three rules replace the tables where these give maybe or conditional:

* A layer is yes if the exceptions of a statement with NotAction or NotResource are all allowed by other statements of the layer.
* The decision is partly_allowed if literal requests show that one is certainly allowed and another certainly is not.
* The decision is denied if every resource that a layer allows is certainly denied.

Source: IAM User Guide, "Policy evaluation logic".

Words: a rule is a compiled statement, and a test a compiled condition. A policy variable is a condition key in the text of a
pattern. Only condition keys are unknown. Yes, maybe and no are values of statements and layers; allowed, conditional and the
other constants are decisions on a request. A match is a rule with the share of a request to which it applies. A part of a
request with wildcards is another request that represents fewer requests, or one.
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
_SAMPLES, _COMPARISONS = 40, 2_000
# Texts in place of each ``*`` of a request: a short text, no text, and a longer text with a "-", as names often have it.
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
    "conditional", the statements that may determine it. ``missing`` has the names of the layers without an Allow that may apply
    to the request; for partly_allowed, to a denied part of it. ``conditional_on`` has the unknown condition keys of ``rules``,
    as the policy spells them; it is empty if the decision depends on the part of the request only. ``allows_part`` is set if a
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
class _Match:
    """A statement that applies to a request or may apply: to the share ``least`` of it at least, to the share ``most`` at most.

    Its value is yes if ``least`` is ALL, otherwise maybe.
    """

    rule: Rule
    least: Cover
    most: Cover

    @property
    def is_open(self) -> bool:
        """Return whether the share depends on unknown keys, or on exceptions that match the wildcards only partly."""
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
    """Return the verdict on a request, without the condition keys on which it depends.

    The first of these that is true decides:

    1. A Deny applies to the whole request: explicit_deny. A layer has no Allow for any part of it: implicit_deny.
    2. No Deny may apply, and each layer has Allow statements for the whole request: allowed.
    3. The request has wildcards. A part is certainly allowed and another is not: partly_allowed. Every resource that a layer
       allows is certainly denied: explicit_deny or implicit_deny.
    4. Otherwise: conditional.
    """
    denies, allows, refusal = _find_matches(layers, request, context)
    if refusal is not None:
        return refusal
    # From here on, Allow is yes or maybe, and Deny is maybe or no. A layer is yes if statements of it allow the whole request.
    grants = [_find_grants(allowing, request, context) for _name, allowing in allows]
    if not denies and all(grants):
        rules = tuple(rule for layer_rules in grants for rule in layer_rules)
        return Verdict(ALLOWED, rules=rules, allows_part=True)
    matches = (*denies, *(match for _name, allowing in allows for match in allowing))
    part = _find_allowed_part(layers, request, context, matches) if request.is_wild else None
    if part is not None and part.decision == PARTLY_ALLOWED:
        return part
    for _name, allowing in allows if part is None and request.resource_wild else ():
        if (refusal := _find_refusal(layers, request, context, allowing)) is not None:
            return refusal
    undecided = [
        match
        for (_name, allowing), layer_rules in zip(allows, grants, strict=True)
        for match in allowing
        if not layer_rules
    ]
    candidates = tuple(match.rule for match in (*denies, *undecided) if match.is_open)
    rules = candidates or tuple(match.rule for match in matches)
    return Verdict(CONDITIONAL, rules=rules, allows_part=part is not None)


def _find_matches(
    layers: Sequence[Layer], request: Request, context: Context
) -> tuple[list[_Match], list[tuple[str, list[_Match]]], Verdict | None]:
    """Return the Deny statements, and the Allow statements by layer, that apply or may apply to a part of a request.

    If a Deny certainly applies to the whole request, or a layer does not have such an Allow, return also the verdict.
    """
    denies: list[_Match] = []
    allows: list[tuple[str, list[_Match]]] = []
    for layer in layers:
        allowing: list[_Match] = []
        for rule in layer.rules:
            least, most = rule.cover(request, context)
            if most is not Cover.NONE:
                (allowing if rule.allow else denies).append(_Match(rule, least, most))
        allows.append((layer.name, allowing))
    # A layer without such an Allow is no, and so is the AND of the layers.
    missing = tuple(name for name, allowing in allows if not allowing)
    denying = tuple(match.rule for match in denies if match.least is Cover.ALL)
    if denying:
        return denies, allows, Verdict(EXPLICIT_DENY, rules=denying, missing=missing)
    return denies, allows, Verdict(IMPLICIT_DENY, missing=missing) if missing else None


def _find_refusal(
    layers: Sequence[Layer], request: Request, context: Context, allowing: Sequence[_Match]
) -> Verdict | None:
    """Return the verdict on a request with wildcards if each resource that a layer allows is certainly denied, or None.

    :arg allowing: the Allow statements of the layer.
    """
    refusals: list[Verdict] = []
    for match in allowing:
        for part in match.rule.find_parts(request, context) or [request]:
            *_matches, refusal = _find_matches(layers, part, context)
            if refusal is None:
                return None
            refusals.append(refusal)
    rules = dict.fromkeys(rule for refusal in refusals for rule in refusal.rules)
    missing = dict.fromkeys(name for refusal in refusals for name in refusal.missing)
    return Verdict(EXPLICIT_DENY if rules else IMPLICIT_DENY, rules=tuple(rules), missing=tuple(missing))


def _find_grants(matches: Sequence[_Match], request: Request, context: Context) -> tuple[Rule, ...]:
    """Return the Allow statements of a layer that certainly allow every part of a request, or nothing if there are none.

    Each statement that allows the whole request is one of them. Without such a statement, they are all statements of the layer if
    one has NotAction or NotResource, and for each of its exceptions there is a statement that allows it.
    """
    grants = tuple(match.rule for match in matches if match.least is Cover.ALL)
    if grants or not request.is_wild:
        return grants
    rules = tuple(match.rule for match in matches)
    for rule in rules:
        exceptions = rule.exceptions(request, context)
        if exceptions is not None and all(
            any(other.cover(exception, context)[0] is Cover.ALL for other in rules)
            for exception in exceptions
        ):
            return rules
    return ()


def _find_allowed_part(
    layers: Sequence[Layer], request: Request, context: Context, matches: Sequence[_Match]
) -> Verdict | None:
    """Return the verdict on a part of a request with wildcards that is certainly allowed, or None without such a part.

    The parts are literal requests that match the patterns in the statements; ``_evaluate`` decides on each of them. The verdict
    is "partly_allowed" if another part is certainly denied, and "allowed" if no denied part is found.

    :arg matches: the statements that apply, or may apply, to a part of the request.
    """
    denying = tuple(match.rule for match in matches if not match.rule.allow)
    # A Deny certainly applies to a part, even if no literal request shows which one.
    denied = any(match.least is not Cover.NONE for match in matches if not match.rule.allow)
    allowed: Verdict | None = None
    missing: tuple[str, ...] = ()
    statements = (match.rule.statement for match in matches)
    patterns = sum(len(statement.actions) + len(statement.resources or ()) for statement in statements)
    # Zero for too many statements. Then no part is found, and the decision on the request is conditional.
    limit = min(_SAMPLES, _COMPARISONS // patterns)
    for sample in islice(_samples(request, matches, context), limit):
        verdict = _evaluate(layers, sample, context)
        if verdict.allowed:
            allowed = allowed or verdict
        elif verdict.denied:
            denied, missing = True, missing or verdict.missing
        if allowed is not None and denied:
            rules = tuple(dict.fromkeys((*allowed.rules, *denying)))
            return Verdict(PARTLY_ALLOWED, rules=rules, missing=missing, allows_part=True)
    return allowed


def _samples(request: Request, matches: Iterable[_Match], context: Context) -> Iterator[Request]:
    for fill in _FILLS:
        resource = fill_wildcards(str(request.resource), fill) if request.resource_wild else request.resource
        action = fill_wildcards(request.action, fill) if request.action_wild else request.action
        # No action has an empty service or name, which the empty text leaves of "s3:*".
        if all(action.split(":")):
            yield Request(action, resource, request.caller)
    for match in matches:
        yield from match.rule.samples(request, context)
