# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which running Pods would lose their credentials by an association."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_findings import (
    IRSA_ANNOTATION,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    ServiceAccount,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.breakage import (
    find_breakage,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_cluster import (
    FakeCluster,
)

ROLE = "arn:aws:iam::111122223333:role/old"
IRSA = {
    "AWS_ROLE_ARN": ROLE,
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
}
ANNOTATED = {build.KEY: ServiceAccount(build.KEY, {}, {IRSA_ANNOTATION: ROLE})}
PLAIN = {build.KEY: ServiceAccount(build.KEY)}
AGENTS = build.read([build.agent("elsewhere")])
FARGATE = "fargate-ip-10-0-1-9.ec2.internal"


def pod(node: str = build.NODE, env: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    given = IRSA if env is None else env
    return build.pod("x", injected=False, containers=[build.container(env=given)], node=node, **more)


def found(
    pods: list[dict[str, Any]], accounts: Any = ANNOTATED, allowed: bool = False, **lists: Listing
) -> tuple[list[Finding], list[str]]:
    given = {"Pod shop": build.read(pods), "Pod kube-system": AGENTS, "Node": build.read([build.node()])}
    cluster = FakeCluster({**given, **{name.replace("_", " "): listing for name, listing in lists.items()}})
    return find_breakage(cluster, [build.KEY], accounts, build.CLUSTER, build.NOW, allowed), cluster.log


@pytest.mark.parametrize(
    ("pods", "lists", "why"),
    [
        ([pod(FARGATE)], {}, "on AWS Fargate, where EKS Pod Identity does not work"),
        (
            [pod("", labels={"eks.amazonaws.com/fargate-profile": "fp"})],
            {},
            "on AWS Fargate, where EKS Pod Identity does not work",
        ),
        (
            [pod(os={"name": "windows"})],
            {"Node": build.read([build.node(labels={"kubernetes.io/os": "windows"})])},
            "on Windows, where EKS Pod Identity does not work",
        ),
        (
            [pod("virtual-kubelet-1")],
            {"Node": Listing()},
            "on a virtual node, where no EKS Pod Identity Agent can run",
        ),
        ([pod()], {}, "on a node without EKS Pod Identity Agent"),
        ([pod()], {"Pod_kube-system": Listing()}, "on a node without EKS Pod Identity Agent"),
        (
            [pod()],
            {"Pod_kube-system": build.read([build.agent(ready=False)])},
            "on a node where the EKS Pod Identity Agent is not ready",
        ),
    ],
    ids=[
        "Fargate",
        "Fargate, not scheduled",
        "Windows",
        "virtual",
        "no agent there",
        "no agent at all",
        "not ready",
    ],
)
def test_irsa_in_use_without_an_agent_would_break(
    pods: list[dict[str, Any]], lists: dict[str, Listing], why: str
) -> None:
    (finding,), _log = found(pods, **lists)
    assert (finding.code, finding.severity, finding.workload) == (
        "ASSOCIATION_WOULD_BREAK",
        "error",
        build.KEY,
    )
    assert finding.message == (
        "Pods of service account api in namespace shop use IRSA and cannot reach the EKS Pod Identity Agent "
        f"(Pod x {why}). An association takes IRSA away from them at their next start, and they would have no "
        "credentials."
    )
    assert finding.remedy == (
        "Move them to Linux EC2 nodes with the agent, or give them a service account of their own that keeps IRSA. "
        "pod_identity_allow_breakage: true makes the association all the same."
    )


@pytest.mark.parametrize(
    ("pods", "lists"),
    [
        pytest.param([pod()], {"Pod_kube-system": build.read([build.agent()])}, id="an agent on the node"),
        pytest.param([pod(FARGATE, env={})], {}, id="no IRSA in use"),
        pytest.param([pod(FARGATE, phase="Succeeded")], {}, id="finished"),
        pytest.param(
            [pod(FARGATE, labels={"eks.amazonaws.com/skip-pod-identity-webhook": ""})],
            {},
            id="left to itself",
        ),
        pytest.param(
            [pod()],
            {"Node": build.read([build.node(labels={"eks.amazonaws.com/compute-type": "auto"})])},
            id="Auto Mode",
        ),
        pytest.param([pod()], {"Node": build.refused("nodes")}, id="a node that may be one of Auto Mode"),
        pytest.param([pod()], {"Pod_kube-system": build.refused("pods")}, id="agents not readable"),
        pytest.param([], {}, id="no Pods"),
    ],
)
def test_what_is_not_known_to_break_does_not_stop(
    pods: list[dict[str, Any]], lists: dict[str, Listing]
) -> None:
    assert found(pods, **lists)[0] == []


def test_service_accounts_without_irsa_cost_no_request() -> None:
    assert found([pod(FARGATE)], PLAIN) == ([], [])
    assert found([pod(FARGATE)], {}) == ([], [])


def test_on_the_users_word_it_is_a_warning() -> None:
    (finding,), _log = found([pod(FARGATE)], allowed=True)
    assert finding.severity == "warning"


def test_agents_of_hybrid_nodes_are_read_as_well() -> None:
    cluster = FakeCluster({"Pod shop": build.read([pod()]), "Node": build.read([build.node()])})
    queries = []
    read = cluster.list_objects

    def record(query: Any) -> Listing:
        queries.append(query)
        return read(query)

    cluster.list_objects = record  # type: ignore[method-assign]
    find_breakage(cluster, [build.KEY], ANNOTATED, build.CLUSTER, build.NOW)
    (agents,) = [query for query in queries if query.namespace == "kube-system" and query.kind == "Pod"]
    assert agents.label_selectors == (
        "app.kubernetes.io/name in (eks-pod-identity-agent,eks-pod-identity-agent-hybrid,"
        "eks-pod-identity-agent-hybrid-bottlerocket)",
    )
