# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import is_new

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("seconds", "new"), [(-10, True), (0, True), (299, True), (300, False), (9999, False)]
)
def test_resource_is_new_for_five_minutes(seconds: int, new: bool) -> None:
    assert is_new((NOW - timedelta(seconds=seconds)).isoformat(), NOW) is new


@pytest.mark.parametrize(("created_at", "now"), [("", NOW), ("soon", NOW), (NOW.isoformat(), None)])
def test_resource_of_unknown_age_is_not_new(created_at: str, now: datetime | None) -> None:
    assert is_new(created_at, now) is False
