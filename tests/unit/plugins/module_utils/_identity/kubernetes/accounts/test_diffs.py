# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The difference that a write makes, as --diff shows it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_writes import (
    shown_diff,
)

NAMED = {"namespace": "shop", "name": "api"}
ACCOUNT = {"kind": "ServiceAccount", "metadata": NAMED}
ADDED = {"creationTimestamp": "now", "generation": 1, "managedFields": [], "resourceVersion": "7", "uid": "u"}


def test_an_object_is_named_and_without_what_the_server_adds() -> None:
    after = {**ACCOUNT, "metadata": {**NAMED, **ADDED}}
    assert shown_diff({"before": {}, "after": after}, ACCOUNT) == {
        "before_header": "ServiceAccount shop/api",
        "after_header": "ServiceAccount shop/api",
        "before": "",
        "after": """\
{
  "kind": "ServiceAccount",
  "metadata": {
    "name": "api",
    "namespace": "shop"
  }
}
""",
    }


@pytest.mark.parametrize(
    "diff", [{}, {"before": {"metadata": {"uid": "a"}}, "after": {"metadata": {"uid": "b"}}}]
)
def test_where_nothing_differs_that_was_asked_for_nothing_is_shown(diff: dict[str, Any]) -> None:
    assert shown_diff(diff, ACCOUNT) is None


def test_what_is_of_no_namespace_has_its_name_alone() -> None:
    shown = shown_diff({"after": {"a": 1}}, {"kind": "Namespace", "metadata": {"name": "shop"}})
    assert shown is not None
    assert shown["after_header"] == "Namespace shop"
