# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test which variables of the role and of the environment presets use."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.policies import (
    PresetScope,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_input import parse_role_input

CONNECT = {"preset": "rds-iam-connect", "with": {"resource_ids": ["db-ABC"], "database_user": "app"}}
VALUES = {
    "cluster_name": "my-cluster",
    "workloads": [
        {"namespace": "default", "service_account": "app", "role": {"name": "r"}, "policies": [CONNECT]}
    ],
}


def parse_scope(**values: Any) -> PresetScope | None:
    parsed = parse_role_input({**VALUES, **values}, {}, "main")
    return parsed.workloads[0].policies[0].preset


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_messages_name_the_variables_of_the_role() -> None:
    with pytest.raises(InputError) as caught:
        parse_scope()
    place = "pod_identity_workloads[0] (default/app) policies[0] with"
    assert caught.value.problems == tuple(
        f"{place}: {name} is missing; preset 'rds-iam-connect' needs it. Set {name} here, or pod_identity_{name} for the run."
        for name in ("account_id", "region")
    )
