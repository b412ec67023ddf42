# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""When "it does not exist" is believed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.reader import (
    MOST_LOOKS,
    read_part,
    read_whole,
    unless_missing_twice,
)

GONE, DENIED = "NoSuchEntity", "AccessDenied"


def answers(asked: list[str], name: str, *results: str) -> Callable[..., str]:
    """Gives these one after the other, the last one for ever; an error code is raised."""
    queue = list(results)

    def ask(*_found: str) -> str:
        asked.append(name)
        result = queue.pop(0) if len(queue) > 1 else queue[0]
        if result in (GONE, DENIED):
            raise classify("iam:GetRole", result, "text of AWS")
        return result

    return ask


@pytest.mark.parametrize(
    ("first", "rest", "witness", "found", "asked"),
    [
        pytest.param(["role"], ["whole"], None, "whole", "first rest", id="there"),
        pytest.param([GONE], ["whole"], None, None, "first", id="gone"),
        pytest.param(["role"], [GONE, "whole"], None, "whole", "first rest rest", id="the rest is late"),
        pytest.param(
            ["role", GONE], [GONE], None, None, "first rest rest first", id="removed between two requests"
        ),
        pytest.param([GONE], ["whole"], [GONE], None, "first witness", id="gone, by two answers"),
        pytest.param(
            [GONE, "role"], ["whole"], ["there"], "whole", "first witness first rest", id="the first is late"
        ),
        pytest.param(
            ["role"],
            [GONE],
            None,
            None,
            " ".join(["first rest rest"] * MOST_LOOKS),
            id="they go on to disagree",
        ),
    ],
)
def test_a_thing_that_takes_several_requests(
    first: list[str], rest: list[str], witness: list[str] | None, found: str | None, asked: str
) -> None:
    order: list[str] = []
    assert (
        read_whole(
            answers(order, "first", *first),
            answers(order, "rest", *rest),
            answers(order, "witness", *witness) if witness else None,
        )
        == found
    )
    assert " ".join(order) == asked


@pytest.mark.parametrize(
    ("first", "rest", "witness", "code"),
    [
        pytest.param([DENIED], ["whole"], None, DENIED, id="the first is refused"),
        pytest.param(["role"], [DENIED], None, DENIED, id="the rest is refused"),
        pytest.param([GONE], ["whole"], [DENIED], DENIED, id="nobody can tell"),
        pytest.param(["role"], [GONE], [GONE], GONE, id="the rest goes on to disagree"),
        pytest.param([GONE], ["whole"], ["there"], GONE, id="the witness goes on to disagree"),
    ],
)
def test_what_a_removal_cannot_believe_is_an_error(
    first: list[str], rest: list[str], witness: list[str] | None, code: str
) -> None:
    order: list[str] = []
    with pytest.raises(AwsError) as caught:
        read_whole(
            answers(order, "first", *first),
            answers(order, "rest", *rest),
            answers(order, "witness", *witness) if witness else None,
        )
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("results", "found", "times"),
    [(["one"], "one", 1), ([GONE, "one"], "one", 2), ([GONE], None, 2)],
)
def test_what_was_just_listed_is_asked_for_twice(results: list[str], found: str | None, times: int) -> None:
    order: list[str] = []
    assert unless_missing_twice(answers(order, "one", *results)) == found
    assert len(order) == times


@pytest.mark.parametrize(
    ("results", "asked"),
    [
        pytest.param(["there"], 1, id="at once"),
        pytest.param([GONE, "there"], 2, id="one replica is late"),
        pytest.param([GONE, GONE, "there"], MOST_LOOKS, id="at the last look"),
    ],
)
def test_a_part_of_what_was_just_seen_is_asked_for_again(results: list[str], asked: int) -> None:
    order: list[str] = []
    assert read_part(answers(order, "part", *results)) == "there"
    assert len(order) == asked


@pytest.mark.parametrize(("code", "asked"), [(GONE, MOST_LOOKS), (DENIED, 1)])
def test_a_part_that_stays_away_is_the_error_of_aws(code: str, asked: int) -> None:
    order: list[str] = []
    with pytest.raises(AwsError) as caught:
        read_part(answers(order, "part", code))
    assert (caught.value.code, len(order)) == (code, asked)
