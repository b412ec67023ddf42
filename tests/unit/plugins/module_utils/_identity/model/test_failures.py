# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The failure that an error of AWS makes of an action."""

from __future__ import annotations

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.key import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.failures import (
    Failure,
    request_failure,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import role_target

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
