# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account holds, as JSON data that two moments can be compared by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.aws.eks_state import public
from sandbox.aws.overlay import Overlay


def snapshot(overlay: Overlay, account: str) -> Mapping[str, Any]:
    """Roles, policies, instance profiles, clusters, add-ons and associations of one account.

    Regional resources are keyed ``<region>/<cluster>[/…]``. Attachments are in the roles.
    """
    stock = overlay.stock
    return {
        "roles": dict(sorted(stock.roles.items(account))),
        "policies": dict(sorted(stock.policies.items(account))),
        "instance_profiles": dict(sorted(stock.instance_profiles.items(account))),
        "clusters": {
            f"{region}/{name}": public(record)
            for (owner, region, name), record in sorted(stock.clusters.everything())
            if owner == account
        },
        "addons": {
            f"{region}/{name}": public(record)
            for (owner, region, name), record in sorted(stock.addons.everything())
            if owner == account
        },
        "associations": {
            f"{region}/{cluster}/{record['namespace']}/{record['serviceAccount']}": public(record)
            for (owner, region, cluster), known in sorted(overlay.eks_state.all_associations())
            if owner == account
            for record in sorted(known.by_id.values(), key=lambda r: (r["namespace"], r["serviceAccount"]))
        },
    }
