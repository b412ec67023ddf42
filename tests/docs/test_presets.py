# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test docs/presets.md: it lists every preset, and its example runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.presets import (
    preset_names,
)
from support import ROOT, Sandbox, blocks, commands

PAGE = ROOT / "docs" / "presets.md"
EXAMPLE = ROOT / "examples" / "presets.yml"
POLICY = "arn:aws:iam::111122223333:policy/pod-identity/"
DOCUMENT = """
import boto3, json
iam = boto3.client("iam")
policy = iam.get_policy(PolicyArn="arn:aws:iam::111122223333:policy/pod-identity/external-dns-external-dns")["Policy"]
version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])["PolicyVersion"]
print(json.dumps([policy["Description"], version["Document"]]))
"""


def test_page_lists_every_preset() -> None:
    table = PAGE.read_text(encoding="utf-8").split("## All presets\n")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert sorted(re.findall(r"`([\w-]+)`", "".join(rows))) == sorted(preset_names())


def test_examples_run(sandbox: Sandbox, tmp_path: Path) -> None:
    """Run the example of the page, then the longer example in examples/, which begins with the same workload."""
    (block,) = blocks(PAGE, "yaml")
    short, long = (yaml.safe_load(text) for text in (block.text, EXAMPLE.read_text(encoding="utf-8")))
    assert short["pod_identity_workloads"] == long["pod_identity_workloads"][:1]
    (tmp_path / "short.yml").write_text(block.text, encoding="utf-8")
    sandbox.reset()
    site = ("ansible-playbook", "workload_identity.aws.site", "-e", "@short.yml")
    done = sandbox.run(*site, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert f"create policy {POLICY}external-dns-external-dns: adds" in done.stdout
    done = sandbox.run(ROOT / ".venv" / "bin" / "python", "-c", DOCUMENT)
    description, document = json.loads(done.stdout.splitlines()[-1])
    assert description == "ExternalDNS, created from preset external-dns version 1"
    assert "arn:aws:route53:::hostedzone/Z0123456789ABC" in json.dumps(document)
    done = sandbox.run("ansible-playbook", "workload_identity.aws.site", "-e", f"@{EXAMPLE}", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    lines = [line.strip() for line in done.stdout.splitlines()]
    created = [line.partition(": ")[0] for line in lines if line.startswith("create policy")]
    assert created == [
        f"create policy {POLICY}{name}"
        for name in ("cert-manager-cert-manager", "reports-jobs", "reports-s3-read")
    ]


def test_command_shows_a_preset(sandbox: Sandbox, tmp_path: Path) -> None:
    (command,) = commands(PAGE)
    done = sandbox.run("sh", "-c", command, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert '"hosted_zone_ids"' in done.stdout
