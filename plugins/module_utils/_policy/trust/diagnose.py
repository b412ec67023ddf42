# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a trust policy does not let EKS Pod Identity in: one finding for each thing in the way."""

from __future__ import annotations

from collections.abc import Sequence

from ..._findings.codes import Code
from ..._findings.descriptions import Severity
from ..._findings.finding import Finding
from ..evaluation.request import ASSUME_ROLE, SERVICE
from ..evaluation.rules import Request, Rule
from ..language.conditions import Test
from ..language.context import Context, Unknown
from ..language.document import Statement
from ..language.match import Glob
from ..language.phrases import describe_actual, describe_condition
from ..language.template import Wild, tokenize
from .common_mistakes import is_irsa, lookalikes

_TAG_KEYS = ("aws:tagkeys", "sts:transitivetagkeys")


def diagnose(
    rules: Sequence[Rule],
    requests: Sequence[Request],
    context: Context,
    usable: bool | None,
    session_tags: bool,
) -> list[Finding]:
    """What is in the way of these requests, and for a usable policy what grants nothing."""
    severity: Severity = "info" if usable else "error" if usable is False else "warning"
    found = _denies(rules, requests, context, usable)
    allows = [rule for rule in rules if rule.allow]
    ours = [rule for rule in allows if rule.means_caller(requests[0].caller)]
    if not ours:
        found.extend(_strangers(allows, severity, requests[0]))
        return found
    for request, written in zip(requests, ("sts:AssumeRole", "sts:TagSession"), strict=True):
        granting = [rule for rule in ours if rule.means_action(request)]
        if not granting:
            found.append(_no_action(ours[0], request, written))
        for rule in granting:
            found.extend(
                _failing(rule, test, context, severity, session_tags)
                for test in rule.tests
                if test.holds(context) is False
            )
    if usable is False and not any(finding.severity == "error" for finding in found):
        found.append(
            Finding(
                Code.TRUST_CONTRADICTION,
                "Each condition can be met, but no request meets all of them: for the keys that"
                " are not known here, no value lets both sts:AssumeRole and sts:TagSession"
                " through.",
                "Put both actions in one statement with conditions that can hold together, and"
                " check what the Deny statements leave over.",
            )
        )
    return list(dict.fromkeys(found))


def _denies(
    rules: Sequence[Rule], requests: Sequence[Request], context: Context, usable: bool | None
) -> list[Finding]:
    found = []
    for rule in rules:
        if rule.allow:
            continue
        spoken = [request for request in requests if rule.speaks_of(request)]
        answers = {rule.applies(request, context) for request in spoken}
        actions = " and ".join(_written(request) for request in spoken)
        if True in answers:
            found.append(
                Finding(
                    Code.TRUST_EXPLICIT_DENY,
                    f"{rule.statement.label} denies {actions} to {_caller(spoken[0])}"
                    f"{_because(rule)}. A Deny wins over every Allow.",
                    "Narrow or remove the Deny, for instance by a condition that leaves this caller out.",
                    statement=rule.statement.label,
                )
            )
        elif None in answers and usable is not True:
            found.append(
                Finding(
                    Code.TRUST_MAY_BE_DENIED,
                    f"{rule.statement.label} denies {actions} to {_caller(spoken[0])} for some"
                    f" requests{_because(rule)}.",
                    "Give the values that its conditions ask about, or narrow the Deny.",
                    statement=rule.statement.label,
                )
            )
    return found


def _strangers(allows: Sequence[Rule], severity: Severity, request: Request) -> list[Finding]:
    """No statement names the caller: say for each whom it names instead."""
    if not allows:
        return [
            Finding(
                Code.TRUST_NO_ALLOW,
                "The policy has no Allow statement at all, and what is not allowed is denied.",
                f"Add a statement that allows {_caller(request)} sts:AssumeRole and sts:TagSession.",
                raised_as=severity,
            )
        ]
    if request.caller is None or request.caller.service is None:
        return [_other_role(rule.statement, severity, request) for rule in allows]
    return [_stranger(rule.statement, severity) for rule in allows]


def _other_role(statement: Statement, severity: Severity, request: Request) -> Finding:
    shown = ", ".join(value for _kind, value in (statement.principals or ())[:5])
    label = statement.label
    return Finding(
        Code.TRUST_WRONG_PRINCIPAL,
        f"{label} {'excepts' if statement.not_principal else 'trusts'} {shown}; the target role is"
        f" assumed by {_caller(request)}.",
        f'Add a statement with "Principal": {{"AWS": "{_caller(request)}"}}.',
        statement=label,
        raised_as=severity,
    )


def _stranger(statement: Statement, severity: Severity) -> Finding:
    label = statement.label
    names = [value for _kind, value in statement.principals or ()]
    shown = ", ".join(names[:5])
    if statement.not_principal:
        return Finding(
            Code.TRUST_NOT_PRINCIPAL_ALLOW,
            f"{label} uses NotPrincipal with Allow, which IAM does not support: it grants nothing.",
            f'Name the caller: "Principal": {{"Service": "{SERVICE}"}}.',
            statement=label,
            raised_as=severity,
        )
    if is_irsa(statement):
        return Finding(
            Code.TRUST_IRSA_ONLY,
            f"{label} trusts the OpenID Connect provider {shown}: that is IAM roles for service"
            " accounts (IRSA), not EKS Pod Identity.",
            f"Add a statement that allows {SERVICE} sts:AssumeRole and sts:TagSession; keep this"
            " one until every Pod has moved.",
            statement=label,
            raised_as=severity,
        )
    alike = lookalikes(statement)
    if alike:
        return Finding(
            Code.TRUST_LOOKALIKE_SERVICE,
            f"{label} trusts the service {', '.join(alike)}; EKS Pod Identity calls as {SERVICE},"
            " in every partition and region.",
            f"Write {SERVICE}.",
            statement=label,
            raised_as=severity,
        )
    if any(kind == "Service" for kind, _value in statement.principals or ()):
        return Finding(
            Code.TRUST_WRONG_SERVICE,
            f"{label} trusts {shown}, not {SERVICE}.",
            f"Add a statement that allows {SERVICE} sts:AssumeRole and sts:TagSession.",
            statement=label,
            raised_as=severity,
        )
    return Finding(
        Code.TRUST_WRONG_PRINCIPAL,
        f"{label} trusts {shown}; EKS Pod Identity calls as the service {SERVICE}.",
        f'Add a statement with "Principal": {{"Service": "{SERVICE}"}}.',
        statement=label,
        raised_as=severity,
    )


def _no_action(rule: Rule, request: Request, written: str) -> Finding:
    code = Code.TRUST_NO_ASSUME_ROLE if written == ASSUME_ROLE else Code.TRUST_NO_TAG_SESSION
    label = rule.statement.label
    need = (
        "EKS refuses a role whose trust policy lacks it, also when session tags are off"
        if written != ASSUME_ROLE
        else "without it the role cannot be assumed at all"
    )
    return Finding(
        code,
        f"No statement allows {_caller(request)} {written}; {need}.",
        f"Add {written} to the actions of {label}.",
        statement=label,
        raised_as="error",
    )


def _failing(rule: Rule, test: Test, context: Context, severity: Severity, session_tags: bool) -> Finding:
    label = rule.statement.label
    condition = test.condition
    said = describe_condition(condition)
    actual = describe_actual(test.key, context)
    state = context.get(test.key)
    tag = test.key.startswith("aws:requesttag/") or test.key in _TAG_KEYS
    if tag and not session_tags:
        return Finding(
            Code.TRUST_REQUEST_TAG_WITHOUT_SESSION_TAGS,
            f"{label} asks for {said}, but session tags are disabled for this association, so the"
            " request carries no tags and the statement never matches.",
            "Enable session tags, or use conditions that do not need them, such as aws:SourceAccount.",
            statement=label,
            raised_as=severity,
        )
    if not isinstance(state, Unknown) and not state:
        return Finding(
            Code.TRUST_CONDITION_NEVER_PRESENT,
            f"{label} asks for {said}, but requests of this caller never carry {condition.key}.",
            "Remove the condition, or use a key that the request has, such as aws:SourceAccount or"
            " aws:RequestTag/kubernetes-namespace.",
            statement=label,
            raised_as=severity,
        )
    code, remedy = _near_miss(test, context, rule)
    return Finding(
        code,
        f"{label} asks for {said}, but the request has {actual}.",
        remedy,
        statement=label,
        raised_as=severity,
    )


def _near_miss(test: Test, context: Context, rule: Rule) -> tuple[Code, str]:
    condition = test.condition
    state = context.get(test.key)
    actual = state if isinstance(state, tuple) else ()
    if rule.literal_variables and any("${" in value for value in condition.values):
        return (
            Code.TRUST_VARIABLE_WITHOUT_VERSION,
            'Set "Version": "2012-10-17": under any other, ${...} is literal text.',
        )
    if condition.base == "StringEquals" and any(
        glob.literal is None and glob.matches(text)
        for glob in map(_wild, condition.values)
        for text in actual
    ):
        return (
            Code.TRUST_WILDCARD_IN_STRING_EQUALS,
            "Use StringLike: StringEquals takes * and ? as the characters themselves.",
        )
    if (
        condition.base in ("StringEquals", "StringLike")
        and not condition.quantifier
        and ({value.lower() for value in condition.values} & {text.lower() for text in actual})
    ):
        return (
            Code.TRUST_CONDITION_CASE,
            "Write the value in the letter case that the request has; values are case-sensitive.",
        )
    return (
        Code.TRUST_CONDITION_UNMATCHED,
        f"Add the workload's value to {condition.key}, or add a statement for this workload.",
    )


def _wild(text: str) -> Glob:
    tokens = tokenize(text, variables=False, wildcards=True)
    return Glob(token for token in tokens if isinstance(token, str | Wild))


def _because(rule: Rule) -> str:
    if not rule.tests:
        return ""
    return ", because of " + " and ".join(describe_condition(test.condition) for test in rule.tests)


def _written(request: Request) -> str:
    return "sts:AssumeRole" if request.action == ASSUME_ROLE.lower() else "sts:TagSession"


def _caller(request: Request) -> str:
    caller = request.caller
    return str((caller.service or caller.role_arn) if caller else None)
