# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the report, which combines the results of AWS and Kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import CheckName, Code
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
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.approval import (
    digest_changes,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.report import (
    NO_FACTS,
    ReportSettings,
    make_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.rows import Report
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.text import (
    COLUMNS,
    SHOWN_ROWS,
    WIDTH,
    undo_lines,
    workload_table,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from hypothesis import given
from hypothesis import strategies as st

ACCOUNT = {"metadata": {"namespace": "shop", "name": "api"}}
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


REFUSED: FailureRow = {
    "workload": "shop/api",
    "resource": "ServiceAccount",
    "name": "shop/api",
    "action": "apply",
    "error_code": "KUBERNETES_REFUSED",
    "message": "Kubernetes returned 403: forbidden: no.",
    "remedy": "Resolve the cause and run again, which applies only the remaining changes.",
}


def refused(number: int, message: str = REFUSED["message"]) -> list[dict[str, Any]]:
    names = ["shop/api", *(f"shop/app-{index}" for index in range(1, number))]
    return [{**REFUSED, "name": name, "workload": name, "message": message} for name in names]


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
        "  failed AccessDenied shop/app-0, shop/app-3, shop/app-6, shop/app-9, shop/app-12, shop/app-15,",
        "  failed AccessDeniedException shop/app-1, shop/app-4, shop/app-7, shop/app-10, shop/app-13,",
        "  failed AccessDeniedException shop/app-2, shop/app-5, shop/app-8, shop/app-11, shop/app-14,",
    ]
    text = " ".join(" ".join(found["lines"]).split())
    assert (
        "create role r-app-0, r-app-3, r-app-6 and 14 more: for r-app-0: iam:CreateRole: not authorized on resource: "
        "arn:aws:iam::1:role/r-app-0" in text
    )
    assert len(found["failures"]) == 50


def test_many_refusals_are_shortened() -> None:
    many = [refused(1, f"reason {number}.")[0] for number in range(42)]
    found = report_for(changed(), KubernetesOutcome(failures=many))
    assert len(found["failure"].splitlines()) == 12
    assert found["failure"].splitlines()[-1] == "- and 32 more, listed in pod_identity_report.failures."
    many = [{**ADDON, "message": f"{number}."} for number in range(41)]
    failure = report_for(changed(findings=many))["failure"]
    assert failure.splitlines()[-1] == "and 1 more, listed in pod_identity_report.findings."


MOVED = {
    "code": "OWNER_CHANGED",
    "severity": "warning",
    "workload": "shop/api",
    "message": "the owner of the association changes.",
    "remedy": "List it for one owner only.",
}


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


NO_ADDON = check("agent", "fail", "", "AGENT_MISSING")
NO_AGENT = {"pods": build.read([]), "agents": build.read([]), "daemon_sets": build.read([])}


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
)
def test_agent_check_combines_eks_and_kubernetes(
    aws: dict[str, Any], findings: list[dict[str, str]], reads: dict[str, Any], status: str, codes: list[str]
) -> None:
    found = report(result(aws, findings=findings), reads=reads)
    assert statuses(found)["agent"] == status
    assert [finding["code"] for finding in found["findings"]] == codes
    assert {code for item in found["workloads"][0]["checks"] for code in item["codes"]} <= set(codes)


def row(action: str, resource: str, name: str) -> dict[str, Any]:
    return {"resource": resource, "name": name, "action": action, "before": None, "after": {}}


def of_statuses(*status: str) -> dict[str, Any]:
    rows = [
        build.row(f"w{number}", cluster="my-cluster", checks=[check("trust", item)])
        for number, item in enumerate(status)
    ]
    return build.result(*rows, findings=[])


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


@pytest.mark.parametrize(("number", "count"), [(1, "1 change"), (2, "2 changes")])
def test_changes_are_counted(number: int, count: str) -> None:
    made = [row("create", "role", f"r{index}") for index in range(number)]
    assert report_for(changed(changes=made))["lines"][1] == f"Done: {count}."


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
    lines = workload_table(output)
    titles = [title for _name, title, _fact in COLUMNS]
    names = [f"{space}/{account}" for space, account, _found in rows]
    # Only the name of a workload, which is never truncated, may be longer than a line.
    assert [line for line in lines if len(line) > WIDTH and line not in names] == []
    if lines[0].startswith("WORKLOAD "):
        cells = " ".join(lines).split()
        expected = [
            "WORKLOAD",
            *titles,
            *(text for name, row in zip(names, rows, strict=True) for text in (name, *row[2])),
        ]
        assert cells == expected
    else:
        texts = [
            ", ".join(f"{title} {cell}" for title, cell in zip(titles, row[2], strict=True)) for row in rows
        ]
        assert " ".join(" ".join(lines).split()) == " ".join(
            f"{name} {text}" for name, text in zip(names, texts, strict=True)
        )


def test_table_is_a_list_on_a_narrow_terminal() -> None:
    checks = [
        check("trust", "pass"),
        check("attachment", "pass", "1"),
        check("agent", "fail"),
        check("pods", "pass", "0"),
    ]
    row: Any = {"namespace": "shop", "service_account": "api", "checks": checks}
    assert workload_table([row], 50) == [
        "WORKLOAD  TRUST  ATTACHED  AGENT  PODS",
        "shop/api  pass   pass 1    fail   pass 0",
    ]
    assert workload_table([row], 30) == [
        "shop/api",
        "  TRUST pass, ATTACHED pass 1,",
        "  AGENT fail, PODS pass 0",
    ]


def test_every_check_has_a_column_and_every_fact_a_check() -> None:
    assert [name for name, _title, _fact in COLUMNS] == list(get_args(CheckName))
    assert {"done", *(fact for _name, _title, fact in COLUMNS)} == set(NO_FACTS)


# Tests of the facts of a verification, which tasks can assert by name


def finding_row(code: str, severity: str, workload: str = "shop/api") -> dict[str, str]:
    return {"code": code, "severity": severity, "workload": workload, "message": "x.", "remedy": "y."}


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


FACT_CHECKS = tuple(name for name, _title, _fact in COLUMNS[:8])
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
    assert not given_result["failures"] or found["summary"]["passed"] == 0
    assert found["headline"].endswith("Nothing was changed.") == (found["failed"] and settings["check_mode"])


MISSING = finding_row("AGENT_MISSING", "error", "")
WIDE, WIDE_TOO = (finding_row("TRUST_WIDE", "warning", name) for name in ("shop/api", "shop/web"))
BROKEN = finding_row("AGENT_MISSING", "error", "shop/web")
WARNS = "has warnings (pod_identity_fail_on is warning)"


@pytest.mark.parametrize(
    ("findings", "failures", "headline"),
    [
        ([WIDE, BROKEN], [], f"1 of 2 workloads of cluster my-cluster failed, 1 {WARNS}"),
        ([WIDE, MISSING], [], "Cluster my-cluster failed"),
        ([WIDE], [], f"1 of 2 workloads of cluster my-cluster {WARNS}"),
        ([WIDE], [REFUSED], "1 of 2 workloads of cluster my-cluster failed"),
        ([WIDE_TOO, MISSING], [REFUSED], f"1 of 2 workloads of cluster my-cluster failed, 1 {WARNS}"),
    ],
)
def test_headline_counts_the_workloads(findings: list[Any], failures: list[Any], headline: str) -> None:
    facts = build.result(build.row("api", checks=[]), build.row("web", checks=[]))
    done = changed(failures=failures, workloads=facts["workloads"], findings=findings, verification=facts)
    assert report_for(done, fail_on="warning")["headline"].partition(":")[0] == headline


def test_role_asserts_every_fact() -> None:
    tasks = Path(__file__).resolve().parents[6] / "roles/pod_identity/tasks"
    [task] = yaml.safe_load((tasks / "assert.yml").read_text(encoding="utf-8"))
    done, *facts = NO_FACTS
    assert task["ansible.builtin.assert"]["that"] == [
        f"pod_identity_result.verification.{done}",
        *(f"pod_identity_result.verification.{fact} != 'fail'" for fact in facts),
    ]


@pytest.mark.parametrize(
    ("ignore", "end", "further"),
    [([], "fail", []), (["POLICY_NOT_ATTACHED"], "accepted", ["PERMISSION_DENIED"])],
)
def test_consequence_counts_if_its_cause_is_accepted(ignore: list[str], end: str, further: list[str]) -> None:
    cause, denied = finding_row("POLICY_NOT_ATTACHED", "error"), finding_row("PERMISSION_DENIED", "error")
    follows = {**check("permissions", "fail"), "follows": [denied]}
    aws = result(check("attachment", "fail", "", cause["code"]), follows, findings=[cause])
    found = report_for(aws, ignore=ignore)
    assert list(statuses(found).values()) == [end, "fail"]
    assert [row["code"] for row in found["findings"]] == [cause["code"], *further]


def test_finding_about_a_failed_read_is_left_out() -> None:
    failures = [
        {
            "workload": "shop/api",
            "resource": "policy",
            "action": action,
            "name": "p",
            "error_code": "AccessDenied",
            "message": "no.",
            "remedy": "Allow it.",
        }
        for action in ("read", "create")
    ]
    unread = {**ADDON, "code": "NOT_READABLE", "workload": "shop/api"}
    for failure, shown in zip(failures, (False, True), strict=True):
        lines = report_for(changed(findings=[unread], failures=[failure]))["lines"]
        assert any("NOT_READABLE" in line for line in lines) == shown


def change_row(action: str, resource: str, name: str, workload: str = "shop/api") -> dict[str, Any]:
    after = {"arn": "arn:r"} if resource == "role" else {"role_arn": "arn:r"} if "/" in name else {}
    return {"action": action, "resource": resource, "name": name, "workload": workload, "after": after}


CREATED = (
    change_row("create", "policy", "p"),
    change_row("create", "role", "r"),
    change_row("attach", "attachment", "r p"),
    change_row("create", "association", "shop/api"),
)
MANY = tuple(change_row("create", "association", name, name) for name in map("shop/{}".format, range(41)))
NEW_ROLE = change_row("create", "role", "r", "shop/0")
TEARDOWN = "workload_identity.aws.teardown with the same variables"
SHARED = {**change_row("create", "role", "r"), "shared_with": ["shop/web"]}


@pytest.mark.parametrize(
    ("changes", "listed", "undo"),
    [
        (CREATED, 1, TEARDOWN),
        (CREATED, 3, f"{TEARDOWN} and -e pod_identity_only=shop/api"),
        ((*CREATED, change_row("create", "association", "shop/web", "shop/web"), SHARED), 2, TEARDOWN),
        ((*CREATED, SHARED), 2, ""),
        ((*CREATED, change_row("create", "policy", "q", "shop/web")), 2, ""),
        ((*CREATED, change_row("create", "addon", "a")), 1, ""),
        ((*CREATED, change_row("update", "trust_policy", "q")), 1, ""),
        ((*CREATED, change_row("attach", "attachment", "q p")), 1, ""),
        ((change_row("update", "role", "r"),), 1, ""),
        ((change_row("delete", "association", "shop/old"),), 1, ""),
        ((NEW_ROLE, *MANY), 41, TEARDOWN),
        (MANY, 41, ""),
        (
            (NEW_ROLE, *MANY),
            42,
            f"{TEARDOWN} and -e pod_identity_only=(the workloads of the created associations)",
        ),
        ((), 1, ""),
    ],
)
def test_reversible_run_ends_with_its_undo(changes: Any, listed: int, undo: str) -> None:
    text = " ".join(map(str.strip, undo_lines(changes, listed)))
    assert text == (f"To undo this, run {undo}. Namespaces remain." if undo else "")


API_ROW, WEB_ROW = (
    {"namespace": "shop", "service_account": name, "role_arn": "arn:r"} for name in ("api", "web")
)
PLACE = {
    "cluster_name": "my-cluster",
    "cluster_arn": build.ARN,
    "account_id": "111122223333",
    "region": "us-west-2",
    "caller_arn": "arn:me",
}
KEPT = {**finding_row("RESOURCE_KEPT", "info", "shop/web"), "message": "kept."}
UNREAD = finding_row("NOT_READABLE", "error", "shop/web")
UNDER_WAY = changed(
    workloads=[API_ROW, WEB_ROW],
    changes=[*CREATED],
    findings=[KEPT, MOVED],
    verification=build.result(
        build.row("api", checks=[check("trust", "fail", "", "TRUST_WIDE"), check("pods", "pass", "2")]),
        build.row("web", checks=[check("trust", "unknown", "", "NOT_READABLE")]),
        findings=[WIDE, UNREAD],
    ),
    **{name: value for name, value in PLACE.items() if name not in ("cluster_name", "region")},
)
APPLIED = ["apply ServiceAccount shop/api"]
CHANGE_LINES = [
    "  create 1 policy, 1 role, 1 association; attach 1 policy; apply 1 ServiceAccount.",
    "    create policy p",
    "    create role r",
    "    attach policy p to role r",
    "    create association shop/api: role arn:r",
    "    apply ServiceAccount shop/api",
]
CODES = "  Codes: docs/codes.md, or the lookup workload_identity.aws.pod_identity_codes"
COUNTS = {"passed": 0, "failed": 0, "warnings": 0, "unknown": 0, "accepted": 0}
SKIPPED = dict.fromkeys(
    ("attachment", "contents", "association", "service_account", "agent", "pods"), "skipped"
)


def test_report_of_a_failed_run() -> None:
    kubernetes = KubernetesOutcome(changes=APPLIED, error="no route\x1b")
    settings: Any = {"ignore": ["TRUST_WIDE"], "time": "T", "version": "1"}
    found = report_for({**UNDER_WAY, "failures": [REFUSED]}, kubernetes, **settings)
    unreached = "The service accounts could not be applied to Kubernetes of cluster my-cluster (account"
    verdict = "1 of 2 workloads of cluster my-cluster (account 111122223333, region us-west-2) failed, 1 is unknown:"
    row = {"namespace": "shop", "association_id": "a-1", "association_created_at": build.ASSOCIATED}
    moved = check("association", "warning", "", "OWNER_CHANGED")
    trusted = check("trust", "accepted", "", "TRUST_WIDE")
    pods, unknown = check("pods", "pass", "2"), check("trust", "unknown", "", "NOT_READABLE")
    assert found == {
        **PLACE,
        "time": "T",
        "version": "1",
        "check_mode": False,
        "step": "apply",
        "workloads": [
            {**row, "service_account": "api", "checks": [trusted, moved, pods], "status": "fail"},
            {**row, "service_account": "web", "checks": [unknown], "status": "unknown"},
        ],
        "changes": [*CREATED],
        "kubernetes_changes": APPLIED,
        "change_digests": [],
        "findings": [KEPT, MOVED, {**WIDE, "accepted": True}, UNREAD],
        "failures": [REFUSED],
        "summary": {**COUNTS, "workloads": 2, "failed": 1, "unknown": 1, "changes": 5, "findings": 4},
        "verification": {"done": False, **SKIPPED, "trust": "fail", "association": "warning", "pods": "pass"},
        "lines": [
            "Cluster my-cluster, account 111122223333, region us-west-2, as arn:me",
            "Done: 5 changes.",
            *CHANGE_LINES,
            "",
            "Verified: 2 workloads; 1 unknown, 1 fail.",
            "WORKLOAD  TRUST     ASSOCIATED  PODS",
            "shop/api  accepted  warning     pass 2",
            "shop/web  unknown   -           -",
            f"  failed: {unreached}",
            "    111122223333, region us-west-2): no route\\x1b.",
            "    Resolve the cause and run again; completed changes in AWS are kept.",
            "  failed KUBERNETES_REFUSED shop/api: apply ServiceAccount shop/api: Kubernetes returned 403:",
            "    forbidden: no.",
            f"    {REFUSED['remedy']}",
            "  error NOT_READABLE shop/web: x.",
            "    y.",
            "  warning OWNER_CHANGED shop/api: the owner of the association changes.",
            "    List it for one owner only.",
            "  info RESOURCE_KEPT shop/web: kept.",
            "    y.",
            "  accepted TRUST_WIDE shop/api: x.",
            "    y.",
            CODES,
        ],
        "failed": True,
        "failure": f"{verdict}\n"
        f"- {unreached} 111122223333, region us-west-2): no route\\x1b. Resolve the cause and run again; completed changes in "
        "AWS are kept.\n- KUBERNETES_REFUSED shop/api: apply ServiceAccount shop/api: Kubernetes returned 403: forbidden: no. "
        f"{REFUSED['remedy']}",
        "headline": f"{verdict} KUBERNETES_REFUSED, NOT_READABLE. The reasons are above.",
    }


def test_report_of_a_plan_with_an_error() -> None:
    found: Any = report_for(
        UNDER_WAY, KubernetesOutcome(changes=APPLIED), check_mode=True, expected=[ACCOUNT]
    )
    verdict = "1 of 2 workloads of cluster my-cluster (account 111122223333, region us-west-2) failed"
    assert found.pop("change_digests") == digest_changes((*CREATED, ACCOUNT))
    assert found == {
        **PLACE,
        "time": "",
        "version": "",
        "check_mode": True,
        "step": "plan",
        "workloads": [API_ROW, WEB_ROW],
        "changes": [*CREATED],
        "kubernetes_changes": APPLIED,
        "findings": [KEPT, MOVED, WIDE, UNREAD],
        "failures": [],
        "summary": {**COUNTS, "workloads": 2, "changes": 5, "findings": 4},
        "verification": {"done": True, **SKIPPED, "trust": "fail"},
        "lines": [
            "Cluster my-cluster, account 111122223333, region us-west-2, as arn:me",
            "Plan: 5 changes; nothing was changed.",
            *CHANGE_LINES,
            "  error NOT_READABLE shop/web: x.",
            "    y.",
            "  warning OWNER_CHANGED shop/api: the owner of the association changes.",
            "    List it for one owner only.",
            "  warning TRUST_WIDE shop/api: x.",
            "    y.",
            "  info RESOURCE_KEPT shop/web: kept.",
            "    y.",
            CODES,
        ],
        "failed": True,
        "failure": "shop/web: x. y.",
        "headline": f"{verdict}: NOT_READABLE. The reasons are above. Nothing was changed.",
    }
