# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    aws_failure,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Target,
    association_target,
    attachment_target,
    policy_target,
    role_target,
    trust_target,
)

ARN = "arn:aws:iam::111122223333:policy/p"
KEY = WorkloadKey("my-cluster", "default", "app")


@pytest.mark.parametrize(
    ("target", "full_name", "label", "display"),
    [
        (policy_target(ARN), ARN, f"policy {ARN}", f"policy {ARN}"),
        (role_target("r"), "r", "role r", "role r"),
        (trust_target("r"), "r", "trust_policy r", "trust policy r"),
        (
            attachment_target("r", ARN),
            f"r {ARN}",
            f"attachment r {ARN}",
            f"attachment of policy {ARN} to role r",
        ),
        (association_target(KEY), "default/app", "association default/app", "association default/app"),
        (Target("target role", "r"), "r", "target role r", "target role r"),
    ],
)
def test_target_has_a_label_and_a_display_name(
    target: Target, full_name: str, label: str, display: str
) -> None:
    assert (target.full_name, target.label, target.display) == (full_name, label, display)


@pytest.mark.parametrize(
    ("target", "other", "same"),
    [
        (role_target("r"), trust_target("R"), True),
        (role_target("r"), attachment_target("r", ARN), True),
        (role_target("r"), role_target("s"), False),
        (policy_target(ARN), attachment_target("r", ARN), False),
        (association_target(KEY), association_target(WorkloadKey("other", "default", "app")), False),
    ],
)
def test_changes_of_a_role_touch_the_same_resource(target: Target, other: Target, same: bool) -> None:
    assert (target.touched == other.touched) is same
    assert target != other


def test_targets_sort_like_their_labels() -> None:
    targets = [
        trust_target("a"),
        role_target("b"),
        role_target("a-b"),
        role_target("a"),
        attachment_target("a", ARN),
        attachment_target("a-b", ARN),
        policy_target(ARN),
        association_target(KEY),
    ]
    assert sorted(targets) == sorted(targets, key=lambda target: target.label)


def test_keys_of_two_clusters_differ_despite_equal_text() -> None:
    twin = WorkloadKey("other", "default", "app")
    assert (str(KEY), str(twin)) == ("default/app", "default/app")
    assert twin != KEY
    assert sorted([twin, KEY]) == [KEY, twin]


@pytest.mark.parametrize(("prefix", "name"), [("", "profile"), ("pod_identity_", "pod_identity_profile")])
def test_missing_credentials_name_options_of_the_caller(prefix: str, name: str) -> None:
    """Check that the remedy names only an option that the caller has: the role has no variable for access keys."""
    error = classify("sts:GetCallerIdentity", "NoCredentialsError", "Unable to locate credentials")
    remedy = (
        "Configure credentials: an AWS credential on the job template, AWS_PROFILE, AWS_ACCESS_KEY_ID and "
        f"AWS_SECRET_ACCESS_KEY, or the option {name}."
    )
    assert aws_failure(error, None, prefix) == {
        "msg": "sts:GetCallerIdentity: NoCredentialsError: Unable to locate credentials. "
        f"{remedy} Nothing was changed.",
        "error_code": "NoCredentialsError",
        "remedy": remedy,
    }
