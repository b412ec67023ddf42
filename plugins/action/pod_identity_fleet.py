# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin of the tasks for many clusters. Its code is in plugin_utils/_fleet.py."""

from __future__ import annotations

from ansible_collections.workload_identity.aws.plugins.plugin_utils._bytecode import import_cached

ActionModule = import_cached("_fleet").ActionModule
