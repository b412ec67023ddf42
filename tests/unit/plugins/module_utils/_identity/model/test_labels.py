# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from hashlib import sha256

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import (
    default_owner,
    is_key,
    is_label_value,
)


def test_default_owner_of_a_long_name_is_shortened() -> None:
    text = f"us-west-2.{'a' * 100}"
    digest = sha256(text.encode()).hexdigest()
    assert default_owner("us-west-2", "a" * 100) == f"{text[:50]}.{digest[:12]}"


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
