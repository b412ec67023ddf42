# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the report, which combines the results of AWS and Kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import CheckName, Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    Preflight,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    FailureRow,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    parse_service_account,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.pod_checks import (
    verify_pods,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.reads import (
    build_state,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.converge import (
    KubernetesOutcome,
    judge_cluster,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.report import (
    ReportSettings,
    make_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.rows import (
    Facts,
    Report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.text import (
    COLUMNS,
    SHOWN_ROWS,
    SMALLEST_NAME,
    WIDTH,
    note_lines,
    workload_table,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from hypothesis import given
from hypothesis import strategies as st

ACCOUNT = {"metadata": {"namespace": "shop", "name": "api"}}
DEFAULT = {"metadata": {"namespace": "shop", "name": "default"}}
IRSA = {
    "metadata": {
        "namespace": "shop",
        "name": "api",
        "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/old"},
    }
}
STALE = {
    "pods": build.read([build.pod(created=build.BEFORE, injected=False)]),
    "agents": build.read([build.agent()]),
}
ADDON = {
    "code": "AGENT_MISSING",
    "severity": "error",
    "workload": "",
    "message": "cluster my-cluster has neither.",
    "remedy": "Install it.",
}


def check(name: str, status: str, detail: str = "", *codes: str) -> dict[str, Any]:
    return {"name": name, "status": status, "detail": detail, "codes": list(codes)}


def result(*checks: dict[str, Any], findings: list[dict[str, str]] | None = None) -> dict[str, Any]:
    return build.result(build.row(cluster="my-cluster", checks=list(checks)), findings=findings or [])


def changed(**more: Any) -> dict[str, Any]:
    """Return the result of a run as the module eks_pod_identity returns it. ``more`` replaces its keys."""
    return {"changes": [], "workloads": [], "findings": [], "failures": [], "state": "present", **more}


def report(
    aws_result: dict[str, Any], accounts: Any = (ACCOUNT,), reads: Any = None, **settings: Any
) -> Report:
    aws = build.parse_aws_result(aws_result, build.CLUSTER)
    present = [parse_service_account(item, build.CLUSTER) for item in accounts]
    state = build_state(aws.verification, reads or {}, build.NOW)
    kubernetes = judge_cluster(
        aws.verification,
        Preflight({account.key: account for account in present}),
        verify_pods(aws.verification.workloads, state, build.CLUSTER),
        {},
        {},
        {},
    )
    return make_report(aws, kubernetes, ReportSettings(**settings))


def report_for(
    aws_result: dict[str, Any], kubernetes: KubernetesOutcome | None = None, **settings: Any
) -> Report:
    aws = build.parse_aws_result(aws_result, build.CLUSTER)
    return make_report(aws, kubernetes or KubernetesOutcome(), ReportSettings(**settings))


def statuses(found: Report) -> dict[str, str]:
    row: Any = found["workloads"][0]
    return {check["name"]: check["status"] for check in row["checks"]}


@pytest.mark.parametrize(
    ("accounts", "code", "status", "failed"),
    [
        ([ACCOUNT], None, "pass", False),
        ([DEFAULT], "SERVICE_ACCOUNT_MISSING", "fail", True),
        ([], "NAMESPACE_MISSING", "fail", True),
        ([IRSA], "IRSA_ANNOTATION", "warning", False),
    ],
    ids=["service account exists", "no service account", "no namespace", "IRSA annotation remains"],
)
def test_service_account_has_its_status(
    accounts: list[Any], code: str | None, status: str, failed: bool
) -> None:
    found = report(result(), accounts)
    assert [finding["code"] for finding in found["findings"]] == ([code] if code else [])
    assert statuses(found)["service account"] == status
    assert found["failed"] == failed


def test_messages_about_service_accounts() -> None:
    texts = [report(result(), accounts)["findings"][0] for accounts in ([DEFAULT], [], [IRSA])]
    assert [(item["message"], item["remedy"]) for item in texts] == [
        (
            "service account api does not exist in namespace shop.",
            "Apply the workload, which creates it (unless create_service_account is false), or create it with the "
            "workload's "
            "own manifests.",
        ),
        (
            "namespace shop does not exist.",
            "Create it, or apply the workload with create_namespace: true, which creates it.",
        ),
        (
            "service account api still has the annotation eks.amazonaws.com/role-arn "
            "(arn:aws:iam::111122223333:role/old). New Pods get EKS Pod Identity alone; Pods that "
            "were created earlier keep that role.",
            "Once its Pods are recreated and verified, remove the annotation: kubectl annotate serviceaccount api "
            "eks.amazonaws.com/role-arn- -n shop",
        ),
    ]


FAILURE = {
    "workload": "shop/api",
    "resource": "attachment",
    "name": "r arn:aws:iam::1:policy/p",
    "action": "attach",
    "error_code": "LimitExceeded",
    "message": "iam:AttachRolePolicy: Too many.",
    "remedy": "Detach one.",
}
REFUSED: FailureRow = {
    "workload": "shop/api",
    "resource": "ServiceAccount",
    "name": "shop/api",
    "action": "apply",
    "error_code": "KUBERNETES_REFUSED",
    "message": "Kubernetes returned 403: forbidden: no.",
    "remedy": "Resolve the cause and run again, which applies only the remaining changes.",
}


def test_plan_report_has_no_changes() -> None:
    change = {"resource": "role", "name": "r", "action": "create", "before": None, "after": {}}
    kubernetes = KubernetesOutcome(["apply ServiceAccount shop/api"])
    found = report_for(changed(changes=[change]), kubernetes, check_mode=True)
    assert found["lines"] == [
        "Cluster my-cluster",
        "Plan: 2 changes; nothing was changed.",
        "  create 1 role; apply 1 ServiceAccount.",
        "    create role r",
        "    apply ServiceAccount shop/api",
    ]
    assert (found["failed"], found["failure"], found["summary"]["changes"]) == (False, "", 2)
    assert found["kubernetes_changes"] == ["apply ServiceAccount shop/api"]


@pytest.mark.parametrize(
    ("check_mode", "line"),
    [(True, "Teardown plan: 1 change; nothing was changed."), (False, "Teardown done: 1 change.")],
)
def test_teardown_is_in_the_heading(check_mode: bool, line: str) -> None:
    """Check that the first lines name the teardown: a job template may set the state "absent" for site.yml."""
    change = {"resource": "role", "name": "r", "action": "delete", "before": {}, "after": None}
    found = report_for(changed(state="absent", changes=[change]), check_mode=check_mode)
    assert found["lines"][:2] == ["Cluster my-cluster", line]


def test_aws_failure_is_first() -> None:
    found = report_for(changed(failures=[FAILURE], msg="What failed."), KubernetesOutcome(failures=[REFUSED]))
    assert found["failed"]
    assert found["failure"].splitlines()[0] == "What failed."
    assert [failure["error_code"] for failure in found["failures"]] == ["LimitExceeded", "KUBERNETES_REFUSED"]


def test_failure_hides_its_consequences() -> None:
    follows = {**ADDON, "code": "POLICY_NOT_ATTACHED", "workload": "shop/api"}
    other = {**ADDON, "code": "POLICY_MISSING", "workload": "shop/web", "message": "m", "remedy": "r"}
    found = report_for(changed(failures=[FAILURE], msg="What failed.", findings=[follows, other]))
    assert found["lines"] == [
        "Cluster my-cluster",
        "Done: 0 changes.",
        "  failed LimitExceeded shop/api: attach policy arn:aws:iam::1:policy/p to role r:",
        "    iam:AttachRolePolicy: Too many.",
        "    Detach one.",
        "  error POLICY_MISSING shop/web: m",
        "    r",
    ]
    assert [finding["code"] for finding in found["findings"]] == ["POLICY_NOT_ATTACHED", "POLICY_MISSING"]


def test_finding_of_failed_workload_has_no_command() -> None:
    """Check that a finding about a failed workload offers no command: here it would grant permissions without the failed
    restriction."""
    other = {
        **MOVED,
        "code": "POLICY_CONTENTS_DIFFER",
        "severity": "error",
        "remedy": "Apply the workload, which creates a new default version. Or make version v1 the default: aws iam "
        "set-default-policy-version …",
    }
    elsewhere = {**other, "workload": "shop/web"}
    failure = {**FAILURE, "workload": "shop/api"}
    found = report_for(changed(failures=[failure], msg="What failed.", findings=[other, elsewhere]))
    assert {row["workload"]: row["remedy"] for row in found["findings"]} == {
        "shop/api": "Follow the remedy of the failure of this workload, then run again.",
        "shop/web": other["remedy"],
    }


def test_failure_keeps_unrelated_findings() -> None:
    """Check that a policy that administers the account is reported even if the workload failed for another reason."""
    follows = {**ADDON, "code": "POLICY_NOT_ATTACHED", "workload": "shop/api"}
    administers = {
        **ADDON,
        "code": "POLICY_ATTACHED_EXTRA",
        "severity": "error",
        "workload": "shop/api",
        "message": "m",
        "remedy": "r",
    }
    # The failure already has the reason of this finding, so the finding is not shown.
    reason = {**ADDON, "code": "BEING_DELETED", "workload": "shop/api"}
    failure = {**FAILURE, "error_code": "BEING_DELETED"}
    found = report_for(
        changed(failures=[failure], msg="What failed.", findings=[follows, reason, administers])
    )
    assert found["lines"][-2:] == ["  error POLICY_ATTACHED_EXTRA shop/api: m", "    r"]
    assert "failed: BEING_DELETED, POLICY_ATTACHED_EXTRA." in found["headline"]


def refused(number: int, message: str = REFUSED["message"]) -> list[dict[str, Any]]:
    names = ["shop/api", *(f"shop/app-{index}" for index in range(1, number))]
    return [{**REFUSED, "name": name, "workload": name, "message": message} for name in names]


@pytest.mark.parametrize(
    ("number", "count", "names"),
    [
        (1, "1 operation", "shop/api"),
        (2, "2 operations", "shop/api, shop/app-1"),
        (42, "42 operations", "shop/api, shop/app-1, shop/app-2 and 39 more"),
    ],
)
def test_kubernetes_failure_is_the_failure(number: int, count: str, names: str) -> None:
    """Check that objects that fail for the same reason share one message."""
    kubernetes = KubernetesOutcome(["apply ServiceAccount shop/web"], refused(number))
    found = report_for(changed(cluster_arn="arn:aws:eks:r:1:cluster/c", account_id="1"), kubernetes)
    line = (
        f"- apply ServiceAccount {names}: Kubernetes returned 403: forbidden: no. Resolve the cause and run "
        "again, which applies only the remaining changes."
    )
    assert found["failure"].splitlines() == [
        f"{count} in Kubernetes (cluster c, account 1, region r) failed:",
        line,
    ]
    output = [line for line in found["lines"] if line.startswith("  failed KUBERNETES_REFUSED")]
    assert [line.split(":")[0] for line in output] == [f"  failed KUBERNETES_REFUSED {names}"]


def test_command_is_on_a_separate_line() -> None:
    refused = {**REFUSED, "remedy": "See why: kubectl get events -n shop"}
    found = report_for(changed(), KubernetesOutcome(failures=[refused]))
    assert found["failure"].splitlines()[1:] == [
        "- apply ServiceAccount shop/api: Kubernetes returned 403: forbidden: no. See why:",
        "    kubectl get events -n shop",
    ]


def test_denials_are_grouped_by_cause() -> None:
    """Check that denials are grouped by cause, although each message of AWS names another role."""
    names = [f"app-{number}" for number in range(50)]
    rows = [
        {
            "namespace": "shop",
            "service_account": name,
            "role_arn": f"arn:aws:iam::1:role/r-{name}",
            "policy_arns": [f"arn:aws:iam::1:policy/p-{name}"],
        }
        for name in names
    ]
    refusals = [
        {
            "workload": f"shop/{name}",
            "resource": "association" if number % 3 else "role",
            "name": f"shop/{name}" if number % 3 else f"r-{name}",
            "action": "create",
            "error_code": "AccessDeniedException" if number % 3 else "AccessDenied",
            "message": [
                f"iam:CreateRole: not authorized on resource: arn:aws:iam::1:role/r-{name}",
                f"eks:CreatePodIdentityAssociation: not authorized to iam:PassRole on arn:aws:iam::1:role/r-{name}",
                f"eks:CreatePodIdentityAssociation: {name} is denied by a policy.",
            ][number % 3],
            "remedy": "Allow it.",
        }
        for number, name in enumerate(names)
    ]
    found = report_for(changed(workloads=rows, failures=refusals, msg="What failed."))
    entries = [line for line in found["lines"] if line.startswith("  failed ")]
    assert [entry.split(":")[0] for entry in entries] == [
        "  failed AccessDenied shop/app-0, shop/app-3, shop/app-6 and 14 more",
        "  failed AccessDeniedException shop/app-1, shop/app-4, shop/app-7 and 14 more",
        "  failed AccessDeniedException shop/app-2, shop/app-5, shop/app-8 and 13 more",
    ]
    text = " ".join(" ".join(found["lines"]).split())
    assert (
        "create role r-app-0, r-app-3, r-app-6 and 14 more: for r-app-0: iam:CreateRole: not authorized on resource: "
        "arn:aws:iam::1:role/r-app-0" in text
    )
    assert len(found["failures"]) == 50


def test_failures_with_different_texts_are_separate() -> None:
    texts = {"a": "role a is full", "b": "role b is gone", "c": "role d is full"}
    refusals = [
        {**FAILURE, "resource": "role", "name": name, "workload": f"shop/{name}", "message": text}
        for name, text in texts.items()
    ]
    found = report_for(changed(failures=refusals, msg="What failed."))
    assert sum(line.startswith("  failed ") for line in found["lines"]) == 3


def test_many_refusals_are_shortened() -> None:
    many = [refused(1, f"reason {number}.")[0] for number in range(42)]
    found = report_for(changed(), KubernetesOutcome(failures=many))
    assert len(found["failure"].splitlines()) == 42
    assert found["failure"].splitlines()[-1] == "- and 2 more, listed in pod_identity_report.failures."


@pytest.mark.parametrize(("state", "verb"), [("present", "applied to"), ("absent", "removed from")])
def test_error_without_result_is_the_failure(state: str, verb: str) -> None:
    found = report_for(changed(state=state), KubernetesOutcome(error="forbidden: no"))
    assert found["failed"]
    assert found["failure"] == (
        f"The service accounts could not be {verb} Kubernetes: forbidden: no. Resolve the cause and run again; "
        "changes in AWS are kept."
    )


STAYING = Finding(Code.SERVICE_ACCOUNTS_STAY, "They stay.", "Check it.")


def test_kept_service_accounts_are_findings() -> None:
    found = report_for(changed(state="absent"), KubernetesOutcome(findings=[STAYING]))
    assert [finding["code"] for finding in found["findings"]] == ["SERVICE_ACCOUNTS_STAY"]
    assert (found["failed"], found["failure"]) == (True, "They stay. Check it.")
    assert found["lines"] == [
        "Cluster my-cluster",
        "Teardown done: 0 changes.",
        "  error SERVICE_ACCOUNTS_STAY: They stay.",
        "    Check it.",
    ]
    accepted = report_for(
        changed(state="absent"), KubernetesOutcome(findings=[STAYING]), ignore=["SERVICE_ACCOUNTS_STAY"]
    )
    assert not accepted["failed"]


def test_fail_on_warning() -> None:
    found = report(result(), [IRSA], fail_on="warning")
    assert found["failed"]
    assert found["failure"].startswith("shop/api: service account api still has the annotation")


def test_stale_pods_are_the_first_failure() -> None:
    found = report(result(check("trust", "pass")), reads=STALE)
    assert statuses(found) == {"trust": "pass", "service account": "pass", "pods": "fail", "agent": "pass"}
    assert found["failed"]
    assert found["failure"].splitlines()[0].startswith("shop/api: Pod web-6d5f7c9b8-x2x4z of Deployment web")


def test_accepted_finding_is_shown_without_failure() -> None:
    found = report(result(), reads=STALE, ignore=["POD_BEFORE_ASSOCIATION"])
    assert not found["failed"]
    assert found["failure"] == ""
    assert statuses(found)["pods"] == "accepted"
    assert found["workloads"][0]["status"] == "accepted"
    assert found["findings"][0]["accepted"] is True
    assert (found["summary"]["accepted"], found["summary"]["failed"]) == (1, 0)
    assert any(line.startswith("  accepted POD_BEFORE_ASSOCIATION shop/api: ") for line in found["lines"])


def test_accepted_finding_accepts_no_other() -> None:
    found = report(result(), [DEFAULT], reads=STALE, ignore=["POD_BEFORE_ASSOCIATION"])
    assert found["failed"]
    assert found["failure"].startswith("shop/api: service account api does not exist")
    assert statuses(found) == {"service account": "fail", "pods": "accepted", "agent": "pass"}


MOVED = {
    "code": "OWNER_CHANGED",
    "severity": "warning",
    "workload": "shop/api",
    "message": "the owner of the association changes.",
    "remedy": "List it for one owner only.",
}


def test_plan_warning_changes_its_column() -> None:
    verified = result(check("trust", "pass"), check("association", "pass"), check("agent", "pass", "v1"))
    found = report_for(changed(findings=[MOVED], verification=verified))
    assert statuses(found) == {"trust": "pass", "association": "warning", "agent": "pass"}
    assert (found["summary"]["passed"], found["summary"]["warnings"]) == (0, 1)
    assert any(line.startswith("shop/api  pass   warning ") for line in found["lines"])
    row: Any = found["workloads"][0]
    assert (row["status"], row["checks"][1]["codes"]) == ("warning", ["OWNER_CHANGED"])
    assert not found["failed"]
    accepted = report_for(changed(findings=[MOVED], verification=verified), ignore=["OWNER_CHANGED"])
    assert statuses(accepted)["association"] == "accepted"


def test_warning_column_is_in_order() -> None:
    extra = {**MOVED, "code": "POLICY_ATTACHED_EXTRA"}
    verified = result(check("trust", "pass"), check("association", "fail", "", "ASSOCIATION_MISSING"))
    found = report_for(changed(findings=[extra, MOVED], verification=verified))
    assert list(statuses(found).items()) == [
        ("trust", "pass"),
        ("attachment", "warning"),
        ("association", "fail"),
    ]


@pytest.mark.parametrize("severity", ["warning", "error"])
@pytest.mark.parametrize("code", list(Code))
def test_finding_of_a_run_changes_a_status(code: Code, severity: str) -> None:
    reported = {**MOVED, "code": code.value, "severity": severity}
    verified = result(*(check(name, "pass") for name, _title, _fact in COLUMNS))
    found = report_for(changed(findings=[reported], verification=verified))
    [changed_check] = [status for status in statuses(found).values() if status != "pass"]
    assert changed_check == {"warning": "warning", "error": "fail"}[severity]
    reported["severity"] = "info"
    assert set(statuses(report_for(changed(findings=[reported], verification=verified))).values()) == {"pass"}


@pytest.mark.parametrize("code", ["POLICY_ADMINISTERS", "POLICY_ATTACHED_EXTRA", "ROLE_RESTRICTED"])
def test_finding_of_the_verification_replaces_the_one_of_the_plan(code: str) -> None:
    """Check that the finding of the verification replaces the finding of the plan, which may not know the policy document."""
    planned = {**ADDON, "code": "POLICY_ATTACHED_EXTRA", "severity": "warning", "workload": "shop/api"}
    verified = {**planned, "code": code, "message": "role my-role also has quarantine attached."}
    rest = {**planned, "workload": "shop/web"}
    existing = changed(findings=[planned, rest], verification=result(findings=[verified]))
    found = report_for(existing)
    assert [(row["workload"], row["code"], row["message"]) for row in found["findings"]] == [
        ("shop/web", "POLICY_ATTACHED_EXTRA", planned["message"]),
        ("shop/api", code, verified["message"]),
    ]


def test_consequence_of_accepted_finding_is_accepted() -> None:
    missing = {**ADDON, "code": "ROLE_MISSING", "workload": "shop/api"}
    existing = result(
        check("trust", "fail", "", "ROLE_MISSING"), check("attachment", "fail"), findings=[missing]
    )
    assert statuses(report(existing, ignore=["ROLE_MISSING"])) == {
        "trust": "accepted",
        "attachment": "accepted",
        "service account": "pass",
    }
    assert statuses(report(existing))["attachment"] == "fail"


def test_consequence_is_accepted_in_addition_to_a_warning() -> None:
    verified = result(
        check("trust", "fail", "", "TRUST_WIDE"),
        check("attachment", "warning", "", "POLICY_ATTACHED_EXTRA"),
        check("permissions", "fail"),
        findings=[
            finding_row("TRUST_WIDE", "error"),
            finding_row("POLICY_ATTACHED_EXTRA", "warning"),
        ],
    )
    found = report_for(changed(verification=verified), ignore=["TRUST_WIDE"])
    assert (found["failed"], found["verification"]["contents"]) == (False, "accepted")


@pytest.mark.parametrize("status", ["fail", "unknown"])
def test_consequence_of_cause_is_not_a_finding(status: str) -> None:
    """Check that only the cause of a failed or unknown check is reported. If the cause is accepted, its consequence is reported
    as well."""
    follows = finding_row("PERMISSION_DENIED", "error")
    verified = result(
        check("attachment", status, "", "POLICY_NOT_ATTACHED"),
        {**check("permissions", status), "follows": [follows]},
        findings=[finding_row("POLICY_NOT_ATTACHED", "error")],
    )
    found = report_for(changed(verification=verified))
    assert [row["code"] for row in found["findings"]] == ["POLICY_NOT_ATTACHED"]
    accepted = report_for(changed(verification=verified), ignore=["POLICY_NOT_ATTACHED"])
    assert [row["code"] for row in accepted["findings"]] == ["POLICY_NOT_ATTACHED", "PERMISSION_DENIED"]


def test_failed_check_without_finding_fails_the_run() -> None:
    assert report(result(check("attachment", "fail")))["failed"]


def test_warning_of_the_plan_does_not_explain_a_failed_check() -> None:
    """Let a check fail without a finding. The run must fail, although the plan has a warning about the workload."""
    found = report_for(changed(findings=[MOVED], verification=result(check("association", "fail"))))
    assert found["failed"]


def test_unknown_check_fails_the_run() -> None:
    found = report(result(), reads={"pods": build.refused("pods")})
    assert statuses(found)["pods"] == "unknown"
    assert found["failed"]
    assert found["headline"] == "Cluster my-cluster failed: KUBERNETES_NOT_READABLE. The reasons are above."
    accepted = report(result(), reads={"pods": build.refused("pods")}, ignore=["KUBERNETES_NOT_READABLE"])
    assert (accepted["failed"], statuses(accepted)["pods"]) == (False, "accepted")


NO_ADDON = check("agent", "fail", "", "AGENT_MISSING")
NO_AGENT = {
    "pods": build.read([]),
    "agents": build.read([]),
    "daemon_sets": build.read([]),
}


@pytest.mark.parametrize(
    ("aws", "findings", "reads", "status", "codes"),
    [
        (NO_ADDON, [ADDON], STALE, "pass", ["POD_BEFORE_ASSOCIATION"]),
        (NO_ADDON, [ADDON], NO_AGENT, "fail", ["AGENT_MISSING"]),
        (NO_ADDON, [ADDON], {"pods": build.read([])}, "fail", ["AGENT_MISSING"]),
        (check("agent", "pass", "v1.3.4"), [], NO_AGENT, "fail", ["AGENT_MISSING"]),
        (check("agent", "pass", "auto mode"), [], NO_AGENT, "pass", []),
        (
            check("agent", "pass", "v1.3.4"),
            [],
            {"pods": build.read([build.pod()]), "agents": build.refused("pods")},
            "pass",
            ["KUBERNETES_NOT_READABLE"],
        ),
        (
            NO_ADDON,
            [ADDON],
            {"pods": build.read([build.pod()]), "agents": build.refused("pods")},
            "fail",
            ["AGENT_MISSING", "KUBERNETES_NOT_READABLE"],
        ),
    ],
    ids=[
        "an agent of another origin",
        "no agent anywhere",
        "agents were not read",
        "add-on without DaemonSet",
        "Auto Mode",
        "add-on, agents cannot be read",
        "no add-on, agents cannot be read",
    ],
)
def test_agent_check_combines_eks_and_kubernetes(
    aws: dict[str, Any],
    findings: list[dict[str, str]],
    reads: dict[str, Any],
    status: str,
    codes: list[str],
) -> None:
    found = report(result(aws, findings=findings), reads=reads)
    assert statuses(found)["agent"] == status
    assert [finding["code"] for finding in found["findings"]] == codes
    assert {code for item in found["workloads"][0]["checks"] for code in item["codes"]} <= set(codes)


def test_cluster_finding_is_shown_once() -> None:
    existing = result(NO_ADDON, findings=[ADDON, ADDON])
    assert [finding["code"] for finding in report(existing)["findings"]] == ["AGENT_MISSING"]


def test_commands_are_not_wrapped() -> None:
    command = "kubectl rollout restart deployment/" + "long-" * 20 + "name -n shop"
    row: Any = {
        "code": "X",
        "workload": "shop/api",
        "message": "word " * 40,
        "remedy": f"Recreate the Pods: {command}",
    }
    lines = note_lines([("error", row)], "")
    assert lines[0].startswith("  error X shop/api: word word")
    assert lines[-2:] == ["    Recreate the Pods:", f"      {command}"]
    assert all(len(line) <= WIDTH for line in lines[:-1])


PLACE = {
    "cluster_arn": "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster",
    "account_id": "111122223333",
    "caller_arn": "arn:aws:iam::111122223333:user/ada",
}


def test_first_line_has_place_and_caller() -> None:
    found = report_for(changed(**PLACE), time="2026-03-10T12:00:00+00:00", version="1.0.0")
    assert found["lines"][0] == (
        "Cluster my-cluster, account 111122223333, region us-west-2, as arn:aws:iam::111122223333:user/ada"
    )
    keys = ("cluster_name", "region", *PLACE, "time", "version", "check_mode")
    assert {key: value for key, value in found.items() if key in keys} == {
        "cluster_name": "my-cluster",
        "region": "us-west-2",
        **PLACE,
        "time": "2026-03-10T12:00:00+00:00",
        "version": "1.0.0",
        "check_mode": False,
    }


def row(action: str, resource: str, name: str) -> dict[str, Any]:
    return {"resource": resource, "name": name, "action": action, "before": None, "after": {}}


def many_changes() -> list[dict[str, Any]]:
    roles = [row("create", "role", f"r{number}") for number in range(100)]
    detachments = [row("detach", "attachment", f"r{number} p") for number in range(30)]
    missing = [row("delete", "policy", f"p{number}") for number in range(30)]
    return [*roles, *detachments, *missing, row("update", "trust_policy", "r")]


def test_large_plan_shows_all_changes_removals_first() -> None:
    kubernetes = KubernetesOutcome(["remove ServiceAccount shop/api"])
    lines = report_for(changed(changes=many_changes()), kubernetes, check_mode=True, path="/r.json")["lines"]
    assert lines[1:4] == [
        "Plan: 162 changes; nothing was changed.",
        "  create 100 roles; update 1 trust policy; detach 30 policies; delete 30 policies; remove 1",
        "  ServiceAccount.",
    ]
    assert lines[4:65] == [
        *(f"    detach policy p from role r{number}" for number in range(30)),
        *(f"    delete policy p{number}" for number in range(30)),
        "    remove ServiceAccount shop/api",
    ]
    assert len(lines) == 4 + 162
    assert not any("more" in line for line in lines)


def test_replacement_on_a_full_role_names_both_policies() -> None:
    swap = {
        "resource": "attachment",
        "name": "r arn:new",
        "action": "replace",
        "before": {"role": "r", "policy": "arn:old"},
        "after": {"role": "r", "policy": "arn:new"},
    }
    lines = report_for(changed(changes=[swap]), check_mode=True)["lines"]
    assert lines[2:4] == ["  replace 1 policy.", "    replace policy arn:old with arn:new on role r"]


def test_update_of_a_policy_names_added_and_removed_permissions() -> None:
    def grant(*actions: str) -> dict[str, Any]:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "arn:aws:s3:::b/*"}
        return {"document": {"Version": "2012-10-17", "Statement": [statement]}}

    update = {
        **row("update", "policy", "arn:aws:iam::111122223333:policy/my-policy"),
        "before": grant("s3:GetObject", "s3:DeleteObject"),
        "after": grant("s3:GetObject", "s3:PutObject"),
    }
    lines = report_for(changed(changes=[update]), check_mode=True)["lines"]
    assert lines[2:5] == [
        "  update 1 policy.",
        "    update policy arn:aws:iam::111122223333:policy/my-policy (document): adds s3:PutObject on",
        "      arn:aws:s3:::b/*; removes s3:DeleteObject on arn:aws:s3:::b/*",
    ]


def test_natural_sort_order() -> None:
    changes = [
        *(row("create", "role", name) for name in ("r1", "r10", "r2")),
        *(row("detach", "attachment", name) for name in ("r10 p", "r9 p")),
        row("create", "role", "r0"),
    ]
    lines = report_for(changed(changes=changes), check_mode=True)["lines"]
    assert lines[3:] == [
        "    create role r1",
        "    create role r2",
        "    create role r10",
        "    detach policy p from role r9",
        "    detach policy p from role r10",
        # The order of changes matters, so only consecutive changes of the same kind are sorted.
        "    create role r0",
    ]


def test_shows_forty_changes_removals_first() -> None:
    lines = report_for(changed(changes=many_changes()))["lines"]
    output = [line for line in lines if line.startswith("    ")]
    assert (output[0], output[39]) == ("    detach policy p from role r0", "    delete policy p9")
    assert (
        output[40]
        == "    and 121 more, listed in pod_identity_report (pod_identity_report_file writes it to a file)"
    )


def of_statuses(*status: str) -> dict[str, Any]:
    rows = [
        build.row(f"w{number}", cluster="my-cluster", checks=[check("trust", item)])
        for number, item in enumerate(status)
    ]
    return build.result(*rows, findings=[])


def test_few_workloads_are_all_shown_below_their_counts() -> None:
    lines = report_for(of_statuses("pass", "warning", "fail", "unknown"))["lines"]
    assert lines[1:] == [
        "",
        "Verified: 4 workloads; 1 pass, 1 warning, 1 unknown, 1 fail.",
        "WORKLOAD  TRUST",
        "shop/w0   pass",
        "shop/w1   warning",
        "shop/w2   fail",
        "shop/w3   unknown",
    ]


@pytest.mark.parametrize(
    ("aws_result", "settings", "expected"),
    [
        pytest.param(of_statuses(), {}, True, id="a verification"),
        pytest.param(changed(), {}, True, id="a change"),
        pytest.param(changed(), {"check_mode": True}, True, id="a plan"),
        pytest.param(changed(state="absent"), {}, False, id="a teardown"),
        pytest.param(of_statuses("pass"), {}, False, id="a workload"),
    ],
)
def test_empty_list_reports_no_verification(
    aws_result: dict[str, Any], settings: dict[str, Any], expected: bool
) -> None:
    lines = report_for(aws_result, **settings)["lines"]
    assert ("0 workloads were verified." in lines) is expected


def test_many_workloads_show_only_problems_worst_first() -> None:
    passing = ["pass"] * SHOWN_ROWS
    lines = report_for(of_statuses(*passing, "warning", "fail"), path="/r.json")["lines"]
    assert lines[2:] == [
        "Verified: 42 workloads; 40 pass, 1 warning, 1 fail.",
        "WORKLOAD  TRUST",
        "shop/w41  fail",
        "shop/w40  warning",
        "  All workloads are listed in /r.json",
    ]
    assert report_for(of_statuses(*passing, "pass"), path="/r.json")["lines"][2:] == [
        "Verified: 41 workloads; 41 pass.",
        "  All workloads are listed in /r.json",
    ]
    failing = report_for(of_statuses(*["fail"] * 50), path="/r.json")["lines"]
    assert failing[-1] == "  and 10 more that do not pass, listed in /r.json"
    assert len(failing) == 45


def test_plan_does_not_report_repaired_findings() -> None:
    """Check that a plan does not report a missing service account that it will create."""
    verified = result(check("trust", "pass"), check("service account", "fail", "", "SERVICE_ACCOUNT_MISSING"))
    existing = changed(verification=verified, workloads=[{"namespace": "shop", "service_account": "api"}])
    plan = report_for(existing, KubernetesOutcome(["apply ServiceAccount shop/api"]), check_mode=True)
    assert (plan["failed"], plan["findings"], "checks" in plan["workloads"][0]) == (False, [], False)
    assert not any(line.startswith("WORKLOAD") for line in plan["lines"])
    # An error that the planned changes do not repair lets the plan fail.
    unaffected = {
        **existing,
        "verification": {**verified, "findings": [{**ADDON, "code": "ROLE_INLINE_POLICY"}]},
    }
    wrong = report_for(unaffected, KubernetesOutcome(["apply ServiceAccount shop/api"]), check_mode=True)
    assert (wrong["failed"], [finding["code"] for finding in wrong["findings"]]) == (
        True,
        ["ROLE_INLINE_POLICY"],
    )
    refused = report_for({**existing, "failures": [FAILURE]}, check_mode=True)
    assert not any(line.startswith("WORKLOAD") for line in refused["lines"])
    assert any(line.startswith("WORKLOAD") for line in report_for(existing, check_mode=True)["lines"])


def test_plan_facts_name_remaining_failures() -> None:
    finding = {**ADDON, "code": "ROLE_INLINE_POLICY"}
    verified = result(
        check("trust", "pass"), check("attachment", "fail", "", "ROLE_INLINE_POLICY"), findings=[finding]
    )
    plan = KubernetesOutcome(["apply ServiceAccount shop/api"])
    facts = report_for(changed(verification=verified), plan, check_mode=True)["verification"]
    assert (facts["done"], facts["attachment"], facts["trust"]) == (True, "fail", "skipped")
    accepted = report_for(
        changed(verification=verified), plan, check_mode=True, ignore=["ROLE_INLINE_POLICY"]
    )["verification"]
    assert (accepted["done"], accepted["attachment"]) == (True, "skipped")


def test_headline_has_place_and_codes() -> None:
    rows = [{"namespace": "shop", "service_account": name} for name in ("api", "web")]
    follows = {**ADDON, "code": "POLICY_NOT_ATTACHED", "workload": "shop/api"}
    existing = changed(**PLACE, failures=[FAILURE, FAILURE], msg="m", workloads=rows, findings=[follows])
    assert report_for(existing)["headline"] == (
        "1 of 2 workloads of cluster my-cluster (account 111122223333, region us-west-2) failed: "
        "LimitExceeded (2). The reasons are above."
    )
    planned = report_for({**existing, "failures": [{**FAILURE, "workload": "shop/other"}]}, check_mode=True)
    assert planned["headline"] == (
        "2 workloads of cluster my-cluster (account 111122223333, region us-west-2) failed: LimitExceeded, "
        "POLICY_NOT_ATTACHED. The reasons are above. Nothing was changed."
    )
    assert report_for(changed(), KubernetesOutcome(error="no"))["headline"] == (
        "Cluster my-cluster failed. The reasons are above."
    )
    assert report_for(changed())["headline"] == ""


@pytest.mark.parametrize(
    ("trust_statuses", "verdict"),
    [
        (["fail", "unknown", "pass"], "1 of 3 workloads of cluster my-cluster failed, 1 is unknown"),
        (["fail", "unknown", "unknown"], "1 of 3 workloads of cluster my-cluster failed, 2 are unknown"),
        (["unknown", "pass"], "1 of 2 workloads of cluster my-cluster is unknown"),
        (["unknown", "unknown"], "2 of 2 workloads of cluster my-cluster are unknown"),
        (["unknown"], "1 of 1 workload of cluster my-cluster is unknown"),
    ],
)
def test_headline_distinguishes_failed_and_unknown(trust_statuses: list[str], verdict: str) -> None:
    codes = {"fail": "TRUST_NOT_USABLE", "unknown": "NOT_READABLE"}
    rows = [
        build.row(
            cluster="my-cluster",
            account=f"app-{index}",
            checks=[check("trust", status, "", *([codes[status]] if status in codes else []))],
        )
        for index, status in enumerate(trust_statuses)
    ]
    findings = [
        {**ADDON, "code": codes[status], "workload": f"shop/app-{index}"}
        for index, status in enumerate(trust_statuses)
        if status in codes
    ]
    named = {code: sum(codes.get(item) == code for item in trust_statuses) for code in codes.values()}
    reported = ", ".join(f"{code} ({n})" if n > 1 else code for code, n in named.items() if n)
    found = report_for(build.result(*rows, findings=findings))
    assert found["headline"] == f"{verdict}: {reported}. The reasons are above."


WARNED = "warnings (pod_identity_fail_on is warning)"


@pytest.mark.parametrize(
    ("severities", "verdict"),
    [
        pytest.param(
            {"shop/app-0": "warning"},
            f"1 of 3 workloads of cluster my-cluster has {WARNED}: TRUST_CONDITIONAL",
            id="one warning",
        ),
        pytest.param(
            {"shop/app-0": "warning", "shop/app-1": "error", "shop/app-2": "warning"},
            f"1 of 3 workloads of cluster my-cluster failed, 2 have {WARNED}: TRUST_CONDITIONAL (3)",
            id="warnings and an error of workloads",
        ),
        pytest.param(
            {"shop/app-0": "warning", "": "error"},
            "Cluster my-cluster failed: TRUST_CONDITIONAL (2)",
            id="warning of a workload, error of the cluster",
        ),
        pytest.param(
            {"": "warning"}, "Cluster my-cluster failed: TRUST_CONDITIONAL", id="a warning of the cluster"
        ),
    ],
)
def test_warning_is_not_a_failure(severities: dict[str, str], verdict: str) -> None:
    """Check that a workload with a warning does not count as failed, even if ``fail_on: warning`` lets the run fail."""
    rows = [
        build.row(cluster="my-cluster", account=f"app-{index}", checks=[check("trust", "pass")])
        for index in range(3)
    ]
    findings = [
        {**ADDON, "code": "TRUST_CONDITIONAL", "severity": severity, "workload": workload}
        for workload, severity in severities.items()
    ]
    found = report_for(build.result(*rows, findings=findings), fail_on="warning")
    assert found["headline"] == f"{verdict}. The reasons are above."


def test_shows_an_error_without_result() -> None:
    found = report_for(changed(), KubernetesOutcome(error="forbidden: no"))
    assert found["lines"][2:] == [
        "  failed: The service accounts could not be applied to Kubernetes: forbidden: no.",
        "    Resolve the cause and run again; changes in AWS are kept.",
    ]


def test_failures_are_shown_first() -> None:
    existing = changed(
        findings=[
            {**ADDON, "severity": severity, "code": code}
            for severity, code in (
                ("info", "RESOURCE_KEPT"),
                ("warning", "PURGE_WAITS"),
                ("error", "ROLE_MISSING"),
            )
        ]
    )
    lines = report_for(existing, ignore=["PURGE_WAITS"])["lines"]
    assert [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "] == [
        "error",
        "info",
        "accepted",
    ]


STATUS = st.sampled_from(["pass", "fail", "warning", "unknown", "accepted", "skipped"])


@given(
    st.lists(
        st.tuples(
            st.text("abc-", min_size=1, max_size=63),
            st.text("abc-", min_size=1, max_size=253),
            st.lists(STATUS, min_size=len(COLUMNS), max_size=len(COLUMNS)),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_table_fits_the_terminal(rows: list[tuple[str, str, list[str]]]) -> None:
    output: Any = [
        {
            "namespace": namespace,
            "service_account": account,
            "checks": [
                check(name, status) for (name, _title, _fact), status in zip(COLUMNS, found, strict=True)
            ],
        }
        for namespace, account, found in rows
    ]
    waiting = workload_table(output)
    space = (WIDTH - SMALLEST_NAME) // len(COLUMNS) - 1
    assert space > 6, (
        f"{len(COLUMNS)} columns leave only {space} characters for a cell. The table has room for 11 columns within {WIDTH} "
        "characters; see the comment at COLUMNS."
    )
    titles = ["WORKLOAD", *(title for _name, title, _fact in COLUMNS)]
    expected = [titles, *([f"{space}/{account}", *found] for space, account, found in rows)]
    for cells in expected:
        line = waiting.pop(0)
        if line == cells[0]:
            line = f"- {waiting.pop(0)}"
        else:
            # The first cell has the name of the workload, which is never truncated.
            assert line.split()[0] == cells[0]
        assert len(line.removeprefix("- ")) <= WIDTH
        assert len(line.split()) == len(cells)
        for output, cell in zip(line.split()[1:], cells[1:], strict=True):
            # A truncated cell ends with an ellipsis.
            assert output == cell or (
                output.endswith("…") and len(output) > 6 and cell.startswith(output[:-1])
            )
    assert waiting == []


def test_long_name_is_above_its_cells() -> None:
    columns = [name for name, _title, _fact in COLUMNS if name != "proof"]
    names = ("api", "nightly-reconciliation-of-invoices")
    rows: Any = [
        {"namespace": "shop", "service_account": name, "checks": [check(item, "pass") for item in columns]}
        for name in names
    ]
    lines = workload_table(rows)
    assert [line.split()[:2] for line in lines] == [
        ["WORKLOAD", "TRUST"],
        ["shop/api", "pass"],
        ["shop/nightly-reconciliation-of-invoices"],
        ["pass", "pass"],
    ]
    assert {line.index("pass") for line in lines if "pass" in line} == {lines[0].index("TRUST")}


def test_table_has_only_columns_of_its_checks() -> None:
    row: Any = {**build.row(), "checks": [check("pods", "pass", "2"), check("trust", "pass")]}
    assert workload_table([row]) == ["WORKLOAD  TRUST  PODS", "shop/api  pass   pass 2"]


def test_every_check_has_a_column_and_every_fact_a_check() -> None:
    assert [name for name, _title, _fact in COLUMNS] == list(get_args(CheckName))
    assert {"done", *(fact for _name, _title, fact in COLUMNS)} == set(Facts.__annotations__)


def test_unknown_check_is_an_error() -> None:
    with pytest.raises(KeyError, match="new kind"):
        report_for(result(check("trust", "pass"), check("new kind", "fail")))


def test_workloads_are_in_natural_order() -> None:
    """Check that s2 is before s10, in the table and below the table."""
    names = ("s10", "s2", "s1", "s02x", "s")
    rows = [
        build.row(name, checks=[check("trust", "fail", "", "TRUST_NOT_USABLE")], cluster="my-cluster")
        for name in names
    ]
    findings = [
        {**ADDON, "code": "TRUST_NOT_USABLE", "workload": f"shop/{name}", "message": "m"} for name in names
    ]
    lines = report_for(build.result(*rows, findings=[*findings, ADDON]))["lines"]
    table_start = next(index for index, line in enumerate(lines) if line.startswith("WORKLOAD"))
    assert [line.split()[0] for line in lines[table_start + 1 : table_start + 6]] == [
        "shop/s",
        "shop/s1",
        "shop/s2",
        "shop/s02x",
        "shop/s10",
    ]
    assert [line.split(":")[0] for line in lines if line.startswith("  error")] == [
        "  error AGENT_MISSING",
        "  error TRUST_NOT_USABLE shop/s",
        "  error TRUST_NOT_USABLE shop/s1",
        "  error TRUST_NOT_USABLE shop/s2",
        "  error TRUST_NOT_USABLE shop/s02x",
        "  error TRUST_NOT_USABLE shop/s10",
    ]


# Tests of the facts of a verification, which tasks can assert by name


def finding_row(code: str, severity: str, workload: str = "shop/api") -> dict[str, str]:
    return {"code": code, "severity": severity, "workload": workload, "message": "x.", "remedy": "y."}


@pytest.mark.parametrize(
    ("ignore", "fail_on", "status", "failed"),
    [
        ([], "error", "fail", True),
        (["ROLE_MISSING"], "error", "warning", False),
        (["ROLE_MISSING"], "warning", "warning", True),
        (["TRUST_WIDE"], "error", "fail", True),
        (["ROLE_MISSING", "TRUST_WIDE"], "warning", "accepted", False),
    ],
)
def test_status_follows_findings_that_are_not_accepted(
    ignore: list[str], fail_on: str, status: str, failed: bool
) -> None:
    findings = [finding_row("ROLE_MISSING", "error"), finding_row("TRUST_WIDE", "warning")]
    row = check("trust", "fail", "", "ROLE_MISSING", "TRUST_WIDE")
    found = report(result(row, findings=findings), ignore=ignore, fail_on=fail_on)
    assert (statuses(found)["trust"], found["failed"]) == (status, failed)
    # The role asserts this fact, and must fail exactly when the report does.
    assert (found["verification"]["trust"] == "fail") == failed


@pytest.mark.parametrize(
    ("ignore", "status", "failed"),
    [
        ([], "fail", True),
        (["POLICY_ATTACHED_EXTRA"], "warning", False),
        (["POLICY_NOT_ATTACHED"], "fail", True),
        (["ROLE_INLINE_POLICY"], "fail", True),
        (["POLICY_ATTACHED_EXTRA", "ROLE_INLINE_POLICY"], "accepted", False),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_check_keeps_all_findings_of_one_code(
    ignore: list[str], status: str, failed: bool, reverse: bool
) -> None:
    findings = [
        finding_row("POLICY_ATTACHED_EXTRA", "error"),
        {**finding_row("POLICY_ATTACHED_EXTRA", "warning"), "message": "another policy."},
        finding_row("ROLE_INLINE_POLICY", "warning"),
    ]
    row = check("attachment", "fail", "", "POLICY_ATTACHED_EXTRA", "ROLE_INLINE_POLICY")
    found = report(result(row, findings=findings[::-1] if reverse else findings), ignore=ignore)
    assert (statuses(found)["attachment"], found["failed"]) == (status, failed)
    assert (found["verification"]["attachment"] == "fail") == failed


FACT_CHECKS = (
    "trust",
    "attachment",
    "version",
    "contents",
    "permissions",
    "association",
    "service account",
    "agent",
)
FACT_CODES = ("TRUST_WIDE", "PERMISSION_CONDITIONAL", "POLICY_ATTACHED_EXTRA", "AGENT_MISSING")
FACT_SETTINGS = st.fixed_dictionaries(
    {
        "ignore": st.lists(st.sampled_from(FACT_CODES), unique=True),
        "fail_on": st.sampled_from(["error", "warning"]),
        "check_mode": st.booleans(),
    }
)


@st.composite
def verified(draw: Any) -> dict[str, Any]:
    """Draw the result of a verification with findings of any severity, and with checks that depend on other checks."""
    codes = draw(st.lists(st.sampled_from(FACT_CODES), unique=True))
    severities = {code: draw(st.sampled_from(["error", "warning", "info"])) for code in codes}
    ends = {"error": "fail", "warning": "warning", "info": "pass"}
    checks = []
    for name in FACT_CHECKS:
        managed = draw(st.sampled_from([*codes, None]))
        if managed is not None:
            checks.append(check(name, ends[severities[managed]], "", managed))
        else:
            follows = any(severity == "error" for severity in severities.values()) or not codes
            rest = ["pass", "unknown", "skipped", *(["fail"] if follows else [])]
            checks.append(check(name, draw(st.sampled_from(rest))))
    findings = [finding_row(code, severity) for code, severity in severities.items()]
    failures = [REFUSED] if draw(st.booleans()) else []
    return changed(failures=failures, verification=result(*checks, findings=findings))


@given(given_result=verified(), settings=FACT_SETTINGS)
def test_failed_facts_fail_the_run(given_result: dict[str, Any], settings: dict[str, Any]) -> None:
    """Check that the run fails if and only if a fact of the verification fails, because the role asserts only these facts."""
    found = report_for(given_result, **settings)
    facts: dict[str, Any] = {**found["verification"]}
    assert found["failed"] == (not facts.pop("done") or "fail" in facts.values())


def test_role_asserts_every_fact() -> None:
    tasks = Path(__file__).resolve().parents[6] / "roles/pod_identity/tasks"
    [task] = yaml.safe_load((tasks / "assert.yml").read_text(encoding="utf-8"))
    done, *facts = Facts.__annotations__
    assert task["ansible.builtin.assert"]["that"] == [
        f"pod_identity_result.verification.{done}",
        *(f"pod_identity_result.verification.{fact} != 'fail'" for fact in facts),
    ]


@pytest.mark.parametrize(
    ("checks", "findings", "facts"),
    [
        ([check("trust", "pass")], [], {"done": True, "trust": "pass", "pods": "skipped"}),
        (
            [check("trust", "fail", "", "TRUST_WIDE"), check("pods", "unknown")],
            [finding_row("TRUST_WIDE", "error")],
            {"done": True, "trust": "fail", "pods": "unknown"},
        ),
        (
            [check("version", "pass"), check("permissions", "warning", "", "PERMISSION_CONDITIONAL")],
            [finding_row("PERMISSION_CONDITIONAL", "warning")],
            {"done": True, "contents": "warning"},
        ),
        (
            [check("trust", "pass")],
            [finding_row("KUBERNETES_NOT_READABLE", "error", "")],
            {"done": False, "trust": "pass"},
        ),
    ],
    ids=["verified", "a check fails", "a warning", "finding without a workload"],
)
def test_facts_have_the_worst_status_by_name(
    checks: list[dict[str, Any]], findings: list[dict[str, str]], facts: dict[str, Any]
) -> None:
    found = report_for(result(*checks, findings=findings))["verification"]
    assert {name: value for name, value in found.items() if name in facts} == facts


def test_failure_is_not_a_verification() -> None:
    found = report_for(changed(failures=[REFUSED]))["verification"]
    assert (found["done"], found["trust"]) == (False, "skipped")


@pytest.mark.parametrize("code", Code)
def test_every_code_belongs_to_a_check(code: Code) -> None:
    assert code.check in get_args(CheckName)
