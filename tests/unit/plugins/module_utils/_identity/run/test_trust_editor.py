# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The AWS part of a migration from IRSA: edits of trust policies with their records, and the reads before them."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    ObservedAssociation,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    AUDIENCE_ANNOTATION,
    ROLE_ANNOTATION,
    Migrant,
    account_grant_tag,
    recorded_statements,
    trust_tags,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Target,
    trust_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.migration import (
    TrustEditor,
    TrustRun,
    read_associations,
    read_roles,
    record_annotations,
    workload_rows,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import to_json
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.federation import (
    Issuer,
    Removed,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    TrustGrant,
    trust_policy,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER_ARN,
    HERE,
    OTHER_CLUSTER_ARN,
    Clock,
    create_association,
    create_policy,
    create_role,
    document,
    key,
    policy_arn,
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
HOST = "oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE1"
API, WEB = ("shop", "api"), ("shop", "web")
READS = ["iam:GetRole", "iam:ListAttachedRolePolicies"]
DENIED = classify("iam:UpdateAssumeRolePolicy", "AccessDenied", "User is not authorized")
DENIED_REMEDY = (
    "Allow the caller this action on this resource. A service control policy or a permissions boundary can "
    "also deny it."
)
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


def change_trust(aws: FakeAws, *statements: Json) -> None:
    """Change the trust policy as another process does."""
    aws.iam.UpdateAssumeRolePolicy({"RoleName": "app", "PolicyDocument": to_json(trust(*statements))})


def migrant(service_account: str = "api", role: str = "app", **more: Any) -> Migrant:
    return Migrant(key(service_account, "shop"), role_arn(role), "restarted", **more)


def editor(aws: FakeAws, check_mode: bool = False, clock: Clock | None = None) -> TrustEditor:
    return TrustEditor(aws, HERE, ISSUER, 1, wait_policy(clock), check_mode)


def finish(aws: FakeAws, *accounts: tuple[str, str], **more: Any) -> TrustRun:
    return editor(aws, **more).finish([migrant()], accounts or (API,))


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


def test_finish_removes_the_statement_and_records_it() -> None:
    aws = account(FOREIGN, irsa(API), POD_IDENTITY, tags={"team": "pay"})
    run = finish(aws)
    assert stored(aws) == [FOREIGN, POD_IDENTITY]
    assert tags(aws) == {"team": "pay", **trust_tags(CLUSTER_ARN, [Removed(1, irsa(API))], {})}
    assert rows(run) == []
    [change] = run.changes
    assert change.role_name == "app"
    assert (change.before, change.after) == (
        trust(FOREIGN, irsa(API), POD_IDENTITY),
        trust(FOREIGN, POD_IDENTITY),
    )
    # The record is complete before the statement is removed.
    assert aws.writes == ["iam:TagRole", "iam:UpdateAssumeRolePolicy"]


def test_finish_is_done_once() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    finish(aws)
    initial, count = aws.state(), len(aws.requests)
    assert finish(aws) == TrustRun([], [])
    assert aws.state() == initial
    assert sorted(requests(aws)[count:]) == READS


def test_restore_returns_the_trust_policy_and_the_tags() -> None:
    aws = account(FOREIGN, irsa(API), POD_IDENTITY, irsa(WEB), tags={"team": "pay"})
    initial = copy.deepcopy(aws.iam.roles)
    finish(aws, API, WEB)
    assert stored(aws) == [FOREIGN, POD_IDENTITY]
    run = editor(aws).restore([migrant()])
    assert rows(run) == []
    [change] = run.changes
    assert change.before == trust(FOREIGN, POD_IDENTITY)
    assert aws.iam.roles == initial
    # The record is removed after the statements are back.
    assert aws.writes[2:] == ["iam:UpdateAssumeRolePolicy", "iam:UntagRole"]
    assert editor(aws).restore([migrant()]) == TrustRun([], [])
    assert len(aws.writes) == 4


def test_finish_of_a_second_service_account_extends_the_record() -> None:
    aws = account(irsa(API), FOREIGN, irsa(WEB), POD_IDENTITY)
    initial = copy.deepcopy(aws.iam.roles)
    finish(aws, API)
    finish(aws, API, WEB)
    assert stored(aws) == [FOREIGN, POD_IDENTITY]
    assert recorded_statements(CLUSTER_ARN, tags(aws)) == [Removed(0, irsa(API)), Removed(1, irsa(WEB))]
    editor(aws).restore([migrant()])
    assert aws.iam.roles == initial


def test_statement_with_a_further_service_account_is_kept() -> None:
    aws = account(irsa(API, WEB), POD_IDENTITY)
    assert finish(aws, API) == TrustRun([], [])
    assert aws.writes == []
    finish(aws, API, WEB)
    assert stored(aws) == [POD_IDENTITY]


def test_trust_policy_never_becomes_empty() -> None:
    aws = account(irsa(API))
    assert finish(aws) == TrustRun([], [])
    assert aws.writes == []


def test_no_write_in_check_mode() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    initial = aws.state()
    run = finish(aws, check_mode=True)
    [change] = run.changes
    assert change.row == {
        "action": "update",
        "resource": "trust_policy",
        "name": "app",
        "after": {"trust_policy": trust(POD_IDENTITY)},
    }
    assert change.diff == {
        "before_header": "trust policy of role app",
        "after_header": "trust policy of role app",
        "before": json.dumps(trust(irsa(API), POD_IDENTITY), indent=4) + "\n",
        "after": json.dumps(trust(POD_IDENTITY), indent=4) + "\n",
    }
    finish(aws)
    count = len(aws.writes)
    assert [change.after for change in editor(aws, True).restore([migrant()]).changes] == [
        trust(irsa(API), POD_IDENTITY)
    ]
    assert len(aws.writes) == count == 2
    assert (aws.state() == initial) is False


def test_restore_without_a_record() -> None:
    aws = account(POD_IDENTITY, tags={"team": "pay"})
    assert editor(aws).restore([migrant()]) == TrustRun([], [])
    assert sorted(requests(aws)) == READS


def test_restore_keeps_later_statements_and_does_not_duplicate() -> None:
    aws = account(irsa(API), POD_IDENTITY, irsa(WEB))
    finish(aws, API, WEB)
    change_trust(aws, POD_IDENTITY, FOREIGN, irsa(WEB))
    editor(aws).restore([migrant()])
    assert stored(aws) == [irsa(API), POD_IDENTITY, FOREIGN, irsa(WEB)]
    assert tags(aws) == {}


def test_record_without_missing_statements_is_only_removed() -> None:
    record = trust_tags(CLUSTER_ARN, [Removed(0, irsa(API))], {})
    aws = account(irsa(API), POD_IDENTITY, tags=record)
    editor(aws).restore([migrant()])
    assert aws.writes == ["iam:UntagRole"]
    assert (stored(aws), tags(aws)) == ([irsa(API), POD_IDENTITY], {})


def test_records_of_another_cluster_stay() -> None:
    other = trust_tags(OTHER_CLUSTER_ARN, [Removed(0, irsa(WEB))], {})
    aws = account(irsa(API), POD_IDENTITY, tags=other)
    finish(aws)
    assert other.items() <= tags(aws).items()
    editor(aws).restore([migrant()])
    assert (stored(aws), tags(aws)) == ([irsa(API), POD_IDENTITY], other)


def test_run_after_an_interruption_between_the_two_requests() -> None:
    record = trust_tags(CLUSTER_ARN, [Removed(0, irsa(API))], {})
    aws = account(irsa(API), POD_IDENTITY, tags=record)
    finish(aws)
    assert (stored(aws), tags(aws)) == ([POD_IDENTITY], record)


def test_shorter_record_leaves_no_tag_of_the_longer_one() -> None:
    chance = random.Random(1)
    stale = [Removed(0, irsa(*(("shop", f"{chance.getrandbits(120):x}") for _index in range(20))))]
    record = trust_tags(CLUSTER_ARN, stale, {})
    assert len(record) > 2
    # The statement of the longer record is present, because the run that recorded it ended early.
    aws = account(dict(stale[0].statement), irsa(API), POD_IDENTITY, tags=record)
    finish(aws)
    assert tags(aws) == trust_tags(CLUSTER_ARN, [Removed(1, irsa(API))], {})
    assert aws.writes == ["iam:TagRole", "iam:UpdateAssumeRolePolicy", "iam:UntagRole"]


def test_roles_are_edited_once_for_all_their_service_accounts() -> None:
    aws = account(irsa(API), irsa(WEB), POD_IDENTITY)
    add_role(aws, irsa(WEB), POD_IDENTITY, name="other")
    users = [migrant(), migrant("web"), migrant("web", "other"), migrant("job", "gone")]
    run = TrustEditor(aws, HERE, ISSUER, 4, wait_policy()).finish(users, (API, WEB))
    assert [change.role_name for change in run.changes] == ["app", "other"]
    assert rows(run) == []
    assert (stored(aws), stored(aws, "other")) == ([POD_IDENTITY], [POD_IDENTITY])
    assert aws.writes.count("iam:UpdateAssumeRolePolicy") == 2


def test_role_of_another_account_is_left_alone() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    foreign = Migrant(key("api", "shop"), "arn:aws:iam::444455556666:role/app", "restarted")
    assert editor(aws).finish([foreign], (API,)) == TrustRun([], [])
    assert aws.writes == []


# Failures

BOTH_KEYS = (key("api", "shop"), key("web", "shop"))


@pytest.mark.parametrize(
    ("request_name", "left"),
    [("iam:GetRole", False), ("iam:TagRole", False), ("iam:UpdateAssumeRolePolicy", True)],
)
def test_denied_request_is_a_failure_of_the_service_accounts(request_name: str, left: bool) -> None:
    aws = account(irsa(API), POD_IDENTITY)
    aws.fail_on(request_name, classify(request_name, "AccessDenied", "User is not authorized"))
    run = editor(aws).finish([migrant(), migrant("web")], (API,))
    assert rows(run) == [
        (
            BOTH_KEYS,
            trust_target("app"),
            "update",
            "AccessDenied",
            f"{request_name}: User is not authorized",
            DENIED_REMEDY,
        )
    ]
    assert run.changes == []
    assert stored(aws) == [irsa(API), POD_IDENTITY]
    assert bool(tags(aws)) is left
    # The next run continues.
    assert rows(finish(aws)) == []
    assert stored(aws) == [POD_IDENTITY]


@pytest.mark.parametrize(
    ("request_name", "is_back"), [("iam:UpdateAssumeRolePolicy", False), ("iam:UntagRole", True)]
)
def test_failed_restore_keeps_the_record(request_name: str, is_back: bool) -> None:
    aws = account(irsa(API), POD_IDENTITY)
    initial = copy.deepcopy(aws.iam.roles)
    finish(aws)
    record = tags(aws)
    aws.fail_on(request_name, classify(request_name, "AccessDenied", "User is not authorized"))
    run = editor(aws).restore([migrant()])
    assert [failure.error_code for failure in run.failures] == ["AccessDenied"]
    assert tags(aws) == record
    assert (stored(aws) == [irsa(API), POD_IDENTITY]) is is_back
    editor(aws).restore([migrant()])
    assert aws.iam.roles == initial


def test_failure_of_one_role_does_not_stop_the_next_one() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    add_role(aws, irsa(API), POD_IDENTITY, name="other")
    aws.fail_on("iam:UpdateAssumeRolePolicy", DENIED)
    run = editor(aws).finish([migrant(), migrant("web", "other")], (API,))
    assert [failure.workloads for failure in run.failures] == [(key("api", "shop"),)]
    assert (len(stored(aws)), stored(aws, "other")) == (2, [POD_IDENTITY])


def test_busy_role_is_tried_again() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    clock = Clock()
    busy = classify("iam:UpdateAssumeRolePolicy", "ConcurrentModification", "The request was rejected")
    aws.fail_on("iam:UpdateAssumeRolePolicy", busy, busy)
    assert rows(finish(aws, clock=clock)) == []
    assert stored(aws) == [POD_IDENTITY]
    assert clock.pauses == [0.5, 1.0]


@pytest.mark.parametrize("check_mode", [False, True])
def test_record_too_large_for_the_tags_prevents_the_edit(check_mode: bool) -> None:
    aws = account(irsa(API), POD_IDENTITY, tags={f"tag-{number}": "x" for number in range(50)})
    initial = aws.state()
    run = finish(aws, check_mode=check_mode)
    assert run.changes == []
    assert rows(run) == [
        (
            (key("api", "shop"),),
            trust_target("app"),
            "update",
            "MIGRATION_NO_RECORD",
            "the statements for IRSA of role app cannot be recorded for a rollback: the role would have 52 tags, and IAM allows "
            "50.",
            "Remove unused tags of the role, or edit its trust policy yourself.",
        )
    ]
    assert aws.state() == initial
    assert aws.writes == []


@pytest.mark.parametrize("edit", ["finish", "restore"])
def test_damaged_record_prevents_the_edit(edit: str) -> None:
    name = next(iter(trust_tags(CLUSTER_ARN, [Removed(0, irsa(API))], {})))
    aws = account(irsa(API), POD_IDENTITY, tags={name: "damaged"})
    run = finish(aws) if edit == "finish" else editor(aws).restore([migrant()])
    [failure] = run.failures
    assert (failure.error_code, failure.workloads) == ("MIGRATION_NO_RECORD", (key("api", "shop"),))
    assert failure.message.startswith(
        "the statements for IRSA that a migration removed from role app cannot be read: "
        f"the tags {name} are damaged: "
    )
    assert failure.remedy == (
        "Restore the trust policy yourself: the event UpdateAssumeRolePolicy in CloudTrail has its earlier versions. "
        "Then delete these tags."
    )
    assert aws.writes == []


# Other processes


def test_change_of_the_trust_policy_after_the_record_is_kept() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    aws.before_request("iam:TagRole", lambda: change_trust(aws, FOREIGN, irsa(API), POD_IDENTITY))
    run = finish(aws)
    assert rows(run) == []
    [change] = run.changes
    assert (change.before, change.after) == (
        trust(FOREIGN, irsa(API), POD_IDENTITY),
        trust(FOREIGN, POD_IDENTITY),
    )
    assert stored(aws) == [FOREIGN, POD_IDENTITY]
    assert recorded_statements(CLUSTER_ARN, tags(aws)) == [Removed(1, irsa(API))]
    assert aws.writes == ["iam:TagRole", "iam:TagRole", "iam:UpdateAssumeRolePolicy"]


def test_late_visibility_of_the_record_is_awaited() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    clock = Clock()
    initial = aws.iam.GetRole({"RoleName": "app"})
    late = [2]

    def answer(parameters: Mapping[str, Any]) -> dict[str, Any]:
        if "iam:TagRole" in requests(aws) and late[0]:
            late[0] -= 1
            return initial
        return aws.iam.GetRole(parameters)

    aws.replace("iam:GetRole", answer)
    assert rows(finish(aws, clock=clock)) == []
    assert clock.pauses == [0.5, 1.0]
    assert aws.writes == ["iam:TagRole", "iam:UpdateAssumeRolePolicy"]


def test_trust_policy_is_not_edited_without_its_record() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    aws.replace("iam:TagRole", lambda _parameters: {})
    run = finish(aws)
    assert run.changes == []
    [failure] = run.failures
    assert (failure.error_code, failure.workloads) == ("MIGRATION_NO_RECORD", (key("api", "shop"),))
    assert stored(aws) == [irsa(API), POD_IDENTITY]
    assert set(aws.writes) == {"iam:TagRole"}


def test_reverted_change_is_made_again() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    clock = Clock()

    def revert() -> None:
        change_trust(aws, FOREIGN, irsa(API), POD_IDENTITY)

    aws.before_request("iam:UpdateAssumeRolePolicy", lambda: aws.before_request("iam:GetRole", revert))
    run = finish(aws, clock=clock)
    assert rows(run) == []
    [change] = run.changes
    # The change begins with the first state and ends with the last one.
    assert (change.before, change.after) == (trust(irsa(API), POD_IDENTITY), trust(FOREIGN, POD_IDENTITY))
    assert stored(aws) == [FOREIGN, POD_IDENTITY]
    assert recorded_statements(CLUSTER_ARN, tags(aws)) == [Removed(1, irsa(API))]
    assert aws.writes.count("iam:UpdateAssumeRolePolicy") == 2


def test_ineffective_change_is_reported() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    aws.replace("iam:UpdateAssumeRolePolicy", lambda _parameters: {})
    run = finish(aws)
    assert rows(run) == [
        (
            (key("api", "shop"),),
            trust_target("app"),
            "update",
            "NOT_YET_VISIBLE",
            "another process changed the trust policy of role app at the same time, or IAM does not show the change yet.",
            "Run again.",
        )
    ]
    assert aws.writes.count("iam:UpdateAssumeRolePolicy") == 3
    assert recorded_statements(CLUSTER_ARN, tags(aws)) == [Removed(0, irsa(API))]


def test_late_visibility_is_awaited() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    clock = Clock()
    initial = aws.iam.GetRole({"RoleName": "app"})
    late = [2]

    def answer(parameters: Mapping[str, Any]) -> dict[str, Any]:
        if "iam:UpdateAssumeRolePolicy" in requests(aws) and late[0]:
            late[0] -= 1
            return initial
        return aws.iam.GetRole(parameters)

    aws.replace("iam:GetRole", answer)
    assert rows(finish(aws, clock=clock)) == []
    assert clock.pauses == [0.5, 1.0]
    assert aws.writes.count("iam:UpdateAssumeRolePolicy") == 1


def test_deleted_role_is_no_failure() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    del aws.iam.roles["app"]
    assert finish(aws) == TrustRun([], [])


# The statement for all clusters of the account

ACCOUNT_STATEMENT: Json = json.loads(to_json(trust_policy([TrustGrant(ACCOUNT)])))["Statement"][0]
RECORD = {account_grant_tag(CLUSTER_ARN): "migration"}
OTHER_RECORD = {account_grant_tag(OTHER_CLUSTER_ARN): "migration"}


def test_each_cluster_has_a_record_of_the_statement_for_the_account() -> None:
    # The first 12 digits of the SHA-256 digest of CLUSTER_ARN.
    assert RECORD == {"workload-identity/irsa-account-grant.d89abb76c66f": "migration"}
    assert RECORD.keys().isdisjoint(OTHER_RECORD)


@pytest.mark.parametrize(
    ("statements", "present", "recorded"),
    [
        pytest.param([irsa(API)], {}, True, id="not yet"),
        pytest.param([irsa(API), ACCOUNT_STATEMENT], {}, False, id="the user wrote the statement"),
        pytest.param([irsa(API)], RECORD, False, id="recorded already"),
        pytest.param([irsa(API), ACCOUNT_STATEMENT], RECORD, False, id="added and recorded"),
        pytest.param(
            [irsa(API), ACCOUNT_STATEMENT], OTHER_RECORD, True, id="added by the migration of another cluster"
        ),
    ],
)
def test_record_of_the_statement_for_the_account(
    statements: list[Json], present: dict[str, str], recorded: bool
) -> None:
    aws = account(*statements, tags=present)
    run = editor(aws).record_account([migrant()])
    assert rows(run) == []
    assert aws.writes == (["iam:TagRole"] if recorded else [])
    assert tags(aws) == {**present, **(RECORD if recorded else {})}
    assert stored(aws) == statements
    assert editor(aws).record_account([migrant()]) == TrustRun([], [])


@pytest.mark.parametrize(
    ("statements", "present", "left", "writes"),
    [
        pytest.param(
            [irsa(API), ACCOUNT_STATEMENT],
            RECORD,
            [irsa(API)],
            ["iam:UpdateAssumeRolePolicy", "iam:UntagRole"],
            id="recorded",
        ),
        pytest.param(
            [irsa(API), ACCOUNT_STATEMENT],
            {},
            [irsa(API), ACCOUNT_STATEMENT],
            [],
            id="the user wrote the statement",
        ),
        pytest.param([irsa(API)], RECORD, [irsa(API)], ["iam:UntagRole"], id="the statement is gone"),
        pytest.param(
            [irsa(API), ACCOUNT_STATEMENT],
            {**RECORD, **OTHER_RECORD},
            [irsa(API), ACCOUNT_STATEMENT],
            ["iam:UntagRole"],
            id="another cluster needs the statement",
        ),
        pytest.param(
            [irsa(API), ACCOUNT_STATEMENT],
            OTHER_RECORD,
            [irsa(API), ACCOUNT_STATEMENT],
            [],
            id="only another cluster needs the statement",
        ),
    ],
)
def test_removal_of_the_statement_for_the_account(
    statements: list[Json], present: dict[str, str], left: list[Json], writes: list[str]
) -> None:
    aws = account(*statements, tags={"team": "pay", **present})
    run = editor(aws).revoke_account([migrant()])
    assert rows(run) == []
    other_tags = {name: text for name, text in present.items() if name not in RECORD}
    assert (stored(aws), tags(aws), aws.writes) == (left, {"team": "pay", **other_tags}, writes)
    assert editor(aws).revoke_account([migrant()]) == TrustRun([], [])


# Every mix of statements

STATEMENTS = [
    irsa(API),
    irsa(WEB),
    irsa(API, WEB),
    FOREIGN,
    POD_IDENTITY,
    {**irsa(API), "Effect": "Deny"},
    {**irsa(WEB), "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions"}},
]


@given(
    st.lists(st.sampled_from(STATEMENTS), min_size=1, unique_by=json.dumps),
    st.lists(st.sampled_from([(API,), (WEB,), (API, WEB)]), min_size=1, max_size=3),
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_restore_after_any_steps(statements: list[Json], steps: list[tuple[tuple[str, str], ...]]) -> None:
    aws = account(*statements, tags={"team": "pay"})
    initial = copy.deepcopy(aws.iam.roles)
    for accounts in steps:
        assert rows(finish(aws, *accounts)) == []
        foreign = [
            entry for entry in statements if entry in (FOREIGN, POD_IDENTITY) or entry["Effect"] == "Deny"
        ]
        assert [entry for entry in stored(aws) if entry in foreign] == foreign
    assert rows(editor(aws).restore([migrant()])) == []
    assert aws.iam.roles == initial


# Reads, records and workloads


def test_associations_of_the_cluster() -> None:
    aws = account(POD_IDENTITY)
    create_association(aws, "api", "app", "shop", tags={"a": "b"})
    create_association(aws, "web", "app", "shop", clusterName="other-cluster")
    found = read_associations(aws, HERE, 1)
    assert {str(name): (item.role_arn, item.tags) for name, item in found.items()} == {
        "shop/api": (role_arn("app"), {"a": "b"})
    }


def test_all_roles_of_the_account_are_read() -> None:
    aws = account(irsa(API), POD_IDENTITY, name="app")
    add_role(aws, FOREIGN, name="other")
    create_policy(aws, "reads", "s3:GetObject")
    reads = read_roles(aws, HERE, {}, [role_arn("app")], 1)
    assert reads.complete
    assert {name: role.trust for name, role in reads.roles.items()} == {
        "app": trust(irsa(API), POD_IDENTITY),
        "other": trust(FOREIGN),
    }
    assert reads.documents == {policy_arn("reads"): document("s3:GetObject")}
    assert requests(aws) == ["iam:GetAccountAuthorizationDetails"]


def test_only_the_roles_of_the_service_accounts_are_read_without_permission_for_all() -> None:
    aws = account(irsa(API), POD_IDENTITY, name="App")
    add_role(aws, FOREIGN, name="other")
    aws.fail_on(
        "iam:GetAccountAuthorizationDetails",
        classify("iam:GetAccountAuthorizationDetails", "AccessDenied", "no"),
    )
    arns = [
        role_arn("App"),
        role_arn("gone"),
        "arn:aws:iam::444455556666:role/foreign",
        "no-arn",
        role_arn("App"),
    ]
    reads = read_roles(aws, HERE, {}, arns, 1)
    assert not reads.complete
    assert {name: role.trust for name, role in reads.roles.items()} == {"app": trust(irsa(API), POD_IDENTITY)}
    assert requests(aws).count("iam:GetRole") == 2


def associations(aws: FakeAws, *names: str) -> dict[WorkloadKey, ObservedAssociation]:
    for name in names:
        create_association(aws, name, "app", "shop", tags={"team": "pay"})
    return read_associations(aws, HERE, 1)


ANNOTATIONS = {ROLE_ANNOTATION: role_arn("app"), AUDIENCE_ANNOTATION: "vault"}
TAGS = {"workload-identity/irsa-role-arn": role_arn("app"), "workload-identity/irsa-audience": "vault"}


def association_tags(aws: FakeAws) -> dict[str, dict[str, str]]:
    return {item["serviceAccount"]: item["tags"] for item in aws.eks.associations.values()}


def test_annotations_are_recorded_at_their_association() -> None:
    aws = account(POD_IDENTITY)
    found = associations(aws, "api", "web")
    migrants = [migrant(annotations=ANNOTATIONS), migrant("web")]
    assert record_annotations(aws, HERE, migrants, found, 1) == []
    assert association_tags(aws) == {"api": {"team": "pay", **TAGS}, "web": {"team": "pay"}}
    assert aws.writes == ["eks:TagResource"]
    assert record_annotations(aws, HERE, migrants, read_associations(aws, HERE, 1), 1) == []
    assert aws.writes == ["eks:TagResource"]


def test_missing_part_of_a_record_is_added() -> None:
    aws = account(POD_IDENTITY)
    create_association(aws, "api", "app", "shop", tags={**TAGS, "workload-identity/irsa-audience": "old"})
    record_annotations(aws, HERE, [migrant(annotations=ANNOTATIONS)], read_associations(aws, HERE, 1), 1)
    assert aws.parameters("eks:TagResource")[0]["tags"] == {"workload-identity/irsa-audience": "vault"}
    assert association_tags(aws) == {"api": TAGS}


def test_denied_record_of_annotations() -> None:
    aws = account(POD_IDENTITY)
    found = associations(aws, "api", "web")
    denied: AwsError = classify("eks:TagResource", "AccessDeniedException", "no")
    aws.fail_on("eks:TagResource", denied)
    migrants = [migrant(annotations=ANNOTATIONS), migrant("web", annotations=ANNOTATIONS)]
    [failure] = record_annotations(aws, HERE, migrants, found, 1)
    assert (failure.workloads, failure.action, failure.error_code) == (
        (key("api", "shop"),),
        "update",
        "AccessDeniedException",
    )
    assert failure.target == Target("association", "shop/api", cluster="my-cluster")
    assert (failure.message, failure.remedy) == ("eks:TagResource: no", DENIED_REMEDY)
    assert association_tags(aws) == {"api": {"team": "pay"}, "web": {"team": "pay", **TAGS}}


def test_workloads_of_a_migration() -> None:
    row = {
        "namespace": "shop",
        "service_account": "api",
        "role": {"arn": role_arn("app"), "extend_trust": True},
        "create_service_account": False,
    }
    migrants = [migrant(), migrant("web", disable_session_tags=True)]
    assert workload_rows(migrants) == [row, {**row, "service_account": "web", "disable_session_tags": True}]
