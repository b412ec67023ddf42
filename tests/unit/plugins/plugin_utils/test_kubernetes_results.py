# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules of kubernetes.core return, as the Kubernetes half has it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
    Trial,
    Written,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.given_reads import given_listings
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_results import (
    listing_of,
    trials_of,
    written_of,
)

ITEM = {"metadata": {"name": "x"}}
DENIED = """Failed to create object: b'{"message":"forbidden: no","reason":"Forbidden","code":403}'"""
# As the API server answers when it has too much to do, and a proxy that does not reach it: no JSON.
BUSY = {"msg": "Failed to create object: Too many requests, please try again later.\n", "reason": ""}
AWAY = {"msg": "Failed to create object: <html>no upstream</html>", "reason": "Bad Gateway"}
REFUSED = {"changed": False, "result": {}, "error": {"msg": DENIED}}
MADE = {"changed": True, "result": {"kind": "ServiceAccount"}, "diff": {"before": {}, "after": ITEM}}
ACCOUNT = {"kind": "ServiceAccount", "metadata": {"namespace": "shop", "name": "x"}}
SHOWN = {
    "before_header": "ServiceAccount shop/x",
    "after_header": "ServiceAccount shop/x",
    "before": "",
    "after": '{\n  "metadata": {\n    "name": "x"\n  }\n}\n',
}


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
def test_lists(result: dict[str, Any], listing: Listing) -> None:
    assert listing_of(result) == listing


@pytest.mark.parametrize(
    ("result", "written"),
    [
        (MADE, Written(True, {}, diffs=[SHOWN])),
        ({**REFUSED}, Written(False, {0: ApiError(403, "forbidden: no")}, diffs=[])),
        (
            {"changed": True, "result": {"results": [MADE, REFUSED, MADE]}},
            Written(True, {1: ApiError(403, "forbidden: no")}, diffs=[SHOWN, SHOWN]),
        ),
        (
            {"changed": False, "result": {"results": [{"error": BUSY}, {"error": AWAY}]}},
            Written(
                False,
                {
                    0: ApiError(429, "Failed to create object: Too many requests, please try again later."),
                    1: ApiError(502, "Failed to create object: <html>no upstream</html>"),
                },
                diffs=[],
            ),
        ),
        ({"failed": True, "msg": "no client"}, Written(error=ApiError(0, "no client"))),
    ],
    ids=["one", "one refused", "several", "refused in plain text", "ended"],
)
def test_what_was_written(result: dict[str, Any], written: Written) -> None:
    assert written_of(result, [ACCOUNT] * 3) == written


@pytest.mark.parametrize(
    ("result", "trials"),
    [
        ({"changed": True, "result": ITEM}, [Trial(ITEM)]),
        ({**REFUSED}, [Trial(error=ApiError(403, "forbidden: no"))]),
        (
            {"changed": True, "result": {"results": [{"result": ITEM}, REFUSED]}},
            [Trial(ITEM), Trial(error=ApiError(403, "forbidden: no"))],
        ),
        ({"failed": True, "msg": "no client"}, [Trial(error=ApiError(0, "no client"))] * 2),
        (
            {"changed": True, "result": {"results": [{"result": ITEM}]}},
            [Trial(error=ApiError(0, "kubernetes.core answered for another number of Pods"))] * 2,
        ),
    ],
    ids=["one", "one refused", "several", "ended", "another number"],
)
def test_what_came_back_of_dry_runs(result: dict[str, Any], trials: list[Trial]) -> None:
    assert trials_of(result, len(trials)) == trials


def test_reads_that_a_user_gives() -> None:
    results: dict[str, Any] = {
        "pods": {"resources": [ITEM]},
        "agents": {"changed": False, "skipped": True},
        "nodes": {},
        "replica_sets": {"failed": False, "msg": DENIED},
    }
    assert given_listings(results) == {
        "pods": Listing([ITEM]),
        "replica_sets": Listing(error=ApiError(403, "forbidden: no")),
    }
