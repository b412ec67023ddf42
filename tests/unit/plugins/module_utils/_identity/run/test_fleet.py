# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test one run for several clusters of an account: it has one plan, and a failed cluster does not affect the others."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import (
    Finding,
    WorkloadKey,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.fleet import (
    ClusterInput,
    Member,
    Stopped,
    run_members,
    stopped_keys,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    Account,
    ApiServer,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    Options,
    ParsedInput,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.clusters import (
    assemble,
    changed_rows,
    fleet_message,
    kept_for_stopped,
    left_out_row,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.order import Order, perform
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    OTHER_CLUSTER,
    REGION,
    FakeAws,
    codes_and_reasons,
    desired,
    fleet_engine,
    members,
    names,
    plan,
    policy,
    policy_arn,
    run,
    run_fleet,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.strategies import (
    accounts,
    desired_states,
)
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
PLACES = st.lists(st.sampled_from(["first", "second", "both"]), min_size=3, max_size=3)
DENIED = classify("eks:DescribeCluster", "AccessDeniedException", "not authorized")
ROLE = {"name": "shared"}


def in_both_clusters(*workloads: dict[str, Any], **options: Any) -> Desired:
    """Return a desired state with the same workloads in two clusters of the account."""
    first, second = desired(*workloads, **options), desired(*workloads, cluster=OTHER_CLUSTER, **options)
    return replace(first, workloads=(*first.workloads, *second.workloads))


def of_clusters(spec: Desired, *clusters: str) -> Desired:
    return replace(
        spec, workloads=tuple(workload for workload in spec.workloads if workload.key.cluster in clusters)
    )


def spread(spec: Desired, places: Sequence[str]) -> Desired:
    """Assign each workload to the first cluster, to the second, or to both. The workloads of the first cluster come first."""
    pairs = list(zip(spec.workloads, places, strict=False))
    first = [workload for workload, place in pairs if place != "second"]
    second = [
        replace(workload, key=replace(workload.key, cluster=OTHER_CLUSTER))
        for workload, place in pairs
        if place != "first"
    ]
    return replace(spec, workloads=(*first, *second))


def statements(aws: FakeAws, role: str) -> list[tuple[str, object]]:
    """Return the cluster and the service accounts that each statement of a trust policy allows."""
    trust = json.loads(aws.iam.roles[role]["trust"])
    conditions = [statement.get("Condition", {}).get("StringEquals", {}) for statement in trust["Statement"]]
    return [
        (
            str(condition.get("aws:RequestTag/eks-cluster-arn", "")).rpartition("/")[2],
            condition.get("aws:RequestTag/kubernetes-service-account", ""),
        )
        for condition in conditions
    ]


def with_agents(aws: FakeAws) -> FakeAws:
    aws.replace("eks:DescribeAddon", lambda _asked: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}})
    return aws


def failures(run_: Run) -> list[tuple[str, str, str]]:
    return [
        (key.cluster, str(key), failure.error_code) for failure in run_.failures for key in failure.workloads
    ]


def test_shared_role_is_written_once_with_all_grants() -> None:
    aws = FakeAws()
    run_fleet(aws, in_both_clusters(workload(role=ROLE), workload("web", role=ROLE)))
    assert Counter(aws.writes) == {
        "iam:CreatePolicy": 1,
        "iam:CreateRole": 1,
        "iam:AttachRolePolicy": 1,
        "eks:CreatePodIdentityAssociation": 4,
    }
    assert sorted(statements(aws, "shared")) == [(CLUSTER, ["app", "web"]), (OTHER_CLUSTER, ["app", "web"])]


def test_workload_in_a_terminating_namespace_fails_alone() -> None:
    """Check that only the workload in the terminating namespace fails, not the same workload in another cluster."""
    aws, spec = FakeAws(), in_both_clusters(workload(role=ROLE), workload("web", "leaving", role=ROLE))
    key = WorkloadKey(OTHER_CLUSTER, "leaving", "web")
    going = Finding(Code.NAMESPACE_GOING, "namespace leaving is being deleted.", "Remove the workload.", key)
    first, second = members(spec)
    engine, fleet = fleet_engine(aws, [first, replace(second, breakage=(going,))], spec.options)
    done = engine.run(fleet.desired, "present", check_mode=False)
    assert failures(done) == [(OTHER_CLUSTER, "leaving/web", "NAMESPACE_GOING")]
    associations = [
        (association["clusterName"], association["serviceAccount"])
        for association in aws.eks.associations.values()
    ]
    assert sorted(associations) == [(CLUSTER, "app"), (CLUSTER, "web"), (OTHER_CLUSTER, "app")]


def test_reads_iam_once_and_eks_per_cluster() -> None:
    aws = FakeAws()
    raw = [
        workload(f"app{number}", role={"name": f"r{number}"}, policies=[policy(f"p{number}")])
        for number in range(12)
    ]
    spec = in_both_clusters(*raw)
    run_fleet(aws, spec)
    aws.requests.clear()
    assert run_fleet(aws, spec).done == ()
    assert Counter(name for name, _ in aws.requests) == {
        "sts:GetCallerIdentity": 1,
        "iam:GetAccountAuthorizationDetails": 1,
        "eks:DescribeCluster": 2,
        "eks:ListPodIdentityAssociations": 2,
        "eks:DescribePodIdentityAssociation": 24,
    }


@pytest.mark.parametrize("again", [False, True])
def test_request_count_barely_depends_on_the_number_of_clusters(again: bool) -> None:
    """Compare the numbers of requests of two runs: for 20 clusters with 25 workloads each, and for one cluster with 500."""
    few, many = with_agents(FakeAws()), with_agents(FakeAws())
    clusters = [f"c{number:02}" for number in range(20)]
    few.eks.clusters["large"] = "ACTIVE"
    many.eks.clusters |= dict.fromkeys(clusters, "ACTIVE")

    def workloads(cluster: str, first: int, count: int) -> Desired:
        raw = [
            workload(f"app{number:03}", role={"name": f"r{number}"}, policies=[policy(f"p{number}")])
            for number in range(first, first + count)
        ]
        return desired(*raw, cluster=cluster)

    large = workloads("large", 0, 500)
    parts = [workloads(cluster, 25 * number, 25) for number, cluster in enumerate(clusters)]
    small = replace(large, workloads=tuple(workload for part in parts for workload in part.workloads))

    def requests(aws: FakeAws, spec: Desired) -> int:
        aws.requests.clear()
        engine, fleet = fleet_engine(aws, members(spec), spec.options)
        done = perform(engine, fleet.desired, Order("present", verify=True))
        assert done.run.failures == ()
        assert {workload_.status for workload_ in done.verified or ()} == {"pass"}
        return len(aws.requests)

    if again:
        requests(few, large), requests(many, small)
    base = requests(few, large)
    # Each further cluster needs at most four requests: describe it, list its associations, read its add-on, and list again after
    # a change.
    assert requests(many, small) - base <= 4 * len(clusters)
    assert base > 500


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(DENIED, "AccessDeniedException", id="denied"),
        pytest.param(None, "ClusterNotActive", id="not active"),
    ],
)
def test_unusable_cluster_fails_alone(error: Any, code: str) -> None:
    aws = FakeAws()
    spec = in_both_clusters(workload(role=ROLE), workload("web", role={"name": "web"}))
    if error:

        def describe(request: Any) -> Any:
            if request["name"] == OTHER_CLUSTER:
                raise error
            return aws.eks.DescribeCluster(request)

        aws.replace("eks:DescribeCluster", describe)
    else:
        aws.eks.clusters[OTHER_CLUSTER] = "CREATING"
    outcome = run_fleet(aws, spec)
    assert failures(outcome) == [
        (OTHER_CLUSTER, "default/app", code),
        (OTHER_CLUSTER, "default/web", code),
    ]
    assert names(plan(aws, of_clusters(spec, CLUSTER))) == []
    # The trust policy must not allow a cluster that may not exist.
    assert statements(aws, "shared") == [(CLUSTER, "app")]


def test_unreadable_cluster_keeps_its_use_of_a_shared_role() -> None:
    aws = FakeAws()
    extra = policy("extra", "kms:Decrypt")
    initial = in_both_clusters(workload(role=ROLE))
    second = desired(workload(role=ROLE, policies=[policy(), extra]), cluster=OTHER_CLUSTER)
    run_fleet(aws, replace(initial, workloads=(*of_clusters(initial, CLUSTER).workloads, *second.workloads)))
    aws.eks.clusters[OTHER_CLUSTER] = "CREATING"
    role_before = aws.state()["roles"]["shared"]
    changed = in_both_clusters(workload("web", role=ROLE), trust_scope="account", purge_policies=True)
    done = run_fleet(aws, changed)
    assert [code for _cluster, _name, code in failures(done)] == ["ClusterNotActive"]
    assert Code.POLICY_ATTACHED_EXTRA in [finding.code for finding in done.findings]
    role = aws.state()["roles"]["shared"]
    assert (OTHER_CLUSTER, "app") in statements(aws, "shared")
    assert set(role_before["attached"]) <= set(role["attached"])


def test_scope_is_not_narrowed_for_an_unreadable_cluster() -> None:
    aws = FakeAws()
    wide = in_both_clusters(workload(role=ROLE), trust_scope="account")
    run_fleet(aws, wide)
    aws.eks.clusters[OTHER_CLUSTER] = "CREATING"
    narrow = in_both_clusters(workload(role=ROLE), trust_scope="workload", force=True)
    outcome = run_fleet(aws, narrow)
    assert statements(aws, "shared")[0] == ("", "")
    assert [
        (failure.error_code, failure.workloads[0].cluster)
        for failure in outcome.failures
        if failure.error_code == Code.SKIPPED
    ] == [(Code.SKIPPED, OTHER_CLUSTER)]
    aws.eks.clusters[OTHER_CLUSTER] = "ACTIVE"
    assert run_fleet(aws, narrow).failures == ()
    assert sorted(statements(aws, "shared")) == [(CLUSTER, "app"), (OTHER_CLUSTER, "app")]


def test_clusters_of_one_name_in_two_regions_are_distinct() -> None:
    aws = with_agents(FakeAws())
    elsewhere = aws.add_clusters("eu-central-1", CLUSTER)
    parsed = [
        ParsedInput(CLUSTER, "present", desired(workload(name, role=ROLE)).workloads)
        for name in ("app", "web")
    ]
    fleet_members = run_members(
        [ClusterInput(parsed[0]), ClusterInput(parsed[1], "eu-central-1")], "us-west-2"
    )
    assert [member.key for member in fleet_members] == ["us-west-2/my-cluster", "eu-central-1/my-cluster"]
    engine, fleet = fleet_engine(aws, fleet_members, Options())
    done = perform(engine, fleet.desired, Order("present", verify=True))
    rows = changed_rows(fleet, fleet_members, done, False, {})
    assert [association["serviceAccount"] for association in aws.eks.state()] == ["app"]
    assert [association["serviceAccount"] for association in elsewhere.state()] == ["web"]
    assert [(row["cluster_name"], row["region"], row["cluster_arn"]) for row in rows] == [
        (CLUSTER, "us-west-2", "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"),
        (CLUSTER, "eu-central-1", "arn:aws:eks:eu-central-1:111122223333:cluster/my-cluster"),
    ]
    workloads = rows[1]["workloads"]
    assert isinstance(workloads, list)
    assert (workloads[0]["cluster"], workloads[0]["service_account"], workloads[0]["status"]) == (
        CLUSTER,
        "web",
        "changed",
    )
    changes = rows[1]["changes"]
    assert isinstance(changes, list)
    (role,) = [row for row in changes if row["resource"] == "role"]
    assert (role["workload"], role["shared_with"]) == ("default/web", ["us-west-2/my-cluster default/app"])


def test_skipped_cluster_reports_reason_and_workloads() -> None:
    aws = FakeAws()
    spec = in_both_clusters(workload(role=ROLE))
    del aws.eks.clusters[OTHER_CLUSTER]
    fleet_members = members(spec)
    engine, fleet = fleet_engine(aws, fleet_members, spec.options)
    done = perform(engine, fleet.desired, Order("present"))
    rows = changed_rows(fleet, fleet_members, done, False, {})
    message = (
        "cluster other-cluster (account 111122223333, region us-west-2) was skipped, without changes for its 1 "
        "workload (default/app): eks:DescribeCluster: ResourceNotFoundException: No cluster found for name: other-cluster. "
        "Requested in account 111122223333, region us-west-2, as arn:aws:sts::111122223333:assumed-role/deployer/session. Check "
        "the name of the cluster, the account and the region."
    )
    assert (rows[0]["failed"], rows[1]["failed"], rows[1]["msg"]) == (False, True, message)
    assert fleet_message(rows, applies=True).splitlines() == [
        "1 of 2 clusters failed:",
        f"- {message}",
        "The other cluster succeeded; a rerun applies the remaining changes.",
    ]


def test_skipped_cluster_without_workloads_names_none() -> None:
    row = left_out_row(Member(CLUSTER, CLUSTER, REGION, ()), Account(ACCOUNT, "aws"), DENIED)
    place = f"cluster {CLUSTER} (account {ACCOUNT}, region {REGION})"
    assert str(row["msg"]).startswith(f"{place} was skipped: eks:DescribeCluster: AccessDeniedException")


@pytest.mark.parametrize("changes", [True, False])
def test_cluster_expected_in_another_account_is_unchanged(changes: bool) -> None:
    aws = FakeAws()
    spec = in_both_clusters(workload(role=ROLE))
    run_fleet(aws, spec)
    aws.requests.clear()
    first, second = members(spec)
    fleet_members = [replace(first, account_id=ACCOUNT), replace(second, account_id="444455556666")]
    fleet = assemble(aws, fleet_members, spec.options, "present", 1, changes)
    assert [parameters["name"] for parameters in aws.parameters("eks:DescribeCluster")] == [CLUSTER]
    assert {key: error.code for key, error in fleet.left_out.items()} == {OTHER_CLUSTER: "ACCOUNT_DIFFERS"}
    outcome = run_fleet(aws, spec)
    assert outcome.done == ()


def test_teardown_of_a_cluster_in_another_account_deletes_no_resources() -> None:
    aws = FakeAws()
    spec = in_both_clusters(workload(role=ROLE))
    run_fleet(aws, spec)
    fleet_members = [replace(member, account_id="444455556666") for member in members(spec)]
    engine, fleet = fleet_engine(aws, fleet_members, spec.options, "absent")
    aws.requests.clear()
    outcome = engine.run(fleet.desired, "absent", check_mode=False)
    assert failures(outcome) == [
        (CLUSTER, "default/app", "ACCOUNT_DIFFERS"),
        (OTHER_CLUSTER, "default/app", "ACCOUNT_DIFFERS"),
    ]
    assert aws.writes == []


def test_invalid_input_skips_only_its_cluster() -> None:
    aws = FakeAws()
    foreign = {"arn": "arn:aws:iam::444455556666:role/theirs"}
    first = desired(workload(role=ROLE))
    second = desired(workload(role=foreign, policies=None), cluster=OTHER_CLUSTER)
    spec = replace(first, workloads=(*first.workloads, *second.workloads))
    _engine, fleet = fleet_engine(aws, members(spec), spec.options)
    assert list(fleet.clusters.members) == [CLUSTER]
    assert {key: error.code for key, error in fleet.left_out.items()} == {OTHER_CLUSTER: "InvalidInput"}


@pytest.mark.parametrize(
    ("changes", "required", "left_out", "report"),
    [
        (True, True, True, None),
        (True, False, False, ("warning", "and another certificate authority.")),
        (
            False,
            True,
            False,
            ("error", "so the results of the checks of service accounts and Pods are unknown."),
        ),
        (
            False,
            False,
            False,
            ("warning", "so the results of the checks of service accounts and Pods are unknown."),
        ),
    ],
)
def test_mismatched_api_server_requires_confirmation(
    changes: bool, required: bool, left_out: bool, report: tuple[str, str] | None
) -> None:
    """Check that a change leaves the cluster out unless the user has confirmed the API server. A verification has a finding."""
    aws = FakeAws()
    data = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nQ0VSVA==\n-----END CERTIFICATE-----\n").decode()
    aws.eks.details = {"endpoint": "https://abc.eks.amazonaws.com", "certificateAuthority": {"data": data}}
    spec = desired(workload(role=ROLE))
    server = ApiServer("https://10.1.2.3", frozenset({"00"}), required=required)
    (member,) = members(spec)
    fleet = assemble(aws, [replace(member, server=server)], spec.options, "present", 1, changes)
    error = fleet.left_out.get(CLUSTER)
    assert (error is not None) is left_out
    if error is not None:
        assert error.code == "KUBERNETES_API_DIFFERS"
        assert error.remedy.endswith("set pod_identity_verify_cluster: false.")
    if report is not None:
        (finding,) = fleet.find_doubts(CLUSTER, verified=not changes)
        assert finding.severity == report[0]
        assert finding.message.endswith(report[1])
        assert "verify_cluster" not in finding.remedy
    assert fleet.find_doubts(OTHER_CLUSTER, verified=True) == []


def test_reads_the_account_quota_once() -> None:
    aws = FakeAws()
    aws.replace("iam:GetAccountSummary", lambda _asked: {"SummaryMap": {"AttachedPoliciesPerRoleQuota": 20}})
    many = [{"arn": f"arn:aws:iam::aws:policy/P{number}"} for number in range(12)]
    first, second = (
        desired(workload(role=ROLE, policies=many), cluster=name) for name in (CLUSTER, OTHER_CLUSTER)
    )
    spec = replace(first, workloads=(*first.workloads, *second.workloads))
    _engine, fleet = fleet_engine(aws, members(spec), spec.options)
    assert fleet.left_out == {}
    assert aws.parameters("iam:GetAccountSummary") == [{}]


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        pytest.param(
            [ParsedInput("blue", "present", ()), ParsedInput("blue", "present", ())],
            "cluster blue (region us-west-2) is listed twice; list it once.",
            id="twice",
        ),
        pytest.param(
            [ParsedInput("blue", "present", ()), ParsedInput("green", "absent", ())],
            "state must be the same for all clusters of a run, got absent and present; use separate runs.",
            id="two states",
        ),
        pytest.param(
            [ParsedInput("blue", "present", (), "one"), ParsedInput("green", "present", ())],
            "owner must be the same for all clusters of a run, got (none) and one; use separate runs.",
            id="two owners",
        ),
    ],
)
def test_conflicting_clusters_of_a_run_fail(inputs: list[ParsedInput], problem: str) -> None:
    with pytest.raises(InputError) as caught:
        run_members([ClusterInput(parsed) for parsed in inputs], "us-west-2")
    assert caught.value.problems == (problem,)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        pytest.param(
            workload(role={"name": "shared", "description": "one"}),
            workload(role={"name": "shared", "description": "two"}),
            "role 'shared' has a different description for default/app of cluster other-cluster than for default/app of cluster "
            "my-cluster, but all clusters of the account share this role.",
            id="a role",
        ),
        pytest.param(
            workload(role={"name": "one"}, policies=[policy("p", "s3:GetObject")]),
            workload(role={"name": "two"}, policies=[policy("P", "s3:GetObject", path="/x/")]),
            "policy 'p' has a different name for default/app of cluster other-cluster than for default/app of cluster "
            "my-cluster, but all clusters of the account share this policy.",
            id="a policy",
        ),
    ],
)
def test_differing_definitions_fail_without_changes(first: Any, second: Any, message: str) -> None:
    aws = FakeAws()
    unrelated = desired(workload("web", role={"name": "web"}, policies=None))
    parts = (
        *desired(first).workloads,
        *unrelated.workloads,
        *desired(second, cluster=OTHER_CLUSTER).workloads,
    )
    outcome = run_fleet(aws, replace(unrelated, workloads=parts))
    (failure,) = [failure for failure in outcome.failures if failure.error_code == Code.DEFINITIONS_DIFFER]
    assert failure.message == message
    assert failures(outcome) == [
        (CLUSTER, "default/app", "DEFINITIONS_DIFFER"),
        (OTHER_CLUSTER, "default/app", "DEFINITIONS_DIFFER"),
    ]
    assert list(aws.state()["roles"]) == ["web"]
    assert aws.state()["policies"] == {}


def test_reports_unlisted_associations_per_cluster() -> None:
    aws = with_agents(FakeAws())
    run_fleet(aws, in_both_clusters(workload(), workload("gone")))
    spec = in_both_clusters(workload())
    spec = replace(spec, workloads=spec.workloads[:1])
    # The list has no workloads of the second cluster.
    fleet_members = [
        *members(spec),
        *run_members([ClusterInput(ParsedInput(OTHER_CLUSTER, "present", ()), REGION)], REGION),
    ]
    engine, fleet = fleet_engine(aws, fleet_members, spec.options)
    rows = changed_rows(fleet, fleet_members, perform(engine, fleet.desired, Order("present")), False, {})
    assert [(row["cluster_name"], [finding["message"] for finding in row["findings"]]) for row in rows] == [
        (CLUSTER, [f"{_place(CLUSTER)} has 1 association not in the list: 1 managed (default/gone)."]),
        (
            OTHER_CLUSTER,
            [
                f"{_place(OTHER_CLUSTER)} has 2 associations not in the list: 2 managed (default/app, default/gone)."
            ],
        ),
    ]


def test_unlistable_cluster_without_workloads_is_an_info() -> None:
    aws = with_agents(FakeAws())
    spec = desired(workload())
    fleet_members = [
        *members(spec),
        *run_members([ClusterInput(ParsedInput(OTHER_CLUSTER, "present", ()), REGION)], REGION),
    ]
    aws.replace("eks:ListPodIdentityAssociations", _denied_for(aws, OTHER_CLUSTER))
    engine, fleet = fleet_engine(aws, fleet_members, spec.options)
    rows = changed_rows(fleet, fleet_members, perform(engine, fleet.desired, Order("present")), False, {})
    assert [(row["failed"], row["failures"]) for row in rows] == [(False, []), (False, [])]
    assert [finding["severity"] for row in rows for finding in row["findings"]] == ["info"]


def _place(cluster: str) -> str:
    return f"cluster {cluster} (account {ACCOUNT}, region {REGION})"


def test_teardown_deletes_a_role_used_only_by_the_run() -> None:
    aws = FakeAws()
    spec = in_both_clusters(workload(role=ROLE))
    run_fleet(aws, spec)
    removed = run_fleet(aws, spec, "absent")
    assert (removed.failures, removed.findings) == ((), ())
    assert (aws.state()["roles"], aws.state()["policies"], aws.eks.state()) == ({}, {}, [])


def test_teardown_keeps_resources_of_an_unreadable_cluster() -> None:
    aws = FakeAws()
    spec = in_both_clusters(workload(role=ROLE))
    run_fleet(aws, spec)
    aws.replace("eks:ListPodIdentityAssociations", _denied_for(aws, OTHER_CLUSTER))
    removed = run_fleet(aws, in_both_clusters(workload(role=ROLE), force=True), "absent")
    assert {(cluster, code) for cluster, _name, code in failures(removed)} == {
        (OTHER_CLUSTER, "AccessDeniedException")
    }
    assert [association["clusterName"] for association in aws.eks.state()] == [OTHER_CLUSTER]
    assert statements(aws, "shared") == [(OTHER_CLUSTER, "app")]
    assert policy_arn("my-policy") in aws.state()["roles"]["shared"]["attached"]


@pytest.mark.parametrize("scope", ["workload", "account", "none"])
def test_keeps_resources_of_a_failed_cluster(scope: str) -> None:
    """Check that the resources are kept even with ``force``, which applies only to clusters that the run has read."""
    aws = FakeAws()
    extra = policy("extra", "kms:Decrypt")
    wide = in_both_clusters(workload(role=ROLE, policies=[policy(), extra]), trust_scope=scope)
    run_fleet(aws, wide)
    initial = aws.state()
    narrow = in_both_clusters(
        workload(role=ROLE, policies=[policy("my-policy", "s3:ListBucket")]),
        trust_scope="workload",
        purge_policies=True,
        force=True,
    )
    outcome = run_fleet(aws, of_clusters(narrow, CLUSTER), stopped=[OTHER_CLUSTER])
    assert kept_for_stopped(outcome)
    updated = aws.state()
    assert updated["roles"] == initial["roles"]
    documents = [json.dumps(policy) for policy in updated["policies"].values()]
    assert any("s3:GetObject" in document for document in documents)
    assert any("kms:Decrypt" in document for document in documents)
    removed = run_fleet(
        aws,
        of_clusters(replace(wide, options=replace(wide.options, force=True)), CLUSTER),
        "absent",
        stopped=[OTHER_CLUSTER],
    )
    assert [association["clusterName"] for association in aws.eks.state()] == [OTHER_CLUSTER]
    assert codes_and_reasons(removed.findings)[0] == "role used"
    finding = removed.findings[0]
    assert "workloads of cluster other-cluster (not read)" in finding.message
    role = aws.state()["roles"]["shared"]
    assert role["attached"] == initial["roles"]["shared"]["attached"]
    assert (("", "") if scope != "workload" else (OTHER_CLUSTER, "app")) in statements(aws, "shared")
    # A teardown that includes all clusters deletes all resources.
    everything = in_both_clusters(
        workload(role=ROLE, policies=[policy(), extra]), trust_scope=scope, force=True
    )
    run_fleet(aws, everything, "absent")
    assert (aws.state()["roles"], aws.state()["policies"]) == ({}, {})


def test_teardown_deletes_an_unshared_role_despite_a_failed_cluster() -> None:
    aws = FakeAws()
    spec = in_both_clusters(workload(role=ROLE))
    run_fleet(aws, of_clusters(spec, CLUSTER))
    assert run_fleet(aws, of_clusters(spec, CLUSTER), "absent", stopped=[OTHER_CLUSTER]).findings == ()
    assert aws.state()["roles"] == {}


@pytest.mark.parametrize(
    ("stopped", "keys"),
    [
        ([Stopped("other-cluster")], ["other-cluster"]),
        ([Stopped(CLUSTER, "eu-central-1")], [f"eu-central-1/{CLUSTER}"]),
        ([Stopped(CLUSTER), Stopped("red"), Stopped("red", "us-west-2")], ["red"]),
    ],
)
def test_failed_cluster_does_not_count_as_running(stopped: list[Stopped], keys: list[str]) -> None:
    inputs = [ClusterInput(ParsedInput(CLUSTER, "present", ()))]
    assert stopped_keys(inputs, "us-west-2", stopped) == keys
    running = {member.key for member in run_members(inputs, "us-west-2", stopped)}
    assert running.isdisjoint(keys)


def _denied_for(aws: FakeAws, cluster: str) -> Any:
    def answer(request: Any) -> Any:
        if request["clusterName"] == cluster:
            raise DENIED
        return aws.eks.ListPodIdentityAssociations(request)

    return answer


@SLOW
@given(
    aws=accounts(),
    initial=desired_states(adopt=False, tagged=True),
    spec=desired_states(adopt=False, tagged=True),
    places=PLACES,
    earlier=PLACES,
)
def test_one_run_equals_runs_per_cluster(
    aws: FakeAws, initial: Desired, spec: Desired, places: list[str], earlier: list[str]
) -> None:
    """Compare one run for two clusters with repeated runs for each cluster.

    The results may differ in three points: attachments of a role that both clusters use, because either run may own them;
    documents of policies and settings of roles that clusters outside a run use, because the run keeps them; and statements for
    users outside all runs, which depend on the room in the trust policy.
    """
    initial, spec = spread(initial, earlier), spread(spec, places)
    twin = FakeAws()
    twin.restore(aws.backup())
    for account in (aws, twin):
        _one_by_one(account, initial)
    together = run_fleet(aws, spec)
    # A permissions boundary that the second list creates may prevent changes of the role until then, so run twice.
    for _ in range(2):
        runs = _one_by_one(twin, spec)
    assume(not together.failures)
    failures = [failure for run in runs for failure in run.failures]
    if failures:
        event("a resource is kept for another cluster")
        # If a change is refused, the changes that depend on it have the code SKIPPED.
        causes = {failure.error_code for failure in failures} - {Code.SKIPPED}
        assert causes
        assert causes <= {Code.POLICY_USED_ELSEWHERE, Code.ROLE_USED_ELSEWHERE}
        return
    clusters = {workload.key.cluster for workload in spec.workloads}
    event(f"{len(clusters)} clusters")
    assert names(run_fleet(aws, spec, check_mode=True).plan) == []
    end, separate = _without_cluster_tags(aws), _without_cluster_tags(twin)
    if any(
        finding.code == Code.TRUST_KEPT_FOR_OTHERS
        for outcome in (together, *runs)
        for finding in outcome.findings
    ):
        for role in (*end["roles"].values(), *separate["roles"].values()):
            del role["trust"]
    for name, role in separate["roles"].items():
        if {cluster for cluster, _account in statements(twin, name)} == {CLUSTER, OTHER_CLUSTER}:
            attached = end["roles"][name]["attached"]
            assert set(attached) <= set(role["attached"])
            role["attached"] = attached
    assert end == separate


def test_full_trust_policy_converges_in_one_run() -> None:
    """Fill the trust policy with statements for users outside the run, in four namespaces of two clusters."""

    def listed_workloads(scope: str, *keys: tuple[str, str]) -> Desired:
        rows = (workload(name, namespace, role=ROLE, policies=None) for namespace, name in keys)
        return spread(desired(*rows, trust_scope=scope), ["both", "both"])

    aws = FakeAws()
    _one_by_one(aws, listed_workloads("namespace", ("batch", "app"), ("default", "app")))
    spec = listed_workloads("workload", ("default", "web"))
    assert run_fleet(aws, spec).failures == ()
    assert names(run_fleet(aws, spec, check_mode=True).plan) == []


def _one_by_one(aws: FakeAws, spec: Desired) -> list[Run]:
    return [
        run(aws, of_clusters(spec, cluster))
        for cluster in (CLUSTER, OTHER_CLUSTER)
        if of_clusters(spec, cluster).workloads
    ]


def _without_cluster_tags(aws: FakeAws) -> dict[str, Any]:
    """Return the state without the cluster tags, which depend on the order of the runs."""
    state = aws.state()
    for shared_policy in state["policies"].values():
        shared_policy["tags"].pop("workload-identity/cluster", None)
    return state
