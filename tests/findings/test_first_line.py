# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Break the example of the EKS User Guide. The first line of the failure must be the cause and the remedy."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.tests.findings import breaks_aws as aws
from ansible_collections.workload_identity.aws.tests.findings import breaks_kube as kube
from ansible_collections.workload_identity.aws.tests.findings.conftest import ROOT, NewWorld
from ansible_collections.workload_identity.aws.tests.findings.world import CLUSTER, GUIDE, REGION, World


@dataclass(frozen=True, slots=True)
class Broken:
    """A fault, and the ``first`` line of the failure, with {account} and {association} in place of the IDs."""

    name: str
    arrange: Callable[[World], None]
    first: str


def delete_everything(world: World) -> None:
    """Delete the role, its policy and the agent, as an incomplete teardown by hand would do."""
    aws.delete_role(world)
    world.iam.delete_policy(PolicyArn=world.policy_arn)
    kube.delete_agent(world)


BROKEN = (
    Broken(
        "role deleted",
        aws.delete_role,
        "default/my-service-account: role arn:aws:iam::{account}:role/my-role does not exist in account "
        "{account}. Apply the workload, which creates it.",
    ),
    Broken(
        "role, policy and agent deleted",
        delete_everything,
        "default/my-service-account: role arn:aws:iam::{account}:role/my-role does not exist in account "
        "{account}. Apply the workload, which creates it.",
    ),
    Broken(
        "policy detached",
        aws.detach_policy,
        "default/my-service-account: policy arn:aws:iam::{account}:policy/my-policy is not attached to role "
        "arn:aws:iam::{account}:role/my-role. Apply the workload, which attaches it.",
    ),
    Broken(
        "policy deleted",
        aws.delete_policy,
        "default/my-service-account: policy arn:aws:iam::{account}:policy/my-policy does not exist in "
        "account {account}. Apply the workload, which creates it.",
    ),
    Broken(
        "policy changed",
        aws.another_default_version,
        "default/my-service-account: the configured document is version v1 of policy "
        "arn:aws:iam::{account}:policy/my-policy, but its default version is v2, which is not equivalent. "
        "Apply the workload, which creates a new default version. Or make version v1 the default:",
    ),
    Broken(
        "trust without sts:TagSession",
        aws.trust_without_tag_session,
        "default/my-service-account: role arn:aws:iam::{account}:role/my-role cannot be used by "
        "default/my-service-account: No statement allows pods.eks.amazonaws.com sts:TagSession; EKS rejects "
        "a role without it in the trust policy, even if session tags are disabled. Apply the workload again, which "
        "restores the trust policy.",
    ),
    Broken(
        "session tags disabled",
        aws.disable_session_tags,
        "default/my-service-account: association {association} of default/my-service-account has settings that its workload "
        "does not list: "
        "disable_session_tags is true. Role arn:aws:iam::{account}:role/my-role cannot be used without session tags. List the "
        "settings if they are intended. To remove them, list disable_session_tags: false, and apply the workload. Pods see "
        "the change after up to six hours, or at once when they are recreated.",
    ),
    Broken(
        "permissions boundary set",
        aws.bound_role,
        "default/my-service-account: role arn:aws:iam::{account}:role/my-role is not allowed to perform s3:GetObject on "
        "arn:aws:s3:::my-pod-secrets-bucket/my-object: its policies allow the action, but "
        "arn:aws:iam::{account}:policy/boundary does not. Allow the action in arn:aws:iam::{account}:policy/boundary too.",
    ),
    Broken(
        "association deleted",
        aws.delete_association,
        "default/my-service-account: cluster my-cluster has no pod identity association for "
        "default/my-service-account (account {account}, region us-west-2). Apply the workload, which creates it.",
    ),
    Broken(
        "service account deleted",
        kube.delete_account,
        "default/my-service-account: service account my-service-account does not exist in namespace default. "
        "Apply the workload, which creates it (unless create_service_account is false), or create it with the "
        "workload's own manifests.",
    ),
    Broken(
        "agent deleted, which EKS has not noticed",
        kube.delete_agent,
        "cluster my-cluster has no EKS Pod Identity Agent (no DaemonSet eks-pod-identity-agent in namespace "
        "kube-system), so no Pod gets credentials. EKS has the add-on, so the Kubernetes API may belong to "
        "another cluster, or the DaemonSet was deleted. Compare the endpoint in the kubeconfig, if you use one, with:",
    ),
    Broken(
        "proxy in the Pod",
        kube.new_pod(env=kube.environment(HTTPS_PROXY="http://proxy:3128")),
        "default/my-service-account: Pod my-pod (N old): container app has HTTPS_PROXY without a NO_PROXY "
        "for the agent, so its SDK may request credentials from the proxy. Add 169.254.170.23 and [fd00:ec2::23] "
        "to NO_PROXY and no_proxy in the Pod template. The Pod has no owner, so recreate it from its manifest. First:",
    ),
    Broken(
        "Pod older than the association",
        kube.pod_before_association,
        "default/my-service-account: Pod my-pod (N old): admitted before association {association} was created "
        "(TIME), so EKS Pod Identity was not injected. The Pod has no owner, so recreate it from its manifest. First:",
    ),
)
BY_NAME = {broken.name: broken for broken in BROKEN}


def first_line(world: World, broken: Broken) -> str:
    """Return the expected first line, with the IDs of the account and the association."""
    association = world.association_id if "{association}" in broken.first else ""
    return broken.first.format(account=world.account, association=association)


def without_age(text: str) -> str:
    """Replace ages and times in a text by constants, because they depend on the clock."""
    text = re.sub(r"\(\d+ seconds? old\)", "(N old)", text)
    text = re.sub(r"\b\d+ s ago\b", "N s ago", text)
    text = re.sub(r"\bin \d minutes?\b", "in N minutes", text)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_first_line_is_the_cause(new_world: NewWorld, broken: Broken) -> None:
    world = new_world()
    world.build(GUIDE)
    broken.arrange(world)
    report = world.report()
    assert without_age(report["failure"].splitlines()[0]) == first_line(world, broken)


def verify(world: World, folder: Path, **variables: object) -> subprocess.CompletedProcess[str]:
    world.patch_cluster(endpoint=world.kube.endpoint)
    path = folder / "workloads.json"
    content = {"pod_identity_cluster_name": CLUSTER, "pod_identity_workloads": world.workloads, **variables}
    path.write_text(json.dumps(content), encoding="utf-8")
    return subprocess.run(
        [ROOT / ".venv" / "bin" / "ansible-playbook", "playbooks/verify.yml", "-e", f"@{path}"],
        cwd=ROOT,
        env={
            **{
                name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "AWS_"))
            },
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_HOME": str(folder / "ansible"),
            "AWS_ENDPOINT_URL": world.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": world.key[0],
            "AWS_SECRET_ACCESS_KEY": world.key[1],
            "KUBECONFIG": str(world.kube.kubeconfig),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def failed_with(done: subprocess.CompletedProcess[str]) -> str:
    """Return the first line of the failed task's message."""
    found = re.search(r"^fatal: \[localhost\]: FAILED! => (.*)$", done.stdout, re.MULTILINE)
    assert done.returncode == 2, done.stdout
    assert found, done.stdout
    return str(json.loads(found.group(1))["msg"]).splitlines()[0]


def shown_first(done: subprocess.CompletedProcess[str]) -> str:
    """Return the first error below the table as a single line, without its code."""
    block = re.search(r"^  error \w+ ?(.*?)(?=^(?:  )?\S)", done.stdout, re.MULTILINE | re.DOTALL)
    assert block, done.stdout
    return " ".join(block.group(1).split()).removeprefix(": ")


def with_recent_change(cause: str) -> str:
    """Insert the sentences that a finding has if its resource has changed recently."""
    message, found, remedy = cause.partition(" Apply the workload")
    assert found, cause
    return (
        f"{message} It is also possible that AWS does not return the latest change yet: policy my-policy was created or changed "
        "N s ago, and AWS may still return its former state. Run the verification again in N minutes. If the finding "
        f"persists: apply the workload{remedy}"
    )


@pytest.mark.parametrize(
    ("name", "recent"), [("policy detached", True), ("agent deleted, which EKS has not noticed", False)]
)
def test_playbook_fails_with_the_cause(new_world: NewWorld, tmp_path: Path, name: str, recent: bool) -> None:
    world = new_world()
    world.build(GUIDE)
    BY_NAME[name].arrange(world)
    done = verify(world, tmp_path)
    cause = first_line(world, BY_NAME[name])
    cause = with_recent_change(cause) if recent else cause
    # The expected text ends before the command of the remedy, which is on the next line.
    assert without_age(shown_first(done)).startswith(cause)
    # The output has the cause only once: the message of the task refers to it, but does not repeat it.
    assert re.sub(r"\s+", " ", done.stdout + done.stderr).count(cause[:60]) == 1
    assert re.fullmatch(r".* (failed|is unknown): \w+\. The reasons are above\.", failed_with(done))
