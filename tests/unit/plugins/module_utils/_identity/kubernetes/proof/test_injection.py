# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the injection probe, which creates Pods in dry runs: how it evaluates them, how often it repeats, and its findings."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import split_commands
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    Preflight,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    DryRun,
    Listing,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    ServiceAccount,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.injection import (
    InjectionSettings,
    choose_workloads,
    evaluate_dry_run,
    probe_pod,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.converge import (
    KubernetesRun,
    KubernetesSettings,
    converge_kubernetes,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_cluster import (
    FakeClock,
    FakeCluster,
)

PROBE = InjectionSettings("image")
IRSA = {"AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/old", "AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}

Json = dict[str, Any]


def dry_run(
    env: Mapping[str, str] = build.INJECTED,
    audience: str | None = "pods.eks.amazonaws.com",
    account: str = "api",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> DryRun:
    """Return the response of an API server to the dry run of a probe Pod."""
    pod: Any = copy.deepcopy(probe_pod(build.KEY, PROBE, "us-west-2"))
    pod["spec"]["serviceAccountName"] = account
    pod["spec"]["containers"][0]["env"] += [{"name": name, "value": value} for name, value in env.items()]
    if audience is not None:
        pod["spec"]["containers"][0]["volumeMounts"].append(build.MOUNT)
        pod["spec"]["volumes"].append(build.token_volume(audience))
    pod["metadata"]["labels"] |= labels or {}
    pod["metadata"]["annotations"] = dict(annotations or {})
    return DryRun(pod)


def refusal(status: int, text: str) -> DryRun:
    return DryRun(error=ApiError(status, text))


INJECTED = dry_run()
MISSING = dry_run(env={}, audience=None)


@pytest.mark.parametrize(
    ("trial", "code", "description"),
    [
        (INJECTED, None, ""),
        (
            dry_run(
                env=build.INJECTED
                | {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://[fd00:ec2::23]/v1/credentials"}
            ),
            None,
            "",
        ),
        (MISSING, "INJECTION_MISSING", "does not get the environment and token of EKS Pod Identity"),
        (
            dry_run(audience=None),
            "INJECTION_MISSING",
            "does not get the complete environment and token of EKS Pod Identity",
        ),
        (
            dry_run(env={}),
            "INJECTION_MISSING",
            "does not get the complete environment and token of EKS Pod Identity",
        ),
        (
            dry_run(env=IRSA, audience=None),
            "INJECTION_OTHER_IDENTITY",
            "gets arn:aws:iam::111122223333:role/old by IRSA instead of EKS Pod Identity",
        ),
        (
            dry_run(env={**build.INJECTED, **IRSA}),
            "INJECTION_OTHER_IDENTITY",
            "gets arn:aws:iam::111122223333:role/old by IRSA as well, which SDKs prefer",
        ),
        (
            dry_run(env={**build.INJECTED, **KEYS}),
            "INJECTION_OTHER_IDENTITY",
            "gets AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which SDKs prefer",
        ),
        (
            dry_run(env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9911/"}, audience=None),
            "INJECTION_OTHER_IDENTITY",
            "gets AWS_CONTAINER_CREDENTIALS_FULL_URI, but without the URI of the EKS Pod Identity Agent",
        ),
        (
            dry_run(env={**build.INJECTED, "AWS_PROFILE": "shared"}),
            "INJECTION_UNKNOWN",
            "gets AWS_PROFILE, which some SDKs use instead",
        ),
        (
            dry_run(account="other"),
            "INJECTION_OTHER_IDENTITY",
            "gets service account other instead, to which the association does not apply",
        ),
        (
            dry_run(audience="sts.amazonaws.com"),
            "INJECTION_UNKNOWN",
            "gets another token from volume eks-pod-identity-token",
        ),
        (
            dry_run(env={}, audience=None, labels={"eks.amazonaws.com/skip-pod-identity-webhook": "true"}),
            "INJECTION_MISSING",
            "gets the label eks.amazonaws.com/skip-pod-identity-webhook, so the webhook skips it",
        ),
        (
            dry_run(env={}, audience=None, annotations={"eks.amazonaws.com/skip-containers": "proof"}),
            "INJECTION_MISSING",
            "gets the annotation eks.amazonaws.com/skip-containers, so the webhook skips it",
        ),
    ],
)
def test_dry_run_shows_the_injection(trial: DryRun, code: str | None, description: str) -> None:
    seen = evaluate_dry_run(trial, build.KEY)
    assert (seen.code and seen.code.value, seen.description) == (code, description)
    assert seen.is_injected is (code is None)


FORBIDDEN = (
    'pods is forbidden: User "x" cannot create resource "pods" in API group "" in the namespace "shop"'
)


QUOTA = "Raise the quota, or set resources in pod_identity_proof_pod that fit into the quota."
LIMITS = "Set resources in pod_identity_proof_pod that the namespace allows."
ADMISSION = (
    "Set pod_identity_proof_pod (labels, annotations, resources and other fields) or pod_identity_proof_image to values that the "
    "policy allows."
)
CLASS = "Correct pod_identity_proof_pod, or create the class."
# Each item has the status and the text of a rejection, the reason in the message of the finding, and the remedy.
REFUSALS = [
    (
        403,
        'pods "p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=4, limited: pods=4',
        "quota q of the namespace rejects it",
        QUOTA,
    ),
    (
        403,
        'pods "p" is forbidden: failed quota: mem-cpu.1: must specify limits.cpu for: proof',
        "quota mem-cpu.1 of the namespace rejects it",
        QUOTA,
    ),
    (
        403,
        'pods "p" is forbidden: violates PodSecurity "restricted:latest": hostPort',
        "Pod Security Standard restricted:latest of the namespace rejects it",
        "Set pod_identity_proof_pod to values that the namespace allows.",
    ),
    (
        403,
        'pods "p" is forbidden: minimum cpu usage per Container is 1, but request is 50m',
        "a LimitRange of the namespace rejects it",
        LIMITS,
    ),
    (
        403,
        'pods "p" is forbidden: no PriorityClass with name gold was found',
        "PriorityClass gold does not exist",
        CLASS,
    ),
    (
        403,
        'pods "p" is forbidden: pod rejected: RuntimeClass "gvisor" not found',
        "RuntimeClass gvisor does not exist",
        CLASS,
    ),
    (
        403,
        'pods "p" is forbidden: unable to create new content in namespace shop because it is being terminated',
        "the namespace is being deleted",
        "Remove the workload from the list, or recreate the namespace after its deletion.",
    ),
    (
        400,
        'admission webhook "w" does not support dry run',
        "admission webhook w does not support dry runs",
        "Have that webhook declare sideEffects: None, or accept the finding with pod_identity_ignore.",
    ),
    (
        500,
        'Internal error occurred: failed calling webhook "validate.kyverno.svc": failed to call webhook: Post '
        '"https://kyverno-svc.kyverno.svc:443/validate/fail?timeout=10s": context deadline exceeded',
        "admission webhook validate.kyverno.svc fails",
        "Repair that webhook: with failurePolicy Fail it prevents all new Pods. To see its service: kubectl "
        "get mutatingwebhookconfigurations,validatingwebhookconfigurations -o yaml",
    ),
    (
        422,
        "pods \"p\" is forbidden: ValidatingAdmissionPolicy 'team' with binding 'team-all' denied request: no label team",
        "ValidatingAdmissionPolicy team (binding team-all) rejects it",
        ADMISSION,
    ),
    (
        400,
        'admission webhook "validate.kyverno.svc-fail" denied the request: resource Pod/shop/p was blocked due to the '
        "following policies require-labels: check-team: validation error: label team is required",
        "policy require-labels of admission webhook validate.kyverno.svc-fail rejects it",
        ADMISSION,
    ),
    (
        403,
        'admission webhook "validation.gatekeeper.sh" denied the request: [must-have-team] you must provide labels: team',
        "policy must-have-team of admission webhook validation.gatekeeper.sh rejects it",
        ADMISSION,
    ),
    (
        403,
        'admission webhook "images" denied the request: no label team',
        "admission webhook images rejects it",
        ADMISSION,
    ),
    (
        422,
        'Pod "p" is invalid: spec.tolerations[0].effect: Unsupported value: "x"',
        "the Pod is not valid",
        "Correct pod_identity_proof_pod or pod_identity_proof_image.",
    ),
    (
        403,
        'pods "p" is forbidden: a reason of a plugin of its own',
        "the API server rejects it",
        "Resolve the cause, or accept the finding with pod_identity_ignore.",
    ),
    (
        500,
        "etcdserver: leader changed",
        "the API server failed",
        "Verify again when the API server is available.",
    ),
    (
        429,
        "Too many requests, please try again later.",
        "the API server was too busy",
        "Verify again when it is less busy.",
    ),
]


@pytest.mark.parametrize(
    ("error", "description", "remedy"),
    [
        (
            ApiError(403, FORBIDDEN),
            f"could not be created with a dry run, as the caller is not allowed to create it (403): {FORBIDDEN}",
            "Allow the caller to create pods with a dry run: docs/iam-permissions.md has the manifest.",
        ),
        *(
            (
                ApiError(status, text),
                f"could not be created with a dry run, as {reason} ({status}): {text.rstrip('.')}",
                remedy,
            )
            for status, text, reason, remedy in REFUSALS
        ),
        (
            ApiError(404, 'namespaces "shop" not found'),
            'could not be created with a dry run, as its service account does not exist (404): namespaces "shop" not found',
            "Create the service account, or apply the workload, which creates it.",
        ),
        (
            ApiError(0, "the deadline of 60 s has passed"),
            "could not be created with a dry run, as no time was left before the deadline: the deadline of 60 s has passed",
            "Run again with a greater pod_identity_deadline.",
        ),
        (
            ApiError(0, "connection refused"),
            "could not be created with a dry run, as the API server did not respond: connection refused",
            "Verify again, which repeats the dry run.",
        ),
    ],
)
def test_rejected_dry_run_is_unknown(error: ApiError, description: str, remedy: str) -> None:
    seen = evaluate_dry_run(DryRun(error=error), build.KEY)
    assert (seen.code, seen.description, seen.remedy) == (Code.INJECTION_UNKNOWN, description, remedy)


# Tests of repeated dry runs

EKS = {"gitVersion": "v1.33.1-eks-1234567"}
ACCOUNT = ServiceAccount(build.KEY)
YOUNG = (build.NOW - timedelta(seconds=5)).isoformat()


def probe_run(
    trials: Sequence[DryRun],
    row: Json | None = None,
    result: Json | None = None,
    lists: Mapping[str, Listing] | None = None,
    version: Json = EKS,
    timeout: int = 60,
    clock: FakeClock | None = None,
    **settings: Any,
) -> tuple[KubernetesRun, FakeCluster, FakeClock]:
    cluster = FakeCluster(lists=lists, version=version, trials={"api": list(trials)})
    clock = clock or FakeClock()
    aws_result = build.result(row or build.row()) if result is None else result
    run = converge_kubernetes(
        cluster,
        build.parse_aws_result(aws_result, build.CLUSTER),
        Preflight({build.KEY: ACCOUNT}, {"shop"}),
        KubernetesSettings(injection=replace(PROBE, timeout=timeout), **{"verify_pods": False, **settings}),
        clock,
    )
    return run, cluster, clock


def injection(run: KubernetesRun) -> list[tuple[str, str]]:
    return [
        (check.status, check.detail) for check in run.outcome.checks[build.KEY] if check.name == "injection"
    ]


def codes(run: KubernetesRun) -> list[str]:
    return [finding.code.value for finding in run.outcome.findings]


def test_too_few_successes_are_unknown() -> None:
    run, _cluster, _clock = probe_run([INJECTED], build.row(association_created_at=YOUNG), timeout=1)
    assert injection(run) == [("unknown", "")]
    (finding,) = run.outcome.findings
    assert finding.message == (
        "a Pod that starts now under service account api got EKS Pod Identity in 2 of the 3 required dry runs in a row, so "
        "it is unknown whether all API servers of the cluster know the new association."
    )


def test_new_pod_with_another_identity_fails() -> None:
    run, _cluster, _clock = probe_run([dry_run(env=IRSA, audience=None)])
    assert (injection(run), codes(run)) == ([("fail", "")], ["INJECTION_OTHER_IDENTITY"])


def test_remedy_for_a_missing_injection_names_the_webhook() -> None:
    run, _cluster, _clock = probe_run([MISSING])
    assert split_commands(run.outcome.findings[0].remedy) == (
        "Check that pod-identity-webhook, which EKS creates, exists, and that its namespaceSelector does not exclude namespace "
        "shop. To see the mutating webhooks:",
        ["kubectl get mutatingwebhookconfigurations -o yaml"],
    )


@pytest.mark.parametrize(
    ("dry_run", "severity"),
    [
        # The caller may lack this permission, because the role does not require it.
        pytest.param(refusal(403, FORBIDDEN), "warning", id="a rejection"),
        pytest.param(DryRun(error=ApiError(0, "the deadline of 60 s has passed")), "error", id="no response"),
    ],
)
def test_permanent_rejection_is_unknown_without_retry(dry_run: DryRun, severity: str) -> None:
    run, cluster, _clock = probe_run([dry_run])
    assert (injection(run), codes(run)) == ([("unknown", "")], ["INJECTION_UNKNOWN"])
    assert [finding.severity for finding in run.outcome.findings] == [severity]
    assert cluster.log.count("try api") == 1


BUSY = DryRun(error=ApiError(429, "too many requests", 5))


@pytest.mark.parametrize(
    ("answers", "code"), [([MISSING, BUSY], "INJECTION_MISSING"), ([BUSY], "INJECTION_UNKNOWN")]
)
def test_busy_response_does_not_hide_a_miss(answers: Sequence[DryRun], code: str) -> None:
    run, _cluster, _clock = probe_run(answers)
    assert codes(run) == [code]


@pytest.mark.parametrize(("version", "probed"), [(EKS, True), ({"gitVersion": "v1.36.2"}, False), ({}, True)])
def test_only_eks_api_servers_are_probed(version: Json, probed: bool) -> None:
    run, _cluster, _clock = probe_run([INJECTED], version=version)
    assert injection(run) == ([("pass", "")] if probed else [])


# Tests of the choice of workloads to probe


def many(count: int, new: Sequence[int] = ()) -> Any:
    rows = [build.row(f"w{number}") for number in range(count)]
    changes = [
        {"workload": f"shop/w{number}", "resource": "association", "action": "create"} for number in new
    ]
    return build.parse_aws_result(
        {"changes": changes, "cluster_arn": build.ARN, "verification": build.result(*rows)}, build.CLUSTER
    )


def chosen(aws: Any, sample: int, first: Sequence[int] = ()) -> list[str]:
    keys = [workload.key for workload in aws.verification.workloads]
    workloads = choose_workloads(aws, keys, sample, [keys[number] for number in first])
    return [workload.key.service_account for workload in workloads]


def test_sample_starts_with_new_associations() -> None:
    assert chosen(many(5), 5) == ["w0", "w1", "w2", "w3", "w4"]
    assert chosen(many(5), 0) == ["w0", "w1", "w2", "w3", "w4"]
    assert chosen(many(10), 2) == ["w0", "w5"]
    assert chosen(many(10, new=[7]), 3) == ["w0", "w4", "w7"]
    assert chosen(many(10, new=[7, 8, 9]), 2, first=[0]) == ["w0", "w7"]


# Tests of the probe together with restarts

STALE = build.pod(created="2026-03-10T11:59:50Z", injected=False)
PODS = {
    "Pod shop": build.read([STALE]),
    "Pod kube-system": build.read([build.agent()]),
    "Deployment": build.read([build.owner()]),
}


def restarting(*trials: DryRun) -> tuple[KubernetesRun, FakeCluster, FakeClock]:
    return probe_run(
        trials, build.row(association_created_at=YOUNG), lists=PODS, timeout=3, verify_pods=True, restart=1
    )


def test_failing_injection_prevents_restart() -> None:
    run, cluster, _clock = restarting(MISSING)
    assert not any(line.startswith("patch") for line in cluster.log)
    assert run.warnings == [
        "Deployment shop/web not restarted: new Pods might not get the role either, see the findings."
    ]
    assert "INJECTION_NOT_YET" in codes(run)
