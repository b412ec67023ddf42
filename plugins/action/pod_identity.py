# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin that does all the work of the role in one process. Its code is in plugin_utils/_role_action.py."""

from __future__ import annotations

from ..plugin_utils._bytecode import import_cached

ActionModule = import_cached("_role_action").ActionModule
