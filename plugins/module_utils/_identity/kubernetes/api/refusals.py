# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What Kubernetes refused, as rows of a result. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ...._findings.codes import Code
from ...model.messages import sentence
from ...model.rows import FailureRow
from ..model.objects import Object, name_of
from .api_errors import ApiError

AGAIN = "Resolve that and run again, which takes up only what is missing."
CONFLICT = (
    "Have the other field manager leave that field (its own manifests or values), or leave it out of the workload. "
    "pod_identity_force_conflicts: true takes it over."
)
ALLOW = "For a 403, allow it to the caller: docs/iam-permissions.md has the manifests. Then run again."


def list_rules(resources: Iterable[str]) -> str:
    """Spell the RBAC rules that allow resources such as "jobs.batch" to be listed."""
    groups: dict[str, list[str]] = {}
    for resource in resources:
        name, _dot, group = resource.partition(".")
        groups.setdefault(group, []).append(name)
    return "; ".join(
        f'apiGroups: ["{group}"], resources: [{", ".join(names)}], verbs: [list]'
        for group, names in groups.items()
    )


def refusal(
    manifest: Object, action: str, reason: ApiError, workload: str = "", remedy: str = AGAIN
) -> FailureRow:
    """``workload`` is the one that misses the object; "" when that is not one alone."""
    return refusal_of(str(manifest["kind"]), str(name_of(manifest)), action, reason, workload, remedy)


def refusal_of(
    kind: str, name: str, action: str, reason: ApiError, workload: str = "", remedy: str = AGAIN
) -> FailureRow:
    if reason.status == 409 and "conflict with" in reason.text:
        remedy = CONFLICT
    answer = f"Kubernetes answered {reason.status}: " if reason.status else ""
    return {
        "workload": workload,
        "resource": kind,
        "name": name,
        "action": action,
        "error_code": Code.KUBERNETES_REFUSED.value,
        "message": f"{answer}{sentence(reason.text)}",
        "remedy": remedy,
    }
