# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test plans that create resources, and the requests of each change."""

from __future__ import annotations

from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    POLICY_TAGS,
    FakeAws,
    create_policy,
    desired,
    plan,
    policy_arn,
    workload,
)


def test_description_of_a_preset_is_for_a_new_policy_only() -> None:
    aws = FakeAws()
    spec = desired(workload(policies=[{"preset": "external-dns"}]))
    created = plan(aws, spec).changes[0]
    arn = policy_arn("my-role-external-dns")
    description = "ExternalDNS, created from preset external-dns version 1"
    assert created.target.full_name == arn
    assert created.calls[0].parameters["Description"] == description
    assert created.after is not None
    assert created.after["description"] == description
    create_policy(aws, "my-role-external-dns", tags=POLICY_TAGS)
    updated = plan(aws, spec).changes[0]
    assert (updated.target.full_name, updated.action) == (arn, "update")
    assert updated.after is not None
    assert list(updated.after) == ["document"]
