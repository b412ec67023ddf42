# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Which Pods to restart, and what that takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..._findings.codes import Code
from .owners import restart
from .pod_checks import stale
from .pods import parse_time, shown_time
from .reads import Row, state_of, verification_of


def restarts(result: Row, reads: Mapping[str, Row], now: datetime, settle: int = 15) -> dict[str, Any]:
    """What a restart of stale Pods takes.

    Keys: ``definitions`` (patches for kubernetes.core.k8s), ``names`` of the owners, ``unmanaged`` (Pods
    that no restart reaches), ``wait`` (seconds until the youngest association is ``settle`` seconds old:
    the webhook learns of it with a delay, and a Pod admitted earlier would be stale again).

    A workload that is not right in AWS is left alone: new Pods would not get the role either.
    """
    verification = verification_of(result)
    rows = _right_in_aws(verification)
    owners, others = stale(rows, state_of(verification, reads, now))
    youngest = max(
        (
            created
            for row in rows
            if owners and (created := parse_time(row["association_created_at"])) is not None
        ),
        default=None,
    )
    wait = settle - (now - youngest).total_seconds() if youngest else 0
    return {
        "definitions": [restart(owner, shown_time(now)) for owner in owners],
        "names": [f"{owner.kind} {owner.namespace}/{owner.name}" for owner in owners],
        "unmanaged": sorted({f"{one.pod.namespace}/{one.pod.name}" for one in others}),
        "wait": int(min(max(wait, 0), settle)),
    }


def _right_in_aws(verification: Row) -> list[Row]:
    return [
        row
        for row in verification.get("workloads", ())
        if row["association_id"] and not any(map(_stands_in_the_way, row.get("checks", ())))
    ]


def _stands_in_the_way(check: Row) -> bool:
    """An agent that is no add-on of EKS is judged by what is seen in the cluster."""
    return check["status"] in ("fail", "unknown") and list(check.get("codes", ())) != [
        Code.AGENT_ADDON_MISSING
    ]
