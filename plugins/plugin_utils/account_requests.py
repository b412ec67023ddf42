# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.


"""The service accounts that the checked input of the role asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.account_plan import (
    AccountRequest,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.aws_result import (
    key_of_row,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.objects import (
    texts_of,
)


def account_requests(
    workloads: Sequence[Mapping[str, Any]], cluster: str, create: bool, create_namespace: bool
) -> list[AccountRequest]:
    """``workloads`` are those of pod_identity_input; the flags hold for those that do not say it."""
    return [
        AccountRequest(
            key_of_row(workload, cluster),
            texts_of(workload.get("service_account_labels")),
            texts_of(workload.get("service_account_annotations")),
            _flag(workload, "create_service_account", create),
            _flag(workload, "create_namespace", create_namespace),
        )
        for workload in workloads
    ]


def _flag(workload: Mapping[str, Any], name: str, default: bool) -> bool:
    value = workload.get(name)
    # A templated boolean arrives as text with ansible-core before 2.19.
    return default if value is None else bool(boolean(value))
