# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the options of the connection to Kubernetes for a task on the controller, and their defaults from module_defaults."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    WriteResult,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import Cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _kubernetes as kubernetes
from ansible_collections.workload_identity.aws.plugins.plugin_utils._kubernetes import Access, write_authority
from ansible_collections.workload_identity.aws.plugins.plugin_utils._task import ActionTask

JOB = {"kind": "Job", "metadata": {"namespace": "shop", "name": "proof"}}


def build_task(transport: str = "local", become: bool = False, **keywords: Any) -> ActionTask:
    found = {"check_mode": False, "diff": False, "environment": None, **keywords}
    connection = SimpleNamespace(transport=transport, become=become)
    action: Any = SimpleNamespace(_connection=connection, _task=SimpleNamespace(**found))
    return ActionTask(action)


def set_defaults(monkeypatch: pytest.MonkeyPatch, defaults: Mapping[str, Mapping[str, Any]]) -> None:
    """Set the module_defaults of the task. The keys of ``defaults`` are the names of modules without their collection."""
    monkeypatch.setattr(
        ActionTask,
        "with_defaults",
        lambda _task, name, arguments: {**defaults.get(name.rpartition(".")[2], {}), **arguments},
    )


def connected(task: ActionTask, force: bool = False, **arguments: Any) -> Any:
    return kubernetes.connect(task, Access(arguments), force)


@pytest.mark.parametrize(
    ("transport", "become", "how"),
    [("ssh", False, "connection: ssh"), ("ssh", True, "connection: ssh"), ("local", True, "become: true")],
)
def test_remote_or_privileged_play_is_rejected(transport: str, become: bool, how: str) -> None:
    task = build_task(transport, become)
    for call in (lambda: kubernetes.find_access(task, {}, "blue"), lambda: connected(task)):
        with pytest.raises(InputError) as error:
            call()
        assert error.value.problems == (
            f"this play has {how}, but requests to Kubernetes run on the controller, as the user who runs "
            "Ansible: set "
            "connection: local and become: false for the play, or ansible_connection: local and ansible_become: false for "
            "the host",
        )


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes, "MISSING", "the package is missing")
    with pytest.raises(AnsibleError, match=r"^the package is missing$"):
        connected(build_task())


def test_connection_uses_the_module_defaults_of_kubernetes_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that the defaults of k8s_info take precedence, and that options that do not connect are ignored."""
    defaults = {
        "k8s": {"ca_cert": "/k8s", "impersonate_user": "deployer", "wait": True},
        "k8s_info": {"ca_cert": "/ca"},
    }
    set_defaults(monkeypatch, defaults)
    task = build_task(check_mode=True, diff=True)
    access = kubernetes.find_access(task, {"kube_context": "blue"}, "blue")
    cluster = kubernetes.connect(task, access, True)
    assert cluster._options == {"context": "blue", "ca_cert": "/ca", "impersonate_user": "deployer"}
    assert (cluster._force, cluster.check_mode, cluster.diff) == (True, True, True)


def test_kubeconfig_is_next_to_the_playbook_or_in_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_defaults(monkeypatch, {})
    for name in ("play/a", "work/b"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path / "work")
    loader = DataLoader()
    loader.set_basedir(str(tmp_path / "play"))
    task = build_task()
    task.action._loader = loader
    assert connected(task, kubeconfig="a::b")._options == {
        "kubeconfig": f"{tmp_path}/play/a:{tmp_path}/work/b"
    }
    content = {"clusters": []}
    assert connected(task, kubeconfig=content)._options == {"kubeconfig": content}
    secrets = [("default", VaultSecret(b"secret"))]
    (tmp_path / "play" / "v").write_bytes(VaultLib(secrets).encrypt(b"clusters: []"))
    for path, problem in (
        (
            "c",
            f"c: not found next to the playbook ({tmp_path}/play/c) or in the working directory ({tmp_path}/work/c).",
        ),
        ("/c", "Could not find or access '/c' on the Ansible Controller."),
        ("v", f"A vault password or secret must be specified to decrypt {tmp_path}/play/v"),
    ):
        with pytest.raises(AnsibleError) as error:
            connected(task, kubeconfig=path)
        assert str(error.value) == f"kubeconfig: {problem}"
    loader.set_vault_secrets(secrets)
    decrypted = connected(task, kubeconfig="v")._options["kubeconfig"]
    assert Path(decrypted).read_text(encoding="utf-8") == "clusters: []"


def test_cleanup_after_an_interrupt_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        def remove(self, _manifests: Any) -> WriteResult:
            time.sleep(60)
            return WriteResult()

    monkeypatch.setattr(kubernetes, "CLEANUP_SECONDS", 0.1)
    lines: list[str] = []
    ending = kubernetes.BoundedEnding(Slow(), lines.append)
    late = ApiError(0, "no complete response within 0.1 seconds")
    assert ending.remove([JOB]) == WriteResult(refused={0: late}, error=late)
    ending.tell("left")
    assert lines == ["left"]


def test_certificate_authority_is_in_a_private_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    target = Cluster(
        "blue", "arn", "111122223333", "eu-central-1", "aws", certificate_authority_data="UEVNCg=="
    )
    original = os.umask(0)
    try:
        path = Path(write_authority(target))
        assert write_authority(target) == str(path)
    finally:
        os.umask(original)
    assert (path.parent, path.read_text(), path.stat().st_mode & 0o777) == (tmp_path, "PEM\n", 0o600)
