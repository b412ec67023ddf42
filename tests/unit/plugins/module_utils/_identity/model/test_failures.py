# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The failure that an error of AWS makes of an action."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import aws_failure
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Failure,
    request_failure,
    role_target,
)

KEYS = (WorkloadKey("my-cluster", "default", "app"),)
ERROR = classify("iam:DeleteRole", "DeleteConflict", "In use.")


def test_a_failure_says_what_aws_says() -> None:
    assert request_failure(ERROR, KEYS, role_target("r"), "delete") == Failure(
        KEYS,
        role_target("r"),
        "delete",
        "DeleteConflict",
        "iam:DeleteRole: In use.",
        "Something else still uses it; detach it there first.",
        False,
    )


def test_a_failure_may_say_more_around_it() -> None:
    failure = request_failure(
        ERROR, KEYS, role_target("r"), "delete", before="Not so: ", after=" Done: nothing.", partly=True
    )
    assert failure.message == "Not so: iam:DeleteRole: In use. Done: nothing."
    assert failure.partly


@pytest.mark.parametrize(("prefix", "name"), [("", "profile"), ("pod_identity_", "pod_identity_profile")])
def test_missing_credentials_are_asked_for_with_what_the_caller_can_set(prefix: str, name: str) -> None:
    """The role has no option access_key."""
    error = classify("sts:GetCallerIdentity", "NoCredentialsError", "Unable to locate credentials")
    remedy = (
        "Give credentials: an AWS credential on the job template, AWS_PROFILE, AWS_ACCESS_KEY_ID and "
        f"AWS_SECRET_ACCESS_KEY, or the option {name}."
    )
    assert aws_failure(error, None, prefix) == {
        "msg": "sts:GetCallerIdentity: NoCredentialsError: Unable to locate credentials. "
        f"{remedy} Nothing was changed.",
        "error_code": "NoCredentialsError",
        "remedy": remedy,
    }
