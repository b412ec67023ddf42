# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan attachments of policies to roles: attach, detach, swap, and check the quota. Pure.

Sources: iam AttachRolePolicy, DetachRolePolicy; IAM User Guide, "IAM and AWS STS quotas", managed policies attached to a role.
Attachments that this collection did not create count towards the quota, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import WorkloadKey
from ..._policy.language.document import document_statements
from ..model.changes import Call, Change, Stage
from ..model.desired import Options
from ..model.errors import listed
from ..model.observed import Observed
from ..model.roles import ObservedRole
from ..model.shared import POLICIES_OF_A_ROLE, SharedRole
from ..model.targets import Failure, Target, role_target

# At least the maximum number of policies of a role, so that a message lists all of them.
_SHOWN = 25


def attach_policy(role: str, arn: str, workloads: tuple[WorkloadKey, ...], stage: Stage) -> Change:
    """Return the change that attaches a policy to a role. ``workloads`` need the attachment."""
    state = {"role": role, "policy": arn}
    call = Call("iam", "AttachRolePolicy", {"RoleName": role, "PolicyArn": arn})
    return Change(
        stage,
        Target("attachment", role, arn),
        "attach",
        workloads,
        None,
        state,
        (call,),
        frozenset((role.lower(),)),
    )


def detach_policy(role: str, arn: str, workloads: tuple[WorkloadKey, ...], roles: frozenset[str]) -> Change:
    """Return the change that detaches a policy from a role. ``roles`` are the roles whose failures prevent it."""
    state = {"role": role, "policy": arn}
    call = Call("iam", "DetachRolePolicy", {"RoleName": role, "PolicyArn": arn})
    return Change(
        Stage.DETACH, Target("attachment", role, arn), "detach", workloads, state, None, (call,), roles
    )


def make_room(
    observed: Observed, role: ObservedRole, joining: Sequence[Change], leaving: Sequence[Change]
) -> list[Change]:
    """Return the attachments and detachments of a role.

    If the role has the maximum number of policies, IAM accepts an attachment only after a detachment. Such an attachment is
    combined with a detachment into one change.
    """
    excess = max(0, len(role.attached) + len(joining) - _limit(observed, role))
    swaps = [
        replace(
            attaching, action="replace", before=detaching.before, calls=(*detaching.calls, *attaching.calls)
        )
        for attaching, detaching in zip(joining[:excess], leaving, strict=False)
    ]
    return [*swaps, *joining[len(swaps) :], *leaving[len(swaps) :]]


def _limit(observed: Observed, role: ObservedRole) -> int:
    """Return the maximum number of managed policies of the role.

    If the quota of the account is unknown, return the default quota, or the number of attached policies if that is larger.
    """
    return observed.quotas.attachments or max(POLICIES_OF_A_ROLE, len(role.attached))


def find_overfull(
    observed: Observed,
    options: Options,
    shared: SharedRole,
    role: ObservedRole,
    joining: Sequence[Change],
    leaving: Sequence[Change],
) -> Failure | None:
    """Return a failure if the role would have more policies than the quota allows, or None.

    The failure belongs to the workloads whose policies would be attached. Policies that are attached but not listed
    are the cause: the validation of the input has already compared the number of listed policies with the quota.

    :arg joining: the attachments in the plan.
    :arg leaving: the detachments in the plan.
    """
    count, limit = len(role.attached) - len(leaving) + len(joining), _limit(observed, role)
    if not joining or count <= limit:
        return None
    detached = {change.target.policy_arn for change in leaving}
    unlisted = [arn for arn in role.attached if arn not in shared.policy_users and arn not in detached]
    allowed = (
        "allowed"
        if observed.quotas.attachments
        else "assumed to be allowed, because iam:GetAccountSummary did not return the quota of the account"
    )
    purge_note = (
        " ⟨purge_policies⟩: true detaches the unlisted policies."
        if unlisted and not options.purge_policies
        else ""
    )
    unlisted_note = f" Attached but not listed: {listed(unlisted, _SHOWN)}." if unlisted else ""
    return Failure(
        tuple(dict.fromkeys(key for change in joining for key in change.workloads)),
        role_target(role.name),
        "update",
        Code.ROLE_POLICIES_OVER_QUOTA,
        f"role {role.arn} would have {count} policies; {limit} are {allowed}.{unlisted_note}",
        "Detach unneeded policies, merge some of the listed policies, or request an increase of the quota 'Managed policies per "
        f"role'.{purge_note}",
    )


def only_denies(document: Mapping[str, object]) -> bool:
    """Return whether a document has Deny statements, but no Allow statement."""
    statements = document_statements(document)
    effects = [statement.get("Effect") for statement in statements if isinstance(statement, Mapping)]
    return bool(effects) and "Allow" not in effects
