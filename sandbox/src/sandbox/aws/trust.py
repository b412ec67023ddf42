# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What EKS asks of a role before it accepts it for an association.

EKS looks for Allow statements that name its service and, together, both actions. It does not
weigh conditions or denials: those are met when a Pod asks for credentials.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

from sandbox.aws.iam_documents import as_list

POD_IDENTITY_SERVICE = "pods.eks.amazonaws.com"
CLUSTER_SERVICE = "eks.amazonaws.com"
NEEDED_ACTIONS = ("sts:assumerole", "sts:tagsession")


def trusts_pod_identity(document: str) -> bool:
    """Whether the trust policy lets EKS Pod Identity assume the role and tag the session."""
    return trusts(document, POD_IDENTITY_SERVICE, NEEDED_ACTIONS)


def trusts(document: str, service: str, actions: tuple[str, ...]) -> bool:
    """Whether the statements that name the service together allow the actions, given in lower case."""
    policy: Any = json.loads(document)
    granted = {
        needed
        for statement in as_list(policy["Statement"])
        if statement["Effect"] == "Allow" and _names(statement.get("Principal"), service)
        for action in as_list(statement.get("Action", []))
        for needed in actions
        if fnmatchcase(needed, action.lower())
    }
    return granted == set(actions)


def _names(principal: Any, service: str) -> bool:
    if not isinstance(principal, dict):
        return False
    return service in as_list(principal.get("Service", []))
