# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trust policy check of EKS for the role of an association.

Allow statements for its service must allow both actions. Conditions and denials are evaluated only when a Pod
requests credentials.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

from sandbox.aws.iam_documents import as_list

POD_IDENTITY_SERVICE = "pods.eks.amazonaws.com"
CLUSTER_SERVICE = "eks.amazonaws.com"
REQUIRED_ACTIONS = ("sts:assumerole", "sts:tagsession")


def trusts_pod_identity(document: str) -> bool:
    """Return whether EKS Pod Identity may assume the role and tag the session."""
    return trusts(document, POD_IDENTITY_SERVICE, REQUIRED_ACTIONS)


def trusts(document: str, service: str, actions: tuple[str, ...]) -> bool:
    """Return whether the statements for the service together allow the (lower case) actions."""
    policy: Any = json.loads(document)
    granted = {
        required
        for statement in as_list(policy["Statement"])
        if statement["Effect"] == "Allow" and _names(statement.get("Principal"), service)
        for action in as_list(statement.get("Action", []))
        for required in actions
        if fnmatchcase(required, action.lower())
    }
    return granted == set(actions)


def _names(principal: Any, service: str) -> bool:
    if not isinstance(principal, dict):
        return False
    return service in as_list(principal.get("Service", []))
