# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Whom a trust policy names that does not name the caller."""

from __future__ import annotations

from collections.abc import Sequence

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..evaluation.request import SERVICE
from ..evaluation.rules import Request, Rule
from ..language.document import Statement
from .common_mistakes import is_irsa, lookalikes


def explain_principals(allows: Sequence[Rule], request: Request) -> list[Finding]:
    """No statement names the caller, so the role is unusable: for each, whom it names instead."""
    if not allows:
        return [
            Finding(
                Code.TRUST_NO_ALLOW,
                "The policy has no Allow statement at all, and what is not allowed is denied.",
                f"Add a statement that allows {name_caller(request)} sts:AssumeRole and sts:TagSession.",
            )
        ]
    if request.caller is None or request.caller.service is None:
        return [_explain_other_role(rule.statement, request) for rule in allows]
    return [_explain_principal(rule.statement) for rule in allows]


def _explain_other_role(statement: Statement, request: Request) -> Finding:
    shown = ", ".join(value for _kind, value in (statement.principals or ())[:5])
    label = statement.label
    return Finding(
        Code.TRUST_WRONG_PRINCIPAL,
        f"{label} {'excepts' if statement.not_principal else 'trusts'} {shown}; the target role is"
        f" assumed by {name_caller(request)}.",
        f'Add a statement with "Principal": {{"AWS": "{name_caller(request)}"}}.',
        statement=label,
    )


def _explain_principal(statement: Statement) -> Finding:
    label = statement.label
    names = [value for _kind, value in statement.principals or ()]
    shown = ", ".join(names[:5])
    if statement.not_principal:
        return Finding(
            Code.TRUST_NOT_PRINCIPAL_ALLOW,
            f"{label} uses NotPrincipal with Allow, which IAM does not support: it grants nothing.",
            f'Name the caller: "Principal": {{"Service": "{SERVICE}"}}.',
            statement=label,
        )
    if is_irsa(statement):
        return Finding(
            Code.TRUST_IRSA_ONLY,
            f"{label} trusts the OpenID Connect provider {shown}: that is IAM roles for service"
            " accounts (IRSA), not EKS Pod Identity.",
            f"Add a statement that allows {SERVICE} sts:AssumeRole and sts:TagSession; keep this"
            " one until every Pod has moved.",
            statement=label,
        )
    alike = lookalikes(statement)
    if alike:
        return Finding(
            Code.TRUST_LOOKALIKE_SERVICE,
            f"{label} trusts the service {', '.join(alike)}; EKS Pod Identity calls as {SERVICE},"
            " in every partition and region.",
            f"Write {SERVICE}.",
            statement=label,
        )
    if any(kind == "Service" for kind, _value in statement.principals or ()):
        return Finding(
            Code.TRUST_WRONG_SERVICE,
            f"{label} trusts {shown}, not {SERVICE}.",
            f"Add a statement that allows {SERVICE} sts:AssumeRole and sts:TagSession.",
            statement=label,
        )
    return Finding(
        Code.TRUST_WRONG_PRINCIPAL,
        f"{label} trusts {shown}; EKS Pod Identity calls as the service {SERVICE}.",
        f'Add a statement with "Principal": {{"Service": "{SERVICE}"}}.',
        statement=label,
    )


def name_caller(request: Request) -> str:
    caller = request.caller
    return str((caller.service or caller.role_arn) if caller else None)
