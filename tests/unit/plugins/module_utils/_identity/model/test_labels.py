# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import (
    is_key,
    is_label_value,
)


@pytest.mark.parametrize("text", ["team a", "a" * 64, "-a", "a-", ".a", "a_", "é", "a/b", "a\n", "a:b"])
def test_rejects_invalid_values(text: str) -> None:
    assert not is_label_value(text)


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
