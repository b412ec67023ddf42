# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that a missing resource is read again before it counts as missing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.reader import (
    MAX_READS,
    read_composite,
    read_detail,
)

MISSING, DENIED = "NoSuchEntity", "AccessDenied"


def scripted_read(requests: list[str], name: str, *results: str) -> Callable[..., str]:
    """Return a read function that returns ``results`` in order, and then repeats the last one.

    A result that is an error code raises this error.
    """
    queue = list(results)

    def read(*_found: str) -> str:
        requests.append(name)
        result = queue.pop(0) if len(queue) > 1 else queue[0]
        if result in (MISSING, DENIED):
            raise classify("iam:GetRole", result, "text of AWS")
        return result

    return read


@pytest.mark.parametrize(
    ("head", "details", "confirm", "found", "requests"),
    [
        pytest.param(["role"], ["whole"], None, "whole", "head details", id="exists"),
        pytest.param([MISSING], ["whole"], None, None, "head", id="missing"),
        pytest.param(["role"], [MISSING, "whole"], None, "whole", "head details details", id="late details"),
        pytest.param(
            ["role", MISSING],
            [MISSING],
            None,
            None,
            "head details details head",
            id="deleted between two requests",
        ),
        pytest.param([MISSING], ["whole"], [MISSING], None, "head confirm", id="missing in two responses"),
        pytest.param(
            [MISSING, "role"], ["whole"], ["there"], "whole", "head confirm head details", id="late head"
        ),
        pytest.param(
            ["role"],
            [MISSING],
            None,
            None,
            " ".join(["head details details"] * MAX_READS),
            id="permanent disagreement",
        ),
    ],
)
def test_read_composite_without_confirmation(
    head: list[str], details: list[str], confirm: list[str] | None, found: str | None, requests: str
) -> None:
    order: list[str] = []
    assert (
        read_composite(
            scripted_read(order, "head", *head),
            scripted_read(order, "details", *details),
            scripted_read(order, "confirm", *confirm) if confirm else None,
        )
        == found
    )
    assert " ".join(order) == requests


@pytest.mark.parametrize(
    ("results", "requests"),
    [
        pytest.param(["there"], 1, id="first read"),
        pytest.param([MISSING, "there"], 2, id="one late replica"),
        pytest.param([MISSING, MISSING, "there"], MAX_READS, id="last read"),
    ],
)
def test_missing_detail_is_read_again(results: list[str], requests: int) -> None:
    order: list[str] = []
    assert read_detail(scripted_read(order, "part", *results)) == "there"
    assert len(order) == requests


@pytest.mark.parametrize(("code", "requests"), [(MISSING, MAX_READS), (DENIED, 1)])
def test_permanently_missing_detail_raises(code: str, requests: int) -> None:
    order: list[str] = []
    with pytest.raises(AwsError) as caught:
        read_detail(scripted_read(order, "part", code))
    assert (caught.value.code, len(order)) == (code, requests)
