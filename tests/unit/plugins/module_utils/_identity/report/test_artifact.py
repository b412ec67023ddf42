# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test a report as an artifact: its name, its content, and its values in a later job."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.artifact import (
    MOST_WORKLOADS,
    from_artifact,
    keeps_its_type,
    make_artifacts,
    to_artifact,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.text import (
    describe_change,
)


class _Dumper(yaml.SafeDumper):
    """A YAML dumper that writes artifacts as AWX writes them as extra variables: every text has the tag !unsafe."""

    def represent_data(self, data: Any) -> Any:
        if isinstance(data, str):
            return self.represent_scalar("!unsafe", data)
        return super().represent_data(data)


def plain(value: Any) -> Any:
    """Return a value whose parts have plain Python types instead of Ansible's subclasses of these types."""
    if isinstance(value, dict):
        return {plain(key): plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return str(value) if isinstance(value, str) else value


def passed_on(value: Any) -> Any:
    """Return a value as the next job gets it: stored as JSON, written as YAML, and read by the installed ansible-core."""
    stored = json.loads(json.dumps(value))
    written = yaml.dump({"artifact": stored}, Dumper=_Dumper, default_flow_style=False)
    return plain(DataLoader().load(written)["artifact"])


RETYPED = [
    "",
    "1",
    "012345670123",
    "111122223333",
    "1.33",
    "1.0.0",
    "1_000",
    "190:20:30",
    "2012-10-17",
    "2026-11-26T03:30:00+00:00",
    "true",
    "No",
    "y",
    "on",
    "null",
    "None",
    "~",
    "=",
    "<<",
    "-",
    "0x1f",
    ".5",
    "[]",
    "{}",
    "(1,)",
    "'1'",
    '"1"',
    "b'1'",
    'Rb"1"',
    "u'1'",
    "set()",
    "!x",
    "&x",
    " 1",
    "1\n",
]
KEPT = [
    "my-cluster",
    "arn:aws:iam::111122223333:role/api",
    "/path/",
    "a-1",
    "error",
    "Two\nlines",
    "ünïcode",
    "it's",
]


@pytest.mark.parametrize("text", [*RETYPED, *KEPT])
def test_text_round_trip(text: str) -> None:
    carried = to_artifact({"text": text})
    assert passed_on(carried) == carried
    assert from_artifact(passed_on(carried)) == {"text": text or None}
    assert keeps_its_type(text) == (text in KEPT and text != "ünïcode")


DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Sid": "", "Effect": "Allow", "Action": "s3:*"}]}
REPORT: dict[str, Any] = {
    "cluster_name": "my-cluster",
    "cluster_arn": "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster",
    "account_id": "111122223333",
    "region": "us-west-2",
    "time": "2026-11-26T03:30:00+00:00",
    "check_mode": False,
    "step": "apply",
    "workloads": [{"namespace": "1", "association_id": "a-1", "external_id": ""}],
    "changes": [{"action": "create", "before": None, "after": DOCUMENT, "name": "2"}],
    "kubernetes_changes": ["create ServiceAccount default/api"],
    "findings": [{"code": "X", "workload": "1/api"}],
    "failures": [],
    "summary": {"workloads": 1, "passed": 1},
    "lines": ["Done: 1 change.", ""],
    "failed": False,
    "failure": "",
    "headline": "",
}
KEY = "pod_identity_artifact_apply_my_cluster_us_west_2_111122223333"


def test_short_and_full_artifacts_have_equal_changes() -> None:
    policies = {
        "before": {"policy": "arn:aws:iam::aws:policy/Old"},
        "after": {"policy": "arn:aws:iam::aws:policy/New"},
    }
    tags = {"tags": {"a": "b"}}
    changes = [
        {"action": "update", "resource": "role", "name": "app", "before": {"tags": {}}, "after": tags},
        {
            "action": "replace",
            "resource": "attachment",
            "name": "app arn:aws:iam::aws:policy/New",
            **policies,
        },
        {
            "action": "create",
            "resource": "trust_policy",
            "name": "app",
            "before": None,
            "after": {"document": DOCUMENT},
        },
    ]
    lines = []
    for workloads in (1, MOST_WORKLOADS + 1):
        sized = {**REPORT, "changes": changes, "summary": {"workloads": workloads}}
        found: Any = from_artifact(make_artifacts(sized, "blue")[KEY])
        assert (found["workloads"] is None) is (workloads > MOST_WORKLOADS)
        lines.append([describe_change(change).line for change in found["changes"]])
    assert lines[0] == lines[1]
    assert lines[1] == [
        "update role app (tags)",
        "replace policy arn:aws:iam::aws:policy/Old with arn:aws:iam::aws:policy/New on role app",
        "create trust policy app",
    ]
