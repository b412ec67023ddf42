# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the detection of workloads that would lose their credentials if they got an association."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    IRSA_ANNOTATION,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    ServiceAccount,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.losing_pods import (
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
    variables = IRSA if env is None else env
    return build.pod("x", injected=False, containers=[build.container(env=variables)], node=node, **more)


def found(
    pods: list[dict[str, Any]], accounts: Any = ANNOTATED, allowed: bool = False, **lists: Listing
) -> tuple[list[Finding], list[str]]:
    defaults = {"Pod shop": build.read(pods), "Pod kube-system": AGENTS, "Node": build.read([build.node()])}
    cluster = FakeCluster(
        {**defaults, **{name.replace("_", " "): listing for name, listing in lists.items()}}
    )
    return find_breakage(cluster, [build.KEY], accounts, build.CLUSTER, build.NOW, allowed), cluster.log


@pytest.mark.parametrize(
    ("pods", "lists", "reason"),
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
        ([pod()], {}, "on a node without the EKS Pod Identity Agent"),
        ([pod()], {"Pod_kube-system": Listing()}, "on a node without the EKS Pod Identity Agent"),
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
        "no agent on the node",
        "no agent in the cluster",
        "agent is not ready",
    ],
)
def test_irsa_pod_without_agent_would_break(
    pods: list[dict[str, Any]], lists: dict[str, Listing], reason: str
) -> None:
    (finding,), _log = found(pods, **lists)
    assert (finding.code, finding.severity, finding.workload) == (
        "ASSOCIATION_WOULD_BREAK",
        "error",
        build.KEY,
    )
    assert finding.message == (
        "Pods of service account api in namespace shop use IAM roles for service accounts (IRSA) and cannot "
        "reach the EKS Pod Identity Agent "
        f"(Pod x {reason}). With an association, they get EKS Pod Identity instead of IRSA at their next start, and would "
        "have no credentials."
    )
    assert finding.remedy == (
        "Move them to Linux EC2 nodes with the agent, or give them a separate service account that keeps IRSA. "
        "To create the association anyway, set 'pod_identity_allow_breakage: true'."
    )


@pytest.mark.parametrize(
    ("pods", "lists"),
    [
        pytest.param([pod()], {"Pod_kube-system": build.read([build.agent()])}, id="an agent on the node"),
        pytest.param([pod(FARGATE, env={})], {}, id="no IRSA in use"),
        pytest.param([pod(FARGATE, phase="Succeeded", owner=None)], {}, id="finished Pod"),
        pytest.param(
            [pod(FARGATE, labels={"eks.amazonaws.com/skip-pod-identity-webhook": ""})],
            {},
            id="Pod that the webhook skips",
        ),
        pytest.param(
            [pod()],
            {"Node": build.read([build.node(labels={"eks.amazonaws.com/compute-type": "auto"})])},
            id="Auto Mode",
        ),
        pytest.param([pod()], {"Node": build.refused("nodes")}, id="node that may belong to Auto Mode"),
        pytest.param([pod()], {"Pod_kube-system": build.refused("pods")}, id="agents not readable"),
    ],
)
def test_pod_with_agent_or_without_irsa_would_not_break(
    pods: list[dict[str, Any]], lists: dict[str, Listing]
) -> None:
    assert found(pods, **lists)[0] == []


def test_service_account_without_annotation_needs_no_request() -> None:
    assert found([pod(FARGATE)], PLAIN) == ([], [])
    assert found([pod(FARGATE)], {}) == ([], [])


# Tests of workloads whose Pod templates are read

FARGATE_WHY = "on AWS Fargate, where EKS Pod Identity does not work"
WINDOWS_WHY = "on Windows, where EKS Pod Identity does not work"
PROFILE = {"eks.amazonaws.com/fargate-profile": "fp"}
KINDS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "CronJob", "Job")


def template(labels: dict[str, str] | None = None, env: dict[str, str] | None = None, **spec: Any) -> Any:
    containers = [build.container(env=env or {})]
    pod_spec = {"serviceAccountName": "api", "containers": containers, **spec}
    return {"template": {"metadata": {"labels": labels or {}}, "spec": pod_spec}}


def owner(name: str, spec: Any, owned: tuple[str, str] | None = None, **status: Any) -> Any:
    metadata: dict[str, Any] = {"namespace": "shop", "name": name}
    if owned:
        metadata["ownerReferences"] = build.owned_by(*owned)
    return {"metadata": metadata, "spec": spec, "status": status}


def cron_job(**more: Any) -> Listing:
    return build.read([owner("nightly", {"jobTemplate": {"spec": template(**more)}})])


def job(finished: bool = True) -> Listing:
    conditions = [{"type": "Complete", "status": "True"}] if finished else []
    return build.read([owner("nightly-1", template(), ("CronJob", "nightly"), conditions=conditions)])


def finished(node: str, created: str = build.BEFORE, **more: Any) -> dict[str, Any]:
    return pod(node, phase="Succeeded", owner=("Job", "nightly-1"), created=created, **more)


@pytest.mark.parametrize(
    ("lists", "place"),
    [
        pytest.param(
            {"CronJob": cron_job(labels=PROFILE)},
            f"Pods of CronJob nightly {FARGATE_WHY}",
            id="a CronJob with the label of a Fargate profile",
        ),
        pytest.param(
            {"CronJob": cron_job(nodeSelector={"eks.amazonaws.com/compute-type": "fargate"})},
            f"Pods of CronJob nightly {FARGATE_WHY}",
            id="a node selector",
        ),
        pytest.param(
            {"CronJob": cron_job(schedulerName="fargate-scheduler")},
            f"Pods of CronJob nightly {FARGATE_WHY}",
            id="the scheduler of Fargate",
        ),
        *(
            pytest.param(
                {kind: build.read([owner("web", template(labels=PROFILE))])},
                f"Pods of {kind} web {FARGATE_WHY}",
                id=f"a {kind}",
            )
            for kind in KINDS
            if kind != "CronJob"
        ),
        pytest.param(
            {
                "Deployment": build.read(
                    [owner("web", template(nodeSelector={"kubernetes.io/os": "windows"}))]
                )
            },
            f"Pods of Deployment web {WINDOWS_WHY}",
            id="Windows by node selector",
        ),
        pytest.param(
            {"Deployment": build.read([owner("web", template(os={"name": "windows"}))])},
            f"Pods of Deployment web {WINDOWS_WHY}",
            id="Windows by its operating system",
        ),
        pytest.param(
            {"CronJob": cron_job(), "Job": job(), "Pod shop": build.read([finished(FARGATE)])},
            f"Pods of CronJob nightly {FARGATE_WHY}",
            id="the last Pod of a CronJob was on Fargate",
        ),
        pytest.param(
            {"CronJob": cron_job(), "Job": job(), "Pod shop": build.read([finished("", labels=PROFILE)])},
            f"Pods of CronJob nightly {FARGATE_WHY}",
            id="earlier Pod, found by its label",
        ),
        pytest.param(
            {
                "Deployment": build.read([owner("web", template(labels=PROFILE))]),
                "CronJob": cron_job(labels=PROFILE),
                "Pod shop": build.read([pod(FARGATE)]),
                "ReplicaSet": build.read([build.replica_set()]),
            },
            f"Pod x {FARGATE_WHY}; Pods of CronJob nightly {FARGATE_WHY}",
            id="running Pod decides for its template",
        ),
    ],
)
def test_template_without_agent_would_break(lists: dict[str, Listing], place: str) -> None:
    (finding,), _log = found([], **{name.replace(" ", "_"): listing for name, listing in lists.items()})
    assert (finding.code, finding.severity) == ("ASSOCIATION_WOULD_BREAK", "error")
    assert finding.message == (
        "Pods of service account api in namespace shop use IAM roles for service accounts (IRSA) and cannot "
        "reach the EKS Pod Identity Agent "
        f"({place}). With an association, they get EKS Pod Identity instead of IRSA at their next start, and would "
        "have no credentials."
    )


UNKNOWN = (
    "service account api in namespace shop has the IRSA annotation. With an association, its Pods get EKS Pod Identity "
    "instead of IRSA at their next start, and it is not known whether they can then reach the EKS Pod Identity Agent: "
)
LOOK = (
    "Make sure that the Pods start on Linux EC2 nodes with the agent, or give them a separate service account that keeps IRSA. "
    "To see the Fargate profiles: aws eks list-fargate-profiles --cluster-name my-cluster"
)


@pytest.mark.parametrize(
    ("lists", "gap"),
    [
        pytest.param(
            {"CronJob": cron_job()},
            "CronJob nightly has no Pod that shows where new Pods start",
            id="a CronJob without Pods",
        ),
        pytest.param(
            {"CronJob": cron_job(affinity={"nodeAffinity": {}})},
            "CronJob nightly has no Pod that shows where new Pods start",
            id="affinity",
        ),
        pytest.param(
            {"ReplicaSet": build.read([owner("r-1", template(), ("Rollout", "r"))])},
            "Rollout r has no Pod that shows where new Pods start",
            id="custom resource with zero replicas",
        ),
        pytest.param(
            {},
            "no Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, CronJob or Job uses the service account, and other "
            "kinds of owners were not read",
            id="no Pod and no owner",
        ),
    ],
)
def test_unknown_placement_may_break(lists: dict[str, Listing], gap: str) -> None:
    (finding,), _log = found([], **lists)
    assert (finding.code, finding.severity, finding.workload) == (
        "ASSOCIATION_WOULD_BREAK",
        "warning",
        build.KEY,
    )
    assert (finding.message, finding.remedy) == (f"{UNKNOWN}{gap}.", LOOK)


def test_forbidden_lists_are_named() -> None:
    lists = {"Pod_shop": build.refused("pods"), "CronJob": build.refused("cronjobs")}
    (finding,), _log = found([], **lists)
    assert finding.message == f"{UNKNOWN}pods, cronjobs.batch could not be listed."
    manifests = "Allow the caller to list these resources: docs/iam-permissions.md has the manifests."
    assert finding.remedy == f"{manifests} {LOOK}"


# Tests of runs that install the agent


@pytest.mark.parametrize(
    ("agents", "node", "installs", "reason"),
    [
        pytest.param([], build.NODE, True, "", id="no agent, which the run installs"),
        pytest.param([], build.NODE, False, "on a node without the EKS Pod Identity Agent", id="no agent"),
        pytest.param([], FARGATE, True, FARGATE_WHY, id="Fargate"),
        pytest.param(
            [build.agent("elsewhere")],
            build.NODE,
            True,
            "on a node without the EKS Pod Identity Agent",
            id="agent on other nodes only",
        ),
        pytest.param(
            [build.agent(ready=False)],
            build.NODE,
            True,
            "on a node where the EKS Pod Identity Agent is not ready",
            id="agent is not ready",
        ),
        pytest.param([build.agent()], build.NODE, True, "", id="agent on the node"),
    ],
)
def test_installation_of_a_missing_agent(
    agents: list[dict[str, Any]], node: str, installs: bool, reason: str
) -> None:
    cluster = FakeCluster(
        {
            "Pod shop": build.read([pod(node)]),
            "Pod kube-system": build.read(agents),
            "Node": build.read([build.node()]),
        }
    )
    findings = find_breakage(
        cluster, [build.KEY], ANNOTATED, build.CLUSTER, build.NOW, installs_agent=installs
    )
    assert [finding.code for finding in findings] == (["ASSOCIATION_WOULD_BREAK"] if reason else [])
    assert all(f"(Pod x {reason})" in finding.message for finding in findings)
