# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the arguments that a module for many workloads gets: parsed lists replace files and text."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.plugins.action.eks_pod_identity import plain_arguments
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError


def test_error_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("- namespace: n\n- service_account: s\n  role: {name: r}\n", encoding="utf-8")
    row = {"cluster_name": "c", "workloads_from": [str(path)]}
    with pytest.raises(InputError) as caught:
        plain_arguments({**row, "concurrency": 0}, {}, True)
    assert list(caught.value.problems) == [
        "concurrency must be 1 or more, got 0.",
        f"{path} line 1 (n/?): service_account is missing.",
        f"{path} line 1 (n/?): role is missing; set role: {{name: …}} to create one, or role: {{arn: …}} "
        "to use an existing one.",
        f"{path} line 2 (?/s): namespace is missing.",
    ]
