# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test settings of a managed association that the list does not name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import (
    verify,
    workloads_from_associations,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    FakeAws,
    agent,
    desired,
    document,
    engine,
    plan,
    role_arn,
    run,
    workload,
)

TARGET = "arn:aws:iam::444455556666:role/lake-reader"
POLICY = document("s3:GetObject")
WIDE = {"name": "my-role", "trust_scope": "account"}
CODE = "ASSOCIATION_SETTINGS_EXTRA"


def changed_by_hand(raw: Mapping[str, Any], settings: Mapping[str, Any]) -> FakeAws:
    aws = FakeAws()
    run(aws, desired(raw))
    (association,) = aws.eks.associations.values()
    association.update(settings)
    return aws


def messages(findings: Any) -> list[tuple[str, str, str]]:
    return [
        (finding.severity, finding.message, finding.remedy) for finding in findings if finding.code == CODE
    ]


def checks(aws: FakeAws, raw: Mapping[str, Any]) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    spec = desired(raw)
    reads = VerificationReads(agent())
    (verified,) = verify(spec, engine(aws, spec).observer().observe(spec), reads)
    return {
        check.name: (check.status, [(str(finding.code), finding.severity) for finding in check.findings])
        for check in verified.checks
    }


NAME = "association a-00000000000000001 of default/app"
LATER = "Pods see the change after up to six hours, or at once when they are recreated."
TARGET_SET = {"targetRoleArn": TARGET}
TAGS_OFF = {"disableSessionTags": True}
LIMITED = {"disableSessionTags": True, "policy": json.dumps(POLICY)}


@pytest.mark.parametrize(
    ("raw", "settings", "severity", "message", "empty"),
    [
        pytest.param(
            workload(),
            TARGET_SET,
            "error",
            f"target_role_arn is {TARGET}. Pods get the permissions of the target role.",
            {"target_role_arn": ""},
            id="target role",
        ),
        pytest.param(
            workload(),
            TAGS_OFF,
            "error",
            f"disable_session_tags is true. Role {role_arn('my-role')} cannot be used without session tags.",
            {"disable_session_tags": False},
            id="session tags off, with conditions on them",
        ),
        pytest.param(
            workload(role=WIDE),
            TAGS_OFF,
            "warning",
            "disable_session_tags is true.",
            {"disable_session_tags": False},
            id="session tags off",
        ),
    ],
)
def test_unlisted_setting_is_reported_and_removable(
    raw: dict[str, Any],
    settings: dict[str, Any],
    severity: str,
    message: str,
    empty: dict[str, Any],
) -> None:
    aws = changed_by_hand(raw, settings)
    outcome = run(aws, desired(raw))
    assert outcome.done == ()
    pairs = " and ".join(f"{name}: {value!r}".replace("False", "false") for name, value in empty.items())
    remedy = f"List the settings if they are intended. To remove them, list {pairs}, and apply the workload. {LATER}"
    expected = (severity, f"{NAME} has settings that its workload does not list: {message}", remedy)
    assert messages(outcome.findings) == [expected]
    assert checks(aws, raw)["association"] == (
        "fail" if severity == "error" else "warning",
        [(CODE, severity)],
    )
    cleared = run(aws, desired({**raw, **empty}))
    assert cleared.failures == ()
    assert messages(cleared.findings) == []
    (association,) = aws.eks.associations.values()
    assert not association.get("targetRoleArn")
    assert not association.get("policy")
    assert checks(aws, {**raw, **empty})["association"] == ("pass", [])
    assert checks(aws, {**raw, **empty})["trust"] == ("pass", [])


def test_unlisted_session_policy_is_reported_and_replaceable() -> None:
    aws = changed_by_hand(workload(role=WIDE), LIMITED)
    outcome = run(aws, desired(workload(role=WIDE)))
    settings = f"disable_session_tags is true, session_policy is {json.dumps(POLICY, separators=(',', ':'))}."
    remedy = (
        "List the settings if they are intended. EKS cannot remove a session policy: to lift its limits, list a session "
        f"policy that allows everything. {LATER}"
    )
    message = f"{NAME} has settings that its workload does not list: {settings}"
    assert messages(outcome.findings) == [("warning", message, remedy)]
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    lifted = run(aws, desired(workload(role=WIDE, disable_session_tags=True, session_policy=everything)))
    assert (lifted.failures, messages(lifted.findings)) == ((), [])


@pytest.mark.parametrize(
    ("raw", "settings", "update"),
    [
        (workload(), TARGET_SET, {"target_role_arn": TARGET}),
        (workload(role=WIDE), TAGS_OFF, {"disable_session_tags": True}),
        (workload(role=WIDE), LIMITED, {"disable_session_tags": True, "session_policy": POLICY}),
    ],
)
def test_listed_setting_is_not_reported(
    raw: dict[str, Any], settings: dict[str, Any], update: dict[str, Any]
) -> None:
    aws = changed_by_hand(raw, settings)
    outcome = run(aws, desired({**raw, **update}))
    assert (outcome.done, outcome.failures, messages(outcome.findings)) == ((), (), [])
    assert checks(aws, {**raw, **update})["association"] == ("pass", [])


def test_check_mode_reports_unlisted_settings_with_other_changes() -> None:
    aws = changed_by_hand(workload(), TARGET_SET)
    more = workload(policies=[{"name": "more", "document": POLICY}])
    found = plan(aws, desired(more))
    assert found.changes != ()
    assert [severity for severity, _message, _remedy in messages(found.findings)] == ["error"]


def test_manually_disabled_session_tags_do_not_widen_the_trust_policy() -> None:
    aws = changed_by_hand(workload(), TAGS_OFF)
    trust = aws.iam.roles["my-role"]["trust"]
    outcome = run(aws, desired(workload()))
    assert outcome.done == ()
    assert [finding.code for finding in outcome.findings] == [CODE]
    assert aws.iam.roles["my-role"]["trust"] == trust
    # Another check reports the cause, so this check has no finding.
    assert checks(aws, workload())["trust"] == ("fail", [])


def test_association_of_another_owner_is_unchanged() -> None:
    aws = FakeAws()
    other_owner = {"owner": "data"}
    run(aws, desired(workload(target_role_arn=TARGET), **other_owner))
    for options, number in (({"owner": "web"}, 0), ({}, 0), (other_owner, 1)):
        outcome = run(aws, desired(workload(), **options))
        assert len(messages(outcome.findings)) == number


def test_unmanaged_associations_are_unchanged() -> None:
    aws = changed_by_hand(workload(), {**TARGET_SET, "tags": {}})
    outcome = run(aws, desired(workload()))
    assert messages(outcome.findings) == []
    assert checks(aws, workload())["association"] == ("pass", [("NOT_OWNED", "info")])


def test_verification_without_a_list_compares_no_settings() -> None:
    aws = changed_by_hand(workload(role=WIDE), {**TARGET_SET, **LIMITED})
    observed = engine(aws, desired(workload())).observer().observe(desired(workload()))
    (workload_,) = workloads_from_associations(observed.associations.values())
    assert workload_.association.target_role_arn == TARGET
    assert (workload_.association.disable_session_tags, workload_.association.session_policy) == (
        True,
        POLICY,
    )
