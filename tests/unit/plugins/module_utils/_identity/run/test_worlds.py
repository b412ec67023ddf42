# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must hold for whatever is asked for, whatever is there, and whenever a request fails."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import Api
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Plan
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import is_owned
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    Agent,
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import TrustScope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import Failure
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.purge import PurgeScope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read import observe
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.account import (
    Snapshot,
    read_snapshot,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import (
    Order,
    perform,
    run_with_purge,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    engine,
    named,
    names,
    plan,
    run,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    OTHER_CLUSTER,
    FakeAws,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.worlds import (
    accounts,
    wishes,
)
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# What a role that was there before has beside what is asked for.
FOREIGN = {Code.TRUST_STATEMENT_FOREIGN, Code.POLICY_ATTACHED_EXTRA}
SCOPES = st.sampled_from(["workload", "namespace", "cluster"])
STATES = st.sampled_from(["present", "absent"])


def account_like(aws: FakeAws) -> FakeAws:
    """Another account with the same things in it."""
    twin = FakeAws()
    twin.restore(aws.backup())
    return twin


def owned(aws: FakeAws) -> list[str]:
    """Everything that carries our mark."""
    state = aws.state()
    return [
        *(name for name, role in state["roles"].items() if is_owned(role["tags"])),
        *(arn for arn, policy in state["policies"].items() if is_owned(policy["tags"])),
        *(one["serviceAccount"] for one in state["associations"] if is_owned(one["tags"])),
    ]


@FEW
@given(aws=accounts(), before=wishes(), wanted=wishes(), state=STATES)
def test_check_mode_only_reads(aws: FakeAws, before: Desired, wanted: Desired, state: str) -> None:
    run(aws, before)
    made = len(aws.writes)
    plan(aws, wanted, state)
    assert aws.writes[made:] == []


@FEW
@given(aws=accounts(), before=wishes(), wanted=wishes(), state=STATES)
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
    assert _as_one_step(again.failures) == _as_one_step(planned.failures)


@FEW
@given(aws=accounts(), before=wishes(), wanted=wishes())
def test_reading_in_bulk_gives_the_same_plan(aws: FakeAws, before: Desired, wanted: Desired) -> None:
    def plans() -> list[Plan]:
        purge = run_with_purge(engine(aws, wanted), wanted, PurgeScope(limit=99), check_mode=True)
        return [plan(aws, wanted), plan(aws, before, "absent"), purge.plan]

    def in_bulk(api: Api, _singles: int, *kinds: bool, **more: bool) -> Snapshot:
        return read_snapshot(api, 1000, *kinds, **more)

    run(aws, before)
    one_by_one = plans()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(observe, "BULK_THRESHOLD", 0)
        patch.setattr(observe, "read_snapshot", in_bulk)
        assert plans() == one_by_one


@FEW
@given(aws=accounts(), before=wishes(), wanted=wishes(), purges=st.booleans())
def test_check_mode_finds_what_the_run_would_leave(
    aws: FakeAws, before: Desired, wanted: Desired, purges: bool
) -> None:
    aws.replace("eks:DescribeAddon", lambda _asked: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}})
    run(aws, before)
    scope = PurgeScope(limit=99) if purges else None

    def remaining(check_mode: bool) -> list[tuple[str, str, list[tuple[str, str]]]]:
        order = Order("present", check_mode, verify=True, purge=scope)
        performed = perform(engine(aws, wanted), wanted, order)
        assume(not performed.run.failures)
        assert performed.verified is not None, performed.guard.trace
        return [
            (
                str(one.workload.key),
                check.status,
                [(each.code.value, each.message) for each in check.findings],
            )
            for one in performed.verified
            for check in one.checks
        ]

    def comparable(found: object) -> str:
        """Leave out IDs of associations, which only EKS knows, and other users of a role, of which a plan reads more."""
        return re.sub(r"a-\d{17}| The role [^']*? so the policy may be theirs\.", "", repr(found))

    predicted = remaining(check_mode=True)
    made = len(aws.writes)
    assert comparable(predicted) == comparable(remaining(False))
    event("changes" if len(aws.writes) > made else "no change")


@FEW
@given(aws=accounts(), wanted=wishes())
def test_what_was_asked_for_is_there_or_a_failure_says_why(aws: FakeAws, wanted: Desired) -> None:
    made = run(aws, wanted)
    failed = {key for failure in made.failures for key in failure.workloads}
    waiting = any(one.error_code == Code.SKIPPED and one.target.resource == "policy" for one in made.failures)
    observed = engine(aws, wanted).observe(wanted)
    for one in verify(wanted, observed, VerificationReads({CLUSTER: Agent("ACTIVE", "v1.3.8-eksbuild.2")})):
        if one.workload.key not in failed:
            # What the role may do has tests of its own: the fake account has no permissions to read.
            rest = {check.status for check in one.checks if check.name != "permissions"}
            # What else an adopted role has was there before, and stays.
            codes = {found.code for found in one.findings}
            expected = {"warning"} if FOREIGN & codes else set()
            # A document still allows too much while its second step waits for a workload that failed.
            if Code.POLICY_CONTENTS_DIFFER in codes and waiting:
                expected.add("fail")
            # What an association that was taken over has beside what is asked for stays, and is an error where it widens.
            if Code.ASSOCIATION_SETTINGS_EXTRA in codes:
                expected |= {"fail", "warning"}
            assert rest - expected == {"pass"}, one.findings


@FEW
@given(aws=accounts(), wanted=wishes(adopt=False))
def test_removal_takes_away_what_was_made_and_nothing_else(aws: FakeAws, wanted: Desired) -> None:
    before = aws.state()
    run(aws, wanted)
    removed = run(aws, wanted, "absent")
    after = aws.state()
    assert removed.failures == ()
    kept = " ".join(finding.message for finding in removed.findings)
    assert all(name in kept for name in owned(aws))
    if not removed.findings:
        assert _without_references(after) == _without_references(before)
    for kind in ("roles", "policies"):
        assert before[kind].keys() <= after[kind].keys()
    for name, policy in before["policies"].items():
        assert after["policies"][name] == policy
    for name, role in before["roles"].items():
        assert set(role["attached"]) <= set(after["roles"][name]["attached"])
        assert _statements(role) <= _statements(after["roles"][name])
    places = [_place(one) for one in before["associations"]]
    assert [place for place in map(_place, after["associations"]) if place in places] == places


@FEW
@given(
    aws=accounts(),
    before=wishes(),
    wanted=wishes(),
    state=STATES,
    number=st.integers(1, 40),
    late=st.booleans(),
)
def test_a_rerun_after_any_failure_ends_where_an_undisturbed_run_does(
    aws: FakeAws, before: Desired, wanted: Desired, state: str, number: int, late: bool
) -> None:
    run(aws, before)
    twin = account_like(aws)
    smooth = run(twin, wanted, state)
    aws.fail_at(number, after=late)
    try:
        disturbed = run(aws, wanted, state)
    except AwsError:
        disturbed = None
    failed = disturbed is None or bool(disturbed.failures)
    aws.heal()
    gone = (
        [one.message for one in disturbed.failures if "was deleted; it" in one.message] if disturbed else []
    )
    rerun = run(aws, wanted, state)
    # The first of two steps may have been made already; the second then waits for a workload that stays where it was.
    left_out = {key for failure in smooth.failures for key in failure.workloads}
    waiting = [
        one for one in rerun.failures if one.error_code == Code.SKIPPED and left_out >= {*one.workloads}
    ]
    if waiting and len(rerun.failures) > len(smooth.failures):
        event("a second step waits for what is left out")
        assert {one.target.name for one in rerun.failures if one not in waiting} <= {
            one.target.name for one in smooth.failures
        }
        return
    used = [one for one in rerun.failures if one.error_code in USED_ELSEWHERE]
    if wanted.options.adopt and used and used == list(rerun.failures) and not smooth.failures:
        # Of what the disturbed run took over the users count, as of all that was made here.
        event("what was taken over is used elsewhere")
        return
    assert _as_one_step(rerun.failures) == _as_one_step(smooth.failures)
    if gone:
        event("an association could not be created anew")
        return
    event("disturbed" if failed else "not disturbed")
    assert aws.state() == twin.state()


USED_ELSEWHERE = (Code.POLICY_USED_ELSEWHERE, Code.ROLE_USED_ELSEWHERE)


def _as_one_step(failures: Iterable[Failure]) -> list[Failure]:
    return [replace(one, target=replace(one.target, step="")) for one in failures]


@FEW
@given(aws=accounts(), before=wishes(adopt=False), wanted=wishes(adopt=False))
def test_a_purge_takes_what_is_ours_and_not_listed_and_nothing_else(
    aws: FakeAws, before: Desired, wanted: Desired
) -> None:
    theirs = aws.state()
    run(aws, before)
    scope = PurgeScope(limit=99)
    # A role that the first run moved its last workload away from is an orphan in the second one, and a policy that was
    # only its boundary in the third.
    for _ in range(3):
        predicted = run_with_purge(engine(aws, wanted), wanted, scope, check_mode=True)
        made = run_with_purge(engine(aws, wanted), wanted, scope, check_mode=False)
        assume(not made.failures)
        assert names(predicted.plan) == names(made.plan)
        assert [named(one.change) for one in made.done] == names(made.plan)
    again = run_with_purge(engine(aws, wanted), wanted, scope, check_mode=False)
    assert ([named(done.change) for done in again.done], again.failures) == ([], ())
    after = aws.state()
    listed = {(one.key.namespace, one.key.service_account) for one in wanted.workloads}
    assert {_place(one) for one in after["associations"] if is_owned(one["tags"])} <= listed
    assert {_place(one) for one in theirs["associations"]} <= {_place(one) for one in after["associations"]}
    for kind in ("roles", "policies"):
        assert theirs[kind].keys() <= after[kind].keys()


@FEW
@given(aws=accounts(), wanted=wishes(adopt=False, tagged=True), late=st.booleans())
def test_plays_of_two_clusters_share_roles_in_peace(aws: FakeAws, wanted: Desired, late: bool) -> None:
    twin = _moved(wanted, OTHER_CLUSTER)
    run(aws, wanted)
    run(aws, twin)
    assert names(plan(aws, wanted)) == []
    going, staying = (twin, wanted) if late else (wanted, twin)
    run(aws, going, "absent")
    assert names(plan(aws, staying)) == []


@FEW
@given(
    aws=accounts(),
    wanted=wishes(adopt=False, tagged=True),
    cut=st.integers(0, 3),
    scopes=st.tuples(SCOPES, SCOPES),
)
def test_plays_of_one_cluster_share_roles_in_peace(
    aws: FakeAws, wanted: Desired, cut: int, scopes: tuple[TrustScope, TrustScope]
) -> None:
    options, other = (replace(wanted.options, trust_scope=scope) for scope in scopes)
    one = replace(wanted, workloads=wanted.workloads[:cut], options=options)
    two = replace(wanted, workloads=wanted.workloads[cut:], options=other)
    # A boundary that only the second play makes keeps the first one from its role.
    assume(not run(aws, one).failures)
    run(aws, two)
    assert names(plan(aws, one)) == []
    run(aws, one, "absent")
    # What only the other play wanted may go now.
    assert [
        change
        for change in names(plan(aws, two))
        if not change.startswith(("detach ", "update trust_policy "))
    ] == []


def _moved(wanted: Desired, cluster_name: str) -> Desired:
    workloads = tuple(replace(one, key=replace(one.key, cluster=cluster_name)) for one in wanted.workloads)
    return replace(wanted, workloads=workloads)


def _statements(role: dict[str, Any]) -> set[str]:
    return {json.dumps(statement, sort_keys=True) for statement in role["trust"]["Statement"]}


def _place(association: dict[str, Any]) -> tuple[str, str]:
    return association["namespace"], association["serviceAccount"]


def _without_references(state: dict[str, Any]) -> dict[str, Any]:
    """What is there, but for associations of others: a run may point them to its role."""
    return {key: value for key, value in state.items() if key != "associations"}
