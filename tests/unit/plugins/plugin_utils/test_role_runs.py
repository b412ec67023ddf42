# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test whole runs of the role: the screen, the result of the task, and the requests.

AWS and Kubernetes are fakes. role_runs.yml describes the runs.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import itertools
import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible import constants
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.block import Block
from ansible.playbook.play import Play
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins import loader as plugin_loader
from ansible.plugins.action import ActionBase
from ansible.template import Templar
from ansible.utils.display import Display
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.eks_token import EksToken
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.interrupt import current_interrupt
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    DryRun,
    Listing,
    Query,
    WriteResult,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
    object_name,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.injection import (
    InjectionSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.proof import (
    ProofSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.converge import (
    KubernetesSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    ApiServer,
    certificate_digests,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils import (
    _role_action,
    _role_input,
    _role_report,
    _role_run,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._aws_clients import AwsClients
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    REGION,
    FakeAws,
    create_policy,
    policy_arn,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_cluster import (
    FakeClock,
    FakeCluster,
)

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core before 2.19
    trust_as_template = str

Json = dict[str, Any]
POLICIES = [{"arn": policy_arn("reader")}]
# The members of the report that are compared. Its lines are on the screen.
FILED = ("host", "cluster_name", "region", "failed", "stopped", "failure", "changes", "failures")
REPORT = ("step", "check_mode", "kubernetes_changes")


class Loader(yaml.SafeLoader):
    """A loader whose texts Ansible accepts as templates."""


Loader.add_constructor("tag:yaml.org,2002:str", lambda _loader, node: trust_as_template(node.value))
RUNS: Mapping[str, Json] = yaml.load(
    Path(__file__).with_name("role_runs.yml").read_text(encoding="utf-8"), Loader
)


IMAGE, POD = "public.ecr.aws/aws-cli/aws-cli:2.32.9", {"priorityClassName": "high"}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nQ0VSVA==\n-----END CERTIFICATE-----\n"


class Timeout(BaseException):
    """An exception of the kind that ansible-core raises at the timeout of a task."""


class Kubernetes(FakeCluster):
    """The fake cluster, with a clock, and with headers of diffs. New Pods get the credentials of EKS Pod Identity."""

    check_mode, ends = False, ""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()

    def list_objects(self, query: Query) -> Listing:
        if query.kind == "Pod" and self.ends == "signal":
            interrupt()
        if query.kind == "Pod" and self.ends:
            raise Timeout if self.ends == "timeout" else TypeError(self.ends)
        return super().list_objects(query)

    def dry_run_pods(self, manifests: Sequence[Object]) -> list[DryRun]:
        self.log.append(f"try {len(manifests)}")
        pods: Any = copy.deepcopy(list(manifests))
        for pod in pods:
            for container in pod["spec"]["containers"]:
                container |= {key: build.container()[key] for key in ("env", "volumeMounts")}
            pod["spec"]["volumes"] = [build.token_volume()]
        return [DryRun(pod) for pod in pods]

    def _write(self, verb: str, manifests: Sequence[Object]) -> WriteResult:
        headers = [f"{manifest['kind']} {object_name(manifest)}" for manifest in manifests]
        diffs = [{"before_header": header, "after_header": header} for header in headers]
        return replace(super()._write(verb, manifests), diffs=diffs)

    def _keep(self, verb: str, manifest: Object) -> None:
        if not self.check_mode:
            super()._keep(verb, manifest)


def build_action(variables: Json, case: Json, kind: Any = _role_action.ActionModule) -> ActionBase:
    loader = DataLoader()
    play = Play.load({"hosts": "localhost", "gather_facts": False}, loader=loader)
    task = Task(block=Block(play=play))
    for name, value in {"args": {}, **case.get("task", {})}.items():
        setattr(task, name, value)
    shell = SimpleNamespace(tmpdir="/")
    connection = SimpleNamespace(transport="local", become=None, _shell=shell)
    templar = Templar(loader, variables=variables)
    return kind(task, connection, PlayContext(play=play), loader, templar, plugin_loader)


def write_line(text: str) -> None:
    # Ansible soon sends a second signal. It must not interrupt the report.
    os.kill(os.getpid(), signal.SIGTERM)
    print(text)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    # The main thread handles the signal.
    current_interrupt().wait(60)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[FakeAws, Kubernetes]:
    """Let the role use fakes of AWS and Kubernetes."""
    aws, kubernetes = FakeAws(), Kubernetes()
    create_policy(aws, "reader")
    authority = base64.b64encode(CERTIFICATE.encode()).decode()
    aws.eks.clusters[CLUSTER] |= {"endpoint": "https://eks", "certificateAuthority": {"data": authority}}
    aws.replace(
        "eks:DescribeAddon", lambda _parameters: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}}
    )

    def connect(task: Any, access: Any, force: Any, deadline: Any) -> Kubernetes:
        kubernetes.check_mode = task.check_mode
        options = [str(value) for name, value in access.arguments.items() if name != "ca_cert"]
        limit = deadline.seconds if deadline else None
        kubernetes.log.append(f"connect {' '.join(options)}, force {force}, deadline {limit}")
        kubernetes.log.append(f"token {access.token(60)}")
        return kubernetes

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(AwsClients, "connect", lambda *_: aws)
    monkeypatch.setattr(AwsClients, "api", aws)
    token = EksToken("signed", FakeClock().now() + timedelta(days=9999))
    monkeypatch.setattr(AwsClients, "sign_tokens", lambda *_: [token])
    monkeypatch.setattr(_role_run, "connect", connect)
    monkeypatch.setattr(_role_run, "secrets", SimpleNamespace(token_hex=lambda count: "f0" * count))
    monkeypatch.setattr(_role_report, "read_version", lambda: "1.2.3")
    monkeypatch.setattr(_role_report, "datetime", SimpleNamespace(now=lambda _zone: build.NOW))
    monkeypatch.setattr(_role_action, "parent_stderr", lambda: write_line)
    return aws, kubernetes


@pytest.fixture
def play(
    fakes: tuple[FakeAws, Kubernetes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    """Return a function that plays a run of role_runs.yml, and returns its screen, result and requests."""
    aws, kubernetes = fakes
    facts: Json = {}
    monkeypatch.setattr(
        _role_action.ActionModule,
        "register_host_variables",
        lambda _action, variables, _layer: facts.update(variables),
        raising=False,
    )

    def run(case: Json) -> Any:
        values = {
            "cluster_name": CLUSTER,
            "region": REGION,
            "workloads": [workload(role={"name": "app"}, policies=POLICIES)],
            **case.get("variables", {}),
        }
        variables = {f"pod_identity_{name}": value for name, value in values.items() if value is not None}
        variables |= {"inventory_hostname": "blue", "groups": {"all": ["blue"]}, **case.get("host", {})}
        lists = {"Namespace": [{"metadata": {"name": "default"}}], **case.get("lists", {})}
        kubernetes.lists = {
            kind: build.read(items) if isinstance(items, list) else Listing(error=ApiError(**items))
            for kind, items in lists.items()
        }
        kubernetes.server = ApiServer(
            "https://eks", certificate_digests(CERTIFICATE), **case.get("server", {})
        )
        for name, answer in case.get("aws", {}).items():
            if answer == "interrupt":
                aws.before_request(name, interrupt)
            elif answer == "bug":
                aws.replace(name, lambda parameters: parameters["bug"])
            else:
                aws.fail_on(name, classify(name, **answer))
        monkeypatch.setattr(Display(), "verbosity", case.get("verbosity", 0))
        monkeypatch.setattr(_role_input, "load_extra_vars", lambda _loader: case.get("extra", {}))
        for file, text in case.get("write", {}).items():
            (tmp_path / file).write_text(text, encoding="utf-8")
        kubernetes.ends = case.get("ends", "")
        kubernetes.log.clear()
        facts["pod_identity_report"] = dict.fromkeys(REPORT, "of an earlier run")
        sent = len(aws.requests)
        result: Any = {"ended": True}
        with contextlib.suppress(SystemExit, Timeout):
            result = build_action(variables, case).run(None, variables)
        # Before ansible-core 2.21, facts are in the result.
        report = {**facts, **result.pop("ansible_facts", {})}["pod_identity_report"]
        if trace := result.pop("exception", ""):
            result["exception"] = trace.splitlines()[-1]
        checks = result.get("verification", {})
        result["verification"] = {name: status for name, status in checks.items() if status != "skipped"}
        result["diff"] = [row["after_header"] for row in result.get("diff", ())]
        files = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.[jx]*")}
        reports = {name: json.loads(text) for name, text in files.items() if name.endswith(".json")}
        found = {
            "screen": capsys.readouterr().out,
            "result": {name: value for name, value in result.items() if value},
            "report": {name: report[name] for name in REPORT if report},
            "files": {
                **files,
                **{name: {key: rows.get(key) for key in FILED} for name, rows in reports.items()},
            },
            "aws": [name for name, _ in aws.requests[sent:] if name in aws.writes],
            "kubernetes": [line for line, _repeated in itertools.groupby(kubernetes.log)],
        }
        text = json.dumps({name: value for name, value in found.items() if value})
        return json.loads(text.replace(str(tmp_path), "/tmp"))

    return run


@pytest.mark.parametrize("name", RUNS)
def test_run(name: str, play: Any) -> None:
    case = RUNS[name]
    for earlier in case.get("before", ()):
        play(earlier)
    assert play(case) == case["expected"]


@pytest.mark.parametrize(
    ("values", "settings"),
    [
        ({}, KubernetesSettings(True, injection=InjectionSettings(IMAGE))),
        ({"verify_pods": False}, KubernetesSettings(True, verify_pods=False)),
        (
            {
                "patience": 7,
                "proof_run": "run",
                "runtime_proof": True,
                "proof_impossible": "",
                "proof_pod": POD,
            },
            KubernetesSettings(
                True,
                injection=InjectionSettings(IMAGE, POD, timeout=7),
                proof=ProofSettings("run", IMAGE, 7, POD),
                proof_skip_reason="",
            ),
        ),
        (
            {"injection_observe": 40, "restart_stale": True},
            KubernetesSettings(True, injection=InjectionSettings(IMAGE, {}, 80, 0, 40), restart=300),
        ),
    ],
)
def test_variables_set_the_steps_in_kubernetes(values: Json, settings: KubernetesSettings) -> None:
    assert _role_run.kubernetes_settings(values, True) == settings
