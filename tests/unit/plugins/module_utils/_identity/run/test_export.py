# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the export of a cluster. A plan with the exported list must have no changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    ASSOCIATION_SETTINGS,
    ObservedAssociation,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.attributes import (
    Attribute,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import Cluster
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
    REGION,
    TRUST_BARE,
    FakeAws,
    create_association,
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
        "role": ObservedRole("app", role_arn("app"), "/", TRUST_BARE, attached=(arn,), tags={"aws:a": "b"}),
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
    expected: dict[str, Any] = {
        "namespace": "default",
        "service_account": "app",
        "role": {"name": "app", "trust_policy": TRUST_BARE},
        "policies": [{"name": "reports", "document": document("s3:GetObject")}],
    }
    {"role": expected["role"], "policy": expected["policies"][0], "association": expected}[kind][
        attribute.name
    ] = value
    assert row == expected


def test_export_leaves_out_addons_and_names_inline_policies() -> None:
    aws = FakeAws()
    mine = workload("mine", role={"name": "mine"}, policies=[policy("mine")])
    run(aws, desired(workload(), mine))
    aws.iam.roles["mine"]["inline"] = {"more": "{}"}
    association = next(iter(aws.eks.associations.values()))
    association["ownerArn"] = "arn:aws:eks:us-west-2:111122223333:addon/my-cluster/vpc-cni/1"
    assert export(aws) == {
        "changed": False,
        "workloads": [mine],
        "left_out": [{"workload": "default/app", "owner_arn": association["ownerArn"]}],
        "inline_policies": [{"role": "mine", "policies": ["more"]}],
        **{name: [] for name in ("changes", "failures", "findings")},
        "summary": {"workloads": 1, "left_out": 1, "changes": 0, "failures": 0},
        "account_id": ACCOUNT,
        "caller_arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/session",
        "cluster_arn": CLUSTER_ARN,
    }


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


def test_namespace_without_associations_is_refused() -> None:
    aws = FakeAws()
    run(aws, desired(workload("app"), workload("web", "batch")))
    with pytest.raises(InputError) as refused:
        export(aws, "batch", "btach")
    assert refused.value.problems == (
        "namespaces: cluster my-cluster (account 111122223333, region us-west-2) has no association in btach. It has "
        "associations in batch, default.",
    )
