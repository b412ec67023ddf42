# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Export the resources of an account as data for JSON, so that tests can inspect them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.aws.eks_state import public
from sandbox.aws.overlay import Overlay


def snapshot(overlay: Overlay, account: str) -> Mapping[str, Any]:
    """Return the roles, policies, instance profiles, clusters, add-ons and associations of an account.

    Each kind is a mapping. The keys are names or ARNs in IAM, and ``<region>/<cluster>[/…]`` in EKS. Roles include
    their attachments.
    """
    ministack = overlay.ministack
    return {
        "roles": dict(sorted(ministack.roles.items(account))),
        "policies": dict(sorted(ministack.policies.items(account))),
        "instance_profiles": dict(sorted(ministack.instance_profiles.items(account))),
        "clusters": {
            f"{region}/{name}": public(record)
            for (owner, region, name), record in sorted(ministack.clusters.everything())
            if owner == account
        },
        "addons": {
            f"{region}/{name}": public(record)
            for (owner, region, name), record in sorted(ministack.addons.everything())
            if owner == account
        },
        "associations": {
            f"{region}/{cluster}/{record['namespace']}/{record['serviceAccount']}": public(record)
            for (owner, region, cluster), associations in sorted(overlay.eks_state.all_associations())
            if owner == account
            for record in sorted(
                associations.by_id.values(), key=lambda r: (r["namespace"], r["serviceAccount"])
            )
        },
    }
