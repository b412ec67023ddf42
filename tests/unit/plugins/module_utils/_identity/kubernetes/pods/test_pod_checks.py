# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the checks of Pods: for each state of the cluster, the statuses and the finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.pod_checks import (
    verify_pods,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.pods import (
    parse_state,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)

SKIPPING = {"pod-template-hash": "6d5f7c9b8", "eks.amazonaws.com/skip-pod-identity-webhook": "true"}
STALE_AND_IRSA = {
    "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/old",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
}
REPLICA_SET = build.replica_set()


@dataclass(frozen=True)
class Case:
    """A state of the cluster.

    ``checks`` has two texts of the form "status detail": for the check of the agent, and for the check of the Pods.
    test_pod_checks.yml has the finding, if any.
    """

    name: str
    pods: list[dict[str, Any]]
    checks: tuple[str, str]
    reads: Mapping[str, Any] = field(default_factory=dict)
    row: Mapping[str, Any] = field(default_factory=dict)
    auto_mode: bool = False


def proxy(**env: str) -> dict[str, Any]:
    return build.pod(containers=[build.container(env={**build.INJECTED, **env})])


def stale(owner: tuple[str, str] | None, **more: Any) -> dict[str, Any]:
    return build.pod("x", created=build.BEFORE, injected=False, owner=owner, **more)


PROXY = {**build.INJECTED, "HTTP_PROXY": "http://proxy:3128"}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}
OWN_URI = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9911/"}
AGENTS = {"agents": build.read([build.agent()])}
NO_AGENTS = {"agents": build.read([])}
CASES = [
    Case("all right", [build.pod()], ("pass", "pass 1")),
    Case("no Pods", [], ("pass", "pass 0")),
    Case(
        "older than the last change of the association",
        [build.pod(), build.pod("web-6d5f7c9b8-new", created="2026-03-10T11:00:00Z")],
        ("pass", "warning 1/2"),
        row={"association_modified_at": "2026-03-10T11:00:00.250000+00:00"},
    ),
    Case(
        "a Pod of a recreated association keeps its credentials",
        [build.pod(created=build.BEFORE)],
        ("pass", "warning 1/1"),
        row={"association_modified_at": build.ASSOCIATED},
    ),
    Case(
        "older than its role, which was deleted and created anew",
        [build.pod()],
        ("pass", "warning 1/1"),
        row={"association_modified_at": build.ASSOCIATED, "role_created_at": "2026-03-10T11:30:00+00:00"},
    ),
    Case(
        "older than a change of six hours ago",
        [build.pod(created=build.BEFORE)],
        ("pass", "pass 1"),
        row={"association_modified_at": "2026-03-10T06:00:00+00:00"},
    ),
    Case(
        "older than a change of an association that is not right, which is a finding of AWS",
        [build.pod(created=build.BEFORE)],
        ("pass", "pass 1"),
        row={
            "association_modified_at": build.ASSOCIATED,
            "checks": [{"name": "association", "status": "fail", "codes": ["ASSOCIATION_OTHER_ROLE"]}],
        },
    ),
    Case(
        "Pods that are finished or about to go",
        [stale(None, phase="Succeeded"), stale(None, phase="Failed"), stale(None, deleted=True)],
        ("pass", "pass 0"),
    ),
    Case(
        "another service account's Pod",
        [build.pod(account="other", injected=False), build.pod(namespace="other", injected=False)],
        ("pass", "pass 0"),
    ),
    Case(
        "admitted before the association",
        [build.pod(created=build.BEFORE, injected=False)],
        ("pass", "fail 1/1"),
    ),
    Case(
        "many Pods of a Deployment are one finding",
        [build.pod(f"web-6d5f7c9b8-{n}", created=build.BEFORE, injected=False) for n in "edcba"]
        + [build.pod()],
        ("pass", "fail 5/6"),
    ),
    Case(
        "before the association, still with IRSA",
        [build.pod(created=build.BEFORE, injected=False, containers=[build.container(env=STALE_AND_IRSA)])],
        ("pass", "fail 1/1"),
    ),
    Case(
        "left to itself, before the association",
        [build.pod(created=build.BEFORE, injected=False, labels=SKIPPING)],
        ("pass", "warning 1/1"),
    ),
    Case(
        "left to itself, with IRSA",
        [build.pod(injected=False, labels=SKIPPING, containers=[build.container(env=STALE_AND_IRSA)])],
        ("pass", "warning 1/1"),
    ),
    Case(
        "left to itself, with keys, which SDKs prefer to IRSA",
        [
            build.pod(
                injected=False, labels=SKIPPING, containers=[build.container(env={**STALE_AND_IRSA, **KEYS})]
            )
        ],
        ("pass", "warning 1/1"),
    ),
    Case(
        "the agent's port",
        [build.pod(containers=[{**build.container(), "ports": [{"containerPort": 80, "hostPort": 80}]}])],
        ("pass", "warning 1/1"),
    ),
    Case(
        "security groups for Pods",
        [build.pod(annotations={"vpc.amazonaws.com/pod-eni": '[{"eniId":"eni-1"}]'})],
        ("pass", "warning 1/1"),
    ),
    Case(
        "the agent's port in two containers",
        [build.pod(containers=[{**build.container(name), "ports": [{"hostPort": 80}]} for name in "ab"])],
        ("pass", "warning 1/1"),
    ),
    Case(
        "before the association that the plan creates",
        [build.pod(created=build.BEFORE, injected=False)],
        ("pass", "fail 1/1"),
        row={"association_id": ""},
    ),
    Case(
        "older than a change, with another failed check",
        [build.pod()],
        ("pass", "warning 1/1"),
        row={
            "association_modified_at": "2026-03-10T11:00:00+00:00",
            "association_created_at": build.BEFORE,
            "checks": [{"name": "attachment", "status": "fail", "codes": []}],
        },
    ),
    Case(
        "variables without the token",
        [build.pod(injected=False, containers=[build.container("a"), build.container("b", {})])],
        ("pass", "fail 1/1"),
    ),
    Case(
        "another port of the node",
        [build.pod(containers=[{**build.container(), "ports": [{"containerPort": 80, "hostPort": 8080}]}])],
        ("pass", "pass 1"),
    ),
    Case("of a DaemonSet", [stale(("DaemonSet", "logs"))], ("pass", "fail 1/1")),
    Case("of a StatefulSet", [stale(("StatefulSet", "db"))], ("pass", "fail 1/1")),
    Case("of a Job", [stale(("Job", "import"))], ("pass", "fail 1/1")),
    Case(
        "of a ReplicaSet alone",
        [stale(("ReplicaSet", "web"), labels={})],
        ("pass", "fail 1/1"),
        reads={"replica_sets": build.read([build.replica_set("web", owner=None)])},
    ),
    Case(
        "of something else",
        [stale(("ReplicaSet", "web-6d5f7c9b8"))],
        ("pass", "fail 1/1"),
        reads={"replica_sets": build.read([build.replica_set(owner=("Rollout", "web"))])},
    ),
    Case("of nothing", [stale(None)], ("pass", "fail 1/1")),
    Case(
        "owner by the ReplicaSet's ownerReferences",
        [build.pod(created=build.BEFORE, injected=False, labels={})],
        ("pass", "fail 1/1"),
        reads={"replica_sets": build.read([REPLICA_SET])},
    ),
    Case(
        "admitted after the association without injection, by a clock that is ahead",
        [build.pod(created="2026-03-10T12:00:05Z", injected=False)],
        ("pass", "fail 1/1"),
    ),
    Case(
        "no association is no fault of the Pods",
        [build.pod(injected=False)],
        ("pass", "pass 1"),
        row={"association_id": "", "association_created_at": ""},
    ),
    Case(
        "on Fargate, by the node's label",
        [build.pod(injected=False)],
        ("pass", "fail 1/1"),
        reads={"nodes": build.read([build.node(labels={"eks.amazonaws.com/compute-type": "fargate"})])},
    ),
    Case(
        "on Fargate, by the Pod's label before it has a node",
        [build.pod("x", owner=None, node="", labels={"eks.amazonaws.com/fargate-profile": "fp"})],
        ("pass", "fail 1/1"),
    ),
    Case(
        "on Fargate, by the node's name",
        [build.pod("x", owner=None, node="fargate-ip-10-0-1-9.ec2.internal")],
        ("pass", "fail 1/1"),
    ),
    Case(
        "on Windows",
        [build.pod()],
        ("pass", "fail 1/1"),
        reads={"nodes": build.read([build.node(labels={"kubernetes.io/os": "windows"})])},
    ),
    Case(
        "on Windows, by the Pod's own word",
        [build.pod("x", owner=None, node="", os={"name": "windows"})],
        ("pass", "fail 1/1"),
    ),
    Case(
        "no agent in the cluster",
        [build.pod()],
        ("fail", "pass 1"),
        reads={**NO_AGENTS, "daemon_sets": build.read([]), "nodes": build.read([build.node()])},
    ),
    Case(
        "no agent in the cluster, although EKS has the add-on",
        [build.pod()],
        ("fail", "pass 1"),
        reads={**NO_AGENTS, "daemon_sets": build.read([]), "nodes": build.read([build.node()])},
        row={"checks": [{"name": "agent", "status": "pass", "detail": "v1.3.4", "codes": []}]},
    ),
    Case(
        "the agent's DaemonSet has no Pods",
        [build.pod()],
        ("fail", "pass 1"),
        reads={**NO_AGENTS, "daemon_sets": build.read([build.daemon_set(2)])},
    ),
    Case(
        "the agent selects no node",
        [],
        ("warning", "pass 0"),
        reads={**NO_AGENTS, "daemon_sets": build.read([build.daemon_set()])},
    ),
    Case(
        "no agent is ready",
        [build.pod()],
        ("fail", "pass 1"),
        reads={"agents": build.read([build.agent(ready=False)])},
    ),
    Case(
        "an agent elsewhere is not ready",
        [build.pod()],
        ("warning", "pass 1"),
        reads={"agents": build.read([build.agent(), build.agent("other", ready=False)])},
    ),
    Case(
        "the agent on the Pod's node is not ready",
        [build.pod()],
        ("fail", "pass 1"),
        reads={"agents": build.read([build.agent(ready=False), build.agent("other")])},
    ),
    Case(
        "no agent on the Pod's node",
        [build.pod()],
        ("fail", "pass 1"),
        reads={"agents": build.read([build.agent("other")])},
    ),
    Case(
        "Auto Mode has the agent in the node",
        [build.pod()],
        ("pass auto", "pass 1"),
        reads={
            **NO_AGENTS,
            "daemon_sets": build.read([]),
            "nodes": build.read([build.node(labels={"eks.amazonaws.com/compute-type": "auto"})]),
        },
    ),
    Case(
        "Auto Mode by the cluster's own word, without nodes",
        [],
        ("pass auto", "pass 0"),
        reads=NO_AGENTS,
        auto_mode=True,
    ),
    Case(
        "a node group beside Auto Mode needs the agent",
        [build.pod()],
        ("fail", "pass 1"),
        reads={**NO_AGENTS, "nodes": build.read([build.node()])},
        auto_mode=True,
    ),
    Case(
        "proxy of several containers",
        [build.pod(containers=[build.container(name, PROXY) for name in ("app", "log")])],
        ("pass", "fail 1/1"),
    ),
    Case(
        "proxies in any case, with another NO_PROXY",
        [proxy(https_proxy="http://p", ALL_PROXY="socks5://p", no_proxy="10.0.0.0/8,.svc")],
        ("pass", "fail 1/1"),
    ),
    Case(
        "proxy with NO_PROXY",
        [proxy(HTTP_PROXY="http://proxy:3128", NO_PROXY="localhost, 169.254.170.23")],
        ("pass", "pass 1"),
    ),
    Case(
        "proxy of a container that is left out",
        [
            build.pod(
                containers=[build.container(), build.container("squid", {"HTTP_PROXY": "http://p"})],
                annotations={"eks.amazonaws.com/skip-containers": "squid"},
            )
        ],
        ("pass", "warning 1/1"),
    ),
    Case(
        "containers left out",
        [
            build.pod(
                containers=[build.container(), build.container("metrics", {})],
                init=[build.container("setup", {"HTTP_PROXY": "http://p"})],
                annotations={"eks.amazonaws.com/skip-containers": "metrics, setup"},
            )
        ],
        ("pass", "warning 1/1"),
    ),
    Case(
        "all containers left out",
        [build.pod(injected=False, annotations={"eks.amazonaws.com/skip-containers": "app"})],
        ("pass", "warning 1/1"),
    ),
    Case(
        "keys in the environment",
        [proxy(AWS_ACCESS_KEY_ID="AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY="not-a-secret")],
        ("pass", "fail 1/1"),
    ),
    Case("a web identity beside Pod Identity", [proxy(**STALE_AND_IRSA)], ("pass", "fail 1/1")),
    Case(
        "credentials of its own beside a sidecar with Pod Identity",
        [build.pod(containers=[build.container(env=OWN_URI), build.container("proxy")])],
        ("pass", "fail 1/1"),
    ),
    Case(
        "credentials of its own in the only container",
        [build.pod(containers=[build.container(env=OWN_URI)])],
        ("pass", "fail 1/1"),
    ),
    Case(
        "credentials of its own, before the association: another Pod is no better",
        [build.pod(created=build.BEFORE, injected=False, containers=[build.container(env=OWN_URI)])],
        ("pass", "fail 1/1"),
    ),
    Case(
        "several containers and an init container with other credentials",
        [
            build.pod(
                containers=[build.container(env={**build.INJECTED, **KEYS}), build.container("log", OWN_URI)],
                init=[build.container("setup", {**build.INJECTED, **KEYS})],
            )
        ],
        ("pass", "fail 1/1"),
    ),
    Case(
        "a token for another audience",
        [build.pod(volumes=[build.token_volume("sts.amazonaws.com")])],
        ("pass", "unknown 1/1"),
    ),
    Case(
        "keys in a Pod that nothing owns",
        [build.pod("x", owner=None, containers=[build.container(env={**build.INJECTED, **KEYS})])],
        ("pass", "fail 1/1"),
    ),
    Case(
        "keys in a container that is left out on purpose",
        [
            build.pod(
                containers=[build.container(), build.container("backup", KEYS)],
                annotations={"eks.amazonaws.com/skip-containers": "backup"},
            )
        ],
        ("pass", "warning 1/1"),
    ),
    Case(
        "a container without injection beside one with it",
        [build.pod(containers=[build.container(), build.container("late", {})])],
        ("pass", "fail 1/1"),
    ),
    Case(
        "variables from another source",
        [build.pod(containers=[build.container(envFrom=[{"secretRef": {"name": "app-env"}}])])],
        ("pass", "unknown 1/1"),
    ),
    Case(
        "other credentials are no fault of a Pod without association",
        [build.pod(containers=[build.container(env=KEYS)])],
        ("pass", "pass 1"),
        row={"association_id": "", "association_created_at": ""},
    ),
    Case("Pods that may not be read", [], ("pass", "unknown"), reads={"pods": build.refused("pods")}),
    Case(
        "agents that may not be read",
        [build.pod()],
        ("unknown", "pass 1"),
        reads={"agents": build.refused("pods")},
    ),
    Case(
        "Pods that are not read any more",
        [],
        ("pass", "unknown"),
        reads={"pods": Listing(error=ApiError(0, "the deadline of 60 s has passed"))},
    ),
    Case(
        "Pods of an API server that is not well",
        [],
        ("pass", "unknown"),
        reads={"pods": Listing(error=ApiError(500, "etcdserver: request timed out"))},
    ),
    Case(
        "Pods of an API server that does not answer",
        [],
        ("pass", "unknown"),
        reads={"pods": Listing(error=ApiError(0, "Read timed out."))},
    ),
]


FINDINGS = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case_has_exactly_its_finding(case: Case) -> None:
    reads = {**AGENTS, "pods": build.read(case.pods), **case.reads}
    state = parse_state(reads, [build.KEY], build.CLUSTER, build.NOW, case.auto_mode)
    verdict = verify_pods([build.verified(**case.row)], state, build.CLUSTER)
    expected = [FINDINGS[case.name]] if case.name in FINDINGS else []
    assert expected == [
        {
            "code": finding.code.value,
            "severity": finding.severity,
            "message": finding.message,
            "remedy": finding.remedy,
        }
        for finding in verdict.findings
    ]
    checks = verdict.checks[build.KEY]
    assert {check.name: f"{check.status} {check.detail}".strip() for check in checks} == {
        "agent": case.checks[0],
        "pods": case.checks[1],
    }
    codes = {finding.code.value for check in checks for finding in check.findings}
    assert codes == {finding["code"] for finding in expected}
    assert verdict.judges_agent


def test_working_agent_is_known_without_the_list_of_nodes() -> None:
    reads = {**AGENTS, "pods": build.read([build.pod()]), "nodes": build.refused("nodes")}
    state = parse_state(reads, [build.KEY], build.CLUSTER, build.NOW)
    verdict = verify_pods([build.verified()], state, build.CLUSTER)
    assert [check.status for check in verdict.checks[build.KEY]] == ["pass", "pass"]
    assert [finding.severity for finding in verdict.findings] == ["warning"]
    assert verify_pods([], state, build.CLUSTER).judges_agent


def test_each_finding_belongs_to_a_case() -> None:
    assert FINDINGS.keys() <= {case.name for case in CASES}
