# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Checks of the cluster: can it serve EKS Pod Identity at all? Pure.

Sources: EKS User Guide, "Learn how EKS Pod Identity grants Pods access to AWS services" (cluster
versions), "Set up the Amazon EKS Pod Identity Agent", "Automate cluster infrastructure with EKS Auto
Mode" (where the agent is built in).
"""

from __future__ import annotations

import re

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..model.checks import PASS, Check, conclude, conclude_unread
from ..model.cluster import Cluster
from ..model.observed import Agent, ReadFailure, VerificationReads

# The first platform version with EKS Pod Identity; later Kubernetes versions have it from the start.
PLATFORM_FLOORS = {"1.24": 13, "1.25": 10, "1.26": 9, "1.27": 8, "1.28": 4}
NAME = "agent"
_WORKING = ("ACTIVE", "UPDATING", "CREATING")


def check_agent(cluster: Cluster, reads: VerificationReads) -> Check:
    """The same for every workload of the cluster; its findings name no workload."""
    too_old = _platform(cluster)
    if too_old is not None:
        return too_old
    agent = reads.agents[cluster.key]
    if isinstance(agent, ReadFailure):
        return Check(NAME, PASS, "auto mode") if cluster.auto_mode else conclude_unread(NAME, agent)
    if cluster.auto_mode:
        return _auto_mode(cluster, agent)
    if not agent.status:
        return conclude(
            NAME,
            Finding(
                Code.AGENT_ADDON_MISSING,
                f"cluster {cluster.name} has neither the EKS add-on eks-pod-identity-agent nor EKS Auto Mode.",
                "An agent that was installed by other means is found in the cluster. To install the add-on: aws eks "
                f"create-addon --cluster-name {cluster.name} --addon-name eks-pod-identity-agent",
            ),
        )
    if agent.status not in _WORKING or agent.issues:
        why = "; ".join(agent.issues) or "EKS gives no reason"
        return conclude(
            NAME,
            Finding(
                Code.AGENT_ADDON_DEGRADED,
                f"the add-on eks-pod-identity-agent of cluster {cluster.name} is {agent.status}: {why}.",
                "Resolve what the add-on's health names. To see it again: aws eks describe-addon --cluster-name "
                f"{cluster.name} --addon-name eks-pod-identity-agent",
            ),
        )
    return Check(NAME, PASS, agent.version.partition("-")[0])


def _auto_mode(cluster: Cluster, agent: Agent) -> Check:
    if not agent.status:
        return Check(NAME, PASS, "auto mode")
    return conclude(
        NAME,
        Finding(
            Code.AGENT_ADDON_WITH_AUTO_MODE,
            f"cluster {cluster.name} runs EKS Auto Mode, which has the agent built in, and the add-on "
            "eks-pod-identity-agent as well.",
            f"Remove the add-on if all nodes are of Auto Mode: aws eks delete-addon --cluster-name "
            f"{cluster.name} --addon-name eks-pod-identity-agent",
        ),
    )


def _platform(cluster: Cluster) -> Check | None:
    floor = PLATFORM_FLOORS.get(cluster.version)
    version = re.fullmatch(r"eks\.(\d+)", cluster.platform_version)
    if floor is None or version is None or int(version.group(1)) >= floor:
        return None
    return conclude(
        NAME,
        Finding(
            Code.CLUSTER_PLATFORM_TOO_OLD,
            f"cluster {cluster.name} has Kubernetes {cluster.version} at platform version "
            f"{cluster.platform_version}; EKS Pod Identity needs eks.{floor} or newer.",
            "Update the cluster's Kubernetes version; EKS brings the platform version along.",
        ),
    )
