# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run over clusters of one account: one plan, and failures that stay with their cluster."""

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
    Stopped,
    run_members,
    stopped_keys,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import ApiServer
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
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import Order, perform
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    OTHER_CLUSTER,
    REGION,
    FakeAws,
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
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.worlds import (
    accounts,
    wishes,
)
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
PLACES = st.lists(st.sampled_from(["here", "there", "both"]), min_size=3, max_size=3)
DENIED = classify("eks:DescribeCluster", "AccessDeniedException", "not authorized")
ROLE = {"name": "shared"}


def both(*workloads: dict[str, Any], **options: Any) -> Desired:
    """The same workloads in two clusters of the account."""
    here, there = desired(*workloads, **options), desired(*workloads, cluster=OTHER_CLUSTER, **options)
    return replace(here, workloads=(*here.workloads, *there.workloads))


def of(wanted: Desired, *clusters: str) -> Desired:
    return replace(wanted, workloads=tuple(one for one in wanted.workloads if one.key.cluster in clusters))


def spread(wanted: Desired, places: Sequence[str]) -> Desired:
    """The workloads here, there, or in both clusters, those here first."""
    pairs = list(zip(wanted.workloads, places, strict=False))
    here = [one for one, place in pairs if place != "there"]
    there = [
        replace(one, key=replace(one.key, cluster=OTHER_CLUSTER)) for one, place in pairs if place != "here"
    ]
    return replace(wanted, workloads=(*here, *there))


def statements(aws: FakeAws, role: str) -> list[tuple[str, object]]:
    """Of our statements in a trust policy the cluster and the service accounts."""
    trust = json.loads(aws.iam.roles[role]["trust"])
    conditions = [one.get("Condition", {}).get("StringEquals", {}) for one in trust["Statement"]]
    return [
        (
            str(one.get("aws:RequestTag/eks-cluster-arn", "")).rpartition("/")[2],
            one.get("aws:RequestTag/kubernetes-service-account", ""),
        )
        for one in conditions
    ]


def with_agents(aws: FakeAws) -> FakeAws:
    aws.replace("eks:DescribeAddon", lambda _asked: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}})
    return aws


def failures(run_: Run) -> list[tuple[str, str, str]]:
    return [
        (key.cluster, str(key), failure.error_code) for failure in run_.failures for key in failure.workloads
    ]


def test_a_role_that_clusters_share_is_written_once_with_the_grants_of_all() -> None:
    aws = FakeAws()
    run_fleet(aws, both(workload(role=ROLE), workload("web", role=ROLE)))
    assert Counter(aws.writes) == {
        "iam:CreatePolicy": 1,
        "iam:CreateRole": 1,
        "iam:AttachRolePolicy": 1,
        "eks:CreatePodIdentityAssociation": 4,
    }
    assert sorted(statements(aws, "shared")) == [(CLUSTER, ["app", "web"]), (OTHER_CLUSTER, ["app", "web"])]


def test_workloads_without_a_place_in_kubernetes_fail_alone() -> None:
    """A namespace of one cluster is being deleted; the other cluster has one of the same name."""
    aws, wanted = FakeAws(), both(workload(role=ROLE), workload("web", "leaving", role=ROLE))
    key = WorkloadKey(OTHER_CLUSTER, "leaving", "web")
    going = Finding(Code.NAMESPACE_GOING, "namespace leaving is being deleted.", "Remove the workload.", key)
    here, there = members(wanted)
    engine, fleet = fleet_engine(aws, [here, replace(there, breakage=(going,))], wanted.options)
    done = engine.run(fleet.desired, "present", check_mode=False)
    assert failures(done) == [(OTHER_CLUSTER, "leaving/web", "NAMESPACE_GOING")]
    made = [(one["clusterName"], one["serviceAccount"]) for one in aws.eks.associations.values()]
    assert sorted(made) == [(CLUSTER, "app"), (CLUSTER, "web"), (OTHER_CLUSTER, "app")]


def test_iam_is_read_once_and_eks_cluster_by_cluster() -> None:
    aws = FakeAws()
    raw = [
        workload(f"app{number}", role={"name": f"r{number}"}, policies=[policy(f"p{number}")])
        for number in range(12)
    ]
    wanted = both(*raw)
    run_fleet(aws, wanted)
    aws.requests.clear()
    assert run_fleet(aws, wanted).done == ()
    assert Counter(name for name, _ in aws.requests) == {
        "sts:GetCallerIdentity": 1,
        "iam:GetAccountAuthorizationDetails": 1,
        "eks:DescribeCluster": 2,
        "eks:ListPodIdentityAssociations": 2,
        "eks:DescribePodIdentityAssociation": 24,
    }


@pytest.mark.parametrize("again", [False, True])
def test_many_clusters_cost_little_more_than_one_with_all_their_workloads(again: bool) -> None:
    """20 clusters with 25 workloads each beside one cluster with 500; of each account, 40 x 25 has two such."""
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
    small = replace(large, workloads=tuple(one for part in parts for one in part.workloads))

    def requests(aws: FakeAws, wanted: Desired) -> int:
        aws.requests.clear()
        engine, fleet = fleet_engine(aws, members(wanted), wanted.options)
        done = perform(engine, fleet.desired, Order("present", verify=True))
        assert done.run.failures == ()
        assert {one.status for one in done.verified or ()} == {"pass"}
        return len(aws.requests)

    if again:
        requests(few, large), requests(many, small)
    base = requests(few, large)
    # A cluster is described and listed, its add-on read, and after a change its associations are listed again.
    assert requests(many, small) - base <= 4 * len(clusters)
    assert base > 500


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(DENIED, "AccessDeniedException", id="denied"),
        pytest.param(None, "ClusterNotActive", id="not active"),
    ],
)
def test_a_cluster_that_cannot_be_used_fails_alone_with_all_its_workloads(error: Any, code: str) -> None:
    aws = FakeAws()
    wanted = both(workload(role=ROLE), workload("web", role={"name": "web"}))
    if error:

        def describe(asked: Any) -> Any:
            if asked["name"] == OTHER_CLUSTER:
                raise error
            return aws.eks.DescribeCluster(asked)

        aws.replace("eks:DescribeCluster", describe)
    else:
        aws.eks.clusters[OTHER_CLUSTER] = "CREATING"
    made = run_fleet(aws, wanted)
    assert failures(made) == [
        (OTHER_CLUSTER, "default/app", code),
        (OTHER_CLUSTER, "default/web", code),
    ]
    assert names(plan(aws, of(wanted, CLUSTER))) == []
    # Nothing is granted to a cluster that may not even be there.
    assert statements(aws, "shared") == [(CLUSTER, "app")]


def test_what_a_cluster_that_cannot_be_read_has_of_a_shared_role_stays() -> None:
    aws = FakeAws()
    extra = policy("extra", "kms:Decrypt")
    before = both(workload(role=ROLE))
    there = desired(workload(role=ROLE, policies=[policy(), extra]), cluster=OTHER_CLUSTER)
    run_fleet(aws, replace(before, workloads=(*of(before, CLUSTER).workloads, *there.workloads)))
    aws.eks.clusters[OTHER_CLUSTER] = "CREATING"
    kept = aws.state()["roles"]["shared"]
    changed = both(workload("web", role=ROLE), trust_scope="account", purge_policies=True)
    done = run_fleet(aws, changed)
    assert [code for _cluster, _name, code in failures(done)] == ["ClusterNotActive"]
    assert Code.POLICY_ATTACHED_EXTRA in [one.code for one in done.findings]
    role = aws.state()["roles"]["shared"]
    assert (OTHER_CLUSTER, "app") in statements(aws, "shared")
    assert set(kept["attached"]) <= set(role["attached"])


def test_a_scope_that_covers_a_cluster_that_cannot_be_read_is_not_narrowed() -> None:
    aws = FakeAws()
    wide = both(workload(role=ROLE), trust_scope="account")
    run_fleet(aws, wide)
    aws.eks.clusters[OTHER_CLUSTER] = "CREATING"
    narrow = both(workload(role=ROLE), trust_scope="workload", force=True)
    held = run_fleet(aws, narrow)
    assert statements(aws, "shared")[0] == ("", "")
    assert [
        (one.error_code, one.workloads[0].cluster) for one in held.failures if one.error_code == Code.SKIPPED
    ] == [(Code.SKIPPED, OTHER_CLUSTER)]
    aws.eks.clusters[OTHER_CLUSTER] = "ACTIVE"
    assert run_fleet(aws, narrow).failures == ()
    assert sorted(statements(aws, "shared")) == [(CLUSTER, "app"), (OTHER_CLUSTER, "app")]


def test_clusters_of_one_name_in_two_regions_are_two() -> None:
    aws = with_agents(FakeAws())
    elsewhere = aws.add_clusters("eu-central-1", CLUSTER)
    parsed = [
        ParsedInput(CLUSTER, "present", desired(workload(name, role=ROLE)).workloads)
        for name in ("app", "web")
    ]
    asked = run_members([ClusterInput(parsed[0]), ClusterInput(parsed[1], "eu-central-1")], "us-west-2")
    assert [one.key for one in asked] == ["us-west-2/my-cluster", "eu-central-1/my-cluster"]
    engine, fleet = fleet_engine(aws, asked, Options())
    done = perform(engine, fleet.desired, Order("present", verify=True))
    rows = changed_rows(fleet, asked, done, False, {})
    assert [one["serviceAccount"] for one in aws.eks.state()] == ["app"]
    assert [one["serviceAccount"] for one in elsewhere.state()] == ["web"]
    assert [(row["cluster_name"], row["region"], row["cluster_arn"]) for row in rows] == [
        (CLUSTER, "us-west-2", "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"),
        (CLUSTER, "eu-central-1", "arn:aws:eks:eu-central-1:111122223333:cluster/my-cluster"),
    ]
    made = rows[1]["workloads"]
    assert isinstance(made, list)
    assert (made[0]["cluster"], made[0]["service_account"], made[0]["status"]) == (CLUSTER, "web", "changed")
    changes = rows[1]["changes"]
    assert isinstance(changes, list)
    (role,) = [row for row in changes if row["resource"] == "role"]
    assert (role["workload"], role["shared_with"]) == ("default/web", ["us-west-2/my-cluster default/app"])


def test_a_cluster_that_is_left_out_says_why_and_names_its_workloads() -> None:
    aws = FakeAws()
    wanted = both(workload(role=ROLE))
    del aws.eks.clusters[OTHER_CLUSTER]
    asked = members(wanted)
    engine, fleet = fleet_engine(aws, asked, wanted.options)
    done = perform(engine, fleet.desired, Order("present"))
    rows = changed_rows(fleet, asked, done, False, {})
    message = (
        "cluster other-cluster (account 111122223333, region us-west-2) was skipped, without changes for its 1 "
        "workload (default/app): eks:DescribeCluster: ResourceNotFoundException: No cluster found for name: other-cluster. "
        "Requested in account 111122223333, region us-west-2, as arn:aws:sts::111122223333:assumed-role/deployer/session. Check "
        "the cluster's name, and that account and region are the ones you mean."
    )
    assert (rows[0]["failed"], rows[1]["failed"], rows[1]["msg"]) == (False, True, message)
    assert fleet_message(rows).splitlines() == [
        "1 of 2 clusters failed:",
        f"- {message}",
        "The other clusters succeeded; a rerun applies the rest.",
    ]


@pytest.mark.parametrize("changes", [True, False])
def test_a_cluster_that_is_expected_in_another_account_is_left_as_it_is(changes: bool) -> None:
    aws = FakeAws()
    wanted = both(workload(role=ROLE))
    run_fleet(aws, wanted)
    aws.requests.clear()
    here, there = members(wanted)
    asked = [replace(here, account_id=ACCOUNT), replace(there, account_id="444455556666")]
    fleet = assemble(aws, asked, wanted.options, "present", 1, changes)
    assert [parameters["name"] for parameters in aws.parameters("eks:DescribeCluster")] == [CLUSTER]
    assert {key: error.code for key, error in fleet.left_out.items()} == {OTHER_CLUSTER: "ACCOUNT_DIFFERS"}
    made = run_fleet(aws, wanted)
    assert made.done == ()


def test_a_teardown_of_a_cluster_in_another_account_removes_nothing() -> None:
    aws = FakeAws()
    wanted = both(workload(role=ROLE))
    run_fleet(aws, wanted)
    asked = [replace(member, account_id="444455556666") for member in members(wanted)]
    engine, fleet = fleet_engine(aws, asked, wanted.options, "absent")
    aws.requests.clear()
    made = engine.run(fleet.desired, "absent", check_mode=False)
    assert failures(made) == [
        (CLUSTER, "default/app", "ACCOUNT_DIFFERS"),
        (OTHER_CLUSTER, "default/app", "ACCOUNT_DIFFERS"),
    ]
    assert aws.writes == []


def test_input_that_cannot_be_used_leaves_its_cluster_out_alone() -> None:
    aws = FakeAws()
    foreign = {"arn": "arn:aws:iam::444455556666:role/theirs"}
    here = desired(workload(role=ROLE))
    there = desired(workload(role=foreign, policies=None), cluster=OTHER_CLUSTER)
    wanted = replace(here, workloads=(*here.workloads, *there.workloads))
    _engine, fleet = fleet_engine(aws, members(wanted), wanted.options)
    assert list(fleet.clusters.members) == [CLUSTER]
    assert {key: error.code for key, error in fleet.left_out.items()} == {OTHER_CLUSTER: "InvalidInput"}


@pytest.mark.parametrize(
    ("changes", "required", "left_out", "told"),
    [
        (True, True, True, None),
        (True, False, False, ("warning", "and another certificate authority.")),
        (False, True, False, ("error", "so the checks of service accounts and Pods are unknown.")),
        (False, False, False, ("warning", "so the checks of service accounts and Pods are unknown.")),
    ],
)
def test_a_cluster_with_the_api_of_another_is_changed_on_the_users_word_alone(
    changes: bool, required: bool, left_out: bool, told: tuple[str, str] | None
) -> None:
    """And a verification says what it leaves open."""
    aws = FakeAws()
    data = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nQ0VSVA==\n-----END CERTIFICATE-----\n").decode()
    aws.eks.details = {"endpoint": "https://abc.eks.amazonaws.com", "certificateAuthority": {"data": data}}
    wanted = desired(workload(role=ROLE))
    server = ApiServer("https://10.1.2.3", frozenset({"00"}), required=required)
    (member,) = members(wanted)
    fleet = assemble(aws, [replace(member, server=server)], wanted.options, "present", 1, changes)
    error = fleet.left_out.get(CLUSTER)
    assert (error is not None) is left_out
    if error is not None:
        assert error.code == "KUBERNETES_API_DIFFERS"
        assert error.remedy.endswith("set pod_identity_verify_cluster: false.")
    if told is not None:
        (finding,) = fleet.find_doubts(CLUSTER, verified=not changes)
        assert finding.severity == told[0]
        assert finding.message.endswith(told[1])
        assert "verify_cluster" not in finding.remedy
    assert fleet.find_doubts(OTHER_CLUSTER, verified=True) == []


def test_the_quota_of_the_account_is_asked_for_once() -> None:
    aws = FakeAws()
    aws.replace("iam:GetAccountSummary", lambda _asked: {"SummaryMap": {"AttachedPoliciesPerRoleQuota": 20}})
    many = [{"arn": f"arn:aws:iam::aws:policy/P{number}"} for number in range(12)]
    here, there = (
        desired(workload(role=ROLE, policies=many), cluster=name) for name in (CLUSTER, OTHER_CLUSTER)
    )
    wanted = replace(here, workloads=(*here.workloads, *there.workloads))
    _engine, fleet = fleet_engine(aws, members(wanted), wanted.options)
    assert fleet.left_out == {}
    assert aws.parameters("iam:GetAccountSummary") == [{}]


@pytest.mark.parametrize(
    ("asked", "problem"),
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
def test_what_one_run_cannot_be_about(asked: list[ParsedInput], problem: str) -> None:
    with pytest.raises(InputError) as caught:
        run_members([ClusterInput(one) for one in asked], "us-west-2")
    assert caught.value.problems == (problem,)


@pytest.mark.parametrize(
    ("here", "there", "message"),
    [
        pytest.param(
            workload(role={"name": "shared", "description": "one"}),
            workload(role={"name": "shared", "description": "two"}),
            "role 'shared' has another description for default/app of cluster other-cluster than for default/app of cluster "
            "my-cluster, and IAM has it once for all clusters of the account.",
            id="a role",
        ),
        pytest.param(
            workload(role={"name": "one"}, policies=[policy("p", "s3:GetObject")]),
            workload(role={"name": "two"}, policies=[policy("P", "s3:GetObject", path="/x/")]),
            "policy 'p' has another name for default/app of cluster other-cluster than for default/app of cluster "
            "my-cluster, and IAM has it once for all clusters of the account.",
            id="a policy",
        ),
    ],
)
def test_what_clusters_define_apart_is_left_as_it_is(here: Any, there: Any, message: str) -> None:
    aws = FakeAws()
    others = desired(workload("web", role={"name": "web"}, policies=None))
    parts = (*desired(here).workloads, *others.workloads, *desired(there, cluster=OTHER_CLUSTER).workloads)
    made = run_fleet(aws, replace(others, workloads=parts))
    (failure,) = [one for one in made.failures if one.error_code == Code.DEFINITIONS_DIFFER]
    assert failure.message == message
    assert failures(made) == [
        (CLUSTER, "default/app", "DEFINITIONS_DIFFER"),
        (OTHER_CLUSTER, "default/app", "DEFINITIONS_DIFFER"),
    ]
    assert list(aws.state()["roles"]) == ["web"]
    assert aws.state()["policies"] == {}


def test_each_cluster_has_its_own_unlisted_associations() -> None:
    aws = with_agents(FakeAws())
    run_fleet(aws, both(workload(), workload("gone")))
    wanted = both(workload())
    wanted = replace(wanted, workloads=wanted.workloads[:1])
    # The second cluster has no workload in the list.
    asked = [
        *members(wanted),
        *run_members([ClusterInput(ParsedInput(OTHER_CLUSTER, "present", ()), REGION)], REGION),
    ]
    engine, fleet = fleet_engine(aws, asked, wanted.options)
    rows = changed_rows(fleet, asked, perform(engine, fleet.desired, Order("present")), False, {})
    assert [(row["cluster_name"], [told["message"] for told in row["findings"]]) for row in rows] == [
        (CLUSTER, [f"{_place(CLUSTER)} has 1 association not in the list: 1 managed (default/gone)."]),
        (
            OTHER_CLUSTER,
            [
                f"{_place(OTHER_CLUSTER)} has 2 associations not in the list: 2 managed (default/app, default/gone)."
            ],
        ),
    ]


def test_a_cluster_without_workloads_that_cannot_be_listed_fails_nothing() -> None:
    aws = with_agents(FakeAws())
    wanted = desired(workload())
    asked = [
        *members(wanted),
        *run_members([ClusterInput(ParsedInput(OTHER_CLUSTER, "present", ()), REGION)], REGION),
    ]
    aws.replace("eks:ListPodIdentityAssociations", _denied_for(aws, OTHER_CLUSTER))
    engine, fleet = fleet_engine(aws, asked, wanted.options)
    rows = changed_rows(fleet, asked, perform(engine, fleet.desired, Order("present")), False, {})
    assert [(row["failed"], row["failures"]) for row in rows] == [(False, []), (False, [])]
    assert [finding["severity"] for row in rows for finding in row["findings"]] == ["info"]


def _place(cluster: str) -> str:
    return f"cluster {cluster} (account {ACCOUNT}, region {REGION})"


def test_a_teardown_removes_a_role_that_only_the_clusters_of_the_run_use() -> None:
    aws = FakeAws()
    wanted = both(workload(role=ROLE))
    run_fleet(aws, wanted)
    removed = run_fleet(aws, wanted, "absent")
    assert (removed.failures, removed.findings) == ((), ())
    assert (aws.state()["roles"], aws.state()["policies"], aws.eks.state()) == ({}, {}, [])


def test_a_teardown_keeps_what_a_cluster_that_cannot_be_read_may_use() -> None:
    aws = FakeAws()
    wanted = both(workload(role=ROLE))
    run_fleet(aws, wanted)
    aws.replace("eks:ListPodIdentityAssociations", _denied_for(aws, OTHER_CLUSTER))
    removed = run_fleet(aws, both(workload(role=ROLE), force=True), "absent")
    assert {(cluster, code) for cluster, _name, code in failures(removed)} == {
        (OTHER_CLUSTER, "AccessDeniedException")
    }
    assert [one["clusterName"] for one in aws.eks.state()] == [OTHER_CLUSTER]
    assert statements(aws, "shared") == [(OTHER_CLUSTER, "app")]
    assert policy_arn("my-policy") in aws.state()["roles"]["shared"]["attached"]


@pytest.mark.parametrize("scope", ["workload", "account", "none"])
def test_nothing_goes_that_a_cluster_that_stopped_may_use(scope: str) -> None:
    """What its workloads are is not known, and ``force`` vouches for the clusters of the run alone."""
    aws = FakeAws()
    extra = policy("extra", "kms:Decrypt")
    wide = both(workload(role=ROLE, policies=[policy(), extra]), trust_scope=scope)
    run_fleet(aws, wide)
    before = aws.state()
    narrow = both(
        workload(role=ROLE, policies=[policy("my-policy", "s3:ListBucket")]),
        trust_scope="workload",
        purge_policies=True,
        force=True,
    )
    held = run_fleet(aws, of(narrow, CLUSTER), stopped=[OTHER_CLUSTER])
    assert kept_for_stopped(held)
    after = aws.state()
    assert after["roles"] == before["roles"]
    documents = [json.dumps(one) for one in after["policies"].values()]
    assert any("s3:GetObject" in one for one in documents)
    assert any("kms:Decrypt" in one for one in documents)
    gone = run_fleet(
        aws,
        of(replace(wide, options=replace(wide.options, force=True)), CLUSTER),
        "absent",
        stopped=[OTHER_CLUSTER],
    )
    assert [one["clusterName"] for one in aws.eks.state()] == [OTHER_CLUSTER]
    [finding] = [one for one in gone.findings if one.code == Code.ROLE_STILL_USED]
    assert "workloads of cluster other-cluster, which was not read" in finding.message
    role = aws.state()["roles"]["shared"]
    assert role["attached"] == before["roles"]["shared"]["attached"]
    assert (("", "") if scope != "workload" else (OTHER_CLUSTER, "app")) in statements(aws, "shared")
    # Once it is there again nothing is left of it.
    everything = both(workload(role=ROLE, policies=[policy(), extra]), trust_scope=scope, force=True)
    run_fleet(aws, everything, "absent")
    assert (aws.state()["roles"], aws.state()["policies"]) == ({}, {})


def test_a_role_of_its_own_goes_whatever_stopped() -> None:
    aws = FakeAws()
    wanted = both(workload(role=ROLE))
    run_fleet(aws, of(wanted, CLUSTER))
    assert run_fleet(aws, of(wanted, CLUSTER), "absent", stopped=[OTHER_CLUSTER]).findings == ()
    assert aws.state()["roles"] == {}


@pytest.mark.parametrize(
    ("stopped", "keys"),
    [
        ([Stopped("other-cluster")], ["other-cluster"]),
        ([Stopped(CLUSTER, "eu-central-1")], [f"eu-central-1/{CLUSTER}"]),
        ([Stopped(CLUSTER), Stopped("red"), Stopped("red", "us-west-2")], ["red"]),
    ],
)
def test_a_cluster_that_stopped_is_none_of_those_that_run(stopped: list[Stopped], keys: list[str]) -> None:
    asked = [ClusterInput(ParsedInput(CLUSTER, "present", ()))]
    assert stopped_keys(asked, "us-west-2", stopped) == keys
    running = {member.key for member in run_members(asked, "us-west-2", stopped)}
    assert running.isdisjoint(keys)


def _denied_for(aws: FakeAws, cluster: str) -> Any:
    def answer(asked: Any) -> Any:
        if asked["clusterName"] == cluster:
            raise DENIED
        return aws.eks.ListPodIdentityAssociations(asked)

    return answer


@SLOW
@given(
    aws=accounts(),
    before=wishes(adopt=False, tagged=True),
    wanted=wishes(adopt=False, tagged=True),
    places=PLACES,
    earlier=PLACES,
)
def test_one_run_ends_where_the_runs_of_its_clusters_do(
    aws: FakeAws, before: Desired, wanted: Desired, places: list[str], earlier: list[str]
) -> None:
    """One after the other, as slices of a fleet are made, in either order, until they leave nothing to do.

    But for what is attached to a role that both let in: to each of two runs it may be the other's; and for a policy that
    clusters outside a run use, whose document stays; and for the limits of a role that they use, which stay, too. Users outside
    all runs keep their statements, of which a run that has room for fewer makes narrower ones.
    """
    before, wanted = spread(before, earlier), spread(wanted, places)
    twin = FakeAws()
    twin.restore(aws.backup())
    for account in (aws, twin):
        _one_by_one(account, before)
    together = run_fleet(aws, wanted)
    # A boundary that only the second cluster's list makes keeps the first one from its role.
    for _ in range(2):
        runs = _one_by_one(twin, wanted)
    assume(not together.failures)
    failures = [failure for one in runs for failure in one.failures]
    if failures:
        event("something stays for another cluster")
        assert {failure.error_code for failure in failures} <= {
            Code.POLICY_USED_ELSEWHERE,
            Code.ROLE_USED_ELSEWHERE,
        }
        return
    clusters = {one.key.cluster for one in wanted.workloads}
    event(f"{len(clusters)} clusters")
    assert names(run_fleet(aws, wanted, check_mode=True).plan) == []
    end, apart = _without_cluster_tags(aws), _without_cluster_tags(twin)
    if any(
        finding.code == Code.TRUST_KEPT_FOR_OTHERS for one in (together, *runs) for finding in one.findings
    ):
        for role in (*end["roles"].values(), *apart["roles"].values()):
            del role["trust"]
    for name, role in apart["roles"].items():
        if {cluster for cluster, _account in statements(twin, name)} == {CLUSTER, OTHER_CLUSTER}:
            attached = end["roles"][name]["attached"]
            assert set(attached) <= set(role["attached"])
            role["attached"] = attached
    assert end == apart


def test_a_trust_policy_without_room_for_every_statement_comes_to_rest_in_one_run() -> None:
    """Four namespaces in two clusters have users outside the run, which then asks for two workloads of two of them."""

    def listed(scope: str, *keys: tuple[str, str]) -> Desired:
        rows = (workload(name, namespace, role=ROLE, policies=None) for namespace, name in keys)
        return spread(desired(*rows, trust_scope=scope), ["both", "both"])

    aws = FakeAws()
    _one_by_one(aws, listed("namespace", ("batch", "app"), ("default", "app")))
    wanted = listed("workload", ("default", "web"))
    assert run_fleet(aws, wanted).failures == ()
    assert names(run_fleet(aws, wanted, check_mode=True).plan) == []


def _one_by_one(aws: FakeAws, wanted: Desired) -> list[Run]:
    return [
        run(aws, of(wanted, cluster)) for cluster in (CLUSTER, OTHER_CLUSTER) if of(wanted, cluster).workloads
    ]


def _without_cluster_tags(aws: FakeAws) -> dict[str, Any]:
    """Which cluster a shared policy was first made for depends on who came first."""
    state = aws.state()
    for one in state["policies"].values():
        one["tags"].pop("workload-identity/cluster", None)
    return state
