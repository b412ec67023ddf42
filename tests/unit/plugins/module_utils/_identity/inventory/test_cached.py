# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a cache keeps of clusters is all of them."""

from __future__ import annotations

import json

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inventory import (
    from_cache,
    to_cache,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.accounts import (
    AgentAddon,
    AssumeRole,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.inventory.clusters import (
    found,
)


def test_what_goes_through_a_file_comes_back() -> None:
    clusters = (
        found(tags={"a": "b"}, role=AssumeRole("arn:aws:iam::111122223333:role/fleet", "x", "y", 900)),
        found(name="green", agent=AgentAddon(None)),
    )
    assert from_cache(json.loads(json.dumps(to_cache(clusters)))) == clusters


@pytest.mark.parametrize("cached", [None, [], {}, {"format": 0, "clusters": []}, {"clusters": []}])
def test_what_another_version_wrote_is_not_read(cached: object) -> None:
    assert from_cache(cached) is None
