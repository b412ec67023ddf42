# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service accounts as the input of the role asks for them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils.account_requests import account_requests


@pytest.mark.parametrize(
    ("more", "create", "create_namespace"),
    [
        ({}, True, False),
        ({"create_service_account": False, "create_namespace": True}, False, True),
        ({"create_service_account": "no", "create_namespace": "yes"}, False, True),
        ({"create_service_account": None, "create_namespace": None}, True, False),
    ],
)
def test_flags_of_a_workload_go_before_those_of_the_role(
    more: dict[str, Any], create: bool, create_namespace: bool
) -> None:
    (request,) = account_requests([{"namespace": "shop", "service_account": "api", **more}], "c", True, False)
    assert (request.create, request.create_namespace) == (create, create_namespace)


def test_labels_and_annotations_are_text() -> None:
    workload = {
        "namespace": "shop",
        "service_account": "api",
        "service_account_labels": {"a": 1},
        "service_account_annotations": {"b": "2"},
    }
    (request,) = account_requests([workload], "c", True, False)
    assert (request.labels, request.annotations) == ({"a": "1"}, {"b": "2"})
