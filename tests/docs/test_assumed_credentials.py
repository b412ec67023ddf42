# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test docs/accounts.md: a run never writes the credentials of an assumed role to a file, and renews them when they expire."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from sandbox.client import aws_control, kube_control
from support import BIN, COLLECTIONS, ROOT, Sandbox, blocks, environment

pytestmark = pytest.mark.release

PAGE = ROOT / "docs" / "accounts.md"
ACCOUNT = "444455556666"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pod-identity-fleet"
# A script that creates a user with the first policy of the page, and a role with the trust policy of the page, which names this
# user.
SET_UP = """
import json, os, sys, boto3
caller_policy, trust_policy, permissions = json.load(sys.stdin)
iam = boto3.client("iam")
iam.create_user(UserName="awx")
iam.put_user_policy(UserName="awx", PolicyName="page", PolicyDocument=json.dumps(caller_policy))
key = iam.create_access_key(UserName="awx")["AccessKey"]
user = iam.get_user(UserName="awx")["User"]["Arn"]
trust_policy["Statement"][0]["Principal"]["AWS"] = user
fleet_iam = boto3.client(
    "iam", aws_access_key_id="444455556666", aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"]
)
fleet_iam.create_role(RoleName="pod-identity-fleet", AssumeRolePolicyDocument=json.dumps(trust_policy))
fleet_iam.put_role_policy(RoleName="pod-identity-fleet", PolicyName="all", PolicyDocument=json.dumps(permissions))
print("KEYS", json.dumps([key["AccessKeyId"], key["SecretAccessKey"]]))
"""
ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class World:
    """A sandbox that enforces permissions. The user is in one account, the role to assume and the cluster in another."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        documents = [*(json.loads(block.text) for block in blocks(PAGE, "json")), ALL]
        (folder / "input.json").write_text(json.dumps(documents), encoding="utf-8")
        (folder / "set_up.py").write_text(SET_UP, encoding="utf-8")
        done = sandbox.run("bash", "-ec", f"{BIN}/python set_up.py <input.json", cwd=folder)
        assert done.returncode == 0, done.stdout
        key, secret = json.loads(done.stdout.partition("KEYS ")[2].splitlines()[0])
        self.keys = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}

    def play(self, variables: Mapping[str, Any], *options: str) -> str:
        """Run the role with full verbosity, and keep all temporary files. Return the output."""
        workload = {
            "namespace": "default",
            "service_account": "app",
            "role": {"name": "app"},
            "policies": [{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}],
        }
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {
                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                "pod_identity_cluster_name": "blue",
                "pod_identity_workloads": [workload],
                "pod_identity_assume_role_arn": ROLE,
                "pod_identity_assume_role_external_id": "my-fleet",
                "pod_identity_report_file": str(self.folder / "report.json"),
                **variables,
            },
            "roles": ["workload_identity.aws.pod_identity"],
        }
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
        debugging = {
            "ANSIBLE_KEEP_REMOTE_FILES": "1",
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "local"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "remote"),
            "TMPDIR": str(self.folder / "tmp"),
            "ANSIBLE_LOG_PATH": str(self.folder / "ansible.log"),
            "ANSIBLE_DEBUG": "1",
        }
        (self.folder / "tmp").mkdir(exist_ok=True)
        command = ("ansible-playbook", "play.yml", "-vvvv", "--diff", *options)
        done = self.sandbox.run(*command, cwd=self.folder, env={**self.keys, **debugging})
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    def control(self) -> Any:
        return json.loads(
            self.sandbox.run(
                BIN / "python",
                "-c",
                "import json, os, urllib.request as r\n"
                "def read(n): return json.load(r.urlopen(os.environ['AWS_ENDPOINT_URL'] + '/_sandbox/' + n))\n"
                "print(json.dumps({**read('sessions'), **read('counters')}))",
            ).stdout.splitlines()[-1]
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("accounts")
    sandbox = Sandbox(environment(COLLECTIONS, home=folder / "home"))
    sandbox.up("--auth")
    try:
        aws, place = aws_control(sandbox.variables), (ACCOUNT, sandbox.variables["AWS_REGION"], "blue")
        authority = Path(sandbox.variables["SANDBOX_STATE"], "kubernetes", "ca.crt").read_bytes()
        aws.set_kubernetes(*place, kube_control(sandbox.variables).endpoint, authority)
        aws.create_cluster(*place)
        (folder / "work").mkdir()
        yield World(sandbox, folder / "work")
    finally:
        sandbox.down()


def test_documented_policies_suffice_and_secrets_are_not_written(world: World) -> None:
    output = world.play({})
    assert "Verified: 1 workload; 1 pass." in output
    report = json.loads((world.folder / "report.json").read_text(encoding="utf-8"))
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/pod-identity-fleet/workload-identity"
    assert (report["account_id"], report["caller_arn"]) == (ACCOUNT, session)
    assert session in output
    sessions = world.control()["sessions"]
    assert sessions
    secrets = [session[name] for session in sessions for name in ("secret_access_key", "session_token")]
    written = {
        path: path.read_bytes() for path in world.folder.rglob("*") if path.is_file() and not path.is_socket()
    }
    # Check that the searched files include the log and the report; otherwise the search would prove nothing.
    assert {"ansible.log", "report.json"} <= {path.name for path in written}
    for secret in (*secrets, *(session["access_key_id"] for session in sessions)):
        assert secret not in output
        assert [str(path) for path, text in written.items() if secret.encode() in text] == []
