# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the runtime proof: its Job, and how the result of the Job is evaluated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.proof import (
    PROOF_CAUSES,
    ProofRun,
    ProofSettings,
    emulator_reason,
    find_cause,
    is_role_session,
    job_name,
    judge_proofs,
    proof_job,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)

ROLE = "arn:aws:iam::111122223333:role/team/api"
SESSION = "arn:aws:sts::111122223333:assumed-role/api/eks-my-cluster-x-1"
WORKLOAD = build.verified(role_arn=ROLE)
NODES = {"kubernetes.io/os": "linux", "pool": "small"}
POD = {"spec": {"nodeSelector": NODES, "containers": [{"name": "proof", "tty": True}, {"name": "log"}]}}
NAME = job_name(build.KEY, "r1")
PROOF = ProofRun("r1", 60, [build.KEY])
PAGES = Path(__file__).parents[7] / "docs"
IRSA = "PROOF_OTHER_ROLE", "it tried IAM roles for service accounts instead of EKS Pod Identity"
OLD_SDK = "PROOF_NOT_RUN", "its SDK is too old to know the agent's address"
MALFORMED = "PROOF_NOT_RUN", "the agent could not read the token in the request"
TAG_SESSION = "PROOF_FAILED", "the request is not allowed to tag the session"
TOO_LARGE = "PROOF_FAILED", "session tags and session policy together are too large"
UNREACHABLE = "PROOF_FAILED", "the EKS Pod Identity Agent did not respond on its node"
REFUSED = "PROOF_FAILED", "the agent or AWS denied it the role's credentials"
NO_CREDENTIALS = "PROOF_FAILED", "it found no credentials, so EKS injected none"
NO_NETWORK = "PROOF_NOT_RUN", "it could not reach AWS STS"
TEXTS = {
    "An error occurred (InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation: No OpenIDConnect "
    "provider found in your account for https://oidc.eks.us-west-2.amazonaws.com/id/X": IRSA,
    'HTTP credential provider invalid endpoint host, "169.254.170.23", only loopback hosts are allowed': OLD_SDK,
    "The full URI (http://169.254.170.23/v1/credentials) has an invalid host. Host should resolve to a loopback address "
    "or have the full URI be HTTPS.": OLD_SDK,
    "169.254.170.23 is not a valid container metadata service hostname": OLD_SDK,
    "Service account token cannot be parsed: token is malformed": MALFORMED,
    "User: arn:aws:sts::1:assumed-role/a/b is not authorized to perform: sts:TagSession on resource: "
    "arn:aws:iam::2:role/t": TAG_SESSION,
    "Packed size of session tags consumes 112% of allotted space.": TOO_LARGE,
    "Error when retrieving credentials from container-role: Error retrieving metadata: Received error when "
    "attempting to retrieve container metadata: Connect timeout on endpoint URL: "
    '"http://169.254.170.23/v1/credentials"': UNREACHABLE,
    "dial tcp [fd00:ec2::23]:80: connect: connection refused": UNREACHABLE,
    "Error retrieving metadata: Received non 200 response 400 from container metadata: x": REFUSED,
    "An error occurred (AccessDenied) when calling the GetCallerIdentity operation": REFUSED,
    "Unable to locate credentials. You can configure them by running aws configure": NO_CREDENTIALS,
    'Could not connect to the endpoint URL: "https://sts.us-west-2.amazonaws.com/"': NO_NETWORK,
    'Connect timeout on endpoint URL: "https://sts.us-west-2.amazonaws.com/"': NO_NETWORK,
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.items(), ids=[text[:30] for text in TEXTS])
def test_text_has_its_cause(text: str, expected: tuple[str, str]) -> None:
    cause = find_cause(text.replace(" ", "\n", 1))
    assert cause is not None
    assert (cause.code, cause.description) == expected


def test_every_cause_has_a_text() -> None:
    assert {(cause.code, cause.description) for cause in PROOF_CAUSES} == set(TEXTS.values())


@pytest.mark.parametrize("quote", [text for text, cause in TEXTS.items() if cause in (OLD_SDK, MALFORMED)])
def test_troubleshooting_page_quotes_the_texts(quote: str) -> None:
    rows = (PAGES / "troubleshooting.md").read_text(encoding="utf-8").split("`")
    assert [row for row in rows if len(row) > 30 and row in quote]


def answer(text: str = SESSION, code: int = 0, name: str = "x", **status: Any) -> dict[str, Any]:
    pod = build.pod(name, owner=None, labels={"job-name": NAME})
    state = {"terminated": {"exitCode": code, "message": text}}
    pod["status"] = {"containerStatuses": [{"name": "proof", "state": state}], **status}
    return pod


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return answer(phase="Pending", containerStatuses=[{"name": "proof", "state": state}])


UNSCHEDULED = {"type": "PodScheduled", "reason": "Unschedulable", "message": "0/2 nodes are available"}
MORE = (
    "Set tolerations or a node selector in pod_identity_proof_pod, or run again when the nodes have started."
)
EVENTS = (
    "Check the events of the namespace (quota, admission): kubectl get events -n shop "
    "--field-selector involvedObject.kind=Job"
)
JUDGED = {
    "the role": ([answer()], None),
    "the role, with line end": ([answer(SESSION + "\n")], None),
    "another role": (
        [answer("arn:aws:sts::111122223333:assumed-role/node/i-1")],
        (
            "PROOF_OTHER_ROLE",
            "the runtime proof ran as arn:aws:sts::111122223333:assumed-role/node/i-1, not as role "
            "arn:aws:iam::111122223333:role/team/api.",
            "If this is the node's role, EKS did not inject credentials: a new association reaches the cluster after "
            "some seconds, so run again. If it is the workload's former role, the change takes effect within six hours.",
        ),
    ),
    "a known failure": (
        [answer("Unable to locate credentials.\n", 253)],
        (
            "PROOF_FAILED",
            "the runtime proof failed, as it found no credentials, so EKS injected none: Unable to locate credentials.",
            "A new association reaches the cluster after some seconds: run again. If the error persists, check the mutating "
            "webhooks.",
        ),
    ),
    "an unknown failure": (
        [answer("sh: aws: not found", 127)],
        (
            "PROOF_FAILED",
            "the runtime proof failed with exit code 127: sh: aws: not found.",
            "Resolve the error in the text; see docs/troubleshooting.md.",
        ),
    ),
    "a long failure": (
        [answer(f"first line\n{'x' * 400}", 1)],
        (
            "PROOF_FAILED",
            f"the runtime proof failed with exit code 1: …{'x' * 400}.",
            "Resolve the error in the text; see docs/troubleshooting.md.",
        ),
    ),
    "an image that cannot be pulled": (
        [waiting("ImagePullBackOff", "Back-off pulling image")],
        (
            "PROOF_NOT_RUN",
            "the runtime proof did not run: ImagePullBackOff: Back-off pulling image.",
            "Set pod_identity_proof_image to an image with sh and aws that the nodes can pull.",
        ),
    ),
    "no node": (
        [answer(conditions=[UNSCHEDULED], containerStatuses=[])],
        ("PROOF_NOT_RUN", "the runtime proof did not run: 0/2 nodes are available.", MORE),
    ),
    "no node, with full stop": (
        [answer(conditions=[{**UNSCHEDULED, "message": "0/1 nodes are available."}], containerStatuses=[])],
        ("PROOF_NOT_RUN", "the runtime proof did not run: 0/1 nodes are available.", MORE),
    ),
    "still pulling": (
        [waiting("ContainerCreating")],
        (
            "PROOF_NOT_RUN",
            "the runtime proof did not finish: Pod x had no result after 60 seconds (ContainerCreating).",
            MORE,
        ),
    ),
    "no Pod": (
        [],
        (
            "PROOF_NOT_RUN",
            "the runtime proof did not run: its Job did not create a Pod within 60 seconds.",
            EVENTS,
        ),
    ),
}


@pytest.mark.parametrize(("pods", "expected"), JUDGED.values(), ids=JUDGED)
def test_proof_pod_has_its_finding(pods: list[dict[str, Any]], expected: tuple[str, str, str] | None) -> None:
    [check] = judge_proofs([WORKLOAD], replace(PROOF, pods=pods)).values()
    assert [(finding.code, finding.message, finding.remedy) for finding in check.findings] == (
        [expected] if expected else []
    )
    assert {(finding.severity, finding.workload) for finding in check.findings} <= {("error", build.KEY)}
    assert check.status == ("fail" if expected else "pass")


def test_rejected_job_is_unknown() -> None:
    check = judge_proofs([WORKLOAD], replace(PROOF, unknown={build.KEY}))[build.KEY]
    assert (check.status, check.findings) == ("unknown", ())


def test_skipped_proof_has_its_reason() -> None:
    reason = emulator_reason({"gitVersion": "v1.36.2+sandbox"})
    check = judge_proofs([WORKLOAD], ProofRun(skipped=reason))[build.KEY]
    assert check.status == "skipped"
    assert [(finding.code, finding.severity, finding.message) for finding in check.findings] == [
        (
            "PROOF_SKIPPED",
            "info",
            "the runtime proof was skipped: this Kubernetes API (v1.36.2+sandbox) is an emulator, where no Pod ever runs.",
        )
    ]


def test_eks_cluster_runs_pods() -> None:
    assert emulator_reason({"gitVersion": "v1.33.1-eks-1a2b3c4", "platform": "linux/amd64"}) == ""
    assert emulator_reason({}) == ""


@pytest.mark.parametrize(
    ("got", "same"),
    [
        (SESSION, True),
        ("arn:aws:sts::111122223333:assumed-role/apis/x", False),
        ("arn:aws:sts::444455556666:assumed-role/api/x", False),
        ("arn:aws-cn:sts::111122223333:assumed-role/api/x", False),
        ("arn:aws:iam::111122223333:user/api", False),
        ("", False),
    ],
)
def test_session_belongs_to_role(got: str, same: bool) -> None:
    assert is_role_session(got, ROLE) == same


def test_proof_job_is_restricted_bounded_and_managed() -> None:
    labels = {"app.kubernetes.io/managed-by": "workload_identity.aws", "workload-identity/proof": "r1"}
    container = {
        "name": "proof",
        "image": "image",
        "command": [
            "/bin/sh",
            "-c",
            "aws sts get-caller-identity --query Arn --output text > /dev/termination-log",
        ],
        "env": [{"name": "HOME", "value": "/tmp"}, {"name": "AWS_REGION", "value": "us-west-2"}],
        "resources": {
            "requests": {"cpu": "50m", "memory": "128Mi"},
            "limits": {"cpu": "500m", "memory": "256Mi"},
        },
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "tty": True,
    }
    user = dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"), 65532)
    spec = {
        "serviceAccountName": "api",
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "nodeSelector": NODES,
        "securityContext": {"runAsNonRoot": True, **user, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container, {"name": "log"}],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    template = {
        "metadata": {"labels": {"sidecar.istio.io/inject": "false", **labels}, "annotations": {}},
        "spec": spec,
    }
    name = "pod-identity-proof-r1-737a40b9"
    assert {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"namespace": "shop", "name": name, "labels": labels, "annotations": {}},
        # After its deadline, the Job deletes its Pod, whose status has the reason of a failure. So the deadline is later than
        # the last read.
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": 120,
            "ttlSecondsAfterFinished": 300,
            "template": template,
        },
    } == proof_job(build.KEY, ProofSettings("r1", "image", 60, POD), "us-west-2")
