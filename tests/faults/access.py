# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Determine the permissions of workloads without the code of the collection. Only the policies of ``world.py`` are supported."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.workload_identity.aws.tests.faults.world import ACCOUNT, CLUSTER, REGION

Facets = dict[tuple[str, str], Any]

# Two policies of ``world.py`` that differ also differ in at least one of these actions.
PROBES = (
    "s3:GetObject",
    "s3:ListBucket",
    "sqs:SendMessage",
    "sqs:DeleteQueue",
    "sns:Publish",
    "ec2:RunInstances",
)


def workload_access(facets: Facets) -> dict[str, frozenset[str]]:
    """Return the permissions of each workload with an association: actions and AWS managed policies, or only the target role."""
    return {name: _access(facets, value) for (kind, name), value in facets.items() if kind == "association"}


def lost_access(initial: Facets, goal: Facets, found: Facets) -> dict[str, list[str]]:
    """Return the permissions that workloads have lost, although they have them in both the initial and the goal state."""
    old, expected, now = workload_access(initial), workload_access(goal), workload_access(found)
    lost = {
        name: sorted((old[name] & expected[name]) - now.get(name, frozenset()))
        for name in old.keys() & expected.keys()
    }
    return {name: missing for name, missing in lost.items() if missing}


def missing_access(name: str, goal: Facets, found: Facets) -> list[str]:
    """Return the permissions that a workload has in the goal state, but not in ``found``."""
    return sorted(
        workload_access(goal).get(name, frozenset()) - workload_access(found).get(name, frozenset())
    )


def _access(facets: Facets, association: Mapping[str, Any]) -> frozenset[str]:
    role = association["roleArn"].rpartition("/")[2]
    trust = facets.get(("trust_policy", role))
    if trust is None or not _admits_workload(trust, association):
        return frozenset()
    if association.get("targetRoleArn"):
        return frozenset({association["targetRoleArn"]})
    attached = [
        name.split(" ")[1] for kind, name in facets if kind == "attachment" and name.split(" ")[0] == role
    ]
    documents = [_default_version(facets, arn) for arn in attached if ("policy", arn) in facets]
    allowed = {action for action in PROBES if any(_allows(document, action) for document in documents)}
    boundary = facets["role", role].get("PermissionsBoundary")
    if boundary:
        arn = boundary["PermissionsBoundaryArn"] if isinstance(boundary, Mapping) else boundary
        allowed = {action for action in allowed if _allows(_default_version(facets, arn), action)}
    if association.get("policy"):
        allowed = {action for action in allowed if _allows(_parsed(association["policy"]), action)}
    return frozenset(allowed) | {arn for arn in attached if ":aws:policy/" in arn}


def _admits_workload(trust: Mapping[str, Any], association: Mapping[str, Any]) -> bool:
    context = {
        "aws:SourceAccount": ACCOUNT,
        "aws:SourceArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{CLUSTER}",
    }
    if not association.get("disableSessionTags"):
        context |= {
            "aws:RequestTag/eks-cluster-arn": context["aws:SourceArn"],
            "aws:RequestTag/eks-cluster-name": CLUSTER,
            "aws:RequestTag/kubernetes-namespace": association["namespace"],
            "aws:RequestTag/kubernetes-service-account": association["serviceAccount"],
        }
    return any(admits(statement, context) for statement in trust["Statement"])


def admits(statement: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    principal = statement.get("Principal", {})
    if statement["Effect"] != "Allow" or "pods.eks.amazonaws.com" not in _list(principal.get("Service")):
        return False
    for conditions in statement.get("Condition", {}).values():
        for key, patterns in conditions.items():
            if not any(fnmatchcase(context.get(key, ""), pattern) for pattern in _list(patterns)):
                return False
    return True


def _default_version(facets: Facets, arn: str) -> Mapping[str, Any]:
    policy = facets["policy", arn]
    document: Mapping[str, Any] = policy["Versions"][policy["DefaultVersionId"]]
    return document


def _allows(document: Mapping[str, Any], action: str) -> bool:
    return any(
        statement["Effect"] == "Allow"
        and any(fnmatchcase(action, pattern) for pattern in _list(statement["Action"]))
        for statement in document["Statement"]
    )


def _parsed(document: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(document) if isinstance(document, str) else document
    return found


def _list(value: Any) -> Iterable[str]:
    return [value] if isinstance(value, str) else (value or ())
