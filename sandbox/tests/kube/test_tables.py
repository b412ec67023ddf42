# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kubectl get prints."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sandbox.kube.patch import MERGE
from sandbox.kube.resources import NAMESPACES, PODS
from sandbox.kube.tables import as_table, human_duration, wants_table

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", True),
        ("application/json, application/json;as=Table;v=v1;g=meta.k8s.io", False),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_who_wants_a_table(accept: str, expected: bool) -> None:
    assert wants_table(accept) is expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (5, "5s"),
        (119, "119s"),
        (120, "2m"),
        (303, "5m3s"),
        (600, "10m"),
        (3 * 3600 + 1200, "3h20m"),
        (23 * 3600, "23h"),
        (52 * 3600, "2d4h"),
        (9 * 86400, "9d"),
    ],
)
def test_ages(seconds: int, text: str) -> None:
    assert human_duration(seconds) == text


def test_a_list_as_a_table(kube: Any) -> None:
    body = kube("GET", "/api/v1/namespaces")[1]
    table = as_table(NAMESPACES, body, "", NOW + timedelta(minutes=5))
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Status", "Age"]
    assert table["rows"][0]["cells"] == ["default", "Active", "5m"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert table["metadata"] == body["metadata"]


@pytest.mark.parametrize(
    ("status", "cells"),
    [
        ({}, ["p", "0/1", "Pending", "0"]),
        (
            {"phase": "Running", "containerStatuses": [{"name": "c", "ready": True, "restartCount": 2}]},
            ["p", "1/1", "Running", "2"],
        ),
        (
            {"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]},
            ["p", "0/1", "CrashLoopBackOff", "0"],
        ),
    ],
)
def test_a_pod_as_a_table(kube: Any, status: dict[str, Any], cells: list[str]) -> None:
    path = "/api/v1/namespaces/default/pods"
    kube("POST", path, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    kube("PATCH", f"{path}/p/status", {"status": status}, content_type=MERGE)
    table = as_table(PODS, kube("GET", f"{path}/p")[1], "None", NOW)
    assert table["rows"] == [{"cells": [*cells, "<none>", "0s"]}]
    wide = [column["name"] for column in table["columnDefinitions"] if column["priority"]]
    assert wide == ["Node"]
