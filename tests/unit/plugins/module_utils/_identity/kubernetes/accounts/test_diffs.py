# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the diffs of writes as --diff shows them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_writes import (
    format_diff,
)

NAMED = {"namespace": "shop", "name": "api"}
ACCOUNT = {"kind": "ServiceAccount", "metadata": NAMED}


@pytest.mark.parametrize(
    ("diff", "texts"),
    [
        ({}, None),
        ({"before": {"metadata": {"uid": "a"}}, "after": {"metadata": {"uid": "b"}}}, None),
        (
            {"before": {}, "after": {"metadata": {"name": "api", "uid": "b"}, "kind": "ServiceAccount"}},
            ("", '{\n  "kind": "ServiceAccount",\n  "metadata": {\n    "name": "api"\n  }\n}\n'),
        ),
    ],
)
def test_diff_leaves_out_server_fields(diff: dict[str, Any], texts: tuple[str, str] | None) -> None:
    header = "ServiceAccount shop/api"
    expected = {"before_header": header, "after_header": header}
    assert format_diff(diff, ACCOUNT) == (
        expected | dict(zip(("before", "after"), texts, strict=True)) if texts else None
    )
