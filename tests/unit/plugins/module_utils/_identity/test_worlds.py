# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must hold for whatever is asked for, whatever is there, and whenever a request fails."""

from __future__ import annotations

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model import (
    Desired,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    named,
    names,
    plan,
    run,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    FakeAws,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.worlds import (
    accounts,
    wishes,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def copy_of(aws: FakeAws) -> FakeAws:
    """Another account with the same things in it."""
    twin = FakeAws()
    twin.restore(aws.backup())
    return twin


@FEW
@given(aws=accounts(), before=wishes(), wanted=wishes(), state=st.sampled_from(["present", "absent"]))
def test_check_mode_only_reads(aws: FakeAws, before: Desired, wanted: Desired, state: str) -> None:
    run(aws, before)
    made = len(aws.writes)
    plan(aws, wanted, state)
    assert aws.writes[made:] == []


@FEW
@given(aws=accounts(), before=wishes(), wanted=wishes(), state=st.sampled_from(["present", "absent"]))
def test_a_plan_that_was_applied_leaves_nothing_to_do(
    aws: FakeAws, before: Desired, wanted: Desired, state: str
) -> None:
    run(aws, before)
    planned = plan(aws, wanted, state)
    made = run(aws, wanted, state)
    assert [named(done.change) for done in made.done] == names(planned)
    assert made.failures == planned.failures
    again = plan(aws, wanted, state)
    assert names(again) == []
    assert again.failures == planned.failures
