# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What is worth knowing about a trust policy and does not change the verdict."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..evaluation.request import SERVICE, SESSION_TAGS
from ..evaluation.rules import Rule
from .common_mistakes import is_irsa, lookalikes
from .everyone import allows_everyone, is_narrowed

_KEYS = (
    *(f"aws:RequestTag/{name}" for name in SESSION_TAGS),
    "aws:TagKeys",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalServiceName",
    "aws:ResourceAccount",
    "aws:ResourceOrgID",
    "sts:ExternalId",
    "sts:RoleSessionName",
    "sts:TransitiveTagKeys",
)
_KNOWN = frozenset(key.lower() for key in _KEYS)


def lint(rules: Sequence[Rule]) -> list[Finding]:
    """Findings that hold whoever calls."""
    findings: list[Finding] = []
    trusted = any(("Service", SERVICE) in (rule.statement.principals or ()) for rule in rules)
    for rule in rules:
        findings.extend(_statement(rule, trusted, rules))
    return findings


def _statement(rule: Rule, trusted: bool, rules: Sequence[Rule]) -> list[Finding]:
    statement = rule.statement
    label = statement.label
    findings: list[Finding] = []
    if allows_everyone(rule):
        findings.append(_open_to_everyone(rule, is_narrowed(rule, rules)))
    if rule.allow and trusted and is_irsa(statement):
        findings.append(
            Finding(
                Code.TRUST_IRSA_LEFTOVER,
                f"{label} still lets IAM roles for service accounts (IRSA) use the role.",
                "Remove it once no Pod uses the service account's role annotation any more.",
                statement=label,
            )
        )
    if rule.allow and trusted and lookalikes(statement):
        findings.append(
            Finding(
                Code.TRUST_LOOKALIKE_SERVICE,
                f"{label} trusts {', '.join(lookalikes(statement))}, which is not the service of"
                " EKS Pod Identity.",
                "Remove it unless another use of the role needs it.",
                statement=label,
                raised_as="warning",
            )
        )
    findings.extend(_key(rule, test.condition.key) for test in rule.tests if _near(test.key))
    return findings


def _open_to_everyone(rule: Rule, narrowed: bool) -> Finding:
    message = (
        f"{rule.statement.label} allows every principal of every AWS account, not EKS Pod Identity alone"
    )
    if narrowed:
        message += "; only conditions or a Deny stand in between."
    else:
        message += "; its conditions do not say whose they have to be." if rule.tests else "."
    return Finding(
        Code.TRUST_OPEN_TO_EVERYONE,
        message,
        f'Name the caller: "Principal": {{"Service": "{SERVICE}"}}; of a target role it is the role that assumes it.',
        statement=rule.statement.label,
        raised_as="warning" if narrowed else None,
    )


def _near(key: str) -> str | None:
    """The key that was probably meant by one that no request carries."""
    if key in _KNOWN or not key.startswith(("aws:requesttag", "aws:source", "sts:", "aws:tag")):
        return None
    near = difflib.get_close_matches(key[:128], _KNOWN, n=1, cutoff=0.9)
    if not near:
        return None
    return next(known for known in _KEYS if known.lower() == near[0])


def _key(rule: Rule, key: str) -> Finding:
    label = rule.statement.label
    return Finding(
        Code.TRUST_MISSPELT_KEY,
        f"{label} has a condition on {key}, a key that requests of EKS Pod Identity do not have.",
        f"Did you mean {_near(key.lower())}?",
        statement=label,
    )
