# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that with a JSON callback the output is only JSON, and includes the result of the role."""

from __future__ import annotations

import json
import re
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, Sandbox
from test_screen import EXAMPLE, Core, cores

Json = dict[str, Any]
WORK = ("Configure EKS Pod Identity", "Verify the workloads")
ASSERTION = "Assert that all changes and checks succeeded"
TABLE = re.compile(r"WORKLOAD +TRUST")


def task_results(output: str, callback: str) -> list[tuple[str, Json]]:
    """Parse the output of a playbook. Return the name and the result of each task, once for each host.

    Raise ValueError if the output is not only JSON.
    """
    if callback.endswith("jsonl"):
        events = [json.loads(line) for line in output.splitlines()]
        tasks = [event for event in events if event["_event"].startswith("v2_runner_on_")]
    else:
        tasks = [task for play in json.loads(output)["plays"] for task in play["tasks"]]
    return [(task["task"]["name"], result) for task in tasks for result in task["hosts"].values()]


# To save time, each callback runs with only one version of ansible-core.
@pytest.mark.parametrize(
    ("core", "callback"),
    [
        pytest.param(core, f"ansible.posix.{name}", id=f"{core.name}-{name}")
        for core, name in zip(cores(), cycle(("jsonl", "json")), strict=False)
    ],
)
def test_json_callback_prints_only_json(sandbox: Sandbox, tmp_path: Path, core: Core, callback: str) -> None:
    """Check that one task has the lines of the report as its result, and the assertion has the failure as its message."""
    namespace = tmp_path / "ansible_collections" / "workload_identity"
    namespace.mkdir(parents=True)
    (namespace / "aws").symlink_to(ROOT, target_is_directory=True)
    sandbox.reset()
    output, report_file = tmp_path / "output", tmp_path / "report.json"
    env = {
        "ANSIBLE_COLLECTIONS_PATH": f"{tmp_path}:{core.collections}",
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_STDOUT_CALLBACK": callback,
        "OUTPUT": str(output),
    }

    def play(playbook: str, returns: int) -> tuple[Json, Json]:
        """Run a playbook. Return the result of the assertion, and the report."""
        done = sandbox.run(
            *("sh", "-c", 'exec "$@" > "$OUTPUT"', "sh", core.bin / "ansible-playbook"),
            *(
                f"playbooks/{playbook}.yml",
                "-e",
                f"@{EXAMPLE}",
                "-e",
                f"pod_identity_report_file={report_file}",
            ),
            env=env,
        )
        assert done.returncode == returns, done.stdout
        assert TABLE.search(done.stdout) is None
        results = task_results(output.read_text(encoding="utf-8"), callback)
        (work,) = [result for task, result in results if task.endswith(WORK)]
        duplicates = [
            task for task, result in results if result is not work and TABLE.search(str(result.get("msg")))
        ]
        assert duplicates == []
        report: Json = json.loads(report_file.read_text(encoding="utf-8"))
        assert work["msg"] == report["lines"]
        assert len([line for line in work["msg"] if TABLE.match(line)]) == 1
        (asserted,) = [result for task, result in results if task.endswith(ASSERTION)]
        return asserted, report

    # The verification fails, because the IAM role does not exist yet.
    asserted, report = play("verify", returns=2)
    assert (asserted["failed"], asserted["msg"]) == (True, report["failure"])
    asserted, report = play("site", returns=0)
    assert "failed" not in asserted
