# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.role_variables import (
    NO_SOURCE,
    USAGE,
    check_extra_variables,
    find_variables,
    read_usage_variables,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.usage import UsageOptions

FROM = {"usage_from": "trail"}


def test_unset_variables_have_defaults() -> None:
    assert read_usage_variables(FROM) == UsageOptions(
        source="trail",
        days=None,
        requests=2000,
        services=False,
        form="policy",
        generalise=False,
        keep_unseen=True,
        file="",
    )
    assert read_usage_variables({"usage_from": "lookup-events"}) == UsageOptions("lookup-events", days=7)


@pytest.mark.parametrize("name", [name for name in USAGE if name != "usage_from"])
@pytest.mark.parametrize("answer", [None, "", " \n"])
def test_unanswered_survey_question_is_the_default(name: str, answer: object) -> None:
    assert read_usage_variables({**FROM, name: answer}) == UsageOptions("trail")


@pytest.mark.parametrize(
    ("name", "value", "options"),
    [
        ("usage_days", "30", {"days": 30}),
        ("usage_form", "session_policy", {"form": "session_policy"}),
        ("usage_generalise", "true", {"generalise": True}),
        ("usage_keep_unseen", False, {"keep_unseen": False}),
        ("usage_services", "yes", {"services": True}),
        ("usage_file", "out.json", {"file": "out.json"}),
    ],
)
def test_values_are_parsed(name: str, value: object, options: dict[str, Any]) -> None:
    assert read_usage_variables({**FROM, name: value}) == UsageOptions("trail", **options)


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({}, NO_SOURCE),
        ({"usage_from": ""}, NO_SOURCE),
        ({**FROM, "usage_days": 0}, "pod_identity_usage_days must be 1 or more, got 0."),
        (
            {**FROM, "usage_form": "json"},
            "pod_identity_usage_form must be one of policy, session_policy, got 'json'.",
        ),
        (
            {"usage_from": "lookup-events", "usage_days": 91},
            "pod_identity_usage_days must be at most 90 with pod_identity_usage_from: lookup-events, got 91. CloudTrail keeps "
            "older events only in the files of a trail.",
        ),
        (
            {**FROM, "usage_requests": 5},
            "pod_identity_usage_requests has no effect without pod_identity_usage_from: lookup-events; leave it out.",
        ),
    ],
)
def test_rejects_invalid_values(variables: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError) as error:
        read_usage_variables(variables)
    assert list(error.value.problems) == [problem]


def test_rejects_misspelt_names() -> None:
    with pytest.raises(InputError) as error:
        find_variables(["pod_identity_usage_form", "pod_identity_usage_fom"])
    assert list(error.value.problems) == [
        "pod_identity_usage_fom is not a variable of the role; did you mean pod_identity_usage_from?"
    ]
    with pytest.raises(InputError):
        check_extra_variables(["pod_identity_usage"])
