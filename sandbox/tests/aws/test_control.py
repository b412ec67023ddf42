# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters, latency, snapshots, reset, and the client that asks for them."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sandbox.aws.control import AwsControl, AwsControlError

from .conftest import (
    ACCOUNT,
    OTHER_ACCOUNT,
    READ_BUCKET,
    REGION,
    Endpoint,
    create_cluster,
    create_policy,
    create_role,
    refusal,
)


class TestCounters:
    def test_by_operation_account_and_status(self, endpoint: Endpoint, iam: Any, control: AwsControl) -> None:
        create_role(iam, "app")
        iam.get_role(RoleName="app")
        refusal(lambda: iam.get_role(RoleName="nobody"))
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

    def test_start_again_at_zero(self, iam: Any, control: AwsControl) -> None:
        iam.list_roles()
        assert control.counters()["total"] == 1
        control.reset_counters()
        assert control.counters()["total"] == 0

    def test_control_requests_are_not_counted(self, control: AwsControl) -> None:
        control.state(ACCOUNT)
        assert control.counters()["total"] == 0

    @pytest.mark.usefixtures("cluster")
    def test_association_operations_have_their_names(
        self, eks: Any, control: AwsControl, role_arn: str
    ) -> None:
        control.reset_counters()
        association = eks.create_pod_identity_association(
            clusterName="demo", namespace="n", serviceAccount="s", roleArn=role_arn
        )["association"]
        key = {"clusterName": "demo", "associationId": association["associationId"]}
        arn = association["associationArn"]
        eks.describe_pod_identity_association(**key)
        eks.list_pod_identity_associations(clusterName="demo")
        eks.update_pod_identity_association(**key, disableSessionTags=True)
        eks.tag_resource(resourceArn=arn, tags={"a": "b"})
        eks.list_tags_for_resource(resourceArn=arn)
        eks.untag_resource(resourceArn=arn, tagKeys=["a"])
        eks.delete_pod_identity_association(**key)
        counters = control.counters()
        verbs = ("Create", "Describe", "Update", "Delete")
        assert counters["operations"] == {
            **{f"eks:{verb}PodIdentityAssociation": 1 for verb in verbs},
            "eks:ListPodIdentityAssociations": 1,
            "eks:ListTagsForResource": 1,
            "eks:TagResource": 1,
            "eks:UntagResource": 1,
        }
        assert (counters["reads"], counters["writes"]) == (3, 5)


class TestLatency:
    def test_delays_api_answers(self, iam: Any, control: AwsControl) -> None:
        control.set_latency(300)
        before = time.monotonic()
        iam.list_roles()
        assert time.monotonic() - before >= 0.3

    @pytest.mark.parametrize("value", [-1, float("inf")])
    def test_has_to_be_a_length_of_time(self, control: AwsControl, value: float) -> None:
        with pytest.raises(AwsControlError, match="ms must be a number of at least 0"):
            control.set_latency(value)


class TestClockSkew:
    @pytest.mark.parametrize("skew", [600, -600])
    def test_shifts_what_is_written(self, iam: Any, eks: Any, control: AwsControl, skew: int) -> None:
        control.set_clock_skew(skew)
        begun = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=skew)
        arn = create_role(iam, "app")
        policy = create_policy(iam, "p")
        version = iam.create_policy_version(PolicyArn=policy, PolicyDocument=READ_BUCKET)["PolicyVersion"]
        cluster = create_cluster(eks, "demo")
        addon = eks.create_addon(clusterName="demo", addonName="coredns")["addon"]
        made = eks.create_pod_identity_association(
            clusterName="demo", namespace="n", serviceAccount="s", roleArn=arn
        )["association"]
        dates = [
            iam.get_role(RoleName="app")["Role"]["CreateDate"],
            iam.get_policy(PolicyArn=policy)["Policy"]["UpdateDate"],
            version["CreateDate"],
            cluster["createdAt"],
            addon["modifiedAt"],
            made["createdAt"],
            made["modifiedAt"],
        ]
        assert all(begun <= date < begun + timedelta(seconds=60) for date in dates), dates

    def test_is_no_excuse_for_an_early_role(self, iam: Any, eks: Any, control: AwsControl) -> None:
        """Propagation goes by the time that passes, not by dates."""
        control.set_propagation(60_000)
        control.set_clock_skew(-3600)
        create_cluster(eks, "demo")
        arn = create_role(iam, "app")
        refused = refusal(
            lambda: eks.create_pod_identity_association(
                clusterName="demo", namespace="n", serviceAccount="s", roleArn=arn
            )
        )
        assert refused[2] == "Role provided in the request does not exist"

    def test_has_bounds(self, control: AwsControl) -> None:
        with pytest.raises(AwsControlError, match="s must be a number from"):
            control.set_clock_skew(1e10)


class TestState:
    def test_holds_everything_of_the_account_alone(
        self, endpoint: Endpoint, iam: Any, eks: Any, control: AwsControl
    ) -> None:
        create_cluster(eks, "demo")
        create_role(endpoint.client("iam", account=OTHER_ACCOUNT), "other")
        policy = create_policy(iam, "p")
        arn = create_role(iam, "app")
        iam.attach_role_policy(RoleName="app", PolicyArn=policy)
        eks.create_addon(clusterName="demo", addonName="coredns")
        eks.create_pod_identity_association(
            clusterName="demo", namespace="default", serviceAccount="app", roleArn=arn
        )
        state = control.state(ACCOUNT)
        assert {kind: list(found) for kind, found in state.items()} == {
            "roles": ["app"],
            "policies": [policy],
            "instance_profiles": [],
            "clusters": [f"{REGION}/demo"],
            "addons": [f"{REGION}/demo/coredns"],
            "associations": [f"{REGION}/demo/default/app"],
        }
        assert state["roles"]["app"]["AttachedPolicies"] == [policy]
        assert state["associations"][f"{REGION}/demo/default/app"]["roleArn"] == arn

    def test_is_the_same_before_and_after_reads(self, iam: Any, control: AwsControl) -> None:
        create_role(iam, "app")
        before = control.state(ACCOUNT)
        iam.get_role(RoleName="app")
        iam.get_account_authorization_details()
        assert control.state(ACCOUNT) == before

    def test_shows_a_change(self, iam: Any, control: AwsControl) -> None:
        create_role(iam, "app")
        before = control.state(ACCOUNT)
        iam.update_role(RoleName="app", Description="changed")
        assert control.state(ACCOUNT) != before


def test_reset_forgets_everything(iam: Any, eks: Any, control: AwsControl, role_arn: str) -> None:
    create_cluster(eks, "demo")
    eks.create_pod_identity_association(
        clusterName="demo", namespace="n", serviceAccount="s", roleArn=role_arn, clientRequestToken="t"
    )
    iam.attach_role_policy(RoleName="app", PolicyArn=create_policy(iam, "p"))
    control.set_faults([{"kind": "throttle", "operation": "iam:GetRole"}])
    control.reset()
    assert all(not found for found in control.state(ACCOUNT).values())
    assert (control.counters()["total"], control.faults()) == (0, [])
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
    def test_everything_is_as_it_was(self, iam: Any, eks: Any, control: AwsControl, role_arn: str) -> None:
        create_cluster(eks, "demo")
        asked = {"clusterName": "demo", "namespace": "n", "serviceAccount": "s", "roleArn": role_arn}
        made = eks.create_pod_identity_association(**asked)["association"]
        own, aws = create_policy(iam, "p"), "arn:aws:iam::aws:policy/SecretsManagerReadWrite"
        for policy in (own, aws):
            iam.attach_role_policy(RoleName="app", PolicyArn=policy)
        kept = control.state(ACCOUNT)
        control.keep("start")
        for _ in range(2):
            eks.delete_pod_identity_association(clusterName="demo", associationId=made["associationId"])
            eks.create_pod_identity_association(**{**asked, "namespace": "other"})
            for policy in (own, aws):
                iam.detach_role_policy(RoleName="app", PolicyArn=policy)
            iam.create_policy_version(PolicyArn=own, PolicyDocument=READ_BUCKET)
            iam.update_role(RoleName="app", Description="changed")
            create_role(iam, "another")
            control.reset()
            create_role(iam, "stray")
            control.set_faults([{"kind": "throttle"}])
            control.restore("start")
            assert undated(control.state(ACCOUNT)) == undated(kept)
            assert (control.counters()["total"], control.faults()) == (0, [])
            # What is found by an index is there as well.
            for policy in (own, aws):
                (found,) = iam.list_entities_for_policy(PolicyArn=policy)["PolicyRoles"]
                assert found["RoleName"] == "app"
                assert iam.get_policy(PolicyArn=policy)["Policy"]["AttachmentCount"] == 1
            assert iam.get_role(RoleName="APP")["Role"]["Arn"] == role_arn
            (listed,) = eks.list_pod_identity_associations(clusterName="demo")["associations"]
            assert listed["associationId"] == made["associationId"]
            assert refusal(lambda: iam.get_role(RoleName="stray"))[0] == 404

    def test_it_is_as_old_as_it_was(self, iam: Any, eks: Any, control: AwsControl, role_arn: str) -> None:
        create_cluster(eks, "demo")
        asked = {"clusterName": "demo", "namespace": "n", "serviceAccount": "s", "roleArn": role_arn}
        made = eks.create_pod_identity_association(**asked)["association"]["associationId"]
        policy = create_policy(iam, "p")

        def dates() -> list[datetime]:
            described = eks.describe_pod_identity_association(clusterName="demo", associationId=made)
            found = [iam.get_role(RoleName="app")["Role"], iam.get_policy(PolicyArn=policy)["Policy"]]
            return [*(one["CreateDate"] for one in found), described["association"]["createdAt"]]

        before = dates()
        control.keep("now")
        time.sleep(1.2)
        control.restore("now")
        later = [after - date for after, date in zip(dates(), before, strict=True)]
        assert all(timedelta(seconds=1) <= difference < timedelta(minutes=1) for difference in later)

    def test_what_was_never_kept(self, control: AwsControl) -> None:
        with pytest.raises(AwsControlError, match="restore: no checkpoint start-of-nothing"):
            control.restore("start-of-nothing")


class TestClient:
    def test_association_members_nobody_can_set(self, eks: Any, control: AwsControl, role_arn: str) -> None:
        create_cluster(eks, "demo")
        association = eks.create_pod_identity_association(
            clusterName="demo", namespace="n", serviceAccount="s", roleArn=role_arn
        )["association"]
        owner = f"arn:aws:eks:{REGION}:{ACCOUNT}:addon/demo/vpc-cni/1"
        control.patch_association(ACCOUNT, REGION, "demo", association["associationId"], ownerArn=owner)
        (found,) = eks.list_pod_identity_associations(clusterName="demo")["associations"]
        assert found["ownerArn"] == owner

    def test_an_account_grows_older(self, eks: Any, iam: Any, control: AwsControl, role_arn: str) -> None:
        create_cluster(eks, "demo")
        policy = create_policy(iam, "p")
        made = eks.create_pod_identity_association(
            clusterName="demo", namespace="n", serviceAccount="s", roleArn=role_arn
        )["association"]
        name = role_arn.rpartition("/")[2]

        def dates() -> list[Any]:
            found = eks.describe_pod_identity_association(
                clusterName="demo", associationId=made["associationId"]
            )["association"]
            document = iam.get_policy(PolicyArn=policy)["Policy"]
            version = iam.get_policy_version(PolicyArn=policy, VersionId="v1")["PolicyVersion"]
            role = iam.get_role(RoleName=name)["Role"]
            return [
                found["createdAt"],
                found["modifiedAt"],
                role["CreateDate"],
                document["CreateDate"],
                document["UpdateDate"],
                version["CreateDate"],
            ]

        before = dates()
        control.grow_older("444455556666", 60)
        assert dates() == before
        control.grow_older(ACCOUNT, 3600)
        assert dates() == [date - timedelta(hours=1) for date in before]
        with pytest.raises(AwsControlError, match=r"s must be a number of at least 0: -1\.0"):
            control.grow_older(ACCOUNT, -1)

    def test_missing_resource(self, control: AwsControl) -> None:
        with pytest.raises(AwsControlError, match=f"no cluster nowhere in account {ACCOUNT}, {REGION}"):
            control.patch_cluster(ACCOUNT, REGION, "nowhere", status="FAILED")
        with pytest.raises(AwsControlError, match="no add-on x on cluster demo"):
            control.patch_addon(ACCOUNT, REGION, "demo", "x", status="DEGRADED")
        with pytest.raises(AwsControlError, match="no association a-1 on cluster demo"):
            control.patch_association(ACCOUNT, REGION, "demo", "a-1", ownerArn="x")

    def test_nothing_there(self) -> None:
        control = AwsControl("http://127.0.0.1:1")
        assert control.ready() is False
        with pytest.raises(AwsControlError, match=r"GET http://127\.0\.0\.1:1/_sandbox/counters: .*refused"):
            control.counters()
        with pytest.raises(AwsControlError, match="did not answer within 0 seconds"):
            control.wait_ready(0)
