# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how options of a module become the subject of a check."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import Subject
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    FactError,
    parse_subject,
)

CLUSTER = "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"
FOREIGN = "arn:aws:iam::444455556666:role/api"

INVALID = [
    (
        {"cluster_arn": "my-cluster"},
        "cluster_arn 'my-cluster' is not valid; expected a value such as "
        "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster.",
    ),
    (
        {"role_arn": "my-role"},
        "role_arn 'my-role' is not valid; expected a value such as arn:aws:iam::111122223333:role/my-role.",
    ),
    ({"account_id": "1"}, "account_id '1' is not valid; expected a value such as 111122223333."),
    ({"source_org_id": "org"}, "source_org_id 'org' is not valid; expected a value such as o-abcd123456."),
    (
        {"cluster_arn": CLUSTER, "account_id": "444455556666"},
        f"account_id 444455556666 is not the account of cluster_arn {CLUSTER}.",
    ),
    ({"namespace": "Not_A_Name"}, "namespace 'Not_A_Name' is not valid; expected a value such as default."),
    ({"namespace": "a" * 64}, f"namespace '{'a' * 64}' is not valid; expected a value such as default."),
    (
        {"cluster_arn": CLUSTER, "pod_identity_role_arn": FOREIGN},
        f"pod_identity_role_arn {FOREIGN} is not in the account of cluster_arn {CLUSTER}.",
    ),
    (
        {"service_account": "-app"},
        "service_account '-app' is not valid; expected a value such as my-service-account.",
    ),
    (
        {"service_account": "a" * 254},
        f"service_account '{'a' * 254}' is not valid; expected a value such as my-service-account.",
    ),
    ({"pod_name": "Web"}, "pod_name 'Web' is not valid; expected a value such as web-1."),
    (
        {"pod_uid": "a b"},
        "pod_uid 'a b' is not valid; expected a value such as 92bb72e7-6d30-4bb8-a1f9-1d9b6a6a4b3c.",
    ),
    ({"external_id": "a"}, "external_id 'a' is not valid; expected a value such as my-external-id."),
    ({"role_name": "team/app"}, "role_name 'team/app' is not valid; expected a value such as my-role."),
    (
        {"cluster_name": "my cluster"},
        "cluster_name 'my cluster' is not valid; expected a value such as my-cluster.",
    ),
    (
        {"cluster_arn": CLUSTER, "cluster_name": "other"},
        f"cluster_name other is not the name of cluster_arn {CLUSTER}.",
    ),
    ({"cluster_arn": ""}, f"cluster_arn is empty. Set a value such as {CLUSTER}, or remove the option."),
    ({"namespace": ""}, "namespace is empty. Set a value such as default, or remove the option."),
    ({"account_id": " "}, "account_id is empty. Set a value such as 111122223333, or remove the option."),
]


def test_options_of_one_account_are_accepted():
    role = "arn:aws:iam::111122223333:role/api"
    options = {"cluster_arn": CLUSTER, "account_id": "111122223333", "pod_identity_role_arn": role}
    subject = parse_subject(
        {**options, "cluster_name": "my-cluster", "session_tags": False, "pod_name": None}
    )
    assert subject == Subject(CLUSTER, account_id="111122223333", session_tags=False, cluster="my-cluster")


@pytest.mark.parametrize(("options", "message"), INVALID, ids=[message for _options, message in INVALID])
def test_rejects_invalid_options(options, message):
    with pytest.raises(FactError) as caught:
        parse_subject(options)
    assert str(caught.value) == message
