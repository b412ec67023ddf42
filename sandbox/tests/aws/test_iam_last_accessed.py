# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the operations that report when roles were last used, and when they last accessed services."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sandbox.aws.control import AwsControl, AwsControlError

from .conftest import ACCOUNT, api_error, create_policy, create_role

USED = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
TEXT = "2026-11-01T12:00:00Z"


def put_policy(iam: Any, *actions: str) -> str:
    arn: str = create_role(iam, "app")
    statements = [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName="app", PolicyName="own", PolicyDocument=document)
    return arn


def report(iam: Any, arn: str, **options: Any) -> Any:
    job = iam.generate_service_last_accessed_details(Arn=arn, **options)["JobId"]
    return iam.get_service_last_accessed_details(JobId=job)


class TestRoleLastUsed:
    def test_role_without_use(self, iam: Any) -> None:
        create_role(iam, "app")
        assert iam.get_role(RoleName="app")["Role"]["RoleLastUsed"] == {}

    def test_use_is_in_all_reads(self, iam: Any, control: AwsControl) -> None:
        create_role(iam, "app")
        control.patch_role(ACCOUNT, "app", RoleLastUsed={"LastUsedDate": TEXT, "Region": "us-west-2"})
        expected = {"LastUsedDate": USED, "Region": "us-west-2"}
        assert iam.get_role(RoleName="app")["Role"]["RoleLastUsed"] == expected
        [detail] = iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"]
        assert detail["RoleLastUsed"] == expected
        control.grow_older(ACCOUNT, 86400)
        used = iam.get_role(RoleName="app")["Role"]["RoleLastUsed"]
        assert used["LastUsedDate"] == USED - timedelta(days=1)

    def test_missing_role(self, control: AwsControl) -> None:
        with pytest.raises(AwsControlError, match=f"no role x in account {ACCOUNT}"):
            control.patch_role(ACCOUNT, "x", RoleLastUsed={})


class TestServices:
    def test_services_of_all_policies(self, iam: Any, control: AwsControl) -> None:
        arn = put_policy(iam, "s3:GetObject", "sqs:*")
        iam.attach_role_policy(RoleName="app", PolicyArn=create_policy(iam, "more"))
        control.patch_role(
            ACCOUNT, "app", LastAccessed={"s3": TEXT, "s3:DeleteBucket": "", "s3:CreateBucket": TEXT}
        )
        found = report(iam, arn)
        assert (found["JobStatus"], found["JobType"]) == ("COMPLETED", "SERVICE_LEVEL")
        services = {entry["ServiceNamespace"]: entry for entry in found["ServicesLastAccessed"]}
        assert services.keys() == {"s3", "sqs"}
        assert services["s3"]["LastAuthenticated"] == USED
        assert "LastAuthenticated" not in services["sqs"]
        assert "TrackedActionsLastAccessed" not in services["s3"]
        [service, _sqs] = report(iam, arn, Granularity="ACTION_LEVEL")["ServicesLastAccessed"]
        used, unused = service["TrackedActionsLastAccessed"]
        assert used == {"ActionName": "CreateBucket", "LastAccessedTime": USED, "LastAccessedEntity": arn}
        assert unused == {"ActionName": "DeleteBucket"}

    def test_all_actions(self, iam: Any) -> None:
        services = report(iam, put_policy(iam, "*"))["ServicesLastAccessed"]
        assert len(services) > 5

    def test_pages(self, iam: Any) -> None:
        job = iam.generate_service_last_accessed_details(Arn=put_policy(iam, "s3:*", "sqs:*"))["JobId"]
        first = iam.get_service_last_accessed_details(JobId=job, MaxItems=1)
        second = iam.get_service_last_accessed_details(JobId=job, Marker=first["Marker"])
        pages = [first, second]
        assert [page["ServicesLastAccessed"][0]["ServiceNamespace"] for page in pages] == ["s3", "sqs"]
        assert [page["IsTruncated"] for page in pages] == [True, False]

    def test_missing_role_and_job(self, iam: Any) -> None:
        arn = f"arn:aws:iam::{ACCOUNT}:role/nobody"
        _status, code, _message = api_error(lambda: iam.generate_service_last_accessed_details(Arn=arn))
        assert code == "NoSuchEntity"
        job = "00000000-0000-0000-0000-000000000000"
        _status, code, _message = api_error(lambda: iam.get_service_last_accessed_details(JobId=job))
        assert code == "NoSuchEntity"
