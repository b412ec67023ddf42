# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test docs/migration.md: its commands, its permissions with IAM and RBAC enforced, and the errors of its variables."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.workload_identity.aws.tests.migration.estate import Estate
from support import COLLECTIONS, ROOT, Sandbox, environment

PAGE = ROOT / "docs" / "migration.md"
FILES = ROOT / "examples" / "permissions"
QUICK = ("-e", "pod_identity_migration_observe=2")

SET_UP = """
import json, sys, boto3
from kubernetes import client, config, utils
setup = json.load(sys.stdin)
iam = boto3.client("iam")
iam.create_user(UserName="migrator")
for index, document in enumerate(setup["documents"]):
    iam.put_user_policy(UserName="migrator", PolicyName=f"page-{index}", PolicyDocument=json.dumps(document))
key = iam.create_access_key(UserName="migrator")["AccessKey"]
config.load_kube_config()
for manifest in setup["manifests"]:
    utils.create_from_dict(client.ApiClient(), manifest)
print("KEY", json.dumps({"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}))
"""


class Cluster:
    """A cluster with service accounts that use IRSA. The permissions of the page are enforced."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox, self.folder = sandbox, folder
        shown = sandbox.variables
        self.estate = Estate(shown["AWS_ENDPOINT_URL"], Path(shown["KUBECONFIG"]))
        self.estate.build(1)
        policies = [FILES / f"{name}-iam-policy.json" for name in ("verify", "migrate")]
        manifests = [FILES / "migrate-rbac.yml", FILES / "injection-rbac.yml"]
        setup = {
            "documents": [json.loads(path.read_text(encoding="utf-8")) for path in policies],
            "manifests": [item for path in manifests for item in yaml.safe_load(path.read_text())["items"]],
        }
        self.key = sandbox.create_user(folder, SET_UP, setup)

    def migrate(self, *options: str) -> subprocess.CompletedProcess[str]:
        env = {
            **self.key,
            "K8S_AUTH_IMPERSONATE_USER": "migrator",
            "K8S_AUTH_IMPERSONATE_GROUPS": "pod-identity-operators",
        }
        command = (
            "ansible-playbook",
            "workload_identity.aws.migrate",
            "-e",
            "pod_identity_cluster_name=my-cluster",
        )
        return self.sandbox.run(*command, *QUICK, *options, cwd=self.folder, env=env)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    sandbox = Sandbox(environment(COLLECTIONS, home=folder / "home"))
    sandbox.up("--auth", "--rbac", "--pod-identity-webhook", "--kube-controllers")
    yield Cluster(sandbox, folder)
    sandbox.down()


ACCEPTED = ("ADDON", "ROLE_NOT_USABLE", "NOT_TRUSTED", "OWN_VARIABLES")
# The parts of a screen that differ between two runs, each with the text that replaces it.
VARYING = {
    r"\n.* \(\d+ s\)(?=\n)": "",
    r"\b[0-9A-F]{32}\b": "ISSUER",
    r"\d{4}-(\s*)\d\d-\d\d[T ]\d\d:\d\d(:\d\dZ)?": r"YEAR-\1DAY TIME",
    r"(-[0-9a-f]{10})-[a-z0-9]{5}": r"\1-POD",
}


def test_screens_of_all_steps(cluster: Cluster) -> None:
    """Compare the screens with tests/docs/migration.yml. The rollback of all steps must restore the initial state."""
    codes = ["ASSOCIATION_WOULD_BREAK", *(f"MIGRATION_{code}" for code in ACCEPTED)]
    (cluster.folder / "accepted.json").write_text(
        json.dumps({"pod_identity_ignore": codes}), encoding="utf-8"
    )
    start = cluster.estate.snapshot()
    for step in yaml.safe_load(Path(__file__).with_name("migration.yml").read_text(encoding="utf-8")):
        done = cluster.migrate(*shlex.split(step["options"]))
        screen = done.stdout.split("TASK [", 2)[2].partition("\n")[2].partition("\nTASK [")[0]
        for pattern, text in VARYING.items():
            screen = re.sub(pattern, text, screen)
        assert screen.rstrip() == step["screen"].rstrip(), step["options"]
        assert done.returncode == step["code"]
        assert (cluster.estate.snapshot() == start) is step["unchanged"], step["options"]
