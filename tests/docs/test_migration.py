# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test docs/migration.md: its commands, its permissions with IAM and RBAC enforced, and the errors of its variables."""

from __future__ import annotations

import json
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


@pytest.mark.release
def test_permissions_suffice_for_all_steps(cluster: Cluster) -> None:
    start = cluster.estate.snapshot()
    shown = cluster.migrate("-e", "pod_identity_migration_step=inventory")
    assert shown.returncode == 0, shown.stdout
    assert "Migration from IRSA: 14 service accounts: 14 irsa; 5 blocked." in shown.stdout
    plan = cluster.migrate("--check", "--diff")
    assert plan.returncode == 2, plan.stdout
    assert (
        "would not reach step restart: shop/addon, shop/far, shop/foreign, shop/intruder, shop/own."
        in plan.stdout
    )
    assert cluster.estate.snapshot() == start
    codes = ["ASSOCIATION_WOULD_BREAK", *(f"MIGRATION_{code}" for code in ACCEPTED)]
    accepted = ("-e", json.dumps({"pod_identity_ignore": codes}))
    done = cluster.migrate(*accepted)
    assert done.returncode == 0, done.stdout
    assert "14 service accounts: 5 irsa, 9 restarted; 5 blocked." in done.stdout
    waiting = cluster.migrate(*accepted, "-e", "pod_identity_migration_step=finish")
    assert waiting.returncode == 2, waiting.stdout
    assert (
        "MIGRATION_WAITS shop/one: the IRSA annotation and trust statements of shop/one are kept"
        in waiting.stdout
    )
    end = (*accepted, "-e", "pod_identity_migration_step=finish", "-e", "pod_identity_migration_soak=0")
    finished = cluster.migrate(*end)
    assert finished.returncode == 0, finished.stdout
    assert "14 service accounts: 5 irsa, 9 finished; 5 blocked." in finished.stdout
    again = cluster.migrate(*end)
    assert "Done: 0 changes." in again.stdout
    assert "changed=0" in again.stdout
    back = cluster.migrate("-e", "pod_identity_migration_step=rollback")
    assert back.returncode == 0, back.stdout
    assert cluster.estate.snapshot() == start
    for run in (shown, plan, done, finished, back):
        assert "AccessDenied" not in run.stdout
        assert "could not be listed" not in run.stdout
