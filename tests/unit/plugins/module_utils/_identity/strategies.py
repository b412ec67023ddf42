# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hypothesis strategies for desired states, and for accounts with existing resources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    TRUST_BARE,
    TRUST_EC2,
    FakeAws,
    create_association,
    create_policy,
    create_role,
    desired,
    document,
    policy_arn,
    role_arn,
    workload,
)
from hypothesis import strategies as st

TARGET = "arn:aws:iam::444455556666:role/target"
ACTIONS = ("s3:GetObject", "sqs:SendMessage")
PLACES = [("default", "app"), ("default", "web"), ("batch", "app")]
_documents = st.sampled_from([document(action) for action in ACTIONS])
_tags = st.dictionaries(st.sampled_from(["team", "stage"]), st.sampled_from(["a", "b"]), max_size=2)


@st.composite
def desired_states(draw: Callable[..., Any], adopt: bool = True, tagged: bool = False) -> Desired:
    """Draw up to three workloads. A role or policy that several workloads share has the same settings in all of them.

    With ``tagged``, the collection manages every role, and the trust policies name the workloads in conditions on session tags.
    """
    policies = {
        name: {"name": name, "document": draw(_documents), "tags": draw(_tags)} for name in ("one", "two")
    }
    policies["given"] = {"arn": policy_arn("given")}
    # A permissions boundary may be an existing policy, or a policy of the same run.
    boundaries = st.sampled_from([None, "", policy_arn("given"), policy_arn("one")])
    roles: dict[str, dict[str, Any]] = {
        name: _without_none(
            name=name,
            description=draw(st.sampled_from([None, "", "text"])),
            permissions_boundary=draw(boundaries),
            max_session_duration=draw(st.sampled_from([None, 3600, 7200])),
            tags=draw(_tags),
        )
        for name in ("blue", "green")
    }
    if not tagged:
        roles["legacy"] = {"arn": role_arn("legacy"), "extend_trust": draw(st.booleans())}
    workloads = []
    for namespace, service_account in draw(st.lists(st.sampled_from(PLACES), max_size=3, unique=True)):
        disabled = draw(st.sampled_from([None, None, False, *([] if tagged else [True])]))
        session = draw(st.sampled_from([None, "", document("s3:GetObject")]))
        workloads.append(
            _without_none(
                namespace=namespace,
                service_account=service_account,
                role=roles[draw(st.sampled_from(sorted(roles)))],
                policies=[
                    policies[name]
                    for name in draw(st.lists(st.sampled_from(sorted(policies)), max_size=2, unique=True))
                ],
                target_role_arn=draw(st.sampled_from([None, "", TARGET])),
                disable_session_tags=disabled,
                session_policy=session if disabled or not session else None,
                tags=draw(_tags),
            )
        )
    scopes = [
        None,
        None,
        "workload",
        "namespace",
        "cluster",
        *([] if tagged else ["account", "anyone_in_account"]),
    ]
    return desired(
        *workloads,
        trust_scope=draw(st.sampled_from(scopes)),
        purge_tags=draw(st.booleans()),
        purge_policies=draw(st.booleans()),
        adopt=adopt and draw(st.booleans()),
    )


@st.composite
def accounts(draw: Callable[..., Any]) -> FakeAws:
    """Draw an account with a role and a policy that no run manages, and perhaps with further resources."""
    aws = FakeAws()
    create_role(aws, "legacy", draw(st.sampled_from([TRUST_EC2, TRUST_BARE])))
    create_policy(aws, "given", "kms:Decrypt")
    if draw(st.booleans()):
        attached = (policy_arn("given"),) if draw(st.booleans()) else ()
        create_role(aws, "blue", draw(st.sampled_from([TRUST_EC2, TRUST_BARE])), attached)
    if draw(st.booleans()):
        create_policy(aws, "one", draw(st.sampled_from(ACTIONS)))
    for namespace, service_account in draw(st.lists(st.sampled_from(PLACES), max_size=2, unique=True)):
        more: dict[str, Any] = {"targetRoleArn": TARGET} if draw(st.booleans()) else {}
        create_association(aws, service_account, "legacy", namespace, tags=draw(_tags), **more)
    return aws


def _without_none(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


__all__ = ["ACCOUNT", "accounts", "desired_states"]


_POLICIES = ("one", "two", "three")
_THREE_ACTIONS = ("s3:GetObject", "sqs:SendMessage", "kms:Decrypt")


def statements(*actions: str) -> dict[str, Any]:
    """Return a policy document with an Allow statement for each action."""
    parts = [document(action)["Statement"][0] for action in actions]
    return {"Version": "2012-10-17", "Statement": parts}


@st.composite
def lists(draw: Callable[..., Any]) -> Desired:
    """Draw up to three workloads, which may share managed roles and policies. Each policy allows random actions."""
    documents = {
        name: statements(*draw(st.lists(st.sampled_from(_THREE_ACTIONS), min_size=1, unique=True)))
        for name in _POLICIES
    }
    workloads = []
    for namespace, service_account in draw(st.lists(st.sampled_from(PLACES), min_size=1, unique=True)):
        chosen = draw(st.lists(st.sampled_from(_POLICIES), max_size=2, unique=True))
        raw = workload(
            service_account,
            namespace,
            role={"name": draw(st.sampled_from(["blue", "green"]))},
            policies=[{"name": name, "document": documents[name]} for name in chosen],
            disable_session_tags=draw(st.sampled_from([None, None, False, True])),
        )
        workloads.append(raw)
    return desired(
        *workloads,
        trust_scope=draw(st.sampled_from([None, None, "namespace", "cluster", "account"])),
        purge_policies=draw(st.booleans()),
    )


@st.composite
def moves(draw: Callable[..., Any]) -> Desired:
    """Draw one or two workloads without session tags, each with one or two policies and a role that trusts the account."""
    documents = {
        name: statements(*draw(st.lists(st.sampled_from(_THREE_ACTIONS), min_size=1, unique=True)))
        for name in _POLICIES[:2]
    }
    workloads = [
        workload(
            service_account,
            role={"name": draw(st.sampled_from(["blue", "green"])), "trust_scope": "account"},
            policies=[
                {"name": name, "document": documents[name]}
                for name in draw(st.lists(st.sampled_from(_POLICIES[:2]), min_size=1, unique=True))
            ],
            disable_session_tags=True,
            session_policy=draw(st.sampled_from([None, "", statements(*_THREE_ACTIONS[:2])])),
        )
        for service_account in ("app", "web")
    ]
    return desired(*workloads[: draw(st.sampled_from([1, 2, 2]))], purge_policies=draw(st.booleans()))
