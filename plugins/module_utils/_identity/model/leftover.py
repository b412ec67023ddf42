# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What a purge finds that no workload stands for any more: it has a key all the same, which people never see. Pure."""

from __future__ import annotations

from ..._findings.key import WorkloadKey

# Stands for the namespace of a role that no association names any more.
NO_ASSOCIATION = "(no association)"
# The same for a policy that no role has attached any more.
NO_ROLE = "(no role)"


def workload_text(key: WorkloadKey | None) -> str:
    """The workload of a row, as "namespace/service_account"; empty for what belongs to none."""
    return "" if key is None or key.namespace in (NO_ASSOCIATION, NO_ROLE) else str(key)


def display(key: WorkloadKey) -> str:
    """What it is, in a sentence."""
    if key.namespace == NO_ASSOCIATION:
        return f"role {key.service_account} (no association names it)"
    if key.namespace == NO_ROLE:
        return f"policy {key.service_account} (nothing has it attached)"
    return str(key)
