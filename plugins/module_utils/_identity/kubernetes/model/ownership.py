# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The marks in Kubernetes that say whose an object is. Pure."""

from __future__ import annotations

from collections.abc import Mapping

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY_LABEL_VALUE = "workload_identity.aws"
MANAGED_BY_LABELS = {MANAGED_BY_LABEL: MANAGED_BY_LABEL_VALUE}
OWNER_LABEL = "workload-identity/owner"


def is_managed(labels: Mapping[str, str]) -> bool:
    return labels.get(MANAGED_BY_LABEL) == MANAGED_BY_LABEL_VALUE


def other_owner(labels: Mapping[str, str], owner: str | None) -> str:
    """Who else of those who use this collection has an object; "" when nobody has, or ``owner`` does."""
    label = labels.get(OWNER_LABEL, "")
    return label if is_managed(labels) and label != (owner or "") else ""
