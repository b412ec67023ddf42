# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Report managed roles that a run without purge leaves unused. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..model.changes import Change
from ..model.desired import Desired
from ..model.errors import listed
from ..model.names import is_own, parse_role_arn
from ..model.observed import Observed

_SHOWN = 10


def find_left_behind(desired: Desired, observed: Observed, changes: Sequence[Change]) -> list[Finding]:
    """Report own roles from which the changes moved an association."""
    if desired.purge is not None:
        return []
    moved: dict[str, list[WorkloadKey]] = {}
    for change in changes:
        role_arn = (change.before or {}).get("role_arn")
        if change.target.resource == "association" and isinstance(role_arn, str) and change.after:
            moved.setdefault(role_arn.lower(), []).append(change.workloads[0])
    findings = []
    for arn, keys in sorted(moved.items()):
        parts = parse_role_arn(arn)
        role = observed.former_roles.get(parts.name.lower()) if parts is not None else None
        if role is not None and is_own(role.tags, desired.options.owner):
            findings.append(
                Finding(
                    Code.RESOURCE_KEPT,
                    f"role {role.arn} is no longer used by {listed(map(str, keys), _SHOWN)}. It is kept, with its policies.",
                    "Restart the Pods that may still hold its credentials. A later run for this cluster alone with ⟨purge⟩: "
                    "true removes the role if nobody uses it.",
                    keys[0],
                    raised_as="info",
                )
            )
    return findings
