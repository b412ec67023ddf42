# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin of the module eks_pod_identity, which validates the input on the controller before the module runs."""

from __future__ import annotations

from ansible_collections.workload_identity.aws.plugins.plugin_utils._module_input import WorkloadsModule


class ActionModule(WorkloadsModule):
    """The action plugin of eks_pod_identity."""
