# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test RBAC: roles, bindings and users."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.kube.authentication import parse_user
from sandbox.kube.rbac import AUTHENTICATED, Attributes, User, denied
from sandbox.kube.target import parse_target

RBAC = "/apis/rbac.authorization.k8s.io/v1"
BOB = User("bob", ("readers", AUTHENTICATED))
ROBOT = User("system:serviceaccount:default:robot", (AUTHENTICATED,))


@pytest.fixture
def rbac_kube(memory: Any) -> Any:
    return memory(rbac=True)


def bind(kube: Any, role: str, subject: dict[str, Any], namespace: str = "") -> None:
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    path = f"{RBAC}/namespaces/{namespace}/rolebindings" if namespace else f"{RBAC}/clusterrolebindings"
    body = {
        "kind": kind,
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "metadata": {"name": f"{role}-test"},
        "roleRef": {"kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }
    code, obj = kube("POST", path, body)
    assert code == 201, obj


def is_allowed(kube: Any, user: User, method: str, path: str) -> bool:
    target = parse_target(kube.cluster.table, method, path, {})
    request = target.attributes() if target else Attributes(verb=method.lower(), path=path)
    allowed: bool = kube.cluster.authorizer.allows(user, request)
    return allowed


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/serviceaccounts", True),
        ("GET", "/api/v1/namespaces/default/pods/p", True),
        ("GET", "/apis/apps/v1/namespaces/kube-system/daemonsets/eks-pod-identity-agent", True),
        ("GET", "/api/v1/namespaces/default/secrets", False),
        ("GET", "/api/v1/nodes", False),
        ("POST", "/api/v1/namespaces/default/serviceaccounts", False),
        ("DELETE", "/api/v1/namespaces/default", False),
        ("GET", "/version", True),
        ("GET", "/apis/apps/v1", True),
        ("GET", "/metrics", False),
    ],
)
def test_view_role_allows_only_reads(rbac_kube: Any, method: str, path: str, expected: bool) -> None:
    bind(rbac_kube, "view", {"kind": "Group", "name": "readers"})
    assert is_allowed(rbac_kube, BOB, method, path) is expected


@pytest.mark.parametrize(
    ("subject", "user", "expected"),
    [
        ({"kind": "User", "name": "bob"}, BOB, True),
        ({"kind": "User", "name": "alice"}, BOB, False),
        ({"kind": "Group", "name": "readers"}, BOB, True),
        ({"kind": "ServiceAccount", "name": "robot", "namespace": "default"}, ROBOT, True),
        ({"kind": "ServiceAccount", "name": "robot", "namespace": "other"}, ROBOT, False),
    ],
)
def test_binding_applies_to_its_subjects(
    rbac_kube: Any, subject: dict[str, Any], user: User, expected: bool
) -> None:
    bind(rbac_kube, "view", subject)
    assert is_allowed(rbac_kube, user, "GET", "/api/v1/pods") is expected


def test_role_binding_applies_to_its_namespace(rbac_kube: Any) -> None:
    bind(rbac_kube, "cluster-admin", {"kind": "User", "name": "bob"}, "default")
    assert is_allowed(rbac_kube, BOB, "POST", "/api/v1/namespaces/default/serviceaccounts")
    assert not is_allowed(rbac_kube, BOB, "POST", "/api/v1/namespaces/kube-system/serviceaccounts")
    assert not is_allowed(rbac_kube, BOB, "GET", "/api/v1/serviceaccounts")


@pytest.mark.parametrize(
    ("rule", "path", "expected"),
    [
        ({"resources": ["pods"]}, "/api/v1/namespaces/default/pods/a", True),
        ({"resources": ["pods"]}, "/api/v1/namespaces/default/pods/a/status", False),
        ({"resources": ["pods/status"]}, "/api/v1/namespaces/default/pods/a/status", True),
        ({"resources": ["*/status"]}, "/api/v1/namespaces/default/pods/a/status", True),
        ({"resources": ["*"]}, "/api/v1/namespaces/default/pods/a/status", True),
        ({"resources": ["pods"], "resourceNames": ["a"]}, "/api/v1/namespaces/default/pods/a", True),
        ({"resources": ["pods"], "resourceNames": ["a"]}, "/api/v1/namespaces/default/pods/b", False),
        ({"resources": ["pods"], "apiGroups": ["apps"]}, "/api/v1/namespaces/default/pods/a", False),
        ({"resources": ["pods"], "verbs": ["list"]}, "/api/v1/namespaces/default/pods/a", False),
        ({"resources": ["pods"], "verbs": ["*"]}, "/api/v1/namespaces/default/pods/a", True),
    ],
)
def test_rule_allows_its_resources(rbac_kube: Any, rule: dict[str, Any], path: str, expected: bool) -> None:
    full = {"apiGroups": [""], "verbs": ["get"], **rule}
    rbac_kube("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "test"}, "rules": [full]})
    bind(rbac_kube, "test", {"kind": "User", "name": "bob"})
    assert is_allowed(rbac_kube, BOB, "GET", path) is expected


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        pytest.param(
            "GET",
            "/api/v1/serviceaccounts",
            'serviceaccounts is forbidden: User "bob" cannot list resource "serviceaccounts" in API group ""'
            " at the cluster scope",
            id="list-everywhere",
        ),
        pytest.param(
            "GET",
            "/api/v1/namespaces/default/serviceaccounts/a",
            'serviceaccounts "a" is forbidden: User "bob" cannot get resource "serviceaccounts" in API'
            ' group "" in the namespace "default"',
            id="get-one",
        ),
        pytest.param(
            "PATCH",
            "/apis/apps/v1/namespaces/default/deployments/web",
            'deployments.apps "web" is forbidden: User "bob" cannot patch resource "deployments" in API group'
            ' "apps" in the namespace "default"',
            id="patch-deployment",
        ),
        pytest.param(
            "GET",
            "/api/v1/namespaces/default/pods/p/status",
            'pods "p" is forbidden: User "bob" cannot get resource "pods/status" in API group "" in the'
            ' namespace "default"',
            id="subresource",
        ),
        pytest.param(
            "GET",
            "/api/v1/namespaces/team",
            'namespaces "team" is forbidden: User "bob" cannot get resource "namespaces" in API group ""'
            ' in the namespace "team"',
            id="namespace",
        ),
        pytest.param("GET", "/metrics", 'forbidden: User "bob" cannot get path "/metrics"', id="path"),
    ],
)
def test_denial_names_user_and_request(kube: Any, method: str, path: str, message: str) -> None:
    target = parse_target(kube.cluster.table, method, path, {})
    request = target.attributes() if target else Attributes(verb=method.lower(), path=path)
    error = denied(BOB, request, target.rtype if target else None)
    assert (error.code, error.reason, error.message) == (403, "Forbidden", message)


@pytest.mark.parametrize(
    ("text", "token", "user"),
    [
        ("bob:secret:readers,ops", "secret", User("bob", ("readers", "ops", AUTHENTICATED))),
        ("bob:secret:", "secret", User("bob", (AUTHENTICATED,))),
        ("bob:secret", "secret", User("bob", (AUTHENTICATED,))),
        ("a:t:system:masters", "t", User("a", ("system:masters", AUTHENTICATED))),
        (
            "system%3Aserviceaccount%3Adefault%3Arobot:t:",
            "t",
            User("system:serviceaccount:default:robot", (AUTHENTICATED,)),
        ),
    ],
)
def test_parse_user_returns_token_and_user(text: str, token: str, user: User) -> None:
    assert parse_user(text) == (token, user)


@pytest.mark.parametrize("text", ["", "bob", "bob:", ":token:group"])
def test_parse_user_rejects_invalid_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a user is NAME:TOKEN:GROUP1,GROUP2, not "):
        parse_user(text)
