# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how events are assigned to service accounts by their sessions. Other events are only counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.benchmarks.usage_events import (
    ACCOUNT,
    CLUSTER,
    CLUSTER_ARN,
    ISSUER,
    REGION,
    START,
    Event,
    Session,
    base_event,
    role_arn,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage import sessions
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.events import (
    MOST_RESOURCES,
    EventError,
    EventTotals,
    UsageScope,
    parent_pattern,
    parse_event_time,
    policy_text,
    role_key,
    usage_scope,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.sessions import (
    AccountName,
    Unjoined,
    UsageAssociation,
    UsageCluster,
    UsageTotals,
    count_unjoined,
    usage_roles,
)
from hypothesis import given
from hypothesis import strategies as st

APP, BATCH = AccountName("shop", "app"), AccountName("shop", "batch")
TARGET = "arn:aws:iam::444455556666:role/target"
# Both service accounts use the same role.
ASSOCIATIONS = (UsageAssociation(APP, role_arn("shared")), UsageAssociation(BATCH, role_arn("shared")))


def add_up(
    *files: Sequence[Event],
    associations: Sequence[UsageAssociation] = ASSOCIATIONS,
    begin: datetime | None = None,
    end: datetime | None = None,
) -> UsageTotals:
    """Add the events of ``files``, and return the totals."""
    scope = usage_scope(usage_roles(associations), begin, end)
    totals = UsageTotals(UsageCluster(CLUSTER, CLUSTER_ARN, ISSUER, associations), scope)
    for events in files:
        part = EventTotals()
        for event in events:
            part.add(event, scope, CLUSTER)
        totals.add(part)
    totals.finish()
    return totals


def counts(totals: UsageTotals) -> dict[str, int]:
    """Return the number of events that are assigned to each service account."""
    found: dict[str, int] = {}
    for key, tally in totals.calls.items():
        found[str(key.account)] = found.get(str(key.account), 0) + tally.count
    return found


def reasons(totals: UsageTotals) -> dict[str, dict[str, int]]:
    return {
        role: {reason.name: count for reason, count in found.items()}
        for role, found in count_unjoined(totals).items()
    }


def session(number: int = 1, name: str = "app", **options: Any) -> Session:
    return Session(number, str(options.pop("role", "shared")), "shop", name, **options)


def test_separates_two_service_accounts_with_one_role() -> None:
    app, batch = session(1, "app"), session(2, "batch")
    totals = add_up(
        [app.start(), batch.start()],
        [
            app.get_object("app-data", "a"),
            app.get_object("app-data", "b"),
            batch.get_object("batch-data", "c"),
        ],
    )
    assert counts(totals) == {"shop/app": 2, "shop/batch": 1}
    assert {key.account: set(tally.resources) for key, tally in totals.calls.items()} == {
        APP: {
            ("arn:aws:s3:::app-data/a", "arn:aws:s3:::app-data"),
            ("arn:aws:s3:::app-data/b", "arn:aws:s3:::app-data"),
        },
        BATCH: {("arn:aws:s3:::batch-data/c", "arn:aws:s3:::batch-data")},
    }
    assert reasons(totals) == {}
    assert {name: dict(item.kinds) for name, item in totals.sessions.items()} == {
        APP: {"pod_identity": 1},
        BATCH: {"pod_identity": 1},
    }


def test_joins_events_before_their_session() -> None:
    app = session()
    assert counts(add_up([app.get_object("b", "k")], [app.start()])) == {"shop/app": 1}


def test_events_without_known_session_keep_few_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_WAITING", 3)
    app = session()
    totals = add_up([app.get_object("b", f"{index}") for index in range(5)], [app.start()])
    [tally] = totals.calls.values()
    assert tally.resources == {(): (5, "2026-11-20T00:01:00Z")}


def test_joins_by_principal_without_access_key() -> None:
    app = session()
    event = app.get_object("b", "k")
    event["userIdentity"] = {key: value for key, value in app.identity().items() if key != "accessKeyId"}
    assert counts(add_up([app.start(), event])) == {"shop/app": 1}


def test_irsa_principal_is_not_unique() -> None:
    """Check that the principal alone does not identify a service account: with IRSA, the program chooses the session's name."""
    app = session()
    event = app.get_object("b", "k")
    event["userIdentity"] = {key: value for key, value in app.identity().items() if key != "accessKeyId"}
    assert reasons(add_up([app.start_irsa(), event])) == {f"{ACCOUNT}/shared": {"NO_SESSION": 1}}


def test_names_sessions_of_irsa() -> None:
    app = session()
    totals = add_up([app.start_irsa(), app.get_object("b", "k")])
    assert counts(totals) == {"shop/app": 1}
    assert dict(totals.sessions[APP].kinds) == {"irsa": 1}


def test_follows_a_chain_to_a_target_role() -> None:
    associations = (UsageAssociation(APP, role_arn("shared"), TARGET),)
    app = session()
    target = Session(9, "target", "-", "-", role_account="444455556666")
    totals = add_up([app.start(), app.chain(target), target.get_object("b", "k")], associations=associations)
    assert {(key.role, key.name): tally.count for key, tally in totals.calls.items()} == {
        (f"{ACCOUNT}/shared", "AssumeRole"): 1,
        ("444455556666/target", "GetObject"): 1,
    }
    assert {key.account for key in totals.calls} == {APP}


def test_follows_a_chain_in_the_trail_of_the_other_account() -> None:
    """Use the trail of the target role's account, in which the caller is an account with the principal of the first session."""
    associations = (UsageAssociation(APP, role_arn("shared"), TARGET),)
    app = session()
    target = Session(9, "target", "-", "-", role_account="444455556666")
    start = app.chain(target)
    start["userIdentity"] = {"type": "AWSAccount", "principalId": app.principal, "accountId": ACCOUNT}
    totals = add_up([app.start(), start, target.get_object("b", "k")], associations=associations)
    assert counts(totals) == {"shop/app": 1}


OTHER = "arn:aws:eks:us-west-2:111122223333:cluster/other"


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        pytest.param(None, "NO_SESSION", id="no start event"),
        pytest.param(session(tags=False).start(), "NO_TAGS", id="no session tags"),
        pytest.param(session(cluster_arn=OTHER).start(), "OTHER_CLUSTER", id="another cluster"),
        pytest.param(
            session(cluster_arn=OTHER, tags=False).start(), "OTHER_CLUSTER", id="another cluster, no tags"
        ),
        pytest.param(
            session().start_irsa("oidc.example.com/id/X"), "OTHER_CLUSTER", id="IRSA of another cluster"
        ),
        pytest.param(
            {**session().start(), "userIdentity": {"type": "IAMUser", "accessKeyId": "AKIA1"}},
            "OTHER_CALLER",
            id="an IAM user",
        ),
        pytest.param(
            {**session().start(), "userIdentity": {"type": "AssumedRole", "principalId": "AROA:x"}},
            "NO_SESSION",
            id="an unknown session",
        ),
    ],
)
def test_counts_unjoined_events(start: Event | None, reason: str) -> None:
    """Add events whose session has no usable start event. They are not assigned to a service account, but counted by reason."""
    event = session().get_object("b", "k")
    totals = add_up([*([start] if start else []), event, event])
    assert counts(totals) == {}
    assert reasons(totals) == {f"{ACCOUNT}/shared": {reason: 2}}
    assert Unjoined[reason].value


def test_cyclic_chain_ends() -> None:
    first, second = session(1), session(2)
    event = first.get_object("b", "k")
    totals = add_up([first.chain(second), second.chain(first), event])
    assert reasons(totals) == {f"{ACCOUNT}/shared": {"OTHER_CALLER": 3}}


def test_single_association_without_session_tags_is_uncertain() -> None:
    associations = (UsageAssociation(APP, role_arn("shared"), session_tags=False),)
    app = session(tags=False)
    totals = add_up([app.start(), app.get_object("b", "k")], associations=associations)
    assert counts(totals) == {"shop/app": 1}
    assert not totals.sessions[APP].certain


def test_ignores_other_roles() -> None:
    app = session(role="another")
    totals = add_up([app.start(), app.get_object("b", "k")])
    assert (totals.calls, reasons(totals), totals.read.events) == ({}, {}, 2)


def test_sessions_may_start_six_hours_before_the_window() -> None:
    begin = START + timedelta(hours=6)
    early, late = session(1, time=START), session(2, time=START - timedelta(seconds=1))
    events = [early.get_object("b", "k", minutes=361), late.get_object("b", "k", minutes=365)]
    totals = add_up([early.start(), late.start(), *events, early.get_object("b", "k")], begin=begin)
    assert counts(totals) == {"shop/app": 1}
    assert reasons(totals) == {f"{ACCOUNT}/shared": {"NO_SESSION": 1}}
    ended = add_up([early.start(), *events], begin=begin, end=begin)
    assert counts(ended) == {}


def test_counts_denied_requests_for_credentials_of_the_cluster() -> None:
    def refused(cluster: str, error: str) -> Event:
        event = base_event(
            "eks-auth.amazonaws.com", "AssumeRoleForPodIdentity", START, {"type": "AssumedRole"}
        )
        event["requestParameters"] = {"clusterName": cluster}
        return {**event, "errorCode": error} if error else event

    totals = add_up(
        [refused(CLUSTER, "AccessDenied"), refused("other", "AccessDenied"), refused(CLUSTER, "")]
    )
    assert (totals.read.refused, totals.read.last_refused) == (1, "2026-11-20T00:00:00Z")


@pytest.mark.parametrize(
    ("error", "denied", "failed"),
    [
        ("", False, 0),
        ("AccessDenied", True, 0),
        ("AccessDeniedException", True, 0),
        ("Client.UnauthorizedOperation", True, 0),
        ("NoSuchKey", False, 1),
        ("ThrottlingException", False, 1),
    ],
)
def test_distinguishes_denials_from_other_errors(error: str, denied: bool, failed: int) -> None:
    app = session()
    totals = add_up([app.start(), app.get_object("b", "k", error=error)])
    [(key, tally)] = totals.calls.items()
    assert (key.denied, tally.failed) == (denied, failed)
    assert tally.message == ("not authorized to perform: GetObject" if denied else "")


@pytest.mark.parametrize(
    ("source", "name", "parameters", "arns"),
    [
        ("s3", "ListObjects", {"bucketName": "b"}, ["arn:aws:s3:::b"]),
        ("s3", "GetObject", {"bucketName": "b", "key": "a*b"}, ["arn:aws:s3:::b/a${*}b"]),
        ("s3", "GetObject", {"bucketName": "b", "key": "${aws:userid}"}, ["arn:aws:s3:::b/${$}{aws:userid}"]),
        ("s3", "GetObject", {"bucketName": "b", "key": "a\nb"}, []),
        ("s3", "GetObject", {"bucketName": "b", "key": "\ud800"}, []),
        ("s3", "GetObject", {"bucketName": "b", "key": "x" * 3000}, []),
        ("dynamodb", "Query", {"tableName": "t"}, [f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/t"]),
        (
            "dynamodb",
            "Query",
            {"tableName": "t", "indexName": "i"},
            [f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/t/index/i"],
        ),
        (
            "sqs",
            "SendMessage",
            {"queueUrl": f"https://sqs.{REGION}.amazonaws.com/444455556666/q"},
            [f"arn:aws:sqs:{REGION}:444455556666:q"],
        ),
        ("sqs", "SendMessage", {"queueUrl": "https://example.com/444455556666/q"}, []),
        (
            "secretsmanager",
            "GetSecretValue",
            {"secretId": "db"},
            [f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:db-??????"],
        ),
        (
            "ssm",
            "GetParameters",
            {"names": ["/a", "b", 1]},
            [f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name}" for name in "ab"],
        ),
        ("sns", "Publish", {"topicArn": "arn:aws:sns:us-west-2:1:t"}, ["arn:aws:sns:us-west-2:1:t"]),
        ("sns", "Publish", {"topicArn": ["arn:aws:sns:us-west-2:1:t"]}, []),
    ],
)
def test_finds_the_resources_of_an_event(
    source: str, name: str, parameters: dict[str, object], arns: list[str]
) -> None:
    app = session()
    totals = add_up([app.start(), app.call(source, name, parameters=parameters)])
    [tally] = totals.calls.values()
    assert list(tally.resources) == [tuple(arns)]


def test_copy_reads_its_source_and_writes_its_destination() -> None:
    app = session()
    parameters: Event = {"bucketName": "to", "key": "k", "x-amz-copy-source": "/from/a?versionId=1"}
    copy = app.call("s3", "CopyObject", parameters=parameters, arns=["arn:aws:s3:::from/a"])
    totals = add_up([app.start(), copy])
    assert {key.name: list(tally.resources) for key, tally in totals.calls.items()} == {
        "CopyObject (source)": [("arn:aws:s3:::from/a",)],
        "CopyObject": [("arn:aws:s3:::to/k",)],
    }


def test_combines_many_resources_into_patterns() -> None:
    app = session()
    number = MOST_RESOURCES + 40
    totals = add_up([app.start(), *(app.get_object("b", f"{index}") for index in range(number))])
    [tally] = totals.calls.values()
    assert len(tally.resources) == MOST_RESOURCES + 1
    assert tally.resources["arn:aws:s3:::b/*", "arn:aws:s3:::b"] == (40, "2026-11-20T00:01:00Z")
    assert sum(count for count, _last in tally.resources.values()) == number


@pytest.mark.parametrize(
    ("arn", "pattern"),
    [
        ("arn:aws:s3:::b/a/c", "arn:aws:s3:::b/*"),
        ("arn:aws:dynamodb:r:1:table/t", "arn:aws:dynamodb:r:1:table/*"),
        ("arn:aws:sqs:r:1:q", "arn:aws:sqs:r:1:*"),
        ("arn:aws:lambda:r:1:function:f", "arn:aws:lambda:r:1:function:*"),
        ("*", "*"),
        ("arn:aws:s3", "*"),
    ],
)
def test_parent_pattern(arn: str, pattern: str) -> None:
    assert parent_pattern(arn) == pattern


@pytest.mark.parametrize(
    ("arn", "key"),
    [
        ("arn:aws:iam::111122223333:role/Path/My-Role", "111122223333/my-role"),
        ("arn:aws-cn:sts::111122223333:assumed-role/My-Role/session/x", "111122223333/my-role"),
        ("arn:aws:iam::111122223333:user/x", ""),
        ("", ""),
    ],
)
def test_role_key(arn: str, key: str) -> None:
    assert role_key(arn) == key


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("x", "is not a mapping, so it is not an event"),
        ([], "is not a mapping, so it is not an event"),
        ({}, "has no eventTime such as 2026-11-29T10:00:00Z"),
        ({"eventTime": "yesterday"}, "has no eventTime such as 2026-11-29T10:00:00Z"),
        ({"eventTime": "2026-11-29T10:00:00Z", "eventSource": 1}, "has no eventSource or no eventName"),
    ],
)
def test_rejects_invalid_records(record: object, reason: str) -> None:
    with pytest.raises(EventError) as error:
        EventTotals().add(record, UsageScope(frozenset()))
    assert str(error.value) == reason


def test_ignores_insights() -> None:
    totals = EventTotals()
    totals.add({"eventTime": "2026-11-29T10:00:00Z", "insightDetails": {}}, UsageScope(frozenset()))
    assert totals.events == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
)


@given(st.data())
def test_members_of_any_type_raise_no_error(data: st.DataObject) -> None:
    app = session()
    event = data.draw(st.sampled_from([app.start(), app.start_irsa(), app.get_object("b", "k")]))
    name = data.draw(st.sampled_from(sorted(set(event) - {"eventTime", "eventSource", "eventName"})))
    inner = event[name]
    if isinstance(inner, dict) and inner and data.draw(st.booleans()):
        event[name] = {**inner, data.draw(st.sampled_from(sorted(inner))): data.draw(JSON)}
    else:
        event[name] = data.draw(JSON)
    add_up([event, app.get_object("b", "k")])


@given(st.text(alphabet="ab*?${}:/", max_size=12))
def test_escaped_text_has_no_wildcards(text: str) -> None:
    escaped = policy_text(text)
    plain = escaped.replace("${*}", "").replace("${?}", "").replace("${$}", "")
    assert not set(plain) & set("*?$")


def test_parses_the_time_of_an_event() -> None:
    assert parse_event_time("2026-11-20T00:00:00Z") == START
