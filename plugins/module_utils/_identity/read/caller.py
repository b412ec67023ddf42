# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Is the caller allowed to send the requests of an apply? Simulated by IAM.

Source: iam SimulatePrincipalPolicy. It evaluates the caller's own policies and boundary, and service control policies,
but no session policies: "allowed" is probable, "denied" is certain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..._aws.client import Api
from ..._aws.transport import map_concurrently
from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..._policy.evaluation.request import SERVICE
from ..model.cluster import Cluster
from ..model.desired import Desired
from ..model.errors import AwsError
from ..model.shared import shared_policies

# Resources of a kind that are asked about; more would only make the answer slower.
ASKED = 5


@dataclass(frozen=True, slots=True)
class CallerQuestion:
    """Actions on resources, with condition keys of the request."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    context: Mapping[str, str]


def questions(desired: Desired, cluster: Cluster) -> list[CallerQuestion]:
    """What applying these workloads takes. Pure."""
    roles = {
        cluster.account.role_arn(workload.role): workload.role.existing
        for workload in desired.workloads
        if workload.role is not None
    }
    managed = [arn for arn, existing in roles.items() if not existing]
    policies = [
        arn
        for arn, (spec, _users) in shared_policies(cluster.account, desired.workloads).items()
        if spec.document is not None
    ]
    kinds = [
        CallerQuestion(
            (
                "eks:CreatePodIdentityAssociation",
                "eks:ListPodIdentityAssociations",
                "eks:DescribeCluster",
            ),
            (cluster.arn,),
            {},
        ),
        CallerQuestion(("iam:PassRole",), tuple(roles), {"iam:PassedToService": SERVICE}),
        CallerQuestion(
            ("iam:CreateRole", "iam:GetRole", "iam:UpdateAssumeRolePolicy", "iam:AttachRolePolicy"),
            tuple(managed),
            {},
        ),
        CallerQuestion(("iam:CreatePolicy", "iam:GetPolicy", "iam:CreatePolicyVersion"), tuple(policies), {}),
    ]
    return [replace(kind, resources=kind.resources[:ASKED]) for kind in kinds if kind.resources]


def check_caller(api: Api, desired: Desired, cluster: Cluster, width: int) -> list[Finding]:
    """A finding for each group of actions that the caller is not allowed to perform, or one that this is not known."""
    try:
        source = _principal(api, cluster.caller_arn)
        if not source:
            return []
        answers = map_concurrently(
            lambda question: _denied(api, source, question), questions(desired, cluster), width
        )
    except AwsError as error:
        return [
            Finding(
                Code.CALLER_PERMISSION_UNKNOWN,
                f"it is not known whether {cluster.caller_arn} is allowed to apply the workloads: {error}",
                "Allow the caller iam:SimulatePrincipalPolicy and iam:GetRole on itself to have this checked.",
            )
        ]
    return [_missing(cluster.caller_arn, denied) for denied in answers if denied]


def _principal(api: Api, caller_arn: str) -> str:
    """The user or role behind the caller; empty for the account's root, which is allowed to do everything."""
    if caller_arn.endswith(":root"):
        return ""
    session = re.fullmatch(r"arn:[\w-]+:sts::\d{12}:assumed-role/([^/]+)/.*", caller_arn)
    if session is None:
        return caller_arn
    return str(api.call("iam", "GetRole", {"RoleName": session.group(1)})["Role"]["Arn"])


def _denied(api: Api, source: str, question: CallerQuestion) -> list[tuple[str, str]]:
    parameters: dict[str, Any] = {
        "PolicySourceArn": source,
        "ActionNames": list(question.actions),
        "ResourceArns": list(question.resources),
        "ContextEntries": [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in question.context.items()
        ],
    }
    results = api.pages("iam", "SimulatePrincipalPolicy", parameters, "EvaluationResults")
    return [
        (str(result["EvalActionName"]), str(result.get("EvalResourceName", "*")))
        for result in results
        if result["EvalDecision"] != "allowed"
    ]


def _missing(caller_arn: str, denied: Sequence[tuple[str, str]]) -> Finding:
    actions = sorted({action for action, _resource in denied})
    resources = sorted({resource for _action, resource in denied})
    condition = (
        f" with the condition StringEquals iam:PassedToService {SERVICE}" if "iam:PassRole" in actions else ""
    )
    return Finding(
        Code.CALLER_PERMISSION_MISSING,
        f"{caller_arn} is not allowed to perform {', '.join(actions)} on {', '.join(resources)}.",
        f"Allow the caller these actions there{condition}; docs/iam-permissions.md has the whole policy.",
    )
