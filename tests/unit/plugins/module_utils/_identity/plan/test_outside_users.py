# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test how a plan finds the users of a role that are not in the list: from the trust policy and from associations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    ObservedAssociation,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    group_clusters,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    Observed,
    OutsideAssociations,
    Reach,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import ObservedRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.outside_users import (
    OutsideUsers,
    find_outside_users,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.present import make_plan
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    TrustGrant,
    grant_for,
    trust_policy,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    CLUSTER_ARN,
    HERE,
    OTHER_CLUSTER_ARN,
    OWNED,
    TRUST_BARE,
    TRUST_EC2,
    desired,
    key,
    names,
    policy_arn,
    role_arn,
    workload,
)

DENIED = classify("eks:ListPodIdentityAssociations", "AccessDeniedException", "not authorized")
WHOLE = Reach(CLUSTER)
DEFAULT = Reach(CLUSTER, "default")


def grant(
    scope: str, name: str = "app", namespace: str = "default", cluster: str = CLUSTER_ARN
) -> TrustGrant:
    return grant_for(scope, ACCOUNT, cluster, namespace, name)


def association(
    name: str, role: str = "my-role", namespace: str = "default", **more: Any
) -> ObservedAssociation:
    place = key(name, namespace)
    return ObservedAssociation(place, f"a-{name}", f"arn-{name}", role_arn(role), **more)


def outside(*associations: ObservedAssociation, reach: Reach = WHOLE) -> OutsideAssociations:
    return OutsideAssociations(
        frozenset((reach,)), {association.key: association for association in associations}
    )


def observed(trust: Mapping[str, object], **more: Any) -> Observed:
    role = ObservedRole("my-role", role_arn("my-role"), "/", trust, tags=OWNED)
    return replace(Observed(group_clusters(HERE), roles={"my-role": role}), **more)


def find(
    trust: Mapping[str, object], associations: OutsideAssociations | None = None, vouched: bool = False
) -> OutsideUsers:
    seen = observed(trust, outside=associations or OutsideAssociations())
    role = seen.roles["my-role"]
    assert role is not None
    return find_outside_users(seen, seen.clusters, role, trust, frozenset((key("app"),)), vouched)


def statements(*documents: Mapping[str, Any]) -> dict[str, object]:
    parts = [statement for document in documents for statement in document["Statement"]]
    return {"Version": "2012-10-17", "Statement": parts}


HAND = "workloads that an unmanaged trust statement allows"
EVERY = "every cluster of the account"


@pytest.mark.parametrize(
    ("trust", "users"),
    [
        pytest.param(trust_policy([grant("workload")]), OutsideUsers(), id="listed workload"),
        pytest.param(
            trust_policy([grant("workload"), grant("workload", "ledger", "payments")]),
            OutsideUsers(("my-cluster payments/ledger",)),
            id="unlisted workload",
        ),
        pytest.param(
            trust_policy([grant("workload", cluster=OTHER_CLUSTER_ARN)]),
            OutsideUsers(("other-cluster default/app",)),
            id="workload of another cluster",
        ),
        pytest.param(
            trust_policy([grant("workload"), grant("namespace", "", "payments")]),
            OutsideUsers(("namespace payments of cluster my-cluster",)),
            id="namespace without a listed workload",
        ),
        pytest.param(
            trust_policy([grant("cluster", cluster=OTHER_CLUSTER_ARN)]),
            OutsideUsers(("cluster other-cluster",)),
            id="another cluster",
        ),
        pytest.param(trust_policy([grant("namespace")]), OutsideUsers(unread=(DEFAULT,)), id="namespace"),
        pytest.param(trust_policy([grant("cluster")]), OutsideUsers(unread=(WHOLE,)), id="cluster"),
        pytest.param(
            trust_policy([grant("cluster"), grant("workload", "ledger", "payments")]),
            OutsideUsers(("my-cluster payments/ledger",)),
            id="no read is needed if a user is known",
        ),
        pytest.param(trust_policy([grant("account")]), OutsideUsers(unseen=(EVERY,)), id="account"),
        pytest.param(
            trust_policy([grant("none")]),
            OutsideUsers(unseen=("every cluster (a trust statement has no condition)",)),
            id="none",
        ),
        pytest.param(TRUST_BARE, OutsideUsers(unseen=(HAND,)), id="unmanaged statement"),
        pytest.param(
            statements({"Statement": [{**TRUST_BARE["Statement"][0], "Sid": "Mine"}]}),
            OutsideUsers(unseen=(f"{HAND} (statement Mine)",)),
            id="unmanaged statement with a Sid",
        ),
        pytest.param(
            statements(trust_policy([grant("workload")]), TRUST_EC2),
            OutsideUsers(unseen=("ec2.amazonaws.com (by the trust policy)",)),
            id="another principal",
        ),
        pytest.param(
            statements({"Statement": [{**TRUST_BARE["Statement"][0], "Effect": "Deny"}]}),
            OutsideUsers(),
            id="denied",
        ),
    ],
)
def test_trust_policy_shows_users_outside_the_run(trust: Mapping[str, object], users: OutsideUsers) -> None:
    assert find(trust) == users


@pytest.mark.parametrize(
    ("associations", "users"),
    [
        pytest.param(outside(), OutsideUsers(), id="no users"),
        pytest.param(outside(association("ledger", "elsewhere")), OutsideUsers(), id="users of other roles"),
        pytest.param(
            outside(association("ledger", namespace="payments")),
            OutsideUsers(("my-cluster payments/ledger",)),
            id="a user",
        ),
        pytest.param(
            outside(association("ledger", "elsewhere", target_role_arn=role_arn("My-Role"))),
            OutsideUsers(("my-cluster default/ledger",)),
            id="target role in another letter case",
        ),
        pytest.param(
            outside(association("ledger", disable_session_tags=True)),
            OutsideUsers(("my-cluster default/ledger",)),
            id="user without session tags",
        ),
        pytest.param(outside(reach=DEFAULT), OutsideUsers(unread=(WHOLE,)), id="only one namespace was read"),
        pytest.param(
            OutsideAssociations(frozenset((WHOLE,)), errors={WHOLE: DENIED}),
            OutsideUsers(
                unreadable=(
                    "workloads of cluster my-cluster that could not be read (eks:ListPodIdentityAssociations: "
                    "AccessDeniedException: not authorized.)",
                ),
                remedy=DENIED.remedy,
            ),
            id="unreadable",
        ),
    ],
)
def test_associations_show_users_of_a_cluster_grant(
    associations: OutsideAssociations, users: OutsideUsers
) -> None:
    assert find(trust_policy([grant("cluster")]), associations) == users


@pytest.mark.parametrize("trust", [trust_policy([grant("account")]), TRUST_BARE, TRUST_EC2])
def test_force_still_requests_associations(
    trust: Mapping[str, object],
) -> None:
    assert find(trust, vouched=True) == OutsideUsers(unread=(WHOLE,))
    assert find(trust, outside(), vouched=True) == OutsideUsers()
    assert find(trust, outside(association("ledger")), vouched=True) == OutsideUsers(
        ("my-cluster default/ledger",)
    )


def test_associations_are_requested_until_the_users_are_known() -> None:
    """Check that a plan removes no statement or attachment before the run has read the users of the role."""
    trust = trust_policy([grant("cluster")])
    spec = desired(
        workload(role={"name": "my-role"}, policies=[]), trust_scope="cluster", purge_policies=True
    )
    seen = observed(trust)
    role = seen.roles["my-role"]
    assert role is not None
    seen = replace(
        seen,
        roles={"my-role": replace(role, attached=(policy_arn("old"),))},
        associations={key("app"): association("app", tags=OWNED)},
    )
    first = make_plan(spec, seen)
    assert (names(first), first.unread) == ([], {WHOLE})
    detached = [f"detach attachment my-role {policy_arn('old')}"]
    assert names(make_plan(spec, replace(seen, outside=outside()))) == detached
    used = make_plan(spec, replace(seen, outside=outside(association("ledger"))))
    assert (names(used), used.unread) == ([], set())


@pytest.mark.parametrize(
    ("wide", "narrow", "included"),
    [
        (WHOLE, DEFAULT, True),
        (WHOLE, WHOLE, True),
        (DEFAULT, DEFAULT, True),
        (DEFAULT, WHOLE, False),
        (DEFAULT, Reach(CLUSTER, "other"), False),
        (WHOLE, Reach("other-cluster", "default"), False),
    ],
)
def test_reach_includes_its_namespaces(wide: Reach, narrow: Reach, included: bool) -> None:
    assert wide.includes(narrow) is included
    assert OutsideAssociations(frozenset((wide,))).has_read(narrow) is included
