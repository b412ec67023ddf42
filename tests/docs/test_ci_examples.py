# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the pipelines in examples/ci: their shell code is valid, and their playbooks and variables exist."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support import ROOT

FILES = sorted((ROOT / "examples" / "ci").glob("*.yml"))
SPECS = yaml.safe_load((ROOT / "roles/pod_identity/meta/argument_specs.yml").read_text(encoding="utf-8"))
VARIABLES = set(SPECS["argument_specs"]["main_variables"]["options"])


def scripts(value: object) -> Iterator[str]:
    """Yield the shell code of a workflow of GitHub, or of a pipeline of GitLab."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in ("run", "script", "before_script"):
                yield from [item] if isinstance(item, str) else item
            else:
                yield from scripts(item)
    elif isinstance(value, list):
        for item in value:
            yield from scripts(item)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_commands_exist(path: Path) -> None:
    code = list(scripts(yaml.safe_load(path.read_text(encoding="utf-8"))))
    for script in code:
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), script
    playbooks = re.findall(r"workload_identity\.aws\.(\w+) ", "\n".join(code))
    assert playbooks == ["site", "site", "verify"]
    variables = set(re.findall(r"\b(pod_identity_\w+)=", "\n".join(code)))
    assert variables == {"pod_identity_report_file", "pod_identity_approved", "pod_identity_junit_file"}
    assert variables <= VARIABLES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_needed_jobs_exist(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    jobs = content.get("jobs", content)
    needs = jobs["apply"]["needs"]
    assert set(needs if isinstance(needs, list) else [needs]) <= set(jobs)
    assert jobs["apply"]["environment"] == "production"
