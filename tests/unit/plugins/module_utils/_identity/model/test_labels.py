# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import (
    is_key,
    is_label_value,
    is_owner,
)


@pytest.mark.parametrize("text", ["", "a", "A-b_c.9", "a" * 63, "0"])
def test_accepts_valid_values(text: str) -> None:
    assert is_label_value(text)


@pytest.mark.parametrize("text", ["team a", "a" * 64, "-a", "a-", ".a", "a_", "é", "a/b", "a\n", "a:b"])
def test_rejects_invalid_values(text: str) -> None:
    assert not is_label_value(text)


@pytest.mark.parametrize(
    "text", ["a", "App.kubernetes_io-x", "example.com/owner", "a" * 253 + "/" + "b" * 63, "a/B"]
)
def test_accepts_valid_keys(text: str) -> None:
    assert is_key(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bad key!!",
        "a" * 64,
        "/a",
        "example.com/",
        "a/b/c",
        "Example.com/a",
        "ex_ample.com/a",
        "example..com/a",
        "a" * 254 + "/b",
        "-a",
        "a\n",
    ],
)
def test_rejects_invalid_keys(text: str) -> None:
    assert not is_key(text)


@pytest.mark.parametrize(
    ("text", "can_be"), [("team-a", True), ("team a", False), ("", False), ("a" * 64, False)]
)
def test_owner_is_a_nonempty_label_value(text: str, can_be: bool) -> None:
    assert is_owner(text) is can_be
