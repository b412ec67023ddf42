# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test invariants for random desired states, random accounts, and a failure at any request."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import Api
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Plan
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    PurgeScope,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import is_marked
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import TrustScope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import Failure
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read import observe
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.account import (
    Snapshot,
    read_snapshot,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.order import (
    Order,
    apply_order,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    agent,
    engine,
    named,
    names,
    plan,
    run,
    run_with_purge,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    OTHER_CLUSTER,
    FakeAws,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.strategies import (
    accounts,
    desired_states,
)
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

FEW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Codes of findings about unmanaged statements and policies of an existing role.
FOREIGN = {Code.TRUST_STATEMENT_FOREIGN, Code.TRUST_WIDER_THAN_ASKED, Code.POLICY_ATTACHED_EXTRA}
TAGS = {Code.ASSOCIATION_SETTINGS_DIFFER, Code.POLICY_SETTINGS_DIFFER, Code.ROLE_SETTINGS_DIFFER}
SCOPES = st.sampled_from(["workload", "namespace", "cluster"])
STATES = st.sampled_from(["present", "absent"])


def account_like(aws: FakeAws) -> FakeAws:
    """Return a copy of the account."""
    twin = FakeAws()
    twin.restore(aws.backup())
    return twin


def owned(aws: FakeAws) -> list[str]:
    """Return identifiers of all resources with the ownership tag."""
    state = aws.state()
    return [
        *(name for name, role in state["roles"].items() if is_marked(role["tags"])),
        *(arn for arn, policy in state["policies"].items() if is_marked(policy["tags"])),
        *(
            association["serviceAccount"]
            for association in state["associations"]
            if is_marked(association["tags"])
        ),
    ]


@FEW
@given(aws=accounts(), initial=desired_states(), spec=desired_states(), state=STATES)
def test_check_mode_only_reads(aws: FakeAws, initial: Desired, spec: Desired, state: str) -> None:
    run(aws, initial)
    write_count = len(aws.writes)
    plan(aws, spec, state)
    assert aws.writes[write_count:] == []


@FEW
@given(aws=accounts(), initial=desired_states(), spec=desired_states(), state=STATES)
def test_applied_plan_has_no_further_changes(
    aws: FakeAws, initial: Desired, spec: Desired, state: str
) -> None:
    run(aws, initial)
    planned = plan(aws, spec, state)
    outcome = run(aws, spec, state)
    assert [named(done.change) for done in outcome.done] == names(planned)
    assert outcome.failures == planned.failures
    if planned.failures:
        # A failure of a role also stops what workloads that join this role no longer need elsewhere. The next run takes it.
        run(aws, spec, state)
    again = plan(aws, spec, state)
    assert names(again) == []
    assert {_cause(failure) for failure in again.failures} <= {
        _cause(failure) for failure in planned.failures
    }


@FEW
@given(aws=accounts(), initial=desired_states(), spec=desired_states())
def test_reading_in_bulk_gives_the_same_plan(aws: FakeAws, initial: Desired, spec: Desired) -> None:
    def plans() -> list[Plan]:
        purge = run_with_purge(engine(aws, spec), spec, PurgeScope(limit=99), check_mode=True)
        return [plan(aws, spec), plan(aws, initial, "absent"), purge.plan]

    def in_bulk(api: Api, _singles: int, *kinds: bool, **more: bool) -> Snapshot:
        return read_snapshot(api, 1000, *kinds, **more)

    run(aws, initial)
    one_by_one = plans()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(observe, "BULK_THRESHOLD", 0)
        patch.setattr(observe, "read_snapshot", in_bulk)
        assert plans() == one_by_one


@FEW
@given(aws=accounts(), initial=desired_states(), spec=desired_states(), purges=st.booleans())
def test_check_mode_predicts_the_verification(
    aws: FakeAws, initial: Desired, spec: Desired, purges: bool
) -> None:
    aws.replace("eks:DescribeAddon", lambda _asked: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}})
    run(aws, initial)
    listed = replace(spec, purge=PurgeScope(limit=99) if purges else None)

    def remaining(check_mode: bool) -> list[tuple[str, str, list[tuple[str, str]]]]:
        order = Order("present", check_mode, verify=True)
        performed = apply_order(engine(aws, spec), listed, order)
        assume(not performed.run.failures)
        assert performed.verified is not None, performed.guard.trace
        return [
            (
                str(verified.workload.key),
                check.status,
                [(finding.code.value, finding.message) for finding in check.findings],
            )
            for verified in performed.verified
            for check in verified.checks
        ]

    def comparable(found: object) -> str:
        """Remove the parts that may differ: association IDs, which EKS creates, and the sentences about users outside the run.

        A plan reads more of these users than a run.
        """
        return re.sub(r"a-\d{17}| The role [^']*? These users may need the policy\.", "", repr(found))

    predicted = remaining(check_mode=True)
    write_count = len(aws.writes)
    assert comparable(predicted) == comparable(remaining(False))
    event("changes" if len(aws.writes) > write_count else "no change")


@FEW
@given(aws=accounts(), spec=desired_states())
def test_desired_state_passes_verification_or_fails(aws: FakeAws, spec: Desired) -> None:
    outcome = run(aws, spec)
    failed = {key for failure in outcome.failures for key in failure.workloads}
    waiting = any(
        failure.error_code == Code.SKIPPED and failure.target.resource == "policy"
        for failure in outcome.failures
    )
    observed = engine(aws, spec).observer().observe(spec)
    for verified in verify(spec, observed, VerificationReads(agent("ACTIVE", "v1.3.8-eksbuild.2"))):
        if verified.workload.key not in failed:
            # The fake account does not evaluate permissions. Other tests cover them.
            rest = {check.status for check in verified.checks if check.name != "permissions"}
            # A role that existed before the run keeps its other statements and policies.
            codes = {found.code for found in verified.findings}
            expected = {"warning"} if FOREIGN & codes else set()
            # The last change of a policy, which revokes permissions, waits for a workload that failed. So the document still
            # allows too much.
            if Code.POLICY_CONTENTS_DIFFER in codes and waiting:
                expected.add("fail")
            # A resource of another owner keeps its tags, which the run reports, too.
            if TAGS & codes:
                assert TAGS & codes <= {found.code for found in outcome.findings}
                expected.add("warning")
            # A run attaches nothing to a role that is given by its ARN.
            if Code.POLICY_NOT_ATTACHED in codes:
                expected.add("fail")
            # An association that existed before the run keeps its other settings. They are an error if they extend the access.
            if Code.ASSOCIATION_SETTINGS_EXTRA in codes:
                expected |= {"fail", "warning"}
            assert rest - expected == {"pass"}, verified.findings


@FEW
@given(aws=accounts(), spec=desired_states(adopt=False))
def test_removal_deletes_only_created_resources(aws: FakeAws, spec: Desired) -> None:
    initial = aws.state()
    run(aws, spec)
    removed = run(aws, spec, "absent")
    updated = aws.state()
    assert removed.failures == ()
    messages = " ".join(finding.message for finding in removed.findings)
    assert all(name in messages for name in owned(aws))
    if not removed.findings:
        assert _without_references(updated) == _without_references(initial)
    for kind in ("roles", "policies"):
        assert initial[kind].keys() <= updated[kind].keys()
    for name, policy in initial["policies"].items():
        assert updated["policies"][name] == policy
    for name, role in initial["roles"].items():
        assert set(role["attached"]) <= set(updated["roles"][name]["attached"])
        assert _statements(role) <= _statements(updated["roles"][name])
    places = [_place(association) for association in initial["associations"]]
    assert [place for place in map(_place, updated["associations"]) if place in places] == places


@FEW
@given(
    aws=accounts(),
    initial=desired_states(),
    spec=desired_states(),
    state=STATES,
    number=st.integers(1, 40),
    late=st.booleans(),
)
def test_rerun_after_any_failure_converges(
    aws: FakeAws, initial: Desired, spec: Desired, state: str, number: int, late: bool
) -> None:
    run(aws, initial)
    twin = account_like(aws)
    smooth = run(twin, spec, state)
    aws.fail_at(number, took_effect=late)
    try:
        disturbed = run(aws, spec, state)
    except AwsError:
        disturbed = None
    failed = disturbed is None or bool(disturbed.failures)
    aws.clear_faults()
    rerun = run(aws, spec, state)
    causes = {failure.error_code for failure in rerun.failures} - {Code.SKIPPED}
    assert causes <= {failure.error_code for failure in smooth.failures}
    if smooth.failures:
        # A failure also stops what other workloads of its role no longer need elsewhere.
        event("a workload fails in every run")
        return
    assert rerun.failures == ()
    event("disturbed" if failed else "not disturbed")
    listed = {workload.role.name for workload in spec.workloads if workload.role is not None}
    assert _comparable(aws.state(), listed) == _comparable(twin.state(), listed)


def _comparable(state: Any, listed: Collection[str]) -> Any:
    """Return a state without the trust policies of unlisted roles.

    If a run ends after it moved an association, the next run does not know the former role. A purge takes the statement.
    """
    for name, role in state["roles"].items():
        if name not in listed:
            del role["trust"]
    return state


def _cause(failure: Failure) -> tuple[object, ...]:
    return failure.error_code, failure.workloads


@FEW
@given(aws=accounts(), initial=desired_states(adopt=False), spec=desired_states(adopt=False))
def test_purge_deletes_only_unlisted_managed_resources(aws: FakeAws, initial: Desired, spec: Desired) -> None:
    unmanaged = aws.state()
    run(aws, initial)
    scope = PurgeScope(limit=99)
    # A purge may need three runs: the first takes the last workload of a role, the second finds that no workload needs the role,
    # and the third finds that no role needs the policy that was its permissions boundary.
    for _ in range(3):
        predicted = run_with_purge(engine(aws, spec), spec, scope, check_mode=True)
        outcome = run_with_purge(engine(aws, spec), spec, scope, check_mode=False)
        assume(not outcome.failures)
        assert names(predicted.plan) == names(outcome.plan)
        assert [named(applied.change) for applied in outcome.done] == names(outcome.plan)
    again = run_with_purge(engine(aws, spec), spec, scope, check_mode=False)
    assert ([named(done.change) for done in again.done], again.failures) == ([], ())
    updated = aws.state()
    listed_places = {(workload.key.namespace, workload.key.service_account) for workload in spec.workloads}
    assert {
        _place(association) for association in updated["associations"] if is_marked(association["tags"])
    } <= listed_places
    assert {_place(association) for association in unmanaged["associations"]} <= {
        _place(association) for association in updated["associations"]
    }
    for kind in ("roles", "policies"):
        assert unmanaged[kind].keys() <= updated[kind].keys()


@FEW
@given(aws=accounts(), spec=desired_states(adopt=False, tagged=True), late=st.booleans())
def test_plays_of_two_clusters_converge_on_shared_roles(aws: FakeAws, spec: Desired, late: bool) -> None:
    twin = _moved(spec, OTHER_CLUSTER)
    run(aws, spec)
    run(aws, twin)
    assert names(plan(aws, spec)) == []
    removed, remaining = (twin, spec) if late else (spec, twin)
    run(aws, removed, "absent")
    assert names(plan(aws, remaining)) == []


@FEW
@given(
    aws=accounts(),
    spec=desired_states(adopt=False, tagged=True),
    cut=st.integers(0, 3),
    scopes=st.tuples(SCOPES, SCOPES),
)
def test_plays_of_one_cluster_converge_on_shared_roles(
    aws: FakeAws, spec: Desired, cut: int, scopes: tuple[TrustScope, TrustScope]
) -> None:
    options, other = (replace(spec.options, trust_scope=scope) for scope in scopes)
    first = replace(spec, workloads=spec.workloads[:cut], options=options)
    second = replace(spec, workloads=spec.workloads[cut:], options=other)
    # A permissions boundary that only the second list creates would make the first run fail.
    assume(not run(aws, first).failures)
    run(aws, second)
    assert names(plan(aws, first)) == []
    run(aws, first, "absent")
    # The second run may now detach resources that only the first list named.
    assert [
        change
        for change in names(plan(aws, second))
        if not change.startswith(("detach ", "update trust_policy "))
    ] == []


def _moved(spec: Desired, cluster_name: str) -> Desired:
    workloads = tuple(
        replace(workload, key=replace(workload.key, cluster=cluster_name)) for workload in spec.workloads
    )
    return replace(spec, workloads=workloads)


def _statements(role: dict[str, Any]) -> set[str]:
    return {json.dumps(statement, sort_keys=True) for statement in role["trust"]["Statement"]}


def _place(association: dict[str, Any]) -> tuple[str, str]:
    return association["namespace"], association["serviceAccount"]


def _without_references(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state without associations, because a run may assign its role to associations that existed before."""
    return {key: value for key, value in state.items() if key != "associations"}
