# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build a cluster as the inventory finds it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.accounts import (
    AgentAddon,
    FoundCluster,
)

_BLUE = FoundCluster(
    arn="",
    name="blue",
    account_id="111122223333",
    region="eu-central-1",
    partition="aws",
    status="ACTIVE",
    version="1.33",
    platform_version="eks.9",
    endpoint="https://blue.example",
    certificate_authority_data="Q0E=",
    auto_mode=False,
    tags={},
    agent=AgentAddon(True, "ACTIVE", "v1.3.8"),
    role=None,
)


def found(**changes: Any) -> FoundCluster:
    """Return the cluster blue with changed fields. Its ARN matches the changes."""
    cluster = replace(_BLUE, **changes)
    arn = f"arn:aws:eks:{cluster.region}:{cluster.account_id}:cluster/{cluster.name}"
    return replace(cluster, arn=arn)
