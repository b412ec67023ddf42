# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Names that the input can no longer contain, each with its replacement as the end of a message: a clause with a full stop."""

from __future__ import annotations

from collections.abc import Mapping

# Variables of the role and the playbooks, by name without the prefix ``pod_identity_``.
REMOVED_VARIABLES: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("usage_days", "usage_file", "usage_form", "usage_from", "usage_generalise"),
            *("usage_keep_unseen", "usage_requests", "usage_services"),
        ),
        "use pod_identity_audit_unused_days, and see docs/audit.md for a policy from IAM Access Analyzer.",
    ),
    "fleet_workloads": 'join lists in group variables: pod_identity_workloads: "{{ common_workloads + team_workloads }}".',
    "annotated": "list the service accounts in pod_identity_workloads, by name, pattern or label selector.",
    "check_caller": "leave it out: a request that AWS denies fails with its action and the remedy.",
}
# Keys of workloads and of other mappings in the input.
REMOVED_KEYS: Mapping[str, str] = {
    "addon": "leave it out to give the service account its own association, or give the add-on its role with the module "
    "eks_addon_pod_identity.",
}
# Options of modules.
REMOVED_OPTIONS: Mapping[str, str] = {
    "clusters": "run the module once for each cluster, or workload_identity.aws.fleet, in which the clusters are hosts.",
}
