# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the demo: plan, apply, verify, apply again and tear down the workload of the EKS User Guide.

Start it with `sandbox run --`, which sets the environment variables for the endpoints and credentials of the sandbox.
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
# A real cluster's EKS Pod Identity webhook does not know the associations of the emulated AWS, so it would not inject credentials
# into a Pod. Skip the checks of Pods.
OWN_CLUSTER = ("-e", "pod_identity_verify_pods=false")
EXAMPLE = ROOT / "examples" / "guide.yml"


class DemoError(Exception):
    """The error for a failed step of the demo."""


def title(text: str) -> None:
    print(f"\n==> {text}\n", flush=True)


def playbook(name: str, *options: str) -> str:
    """Run a playbook with the workloads of the example. Print and return its output.

    :arg name: the name of the file in playbooks/, without .yml.
    :raises DemoError: when the playbook fails.
    """
    command = ["ansible-playbook", f"playbooks/{name}.yml", "-e", f"@{EXAMPLE.relative_to(ROOT)}"]
    if uses_real_api_server():
        options = (*options, *OWN_CLUSTER)
    command += ["-e", f"pod_identity_cluster_name={os.environ['SANDBOX_CLUSTER']}", *options]
    command_line = " ".join([*command[:4], *options])
    print(f"$ {command_line}", flush=True)
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
        raise DemoError(f"`{command_line}` ended with {process.returncode}.")
    return "".join(lines)


def uses_real_api_server() -> bool:
    """Return whether the sandbox runs a real Kubernetes API server."""
    return os.environ["SANDBOX_KUBERNETES"] != "embedded"


def changed_count(output: str) -> int:
    found = re.search(r"changed=(\d+)", output)
    if found is None:
        raise DemoError("the playbook printed no recap.")
    return int(found.group(1))


def demo_resources() -> Mapping[str, list[str]]:
    """Return the names of the demo's resources that exist, by kind."""
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
            policy["PolicyName"]
            for page in policies
            for policy in page["Policies"]
            if policy["PolicyName"] in names
        ),
        "pod identity associations": [
            association["associationId"] for page in associations for association in page["associations"]
        ],
        "service accounts": [
            f"{namespace}/{account}" for item in accounts if item.metadata and item.metadata.name == account
        ],
    }


def demo() -> None:
    if uses_real_api_server():
        print(
            "Skipped: the check that a new Pod would get the role. The real API server has no webhook of EKS Pod Identity."
        )
    existing = demo_resources()
    try:
        show_steps(existing)
    except DemoError:
        if demo_resources() != existing:
            title("Teardown after the failure")
            playbook("teardown")
        raise


def show_steps(existing: Mapping[str, list[str]]) -> None:
    started = time.monotonic()
    title("1. Plan: check mode with diff, without changes.")
    playbook("site", "--check", "--diff")
    if demo_resources() != existing:
        raise DemoError("check mode changed resources.")
    title("2. Apply and verify: the changes, and the verification table.")
    playbook("site")
    title("3. Run again: no changes.")
    if changed_count(playbook("site")) != 0:
        raise DemoError("the second run changed resources.")
    title("4. Teardown: the created resources are deleted, in reverse order.")
    playbook("teardown")
    remaining = demo_resources()
    title("Resources of the demo before and after")
    for kind, names in remaining.items():
        print(f"{kind}: {len(existing[kind])} before, {len(names)} after")
    if remaining != existing:
        raise DemoError("the resources after the teardown differ from those before the demo.")
    print(
        f"\nDemo completed in {time.monotonic() - started:.0f} s: planned, applied, verified, unchanged, torn down."
    )


def main() -> int:
    try:
        demo()
    except DemoError as error:
        print(f"\nDemo failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
