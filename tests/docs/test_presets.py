# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test docs/presets.md: it lists every preset, and its example runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.presets import (
    parse_preset,
    preset_names,
)
from check_presets import compare_preset, parse_managed
from support import ROOT, Sandbox, blocks, commands

PAGE = ROOT / "docs" / "presets.md"
EXAMPLE = ROOT / "examples" / "presets.yml"
POLICY = "arn:aws:iam::111122223333:policy/pod-identity/"
DOCUMENT = """
import boto3, json
iam = boto3.client("iam")
policy = iam.get_policy(PolicyArn="arn:aws:iam::111122223333:policy/external-dns-external-dns")["Policy"]
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


MANAGED = parse_managed(
    {
        "AmazonQueuePolicy": {
            "Path": "/service-role/",
            "DefaultVersionId": "v3",
            "UpdateDate": "2026-05-01T10:00:00+00:00",
            "Document": {
                "Statement": [
                    {"Effect": "Allow", "Action": ["sqs:Send*", "sqs:ListQueues"], "Resource": "*"},
                    {"Effect": "Deny", "Action": "sqs:DeleteQueue", "Resource": "*"},
                ]
            },
        }
    }
)
SOURCE = "https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonQueuePolicy.html"


@pytest.mark.parametrize(
    ("content", "differences"),
    [
        ({"left_out": {"sqs:ListQueues": "x", "sqs:SendMessageBatch": "x"}}, []),
        ({"left_out": {"sqs:ListQueues": "x", "sqs:Send*": "x"}}, []),
        (
            {"left_out": {"sqs:ListQueues": "x"}},
            [
                "AmazonQueuePolicy also allows sqs:SendMessageBatch: grant each action, or add it to left_out",
            ],
        ),
        (
            {
                "left_out": {
                    "sqs:ListQueues": "x",
                    "sqs:Send*": "x",
                    "sqs:SendMessage": "x",
                    "sqs:DeleteQueue": "x",
                }
            },
            [
                "left_out has sqs:SendMessage, which the preset grants",
                "left_out has sqs:DeleteQueue, which none of the AWS managed policies allows",
            ],
        ),
        (
            {"checked": "2026-04-30", "source_version": "v2", "left_out": {"sqs:*": "x"}},
            [
                "AmazonQueuePolicy was changed on 2026-05-01 (v3), after the check of 2026-04-30",
                "AmazonQueuePolicy is v3 now; source_version is v2",
                "left_out has sqs:*, which none of the AWS managed policies allows",
            ],
        ),
        (
            {
                "managed_policies": ["AmazonQueuePolicy", "AmazonTopicPolicy"],
                "left_out": {"sqs:ListQueues": "x", "sqs:Send*": "x"},
            },
            [
                "the AWS managed policy AmazonQueuePolicy has the path /service-role/, not /",
                "the AWS managed policy AmazonTopicPolicy does not exist",
            ],
        ),
    ],
)
def test_comparison_with_managed_policies(content: dict[str, object], differences: list[str]) -> None:
    preset = parse_preset(
        "queue",
        {
            "title": "Queue",
            "purpose": "Send messages.",
            "version": 1,
            "checked": "2026-05-01",
            "source": SOURCE,
            "source_version": "v3",
            "partitions": ["aws"],
            "managed_policies": ["service-role/AmazonQueuePolicy"],
            "policies": [
                {"statements": [{"Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": ["*"]}]}
            ],
            **content,
        },
    )
    texts = list(
        compare_preset(preset, MANAGED, lambda _pattern: ["sqs:SendMessage", "sqs:SendMessageBatch"])
    )
    assert texts == differences
