# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that a run handles each type in RESOURCE_TYPES: it plans, awaits and removes its resources.

If a test fails for a new type, the part of the run that the test names does not handle the type, or ``workloads`` has no
resource of the type.
"""

from __future__ import annotations

from operator import attrgetter

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Change
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    PurgeScope,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.resource_types import (
    RESOURCE_TYPES,
    ResourceType,
    observed_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.consistency import unseen
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    Clock,
    FakeAws,
    desired,
    engine,
    run,
    run_with_purge,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.late_aws import (
    LateAws,
)

each_type = pytest.mark.parametrize("resource_type", RESOURCE_TYPES.values(), ids=attrgetter("name"))
each_removable_type = pytest.mark.parametrize(
    "resource_type",
    [resource_type for resource_type in RESOURCE_TYPES.values() if resource_type.removals],
    ids=attrgetter("name"),
)


def workloads(*service_accounts: str) -> Desired:
    """Return workloads that share a role, and that have at least one resource of each type."""
    return desired(*map(workload, service_accounts))


def filter_changes(resource_type: ResourceType, outcome: Run) -> list[Change]:
    changes = [done.change for done in outcome.done]
    return [change for change in changes if change.target.resource == resource_type.name]


@each_type
@pytest.mark.parametrize("lag", [0.5, 5, 15])
def test_changes_are_awaited(resource_type: ResourceType, lag: float) -> None:
    """Check that ``consistency.overlay`` and ``merge`` put each change into the last observation, although reads are stale."""
    clock = Clock()
    aws = LateAws(clock, lag)
    changes = []
    # The second workload changes the trust policy of the role.
    for spec in (workloads("app"), workloads("app", "web")):
        runner = engine(aws, spec, clock=clock)
        outcome = runner.run(spec, "present", check_mode=False)
        observed = runner.observe_after(outcome)
        made = filter_changes(resource_type, outcome)
        assert {observed_target(change.target) for change in made} & observed.unread.keys() == set()
        assert unseen(made, observed) == ()
        changes += made
    assert changes, f"no run changes a resource of the type {resource_type.name}"


@each_removable_type
@pytest.mark.parametrize("purge", [False, True], ids=["teardown", "purge"])
def test_removal_has_a_removing_operation(resource_type: ResourceType, purge: bool) -> None:
    """Check that teardown and purge remove the resource, with an operation that ``removals`` of its type has."""
    aws = FakeAws()
    assert run(aws, workloads("app")).failures == ()
    if purge:
        spec = workloads()
        outcome = run_with_purge(engine(aws, spec), spec, PurgeScope(), check_mode=False)
    else:
        outcome = run(aws, workloads("app"), "absent")
    removed = filter_changes(resource_type, outcome)
    assert removed, f"no change removes a resource of the type {resource_type.name}"
    assert {change.calls[-1].operation for change in removed} <= resource_type.removals
    assert outcome.failures == ()
