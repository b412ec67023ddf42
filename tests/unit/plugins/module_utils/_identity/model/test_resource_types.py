# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    ObservedAssociation,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Change
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import Cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import Observed
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.policies import (
    ObservedPolicy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.resource_types import (
    is_visible,
    was_read,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import ObservedRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Action,
    Target,
    association_target,
    policy_target,
    role_target,
    trust_target,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    TRUST_BARE,
    TRUST_EC2,
    document,
    key,
)

GET, PUT = document("s3:GetObject"), document("s3:PutObject")
ROLE = ObservedRole("App", "arn:role", "/", TRUST_BARE, description="text", attached=("one",))
POLICY = ObservedPolicy("arn:policy", "policy", "v1", document=GET)
APP = key("app")
ASSOCIATION = ObservedAssociation(APP, "a-1", "arn:association", "arn:role")
ATTACHMENT = Target("attachment", "App", "one")
OTHER_ATTACHMENT = Target("attachment", "App", "two")
TRUST = ({"trust_policy": TRUST_EC2}, {"trust_policy": TRUST_BARE})
State = Mapping[str, object] | None


def change(target: Target, action: Action, old: State = None, new: State = None) -> Change:
    return Change(0, target, action, (APP,), old, new, ())


@pytest.mark.parametrize(
    ("made", "resource", "visible"),
    [
        pytest.param(change(role_target("App"), "create"), ROLE, True, id="created"),
        pytest.param(change(role_target("App"), "create"), None, False, id="not yet created"),
        pytest.param(change(role_target("App"), "delete"), None, True, id="deleted"),
        pytest.param(change(role_target("App"), "delete"), ROLE, False, id="not yet deleted"),
        pytest.param(
            change(role_target("App"), "update", {"description": "old"}, {"description": "text"}),
            ROLE,
            True,
            id="updated",
        ),
        pytest.param(
            change(role_target("App"), "update", {"description": "text"}, {"description": "new"}),
            ROLE,
            False,
            id="not yet updated",
        ),
        pytest.param(
            change(role_target("App"), "update", {"description": "old"}, {"description": "new"}),
            ROLE,
            True,
            id="changed by another process afterwards",
        ),
        pytest.param(
            change(role_target("App"), "update", {}, {}), None, False, id="an update without a role"
        ),
        pytest.param(change(trust_target("App"), "update", *TRUST), ROLE, True, id="trust policy"),
        pytest.param(
            change(trust_target("App"), "update", *reversed(TRUST)), ROLE, False, id="former trust policy"
        ),
        pytest.param(change(ATTACHMENT, "attach"), ROLE, True, id="attached"),
        pytest.param(change(OTHER_ATTACHMENT, "attach"), ROLE, False, id="not yet attached"),
        pytest.param(change(ATTACHMENT, "detach", {"policy": "one"}), ROLE, False, id="not yet detached"),
        pytest.param(change(OTHER_ATTACHMENT, "detach", {"policy": "two"}), ROLE, True, id="detached"),
        pytest.param(change(ATTACHMENT, "replace", {"policy": "two"}), ROLE, True, id="policy replaced"),
        pytest.param(
            change(ATTACHMENT, "replace", {"policy": "two"}),
            replace(ROLE, attached=("one", "two")),
            False,
            id="replaced policy still attached",
        ),
        pytest.param(
            change(policy_target("arn:policy"), "update", {"document": GET}, {"document": PUT}),
            POLICY,
            False,
            id="former document",
        ),
        pytest.param(
            change(association_target(APP), "delete", {"association_id": "a-0"}),
            ASSOCIATION,
            True,
            id="replaced by another process",
        ),
        pytest.param(
            change(association_target(APP), "delete", {"association_id": "a-1"}),
            ASSOCIATION,
            False,
            id="association not yet deleted",
        ),
    ],
)
def test_change_is_visible_once_reads_show_it(made: Change, resource: Any, visible: bool) -> None:
    assert is_visible(resource, made) is visible


def observed(**fields: Any) -> Observed:
    cluster = Cluster(CLUSTER, "arn:cluster", "111122223333", "us-west-2", "aws")
    return Observed(cluster, **fields)


@pytest.mark.parametrize(
    ("target", "read"),
    [
        (role_target("App"), True),
        (trust_target("App"), True),
        (ATTACHMENT, True),
        (role_target("other"), False),
        (policy_target("arn:policy"), True),
        (policy_target("other"), False),
        # The run has listed all associations of the cluster, so it also knows that an association does not exist.
        (association_target(APP), True),
    ],
)
def test_target_in_the_observation_was_read(target: Target, read: bool) -> None:
    found = observed(roles={"app": ROLE}, policies={"arn:policy": None})
    assert was_read(found, target) is read
