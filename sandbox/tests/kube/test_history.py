# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists as of a resource version, and the end of history."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.kube.history import TOO_OLD, TOO_OLD_CONTINUE
from sandbox.kube.patch import MERGE

MAPS = "/api/v1/namespaces/default/configmaps"
SELECTED = {"labelSelector": "mine"}


@pytest.fixture
def maps(kube: Any) -> Any:
    for name in ("a", "b", "c"):
        labels = {"mine": "1"}
        assert (
            kube("POST", MAPS, {"metadata": {"name": name, "labels": labels}, "data": {"n": "1"}})[0] == 201
        )
    return kube


def listed(kube: Any, **query: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Name -> data of what a list shows, and its metadata."""
    code, body = kube("GET", MAPS, query={**SELECTED, **query})
    assert code == 200, body
    return {item["metadata"]["name"]: item["data"]["n"] for item in body["items"]}, body["metadata"]


def change_everything(kube: Any) -> None:
    kube("PATCH", f"{MAPS}/a", {"data": {"n": "2"}}, content_type=MERGE)
    kube("DELETE", f"{MAPS}/b")
    kube("POST", MAPS, {"metadata": {"name": "d", "labels": {"mine": "1"}}, "data": {"n": "1"}})
    kube("PATCH", f"{MAPS}/a", {"data": {"n": "3"}}, content_type=MERGE)


@pytest.mark.parametrize(
    "query", [{"resourceVersionMatch": "Exact"}, {"limit": "9"}], ids=["exact", "a page"]
)
def test_a_list_of_a_version_shows_what_there_was(maps: Any, query: dict[str, str]) -> None:
    version = listed(maps)[1]["resourceVersion"]
    change_everything(maps)
    assert listed(maps, resourceVersion=version, **query) == (
        {"a": "1", "b": "1", "c": "1"},
        {"resourceVersion": version},
    )


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"resourceVersion": "0"},
        {"resourceVersion": "1"},
        {"resourceVersion": "0", "limit": "9"},
        {"resourceVersion": "1", "limit": "9", "resourceVersionMatch": "NotOlderThan"},
    ],
)
def test_other_lists_show_the_present(maps: Any, query: dict[str, str]) -> None:
    change_everything(maps)
    assert listed(maps, **query) == (
        {"a": "3", "c": "1", "d": "1"},
        {"resourceVersion": str(maps.store.version)},
    )


def test_all_pages_of_a_list_are_of_one_moment(maps: Any) -> None:
    first, meta = listed(maps, limit="1")
    change_everything(maps)
    second, _ = listed(maps, limit="1", **{"continue": meta["continue"]})
    rest, end = listed(maps, **{"continue": meta["continue"]})
    assert (first, second, rest) == ({"a": "1"}, {"b": "1"}, {"b": "1", "c": "1"})
    assert end == {"resourceVersion": meta["resourceVersion"]}


def test_a_version_that_is_forgotten_is_gone(maps: Any) -> None:
    version = listed(maps)[1]["resourceVersion"]
    change_everything(maps)
    maps.store.events.compact(maps.store.version)
    code, status = maps("GET", MAPS, query={"resourceVersion": version, "resourceVersionMatch": "Exact"})
    assert (code, status["reason"], status["message"]) == (410, "Expired", TOO_OLD)
    assert listed(maps, resourceVersion=version)[0] == {"a": "3", "c": "1", "d": "1"}


def test_the_remainder_of_a_list_whose_moment_is_forgotten_is_had_by_another_token(maps: Any) -> None:
    meta = listed(maps, limit="1")[1]
    change_everything(maps)
    maps.store.events.compact(maps.store.version)
    code, status = maps("GET", MAPS, query={**SELECTED, "limit": "1", "continue": meta["continue"]})
    assert (code, status["reason"], status["message"]) == (410, "Expired", TOO_OLD_CONTINUE)
    assert listed(maps, **{"continue": status["metadata"]["continue"]})[0] == {"c": "1", "d": "1"}


def test_a_list_that_begins_after_that_is_whole(maps: Any) -> None:
    maps.store.events.compact(maps.store.version)
    meta = listed(maps, limit="1")[1]
    change_everything(maps)
    assert listed(maps, **{"continue": meta["continue"]})[0] == {"b": "1", "c": "1"}


def test_a_version_that_has_not_been_yet_is_waited_for_in_vain(maps: Any) -> None:
    current = maps.store.version
    code, status = maps("GET", MAPS, query={"resourceVersion": str(current + 1)})
    assert (code, status["reason"], status["message"]) == (
        504,
        "Timeout",
        f"Timeout: Too large resource version: {current + 1}, current: {current}",
    )
    assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        pytest.param(
            {"resourceVersionMatch": "Exact"},
            422,
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
            id="match without version",
        ),
        pytest.param(
            {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
            422,
            'resourceVersionMatch: Forbidden: resourceVersionMatch "Exact" is forbidden for resourceVersion "0"',
            id="exactly any",
        ),
        pytest.param(
            {"resourceVersionMatch": "Near", "resourceVersion": "1"},
            422,
            'resourceVersionMatch: Unsupported value: "Near": supported values: "Exact", "NotOlderThan", ""',
            id="unknown match",
        ),
        pytest.param(
            {"resourceVersion": "new"},
            400,
            'invalid resource version: resourceVersion: Invalid value: "new": strconv.ParseUint: parsing "new": '
            "invalid syntax",
            id="no number",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(kube: Any, query: dict[str, str], code: int, message: str) -> None:
    answered, status = kube("GET", MAPS, query=query)
    assert answered == code
    assert status["message"].endswith(message)


def test_a_version_beside_a_token_is_refused(maps: Any) -> None:
    token = listed(maps, limit="1")[1]["continue"]
    code, status = maps("GET", MAPS, query={"continue": token, "resourceVersion": "3"})
    assert (code, status["message"]) == (
        400,
        "specifying resource version is not allowed when using continue",
    )
    code, status = maps("GET", MAPS, query={"continue": token, "resourceVersionMatch": "Exact"})
    assert code == 422
    assert status["message"].endswith("resourceVersionMatch is forbidden for continue")
