# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the report of a migration from IRSA: rows, lines on the screen, and the failure."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import (
    Finding,
    WorkloadKey,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    Migrant,
    MigrationOptions,
    PodCredentials,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.rows import FailureRow
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.migration import (
    MigrationReport,
    migration_lines,
    migration_rows,
    report_data,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER_ARN,
    HERE,
    key,
    role_arn,
)

CALLER = "arn:aws:iam::111122223333:user/ops"
CLUSTER = replace(HERE, caller_arn=CALLER)
PLACE = "cluster my-cluster (account 111122223333, region us-west-2)"
API, WEB, JOB = key("api", "shop"), key("web", "shop"), key("job", "batch")
S2, S10 = key("s2", "shop"), key("s10", "shop")
SINCE = "2026-03-09T10:20:30+00:00"
HELD = Finding(Code.MIGRATION_PODS_HELD, "no restart replaces Pod shop/x.", "Recreate it.", WEB)


def blocker(workload: WorkloadKey = API, code: Code = Code.MIGRATION_ADDON) -> Finding:
    return Finding(code, f"{workload} is blocked.", "Remove the blocker.", workload)


def migrant(workload: WorkloadKey = API, stage: Any = "irsa", **more: Any) -> Migrant:
    return Migrant(workload, role_arn("app"), stage, **more)


def failure(workload: str = "shop/api", name: str = "app") -> FailureRow:
    return {
        "workload": workload,
        "resource": "trust_policy",
        "name": name,
        "action": "update",
        "error_code": "AccessDenied",
        "message": "iam:UpdateAssumeRolePolicy: not authorized.",
        "remedy": "Allow the caller this action.",
    }


def report(*migrants: Migrant, step: Any = "restart", rollback: bool = False, **more: Any) -> MigrationReport:
    return MigrationReport(CLUSTER, MigrationOptions(step, rollback), migrants, **more)


BLOCKED = migrant(blockers=(blocker(),))
USED = migrant(pods=PodCredentials(agent=("a", "b")))


@pytest.mark.parametrize(
    ("made", "text"),
    [
        pytest.param(report(), "", id="nothing to do"),
        pytest.param(
            report(migrant(), migrant(WEB, "restarted"), migrant(JOB, "associated")),
            f"2 of 3 service accounts of {PLACE} did not reach step restart: shop/api, batch/job. The reasons are above.",
            id="step not reached",
        ),
        pytest.param(
            report(*(migrant(key(f"app-{number}", "a")) for number in range(7)), step="associate"),
            f"7 of 7 service accounts of {PLACE} did not reach step associate: a/app-0, a/app-1, a/app-2, a/app-3, a/app-4 and "
            "2 more. The reasons are above.",
            id="many fail",
        ),
        pytest.param(report(BLOCKED, step="inventory", check_mode=True), "", id="inventory in check mode"),
        pytest.param(
            report(migrant(WEB), BLOCKED, check_mode=True, expected={WEB: "restarted", API: "irsa"}),
            f"1 of 2 service accounts of {PLACE} would not reach step restart: shop/api. The reasons are above.",
            id="check mode with a blocker",
        ),
        pytest.param(
            report(migrant(stage="associated"), migrant(WEB), rollback=True, findings=[blocker(JOB)]),
            f"2 of 3 service accounts of {PLACE} did not reach IRSA: shop/api, batch/job. The reasons are above.",
            id="not rolled back, one not in the inventory",
        ),
        pytest.param(
            report(
                migrant(),
                failures=[failure("", "role"), *map(failure, ("s10", "s2", "s2", "s3", "s4", "s5"))],
            ),
            f"The migration of {PLACE} failed for role, s2, s3, s4, s5 and 1 more. The reasons are above.",
            id="failures",
        ),
    ],
)
def test_failure_message(made: MigrationReport, text: str) -> None:
    assert made.failure == text


UNTIL = datetime(2026, 3, 10, 10, 20, 30, tzinfo=timezone.utc)


def test_report_data_is_json() -> None:
    made = report(
        BLOCKED,
        migrant(WEB, "finished", since=SINCE),
        step="finish",
        changes=["update trust policy app"],
        failures=[failure()],
        check_mode=True,
    )
    data: Any = report_data(made)
    assert json.loads(json.dumps(data)) == data
    assert data["summary"] == {
        "service_accounts": 2,
        "irsa": 1,
        "associated": 0,
        "restarted": 0,
        "finished": 1,
        "blocked": 1,
        "held": 0,
    }
    assert [(row["code"], row["workload"]) for row in data["findings"]] == [("MIGRATION_ADDON", "shop/api")]
    assert {name: data[name] for name in data if name not in ("summary", "findings")} == {
        "cluster_arn": CLUSTER_ARN,
        "caller_arn": CALLER,
        "check_mode": True,
        "step": "finish",
        "service_accounts": migration_rows(made),
        "changes": ["update trust policy app"],
        "failures": [failure()],
        "failure": f"The migration of {PLACE} failed for shop/api. The reasons are above.",
    }
    assert report_data(report(rollback=True))["step"] == "rollback"


# Tests of the lines on the screen


def test_failures_and_findings_are_in_the_order_of_their_severity() -> None:
    warning = Finding(Code.MIGRATION_HOST_NETWORK, "b.", "Do b.", API, raised_as="warning")
    made = report(
        migrant(stage="associated", notes=(warning,), since=SINCE, pods=USED.pods),
        *(migrant(WEB, holds=(HELD,)), migrant(key("zoo", "shop"))),
        *(
            migrant(name, blockers=(Finding(Code.MIGRATION_NOT_TRUSTED, "a.", "Do a.", name),))
            for name in (S2, S10)
        ),
        findings=[Finding(Code.KUBERNETES_NOT_READABLE, "c.", "Do c.", raised_as="warning")],
        failures=[failure()],
        waiting={API: UNTIL, JOB: None},
    )
    assert migration_lines(made) == [
        f"Cluster my-cluster, account 111122223333, region us-west-2, as {CALLER}",
        *("Done: 0 changes.", ""),
        "Migration from IRSA: 5 service accounts: 4 irsa, 1 associated; 2 blocked; 1 held.",
        "SERVICE ACCOUNT  ROLE  STAGE       ASSOCIATED        PODS            GROUP  NEXT",
        "shop/api         app   associated  2026-03-09 10:20  2 pod identity  -      waits",
        "shop/s2          app   irsa        -                 0               -      blocked: MIGRATION_NOT_TRUSTED",
        "shop/s10         app   irsa        -                 0               -      blocked: MIGRATION_NOT_TRUSTED",
        "shop/web         app   irsa        -                 0               -      held: MIGRATION_PODS_HELD",
        "shop/zoo         app   irsa        -                 0               -      associate",
        "  failed AccessDenied shop/api: update trust policy app: iam:UpdateAssumeRolePolicy: not authorized.",
        "    Allow the caller this action.",
        "  error MIGRATION_NOT_TRUSTED shop/s2, shop/s10: a.",
        "    Do a.",
        *("  error MIGRATION_PODS_HELD shop/web: no restart replaces Pod shop/x.", "    Recreate it."),
        "  warning KUBERNETES_NOT_READABLE: c.",
        "    Do c.",
        "  warning MIGRATION_HOST_NETWORK shop/api: b.",
        "    Do b.",
        "  info MIGRATION_WAITS batch/job: the IRSA annotation and trust statements of batch/job are kept:",
        "    EKS did not return the age of its association.",
        "    Run the step finish again, or set pod_identity_migration_soak=0.",
        "  info MIGRATION_WAITS shop/api: the IRSA annotation and trust statements of shop/api are kept: its",
        "    association is less than 24 hours old.",
        "    Run the step finish again after 2026-03-10T10:20:30Z, or set pod_identity_migration_soak=0.",
    ]


def test_long_lists_are_shortened() -> None:
    many = [migrant(key(f"app-{number}", "a"), "restarted") for number in range(60)]
    blocked = [
        migrant(key(f"bad-{number}", "b"), blockers=(blocker(key(f"bad-{number}", "b")),))
        for number in range(50)
    ]
    plain = [f"change {number}" for number in range(45)]
    restarts = [f"restart Deployment shop/web-{number}" for number in range(50)]
    more = "more, listed in pod_identity_migration.migration (pod_identity_report_file writes it to a file)"
    # Restarts are first, and all of them are shown.
    for number, expected in (
        (1, [*restarts[:1], *plain[:39], f"and 6 {more}"]),
        (50, [*restarts, f"and 45 {more}"]),
    ):
        lines = migration_lines(report(*many, *blocked, changes=[*plain, *restarts[:number]]))
        assert lines[2 : 2 + len(expected)] == [f"    {line}" for line in expected]
    start = lines.index("Migration from IRSA: 110 service accounts: 50 irsa, 60 restarted; 50 blocked.")
    table = lines[start + 2 : start + 42]
    assert [line.split()[0] for line in table] == [f"b/bad-{number}" for number in range(40)]
    assert lines[start + 42] == "  and 70 more; pod_identity_report_file writes all to a file"
    assert lines[-1] == "  and 10 more; pod_identity_report_file writes all to a file"
    assert sum(line.startswith("  error ") for line in lines) == 40
