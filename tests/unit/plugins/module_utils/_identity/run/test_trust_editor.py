# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the changes of trust policies in a migration from IRSA, and the records of these changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Change
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import Cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    Migrant,
    Record,
    read_record,
    record_tags,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    trust_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.migration import (
    TrustEditor,
    TrustRun,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import to_json
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.federation import (
    Issuer,
    Removed,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    TrustGrant,
    covered,
    read_grants,
    trust_policy,
    with_grants,
    writer_of,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER_ARN,
    HERE,
    OTHER_CLUSTER_ARN,
    Clock,
    create_role,
    key,
    role_arn,
    wait_policy,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    FakeAws,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Json = dict[str, Any]

ISSUER = Issuer("us-west-2", "EXAMPLE1")
OWNER = "my-owner"
HOST = "oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE1"
API, WEB = ("shop", "api"), ("shop", "web")
DENIED = classify("iam:UpdateAssumeRolePolicy", "AccessDenied", "User is not authorized")
POD_IDENTITY: Json = {
    "Sid": "PodIdentity",
    "Effect": "Allow",
    "Principal": {"Service": "pods.eks.amazonaws.com"},
    "Action": ["sts:AssumeRole", "sts:TagSession"],
}
FOREIGN: Json = {
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/deployer"},
    "Action": "sts:AssumeRole",
}


def irsa(*accounts: tuple[str, str]) -> Json:
    subjects = ["system:serviceaccount:{}:{}".format(*account) for account in accounts]
    return {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{HOST}:sub": subjects[0] if len(subjects) == 1 else subjects,
                f"{HOST}:aud": "sts",
            }
        },
    }


def trust(*statements: Json) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def account(*statements: Json, tags: Mapping[str, str] | None = None, name: str = "app") -> FakeAws:
    aws = FakeAws()
    add_role(aws, *statements, tags=tags, name=name)
    return aws


def add_role(
    aws: FakeAws, *statements: Json, tags: Mapping[str, str] | None = None, name: str = "app"
) -> None:
    create_role(aws, name, tags=tags)
    aws.iam.roles[name.lower()]["trust"] = to_json(trust(*statements))


def stored(aws: FakeAws, name: str = "app") -> list[Json]:
    statements: list[Json] = json.loads(aws.iam.roles[name]["trust"])["Statement"]
    return statements


def tags(aws: FakeAws, name: str = "app") -> dict[str, str]:
    found: dict[str, str] = aws.iam.roles[name]["tags"]
    return found


def migrant(service_account: str = "api", role: str = "app", **more: Any) -> Migrant:
    return Migrant(key(service_account, "shop"), role_arn(role), "restarted", **more)


def editor(aws: FakeAws, check_mode: bool = False, clock: Clock | None = None) -> TrustEditor:
    return TrustEditor(aws, HERE, ISSUER, OWNER, 1, wait_policy(clock), check_mode)


def record(
    *removed: Removed,
    cluster: str = CLUSTER_ARN,
    accounts: tuple[tuple[str, str], ...] = (),
    wide: bool = False,
) -> dict[str, str]:
    """Return the tags of a record."""
    return record_tags(cluster, Record(frozenset(accounts), removed, wide), {})


def finish(aws: FakeAws, *accounts: tuple[str, str], **more: Any) -> TrustRun:
    return editor(aws, **more).finish([migrant()], accounts or (API,))


def documents(change: Change) -> tuple[object, object]:
    """Return the trust policies before and after a change."""
    return (change.before or {})["trust_policy"], (change.after or {})["trust_policy"]


def rows(run: TrustRun) -> list[tuple[Any, ...]]:
    return [
        (
            failure.workloads,
            failure.target,
            failure.action,
            failure.error_code,
            failure.message,
            failure.remedy,
        )
        for failure in run.failures
    ]


def requests(aws: FakeAws) -> list[str]:
    return [name for name, _parameters in aws.requests]


# Tests of failed requests


@pytest.mark.parametrize("edit", ["finish", "restore"])
def test_damaged_record_prevents_the_edit(edit: str) -> None:
    name = next(iter(record(Removed(0, irsa(API)))))
    aws = account(irsa(API), POD_IDENTITY, tags={name: "damaged"})
    run = finish(aws) if edit == "finish" else editor(aws).restore([migrant()])
    [failure] = run.failures
    assert (failure.error_code, failure.workloads) == ("MIGRATION_NO_RECORD", (key("api", "shop"),))
    assert failure.message == (
        "role app is not changed, because the migration cannot be recorded in its tags: its record of the migration is damaged "
        f"or incomplete (tags: {name})."
    )
    assert failure.remedy == (
        "Remove unused tags of the role, or repair the record: the events TagRole in CloudTrail have its values."
    )
    assert aws.writes == []


# Tests of concurrent changes by other processes

NOT_VISIBLE = (
    (key("api", "shop"),),
    trust_target("app"),
    "update",
    "NOT_YET_VISIBLE",
    "another process changed role app at the same time, or IAM does not show the change of this run yet.",
    "Run again.",
)


def test_ineffective_change_is_reported() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    aws.replace("iam:UpdateAssumeRolePolicy", lambda _parameters: {})
    run = finish(aws)
    assert rows(run) == [NOT_VISIBLE]
    assert aws.writes.count("iam:UpdateAssumeRolePolicy") == 3
    assert read_record(CLUSTER_ARN, tags(aws)).removed == (Removed(0, irsa(API)),)


# Tests of the record of service accounts

WIDE_GRANT = TrustGrant(ACCOUNT, writer=writer_of(OWNER))
ACCOUNT_STATEMENT: Json = json.loads(to_json(trust_policy([WIDE_GRANT])))["Statement"][0]
# The statement of another owner for all associations of the account.
THEIR_STATEMENT: Json = json.loads(to_json(trust_policy([TrustGrant(ACCOUNT, writer=writer_of("x"))])))[
    "Statement"
][0]
OTHER = replace(HERE, name="other-cluster", arn=OTHER_CLUSTER_ARN)
WIDE = migrant(disable_session_tags=True)
NARROW_ELSEWHERE = record(cluster=OTHER_CLUSTER_ARN, accounts=(API,))
WIDE_ELSEWHERE = record(cluster=OTHER_CLUSTER_ARN, accounts=(API,), wide=True)
NARROW_HERE, WIDE_HERE = record(accounts=(API,)), record(accounts=(API,), wide=True)


def other_editor(aws: FakeAws, check_mode: bool = False) -> TrustEditor:
    """Return the trust policy editor for the other cluster of the account."""
    return TrustEditor(aws, OTHER, Issuer("us-west-2", "EXAMPLE2"), OWNER, 1, wait_policy(), check_mode)


@pytest.mark.parametrize(
    ("statements", "present", "wide", "written"),
    [
        pytest.param([irsa(API)], {}, False, NARROW_HERE, id="session tags"),
        pytest.param([irsa(API)], {}, True, WIDE_HERE, id="no session tags"),
        pytest.param([irsa(API), ACCOUNT_STATEMENT], {}, True, NARROW_HERE, id="the owner has the statement"),
        pytest.param([irsa(API), THEIR_STATEMENT], {}, True, WIDE_HERE, id="another owner has a statement"),
        pytest.param(
            [irsa(API), ACCOUNT_STATEMENT],
            NARROW_ELSEWHERE,
            True,
            NARROW_HERE,
            id="the owner has the statement, migration of another cluster",
        ),
        pytest.param(
            [irsa(API), ACCOUNT_STATEMENT],
            WIDE_ELSEWHERE,
            True,
            WIDE_HERE,
            id="the migration of another cluster added the statement",
        ),
        pytest.param([irsa(API)], NARROW_HERE, False, {}, id="already recorded"),
        pytest.param([irsa(API)], NARROW_HERE, True, WIDE_HERE, id="wider than before"),
        pytest.param([irsa(API), ACCOUNT_STATEMENT], WIDE_HERE, True, {}, id="added and recorded"),
        pytest.param([irsa(API), ACCOUNT_STATEMENT], WIDE_HERE, False, {}, id="never narrower"),
        pytest.param(
            [irsa(API)],
            record(accounts=(WEB,)),
            False,
            record(accounts=(API, WEB)),
            id="second service account",
        ),
    ],
)
def test_record_of_service_accounts(
    statements: list[Json], present: dict[str, str], wide: bool, written: dict[str, str]
) -> None:
    aws = account(*statements, tags={"team": "pay", **present})
    migrants = [WIDE if wide else migrant()]
    # The change of the tags is in ``made``, because the trust policy does not change.
    planned = editor(aws, check_mode=True)
    assert planned.record(migrants) == TrustRun([], [])
    assert [change.target.name for change in planned.made] == ["app"] * bool(written)
    assert aws.writes == []
    assert editor(aws).record(migrants) == TrustRun([], [])
    assert aws.writes == (["iam:TagRole"] if written else [])
    assert tags(aws) == {"team": "pay", **present, **written}
    assert stored(aws) == statements
    assert editor(aws).record(migrants) == TrustRun([], [])
    assert len(aws.writes) == bool(written)


def test_invisible_record() -> None:
    aws = account(irsa(API))
    aws.replace("iam:TagRole", lambda _parameters: {})
    run = editor(aws).record([migrant()])
    assert (rows(run), run.changes) == ([NOT_VISIBLE], [])
    assert aws.writes == ["iam:TagRole"]


UPDATE, TAG, UNTAG = "iam:UpdateAssumeRolePolicy", "iam:TagRole", "iam:UntagRole"


@pytest.mark.parametrize(
    ("statements", "present", "used", "left", "writes"),
    [
        pytest.param(
            [irsa(API), ACCOUNT_STATEMENT], WIDE_HERE, (), [irsa(API)], [UPDATE, UNTAG], id="recorded"
        ),
        pytest.param(
            [irsa(API), ACCOUNT_STATEMENT],
            WIDE_HERE,
            (role_arn("app"),),
            [irsa(API), ACCOUNT_STATEMENT],
            [UNTAG],
            id="an association needs the statement",
        ),
        pytest.param(
            [irsa(API), ACCOUNT_STATEMENT],
            {**WIDE_HERE, **NARROW_ELSEWHERE},
            (),
            [irsa(API)],
            [UPDATE, UNTAG],
            id="another cluster needs only its own statement",
        ),
        pytest.param(
            [irsa(API), ACCOUNT_STATEMENT, THEIR_STATEMENT],
            WIDE_HERE,
            (),
            [irsa(API), THEIR_STATEMENT],
            [UPDATE, UNTAG],
            id="statement of another owner",
        ),
        pytest.param(
            [irsa(API), ACCOUNT_STATEMENT],
            NARROW_HERE,
            (),
            [irsa(API), ACCOUNT_STATEMENT],
            [UNTAG],
            id="the owner had the statement before",
        ),
        pytest.param(
            [irsa(API), ACCOUNT_STATEMENT], {}, (), [irsa(API), ACCOUNT_STATEMENT], [], id="no migration"
        ),
        pytest.param([irsa(API)], WIDE_HERE, (), [irsa(API)], [UNTAG], id="the statement is already deleted"),
        pytest.param(
            [irsa(API), ACCOUNT_STATEMENT],
            {**WIDE_HERE, **WIDE_ELSEWHERE},
            (),
            [irsa(API), ACCOUNT_STATEMENT],
            [UNTAG],
            id="another cluster needs the statement",
        ),
        pytest.param(
            [irsa(API), ACCOUNT_STATEMENT],
            WIDE_ELSEWHERE,
            (),
            [irsa(API), ACCOUNT_STATEMENT],
            [],
            id="only another cluster needs the statement",
        ),
        pytest.param(
            [irsa(API), ACCOUNT_STATEMENT],
            record(accounts=(API, WEB), wide=True),
            (),
            [irsa(API), ACCOUNT_STATEMENT],
            [TAG],
            id="another service account is still recorded",
        ),
    ],
)
def test_release_of_a_service_account(
    statements: list[Json],
    present: dict[str, str],
    used: tuple[str, ...],
    left: list[Json],
    writes: list[str],
) -> None:
    aws = account(*statements, tags={"team": "pay", **present})
    expected = [(trust(*statements), trust(*left))] if left != statements else []
    plan = editor(aws, check_mode=True).release([migrant()], used)
    assert aws.writes == []
    run = editor(aws).release([migrant()], used)
    for made in (plan, run):
        assert rows(made) == []
        assert [documents(change) for change in made.changes] == expected
    assert API not in read_record(CLUSTER_ARN, tags(aws)).accounts
    assert tags(aws)["team"] == "pay"
    assert (stored(aws), aws.writes) == (left, writes)
    assert editor(aws).release([migrant()], used) == TrustRun([], [])
    assert aws.writes == writes


# Tests of two clusters that share a role


def extend(aws: FakeAws, cluster: Cluster, wide: bool) -> None:
    """Add the statement that the engine adds for an association, unless another statement already allows the workload."""
    document = json.loads(aws.iam.roles["app"]["trust"])
    grants, rest = read_grants(document)
    grant = WIDE_GRANT if wide else TrustGrant(ACCOUNT, cluster.arn, "shop", "api")
    if not covered(grant, grants):
        aws.iam.roles["app"]["trust"] = to_json(with_grants(document, rest, grants | {grant}))


def withdraw(aws: FakeAws, cluster: Cluster) -> None:
    """Remove the statement for the workload, as the engine does after it has deleted the association."""
    document = json.loads(aws.iam.roles["app"]["trust"])
    grants, rest = read_grants(document)
    remaining = grants - {TrustGrant(ACCOUNT, cluster.arn, "shop", "api")}
    aws.iam.roles["app"]["trust"] = to_json(with_grants(document, rest, remaining))


def irsa_elsewhere(*accounts: tuple[str, str]) -> Json:
    """Return a statement for the OIDC provider of the other cluster."""
    moved: Json = json.loads(json.dumps(irsa(*accounts)).replace("EXAMPLE1", "EXAMPLE2"))
    return moved


OPERATIONS = ("record", "record wide", "finish", "restore", "revoke")
drawn_operations = st.lists(
    st.tuples(st.booleans(), st.sampled_from(OPERATIONS), st.integers(0, 6)), max_size=12
)


def operate(aws: FakeAws, is_here: bool, operation: str, fails_at: int = 0) -> None:
    """Run an operation of a migration for one of the clusters. Request number ``fails_at`` is denied; 0 means none."""
    cluster, made = (HERE, editor(aws)) if is_here else (OTHER, other_editor(aws))
    users = [migrant(disable_session_tags=operation == "record wide")]
    if operation == "revoke":
        # A rollback restores IRSA before it takes the service account out of the record.
        assert not made.restore(users).failures
        withdraw(aws, cluster)
    if fails_at:
        aws.fail_at(fails_at, DENIED)
    if operation == "finish":
        run = made.finish(users, (API,))
    elif operation == "restore":
        run = made.restore(users)
    elif operation == "revoke":
        run = made.release(users, ())
    else:
        run = made.record(users)
        # If the record cannot be written, the migration leaves the service account out, so the engine adds no statement.
        if not run.failures:
            extend(aws, cluster, operation == "record wide")
    aws.clear_faults()
    assert fails_at or not run.failures


def role_state(aws: FakeAws) -> tuple[list[str], dict[str, str]]:
    """Return the statements and the tags of the role. The statements are sorted, because their order has no meaning."""
    return sorted(json.dumps(entry, sort_keys=True) for entry in stored(aws)), dict(tags(aws))


# All of these statements together fit into the quota of IAM.
SHARED_STATEMENTS = [irsa(API), irsa_elsewhere(API), POD_IDENTITY, ACCOUNT_STATEMENT]


@given(
    st.lists(st.sampled_from(SHARED_STATEMENTS), unique_by=json.dumps),
    drawn_operations,
    st.permutations([(True, "restore"), (True, "revoke"), (False, "restore"), (False, "revoke")]),
)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_rollback_of_two_clusters_returns_the_role(
    statements: list[Json], operations: list[tuple[bool, str, int]], end: list[tuple[bool, str]]
) -> None:
    # The statement FOREIGN is never removed: without any statement, the trust policy would be invalid.
    aws = account(FOREIGN, *statements, tags={"team": "pay"})
    initial = role_state(aws)
    for is_here, operation, fails_at in operations:
        operate(aws, is_here, operation, fails_at)
    for is_here, operation in end:
        operate(aws, is_here, operation)
    assert role_state(aws) == initial
