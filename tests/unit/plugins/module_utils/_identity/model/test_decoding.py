# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    ObservedAssociation,
    decode_association,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.policies import (
    ObservedPolicy,
    PolicyVersion,
    decode_policy,
    decode_version,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import (
    ObservedRole,
    decode_role,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.rows import (
    association_row,
    association_summary,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    TRUST_BARE,
    document,
    key,
)

TIME = datetime(2026, 11, 24, 10, 15, 30, tzinfo=timezone.utc)
SUMMARY = {
    "clusterName": "c",
    "namespace": "n",
    "serviceAccount": "s",
    "associationArn": "arn",
    "associationId": "a-1",
}


@pytest.mark.parametrize(
    "trust",
    [TRUST_BARE, json.dumps(TRUST_BARE), quote(json.dumps(TRUST_BARE))],
    ids=["decoded", "JSON text", "URL-encoded"],
)
def test_role_with_all_fields_is_decoded(trust: Any) -> None:
    raw = {
        "RoleName": "r",
        "Arn": "arn:aws:iam::111122223333:role/p/r",
        "Path": "/p/",
        "AssumeRolePolicyDocument": trust,
        "Description": "text",
        "MaxSessionDuration": 7200,
        "PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": "edge"},
        "Tags": [{"Key": "a", "Value": "b"}],
    }
    assert decode_role(raw, [{"PolicyName": "p", "PolicyArn": "one"}, {"PolicyArn": "two"}]) == ObservedRole(
        "r", raw["Arn"], "/p/", TRUST_BARE, "text", 7200, "edge", {"a": "b"}, ("one", "two")
    )


def test_policy_is_decoded_with_its_versions() -> None:
    raw = {"Arn": "arn", "PolicyName": "p", "DefaultVersionId": "v3", "Tags": [{"Key": "a", "Value": "b"}]}
    assert decode_policy(raw) == ObservedPolicy("arn", "p", "v3", {"a": "b"})
    version = decode_version({"VersionId": "v12", "IsDefaultVersion": False})
    assert (version, version.number) == (PolicyVersion("v12", False), 12)
    read = {"VersionId": "v1", "IsDefaultVersion": True, "Document": quote(json.dumps(document("a:B")))}
    assert decode_version(read) == PolicyVersion("v1", True, document("a:B"))


def test_association_with_all_fields_is_decoded() -> None:
    raw = {
        **SUMMARY,
        "roleArn": "role",
        "targetRoleArn": "target",
        "externalId": "external",
        "disableSessionTags": True,
        "policy": json.dumps(document("a:B")),
        "tags": {"a": "b"},
        "ownerArn": "owner",
        "createdAt": TIME,
        "modifiedAt": TIME,
    }
    found = decode_association(raw)
    assert found == ObservedAssociation(
        key("s", "n", "c"),
        "a-1",
        "arn",
        "role",
        "target",
        True,
        document("a:B"),
        {"a": "b"},
        "owner",
        "external",
        "2026-11-24T10:15:30+00:00",
        "2026-11-24T10:15:30+00:00",
    )
    assert association_row(found) == {
        "cluster_name": "c",
        "namespace": "n",
        "service_account": "s",
        "association_id": "a-1",
        "association_arn": "arn",
        "role_arn": "role",
        "target_role_arn": "target",
        "external_id": "external",
        "disable_session_tags": True,
        "session_policy": document("a:B"),
        "tags": {"a": "b"},
        "owner_arn": "owner",
        "created_at": "2026-11-24T10:15:30+00:00",
        "modified_at": "2026-11-24T10:15:30+00:00",
    }


@pytest.mark.parametrize(("more", "owner"), [({}, ""), ({"ownerArn": "addon"}, "addon")])
def test_summary_has_the_owner(more: dict[str, str], owner: str) -> None:
    assert association_summary({**SUMMARY, **more}) == {
        "cluster_name": "c",
        "namespace": "n",
        "service_account": "s",
        "association_id": "a-1",
        "association_arn": "arn",
        "owner_arn": owner,
    }
