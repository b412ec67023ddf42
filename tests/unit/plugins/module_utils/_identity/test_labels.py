# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.labels import (
    is_key,
    is_label_value,
    limit_problem,
    owner_problem,
)


@pytest.mark.parametrize("text", ["", "a", "A-b_c.9", "a" * 63, "0"])
def test_values_that_kubernetes_takes(text: str) -> None:
    assert is_label_value(text)


@pytest.mark.parametrize("text", ["team a", "a" * 64, "-a", "a-", ".a", "a_", "é", "a/b", "a\n", "a:b"])
def test_values_that_kubernetes_refuses(text: str) -> None:
    assert not is_label_value(text)


@pytest.mark.parametrize(
    "text", ["a", "App.kubernetes_io-x", "example.com/owner", "a" * 253 + "/" + "b" * 63, "a/B"]
)
def test_keys_that_kubernetes_takes(text: str) -> None:
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
def test_keys_that_kubernetes_refuses(text: str) -> None:
    assert not is_key(text)


def test_an_owner_is_a_label_value_that_says_something() -> None:
    assert owner_problem("team-a") == ""
    assert owner_problem("team a") == (
        "must be a Kubernetes label value, for it labels the service accounts (1 to 63 letters, digits, -, "
        "_ and ., with a letter or digit at both ends), got 'team a'."
    )
    assert owner_problem("").endswith("got ''.")
    assert owner_problem("a" * 64).endswith(f"got '{'a' * 64}'.")


def test_a_limit_may_be_nothing_but_not_less() -> None:
    assert (limit_problem(0), limit_problem(10)) == ("", "")
    assert limit_problem(-1) == "must be 0 or more (0: nothing may be removed), got -1."
