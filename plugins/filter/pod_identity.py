# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of the role: pure functions on what modules returned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.parsed_file import (
    read_parsed,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api_errors import (
    cannot_list,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.service_accounts import (
    namespaces_unknown,
    plan_absent,
    plan_present,
    plan_purge,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.report import make_report

Objects = Sequence[Mapping[str, Any]]


def pod_identity_kubernetes_plan(
    workloads: Objects | Mapping[str, str],
    service_accounts: Objects,
    namespaces: Objects = (),
    state: str = "present",
    create_service_accounts: bool = True,
    create_namespaces: bool = False,
    owner: str | None = None,
    purge: bool = False,
    purge_namespaces: Sequence[str] = (),
    purge_limit: int = 10,
    removed: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    workloads = _rows(workloads)
    if state == "absent":
        plan = plan_absent(workloads, service_accounts, removed)
    else:
        owner = None if owner is None else str(owner)
        plan = plan_present(
            workloads,
            service_accounts,
            namespaces,
            _flag(create_service_accounts),
            _flag(create_namespaces),
            owner,
        )
        if _flag(purge):
            if isinstance(purge_namespaces, str):
                purge_namespaces = purge_namespaces.split(",")
            limit = int(purge_limit)
            stale = plan_purge(workloads, service_accounts, purge_namespaces, owner, limit)
            plan = replace(plan, stale=stale.stale, problems=[*plan.problems, *stale.problems])
    unknown = state == "present" and namespaces_unknown(workloads, service_accounts)
    return {**asdict(plan), "namespaces_unknown": unknown and not namespaces}


def _rows(workloads: Objects | Mapping[str, str]) -> Objects:
    """Rows for the Kubernetes half of parsed input."""
    if not isinstance(workloads, Mapping):
        return workloads
    return [
        {
            "namespace": workload.key.namespace,
            "service_account": workload.key.service_account,
            "service_account_labels": workload.service_account.labels,
            "service_account_annotations": workload.service_account.annotations,
            "create_service_account": workload.service_account.create,
            "create_namespace": workload.service_account.create_namespace,
        }
        for workload in read_parsed(workloads["path"], workloads["sha256"]).workloads
    ]


def _flag(value: object) -> bool:
    """Extra variables of a command line are text: "false" must not count as true."""
    return bool(boolean(value, strict=False))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "pod_identity_cannot_list": cannot_list,
            "pod_identity_kubernetes_plan": pod_identity_kubernetes_plan,
            "pod_identity_report": make_report,
        }
