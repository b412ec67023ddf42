# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the cluster of a task asks of kubernetes.core: which objects server-side, and what it makes of refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.cluster import (
    Written,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils import kubernetes_cluster

NAMESPACE = {"kind": "Namespace", "metadata": {"name": "shop"}}
FIRST, SECOND = (
    {"kind": "ServiceAccount", "metadata": {"namespace": "shop", "name": name}} for name in ("a", "b")
)
JOB = {"kind": "Job", "metadata": {"namespace": "shop", "name": "proof"}}
MADE = {"changed": True, "result": {}, "diff": {"after": {}}}
CONFLICT = 'Apply failed with 1 conflict: conflict with "helm": .metadata.labels.team'
STATUS = json.dumps({"message": CONFLICT, "code": 409})
REFUSED = {"changed": False, "error": {"msg": f"Failed to apply object: {STATUS}"}}


class Asked:
    """``results`` are the answers, in order."""

    def __init__(self, *results: dict[str, Any]) -> None:
        self.results = list(results)
        self.arguments: list[dict[str, Any]] = []

    def __call__(self, _caller: Any, _name: str, arguments: dict[str, Any], *_more: Any) -> dict[str, Any]:
        self.arguments.append(arguments)
        return self.results.pop(0)


def cluster(monkeypatch: pytest.MonkeyPatch, asked: Asked, force: bool = False) -> Any:
    monkeypatch.setattr(kubernetes_cluster, "run_action", asked)
    return kubernetes_cluster.TaskCluster(None, {"context": "blue"}, {}, None, force)


@pytest.mark.parametrize("force", [True, False])
def test_service_accounts_are_applied_server_side_under_one_name(
    monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    asked = Asked(MADE)
    assert cluster(monkeypatch, asked, force).apply([FIRST]).changed
    (arguments,) = asked.arguments
    assert arguments["apply"] is True
    assert arguments["server_side_apply"] == {"field_manager": "workload-identity", "force_conflicts": force}
    assert arguments["resource_definition"] == [FIRST]


def test_namespaces_come_first_and_need_no_permission_to_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(MADE, {"changed": True, "result": {"results": [MADE, REFUSED]}})
    written = cluster(monkeypatch, asked).apply([NAMESPACE, FIRST, SECOND])
    assert [arguments["resource_definition"] for arguments in asked.arguments] == [
        [NAMESPACE],
        [FIRST, SECOND],
    ]
    assert "apply" not in asked.arguments[0]
    # By its place among all manifests.
    assert written == Written(True, {2: ApiError(409, CONFLICT)}, diffs=[{"after": {}}] * 2)


def test_without_namespaces_service_accounts_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked({"failed": True, "msg": "no client"})
    assert cluster(monkeypatch, asked).apply([NAMESPACE, FIRST]) == Written(
        error=ApiError(0, "no client"), diffs=[]
    )
    assert len(asked.arguments) == 1


def test_a_job_is_created(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(MADE)
    cluster(monkeypatch, asked).apply([JOB])
    assert "apply" not in asked.arguments[0]
