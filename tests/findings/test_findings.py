# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that each finding has a scenario, and that each scenario causes exactly its findings, or none without a fault."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import REPAIRED, Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import split_commands
from ansible_collections.workload_identity.aws.tests.findings.breaks_aws import (
    add_admin_policy,
    another_default_version,
    attach_admin,
    change_policy,
)
from ansible_collections.workload_identity.aws.tests.findings.conftest import NewWorld
from ansible_collections.workload_identity.aws.tests.findings.remedies import (
    APPLY,
    Repair,
    remedy_commands,
    run_command,
)
from ansible_collections.workload_identity.aws.tests.findings.scenarios import SCENARIOS, Scenario
from ansible_collections.workload_identity.aws.tests.findings.world import GUIDE, World

# Codes of a verification that do not belong to a check of a workload.
RUN_CODES = (
    Code.BULK_READ_DENIED,
    Code.NOTHING_VERIFIED,
    Code.NOT_OWNED,
    Code.PERMISSION_NO_SUCH_ACTION,
    Code.PERMISSION_RESOURCE_MISMATCH,
    Code.POLICY_ATTACHED_EXTRA,
    Code.ROLE_RESTRICTED,
    Code.TRUST_OPEN_TO_EVERYONE,
    Code.TRUST_STATEMENT_FOREIGN,
    Code.TRUST_WITHOUT_ASSOCIATION,
    Code.UNLISTED_ASSOCIATIONS,
)

# Codes that only a teardown or a purge reports.
REMOVAL_CODES = frozenset({Code.POD_LOSES_ROLE})

# Codes of data that could not be read. Each check that needs the data reports them.
UNREAD_CODES = frozenset(
    {
        Code.KUBERNETES_API_DIFFERS,
        Code.KUBERNETES_API_UNKNOWN,
        Code.KUBERNETES_NOT_READABLE,
        Code.NOT_READABLE,
    }
)


def test_every_verification_code_has_a_scenario() -> None:
    groups = yaml.safe_load(
        (Path(__file__).resolve().parents[2] / "docs/codes.yml").read_text(encoding="utf-8")
    )
    workload_codes = (
        code for name in ("verification", "kubernetes", "injection", "proof") for code in groups[name]
    )
    codes = {*workload_codes, *RUN_CODES} - REMOVAL_CODES
    assert {scenario.code for scenario in SCENARIOS if scenario.code} == codes


def test_additional_findings_have_a_reason() -> None:
    assert [scenario.name for scenario in SCENARIOS if bool(scenario.also) != bool(scenario.because)] == []


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario(new_world: NewWorld, scenario: Scenario) -> None:
    world = new_world()
    world.build(*scenario.made(world))
    scenario.arrange(world)
    findings = world.verification()["findings"]
    assert findings == list({str(finding): finding for finding in findings}.values())
    assert all(finding["severity"] in Code(finding["code"]).severities for finding in findings)
    report = world.report()
    assert sorted(finding["code"] for finding in report["findings"]) == scenario.codes, report["lines"]
    severities = {finding["severity"] for finding in report["findings"]}
    assert report["failed"] is ("error" in severities)
    statuses = {row["status"] for row in report["workloads"]}
    if not scenario.code:
        assert statuses == {"pass"}
    messages = [finding["message"] for finding in report["findings"] if finding["code"] == scenario.code]
    assert not scenario.reason or any(scenario.reason in message for message in messages), messages
    for finding in report["findings"]:
        check_commands(finding["remedy"])
    check_columns(report)
    if isinstance(scenario.remedy, Repair):
        [remedy] = {finding["remedy"] for finding in report["findings"] if finding["code"] == scenario.code}
        check_repair(world, remedy, scenario.remedy)


def test_each_remedy_is_applied_or_has_a_reason() -> None:
    assert [scenario.name for scenario in SCENARIOS if bool(scenario.code) != bool(scenario.remedy)] == []


def test_scenario_names_are_unique() -> None:
    assert [
        name for name, count in Counter(scenario.name for scenario in SCENARIOS).items() if count > 1
    ] == []


def test_repaired_has_every_code_that_a_run_repairs() -> None:
    applied = {
        Code(scenario.code)
        for scenario in SCENARIOS
        if isinstance(repair := scenario.remedy, Repair)
        and (repair.excerpt.startswith(APPLY.excerpt) or repair.options.keys() & {"adopt", "force"})
    }
    assert applied == REPAIRED, "see REPAIRED in _findings/codes.py"


def check_columns(report: Mapping[str, Any]) -> None:
    """Check that findings of the cluster, its Pods and its service accounts belong to the column that reports them."""
    for row in report["workloads"]:
        for check in row["checks"]:
            if check["name"] in ("service account", "agent", "injection", "pods", "proof"):
                codes = {Code(code) for code in check["codes"]} - UNREAD_CODES
                assert [code for code in codes if code.check != check["name"]] == [], check["name"]


def check_commands(remedy: str) -> None:
    """Check that a shell can parse the commands of a remedy, and that the rest of its text contains no commands."""
    prose, commands = split_commands(remedy)
    assert not re.search(r"(^|[^:] )(kubectl|aws (iam|eks|sts)) [a-z-]", prose), remedy
    for command in commands:
        assert not command.endswith((".", ",", ";")), remedy
        assert ". " not in command, remedy
        shlex.split(command)


def check_repair(world: World, remedy: str, repair: Repair) -> None:
    """Follow the remedy, verify again, and check the remaining findings."""
    assert repair.excerpt in remedy
    if repair.has_command:
        [command] = remedy_commands(remedy)
        run_command(world, command)
    elif repair.apply is not None:
        repair.apply(world)
    else:
        world.workloads = [{**workload, **repair.changes} for workload in world.workloads]
        world.converge(**repair.options)
        # A Pod that is older than its role would cause another finding, so recreate it.
        world.pod()
    assert [finding["code"] for finding in world.report()["findings"]] == list(repair.remaining_codes)


def test_consequence_is_found_if_cause_is_accepted(new_world: NewWorld) -> None:
    """Ignore the code of a changed policy. The missing permission that the change causes must still be an error."""
    world = new_world()
    world.build(GUIDE)
    change_policy(world)
    report = world.report(ignore=["POLICY_CONTENTS_DIFFER"])
    assert [(finding["code"], finding.get("accepted", False)) for finding in report["findings"]] == [
        ("POLICY_CONTENTS_DIFFER", True),
        ("PERMISSION_DENIED", False),
    ]
    assert report["failure"].startswith(
        f"default/my-service-account: role {world.role_arn} is not allowed to perform"
    )
    checks = {check["name"]: check for check in report["workloads"][0]["checks"]}
    assert (checks["contents"]["status"], checks["permissions"]["status"]) == ("accepted", "fail")
    assert checks["permissions"]["codes"] == ["PERMISSION_DENIED"]


@pytest.mark.parametrize("arrange", [attach_admin, add_admin_policy])
def test_administrator_is_not_accepted_with_another_code(
    new_world: NewWorld, arrange: Callable[[World], object]
) -> None:
    world = new_world()
    world.build(GUIDE)
    arrange(world)
    others = [code for code in Code if code != Code.POLICY_ADMINISTERS]
    report = world.report(ignore=others)
    assert [(finding["code"], finding.get("accepted", False)) for finding in report["findings"]] == [
        ("POLICY_ADMINISTERS", False)
    ]
    assert report["failed"] is True


def test_other_default_version_fails_two_checks_with_one_finding(new_world: NewWorld) -> None:
    world = new_world()
    world.build(GUIDE)
    another_default_version(world)
    report = world.report()
    checks = {check["name"]: check for check in report["workloads"][0]["checks"]}
    assert [checks[name]["status"] for name in ("version", "contents")] == ["fail", "fail"]
    assert [finding["code"] for finding in report["findings"]] == ["POLICY_CONTENTS_DIFFER"]


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        (
            "boundary removed",
            [
                "role {role} differs from its configuration: permissions_boundary is (none), not {account}:policy/boundary."
            ],
        ),
        (
            "description changed",
            [
                "role {role} differs from its configuration: description is changed by hand, not my-role-description."
            ],
        ),
        (
            "tag of the role changed",
            ["role {role} differs from its configuration: tag team is others, not payments."],
        ),
        (
            "tag of the policy changed",
            ["policy {policy} differs from its configuration: tag team is others, not payments."],
        ),
        (
            "different policy description requested",
            [
                "policy {policy} differs from its configuration: description is Reads secrets, not Reads objects. IAM cannot "
                "change the description of a policy."
            ],
        ),
        (
            "policy description requested, none stored",
            [
                "policy {policy} differs from its configuration: description is (none), not Reads objects. IAM cannot change "
                "the description of a policy."
            ],
        ),
        (
            "tag of the association removed",
            [
                "association {association} of default/my-service-account differs from its configuration: tag team is (none), "
                "not payments."
            ],
        ),
        (
            "managed-by tag of the role removed",
            ["without this collection's tag, teardown and purge keep role {role}."],
        ),
        (
            "inline policy added",
            ["role my-role has the inline policy more, which is not part of the role's configuration."],
        ),
        (
            "inline policy of an administrator added",
            ["role my-role has the inline policy all, which lets it administer the account."],
        ),
        (
            "policy of an administrator attached",
            [
                "role my-role also has arn:aws:iam::aws:policy/AdministratorAccess attached, which lets it administer the "
                "account."
            ],
        ),
        (
            "boundary without a granted action",
            [
                "role {role} has no effective permissions: permissions boundary "
                "{account}:policy/boundary rules out everything that its policies grant."
            ],
        ),
    ],
)
def test_drift_message(new_world: NewWorld, name: str, messages: list[str]) -> None:
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == name)
    world = new_world()
    world.build(*scenario.made(world))
    scenario.arrange(world)
    names = {
        "role": world.role_arn,
        "policy": world.policy_arn,
        "account": f"arn:aws:iam::{world.account}",
        "association": world.association_id,
    }
    assert [finding["message"] for finding in world.report()["findings"]] == [
        text.format(**names) for text in messages
    ]


def test_missing_association_names_similar_one(new_world: NewWorld) -> None:
    world = new_world()
    world.build(GUIDE)
    world.workloads = [{**GUIDE, "namespace": "kube-public"}]
    [missing] = [
        finding for finding in world.verification()["findings"] if finding["code"] == "ASSOCIATION_MISSING"
    ]
    assert missing["message"].endswith(" The cluster has an association for default/my-service-account.")


def test_no_permission_check_without_required_permissions(new_world: NewWorld) -> None:
    world = new_world()
    world.build({**GUIDE, "required_permissions": []})
    report = world.report()
    assert report["findings"] == []
    assert "permissions" not in {check["name"] for check in report["workloads"][0]["checks"]}
