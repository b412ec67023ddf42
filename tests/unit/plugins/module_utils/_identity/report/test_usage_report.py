# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the report of used permissions: its notes, lines and data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.benchmarks.usage_events import (
    ACCOUNT,
    CLUSTER,
    CLUSTER_ARN,
    ISSUER,
    Event,
    Session,
    role_arn,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.usage import (
    UsageReport,
    usage_data,
    usage_lines,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.analysis import (
    INCOMPLETE,
    LAST_ACCESSED,
    NO_DATA_EVENTS,
    NO_GRANTS,
    SHARED,
    UNCERTAIN,
    UNJOINED,
    UNKNOWN_NAMES,
    analyse_accounts,
    data_event_services,
    unjoined_notes,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.events import (
    EventTotals,
    usage_scope,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.grants import RoleGrants
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.sessions import (
    AccountName,
    Unjoined,
    UsageAssociation,
    UsageCluster,
    UsageTotals,
    usage_roles,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.suggestion import (
    SuggestionOptions,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.request import Subject
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    Catalogue,
    load_catalogue,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    NamedPolicy,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import HERE

ROLE = role_arn("shared")
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:DeleteBucket", "sqs:SendMessage"], "Resource": "*"}
    ],
}
ANY_ACTION = {**POLICY, "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
QUEUES = {**POLICY, "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
APP = Session(1, "shared", "shop", "app")


@cache
def catalogue() -> Catalogue:
    found = load_catalogue()
    assert found is not None
    return found


def make_grants(document: Mapping[str, Any] = POLICY) -> RoleGrants:
    subject = Subject(cluster_arn=CLUSTER_ARN, namespace="shop", service_account="app", role_arn=ROLE)
    return RoleGrants(ROLE, (NamedPolicy("my-policy", document),), subject=subject)


def report(
    *events: Event,
    accounts: Sequence[str] = ("app",),
    tags: bool = True,
    role_grants: RoleGrants | str | None = None,
    problems: Sequence[str] = (),
    last_accessed: Mapping[str, str] | None = None,
    keep_unseen: bool = True,
) -> UsageReport:
    associations = [UsageAssociation(AccountName("shop", name), ROLE, session_tags=tags) for name in accounts]
    scope = usage_scope(usage_roles(associations))
    totals = UsageTotals(UsageCluster(CLUSTER, CLUSTER_ARN, ISSUER, associations), scope)
    part = EventTotals()
    for event in events:
        part.add(event, scope, CLUSTER)
    part.problems += problems
    totals.add(part)
    totals.finish()
    grants = dict.fromkeys((item.account for item in associations), role_grants or make_grants())
    options = SuggestionOptions(keep_unseen=keep_unseen, data_services=data_event_services(totals))
    accessed = {ROLE: last_accessed} if last_accessed else {}
    found = analyse_accounts(totals, catalogue(), grants, options, accessed)
    return UsageReport(replace(HERE, caller_arn="arn:me"), totals, found, "1 file of trail", (), accessed)


def read_notes(found: UsageReport) -> list[str]:
    [account] = [item for item in found.accounts if item.usage.account.name == "app"]
    return list(account.notes)


QUEUE_NOTE = NO_DATA_EVENTS.format(services="sqs", actions="sqs:SendMessage", keeps="keeps")
START, GET = APP.start(), APP.get_object("data", "k")
UNTAGGED = Session(1, "shared", "shop", "app", tags=False)


@pytest.mark.parametrize(
    ("found", "notes"),
    [
        pytest.param(report(START, GET), [QUEUE_NOTE], id="data events"),
        pytest.param(
            report(START, GET, keep_unseen=False),
            [NO_DATA_EVENTS.format(services="sqs", actions="sqs:SendMessage", keeps="does not keep")],
            id="data events, not kept",
        ),
        pytest.param(report(START, GET, role_grants=make_grants(ANY_ACTION)), [], id="too wide to be kept"),
        pytest.param(
            report(START, APP.get_object("data", "k"), role_grants=make_grants(QUEUES)),
            [],
            id="no suggested policy",
        ),
        pytest.param(
            report(START, GET, accounts=("app", "b", "c")),
            [SHARED.format(role=ROLE, others="shop/b, shop/c", account="shop/app"), QUEUE_NOTE],
            id="a shared role",
        ),
        pytest.param(report(accounts=("app", "b")), [], id="a shared role without events"),
        pytest.param(
            report(UNTAGGED.start(), GET, tags=False),
            [UNCERTAIN.format(account="shop/app", role=ROLE), QUEUE_NOTE],
            id="no session tags",
        ),
        pytest.param(
            report(START, GET, APP.call("dynamodb", "ExecuteStatement")),
            [UNKNOWN_NAMES.format(names="dynamodb.amazonaws.com ExecuteStatement"), QUEUE_NOTE],
            id="an unknown name",
        ),
        pytest.param(
            report(START, GET, role_grants="there is no role shared."),
            [NO_GRANTS.format(reason="there is no role shared.")],
            id="no policies",
        ),
        pytest.param(
            report(START, GET, role_grants=make_grants({"Statement": 1})),
            [
                NO_GRANTS.format(
                    reason=f"a policy of role {ROLE} is malformed: Statement 1: must be an object, got a number."
                )
            ],
            id="a malformed policy",
        ),
        pytest.param(
            report(START, GET, last_accessed={"s3:DeleteBucket": "2026-11-01T00:00:00Z", "s3": "x"}),
            [
                QUEUE_NOTE,
                LAST_ACCESSED.format(actions="s3:DeleteBucket (last 2026-11-01T00:00:00Z)", role=ROLE),
            ],
            id="a use that only IAM has recorded",
        ),
        pytest.param(report(START, GET, problems=["x"]), [], id="incomplete"),
    ],
)
def test_notes(found: UsageReport, notes: list[str]) -> None:
    assert read_notes(found) == notes


def test_service_account_without_association_is_a_note() -> None:
    found = report(START, GET, accounts=("other",))
    assert read_notes(found) == [NO_GRANTS.format(reason="shop/app has no association in this cluster.")]


def test_notes_about_unjoined_events() -> None:
    found = report(GET)
    reasons = f"1: {Unjoined.NO_SESSION.value}"
    assert unjoined_notes(found.totals) == [
        UNJOINED.format(count="1", role=f"{ACCOUNT}/shared", reasons=reasons)
    ]


def test_lines() -> None:
    denied = APP.get_object("forbidden", "k", error="AccessDenied")
    unknown = APP.call("dynamodb", "ExecuteStatement")
    lines = usage_lines(report(START, GET, GET, denied, unknown, accounts=("app", "idle")))
    assert (
        lines
        == """\
Cluster my-cluster, account 111122223333, region us-west-2, as arn:me
5 events in 1 file of trail, from 2026-11-20 00:00 to 2026-11-20 00:01. Nothing was changed.

SERVICE ACCOUNT  ROLE    EVENTS  USED  DENIED  UNUSED  UNSEEN  SUGGESTION
shop/app         shared  4       1     1       1       1       proven
shop/idle        shared  0       0     0       2       1       -

shop/app
  used     s3:GetObject 2 times, last 2026-11-20 00:01, on arn:aws:s3:::data/k
  denied   s3:GetObject once, last 2026-11-20 00:01, on arn:aws:s3:::forbidden/k
  unused   s3:DeleteBucket of my-policy
  unknown  eventName unknown: dynamodb.amazonaws.com ExecuteStatement, once, last 2026-11-20 00:01
  note     Role arn:aws:iam::111122223333:role/shared is also the role of shop/idle. Create a
           separate role for shop/app before you replace the policies of the role, or use a session
           policy (pod_identity_usage_form=session_policy).
  note     eventName unknown: dynamodb.amazonaws.com ExecuteStatement. It is not known which actions
           these events need, so a suggested policy does not include these actions. Look up the
           actions in the Service Authorization Reference, and add them to the policy.
  note     The events include no data events of sqs, so they do not show the use of these
           permissions: sqs:SendMessage. The suggested policy keeps them. To see their use, switch
           on data events for the trail.
  narrowed s3:GetObject of my-policy: from * to arn:aws:s3:::data/k
  suggest  This policy keeps the observed call: 1 allowed.
           {
             "Version": "2012-10-17",
             "Statement": [
               {
                 "Effect": "Allow",
                 "Action": [
                   "s3:GetObject"
                 ],
                 "Resource": [
                   "arn:aws:s3:::data/k"
                 ]
               },
               {
                 "Effect": "Allow",
                 "Action": [
                   "sqs:SendMessage"
                 ],
                 "Resource": [
                   "*"
                 ]
               }
             ]
           }
""".splitlines()
    )


@pytest.mark.parametrize("hostile", ["\x1b[2J", "a\nb", "‮"])
def test_lines_have_no_control_characters(hostile: str) -> None:
    events = [START, APP.call("s3", hostile), APP.call("s3", "GetObject", arns=[f"arn:aws:s3:::b/{hostile}"])]
    for line in usage_lines(report(*events, problems=[hostile])):
        assert line.isprintable(), line


def test_incomplete_events_suggest_no_policy() -> None:
    found = report(START, GET, problems=["a.json (line 1) is not valid JSON.", "b"])
    assert found.failure == (
        "The events for cluster my-cluster (account 111122223333, region us-west-2) are incomplete: 2 problems while reading "
        "1 file of trail, so no policy was suggested. a.json (line 1) is not valid JSON."
    )
    [account] = found.accounts
    assert account.suggestion is not None
    assert (account.suggestion.document, account.suggestion.notes) == (None, (INCOMPLETE,))
    lines = usage_lines(found)
    assert lines[-2:] == ["  problem: a.json (line 1) is not valid JSON.", "  problem: b"]


def test_many_problems_are_cut() -> None:
    lines = usage_lines(report(START, problems=[f"p{index}" for index in range(25)]))
    assert any(line.startswith("1 event in 1 file of trail") for line in lines)
    assert lines[-1] == "  and 5 more; pod_identity_usage_file writes all problems to a file"


def test_data() -> None:
    found = report(START, GET, APP.call("sqs", "SendMessage", data=True))
    data: Any = usage_data(found)
    assert json.loads(json.dumps(data)) == data
    assert data["data_events"]["sqs"] is True
    assert data["data_events"]["dynamodb"] is False
    [account] = data["service_accounts"]
    assert account["confidence"] == "session"
    assert (account["sessions"], account["pods"], account["events"]) == ({"pod_identity": 1}, 1, 2)
    last = "2026-11-20T00:01:00Z"
    assert account["used"] == [
        {
            "action": "s3:GetObject",
            "role": f"{ACCOUNT}/shared",
            "count": 1,
            "failed": 0,
            "last": last,
            "event_names": ["GetObject"],
            "resources": [{"resource": "arn:aws:s3:::data/k", "count": 1, "last": last}],
        },
        {
            "action": "sqs:SendMessage",
            "role": f"{ACCOUNT}/shared",
            "count": 1,
            "failed": 0,
            "last": last,
            "event_names": ["SendMessage"],
            "resources": [{"resource": "(not recorded)", "count": 1, "last": last}],
        },
    ]
    suggestion = account["suggestion"]
    assert suggestion["proof"] == {
        "calls": 2,
        "allowed": 1,
        "conditional": 0,
        "as_granted": 1,
        "elsewhere": [],
    }
    assert [row["action"] for row in suggestion["removed"]] == ["s3:DeleteBucket"]
    assert suggestion["narrowed"] == [
        {
            "policy": "my-policy",
            "statement": "Statement 1",
            "actions": ["s3:GetObject"],
            "resources": ["*"],
            "kept": ["arn:aws:s3:::data/k"],
        }
    ]
