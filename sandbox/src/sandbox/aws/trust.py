# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the trust policy of a role as EKS does when a request sets the role of an association.

The Allow statements for EKS Pod Identity must allow sts:AssumeRole and sts:TagSession. Conditions and Deny
statements are not evaluated until a Pod requests credentials.
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
    """Return whether a trust policy allows EKS Pod Identity to assume the role and to tag the session."""
    return trusts(document, POD_IDENTITY_SERVICE, REQUIRED_ACTIONS)


def trusts(document: str, service: str, actions: tuple[str, ...]) -> bool:
    """Return whether the Allow statements for a service together allow all ``actions``. ``actions`` are in lower case."""
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
