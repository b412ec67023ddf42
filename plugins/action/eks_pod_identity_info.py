# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin of the module eks_pod_identity_info, which validates the input on the controller before the module runs."""

from __future__ import annotations

from .eks_pod_identity import ActionModule as WorkloadsModule


class ActionModule(WorkloadsModule):
    """The action plugin of eks_pod_identity_info.

    Workloads are optional. Without workloads, the module verifies every association of the cluster.
    """

    workloads_required = False
