# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that a job of AWX prints and passes on the report and the list whose files vanish with its container."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import ROOT, Sandbox

pytestmark = pytest.mark.release

EXAMPLE = ROOT / "examples" / "guide.yml"


def play(sandbox: Sandbox, folder: Path, playbook: str, *extra: str) -> tuple[str, dict[str, Any]]:
    """Run a playbook as a job of AWX. Return its output on one line, and its artifacts."""
    (folder / "fields.yml").write_text("awx_job_id: 7\n", encoding="utf-8")
    options = [part for text in ("@fields.yml", *extra) for part in ("-e", text)]
    done = sandbox.run(
        # As under ansible-runner, PWD is not the working directory.
        *("env", "-C", folder, "PWD=/", "ansible-playbook", f"workload_identity.aws.{playbook}"),
        *("-e", f"@{EXAMPLE}", *options),
        env={"ANSIBLE_SHOW_CUSTOM_STATS": "true", "COLUMNS": "1000"},
    )
    assert done.returncode == 0, done.stdout
    stats = [line for line in done.stdout.splitlines() if line.startswith("\tRUN: ")]
    return done.stdout, json.loads(stats[0].removeprefix("\tRUN: "))


def test_audit_and_export_pass_on_files(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.reset()
    applied, _artifacts = play(sandbox, tmp_path, "site", "pod_identity_report_file=report.json")
    assert (
        "report.json is a relative path, so the file vanishes with the container of the AWX job." in applied
    )
    exported, artifacts = play(sandbox, tmp_path, "export")
    entries = yaml.safe_load(artifacts["eks_pod_identity_export"])["pod_identity_workloads"]
    assert (
        entries
        == yaml.safe_load((tmp_path / "my-cluster.yml").read_text(encoding="utf-8"))["pod_identity_workloads"]
    )
    assert f"{tmp_path}/my-cluster.yml vanishes with the container of the AWX job." in exported
    assert all(f"service_account: {row['service_account']}" in exported for row in entries)

    audited, artifacts = play(sandbox, tmp_path, "audit", "pod_identity_audit_file=a.json")
    assert "a.json is a relative path, so the file vanishes with the container of the AWX job." in audited
    written = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert "The report as JSON:" in audited
    assert artifacts["eks_pod_identity_audit"]["kind"] == written["kind"]
    absolute, _artifacts = play(sandbox, tmp_path, "audit", f"pod_identity_audit_file={tmp_path}/b.json")
    assert "vanishes" not in absolute
