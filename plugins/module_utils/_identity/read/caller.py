# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Simulate with IAM whether the caller is allowed to send the requests of a run that applies the workloads.

Sources: iam GetRole, SimulatePrincipalPolicy. The simulation considers the caller's own policies, permissions boundary and
service control policies, but no session policies. So AWS may deny a request that the simulation allows.
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
from ..model.resource_types import READ_TYPES, RESOURCE_TYPES

# The maximum number of resources in one simulation, to keep the check fast.
MAX_RESOURCES = 5


@dataclass(frozen=True, slots=True)
class SimulationRequest:
    """A simulation of actions on resources. ``context`` has the values of condition keys."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    context: Mapping[str, str]


def simulation_requests(desired: Desired, cluster: Cluster) -> list[SimulationRequest]:
    """Return the simulations of the requests with which a run applies the desired workloads. Pure."""
    specs = (workload.role for workload in desired.workloads)
    roles = dict.fromkeys(cluster.account.role_arn(spec) for spec in specs if spec is not None)
    requests = [SimulationRequest(("iam:PassRole",), tuple(roles), {"iam:PassedToService": SERVICE})]
    for read_type in READ_TYPES:
        parts = (part for part in RESOURCE_TYPES if part.collection == read_type.collection)
        actions = tuple(action for part in parts for action in part.actions)
        requests.append(SimulationRequest(actions, tuple(read_type.created_arns(desired, cluster)), {}))
    return [
        replace(request, resources=request.resources[:MAX_RESOURCES])
        for request in requests
        if request.resources
    ]


def check_caller(api: Api, desired: Desired, cluster: Cluster, width: int) -> list[Finding]:
    """Return a finding for each simulation with denied actions, or one finding if a request fails."""
    try:
        source = _principal(api, cluster.caller_arn)
        if not source:
            return []
        results = map_concurrently(
            lambda request: _denied(api, source, request), simulation_requests(desired, cluster), width
        )
    except AwsError as error:
        return [
            Finding(
                Code.CALLER_PERMISSION_UNKNOWN,
                f"the permissions of {cluster.caller_arn} to apply the workloads could not be checked: {error}",
                "Allow the caller iam:SimulatePrincipalPolicy and iam:GetRole on itself to enable this check."
                if error.denied
                else error.remedy,
            )
        ]
    return [_missing(cluster.caller_arn, denied) for denied in results if denied]


def _principal(api: Api, caller_arn: str) -> str:
    """Return the ARN of the user or role of the caller; "" for the root user, which IAM cannot simulate."""
    if caller_arn.endswith(":root"):
        return ""
    session = re.fullmatch(r"arn:[\w-]+:sts::\d{12}:assumed-role/([^/]+)/.*", caller_arn)
    if session is None:
        return caller_arn
    return str(api.call("iam", "GetRole", {"RoleName": session.group(1)})["Role"]["Arn"])


def _denied(api: Api, source: str, request: SimulationRequest) -> list[tuple[str, str]]:
    parameters: dict[str, Any] = {
        "PolicySourceArn": source,
        "ActionNames": list(request.actions),
        "ResourceArns": list(request.resources),
        "ContextEntries": [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in request.context.items()
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
        f"Allow the caller these actions on these resources{condition}; docs/iam-permissions.md has the complete policy.",
    )
