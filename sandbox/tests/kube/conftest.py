# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provide emulated clusters in memory, without HTTP."""

from __future__ import annotations

import itertools
from datetime import datetime, timezone
from typing import Any

import pytest
from sandbox.kube.cluster import Cluster
from sandbox.kube.errors import ApiError
from sandbox.kube.resources import resource_table
from sandbox.kube.store import Store
from sandbox.kube.target import parse_target

TOKEN = "administrator-token-0123456789"
NOW = "2026-01-02T03:04:05Z"
Json = dict[str, Any]


class Memory:
    """A cluster in memory. ``kube("POST", path, body)`` handles a request, and returns the status code and the response body."""

    def __init__(self, *, rbac: bool = False, pod_identity_webhook: bool = False) -> None:
        numbers = itertools.count(1)
        self.store = Store(
            clock=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
            new_uid=lambda: f"uid-{next(numbers)}",
        )
        self.cluster = Cluster(
            resource_table(), rbac=rbac, pod_identity_webhook=pod_identity_webhook, store=self.store
        )

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, str] | None = None,
        content_type: str = "application/json",
        agent: str = "test/1.0",
    ) -> tuple[int, Json]:
        parameters = query or {}
        try:
            target = parse_target(self.cluster.table, method, path, parameters)
            assert target is not None, f"{path} is not a resource"
            outcome = self.cluster.handle(
                target, parameters, content_type=content_type, body=body, agent=agent
            )
        except ApiError as error:
            return error.code, error.status()
        return (201 if outcome.created else 200), outcome.obj

    def reconcile(self) -> None:
        self.cluster.deleter.reconcile()


@pytest.fixture
def kube() -> Memory:
    return Memory()


@pytest.fixture
def memory() -> type[Memory]:
    return Memory
