# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the export of a cluster. A plan with the exported list must have no changes."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    read_input,
    refuse_files,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    ASSOCIATION_SETTINGS,
    ObservedAssociation,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.attributes import (
    Attribute,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import Cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    Options,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.policies import (
    POLICY_SETTINGS,
    ObservedPolicy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import (
    ROLE_SETTINGS,
    ObservedRole,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.cluster import AwsJob
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.export import (
    Estate,
    export_cluster,
    export_workloads,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    CLUSTER_ARN,
    OTHER_CLUSTER_ARN,
    REGION,
    TRUST_BARE,
    TRUST_EC2,
    FakeAws,
    create_association,
    create_policy,
    create_role,
    desired,
    document,
    key,
    policy,
    policy_arn,
    role_arn,
    run,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.strategies import (
    lists,
    moves,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


def with_managed_policy() -> FakeAws:
    """Return an account with the AWS managed policy READ_ONLY."""
    aws = FakeAws()
    create_policy(aws, "AmazonS3ReadOnlyAccess")
    aws.iam.policies[READ_ONLY] = {
        **aws.iam.policies.pop(policy_arn("AmazonS3ReadOnlyAccess")),
        "arn": READ_ONLY,
    }
    return aws


GITHUB = {
    "Effect": "Allow",
    "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"},
    "Action": "sts:AssumeRoleWithWebIdentity",
    "Condition": {"StringLike": {"token.actions.githubusercontent.com:sub": "repo:shop/*"}},
}

DENY = {
    **TRUST_BARE["Statement"][0],
    "Effect": "Deny",
    "Condition": {"StringEquals": {"aws:RequestTag/kubernetes-namespace": "other"}},
}


def export(aws: FakeAws, *namespaces: str) -> dict[str, Any]:
    params = {
        "cluster_name": CLUSTER,
        "account_id": None,
        "concurrency": 1,
        "deadline": None,
        "assume_role_arn": None,
        "assume_role_external_id": None,
        "assume_role_session_name": None,
        "assume_role_duration": None,
    }
    return export_cluster(AwsJob(params, lambda *_: aws, REGION, check_mode=True), namespaces)


def trust(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def limited(cluster_arn: str) -> dict[str, Any]:
    """Return a trust policy statement as a person may write it: its condition names only the cluster, and it has no Sid."""
    return {
        **TRUST_BARE["Statement"][0],
        "Condition": {"StringEquals": {"aws:RequestTag/eks-cluster-arn": cluster_arn}},
    }


def test_manually_created_role_is_exported_in_full() -> None:
    aws = with_managed_policy()
    arn = create_policy(aws, "reports", "s3:GetObject", tags={"team": "data"}, path="/team/")
    create_role(
        aws,
        "reports",
        TRUST_BARE,
        (arn, READ_ONLY),
        {"team": "data"},
        Description="Reads",
        MaxSessionDuration=7200,
    )
    aws.iam.roles["reports"]["inline"] = {"read-bucket": document("s3:GetObject")}
    create_association(aws, "app", "reports", tags={"team": "data"})
    found = export(aws)
    assert found["inline_policies"] == [{"role": "reports", "policies": ["read-bucket"]}]
    assert found["workloads"] == [
        {
            "namespace": "default",
            "service_account": "app",
            "role": {
                "name": "reports",
                "description": "Reads",
                "max_session_duration": 7200,
                "tags": {"team": "data"},
                "trust_policy": TRUST_BARE,
            },
            "policies": [
                {
                    "name": "reports",
                    "document": document("s3:GetObject"),
                    "path": "/team/",
                    "tags": {"team": "data"},
                },
                {"arn": READ_ONLY},
            ],
            "tags": {"team": "data"},
        }
    ]
    assert (found["changes"], found["failures"]) == ([], [])


def example(attribute: Attribute) -> Any:
    """Return a value that is not the default of the attribute in AWS."""
    default = attribute.decode(None)
    if attribute.document:
        return document("s3:GetObject")
    return "text" if default == "" else default + 3600


@pytest.mark.parametrize(
    ("kind", "attribute"),
    [
        pytest.param(kind, attribute, id=f"{kind} {attribute.name}")
        for kind, attributes in (
            ("role", ROLE_SETTINGS),
            ("policy", POLICY_SETTINGS),
            ("association", ASSOCIATION_SETTINGS),
        )
        for attribute in attributes
    ],
)
def test_each_setting_is_exported(kind: str, attribute: Attribute) -> None:
    arn, value = policy_arn("reports"), example(attribute)
    resources: dict[str, Any] = {
        "role": ObservedRole("app", role_arn("app"), "/", TRUST_BARE, attached=(arn,)),
        "policy": ObservedPolicy(arn, "reports", "v1"),
        "association": ObservedAssociation(key("app"), "a-1", "arn:association", role_arn("app")),
    }
    resources[kind] = replace(resources[kind], **{attribute.field or attribute.name: value})
    estate = Estate(
        Cluster(CLUSTER, CLUSTER_ARN, ACCOUNT, REGION, "aws"),
        {key("app"): resources["association"]},
        roles={"app": resources["role"]},
        policies={arn: (resources["policy"], document("s3:GetObject"))},
    )
    (row,) = export_workloads(estate)
    rows = {"role": row["role"], "policy": row["policies"][0], "association": row}
    assert rows[kind][attribute.name] == value


@pytest.mark.parametrize("scope", ["workload", "namespace", "cluster", "account", "anyone_in_account"])
def test_trust_scope_is_recognized(scope: str) -> None:
    aws = FakeAws()
    run(aws, desired(workload("app"), workload("web", "batch"), trust_scope=scope))
    roles = [row["role"] for row in export(aws)["workloads"]]
    assert [role.get("trust_scope", "workload") for role in roles] == [scope, scope]


@pytest.mark.parametrize(
    "policy_document",
    [
        trust(limited(OTHER_CLUSTER_ARN), limited(CLUSTER_ARN)),
        trust(limited(CLUSTER_ARN), GITHUB),
        # ``anyone_in_account`` would keep both statements of this role, but a new role would lack the second statement.
        trust(TRUST_BARE["Statement"][0], GITHUB),
        trust(TRUST_BARE["Statement"][0], DENY),
        TRUST_EC2,
    ],
)
def test_trust_policy_without_a_scope_is_exported_whole(policy_document: dict[str, Any]) -> None:
    aws = FakeAws()
    create_role(aws, "reports", policy_document)
    create_association(aws, "app", "reports")
    found = export(aws)
    (row,) = found["workloads"]
    assert row["role"] == {"name": "reports", "trust_policy": policy_document}
    assert found["changes"] == []


def test_association_with_all_settings() -> None:
    aws = FakeAws()
    settings_ = {
        "target_role_arn": "arn:aws:iam::444455556666:role/lake",
        "disable_session_tags": True,
        "session_policy": document("s3:GetObject"),
        "tags": {"team": "data"},
    }
    run(aws, desired(workload(role={"name": "my-role", "trust_scope": "account"}, **settings_)))
    found = export(aws)
    (row,) = found["workloads"]
    assert {name: row[name] for name in settings_} == settings_
    assert found["changes"] == []


def test_association_of_an_addon_is_left_out() -> None:
    aws = FakeAws()
    run(aws, desired(workload()))
    (association,) = aws.eks.associations.values()
    association["ownerArn"] = "arn:aws:eks:us-west-2:111122223333:addon/my-cluster/vpc-cni/1"
    found = export(aws)
    assert (found["workloads"], found["left_out"]) == (
        [],
        [{"workload": "default/app", "owner_arn": association["ownerArn"]}],
    )


def test_missing_role_is_named_by_the_plan() -> None:
    aws = FakeAws()
    create_role(aws, "gone", TRUST_BARE)
    create_association(aws, "app", "gone")
    del aws.iam.roles["gone"]
    found = export(aws)
    assert found["workloads"] == [
        {"namespace": "default", "service_account": "app", "role": {"arn": role_arn("gone")}}
    ]
    assert [row["error_code"] for row in found["failures"]] == ["ROLE_MISSING"]


def test_namespaces_limit_the_export() -> None:
    aws = FakeAws()
    run(aws, desired(workload("app"), workload("web", "batch")))
    assert [row["service_account"] for row in export(aws, "batch")["workloads"]] == ["web"]


def test_namespace_without_associations_is_refused() -> None:
    aws = FakeAws()
    run(aws, desired(workload("app"), workload("web", "batch")))
    with pytest.raises(InputError) as refused:
        export(aws, "batch", "btach")
    assert refused.value.problems == (
        "namespaces: cluster my-cluster (account 111122223333, region us-west-2) has no association in btach. It has "
        "associations in batch, default.",
    )


def test_associations_are_described_once() -> None:
    aws = FakeAws()
    run(aws, desired(workload("app"), workload("web", "batch")))
    aws.requests.clear()
    export(aws)
    names = [name for name, _parameters in aws.requests]
    assert names.count("eks:DescribePodIdentityAssociation") == 2


def test_export_only_reads() -> None:
    aws = FakeAws()
    run(aws, desired(workload()))
    aws.requests.clear()
    export(aws)
    assert aws.writes == []


def release(aws: FakeAws, by_hand: list[bool]) -> None:
    """Remove the tags of the resources that ``by_hand`` marks, as if a person had created these resources."""
    resources: list[dict[str, Any]] = [
        *aws.iam.roles.values(),
        *aws.iam.policies.values(),
        *aws.eks.associations.values(),
    ]
    for resource, other in zip(resources, by_hand, strict=False):
        if other:
            resource["tags"] = {}


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    initial=st.one_of(lists(), moves()),
    by_hand=st.lists(st.booleans(), min_size=9, max_size=9),
    inline=st.booleans(),
)
def test_exported_list_is_only_checked_until_it_is_adopted(
    initial: Desired, by_hand: list[bool], inline: bool
) -> None:
    aws = FakeAws()
    run(aws, initial)
    release(aws, by_hand)
    if inline:
        create_role(aws, "beside", trust(limited(OTHER_CLUSTER_ARN), GITHUB), (policy_arn("absent"),))
    found = export(aws)
    assert (found["changes"], found["failures"]) == ([], [])
    before = copy.deepcopy(aws.state())
    parsed = read_input({"cluster_name": CLUSTER, "workloads": found["workloads"]}, refuse_files)
    assert run(aws, Desired(parsed.workloads)).failures == ()
    assert aws.state() == before
    adopted = run(aws, Desired(parsed.workloads, Options(adopt=True)))
    assert adopted.failures == ()
    assert run(aws, Desired(parsed.workloads)).done == ()


def test_300_associations_of_mixed_origin() -> None:
    """Export associations that runs and people have created, apply the list, then remove one workload. The other
    workloads must not change."""
    aws = with_managed_policy()
    managed = [
        workload(f"managed-{n}", role={"name": f"role-{n % 50}"}, policies=[policy(f"p{n % 50}")])
        for n in range(100)
    ]
    run(aws, desired(*managed))
    for n in range(200):
        create_role(
            aws, f"hand-{n}", TRUST_BARE if n % 2 else trust(limited(CLUSTER_ARN), GITHUB), (READ_ONLY,)
        )
        create_association(aws, f"hand-{n}", f"hand-{n}", namespace=f"team-{n % 7}")
    found = export(aws)
    assert found["summary"] == {"workloads": 300, "left_out": 0, "changes": 0, "failures": 0}
    rows = found["workloads"]
    parsed = read_input({"cluster_name": CLUSTER, "workloads": rows}, refuse_files)
    assert run(aws, Desired(parsed.workloads, Options(adopt=True))).failures == ()
    before = aws.state()
    one = [row for row in rows if row["service_account"] == "hand-7"]
    leaving = read_input({"cluster_name": CLUSTER, "workloads": one, "state": "absent"}, refuse_files)
    assert run(aws, Desired(leaving.workloads), "absent").failures == ()
    after = aws.state()
    assert len(after["associations"]) == 300
    # The trust policy allows the whole account, so the role may have other users. The teardown keeps it.
    assert after["roles"] == before["roles"]
    assert after["policies"] == before["policies"]
