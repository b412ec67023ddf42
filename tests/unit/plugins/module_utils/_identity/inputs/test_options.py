# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.fields import Fields
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.options import (
    parse_cluster_name,
    read_purge_limit,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import PurgeScope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
    Problems,
)


@pytest.mark.parametrize("name", ["", "  "])
def test_reports_empty_cluster_name(name: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_cluster_name(name)
    assert caught.value.problems == ("cluster_name: is empty; set the name of the EKS cluster.",)


@pytest.mark.parametrize(
    ("limit", "scope"),
    [
        (None, PurgeScope()),
        (0, PurgeScope(0)),
        ("7", PurgeScope(7)),
        (" 20% ", PurgeScope(percent=20)),
        ("0%", PurgeScope(percent=0)),
        ("100%", PurgeScope(percent=100)),
        ("101%", None),
        ("-1%", None),
        ("many", None),
    ],
)
def test_purge_limit_is_a_number_or_a_share(limit: object, scope: PurgeScope | None) -> None:
    fields = Fields({"purge_limit": limit}, "", Problems())
    found = read_purge_limit(fields)
    rule = "purge_limit must be a number, 0 or more, or a share from 0% to 100%, got"
    assert fields.problems.texts == ([] if scope else [f"{rule} {limit!r}."])
    assert found == (scope or PurgeScope())
