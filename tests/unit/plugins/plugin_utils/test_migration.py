# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the action of the playbook migrate. The screens of runs without obstacles are those of tests/docs/migration.yml."""

from __future__ import annotations

import copy
import json
import os
import re
import shlex
import signal
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import context
from ansible.utils.context_objects import CLIArgs
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.tests.migration.estate import CLUSTER, delete_association
from ansible_collections.workload_identity.aws.tests.unit.plugins.plugin_utils.migration_scene import Scene
from sandbox.faults import FaultRule

FOLDER = Path(__file__).parent
PAGE = Path(__file__).resolve().parents[3] / "docs" / "migration.yml"
ACCEPTED = ("ADDON", "ROLE_NOT_USABLE", "NOT_TRUSTED", "OWN_VARIABLES")
IGNORED = ["ASSOCIATION_WOULD_BREAK", *(f"MIGRATION_{code}" for code in ACCEPTED)]
# The parts of a screen that tests/docs/migration.yml has without their value.
VARYING = {
    r"\b[0-9A-F]{32}\b": "ISSUER",
    r"\d{4}-(\s*)\d\d-\d\d[T ]\d\d:\d\d(:\d\dZ)?": r"YEAR-\1DAY TIME",
    r"(-[0-9a-f]{10})-[a-z0-9]{5}": r"\1-POD",
}
# The ID of an association, which depends on the order of threads, and parts that are compared in full with that file.
SHORTER = {
    r"\ba-\d{17}": "a-ID",
    r"(\(trust policy\): \w+) .*": r"\1",
    r"my-cluster: reading .*\n": "",
    r"Cluster .*\n  arn:.*\n": "",
}


def shown(scene: Scene, replaced: Mapping[str, str]) -> str:
    screen = "\n".join(scene.screen)
    for pattern, text in replaced.items():
        screen = re.sub(pattern, text, screen)
    return f"{screen}\n".lstrip("\n")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_screens_of_all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    start = scene.state()
    for step in read(PAGE):
        words = shlex.split(step["options"])
        pairs = (word.partition("=")[::2] for word in words if "=" in word)
        variables = {name.removeprefix("pod_identity_"): value for name, value in pairs}
        if "@accepted.json" in words:
            variables["ignore"] = IGNORED
        scene.run(
            {"cluster_name": CLUSTER, "migration_observe": 2, **variables}, check_mode="--check" in words
        )
        # The last line is from Ansible.
        expected = step["screen"].rstrip().rpartition("\n")[0]
        assert shown(scene, VARYING).rstrip() == expected.rstrip(), step["options"]
        assert (scene.state() == start) is step["unchanged"], step["options"]


def change(scene: Scene, name: str, value: Any) -> None:
    """Change the account or the cluster, as others do between two runs or during a run."""
    match name:
        case "denied":
            scene.aws.clear_faults()
            requests = [text for text in value if " " not in text]
            for request in requests:
                scene.aws.fail_on(request, *[classify(request, "AccessDenied", "denied")] * 99)
            rules = [FaultRule("access_denied", text) for text in value if text not in requests]
            scene.server.instruments.faults.set(rules)
        case "conflicts":
            scene.server.instruments.faults.set([FaultRule("conflict", text) for text in value])
        case "deleted":
            delete_association(scene.estate, value)
        case "outdated":
            details, answers = scene.aws.iam.GetAccountAuthorizationDetails, dict[str, Any]()
            scene.aws.replace(
                "iam:GetAccountAuthorizationDetails",
                lambda query: answers.setdefault(str(query), copy.deepcopy(details(query))),
            )
        case "extra variables":
            scene.patch(context, "CLIARGS", CLIArgs({"extra_vars": value}))
        case "gone":
            scene.server.send("DELETE", f"/api/v1/namespaces/shop/serviceaccounts/{value}")
        case "agent after":
            scene.clock.events[len(scene.clock.slept) + value] = scene.add_agent
        case "works":
            scene.server.works = value
        case "moved":
            account, arn = value
            rows = scene.aws.eks.associations.values()
            [row] = [row for row in rows if row["serviceAccount"] == account]
            row["roleArn"] = arn
        case "narrowed":
            role = scene.aws.iam.roles[value]
            document = json.loads(role["trust"])
            for statement in document["Statement"]:
                statement.get("Condition", {}).setdefault("StringEquals", {})["aws:PrincipalTag/a"] = "b"
            role["trust"] = json.dumps(document)
        case "untagged":
            scene.aws.iam.roles[value]["tags"].clear()
        case "paused":
            scene.estate.pause(*value)
        case "cluster":
            scene.aws.eks.clusters[CLUSTER] |= value
        case "hours":
            scene.clock.moment += timedelta(hours=value)
        case "known":
            scene.server.cluster.webhook.known = None if value is None else {("shop", name) for name in value}
        case "ended at":
            scene.aws.before_request(value, lambda: os.kill(os.getpid(), signal.SIGTERM))
        case "broken at":
            scene.aws.before_request(value, [].pop)
        case "then":
            request, following = value
            scene.aws.before_request(request, lambda: [change(scene, *item) for item in following.items()])
        case _:
            getattr(scene, name)(*value)


@pytest.mark.parametrize(
    "case", [pytest.param(item, id=item["name"]) for item in read(FOLDER / "migration.yml")]
)
def test_cases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: Mapping[str, Any]) -> None:
    scene = Scene(monkeypatch, further=case.get("further", False))
    file, start = tmp_path / "report.json", scene.state()
    for step in case["steps"]:
        for name, value in step.get("before", {}).items():
            change(scene, name, value)
        defaults = {"cluster_name": CLUSTER, "migration_observe": 0, "report_file": str(file)}
        variables = {**defaults, **case.get("variables", {}), **step.get("variables", {})}
        keywords = step.get("keywords", {})
        try:
            result = scene.run(variables, **keywords)
        except SystemExit as ended:
            result = {"ended": ended.code, "migration": json.loads(file.read_text())}
        result["diffs"] = [diff.get("prepared") or diff["before_header"] for diff in result.pop("diff", ())]
        assert result.pop("migration", None) == (json.loads(file.read_text()) if file.exists() else None)
        assert {"screen": shown(scene, SHORTER), **result} == step["expected"]
        assert not keywords.get("check_mode") or (scene.aws.writes, scene.server.writes) == ([], [])
    assert (scene.state() == start) is case["unchanged"]
