# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two lists that share a role: neither takes anything from the workloads of the other one, and both come to rest."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import (
    Finding,
    WorkloadKey,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Plan
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    Agent,
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import TRUST_SCOPES
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.purge import PurgeScope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.trust import trust_subject
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import find_cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import (
    Order,
    perform,
    run_with_purge,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    read_grants,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import (
    is_usable,
    prepare_trust,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    OTHER_CLUSTER,
    REGION,
    Clock,
    FakeAws,
    create_association,
    create_policy,
    desired,
    engine,
    named,
    names,
    plan,
    policy,
    policy_arn,
    role_arn,
    run,
    run_fleet,
    workload,
)

ROLE = role_arn("shared")
DENIED = classify("eks:X", "AccessDeniedException", "not authorized")


def single(
    name: str,
    scope: str | None = None,
    cluster: str = CLUSTER,
    namespace: str = "default",
    policies: tuple[str, ...] | None = None,
    role: dict[str, Any] | None = None,
    **options: Any,
) -> Desired:
    """A list with one workload of the shared role and, unless others are given, a policy of its own."""
    raw = workload(
        name,
        namespace,
        role={"name": "shared", **(role or {})},
        policies=[policy(one) for one in policies or (f"of-{name}",)],
    )
    return desired(raw, cluster=cluster, trust_scope=scope, **options)


def grants(aws: FakeAws) -> list[str]:
    """The grants of the shared role, each by the parts that it names."""
    found, _others = read_grants(json.loads(aws.iam.roles["shared"]["trust"]))
    parts = (
        (finding.cluster_arn.rpartition("/")[2], finding.namespace, finding.service_account)
        for finding in found
    )
    scopes = {grant: "account" if grant.account_id else "none" for grant in found}
    return sorted(
        "/".join(filter(None, names)) or scopes[grant] for names, grant in zip(parts, found, strict=True)
    )


def attached(aws: FakeAws) -> list[str]:
    return sorted(arn.rpartition("/")[2] for arn in aws.iam.roles["shared"]["attached"])


def can_use(
    aws: FakeAws, name: str, cluster: str = CLUSTER, namespace: str = "default", tags: bool = True
) -> bool:
    where = find_cluster(aws, cluster, REGION)
    subject = trust_subject(where, WorkloadKey(cluster, namespace, name), ROLE, not tags)
    return is_usable(prepare_trust(json.loads(aws.iam.roles["shared"]["trust"])), subject)


def done(made: Run) -> list[str]:
    return [named(applied.change) for applied in made.done]


def findings(made: Run | Plan) -> list[Finding]:
    """The findings about the users of the role; what is not in a list has findings of its own."""
    return [
        finding
        for finding in made.findings
        if finding.code in ("POLICY_ATTACHED_EXTRA", "TRUST_KEPT_FOR_OTHERS")
    ]


def codes(made: Run) -> list[str]:
    return [finding.code.value for finding in findings(made)]


def crowd(aws: FakeAws, number: int = 12, namespace: str = "default") -> None:
    """So many associations of others that a run does not read them all anyway."""
    for index in range(number):
        create_association(aws, f"stranger-{index}", "elsewhere", namespace=namespace)


def requests(aws: FakeAws, wanted: Desired) -> Counter[str]:
    aws.requests.clear()
    run(aws, wanted)
    return Counter(name for name, _parameters in aws.requests)


@pytest.mark.parametrize(
    ("namespace", "cluster"),
    [
        pytest.param("default", CLUSTER, id="same namespace"),
        pytest.param("other", CLUSTER, id="same cluster"),
        pytest.param("default", OTHER_CLUSTER, id="two clusters"),
    ],
)
@pytest.mark.parametrize(("scope", "other"), list(itertools.product(TRUST_SCOPES, TRUST_SCOPES)))
def test_two_lists_of_any_scopes_come_to_rest(scope: str, other: str, namespace: str, cluster: str) -> None:
    aws = FakeAws()
    one, two = single("a", scope), single("b", other, cluster, namespace)
    assert run(aws, one).failures == run(aws, two).failures == ()
    for _ in range(2):
        for wanted in (one, two):
            assert names(plan(aws, wanted)) == []
            made = run(aws, wanted)
            assert (done(made), made.failures) == ([], ())
            assert "POLICY_ATTACHED_EXTRA" in codes(made)
    assert attached(aws) == ["of-a", "of-b"]
    assert can_use(aws, "a")
    assert can_use(aws, "b", cluster, namespace)


@pytest.mark.parametrize("scope", ["namespace", "cluster"])
def test_policy_of_unlisted_user_stays_and_names_the_user(scope: str) -> None:
    aws = FakeAws()
    run(aws, single("a", scope))
    run(aws, single("b", scope))
    (finding,) = findings(run(aws, single("a", scope)))
    assert (finding.code, finding.severity) == ("POLICY_ATTACHED_EXTRA", "warning")
    assert finding.message == (
        f"role shared also has {policy_arn('of-b')} attached, which is not part of its configuration. The role has users "
        "outside this run (my-cluster default/b), which may need the policy."
    )
    assert finding.remedy == (
        "If they need it, no action is needed. Otherwise list them in this run, too, or give them a separate role; if the "
        f"policy is unused, detach it: aws iam detach-role-policy --role-name shared --policy-arn {policy_arn('of-b')}"
    )


@pytest.mark.parametrize(
    ("scope", "who"),
    [
        pytest.param("account", "every cluster of the account", id="account"),
        pytest.param("none", "every cluster, as its trust statement has no condition", id="none"),
    ],
)
def test_policy_stays_where_users_cannot_be_seen(scope: str, who: str) -> None:
    aws = FakeAws()
    run(aws, single("a", scope, policies=("old",)))
    swapped = single("a", scope, policies=("new",))
    made = run(aws, swapped)
    assert (attached(aws), made.failures) == (["new", "old"], ())
    (finding,) = findings(made)
    assert finding.message == (
        f"role shared also has {policy_arn('old')} attached, which is not part of its configuration. The role can be used by "
        f"{who}, which may need the policy."
    )
    assert finding.remedy == (
        "List it under policies. Where nothing outside this run uses the role, set ⟨purge_policies⟩: true and ⟨force⟩: true, "
        "which detaches it."
    )
    run(aws, replace(swapped, options=replace(swapped.options, purge_policies=True)))
    run(aws, replace(swapped, options=replace(swapped.options, force=True)))
    assert attached(aws) == ["new", "old"]
    run(aws, replace(swapped, options=replace(swapped.options, purge_policies=True, force=True)))
    assert attached(aws) == ["new"]


@pytest.mark.parametrize("scope", TRUST_SCOPES)
def test_nothing_is_taken_from_a_user_that_can_be_seen_even_by_force(scope: str) -> None:
    aws = FakeAws()
    run(aws, single("a", scope))
    run(aws, single("b", scope))
    made = run(aws, single("a", scope, purge_policies=True, force=True))
    assert (done(made), attached(aws)) == ([], ["of-a", "of-b"])


@pytest.mark.parametrize("scope", ["workload", "namespace", "cluster"])
def test_policy_leaves_a_role_whose_users_are_all_listed(scope: str) -> None:
    aws = FakeAws()
    run(aws, single("a", scope, policies=("old",)))
    create_association(aws, "stranger", "elsewhere")
    made = run(aws, single("a", scope, policies=("new",)))
    assert (attached(aws), made.failures, findings(made)) == (["new"], (), [])


def test_user_without_a_grant_keeps_the_policies() -> None:
    """Its association is known where the trust policy had to be read for others anyway."""
    aws = FakeAws()
    run(aws, single("a", "cluster", policies=("old",)))
    create_association(aws, "b", "shared", disableSessionTags=True)
    assert not can_use(aws, "b", tags=False)
    made = run(aws, single("a", "cluster", policies=("new",)))
    assert (attached(aws), codes(made)) == (["new", "old"], ["POLICY_ATTACHED_EXTRA"])


def test_the_verification_of_the_first_run_names_the_users_of_the_other_list() -> None:
    """To detach its policy by hand, as advice for a role without other users has it, would take it away."""
    aws = FakeAws()
    aws.replace("eks:DescribeAddon", lambda _asked: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}})
    role = {"name": "shared", "trust_scope": "cluster"}
    run(aws, desired(workload("api", role=role, policies=[policy("of-api")])))
    second = desired(workload("web", role={**role, "trust_scope": "workload"}, policies=[policy("of-web")]))
    performed = perform(engine(aws, second), second, Order("present", False, verify=True))
    assert performed.run.done
    assert performed.verified is not None
    [extra] = [
        finding
        for subject in performed.verified
        for finding in subject.findings
        if finding.code == "POLICY_ATTACHED_EXTRA"
    ]
    assert f"has users outside this run ({CLUSTER} default/api)" in extra.message
    assert extra.remedy.startswith("If they need it, no action is needed.")


def test_target_role_of_an_unlisted_workload_keeps_its_policies() -> None:
    aws = FakeAws()
    run(aws, single("a", "cluster", policies=("old",)))
    create_association(aws, "b", "elsewhere", targetRoleArn=ROLE)
    run(aws, single("a", "cluster", policies=("new",)))
    assert attached(aws) == ["new", "old"]


@pytest.mark.parametrize("operation", ["ListPodIdentityAssociations", "DescribePodIdentityAssociation"])
def test_users_that_cannot_be_read_keep_their_policies(operation: str) -> None:
    aws = FakeAws()
    run(aws, single("a", "cluster", policies=("old",)))
    crowd(aws)
    create_association(aws, "z", "shared")
    swapped = single("a", "cluster", policies=("new",))
    answer = getattr(aws.eks, operation)
    # What the run reads of its workload, and of what is not in the list, is answered.
    allowed = {"ListPodIdentityAssociations": 1, "DescribePodIdentityAssociation": 11}[operation]
    seen: list[object] = []

    def refuse(asked: Any) -> Any:
        seen.append(asked)
        if len(seen) > allowed:
            raise DENIED
        return answer(asked)

    aws.replace(f"eks:{operation}", refuse)
    made = run(aws, swapped)
    assert made.failures == ()
    assert attached(aws) == ["new", "old"]
    assert [(finding.message.partition(". ")[2], finding.remedy) for finding in findings(made)] == [
        (
            "The role can be used by workloads of cluster my-cluster that could not be read (eks:X: AccessDeniedException: "
            "not authorized.), which may need the policy.",
            DENIED.remedy,
        )
    ]


@pytest.mark.parametrize("scope", TRUST_SCOPES)
def test_no_association_is_read_where_nothing_is_taken(scope: str) -> None:
    aws = FakeAws()
    crowd(aws)
    run(aws, single("a", scope))
    # The first page of the cluster has the workload of the run; it is described, and ten that are not listed.
    same = requests(aws, single("a", scope))
    assert (same["eks:ListPodIdentityAssociations"], same["eks:DescribePodIdentityAssociation"]) == (1, 11)
    aws = FakeAws()
    crowd(aws)
    run(aws, single("a", scope))
    create_policy(aws, "by-hand")
    aws.iam.roles["shared"]["attached"].append(policy_arn("by-hand"))
    assert requests(aws, single("a", scope))["eks:ListPodIdentityAssociations"] == 1


def test_no_association_is_read_where_grants_name_the_users() -> None:
    aws = FakeAws()
    crowd(aws)
    run(aws, single("a", "workload", policies=("old",)))
    swap = requests(aws, single("a", "workload", policies=("new",)))
    assert (swap["eks:ListPodIdentityAssociations"], swap["eks:DescribePodIdentityAssociation"]) == (1, 11)
    assert attached(aws) == ["new"]


@pytest.mark.parametrize(
    ("scope", "lists", "described"),
    [
        pytest.param("namespace", {"namespace": "default"}, 3, id="namespace"),
        pytest.param("cluster", {}, 5, id="cluster"),
    ],
)
def test_only_associations_in_reach_are_read(scope: str, lists: dict[str, str], described: int) -> None:
    aws = FakeAws()
    run(aws, single("a", scope, policies=("old",)))
    crowd(aws, 13)
    crowd(aws, 2, namespace="other")
    aws.requests.clear()
    planned = plan(aws, single("a", scope, policies=("new",)))
    assert f"detach attachment shared {policy_arn('old')}" in names(planned)
    page, reach = aws.parameters("eks:ListPodIdentityAssociations")
    assert (page, reach) == ({"clusterName": CLUSTER}, {"clusterName": CLUSTER, **lists})
    # Ten of them were read as what is not in the list.
    assert len(aws.parameters("eks:DescribePodIdentityAssociation")) == 1 + 10 + described


def test_narrower_scope_keeps_a_statement_for_each_unlisted_user() -> None:
    aws = FakeAws()
    run(aws, single("a", "cluster"))
    run(aws, single("b", "cluster"))
    create_association(aws, "stranger", "elsewhere")
    narrow = single("b", "workload")
    planned = plan(aws, narrow)
    made = run(aws, narrow)
    assert (done(made), made.failures) == (["update trust_policy shared"], ())
    assert (names(planned), findings(planned)) == (done(made), findings(made))
    assert grants(aws) == ["my-cluster/default/a", "my-cluster/default/b"]
    assert [(finding.code, finding.severity, finding.message) for finding in findings(made)[:1]] == [
        (
            "TRUST_KEPT_FOR_OTHERS",
            "warning",
            f"the trust policy of role {ROLE} becomes narrower, and my-cluster default/a outside this run, with an association "
            "to the role, keeps a statement of its own.",
        )
    ]
    assert names(plan(aws, narrow)) == []
    # The other list still asks for the cluster, and gets it; then both rest.
    run(aws, single("a", "cluster"))
    assert grants(aws) == ["my-cluster", "my-cluster/default/b"]
    assert names(plan(aws, narrow)) == names(plan(aws, single("a", "cluster"))) == []
    # When it asks for less as well, the wide statement goes.
    run(aws, single("a", "workload"))
    assert grants(aws) == ["my-cluster/default/a", "my-cluster/default/b"]


def test_wide_statement_goes_by_force_and_its_users_keep_statements_of_their_own() -> None:
    aws = FakeAws()
    run(aws, single("a", "cluster"))
    kept = run(aws, single("b", "workload"))
    assert grants(aws) == ["my-cluster", "my-cluster/default/b"]
    assert [finding.message for finding in kept.findings if finding.code == "TRUST_KEPT_FOR_OTHERS"] == [
        f"role {ROLE} can still be used by cluster my-cluster, which this run does not require: my-cluster default/a outside "
        "this run uses the role through that statement."
    ]
    made = run(aws, single("b", "workload", force=True))
    assert grants(aws) == ["my-cluster/default/a", "my-cluster/default/b"]
    assert "TRUST_KEPT_FOR_OTHERS" in codes(made)


def test_the_verification_does_not_send_to_the_run_that_has_just_kept_the_trust_policy() -> None:
    aws = FakeAws()
    aws.replace("eks:DescribeAddon", lambda _asked: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}})
    run(aws, single("a", "cluster"))
    narrow = single("b", "workload")
    performed = perform(engine(aws, narrow), narrow, Order("present", False, verify=True))
    assert "TRUST_KEPT_FOR_OTHERS" in codes(performed.run)
    assert performed.verified is not None
    wider = [
        finding.remedy
        for subject in performed.verified
        for finding in subject.findings
        if finding.code == "TRUST_WIDER_THAN_ASKED"
    ]
    assert wider == [
        "Resolve TRUST_KEPT_FOR_OTHERS of the role; until then, applying the workload again does not narrow it."
    ]


@pytest.mark.parametrize("scope", ["account", "none"])
def test_statement_for_every_cluster_goes_only_by_force(scope: str) -> None:
    aws = FakeAws()
    run(aws, single("a", scope))
    run(aws, single("b", scope, OTHER_CLUSTER))
    run(aws, single("c", scope))
    narrow = single("a", "workload")
    made = run(aws, narrow)
    assert (
        grants(aws) == [scope, "my-cluster/default/a"]
        if scope == "account"
        else ["my-cluster/default/a", scope]
    )
    assert [
        (finding.message, finding.remedy)
        for finding in made.findings
        if finding.code == "TRUST_KEPT_FOR_OTHERS"
    ] == [
        (
            f"role {ROLE} can still be used from every cluster of the account, which this run does not require: associations "
            "of clusters outside this run, which may use the role, cannot be read.",
            "If no other cluster uses the role, set ⟨force⟩: true, which narrows its trust policy; "
            "workloads of the run's clusters that use it get separate statements.",
        )
    ]
    assert names(plan(aws, narrow)) == []
    run(aws, single("a", "workload", force=True))
    assert grants(aws) == ["my-cluster/default/a", "my-cluster/default/c"]


def test_user_without_session_tags_keeps_the_wide_statement_even_by_force() -> None:
    aws = FakeAws()
    run(aws, single("a", "account"))
    create_association(aws, "b", "shared", disableSessionTags=True)
    made = run(aws, single("a", "workload", force=True))
    assert can_use(aws, "b", tags=False)
    assert [finding.message for finding in made.findings if finding.code == "TRUST_KEPT_FOR_OTHERS"] == [
        f"the trust policy of role {ROLE} is not narrowed as this run requires: my-cluster default/b outside this run uses "
        "the role without session tags, which statements for single workloads compare."
    ]
    assert names(plan(aws, single("a", "workload", force=True))) == []


def test_wide_statement_stays_where_single_ones_would_be_too_long() -> None:
    aws = FakeAws()
    run(aws, single("a", "cluster"))
    for number in range(60):
        create_association(
            aws, f"a-service-account-with-a-long-name-{number}", "shared", namespace=f"n{number % 3}"
        )
    made = run(aws, single("a", "workload"))
    assert made.failures == ()
    assert grants(aws) == ["my-cluster", "my-cluster/default/a"] or grants(aws) == ["my-cluster"]
    (finding,) = findings(made)
    assert finding.code == "TRUST_KEPT_FOR_OTHERS"
    assert finding.message.endswith(" characters; 2048 are allowed.")
    assert names(plan(aws, single("a", "workload"))) == []


def test_statement_written_by_hand_goes_and_its_users_keep_one_of_their_own() -> None:
    aws = FakeAws()
    run(aws, single("a"))
    hand = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringLike": {"aws:RequestTag/kubernetes-namespace": "team-*"}},
    }
    trust = json.loads(aws.iam.roles["shared"]["trust"])
    aws.iam.roles["shared"]["trust"] = json.dumps({**trust, "Statement": [*trust["Statement"], hand]})
    create_association(aws, "b", "shared", namespace="team-b")
    create_association(aws, "c", "shared", namespace="elsewhere")
    made = run(aws, single("a"))
    assert grants(aws) == ["my-cluster/default/a", "my-cluster/team-b/b"]
    assert read_grants(json.loads(aws.iam.roles["shared"]["trust"]))[1] == []
    assert [finding.message.split(" outside")[0].rpartition("and ")[2] for finding in findings(made)] == [
        "my-cluster team-b/b"
    ]


def test_user_keeps_its_statement_while_the_role_is_quarantined() -> None:
    """A Deny shuts out everyone for a time; who loses the statement meanwhile would not come back with the others."""
    aws = FakeAws()
    run(aws, single("a", "cluster"))
    run(aws, single("b", "cluster"))
    deny = {
        "Effect": "Deny",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    trust = json.loads(aws.iam.roles["shared"]["trust"])
    aws.iam.roles["shared"]["trust"] = json.dumps({**trust, "Statement": [*trust["Statement"], deny]})
    run(aws, single("b", "workload"))
    assert grants(aws) == ["my-cluster/default/a", "my-cluster/default/b"]


def test_user_in_another_cluster_of_the_run_keeps_a_statement_by_force() -> None:
    aws = FakeAws()
    one, two = single("a", "account"), single("b", "account", OTHER_CLUSTER)
    other = desired(workload("x", role={"name": "other"}), cluster=OTHER_CLUSTER, trust_scope="account")
    run(aws, one)
    run(aws, two)
    run(aws, other)
    narrow = single("a", "workload", force=True)
    made = run_fleet(aws, replace(narrow, workloads=(*narrow.workloads, *other.workloads)))
    assert made.failures == ()
    assert grants(aws) == ["my-cluster/default/a", "other-cluster/default/b"]


def test_association_made_while_the_statement_goes_is_let_in_again() -> None:
    """Between the look and the write another workload comes that only the wide statement lets in."""
    aws = FakeAws()
    run(aws, single("a", "cluster"))
    aws.before_request("iam:UpdateAssumeRolePolicy", lambda: create_association(aws, "late", "shared"))
    made = run(aws, single("a", "workload"))
    assert grants(aws) == ["my-cluster/default/a", "my-cluster/default/late"]
    assert [finding.message for finding in findings(made)] == [
        f"the trust policy of role {ROLE} was written while another run wrote it, or while an association was created: "
        "my-cluster "
        "default/late outside this run had lost the role, and can use it again."
    ]


@pytest.mark.parametrize(
    ("attribute", "first", "second", "difference"),
    [
        pytest.param(
            "permissions_boundary",
            policy_arn("edge"),
            policy_arn("rim"),
            f"its permissions boundary is {policy_arn('edge')}, not {policy_arn('rim')}",
            id="another boundary",
        ),
        pytest.param(
            "permissions_boundary",
            policy_arn("edge"),
            "",
            f"its permissions boundary is {policy_arn('edge')}, not none",
            id="no boundary",
        ),
        pytest.param(
            "max_session_duration",
            7200,
            3600,
            "its max session duration is 7200, not 3600",
            id="shorter sessions",
        ),
        pytest.param(
            "tags",
            {"team": "shop"},
            {"team": "bank"},
            "its tag team is shop, not bank",
            id="another value of a tag",
        ),
    ],
)
@pytest.mark.parametrize(
    ("scope", "users"),
    [
        ("workload", "has users outside this run (my-cluster default/a)"),
        ("cluster", "has users outside this run (my-cluster default/a)"),
        (
            "account",
            "has users outside this run (my-cluster default/a) and can be used by every cluster of the account",
        ),
    ],
)
def test_limits_of_a_role_with_users_outside_the_run_stay(
    scope: str, users: str, attribute: str, first: object, second: object, difference: str
) -> None:
    aws = FakeAws()
    for name in ("edge", "rim"):
        create_policy(aws, name)
    run(aws, single("a", scope, role={attribute: first}))
    before = aws.state()
    wanted = single("b", scope, role={attribute: second})
    made = run(aws, wanted)
    assert (done(made), aws.state()["roles"]) == ([], before["roles"])
    (failure,) = [failure for failure in made.failures if failure.error_code == "ROLE_USED_ELSEWHERE"]
    assert [str(workload) for workload in failure.workloads] == ["default/b"]
    assert failure.message == (
        f"role {ROLE} differs from the definition of this run for default/b: {difference}. It {users}, so it is unchanged."
    )
    assert failure.remedy == (
        "Use the same definition in all lists with the role, list all its workloads in one run, or give these workloads a "
        "separate role. To change the role for all of its users, set ⟨force⟩: true (check mode with diff shows the change)."
    )
    assert plan(aws, wanted).failures == made.failures
    forced = run(aws, replace(wanted, options=replace(wanted.options, force=True)))
    assert forced.failures == ()
    assert "update role shared" in done(forced)
    assert [
        (finding.severity, finding.message, finding.remedy)
        for finding in forced.findings
        if finding.code == "ROLE_USED_ELSEWHERE"
    ] == [
        (
            "warning",
            f"role {ROLE} changes also for users outside this run: {difference}. It {users}.",
            "Notify their owners, and use the same definition in all lists with the role.",
        )
    ]


def test_limits_of_a_role_change_where_all_its_users_are_listed() -> None:
    aws = FakeAws()
    run(aws, single("a", "cluster", role={"max_session_duration": 3600}))
    made = run(aws, single("a", "cluster", role={"max_session_duration": 7200}))
    assert (done(made), made.failures) == (["update role shared"], ())


def test_whole_trust_policy_that_shuts_out_an_unlisted_user_is_refused() -> None:
    aws = FakeAws()
    run(aws, single("a", "cluster"))
    run(aws, single("b", "cluster"))
    source = FakeAws()
    run(source, single("b", "workload"))
    whole = json.loads(source.iam.roles["shared"]["trust"])
    made = run(aws, single("b", role={"trust_policy": whole}))
    assert [failure.error_code for failure in made.failures] == ["ROLE_USED_ELSEWHERE"]
    assert (
        "role.trust_policy does not allow all of its users. It has users outside this run (my-cluster default/a)"
        in made.failures[0].message
    )
    assert grants(aws) == ["my-cluster"]
    assert run(aws, single("b", role={"trust_policy": whole}, force=True)).failures == ()
    assert grants(aws) == ["my-cluster/default/b"]


def test_one_run_over_both_clusters_sees_the_users_of_both() -> None:
    aws = FakeAws()
    one, two = (
        single("a", "cluster", policies=("old",)),
        single("b", "cluster", OTHER_CLUSTER, policies=("old",)),
    )
    both = replace(one, workloads=(*one.workloads, *two.workloads))
    run_fleet(aws, both)
    new, there = (
        single("a", "cluster", policies=("new",)),
        single("b", "cluster", OTHER_CLUSTER, policies=("new",)),
    )
    swapped = replace(new, workloads=(*new.workloads, *there.workloads))
    create_association(aws, "c", "shared", clusterName=OTHER_CLUSTER)
    made = run_fleet(aws, swapped)
    assert (attached(aws), codes(made)) == (["new", "old"], ["POLICY_ATTACHED_EXTRA"])
    assert "(other-cluster default/c)" in findings(made)[0].message
    # A slice with one of the clusters concludes no more than the whole.
    assert names(plan(aws, new)) == []
    aws.eks.associations = {
        name: one for name, one in aws.eks.associations.items() if one["serviceAccount"] != "c"
    }
    assert names(plan(aws, new)) == []
    assert run_fleet(aws, swapped).failures == ()
    assert attached(aws) == ["new"]


def test_purge_takes_the_policy_with_the_last_user() -> None:
    aws = FakeAws()
    one = single("a", "cluster")
    run(aws, one)
    run(aws, single("b", "cluster"))
    planned = run_with_purge(engine(aws, one), one, PurgeScope(), check_mode=True)
    made = run_with_purge(engine(aws, one), one, PurgeScope(), check_mode=False)
    assert (made.failures, findings(made)) == ((), [])
    assert attached(aws) == ["of-a"]
    assert policy_arn("of-b") not in aws.state()["policies"]
    assert names(planned.plan) == done(made)
    assert findings(planned) == []
    again = run_with_purge(engine(aws, one), one, PurgeScope(), check_mode=False)
    assert (again.failures, done(again)) == ((), [])


def test_purge_leaves_the_policy_while_another_user_stays() -> None:
    """One that is not of this collection, which no purge takes."""
    aws = FakeAws()
    one = single("a", "cluster")
    run(aws, one)
    run(aws, single("b", "cluster"))
    create_association(aws, "c", "shared")
    made = run_with_purge(engine(aws, one), one, PurgeScope(), check_mode=False)
    assert made.failures == ()
    assert attached(aws) == ["of-a", "of-b"]
    [kept] = [finding for finding in findings(made) if finding.code == "POLICY_ATTACHED_EXTRA"]
    assert f"({CLUSTER} default/c)" in kept.message


def test_verification_says_the_same_as_the_run() -> None:
    aws = FakeAws()
    run(aws, single("a", "cluster"))
    run(aws, single("b", "cluster"))
    aws.replace("eks:DescribeAddon", lambda _asked: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}})
    wanted = single("a", "cluster")
    performed = perform(engine(aws, wanted), wanted, Order("present", verify=True))
    (verified,) = performed.verified or ()
    assert verified.findings == findings(performed.run)
    # Alone, it does not look for users, and does not say that there are none.
    observed = engine(aws, wanted).observe(wanted)
    (alone,) = verify(wanted, observed, VerificationReads({CLUSTER: Agent("ACTIVE", "v1")}))
    assert [(finding.code.value, finding.severity) for finding in alone.findings] == [
        ("POLICY_ATTACHED_EXTRA", "warning")
    ]


def test_grant_that_is_gone_at_the_end_of_the_run_is_put_back() -> None:
    """Another run writes what it read before this one, after this one has looked, and before it ends."""
    aws = FakeAws()
    run(aws, single("b"))
    run(aws, single("c"))
    stale = aws.iam.roles["shared"]["trust"]
    run(aws, single("c"), "absent")
    wanted = single("a")

    def overwrite() -> None:
        aws.iam.roles["shared"]["trust"] = stale

    class Overwriting(Clock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            # The next read is the look after the pause, and the one behind it is that of the verification.
            if len(self.pauses) == 1:
                aws.before_request("iam:GetRole", lambda: aws.before_request("iam:GetRole", overwrite))

    perform(engine(aws, wanted, clock=Overwriting()), wanted, Order("present"))
    assert grants(aws) == ["my-cluster/default/a", "my-cluster/default/b", "my-cluster/default/c"]
