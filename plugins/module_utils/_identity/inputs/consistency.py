# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Whether the workloads of one run define what they share alike. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..._findings.finding import WorkloadKey
from ..model.desired import PolicySpec, RoleSpec, Workload, differing_field
from ..model.errors import Problems


@dataclass(frozen=True, slots=True)
class _Definer:
    """A workload and the place where it was written."""

    key: WorkloadKey
    place: str

    @property
    def label(self) -> str:
        return f"workload {self.key} ({self.place})"


def validate_consistency(workloads: Sequence[Workload], problems: Problems, places: Sequence[str]) -> None:
    """Report a service account listed twice, and a role or policy that two workloads define apart.

    ``places`` says where each workload was written.
    """
    keys: dict[WorkloadKey, str] = {}
    roles: dict[str, tuple[_Definer, RoleSpec]] = {}
    policies: dict[str, tuple[_Definer, PolicySpec]] = {}
    for workload, place in zip(workloads, places, strict=True):
        if workload.key in keys:
            problems.add(
                f"workload {workload.key}",
                f"is listed twice, in {keys[workload.key]} and in {place}; a service account has one "
                "association.",
            )
        else:
            keys[workload.key] = place
        definer = _Definer(workload.key, place)
        if workload.role is not None:
            # IAM compares the names of roles without regard to case.
            first, role = roles.setdefault(workload.role.name.lower(), (definer, workload.role))
            _compare("role", first, role, definer, workload.role, problems)
        for spec in workload.policies:
            if spec.arn is None:
                first, policy = policies.setdefault(spec.name.lower(), (definer, spec))
                _compare("policy", first, policy, definer, spec, problems)


def _compare(
    kind: str,
    first: _Definer,
    definition: RoleSpec | PolicySpec,
    second: _Definer,
    other: RoleSpec | PolicySpec,
    problems: Problems,
) -> None:
    field = differing_field(definition, other)
    if field == "name":
        problems.add(
            second.label,
            f"defines {kind} '{other.name}', and {first.label} '{definition.name}': IAM has no two names that differ in "
            "letter case alone; write both alike, or give one another name.",
        )
    elif field:
        problems.add(
            second.label,
            f"defines {kind} '{other.name}' with another {field} than "
            f"{first.label} does; give both the same definition, or the {kind} another name.",
        )
