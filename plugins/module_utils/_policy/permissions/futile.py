# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Is all that policies grant taken away again, whatever is asked for? Pure.

Source: IAM User Guide, "Policy evaluation logic": a boundary or session policy has to allow as well, and a Deny wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..evaluation.request import Subject
from ..evaluation.rules import Request, Rule
from ..language.document import Policy, parse_policy
from .permissions import NamedPolicy, pod_context

_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")
# Every resource, as a pattern that overlaps with whatever has an ARN.
_EVERYTHING = "arn:*:*:*:*:*"


def find_what_takes_all(
    granting: Sequence[NamedPolicy],
    others: Sequence[NamedPolicy],
    limits: Sequence[NamedPolicy],
    subject: Subject,
    role_tags: dict[str, str],
) -> list[str]:
    """Names of what keeps every grant of ``granting`` from having any effect; empty when one may have, or none is made.

    ``others`` are further identity policies, of which only what they deny matters. ``limits`` are boundary and session
    policy.
    """
    context = pod_context(subject, role_tags)
    grants = [grant for policy in granting for grant in _grants(_parsed(policy, "identity"))]
    if not grants or None in grants:
        return []
    denying = [
        (policy.name, _as(rule, "Allow"))
        for policy, kind in [
            *((named, "identity") for named in (*granting, *others)),
            *((named, "boundary") for named in limits),
        ]
        for rule in _rules(policy, kind)
        if not rule.allow
    ]
    allowing = [
        (policy.name, [_as(rule, "Deny") for rule in _rules(policy, "boundary") if rule.allow])
        for policy in limits
    ]
    causes: dict[str, None] = {}
    for grant in filter(None, grants):
        cause = next(
            (
                name
                for name, rule in denying
                if rule.speaks_of(grant) and rule.applies(grant, context) is True
            ),
            "",
        ) or next(
            (
                name
                for name, rules in allowing
                if not any(
                    rule.speaks_of(grant) and rule.applies(grant, context) is not False for rule in rules
                )
            ),
            "",
        )
        if not cause:
            return []
        causes[cause] = None
    return list(causes)


def _grants(policy: Policy) -> Iterator[Request | None]:
    """What a policy allows, action by action; None for what cannot be written as one request."""
    for statement in policy.statements:
        if statement.effect != "Allow":
            continue
        if statement.not_action or statement.not_resource or not statement.resources:
            yield None
            continue
        for action in statement.actions:
            for resource in statement.resources:
                pattern = _PLACEHOLDER.sub("*", resource)
                yield Request(action, _EVERYTHING if pattern == "*" else pattern)


def _parsed(policy: NamedPolicy, kind: str) -> Policy:
    return parse_policy(policy.document, kind)


def _rules(policy: NamedPolicy, kind: str) -> list[Rule]:
    parsed = _parsed(policy, kind)
    return [Rule(statement, parsed.has_variables, policy.name) for statement in parsed.statements]


def _as(rule: Rule, effect: str) -> Rule:
    """The statement with the other effect: what an Allow leaves open counts for it, and against it as a Deny. So a Deny
    read as Allow says what is certainly denied, and an Allow read as Deny what may be allowed."""
    return Rule(replace(rule.statement, effect=effect), not rule.literal_variables, rule.source)
