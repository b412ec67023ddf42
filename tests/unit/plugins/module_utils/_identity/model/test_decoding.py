# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.policies import (
    ObservedPolicy,
    PolicyVersion,
    decode_policy,
    decode_version,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.rows import (
    association_summary,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    document,
)

SUMMARY = {
    "clusterName": "c",
    "namespace": "n",
    "serviceAccount": "s",
    "associationArn": "arn",
    "associationId": "a-1",
}


def test_policy_is_decoded_with_its_versions() -> None:
    raw = {"Arn": "arn", "PolicyName": "p", "DefaultVersionId": "v3", "Tags": [{"Key": "a", "Value": "b"}]}
    assert decode_policy(raw) == ObservedPolicy("arn", "p", "v3", {"a": "b"})
    assert decode_version({"VersionId": "v12", "IsDefaultVersion": False}) == PolicyVersion("v12", False)
    read = {"VersionId": "v1", "IsDefaultVersion": True, "Document": quote(json.dumps(document("a:B")))}
    assert decode_version(read) == PolicyVersion("v1", True, document("a:B"))


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
