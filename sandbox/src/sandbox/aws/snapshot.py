# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Export the resources of an account as data for JSON, so that tests can inspect them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sandbox.aws.model.accounts import Account
from sandbox.aws.model.roles import AWS_MANAGED, policy_path, tag_list


def snapshot(account: Account) -> Any:
    """Return the roles, policies, clusters, add-ons and associations of an account.

    Each kind is a mapping. The keys are names or ARNs in IAM, and ``<region>/<cluster>[/…]`` in EKS. Roles include
    their attachments.
    """
    iam, regions = account.iam, sorted(account.regions.items())
    policies = {arn: policy for arn, policy in iam.policies.items() if not arn.startswith(AWS_MANAGED)}
    associations = [
        (f"{region}/{record['clusterName']}/{record['namespace']}/{record['serviceAccount']}", record)
        for region, eks in regions
        for record in eks.associations.values()
    ]
    return _plain(
        {
            "roles": {role["RoleName"]: _role(role) for _, role in sorted(iam.roles.items())},
            "policies": {arn: _policy(arn, policy) for arn, policy in sorted(policies.items())},
            "clusters": {
                f"{region}/{name}": record
                for region, eks in regions
                for name, record in sorted(eks.clusters.items())
            },
            "addons": {
                f"{region}/{cluster}/{name}": record
                for region, eks in regions
                for (cluster, name), record in sorted(eks.addons.items())
            },
            "associations": dict(sorted(associations, key=lambda pair: pair[0])),
        }
    )


def _role(role: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{key: role[key] for key in ("RoleName", "Arn", "RoleId", "CreateDate", "Path")},
        "AssumeRolePolicyDocument": role["trust"],
        "Description": role["description"] or None,
        "MaxSessionDuration": role["duration"],
        "PermissionsBoundary": role["boundary"] or None,
        "AttachedPolicies": list(role["attached"]),
        "InlinePolicies": dict(role["inline"]),
        "Tags": tag_list(role["tags"]),
    }


def _policy(arn: str, policy: Mapping[str, Any]) -> dict[str, Any]:
    versions = {
        version: {
            "VersionId": version,
            "Document": json.dumps(document),
            "IsDefaultVersion": version == policy["default"],
            "CreateDate": policy["made"][version],
        }
        for version, document in policy["versions"].items()
    }
    return {
        "PolicyName": arn.rpartition("/")[2],
        "PolicyId": policy["id"],
        "Arn": arn,
        "Path": policy_path(arn).replace("//", "/"),
        "DefaultVersionId": policy["default"],
        "Description": policy["description"],
        "UpdateDate": policy["updated"],
        "Tags": tag_list(policy["tags"]),
        "Versions": versions,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value
