# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.addons import (
    ObservedAddon,
    decode_addon,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.rows import (
    association_summary,
)

SUMMARY = {
    "clusterName": "c",
    "namespace": "n",
    "serviceAccount": "s",
    "associationArn": "arn",
    "associationId": "a-1",
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


def test_addon_is_decoded_whole() -> None:
    raw = {
        "addonName": "agent",
        "addonArn": "arn:addon",
        "status": "DEGRADED",
        "addonVersion": "v1",
        "configurationValues": "{}",
        "health": {"issues": [{"code": "A", "message": "b"}]},
        "tags": {"team": "a"},
        "podIdentityAssociations": ["arn:association/a-1"],
    }
    texts = ("agent", "arn:addon", "DEGRADED", "v1", "{}")
    assert decode_addon(raw) == ObservedAddon(*texts, {}, ("A: b",), {"team": "a"}, ("a-1",))
    assert decode_addon({}) == ObservedAddon("", "", "", "")
