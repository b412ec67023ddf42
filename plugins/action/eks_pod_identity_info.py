# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action of the module eks_pod_identity_info, which validates its input on the controller."""

from __future__ import annotations

from ansible_collections.workload_identity.aws.plugins.plugin_utils.module_input import LongModule


class ActionModule(LongModule):
    """The action of eks_pod_identity_info, which verifies every association of the cluster without workloads."""

    workloads_required = False
