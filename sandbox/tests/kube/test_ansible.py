# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run tasks of kubernetes.core with ansible-playbook.

One play runs all tasks, because starting Ansible is slow; each test checks the result of a task.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
K8S, INFO = "kubernetes.core.k8s", "kubernetes.core.k8s_info"
Json = dict[str, Any]


def account(name: str = "app", namespace: str = "default", **labels: str) -> Json:
    meta: Json = {"name": name, "namespace": namespace}
    if labels:
        meta["labels"] = labels
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}


def namespace(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def ready_pod() -> Json:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"}}


SELECT = {"kind": "ServiceAccount", "namespace": "default"}
# Each item is the name of the result, the module, the arguments of the module, and the keywords of the task.
TASKS: list[tuple[str, str, Json, Json]] = [
    ("check_create", K8S, {"definition": account(x="1")}, {"check_mode": True, "diff": True}),
    ("check_no_namespace", K8S, {"definition": account(namespace="nowhere")}, {"check_mode": True}),
    ("create_no_namespace", K8S, {"definition": account(namespace="nowhere")}, {}),
    ("create", K8S, {"definition": account(x="1")}, {}),
    ("create_again", K8S, {"definition": account(x="1")}, {}),
    ("check_patch", K8S, {"definition": account(x="2")}, {"check_mode": True}),
    ("patch", K8S, {"definition": account(x="2")}, {"diff": True}),
    ("patch_again", K8S, {"definition": account(x="2")}, {}),
    ("force", K8S, {"definition": account(y="1"), "force": True}, {}),
    ("force_again", K8S, {"definition": account(y="1"), "force": True}, {}),
    ("apply", K8S, {"definition": account("applied", x="1"), "apply": True}, {}),
    ("apply_again", K8S, {"definition": account("applied", x="1"), "apply": True}, {}),
    ("apply_other", K8S, {"definition": account("applied", y="1"), "apply": True}, {}),
    (
        "ssa",
        K8S,
        {
            "definition": account("served", x="1"),
            "apply": True,
            "server_side_apply": {"field_manager": "one"},
        },
        {},
    ),
    (
        "ssa_again",
        K8S,
        {
            "definition": account("served", x="1"),
            "apply": True,
            "server_side_apply": {"field_manager": "one"},
        },
        {},
    ),
    (
        "ssa_conflict",
        K8S,
        {
            "definition": account("served", x="2"),
            "apply": True,
            "server_side_apply": {"field_manager": "two"},
        },
        {},
    ),
    (
        "ssa_forced",
        K8S,
        {
            "definition": account("served", x="2"),
            "apply": True,
            "server_side_apply": {"field_manager": "two", "force_conflicts": True},
        },
        {},
    ),
    (
        "many",
        K8S,
        {
            "definition": [
                account("many-1", set="many"),
                account("Bad_Name"),
                account("many-2", "nowhere"),
                namespace("team"),
                account("many-3", "team", set="many"),
            ],
            "continue_on_error": True,
        },
        {},
    ),
    ("list", INFO, {"kind": "ServiceAccount", "label_selectors": ["set=many"]}, {}),
    ("list_in", INFO, {**SELECT, "label_selectors": ["set in (many)", "!x"]}, {}),
    ("by_field", INFO, {**SELECT, "field_selectors": ["metadata.name=app"]}, {}),
    ("by_name", INFO, {**SELECT, "name": "app"}, {}),
    ("by_unknown_name", INFO, {**SELECT, "name": "nobody"}, {}),
    ("no_kind", INFO, {"kind": "Gadget", "api_version": "example.com/v1"}, {}),
    (
        "wait_ready",
        K8S,
        {"definition": ready_pod(), "wait": True, "wait_timeout": 10, "wait_sleep": 1},
        {},
    ),
    ("check_delete", K8S, {**SELECT, "name": "app", "state": "absent"}, {"check_mode": True}),
    ("delete", K8S, {**SELECT, "name": "app", "state": "absent"}, {}),
    ("delete_again", K8S, {**SELECT, "name": "app", "state": "absent"}, {}),
    (
        "delete_namespace",
        K8S,
        {
            "kind": "Namespace",
            "name": "team",
            "state": "absent",
            "wait": True,
            "wait_sleep": 1,
            "wait_timeout": 20,
        },
        {},
    ),
]


def play(server: Any, folder: Path, tasks: list[Json]) -> subprocess.CompletedProcess[str]:
    """Run tasks with ansible-playbook on localhost. The tasks use the API server of ``server``."""
    document = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "environment": {"K8S_AUTH_KUBECONFIG": str(server.kubeconfig)},
            "tasks": tasks,
        }
    ]
    playbook = folder / "play.json"
    playbook.write_text(json.dumps(document))
    environment = {
        "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".collections"),
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # kubernetes.core caches API discovery in this folder. A new folder has no cache of another server.
        "TMPDIR": str(folder),
    }
    return subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "-c", "local", str(playbook)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def results(shared_server: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Json]:
    """Run all tasks, and return their results by name."""
    shared_server.control.reset()
    folder = tmp_path_factory.mktemp("play")
    create_ready_pod(shared_server)
    tasks: list[Json] = []
    for name, module, arguments, keywords in TASKS:
        tasks.append({module: arguments, "register": name, "ignore_errors": True, **keywords})
    collected = {name: f"{{{{ {name} }}}}" for name, *_ in TASKS}
    target = folder / "results.json"
    tasks.append({"ansible.builtin.set_fact": {"collected": collected}})
    copy = {"content": "{{ collected | to_json }}", "dest": str(target), "mode": "0600"}
    tasks.append({"ansible.builtin.copy": copy})
    process = play(shared_server, folder, tasks)
    assert process.returncode == 0, process.stdout[-4000:] + process.stderr[-2000:]
    loaded: dict[str, Json] = json.loads(target.read_text())
    return loaded


def create_ready_pod(server: Any) -> None:
    """Create a Pod, and set its status as a kubelet would."""
    from kubernetes import client

    core = client.CoreV1Api(server.client())
    body = {**ready_pod(), "spec": {"containers": [{"name": "c", "image": "i"}]}}
    core.create_namespaced_pod("default", body)
    state = {"name": "c", "ready": True, "restartCount": 0, "image": "i", "imageID": "i"}
    core.patch_namespaced_pod_status(
        "p", "default", {"status": {"phase": "Running", "containerStatuses": [state]}}
    )


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("check_create", True),
        ("create", True),
        ("create_again", False),
        ("check_patch", True),
        ("patch", True),
        ("patch_again", False),
        ("force", True),
        ("force_again", False),
        ("apply", True),
        ("apply_again", False),
        ("apply_other", True),
        ("ssa", True),
        ("ssa_again", False),
        ("ssa_forced", True),
        ("many", True),
        ("wait_ready", False),
        ("check_delete", True),
        ("delete", True),
        ("delete_again", False),
        ("delete_namespace", True),
    ],
)
def test_task_reports_changed(results: dict[str, Json], name: str, changed: bool) -> None:
    result = results[name]
    assert (result.get("failed", False), result["changed"]) == (False, changed), result


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("check_no_namespace", 'namespaces \\"nowhere\\" not found'),
        ("create_no_namespace", 'namespaces \\"nowhere\\" not found'),
        ("ssa_conflict", 'Apply failed with 1 conflict: conflict with \\"one\\": .metadata.labels.x'),
    ],
)
def test_task_fails_with_message_of_api(results: dict[str, Json], name: str, message: str) -> None:
    assert results[name]["failed"]
    assert message in results[name]["msg"]


def test_check_mode_returns_predicted_object(results: dict[str, Json]) -> None:
    metadata = results["check_create"]["result"]["metadata"]
    assert (metadata["labels"], "resourceVersion" in metadata) == ({"x": "1"}, False)


def test_patch_returns_diff(results: dict[str, Json]) -> None:
    diff = results["patch"]["diff"]
    assert diff["before"]["metadata"]["labels"] == {"x": "1"}
    assert diff["after"]["metadata"]["labels"] == {"x": "2"}


def test_apply_removes_missing_labels(results: dict[str, Json]) -> None:
    assert results["apply_other"]["result"]["metadata"]["labels"] == {"y": "1"}


def test_continue_on_error_processes_all_definitions(results: dict[str, Json]) -> None:
    items = results["many"]["result"]["results"]
    assert [item["changed"] for item in items] == [True, False, False, True, True]
    assert 'ServiceAccount \\"Bad_Name\\" is invalid: metadata.name' in items[1]["error"]["msg"]
    assert 'namespaces \\"nowhere\\" not found' in items[2]["error"]["msg"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("list", ["many-1", "many-3"]),
        ("list_in", ["many-1"]),
        ("by_field", ["app"]),
        ("by_name", ["app"]),
        ("by_unknown_name", []),
        ("no_kind", []),
    ],
)
def test_info_returns_selected_objects(results: dict[str, Json], name: str, expected: list[str]) -> None:
    items = results[name]["resources"]
    assert [item["metadata"]["name"] for item in items] == expected
    assert results[name]["api_found"] is (name != "no_kind")


def test_check_mode_sends_only_dry_runs(server: Any, tmp_path: Path) -> None:
    tasks: list[Json] = [
        {K8S: {"definition": [namespace("team"), account()]}, "check_mode": True},
        {K8S: {**SELECT, "name": "default", "state": "absent"}, "check_mode": True},
    ]
    process = play(server, tmp_path, tasks)
    assert process.returncode == 0, process.stdout
    counters = server.control.counters()
    assert (counters["writes"], counters["dry_run_operations"]) == (
        0,
        {"create namespaces": 1, "create serviceaccounts": 1, "delete serviceaccounts": 1},
    )


def test_five_hundred_service_accounts_in_one_task(server: Any, tmp_path: Path) -> None:
    task = {K8S: {"definition": [account(f"app-{number}") for number in range(500)]}}
    for writes in (500, 0):
        server.control.reset_counters()
        process = play(server, tmp_path, [task])
        assert process.returncode == 0, process.stdout[-2000:]
        operations = server.control.counters()["operations"]
        assert operations["get serviceaccounts"] == 500
        assert operations.get("create serviceaccounts", 0) == writes
