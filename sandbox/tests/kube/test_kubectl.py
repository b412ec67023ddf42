# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real kubectl, where there is one: KUBECTL names it, else PATH is searched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

KUBECTL = os.environ.get("KUBECTL") or shutil.which("kubectl")
pytestmark = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on PATH and KUBECTL is not set")

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
MANIFEST: list[dict[str, Any]] = [
    {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "app", "namespace": "default", "labels": {"x": "1"}},
    },
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "serviceAccountName": "app",
                    "containers": [{"name": "c", "image": "nginx:1", "ports": [{"containerPort": 80}]}],
                },
            },
        },
    },
]


@pytest.fixture
def kubectl(server: Any, tmp_path: Path) -> Kubectl:
    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        assert KUBECTL is not None
        return subprocess.run(
            [KUBECTL, *arguments],
            input=stdin,
            env={"KUBECONFIG": str(server.kubeconfig), "HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def manifest(image: str = "nginx:1", **labels: str) -> str:
    items = json.loads(json.dumps(MANIFEST))
    items[0]["metadata"]["labels"] = labels or {"x": "1"}
    items[1]["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (("create", "serviceaccount", "a"), "serviceaccount/a created\n"),
        (("create", "namespace", "team"), "namespace/team created\n"),
        (("create", "configmap", "a", "--from-literal=k=v"), "configmap/a created\n"),
        (("create", "secret", "generic", "a", "--from-literal=k=v"), "secret/a created\n"),
        (("create", "deployment", "a", "--image=nginx"), "deployment.apps/a created\n"),
        (("create", "job", "a", "--image=busybox", "--", "true"), "job.batch/a created\n"),
        (
            ("create", "role", "a", "--verb=get", "--resource=pods"),
            "role.rbac.authorization.k8s.io/a created\n",
        ),
        (
            ("create", "rolebinding", "a", "--clusterrole=view", "--serviceaccount=default:default"),
            "rolebinding.rbac.authorization.k8s.io/a created\n",
        ),
        (
            ("create", "clusterrolebinding", "a", "--clusterrole=view", "--user=bob"),
            "clusterrolebinding.rbac.authorization.k8s.io/a created\n",
        ),
        (("run", "a", "--image=nginx"), "pod/a created\n"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_create(kubectl: Kubectl, arguments: tuple[str, ...], output: str) -> None:
    done = kubectl(*arguments)
    assert (done.stdout, done.stderr, done.returncode) == (output, "", 0)


def test_create_without_the_right_name(kubectl: Kubectl) -> None:
    done = kubectl("create", "namespace", "a.b")
    assert done.stderr == (
        'The Namespace "a.b" is invalid: metadata.name: Invalid value: "a.b": must not contain dots\n'
    )


def test_apply_is_idempotent(kubectl: Kubectl) -> None:
    outputs = [
        kubectl("apply", "-f", "-", stdin=text).stdout for text in (manifest(), manifest(), manifest("b:2"))
    ]
    assert outputs == [
        "serviceaccount/app created\ndeployment.apps/web created\n",
        "serviceaccount/app unchanged\ndeployment.apps/web unchanged\n",
        "serviceaccount/app unchanged\ndeployment.apps/web configured\n",
    ]
    assert kubectl("diff", "-f", "-", stdin=manifest("b:2")).returncode == 0


def test_apply_removes_what_left_the_manifest(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=manifest(old="1"))
    kubectl("apply", "-f", "-", stdin=manifest(new="1"))
    assert kubectl("get", "sa", "app", "-o", "jsonpath={.metadata.labels}").stdout == '{"new":"1"}'


def test_server_side_apply(kubectl: Kubectl) -> None:
    for _ in range(2):
        done = kubectl("apply", "--server-side", "-f", "-", stdin=manifest(x="1"))
        assert (
            done.stdout == "serviceaccount/app serverside-applied\ndeployment.apps/web serverside-applied\n"
        )
    other = kubectl("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=manifest(x="2"))
    assert 'conflict with "kubectl": .metadata.labels.x' in other.stderr
    taken = kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=other",
        "-f",
        "-",
        stdin=manifest(x="2"),
    )
    assert taken.returncode == 0
    assert kubectl("get", "sa", "app", "-o", "jsonpath={.metadata.labels.x}").stdout == "2"


def test_client_side_apply_may_be_followed_by_server_side_apply(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=manifest())
    before = kubectl("get", "deploy", "web", "-o", "jsonpath={.spec}").stdout
    assert kubectl("apply", "--server-side", "-f", "-", stdin=manifest()).returncode == 0
    after = kubectl("get", "deploy", "web", "-o", "jsonpath={.spec} {.metadata.generation}").stdout
    assert after == f"{before} 1"


def test_strict_validation_refuses_unknown_fields(kubectl: Kubectl) -> None:
    body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}, "colour": "red"}
    done = kubectl("create", "-f", "-", stdin=json.dumps(body))
    assert done.returncode == 1
    assert 'unknown field "colour"' in done.stderr


def test_label_annotate_patch_and_delete(kubectl: Kubectl) -> None:
    kubectl("create", "sa", "a")
    assert kubectl("label", "sa", "a", "x=1").stdout == "serviceaccount/a labeled\n"
    assert kubectl("label", "sa", "a", "x=1").stdout == "serviceaccount/a not labeled\n"
    assert kubectl("annotate", "sa", "a", "y=2").stdout == "serviceaccount/a annotated\n"
    assert kubectl("patch", "sa", "a", "-p", '{"metadata":{"labels":{"x":null}}}').stdout == (
        "serviceaccount/a patched\n"
    )
    found = json.loads(kubectl("get", "sa", "a", "-o", "json").stdout)["metadata"]
    assert (found.get("labels"), found["annotations"]) == (None, {"y": "2"})
    assert kubectl("delete", "sa", "a").stdout.startswith('serviceaccount "a" deleted')
    assert kubectl("get", "sa", "a").stderr == 'Error from server (NotFound): serviceaccounts "a" not found\n'


def test_rollout_restart_makes_a_new_generation(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=manifest())
    assert kubectl("rollout", "restart", "deploy/web").stdout == "deployment.apps/web restarted\n"
    template = "jsonpath={.metadata.generation} {.spec.template.metadata.annotations}"
    generation, _, annotations = kubectl("get", "deploy", "web", "-o", template).stdout.partition(" ")
    assert (generation, list(json.loads(annotations))) == ("2", ["kubectl.kubernetes.io/restartedAt"])


def test_wait(kubectl: Kubectl) -> None:
    kubectl("run", "p", "--image=nginx")
    status = '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}'
    assert kubectl("patch", "pod", "p", "--subresource=status", "-p", status).returncode == 0
    assert (
        kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=10s").stdout == "pod/p condition met\n"
    )
    kubectl("delete", "pod", "p", "--wait=false")
    assert kubectl("wait", "--for=delete", "pod/p", "--timeout=10s").returncode == 0


def test_delete_of_a_namespace_waits_for_its_end(kubectl: Kubectl) -> None:
    kubectl("create", "ns", "team")
    assert kubectl("delete", "ns", "team", "--timeout=20s").returncode == 0
    assert 'namespaces "team" not found' in kubectl("get", "ns", "team").stderr


@pytest.mark.parametrize("policy", ["background", "foreground", "orphan"])
def test_delete_cascades(kubectl: Kubectl, policy: str) -> None:
    kubectl("create", "job", "j", "--image=busybox", "--", "true")
    done = kubectl("delete", "job", "j", f"--cascade={policy}", "--timeout=20s")
    assert (done.returncode, kubectl("get", "jobs").stderr) == (
        0,
        "No resources found in default namespace.\n",
    )


def test_auth(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "create", "serviceaccounts").stdout == "yes\n"
    assert "kubernetes-admin" in kubectl("auth", "whoami").stdout
    assert "[*]" in kubectl("auth", "can-i", "--list").stdout
    assert kubectl("create", "token", "default").stdout.count(".") == 2


def test_api_resources_and_version(kubectl: Kubectl) -> None:
    names = kubectl("api-resources", "-o", "name").stdout.split()
    assert {"serviceaccounts", "daemonsets.apps", "clusterroles.rbac.authorization.k8s.io"} <= set(names)
    assert "Server Version: v1.36.2+sandbox" in kubectl("version").stdout


def test_get_prints_columns(kubectl: Kubectl) -> None:
    kubectl("run", "p", "--image=nginx")
    lines = [line.split() for line in kubectl("get", "pods", "-o", "wide").stdout.splitlines()]
    assert lines[0] == ["NAME", "READY", "STATUS", "RESTARTS", "NODE", "AGE"]
    assert lines[1][:5] == ["p", "0/1", "Pending", "0", "<none>"]


def test_get_watches(kubectl: Kubectl) -> None:
    done = kubectl("get", "ns", "-w", "--output-watch-events", "--request-timeout=3s")
    lines = [line.split()[:3] for line in done.stdout.splitlines()]
    assert lines[:2] == [["EVENT", "NAME", "STATUS"], ["ADDED", "default", "Active"]]
