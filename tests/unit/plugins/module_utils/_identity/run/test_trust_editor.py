# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the changes of trust policies in a migration from IRSA, and the records of these changes."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.interrupt import Interrupted
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
    """Change the trust policy, as another process might do."""
    aws.iam.UpdateAssumeRolePolicy({"RoleName": "app", "PolicyDocument": to_json(trust(*statements))})


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


def show_late(aws: FakeAws, write: str) -> None:
    """After a write, let the first two reads of the role return its state before the write."""
    initial = aws.iam.GetRole({"RoleName": "app"})
    late = [2]

    def answer(parameters: Mapping[str, Any]) -> dict[str, Any]:
        if write in requests(aws) and late[0]:
            late[0] -= 1
            return initial
        return aws.iam.GetRole(parameters)

    aws.replace("iam:GetRole", answer)


def test_finish_removes_the_statement_and_records_it() -> None:
    aws = account(FOREIGN, irsa(API), POD_IDENTITY, tags={"team": "pay"})
    run = finish(aws)
    assert stored(aws) == [FOREIGN, POD_IDENTITY]
    assert tags(aws) == {"team": "pay", **record(Removed(1, irsa(API)))}
    assert rows(run) == []
    [change] = run.changes
    assert change.name == "app"
    assert (change.before, change.after) == (
        trust(FOREIGN, irsa(API), POD_IDENTITY),
        trust(FOREIGN, POD_IDENTITY),
    )
    # The record is written before the statement is removed.
    assert aws.writes == ["iam:TagRole", "iam:UpdateAssumeRolePolicy"]


def test_finish_is_done_once() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    finish(aws)
    initial, count = aws.state(), len(aws.requests)
    assert finish(aws) == TrustRun([], [])
    assert aws.state() == initial
    assert requests(aws)[count:] == ["iam:GetRole"]


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
    # The statements are restored before the record is removed.
    assert aws.writes[2:] == ["iam:UpdateAssumeRolePolicy", "iam:UntagRole"]
    assert editor(aws).restore([migrant()]) == TrustRun([], [])
    assert len(aws.writes) == 4


def test_finish_of_a_second_service_account_extends_the_record() -> None:
    aws = account(irsa(API), FOREIGN, irsa(WEB), POD_IDENTITY)
    initial = copy.deepcopy(aws.iam.roles)
    finish(aws, API)
    finish(aws, API, WEB)
    assert stored(aws) == [FOREIGN, POD_IDENTITY]
    assert read_record(CLUSTER_ARN, tags(aws)).removed == (
        Removed(0, irsa(API)),
        Removed(1, irsa(WEB)),
    )
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
        "before": {"trust_policy": trust(irsa(API), POD_IDENTITY)},
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
    assert requests(aws) == ["iam:GetRole"]


def test_restore_keeps_later_statements_and_does_not_duplicate() -> None:
    aws = account(irsa(API), POD_IDENTITY, irsa(WEB))
    finish(aws, API, WEB)
    change_trust(aws, POD_IDENTITY, FOREIGN, irsa(WEB))
    editor(aws).restore([migrant()])
    assert stored(aws) == [irsa(API), POD_IDENTITY, FOREIGN, irsa(WEB)]
    assert tags(aws) == {}


def test_record_without_missing_statements_is_only_removed() -> None:
    written = record(Removed(0, irsa(API)))
    aws = account(irsa(API), POD_IDENTITY, tags=written)
    editor(aws).restore([migrant()])
    assert aws.writes == ["iam:UntagRole"]
    assert (stored(aws), tags(aws)) == ([irsa(API), POD_IDENTITY], {})


def test_records_of_another_cluster_stay() -> None:
    other = record(Removed(0, irsa(WEB)), cluster=OTHER_CLUSTER_ARN)
    aws = account(irsa(API), POD_IDENTITY, tags=other)
    finish(aws)
    assert other.items() <= tags(aws).items()
    editor(aws).restore([migrant()])
    assert (stored(aws), tags(aws)) == ([irsa(API), POD_IDENTITY], other)


def test_next_run_completes_an_interrupted_edit() -> None:
    written = record(Removed(0, irsa(API)))
    aws = account(irsa(API), POD_IDENTITY, tags=written)
    finish(aws)
    assert (stored(aws), tags(aws)) == ([POD_IDENTITY], written)


def test_shorter_record_deletes_tags_of_a_longer_one() -> None:
    chance = random.Random(1)
    stale = [Removed(0, irsa(*(("shop", f"{chance.getrandbits(120):x}") for _index in range(20))))]
    written = record(*stale)
    assert len(written) > 2
    # The run that wrote this longer record ended before it removed the statement.
    aws = account(dict(stale[0].statement), irsa(API), POD_IDENTITY, tags=written)
    finish(aws)
    assert tags(aws) == record(Removed(1, irsa(API)))
    assert aws.writes == ["iam:TagRole", "iam:UpdateAssumeRolePolicy", "iam:UntagRole"]


def test_roles_are_edited_once_for_all_their_service_accounts() -> None:
    aws = account(irsa(API), irsa(WEB), POD_IDENTITY)
    add_role(aws, irsa(WEB), POD_IDENTITY, name="other")
    users = [migrant(), migrant("web"), migrant("web", "other"), migrant("job", "gone")]
    run = TrustEditor(aws, HERE, ISSUER, OWNER, 4, wait_policy()).finish(users, (API, WEB))
    assert [change.name for change in run.changes] == ["app", "other"]
    assert rows(run) == []
    assert (stored(aws), stored(aws, "other")) == ([POD_IDENTITY], [POD_IDENTITY])
    assert aws.writes.count("iam:UpdateAssumeRolePolicy") == 2


@pytest.mark.parametrize(
    "arn",
    [
        pytest.param("arn:aws:iam::444455556666:role/app", id="account"),
        pytest.param(role_arn("path/app"), id="path"),
    ],
)
def test_role_of_the_same_name_under_another_path_is_unchanged(arn: str) -> None:
    written = record(Removed(0, irsa(WEB)))
    aws = account(irsa(API), ACCOUNT_STATEMENT, tags=written)
    users = [Migrant(key("api", "shop"), arn, "restarted", disable_session_tags=True)]
    made = editor(aws)
    assert made.finish(users, (API,)) == TrustRun([], [])
    assert made.restore(users) == TrustRun([], [])
    assert made.release(users, ()) == TrustRun([], [])
    tags(aws).clear()
    assert made.record(users) == TrustRun([], [])
    assert (aws.writes, set(requests(aws))) == ([], {"iam:GetRole"})


# Tests of failed requests

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
    # The next run completes the change.
    assert rows(finish(aws)) == []
    assert stored(aws) == [POD_IDENTITY]


@pytest.mark.parametrize(
    ("request_name", "is_back"), [("iam:UpdateAssumeRolePolicy", False), ("iam:UntagRole", True)]
)
def test_failed_restore_keeps_the_record(request_name: str, is_back: bool) -> None:
    aws = account(irsa(API), POD_IDENTITY)
    initial = copy.deepcopy(aws.iam.roles)
    finish(aws)
    written = tags(aws)
    aws.fail_on(request_name, classify(request_name, "AccessDenied", "User is not authorized"))
    run = editor(aws).restore([migrant()])
    assert [failure.error_code for failure in run.failures] == ["AccessDenied"]
    # The update of the trust policy is reported as a change, even if a later request is denied.
    assert [change.after for change in run.changes] == [trust(irsa(API), POD_IDENTITY)] * is_back
    assert tags(aws) == written
    assert (stored(aws) == [irsa(API), POD_IDENTITY]) is is_back
    # If the statements are already restored, the next run only removes the record, which is not reported as a change.
    assert len(editor(aws).restore([migrant()]).changes) == (not is_back)
    assert aws.iam.roles == initial


def test_failure_of_one_role_does_not_stop_the_next_one() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    add_role(aws, irsa(API), POD_IDENTITY, name="other")
    aws.fail_on("iam:UpdateAssumeRolePolicy", DENIED)
    run = editor(aws).finish([migrant(), migrant("web", "other")], (API,))
    assert [failure.workloads for failure in run.failures] == [(key("api", "shop"),)]
    assert (len(stored(aws)), stored(aws, "other")) == (2, [POD_IDENTITY])


def test_busy_role_is_retried() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    clock = Clock()
    busy = classify("iam:UpdateAssumeRolePolicy", "ConcurrentModification", "The request was rejected")
    aws.fail_on("iam:UpdateAssumeRolePolicy", busy, busy)
    assert rows(finish(aws, clock=clock)) == []
    assert stored(aws) == [POD_IDENTITY]
    # Reads show the record immediately, so all pauses are between the attempts to update the trust policy.
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
            "role app is not changed, because the migration cannot be recorded in its tags: the role would have 52 tags, and IAM "
            "allows 50.",
            "Remove unused tags of the role, or repair the record: the events TagRole in CloudTrail have its values.",
        )
    ]
    assert aws.state() == initial
    assert aws.writes == []


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
    assert read_record(CLUSTER_ARN, tags(aws)).removed == (Removed(1, irsa(API)),)
    assert aws.writes == ["iam:TagRole", "iam:TagRole", "iam:UpdateAssumeRolePolicy"]


def test_late_visibility_of_the_record_is_awaited() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    clock = Clock()
    show_late(aws, "iam:TagRole")
    assert rows(finish(aws, clock=clock)) == []
    assert clock.pauses == [0.5, 1.0]
    assert aws.writes == ["iam:TagRole", "iam:UpdateAssumeRolePolicy"]


def test_trust_policy_is_not_edited_without_its_record() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    clock = Clock()
    aws.replace("iam:TagRole", lambda _parameters: {})
    run = finish(aws, clock=clock)
    assert run.changes == []
    assert rows(run) == [NOT_VISIBLE]
    assert stored(aws) == [irsa(API), POD_IDENTITY]
    assert aws.writes == ["iam:TagRole"]
    assert 50 < sum(clock.pauses) <= 60


def test_reverted_change_is_repeated() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    clock = Clock()

    def revert() -> None:
        change_trust(aws, FOREIGN, irsa(API), POD_IDENTITY)

    aws.before_request("iam:UpdateAssumeRolePolicy", lambda: aws.before_request("iam:GetRole", revert))
    run = finish(aws, clock=clock)
    assert rows(run) == []
    [change] = run.changes
    # Two updates are reported as one change: from the first state to the last state.
    assert (change.before, change.after) == (trust(irsa(API), POD_IDENTITY), trust(FOREIGN, POD_IDENTITY))
    assert stored(aws) == [FOREIGN, POD_IDENTITY]
    assert read_record(CLUSTER_ARN, tags(aws)).removed == (Removed(1, irsa(API)),)
    assert aws.writes.count("iam:UpdateAssumeRolePolicy") == 2


def test_ineffective_change_is_reported() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    aws.replace("iam:UpdateAssumeRolePolicy", lambda _parameters: {})
    run = finish(aws)
    assert rows(run) == [NOT_VISIBLE]
    assert aws.writes.count("iam:UpdateAssumeRolePolicy") == 3
    assert read_record(CLUSTER_ARN, tags(aws)).removed == (Removed(0, irsa(API)),)


def test_late_visibility_is_awaited() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    clock = Clock()
    show_late(aws, "iam:UpdateAssumeRolePolicy")
    assert rows(finish(aws, clock=clock)) == []
    assert clock.pauses == [0.5, 1.0]
    assert aws.writes.count("iam:UpdateAssumeRolePolicy") == 1


def test_deleted_role_is_not_a_failure() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    del aws.iam.roles["app"]
    assert finish(aws) == TrustRun([], [])


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
    assert [change.row["name"] for change in planned.made] == ["app"] * bool(written)
    assert aws.writes == []
    assert editor(aws).record(migrants) == TrustRun([], [])
    assert aws.writes == (["iam:TagRole"] if written else [])
    assert tags(aws) == {"team": "pay", **present, **written}
    assert stored(aws) == statements
    assert editor(aws).record(migrants) == TrustRun([], [])
    assert len(aws.writes) == bool(written)


def test_record_of_each_role_has_its_service_accounts() -> None:
    aws = account(irsa(API))
    add_role(aws, irsa(API), name="other")
    users = [migrant(), migrant("web", disable_session_tags=True), migrant("job", "other")]
    assert editor(aws).record([*users, migrant("job", "gone")]) == TrustRun([], [])
    assert tags(aws) == record(accounts=(API, WEB), wide=True)
    assert tags(aws, "other") == record(accounts=(("shop", "job"),))
    assert set(requests(aws)) == {"iam:GetRole", "iam:TagRole"}


def test_denied_record() -> None:
    aws = account(irsa(API))
    aws.fail_on("iam:TagRole", classify("iam:TagRole", "AccessDenied", "User is not authorized"))
    run = editor(aws).record([migrant(), migrant("web")])
    assert run.changes == []
    assert [(failure.workloads, failure.error_code) for failure in run.failures] == [
        (BOTH_KEYS, "AccessDenied")
    ]
    assert editor(aws).record([migrant()]) == TrustRun([], [])
    assert tags(aws) == NARROW_HERE


def test_role_with_too_many_tags_has_no_record() -> None:
    aws = account(irsa(API), tags={f"tag-{number}": "x" for number in range(50)})
    run = editor(aws).record([migrant()])
    assert [(failure.workloads, failure.error_code) for failure in run.failures] == [
        ((key("api", "shop"),), "MIGRATION_NO_RECORD")
    ]
    assert aws.writes == []


def test_invisible_record() -> None:
    aws = account(irsa(API))
    aws.replace("iam:TagRole", lambda _parameters: {})
    run = editor(aws).record([migrant()])
    assert (rows(run), run.changes) == ([NOT_VISIBLE], [])
    assert aws.writes == ["iam:TagRole"]


@pytest.mark.parametrize("is_late", [False, True])
def test_visibility_of_the_record_is_awaited(is_late: bool) -> None:
    aws, clock = account(irsa(API)), Clock()
    if is_late:
        show_late(aws, "iam:TagRole")
    assert editor(aws, clock=clock).record([migrant()]) == TrustRun([], [])
    assert clock.pauses == ([0.5, 1.0] if is_late else [])
    assert requests(aws)[:3] == ["iam:GetRole", "iam:TagRole", "iam:GetRole"]
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
        assert [(change.before, change.after) for change in made.changes] == expected
    assert API not in read_record(CLUSTER_ARN, tags(aws)).accounts
    assert tags(aws)["team"] == "pay"
    assert (stored(aws), aws.writes) == (left, writes)
    assert editor(aws).release([migrant()], used) == TrustRun([], [])
    assert aws.writes == writes


def test_last_statement_of_a_trust_policy_is_not_removed() -> None:
    aws = account(ACCOUNT_STATEMENT, tags=WIDE_HERE)
    assert rows(editor(aws).release([migrant()], ())) == []
    assert (stored(aws), tags(aws)) == ([ACCOUNT_STATEMENT], {})
    assert UPDATE not in aws.writes


def test_denied_removal_of_the_record_after_the_update() -> None:
    aws = account(irsa(API), ACCOUNT_STATEMENT, tags=WIDE_HERE)
    aws.fail_on(UNTAG, classify(UNTAG, "AccessDenied", "User is not authorized"))
    run = editor(aws).release([migrant()], ())
    assert [change.after for change in run.changes] == [trust(irsa(API))]
    assert rows(run) == [
        (
            (key("api", "shop"),),
            trust_target("app"),
            "update",
            "AccessDenied",
            "iam:UntagRole: User is not authorized",
            DENIED_REMEDY,
        )
    ]
    assert (stored(aws), tags(aws)) == ([irsa(API)], WIDE_HERE)
    # The next run only removes the record.
    assert editor(aws).release([migrant()], ()) == TrustRun([], [])
    assert (stored(aws), tags(aws)) == ([irsa(API)], {})


def test_denied_update_keeps_the_record() -> None:
    aws = account(irsa(API), ACCOUNT_STATEMENT, tags=WIDE_HERE)
    aws.fail_on(UPDATE, DENIED)
    run = editor(aws).release([migrant()], ())
    assert ([failure.error_code for failure in run.failures], run.changes) == (["AccessDenied"], [])
    assert (stored(aws), tags(aws)) == ([irsa(API), ACCOUNT_STATEMENT], WIDE_HERE)


def test_restored_statements_leave_the_record_of_the_service_accounts() -> None:
    aws = account(irsa(API), POD_IDENTITY)
    editor(aws).record([migrant()])
    finish(aws)
    assert tags(aws) == record(Removed(0, irsa(API)), accounts=(API,))
    editor(aws).restore([migrant()])
    assert (stored(aws), tags(aws)) == ([irsa(API), POD_IDENTITY], NARROW_HERE)


def test_shorter_record_is_readable_at_each_moment() -> None:
    chance = random.Random(1)
    names = tuple(("shop", f"{chance.getrandbits(120):x}") for _index in range(40))
    aws = account(irsa(API), tags=record(accounts=(API, *names)))
    left: list[int] = []
    aws.before_request(UNTAG, lambda: left.append(len(read_record(CLUSTER_ARN, tags(aws)).accounts)))
    users = [migrant(name) for _namespace, name in names]
    assert rows(editor(aws).release(users, ())) == []
    assert (aws.writes, left, tags(aws)) == ([TAG, UNTAG], [1], NARROW_HERE)


# Tests of two clusters that share a role


@pytest.mark.parametrize("here_first", [True, False])
def test_last_cluster_removes_the_statement_for_the_account(here_first: bool) -> None:
    aws = account(irsa(API))
    editor_here, editor_elsewhere = editor(aws), other_editor(aws)
    editor_here.record([WIDE])
    extend(aws, HERE, True)
    editor_elsewhere.record([WIDE])
    assert tags(aws) == {**WIDE_HERE, **WIDE_ELSEWHERE}
    first, second = (editor_here, editor_elsewhere) if here_first else (editor_elsewhere, editor_here)
    assert first.release([WIDE], ()) == TrustRun([], [])
    assert stored(aws) == [irsa(API), ACCOUNT_STATEMENT]
    assert [change.after for change in second.release([WIDE], ()).changes] == [trust(irsa(API))]
    assert (stored(aws), tags(aws)) == ([irsa(API)], {})


def test_statement_for_the_account_is_removed_with_its_cluster() -> None:
    aws = account(irsa(API))
    other_editor(aws).record([migrant()])
    extend(aws, OTHER, False)
    initial = stored(aws)
    editor(aws).record([WIDE])
    extend(aws, HERE, True)
    assert tags(aws) == {**WIDE_HERE, **NARROW_ELSEWHERE}
    editor(aws).release([WIDE], ())
    assert (stored(aws), tags(aws)) == (initial, NARROW_ELSEWHERE)


def test_rollback_of_one_cluster_keeps_the_access_of_another_one() -> None:
    aws = account(irsa(API), irsa_elsewhere(API))
    other_editor(aws).record([WIDE])
    extend(aws, OTHER, True)
    # The statement for the account already allows the service account, so the engine adds no other statement.
    editor(aws).record([migrant()])
    extend(aws, HERE, False)
    assert rows(finish(aws)) == []
    other_editor(aws).release([WIDE], ())
    grants, _rest = read_grants(json.loads(aws.iam.roles["app"]["trust"]))
    assert covered(TrustGrant(ACCOUNT, CLUSTER_ARN, "shop", "api"), grants)


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


# Tests of random combinations of statements

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


def test_interrupted_edit_returns_its_changes() -> None:
    aws = account(irsa(API), POD_IDENTITY)

    def interrupt(_parameters: Mapping[str, Any]) -> dict[str, Any]:
        raise Interrupted

    aws.before_request("iam:UpdateAssumeRolePolicy", lambda: aws.replace("iam:GetRole", interrupt))
    interrupted = editor(aws)
    with pytest.raises(Interrupted):
        interrupted.finish([migrant()], (API,))
    assert [(change.row["resource"], change.name) for change in interrupted.made] == [
        ("role", "app"),
        ("trust_policy", "app"),
    ]
