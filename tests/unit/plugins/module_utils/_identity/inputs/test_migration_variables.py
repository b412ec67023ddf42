# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.role_variables import (
    MIGRATION,
    read_migration_variables,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    STEPS,
    MigrationOptions,
)


@pytest.mark.parametrize("name", MIGRATION)
@pytest.mark.parametrize("answer", [None, "", " \n"])
def test_unanswered_survey_question_is_the_default(name: str, answer: object) -> None:
    assert read_migration_variables({name: answer}) == MigrationOptions()


@pytest.mark.parametrize(
    ("name", "value", "options"),
    [
        *((("migration_step", step, {"step": step})) for step in STEPS),
        ("migration_step", "rollback", {"rollback": True}),
        ("only", ["shop/api"], {"only": ("shop/api",)}),
        ("only", "shop/api,batch/job", {"only": ("shop/api", "batch/job")}),
        ("only", "- shop/api", {"only": ("shop/api",)}),
        ("only", "shop/*\nbatch/*\n", {"only": ("shop/*", "batch/*")}),
        ("only", '["shop/*"]', {"only": ("shop/*",)}),
        ("only", [], {}),
        ("migration_soak", 0, {"soak": 0}),
        ("migration_soak", "72", {"soak": 72}),
        ("migration_canary", "0", {"canary": 0}),
        ("migration_batch", 1, {"batch": 1}),
        ("migration_observe", "0", {"observe": 0}),
        *(("migration_tool", tool, {"tool": tool}) for tool in ("cloudformation", "eksctl", "terraform")),
    ],
)
def test_values_are_parsed(name: str, value: object, options: dict[str, Any]) -> None:
    assert read_migration_variables({name: value}) == MigrationOptions(**options)


@pytest.mark.parametrize(
    ("variables", "problems"),
    [
        (
            {"migration_tool": "ansible"},
            ["pod_identity_migration_tool must be one of cloudformation, eksctl, terraform, got 'ansible'."],
        ),
        ({"migration_batch": 0}, ["pod_identity_migration_batch must be 1 or more, got 0."]),
        ({"migration_canary": -1}, ["pod_identity_migration_canary must be 0 or more, got -1."]),
        (
            {"migration_soak": "day"},
            ["pod_identity_migration_soak must be a whole number, 0 or more, got 'day'."],
        ),
        (
            {"migration_observe": 1.5},
            ["pod_identity_migration_observe must be a whole number, 0 or more, got 1.5."],
        ),
        ({"only": {"a": 1}}, ["pod_identity_only must be a list, got {'a': 1}."]),
        (
            {"only": "a\u200b/b"},
            [
                "pod_identity_only has an unprintable character, which is escaped here: ['a\\\\u200b/b']. Remove it."
            ],
        ),
        (
            {"migration_step": "all", "migration_batch": "x"},
            [
                "pod_identity_migration_step must be one of inventory, associate, restart, finish, rollback, got 'all'.",
                "pod_identity_migration_batch must be a whole number, 1 or more, got 'x'.",
            ],
        ),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_rejects_invalid_values(variables: dict[str, object], problems: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        read_migration_variables(variables)
    assert list(caught.value.problems) == problems
