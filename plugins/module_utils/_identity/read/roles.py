# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read one role as a plan needs it. Source: iam GetRole, ListAttachedRolePolicies.

For a removal also ListRolePolicies, ListInstanceProfilesForRole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._aws.client import Api
from ..model.cluster import Account
from ..model.desired import RoleSpec
from ..model.names import parse_role_arn
from ..model.observed import ObservedRole
from .decode import decode_role
from .looks import read_whole

# Requests that tell all that the removal of a role has to know.
REMOVAL_READS = 4


def read_role(api: Api, account: Account, spec: RoleSpec, removal: bool) -> ObservedRole | None:
    """The role; None when it does not exist in the account. Raises AwsError."""
    if spec.arn is not None:
        parts = parse_role_arn(spec.arn)
        if parts is not None and parts.account_id != account.account_id:
            return None
    request = {"RoleName": spec.name}

    def list_attached() -> list[Any]:
        return list(api.pages("iam", "ListAttachedRolePolicies", request, "AttachedPolicies"))

    def rest(raw: Mapping[str, Any]) -> ObservedRole:
        role = decode_role(raw, list_attached())
        return _with_contents(api, role, spec.name) if removal and role.owned else role

    # A removal that is told "it does not exist" ends with that; a converge finds out when it creates it.
    witness = list_attached if removal else None
    return read_whole(lambda: api.call("iam", "GetRole", request)["Role"], rest, witness)


def _with_contents(api: Api, role: ObservedRole, name: str) -> ObservedRole:
    """The role with what else keeps it from being deleted."""
    request = {"RoleName": name}
    inline = api.pages("iam", "ListRolePolicies", request, "PolicyNames")
    profiles = api.pages("iam", "ListInstanceProfilesForRole", request, "InstanceProfiles")
    names = tuple(str(profile["InstanceProfileName"]) for profile in profiles)
    return replace(role, inline=tuple(inline), instance_profiles=names)
