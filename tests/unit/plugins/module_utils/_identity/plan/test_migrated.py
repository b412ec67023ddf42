# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the removal of workloads whose role has the record of a migration from IRSA."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    PurgeScope,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    Record,
    record_keys,
    record_tags,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER_ARN,
    OTHER_CLUSTER_ARN,
    create_role,
    desired,
    engine,
    role_arn,
    run,
    run_with_purge,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    FakeAws,
)

ROLE = role_arn("app")
MIGRATED: dict[str, Any] = {"role": {"arn": ROLE, "extend_trust": True}, "policies": None}
NAMES = Record(frozenset({("default", "app")}))
OTHERS = Record(frozenset({("default", "web")}))
RECORDED = record_tags(CLUSTER_ARN, NAMES, {})
DAMAGED = {record_keys(CLUSTER_ARN, RECORDED)[0]: "x"}


def migrated(tags: dict[str, str]) -> FakeAws:
    """Return an account with an association, whose role has these tags."""
    aws = FakeAws()
    create_role(aws, "app", tags=tags)
    assert run(aws, desired(workload(**MIGRATED))).failures == ()
    return aws


def remove(aws: FakeAws, is_purge: bool, **options: Any) -> Any:
    if is_purge:
        spec = desired(**options)
        return run_with_purge(engine(aws, spec), spec, PurgeScope())
    return run(aws, desired(workload(**MIGRATED), state="absent", **options), "absent")


@pytest.mark.parametrize("is_purge", [False, True])
@pytest.mark.parametrize(
    ("tags", "options", "is_deleted", "fate"),
    [
        pytest.param(RECORDED, {}, False, "is kept, because", id="recorded"),
        pytest.param(DAMAGED, {}, False, "is kept, because", id="damaged record"),
        pytest.param(RECORDED, {"force": True}, True, "is deleted, although", id="force"),
        pytest.param(
            RECORDED,
            {"force": frozenset({"default/app"})},
            True,
            "is deleted, although",
            id="force for the workload",
        ),
        pytest.param(
            RECORDED,
            {"force": frozenset({"default/web"})},
            False,
            "is kept, because",
            id="force for another workload",
        ),
        pytest.param({}, {}, True, "", id="no record"),
        pytest.param(record_tags(CLUSTER_ARN, OTHERS, {}), {}, True, "", id="record of another workload"),
        pytest.param(record_tags(OTHER_CLUSTER_ARN, NAMES, {}), {}, True, "", id="record of another cluster"),
    ],
)
def test_association_of_a_migrated_workload_needs_force(
    is_purge: bool, tags: dict[str, str], options: dict[str, Any], is_deleted: bool, fate: str
) -> None:
    aws = migrated(tags)
    done = remove(aws, is_purge, **options)
    assert (aws.eks.associations == {}) is is_deleted
    findings = [finding for finding in done.plan.findings if finding.code == "MIGRATION_RECORDED"]
    assert [finding.message.partition(" role arn")[0].partition(" of ")[2] for finding in findings] == (
        [f"default/app {fate}"] if fate else []
    )
    assert [finding.severity for finding in findings] == ["warning"] * bool(fate)
    assert tags.items() <= aws.iam.roles["app"]["tags"].items()


def returning(**more: Any) -> Desired:
    """Return the teardown with which a rollback removes the association."""
    spec = desired(workload(**MIGRATED, **more), state="absent")
    return replace(spec, workloads=tuple(replace(entry, returns=True) for entry in spec.workloads))


def test_rollback_keeps_an_association_with_another_role() -> None:
    aws = migrated(RECORDED)
    create_role(aws, "other")
    (found,) = aws.eks.associations.values()
    found["roleArn"] = role_arn("other")
    done = run(aws, returning(), "absent")
    assert len(aws.eks.associations) == 1
    assert [(finding.code, finding.message) for finding in done.plan.findings] == [
        (
            "MIGRATION_OTHER_ASSOCIATION",
            f"association {found['associationId']} of default/app is kept: it has role {role_arn('other')} meanwhile.",
        )
    ]
