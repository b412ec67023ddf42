# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read one managed policy as a plan needs it. Source: iam GetPolicy, GetPolicyVersion, ListPolicyVersions.

For a removal, and for some changes, also ListEntitiesForPolicy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..._aws.client import Api, answers_by_page
from ..._policy.language.canonical import same_meaning
from ..._policy.language.text import Document, load
from ..model.cluster import Account
from ..model.desired import PolicySpec
from ..model.observed import ObservedPolicy
from .decode import decode_policy, decode_version
from .looks import read_whole


def read_policy(api: Api, account: Account, spec: PolicySpec, removal: bool = False) -> ObservedPolicy | None:
    """The policy, with its default version's document when ``spec`` has one to compare; None when it does
    not exist. Raises AwsError."""
    request = {"PolicyArn": account.policy_arn(spec)}

    def rest(policy: ObservedPolicy) -> ObservedPolicy:
        if removal:
            return read_policy_users(api, _with_versions(api, policy)) if policy.owned else policy
        if spec.document is None:
            return policy
        version = {**request, "VersionId": policy.default_version}
        answer = api.call("iam", "GetPolicyVersion", version)["PolicyVersion"]
        policy = replace(policy, document=load(answer["Document"]))
        same = same_meaning(policy.document, spec.document, "identity")
        return policy if same else _with_versions(api, policy)

    def list_versions() -> list[Any]:
        return list(api.pages("iam", "ListPolicyVersions", request, "Versions"))

    # A removal that is told "it does not exist" ends with that; a converge finds out when it creates it.
    witness = list_versions if removal else None
    return read_whole(lambda: decode_policy(api.call("iam", "GetPolicy", request)["Policy"]), rest, witness)


def read_document(api: Api, arn: str, version: str = "") -> Document:
    """Return the default version of a policy, whose ID is asked for where it is not known. Raises AwsError."""
    if not version:
        version = str(api.call("iam", "GetPolicy", {"PolicyArn": arn})["Policy"]["DefaultVersionId"])
    answer = api.call("iam", "GetPolicyVersion", {"PolicyArn": arn, "VersionId": version})
    return load(answer["PolicyVersion"]["Document"])


def read_policy_users(api: Api, policy: ObservedPolicy) -> ObservedPolicy:
    """Return the policy with the entities that have it attached, or as their boundary. Raises AwsError."""
    users: list[str] = []
    for page in answers_by_page(api, "iam", "ListEntitiesForPolicy", {"PolicyArn": policy.arn}):
        for kind in ("Role", "User", "Group"):
            users += [f"{kind.lower()} {entity[f'{kind}Name']}" for entity in page.get(f"Policy{kind}s", ())]
    return replace(policy, attached_to=tuple(users))


def _with_versions(api: Api, policy: ObservedPolicy) -> ObservedPolicy:
    versions = api.pages("iam", "ListPolicyVersions", {"PolicyArn": policy.arn}, "Versions")
    return replace(policy, versions=tuple(map(decode_version, versions)))
