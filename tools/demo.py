# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: the guide's example planned, made, verified, made again and taken down, on the sandbox.

Runs inside `sandbox run --`, which has set the environment.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import boto3
import kubernetes
import yaml

ROOT = Path(__file__).resolve().parent.parent
# A webhook of EKS in a cluster of yours does not know the associations of the emulated AWS.
OWN_CLUSTER = ("-e", "pod_identity_verify_injection=none")
EXAMPLE = ROOT / "examples" / "guide.yml"


class DemoError(Exception):
    """A step that did not do what the demo promises."""


def title(text: str) -> None:
    print(f"\n==> {text}\n", flush=True)


def playbook(name: str, *options: str) -> str:
    """Run a playbook, show what it prints, and return that."""
    command = ["ansible-playbook", f"playbooks/{name}.yml", "-e", f"@{EXAMPLE.relative_to(ROOT)}"]
    if uses_own_cluster():
        options = (*options, *OWN_CLUSTER)
    command += ["-e", f"pod_identity_cluster_name={os.environ['SANDBOX_CLUSTER']}", *options]
    shown = " ".join([*command[:4], *options])
    print(f"$ {shown}", flush=True)
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / command[0]), *command[1:]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            **os.environ,
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        },
    )
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if line.strip():
            print(line, end="", flush=True)
    if process.wait():
        raise DemoError(f"`{shown}` ended with {process.returncode}.")
    return "".join(lines)


def uses_own_cluster() -> bool:
    """Return whether Kubernetes is a cluster of the user's, while AWS is emulated."""
    return os.environ["SANDBOX_KUBERNETES"] != "embedded" and os.environ["SANDBOX_AWS"] == "embedded"


def changed_count(output: str) -> int:
    found = re.search(r"changed=(\d+)", output)
    if found is None:
        raise DemoError("the playbook printed no recap.")
    return int(found.group(1))


def own() -> Mapping[str, list[str]]:
    """The names of what is there of the demo's own. In a cluster and an account of yours, others go on working."""
    (workload,) = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["pod_identity_workloads"]
    namespace, account = workload["namespace"], workload["service_account"]
    names = {policy["name"] for policy in workload["policies"] if "name" in policy}
    iam, eks = boto3.client("iam"), boto3.client("eks")
    core = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config())
    roles = iam.get_paginator("list_roles").paginate()
    policies = iam.get_paginator("list_policies").paginate(Scope="Local")
    associations = eks.get_paginator("list_pod_identity_associations").paginate(
        clusterName=os.environ["SANDBOX_CLUSTER"], namespace=namespace, serviceAccount=account
    )
    accounts = core.list_namespaced_service_account(namespace).items
    return {
        "IAM roles": [
            role["RoleName"]
            for page in roles
            for role in page["Roles"]
            if role["RoleName"] == workload["role"]["name"]
        ],
        "IAM policies": sorted(
            one["PolicyName"] for page in policies for one in page["Policies"] if one["PolicyName"] in names
        ),
        "pod identity associations": [
            one["associationId"] for page in associations for one in page["associations"]
        ],
        "service accounts": [
            f"{namespace}/{account}" for one in accounts if one.metadata and one.metadata.name == account
        ],
    }


def demo() -> None:
    sandbox = ROOT / ".venv-sandbox" / "bin" / "sandbox"
    title("Who answers in this demo")
    print(subprocess.run([sandbox, "status"], check=True, text=True, capture_output=True).stdout)
    if uses_own_cluster():
        print(
            "Left out: whether a Pod that starts now would get the role. The webhook of your cluster does not know emulated AWS."
        )
    before = own()
    try:
        show_steps(before)
    except DemoError:
        if own() != before:
            title("Teardown after the failure")
            playbook("teardown")
        raise


def show_steps(before: Mapping[str, list[str]]) -> None:
    started = time.monotonic()
    title("1. The plan: check mode with diff. Nothing is changed.")
    playbook("site", "--check", "--diff")
    if own() != before:
        raise DemoError("check mode changed something.")
    title("2. The same for real, then the proof: the verification table.")
    playbook("site")
    title("3. Once more: nothing left to do.")
    if changed_count(playbook("site")) != 0:
        raise DemoError("the second run changed something.")
    title("4. Teardown: what was made is removed, in reverse.")
    playbook("teardown")
    after = own()
    title("What is there of the demo's own, before and after")
    for kind, names in after.items():
        print(f"{kind}: {len(before[kind])} before, {len(names)} after")
    if after != before:
        raise DemoError("the teardown left something behind, or took too much away.")
    print(f"\nDemo done in {time.monotonic() - started:.0f} s: planned, made, verified, unchanged, removed.")


def main() -> int:
    try:
        demo()
    except DemoError as error:
        print(f"\nDemo failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
