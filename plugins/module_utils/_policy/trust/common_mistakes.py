# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What people write when they mean EKS Pod Identity, and what they leave behind."""

from __future__ import annotations

import difflib

from ..evaluation.request import SERVICE
from ..language.document import Statement

# Services of EKS that are easily taken for the one of Pod Identity.
_KIN = (
    "eks.amazonaws.com",
    "eks-auth.amazonaws.com",
    "eks-fargate-pods.amazonaws.com",
    "eks-pods.amazonaws.com",
    "eks-nodegroup.amazonaws.com",
)
_WEB_IDENTITY = "sts:assumerolewithwebidentity"


def lookalikes(statement: Statement) -> tuple[str, ...]:
    """The services of a statement that are near to, but not, the one of EKS Pod Identity."""
    return tuple(
        value
        for kind, value in statement.principals or ()
        if kind == "Service" and value != SERVICE and _alike(value)
    )


def is_irsa(statement: Statement) -> bool:
    """Whether a statement lets IAM roles for service accounts in."""
    federated = [value for kind, value in statement.principals or () if kind == "Federated"]
    return bool(federated) and (
        any("oidc" in value.lower() for value in federated)
        or any(action.lower() == _WEB_IDENTITY for action in statement.actions)
    )


def _alike(value: str) -> bool:
    name = value[:128].lower().strip()
    return (
        name in _KIN
        or name.startswith("pods.eks.")
        or difflib.SequenceMatcher(None, name, SERVICE).ratio() > 0.85
    )
