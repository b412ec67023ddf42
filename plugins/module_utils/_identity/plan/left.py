# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Report unlisted roles that a run without purge leaves. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..model.changes import Change
from ..model.desired import Desired
from ..model.errors import listed
from ..model.names import is_own, parse_role_arn
from ..model.observed import Observed
from ..model.targets import role_target

_SHOWN = 10


def find_left_behind(desired: Desired, observed: Observed, changes: Sequence[Change]) -> list[Finding]:
    """Report unlisted roles that lost an association by the changes, if they are own or could not be read."""
    if desired.purge is not None:
        return []
    names = {
        workload.role.name.lower()
        for workload in (*desired.workloads, *desired.unselected.values())
        if workload.role
    }
    moved: dict[str, list[WorkloadKey]] = {}
    for change in changes:
        role_arn = (change.before or {}).get("role_arn")
        if change.target.resource == "association" and isinstance(role_arn, str):
            moved.setdefault(role_arn.lower(), []).append(change.workloads[0])
    return [
        finding
        for arn, keys in sorted(moved.items())
        if (parts := parse_role_arn(arn)) is not None and parts.name.lower() not in names
        if (finding := _left_role(desired, observed, arn, parts.name.lower(), keys)) is not None
    ]


def _left_role(
    desired: Desired, observed: Observed, arn: str, name: str, keys: Sequence[WorkloadKey]
) -> Finding | None:
    text = f"no longer used by {listed(map(str, keys), _SHOWN)}."
    if (failure := observed.unread.get(role_target(name))) is not None:
        error = failure.error
        return Finding(
            Code.RESOURCE_KEPT,
            f"role {arn} is {text} It could not be read, so its trust policy may still allow these workloads: {error.operation}: "
            f"{error.code}: {error.text}",
            f"{error.remedy} A later run with ⟨purge⟩: true removes their statements.",
            keys[0],
        )
    role = observed.former_roles.get(name)
    if role is None or not is_own(role.tags, desired.options.owner):
        return None
    return Finding(
        Code.RESOURCE_KEPT,
        f"role {role.arn} is {text} It is kept, with its policies.",
        "Restart the Pods that may still hold its credentials. A later run for this cluster alone with ⟨purge⟩: true removes the "
        "role if it is unused.",
        keys[0],
        raised_as="info",
    )
