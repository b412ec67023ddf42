# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create, read, update and delete an object of each kind that the API serves."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.kube.patch import MERGE
from sandbox.kube.resources import resource_table

POD = {"containers": [{"name": "c", "image": "i"}]}
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": POD}
WORKLOAD = {"spec": {"selector": {"matchLabels": {"app": "a"}}, "template": TEMPLATE}}
ROLE_REFERENCE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
BODIES: dict[str, dict[str, Any]] = {
    "ClusterRole": {"rules": RULES},
    "ClusterRoleBinding": {"roleRef": ROLE_REFERENCE, "subjects": [{"kind": "User", "name": "bob"}]},
    "ConfigMap": {"data": {"a": "b"}},
    "CronJob": {
        "spec": {
            "schedule": "@hourly",
            "jobTemplate": {"spec": {"template": {"spec": {**POD, "restartPolicy": "Never"}}}},
        }
    },
    "DaemonSet": WORKLOAD,
    "Deployment": WORKLOAD,
    "Event": {"involvedObject": {"kind": "Pod", "name": "p"}, "reason": "Scheduled", "type": "Normal"},
    "Job": {"spec": {"template": {"spec": {**POD, "restartPolicy": "Never"}}}},
    "MutatingWebhookConfiguration": {"webhooks": [{"name": "pods.example.com", "sideEffects": "None"}]},
    "Namespace": {},
    "Node": {"spec": {"providerID": "aws:///eu-central-1a/i-0"}},
    "Pod": {"spec": POD},
    "ReplicaSet": WORKLOAD,
    "Role": {"rules": RULES},
    "RoleBinding": {"roleRef": ROLE_REFERENCE, "subjects": [{"kind": "User", "name": "bob"}]},
    "Secret": {"stringData": {"a": "b"}},
    "ServiceAccount": {"automountServiceAccountToken": False},
    "StatefulSet": WORKLOAD,
    "ValidatingAdmissionPolicy": {"spec": {"validations": [{"expression": "true"}]}},
    "ValidatingAdmissionPolicyBinding": {"spec": {"policyName": "p", "validationActions": ["Deny"]}},
}


def test_bodies_cover_every_stored_kind() -> None:
    assert sorted(BODIES) == sorted(rtype.kind for rtype in resource_table())


@pytest.mark.parametrize("kind", BODIES)
def test_create_read_update_delete(kube: Any, kind: str) -> None:
    rtype = next(rtype for rtype in resource_table() if rtype.kind == kind)
    root = f"/apis/{rtype.group_version}" if rtype.group else "/api/v1"
    path = f"{root}/namespaces/default/{rtype.plural}" if rtype.namespaced else f"{root}/{rtype.plural}"
    body = {"kind": kind, "apiVersion": rtype.group_version, "metadata": {"name": "one"}, **BODIES[kind]}
    code, created = kube("POST", path, body)
    assert code == 201, created
    assert kube("POST", path, body)[1]["reason"] == "AlreadyExists"
    assert kube("GET", f"{path}/one") == (200, created)
    assert "one" in [item["metadata"]["name"] for item in kube("GET", path)[1]["items"]]
    label = {"metadata": {"labels": {"a": "b"}}}
    code, patched = kube("PATCH", f"{path}/one", label, content_type=MERGE)
    assert (code, patched["metadata"]["labels"]["a"]) == (200, "b")
    assert kube("PUT", f"{path}/one", patched) == (200, patched)
    assert [
        item["metadata"]["name"] for item in kube("GET", path, query={"labelSelector": "a=b"})[1]["items"]
    ] == ["one"]
    assert kube("DELETE", f"{path}/one")[0] == 200
    kube.reconcile()
    assert kube("GET", f"{path}/one")[1]["reason"] == "NotFound"
