# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test lists at an earlier resource version, and the error for expired versions."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.kube.history import TOO_OLD, TOO_OLD_CONTINUE
from sandbox.kube.patch import MERGE

MAPS = "/api/v1/namespaces/default/configmaps"
SELECTED = {"labelSelector": "mine"}


@pytest.fixture
def maps(kube: Any) -> Any:
    return create_maps(kube)


@pytest.fixture
def short_history(memory: Any) -> Any:
    """Create three ConfigMaps in a cluster whose history has only the latest change."""
    return create_maps(memory(history=1))


def create_maps(kube: Any) -> Any:
    for name in ("a", "b", "c"):
        labels = {"mine": "1"}
        assert (
            kube("POST", MAPS, {"metadata": {"name": name, "labels": labels}, "data": {"n": "1"}})[0] == 201
        )
    return kube


def list_maps(kube: Any, **query: str) -> tuple[dict[str, str], dict[str, Any]]:
    """List the ConfigMaps. Return the data of each by name, and the metadata of the list."""
    code, body = kube("GET", MAPS, query={**SELECTED, **query})
    assert code == 200, body
    return {item["metadata"]["name"]: item["data"]["n"] for item in body["items"]}, body["metadata"]


def change_maps(kube: Any) -> None:
    kube("PATCH", f"{MAPS}/a", {"data": {"n": "2"}}, content_type=MERGE)
    kube("DELETE", f"{MAPS}/b")
    kube("POST", MAPS, {"metadata": {"name": "d", "labels": {"mine": "1"}}, "data": {"n": "1"}})
    kube("PATCH", f"{MAPS}/a", {"data": {"n": "3"}}, content_type=MERGE)


@pytest.mark.parametrize(
    "query", [{"resourceVersionMatch": "Exact"}, {"limit": "9"}], ids=["exact", "a page"]
)
def test_list_at_version_returns_earlier_objects(maps: Any, query: dict[str, str]) -> None:
    version = list_maps(maps)[1]["resourceVersion"]
    change_maps(maps)
    assert list_maps(maps, resourceVersion=version, **query) == (
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
def test_other_lists_return_current_objects(maps: Any, query: dict[str, str]) -> None:
    change_maps(maps)
    assert list_maps(maps, **query) == (
        {"a": "3", "c": "1", "d": "1"},
        {"resourceVersion": str(maps.store.version)},
    )


def test_all_pages_have_the_same_version(maps: Any) -> None:
    first, meta = list_maps(maps, limit="1")
    change_maps(maps)
    second, _ = list_maps(maps, limit="1", **{"continue": meta["continue"]})
    rest, end = list_maps(maps, **{"continue": meta["continue"]})
    assert (first, second, rest) == ({"a": "1"}, {"b": "1"}, {"b": "1", "c": "1"})
    assert end == {"resourceVersion": meta["resourceVersion"]}


def test_expired_version_is_rejected(short_history: Any) -> None:
    version = list_maps(short_history)[1]["resourceVersion"]
    change_maps(short_history)
    code, status = short_history(
        "GET", MAPS, query={"resourceVersion": version, "resourceVersionMatch": "Exact"}
    )
    assert (code, status["reason"], status["message"]) == (410, "Expired", TOO_OLD)
    assert list_maps(short_history, resourceVersion=version)[0] == {"a": "3", "c": "1", "d": "1"}


def test_expired_list_offers_inconsistent_continue_token(short_history: Any) -> None:
    meta = list_maps(short_history, limit="1")[1]
    change_maps(short_history)
    code, status = short_history("GET", MAPS, query={**SELECTED, "limit": "1", "continue": meta["continue"]})
    assert (code, status["reason"], status["message"]) == (410, "Expired", TOO_OLD_CONTINUE)
    assert list_maps(short_history, **{"continue": status["metadata"]["continue"]})[0] == {"c": "1", "d": "1"}


def test_future_version_times_out(maps: Any) -> None:
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
def test_invalid_parameters_are_rejected(kube: Any, query: dict[str, str], code: int, message: str) -> None:
    response_code, status = kube("GET", MAPS, query=query)
    assert response_code == code
    assert status["message"].endswith(message)


def test_version_with_continue_token_is_rejected(maps: Any) -> None:
    token = list_maps(maps, limit="1")[1]["continue"]
    code, status = maps("GET", MAPS, query={"continue": token, "resourceVersion": "3"})
    assert (code, status["message"]) == (
        400,
        "specifying resource version is not allowed when using continue",
    )
    code, status = maps("GET", MAPS, query={"continue": token, "resourceVersionMatch": "Exact"})
    assert code == 422
    assert status["message"].endswith("resourceVersionMatch is forbidden for continue")
