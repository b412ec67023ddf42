# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the control requests: counters, latency, state, checkpoints and reset."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from sandbox.aws.control import AwsControl
from sandbox.control_client import ControlError

from .conftest import (
    ACCOUNT,
    OTHER_ACCOUNT,
    READ_BUCKET,
    Endpoint,
    api_error,
    create_cluster,
    create_policy,
    create_role,
)


class TestCounters:
    def test_group_requests_by_operation_account_and_status(
        self, endpoint: Endpoint, iam: Any, control: AwsControl
    ) -> None:
        create_role(iam, "app")
        iam.get_role(RoleName="app")
        api_error(lambda: iam.get_role(RoleName="nobody"))
        endpoint.client("eks", account=OTHER_ACCOUNT).list_clusters()
        endpoint.client("sts").get_caller_identity()
        counters = control.counters()
        assert counters["operations"] == {
            "eks:ListClusters": 1,
            "iam:CreateRole": 1,
            "iam:GetRole": 2,
            "sts:GetCallerIdentity": 1,
        }
        assert counters["accounts"] == {
            ACCOUNT: {"iam:CreateRole": 1, "iam:GetRole": 2, "sts:GetCallerIdentity": 1},
            OTHER_ACCOUNT: {"eks:ListClusters": 1},
        }
        assert (counters["total"], counters["reads"], counters["writes"]) == (5, 4, 1)
        assert counters["statuses"] == {"200": 4, "404": 1}


def test_reset_deletes_all_records(iam: Any, eks: Any, control: AwsControl, role_arn: str) -> None:
    create_cluster(eks, "demo")
    eks.create_pod_identity_association(
        clusterName="demo", namespace="n", serviceAccount="s", roleArn=role_arn, clientRequestToken="t"
    )
    iam.attach_role_policy(RoleName="app", PolicyArn=create_policy(iam, "p"))
    control.set_faults([{"kind": "throttle", "operation": "iam:GetRole"}])
    control.reset()
    assert not any(control.state(ACCOUNT).values())
    assert control.counters()["total"] == 0
    policy = create_policy(iam, "p")
    create_role(iam, "app")
    create_cluster(eks, "demo")
    assert eks.list_pod_identity_associations(clusterName="demo")["associations"] == []
    assert iam.list_entities_for_policy(PolicyArn=policy)["PolicyRoles"] == []
    assert iam.get_policy(PolicyArn="arn:aws:iam::aws:policy/SecretsManagerReadWrite")


def undated(value: Any) -> Any:
    if isinstance(value, list):
        return [undated(item) for item in value]
    if not isinstance(value, dict):
        return value
    dates = ("CreateDate", "UpdateDate", "createdAt", "modifiedAt")
    return {name: undated(member) for name, member in value.items() if name not in dates}


class TestCheckpoint:
    def test_restore_restores_records_and_indexes(
        self, iam: Any, eks: Any, control: AwsControl, role_arn: str
    ) -> None:
        create_cluster(eks, "demo")
        request = {"clusterName": "demo", "namespace": "n", "serviceAccount": "s", "roleArn": role_arn}
        created = eks.create_pod_identity_association(**request)["association"]
        customer, aws = create_policy(iam, "p"), "arn:aws:iam::aws:policy/SecretsManagerReadWrite"
        for policy in (customer, aws):
            iam.attach_role_policy(RoleName="app", PolicyArn=policy)
        saved_state = control.state(ACCOUNT)
        control.save("start")
        for _ in range(2):
            eks.delete_pod_identity_association(clusterName="demo", associationId=created["associationId"])
            eks.create_pod_identity_association(**{**request, "namespace": "other"})
            for policy in (customer, aws):
                iam.detach_role_policy(RoleName="app", PolicyArn=policy)
            iam.create_policy_version(PolicyArn=customer, PolicyDocument=READ_BUCKET)
            iam.update_role(RoleName="app", Description="changed")
            create_role(iam, "another")
            control.reset()
            create_role(iam, "stray")
            control.set_faults([{"kind": "throttle"}])
            control.restore("start")
            assert undated(control.state(ACCOUNT)) == undated(saved_state)
            assert control.counters()["total"] == 0
            # These responses use the indexes of attachments, which must be restored as well.
            for policy in (customer, aws):
                (role,) = iam.list_entities_for_policy(PolicyArn=policy)["PolicyRoles"]
                assert role["RoleName"] == "app"
                assert iam.get_policy(PolicyArn=policy)["Policy"]["AttachmentCount"] == 1
            assert iam.get_role(RoleName="APP")["Role"]["Arn"] == role_arn
            (summary,) = eks.list_pod_identity_associations(clusterName="demo")["associations"]
            assert summary["associationId"] == created["associationId"]
            assert api_error(lambda: iam.get_role(RoleName="stray"))[0] == 404

    def test_restore_keeps_age_of_records(
        self, iam: Any, eks: Any, control: AwsControl, role_arn: str
    ) -> None:
        create_cluster(eks, "demo")
        request = {"clusterName": "demo", "namespace": "n", "serviceAccount": "s", "roleArn": role_arn}
        created = eks.create_pod_identity_association(**request)["association"]["associationId"]
        policy = create_policy(iam, "p")

        def dates() -> list[datetime]:
            described = eks.describe_pod_identity_association(clusterName="demo", associationId=created)
            entities = [iam.get_role(RoleName="app")["Role"], iam.get_policy(PolicyArn=policy)["Policy"]]
            return [*(entity["CreateDate"] for entity in entities), described["association"]["createdAt"]]

        original = dates()
        control.save("now")
        time.sleep(1.2)
        control.restore("now")
        shifts = [restored - date for restored, date in zip(dates(), original, strict=True)]
        assert all(timedelta(seconds=1) <= shift < timedelta(minutes=1) for shift in shifts)


class TestClient:
    def test_grow_older_changes_dates_of_account(
        self, eks: Any, iam: Any, control: AwsControl, role_arn: str
    ) -> None:
        create_cluster(eks, "demo")
        policy = create_policy(iam, "p")
        created = eks.create_pod_identity_association(
            clusterName="demo", namespace="n", serviceAccount="s", roleArn=role_arn
        )["association"]
        name = role_arn.rpartition("/")[2]

        def dates() -> list[Any]:
            record = eks.describe_pod_identity_association(
                clusterName="demo", associationId=created["associationId"]
            )["association"]
            document = iam.get_policy(PolicyArn=policy)["Policy"]
            version = iam.get_policy_version(PolicyArn=policy, VersionId="v1")["PolicyVersion"]
            role = iam.get_role(RoleName=name)["Role"]
            return [
                record["createdAt"],
                record["modifiedAt"],
                role["CreateDate"],
                document["CreateDate"],
                document["UpdateDate"],
                version["CreateDate"],
            ]

        original = dates()
        control.grow_older("444455556666", 60)
        assert dates() == original
        control.grow_older(ACCOUNT, 3600)
        assert dates() == [date - timedelta(hours=1) for date in original]
        with pytest.raises(ControlError, match=r"s must be a number of at least 0: -1\.0"):
            control.grow_older(ACCOUNT, -1)
