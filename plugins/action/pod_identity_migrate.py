# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin of the playbook workload_identity.aws.migrate. Its code is in plugin_utils/_migration.py."""

from __future__ import annotations

from ..plugin_utils._bytecode import import_cached

ActionModule = import_cached("_migration").ActionModule
