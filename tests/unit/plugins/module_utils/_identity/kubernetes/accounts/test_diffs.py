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
    "diff", [{}, {"before": {"metadata": {"uid": "a"}}, "after": {"metadata": {"uid": "b"}}}]
)
def test_no_diff_for_server_fields_alone(diff: dict[str, Any]) -> None:
    assert format_diff(diff, ACCOUNT) is None
