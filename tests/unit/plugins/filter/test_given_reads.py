# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test results of kubernetes.core.k8s_info that a user passes to the filter."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.filter.pod_identity_report import (
    parse_cluster_reads,
    parse_list_result,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
)

ITEM = {"metadata": {"name": "x"}}
DENIED = """Failed to create object: b'{"message":"forbidden: no","reason":"Forbidden","code":403}'"""


@pytest.mark.parametrize(
    ("result", "listing"),
    [
        ({"resources": [ITEM], "api_found": True}, Listing([ITEM])),
        ({"resources": []}, Listing([])),
        (
            {"resources": [], "api_found": False, "msg": "Failed to find API"},
            Listing(error=ApiError(0, "Failed to find API")),
        ),
        ({"failed": True, "msg": DENIED}, Listing(error=ApiError(403, "forbidden: no"))),
        (
            {"failed": True, "msg": "MODULE FAILURE", "module_stderr": "Traceback\nOSError: no route"},
            Listing(error=ApiError(0, "OSError: no route")),
        ),
    ],
)
def test_parse_list_result(result: dict[str, Any], listing: Listing) -> None:
    assert parse_list_result(result) == listing


def test_cluster_reads_skip_results_without_list() -> None:
    results: dict[str, Any] = {
        "pods": {"resources": [ITEM]},
        "agents": {"changed": False, "skipped": True},
        "nodes": {},
        "replica_sets": {"failed": False, "msg": DENIED},
    }
    assert parse_cluster_reads(results) == {
        "pods": Listing([ITEM]),
        "replica_sets": Listing(error=ApiError(403, "forbidden: no")),
    }
