# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Whom the trust policy of a role lets in beside the workloads of the run, as findings. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.trust.trust import prepare_trust
from ..model.errors import listed
from ..model.observed import ObservedRole
from .trust import foreign_names, in_words

_ACCOUNT_OF = re.compile(r"arn:[a-z0-9-]+:(?:iam|sts)::([^:]*):.*|(\d{12})", re.ASCII | re.DOTALL)


def everyone_let_in(role: ObservedRole, key: WorkloadKey) -> Iterator[Finding]:
    """One for each statement that is for every principal of every account, whoever wrote it."""
    for lint in prepare_trust(role.trust).lints:
        if lint.code == Code.TRUST_OPEN_TO_EVERYONE:
            yield Finding(
                lint.code,
                f"the trust policy of role {role.arn} lets in everyone: {lint.message}",
                "Remove the statement from the trust policy, or name in it who is to use the role.",
                key,
                raised_as=lint.raised_as,
            )


def others_let_in(role: ObservedRole, key: WorkloadKey) -> Iterator[Finding]:
    """Of the statements for others than EKS Pod Identity, but for those that name everyone."""
    names = foreign_names(role.trust) - {"*"}
    strange = {name for name in names if _is_of_another_account(name, role)}
    if strange:
        yield Finding(
            Code.TRUST_STATEMENT_FOREIGN,
            f"role {role.name} also lets in {listed(in_words(strange), 10)}, which is of another account and was not "
            "asked for; those statements stay.",
            "Remove them from the trust policy. If the role is meant for that account too, give the whole trust policy as "
            "role.trust_policy; the role accepts it on all workloads with ⟨ignore⟩: [TRUST_STATEMENT_FOREIGN].",
            key,
            raised_as="error",
        )
    if names - strange:
        yield Finding(
            Code.TRUST_STATEMENT_FOREIGN,
            f"role {role.name} also lets in {listed(in_words(names - strange), 10)}, which was not asked for; those "
            "statements stay.",
            _REMEDY,
            key,
        )


_REMEDY = "Remove them from the trust policy when nothing needs them, or give the whole trust policy as role.trust_policy."


def _is_of_another_account(principal: str, role: ObservedRole) -> bool:
    """Services belong to none, nor does the unique ID that a deleted principal leaves behind."""
    match = _ACCOUNT_OF.fullmatch(principal)
    return match is not None and (match[1] or match[2]) != role.arn.split(":")[4]
