# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that two lists with a common role converge, and that neither removes the access of workloads in the other list."""

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
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.addons import Agent
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Plan
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import TRUST_SCOPES
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.purge import PurgeScope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.trust import trust_subject
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import find_cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.order import Order, perform
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.purge import run_with_purge
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
    """Return a desired state with one workload, which uses the role "shared" and by default a separate policy."""
    raw = workload(
        name,
        namespace,
        role={"name": "shared", **(role or {})},
        policies=[policy(policy_name) for policy_name in policies or (f"of-{name}",)],
    )
    return desired(raw, cluster=cluster, trust_scope=scope, **options)


def grants(aws: FakeAws) -> list[str]:
    """Return the scopes of the statements in the trust policy of the role "shared", such as "my-cluster/default/a"."""
    found, _unmanaged = read_grants(json.loads(aws.iam.roles["shared"]["trust"]))
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
    observed_cluster = find_cluster(aws, cluster, REGION)
    subject = trust_subject(observed_cluster, WorkloadKey(cluster, namespace, name), ROLE, not tags)
    return is_usable(prepare_trust(json.loads(aws.iam.roles["shared"]["trust"])), subject)


def done(outcome: Run) -> list[str]:
    return [named(applied.change) for applied in outcome.done]


def findings(outcome: Run | Plan) -> list[Finding]:
    """Return the findings about other users of the role, but not the findings about unlisted resources."""
    return [
        finding
        for finding in outcome.findings
        if finding.code in ("POLICY_ATTACHED_EXTRA", "TRUST_KEPT_FOR_OTHERS")
    ]


def codes(outcome: Run) -> list[str]:
    return [finding.code.value for finding in findings(outcome)]


def crowd(aws: FakeAws, number: int = 12, namespace: str = "default") -> None:
    """Create associations without relation to the role. By default, there are more of them than a run reads."""
    for index in range(number):
        create_association(aws, f"stranger-{index}", "elsewhere", namespace=namespace)


def requests(aws: FakeAws, spec: Desired) -> Counter[str]:
    aws.requests.clear()
    run(aws, spec)
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
def test_two_lists_of_any_scopes_converge(scope: str, other: str, namespace: str, cluster: str) -> None:
    aws = FakeAws()
    first, second = single("a", scope), single("b", other, cluster, namespace)
    assert run(aws, first).failures == run(aws, second).failures == ()
    for _ in range(2):
        for spec in (first, second):
            assert names(plan(aws, spec)) == []
            outcome = run(aws, spec)
            assert (done(outcome), outcome.failures) == ([], ())
            assert "POLICY_ATTACHED_EXTRA" in codes(outcome)
    assert attached(aws) == ["of-a", "of-b"]
    assert can_use(aws, "a")
    assert can_use(aws, "b", cluster, namespace)


@pytest.mark.parametrize("scope", ["namespace", "cluster"])
def test_policy_of_an_unlisted_user_is_kept_and_names_the_user(scope: str) -> None:
    aws = FakeAws()
    run(aws, single("a", scope))
    run(aws, single("b", scope))
    (finding,) = findings(run(aws, single("a", scope)))
    assert (finding.code, finding.severity) == ("POLICY_ATTACHED_EXTRA", "warning")
    assert finding.message == (
        f"role shared also has {policy_arn('of-b')} attached, which is not part of the role's configuration. "
        "The role has users "
        "outside this run (my-cluster default/b). These users may need the policy."
    )
    assert finding.remedy == (
        "If the users outside this run need the policy, no action is needed. Otherwise list these users in "
        "this run, too, or give them a separate role; if the "
        f"policy is unused, detach it: aws iam detach-role-policy --role-name shared --policy-arn {policy_arn('of-b')}"
    )


@pytest.mark.parametrize(
    ("scope", "users"),
    [
        pytest.param("account", "every cluster of the account", id="account"),
        pytest.param("none", "every cluster (a trust statement has no condition)", id="none"),
    ],
)
def test_policy_is_kept_for_unreadable_users(scope: str, users: str) -> None:
    aws = FakeAws()
    run(aws, single("a", scope, policies=("old",)))
    swapped = single("a", scope, policies=("new",))
    outcome = run(aws, swapped)
    assert (attached(aws), outcome.failures) == (["new", "old"], ())
    (finding,) = findings(outcome)
    assert finding.message == (
        f"role shared also has {policy_arn('old')} attached, which is not part of the role's configuration. "
        "The role can be used by "
        f"{users}. These users may need the policy."
    )
    assert finding.remedy == (
        "List it under policies. Or, if nothing outside this run uses the role, set ⟨purge_policies⟩: true and "
        "⟨force⟩: true, which detaches the policy."
    )
    run(aws, replace(swapped, options=replace(swapped.options, purge_policies=True)))
    run(aws, replace(swapped, options=replace(swapped.options, force=True)))
    assert attached(aws) == ["new", "old"]
    run(aws, replace(swapped, options=replace(swapped.options, purge_policies=True, force=True)))
    assert attached(aws) == ["new"]


@pytest.mark.parametrize("scope", TRUST_SCOPES)
def test_force_keeps_policies_of_known_users(scope: str) -> None:
    aws = FakeAws()
    run(aws, single("a", scope))
    run(aws, single("b", scope))
    outcome = run(aws, single("a", scope, purge_policies=True, force=True))
    assert (done(outcome), attached(aws)) == ([], ["of-a", "of-b"])


@pytest.mark.parametrize("scope", ["workload", "namespace", "cluster"])
def test_policy_is_detached_from_a_role_with_listed_users_only(scope: str) -> None:
    aws = FakeAws()
    run(aws, single("a", scope, policies=("old",)))
    create_association(aws, "stranger", "elsewhere")
    outcome = run(aws, single("a", scope, policies=("new",)))
    assert (attached(aws), outcome.failures, findings(outcome)) == (["new"], (), [])


def test_user_without_a_grant_keeps_the_policies() -> None:
    """Let another workload have an association with the role, but no statement in the trust policy. The role must keep its
    policies."""
    aws = FakeAws()
    run(aws, single("a", "cluster", policies=("old",)))
    create_association(aws, "b", "shared", disableSessionTags=True)
    assert not can_use(aws, "b", tags=False)
    outcome = run(aws, single("a", "cluster", policies=("new",)))
    assert (attached(aws), codes(outcome)) == (["new", "old"], ["POLICY_ATTACHED_EXTRA"])


def test_verification_names_the_users_of_another_list() -> None:
    """Check that the finding names the other users of the role, because detaching the policy would remove their access."""
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
    assert extra.remedy.startswith("If the users outside this run need the policy, no action is needed.")


def test_target_role_of_an_unlisted_workload_keeps_its_policies() -> None:
    aws = FakeAws()
    run(aws, single("a", "cluster", policies=("old",)))
    create_association(aws, "b", "elsewhere", targetRoleArn=ROLE)
    run(aws, single("a", "cluster", policies=("new",)))
    assert attached(aws) == ["new", "old"]


@pytest.mark.parametrize("operation", ["ListPodIdentityAssociations", "DescribePodIdentityAssociation"])
def test_users_with_failed_reads_keep_their_policies(operation: str) -> None:
    aws = FakeAws()
    run(aws, single("a", "cluster", policies=("old",)))
    crowd(aws)
    create_association(aws, "z", "shared")
    swapped = single("a", "cluster", policies=("new",))
    answer = getattr(aws.eks, operation)
    # Only the reads of the listed workload and of unlisted associations succeed.
    allowed = {"ListPodIdentityAssociations": 1, "DescribePodIdentityAssociation": 11}[operation]
    seen: list[object] = []

    def refuse(parameters: Any) -> Any:
        seen.append(parameters)
        if len(seen) > allowed:
            raise DENIED
        return answer(parameters)

    aws.replace(f"eks:{operation}", refuse)
    outcome = run(aws, swapped)
    assert outcome.failures == ()
    assert attached(aws) == ["new", "old"]
    assert [(finding.message.partition(". ")[2], finding.remedy) for finding in findings(outcome)] == [
        (
            "The role can be used by workloads of cluster my-cluster that could not be read (eks:X: AccessDeniedException: "
            "not authorized.). These users may need the policy.",
            DENIED.remedy,
        )
    ]


@pytest.mark.parametrize("scope", TRUST_SCOPES)
def test_reads_no_association_without_removals(scope: str) -> None:
    aws = FakeAws()
    crowd(aws)
    run(aws, single("a", scope))
    # The run lists one page. It describes the association of the workload, and ten associations that are not in the list.
    same = requests(aws, single("a", scope))
    assert (same["eks:ListPodIdentityAssociations"], same["eks:DescribePodIdentityAssociation"]) == (1, 11)
    aws = FakeAws()
    crowd(aws)
    run(aws, single("a", scope))
    create_policy(aws, "by-hand")
    aws.iam.roles["shared"]["attached"].append(policy_arn("by-hand"))
    assert requests(aws, single("a", scope))["eks:ListPodIdentityAssociations"] == 1


def test_reads_no_association_if_grants_name_the_users() -> None:
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
def test_reads_only_associations_within_the_grant(scope: str, lists: dict[str, str], described: int) -> None:
    aws = FakeAws()
    run(aws, single("a", scope, policies=("old",)))
    crowd(aws, 13)
    crowd(aws, 2, namespace="other")
    aws.requests.clear()
    planned = plan(aws, single("a", scope, policies=("new",)))
    assert f"detach attachment shared {policy_arn('old')}" in names(planned)
    page, reach = aws.parameters("eks:ListPodIdentityAssociations")
    assert (page, reach) == ({"clusterName": CLUSTER}, {"clusterName": CLUSTER, **lists})
    # The run described ten associations because they are not in the list.
    assert len(aws.parameters("eks:DescribePodIdentityAssociation")) == 1 + 10 + described


def test_narrower_scope_keeps_a_statement_for_each_unlisted_user() -> None:
    aws = FakeAws()
    run(aws, single("a", "cluster"))
    run(aws, single("b", "cluster"))
    create_association(aws, "stranger", "elsewhere")
    narrow = single("b", "workload")
    planned = plan(aws, narrow)
    outcome = run(aws, narrow)
    assert (done(outcome), outcome.failures) == (["update trust_policy shared"], ())
    assert (names(planned), findings(planned)) == (done(outcome), findings(outcome))
    assert grants(aws) == ["my-cluster/default/a", "my-cluster/default/b"]
    assert [(finding.code, finding.severity, finding.message) for finding in findings(outcome)[:1]] == [
        (
            "TRUST_KEPT_FOR_OTHERS",
            "warning",
            f"the trust policy of role {ROLE} becomes narrower. These workloads outside this run use the role, and "
            "each keeps access through a separate trust statement: my-cluster default/a.",
        )
    ]
    assert names(plan(aws, narrow)) == []
    # The other list still has the scope "cluster". After its next run, both lists plan no changes.
    run(aws, single("a", "cluster"))
    assert grants(aws) == ["my-cluster", "my-cluster/default/b"]
    assert names(plan(aws, narrow)) == names(plan(aws, single("a", "cluster"))) == []
    # The statement for the cluster is removed once the other list has a narrow scope as well.
    run(aws, single("a", "workload"))
    assert grants(aws) == ["my-cluster/default/a", "my-cluster/default/b"]


def test_force_replaces_a_wide_statement_by_one_per_user() -> None:
    aws = FakeAws()
    run(aws, single("a", "cluster"))
    first = run(aws, single("b", "workload"))
    assert grants(aws) == ["my-cluster", "my-cluster/default/b"]
    assert [finding.message for finding in first.findings if finding.code == "TRUST_KEPT_FOR_OTHERS"] == [
        f"role {ROLE} can still be used by cluster my-cluster, because the trust policy has a statement that this run "
        "does not require. These workloads outside this run use the role through this statement: my-cluster default/a."
    ]
    outcome = run(aws, single("b", "workload", force=True))
    assert grants(aws) == ["my-cluster/default/a", "my-cluster/default/b"]
    assert "TRUST_KEPT_FOR_OTHERS" in codes(outcome)


def test_verification_after_a_kept_trust_policy_advises_no_rerun() -> None:
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
        "Resolve the finding TRUST_KEPT_FOR_OTHERS of the role first: until then, applying the workload does not narrow the "
        "trust policy."
    ]


@pytest.mark.parametrize("scope", ["account", "none"])
def test_statement_for_every_cluster_needs_force(scope: str) -> None:
    aws = FakeAws()
    run(aws, single("a", scope))
    run(aws, single("b", scope, OTHER_CLUSTER))
    run(aws, single("c", scope))
    narrow = single("a", "workload")
    outcome = run(aws, narrow)
    assert (
        grants(aws) == [scope, "my-cluster/default/a"]
        if scope == "account"
        else ["my-cluster/default/a", scope]
    )
    assert [
        (finding.message, finding.remedy)
        for finding in outcome.findings
        if finding.code == "TRUST_KEPT_FOR_OTHERS"
    ] == [
        (
            f"role {ROLE} can still be used from every cluster of the account, although this run does not "
            "require it. Clusters outside this run might use the role, and their associations cannot be read.",
            "If no other cluster uses the role, set ⟨force⟩: true, which narrows its trust policy. "
            "Workloads that use the role in clusters of this run get separate statements.",
        )
    ]
    assert names(plan(aws, narrow)) == []
    run(aws, single("a", "workload", force=True))
    assert grants(aws) == ["my-cluster/default/a", "my-cluster/default/c"]


def test_user_without_session_tags_keeps_the_wide_statement_even_by_force() -> None:
    aws = FakeAws()
    run(aws, single("a", "account"))
    create_association(aws, "b", "shared", disableSessionTags=True)
    outcome = run(aws, single("a", "workload", force=True))
    assert can_use(aws, "b", tags=False)
    assert [finding.message for finding in outcome.findings if finding.code == "TRUST_KEPT_FOR_OTHERS"] == [
        f"the trust policy of role {ROLE} is kept wider than this run requires: workloads outside this run use "
        "the role without session tags (my-cluster default/b), so the trust statement for them cannot be limited to single "
        "workloads."
    ]
    assert names(plan(aws, single("a", "workload", force=True))) == []


def test_wide_statement_is_kept_if_single_ones_are_too_long() -> None:
    aws = FakeAws()
    run(aws, single("a", "cluster"))
    for number in range(60):
        create_association(
            aws, f"a-service-account-with-a-long-name-{number}", "shared", namespace=f"n{number % 3}"
        )
    outcome = run(aws, single("a", "workload"))
    assert outcome.failures == ()
    assert grants(aws) == ["my-cluster", "my-cluster/default/a"] or grants(aws) == ["my-cluster"]
    (finding,) = findings(outcome)
    assert finding.code == "TRUST_KEPT_FOR_OTHERS"
    assert finding.message.endswith(" characters; 2048 are allowed.")
    assert names(plan(aws, single("a", "workload"))) == []


def test_manual_statement_is_replaced_by_one_per_user() -> None:
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
    outcome = run(aws, single("a"))
    assert grants(aws) == ["my-cluster/default/a", "my-cluster/team-b/b"]
    assert read_grants(json.loads(aws.iam.roles["shared"]["trust"]))[1] == []
    assert [finding.message.rpartition("separate trust statement: ")[2] for finding in findings(outcome)] == [
        "my-cluster team-b/b."
    ]


def test_user_keeps_its_statement_while_the_role_is_quarantined() -> None:
    """Block the role with a temporary Deny. All users must keep their statements, so that they have access when the Deny is
    removed."""
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


def test_concurrent_association_gets_its_statement_back() -> None:
    """Create an association right before a run removes the wide statement, which is the only statement that allows it."""
    aws = FakeAws()
    run(aws, single("a", "cluster"))
    aws.before_request("iam:UpdateAssumeRolePolicy", lambda: create_association(aws, "late", "shared"))
    outcome = run(aws, single("a", "workload"))
    assert grants(aws) == ["my-cluster/default/a", "my-cluster/default/late"]
    assert [finding.message for finding in findings(outcome)] == [
        f"another run changed the trust policy of role {ROLE}, or created an association, at the same time. These "
        "workloads outside this run lost access to the role until this run restored it: my-cluster default/late."
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
def test_limits_of_a_role_with_outside_users_are_kept(
    scope: str, users: str, attribute: str, first: object, second: object, difference: str
) -> None:
    aws = FakeAws()
    for name in ("edge", "rim"):
        create_policy(aws, name)
    run(aws, single("a", scope, role={attribute: first}))
    initial = aws.state()
    spec = single("b", scope, role={attribute: second})
    outcome = run(aws, spec)
    assert (done(outcome), aws.state()["roles"]) == ([], initial["roles"])
    (failure,) = [failure for failure in outcome.failures if failure.error_code == "ROLE_USED_ELSEWHERE"]
    assert [str(workload) for workload in failure.workloads] == ["default/b"]
    assert failure.message == (
        f"role {ROLE} differs from the definition of this run for default/b: {difference}. The role "
        f"{users}, so it is unchanged."
    )
    assert failure.remedy == (
        "Use the same definition in all lists with the role, list all its workloads in one run, or give these workloads a "
        "separate role. To change the role for all of its users, set ⟨force⟩: true (check mode with diff shows the change)."
    )
    assert plan(aws, spec).failures == outcome.failures
    forced = run(aws, replace(spec, options=replace(spec.options, force=True)))
    assert forced.failures == ()
    assert "update role shared" in done(forced)
    assert [
        (finding.severity, finding.message, finding.remedy)
        for finding in forced.findings
        if finding.code == "ROLE_USED_ELSEWHERE"
    ] == [
        (
            "warning",
            f"this run changes role {ROLE} ({difference}), which also affects its users outside this run. The role {users}.",
            "Notify the owners of these users, and use the same definition in every list with the role.",
        )
    ]


def test_limits_of_a_role_with_listed_users_change() -> None:
    aws = FakeAws()
    run(aws, single("a", "cluster", role={"max_session_duration": 3600}))
    outcome = run(aws, single("a", "cluster", role={"max_session_duration": 7200}))
    assert (done(outcome), outcome.failures) == (["update role shared"], ())


def test_whole_trust_policy_without_an_unlisted_user_fails() -> None:
    aws = FakeAws()
    run(aws, single("a", "cluster"))
    run(aws, single("b", "cluster"))
    source = FakeAws()
    run(source, single("b", "workload"))
    whole = json.loads(source.iam.roles["shared"]["trust"])
    outcome = run(aws, single("b", role={"trust_policy": whole}))
    assert [failure.error_code for failure in outcome.failures] == ["ROLE_USED_ELSEWHERE"]
    assert (
        "role.trust_policy does not allow all users of the role. The role has users outside this run "
        "(my-cluster default/a)" in outcome.failures[0].message
    )
    assert grants(aws) == ["my-cluster"]
    assert run(aws, single("b", role={"trust_policy": whole}, force=True)).failures == ()
    assert grants(aws) == ["my-cluster/default/b"]


@pytest.mark.parametrize(
    ("scope", "user", "kept"),
    [
        ("workload", "other-cluster default/a", "other-cluster/default/a"),
        ("namespace", "namespace default of cluster other-cluster", "other-cluster/default"),
        ("cluster", "cluster other-cluster", "other-cluster"),
    ],
)
def test_whole_trust_policy_without_the_grant_of_another_cluster_fails(
    scope: str, user: str, kept: str
) -> None:
    aws = FakeAws()
    run(aws, single("a", scope, OTHER_CLUSTER))
    source = FakeAws()
    run(source, single("b", "workload"))
    whole = json.loads(source.iam.roles["shared"]["trust"])
    desired = single("b", role={"trust_policy": whole})
    outcome = run(aws, desired)
    assert [failure.error_code for failure in outcome.failures] == ["ROLE_USED_ELSEWHERE"]
    assert (
        f"role.trust_policy does not allow all users of the role. The role has users outside this run ({user})"
        in outcome.failures[0].message
    )
    assert grants(aws) == [kept]
    forced = run(aws, single("b", role={"trust_policy": whole}, force=True))
    assert forced.failures == ()
    assert [finding.severity for finding in forced.findings if finding.code == "ROLE_USED_ELSEWHERE"] == [
        "warning"
    ]
    assert grants(aws) == ["my-cluster/default/b"]


def test_whole_trust_policy_may_allow_another_cluster_in_its_own_words() -> None:
    aws = FakeAws()
    run(aws, single("a", "workload", OTHER_CLUSTER))
    statements = [
        {**statement, "Sid": f"Own{index}"}
        for index, statement in enumerate(json.loads(aws.iam.roles["shared"]["trust"])["Statement"])
    ]
    source = FakeAws()
    run(source, single("b", "workload"))
    whole = json.loads(source.iam.roles["shared"]["trust"])
    whole["Statement"] += statements
    assert run(aws, single("b", role={"trust_policy": whole})).failures == ()


def test_purge_detaches_the_policy_with_the_last_user() -> None:
    aws = FakeAws()
    spec = single("a", "cluster")
    run(aws, spec)
    run(aws, single("b", "cluster"))
    planned = run_with_purge(engine(aws, spec), spec, PurgeScope(), check_mode=True)
    outcome = run_with_purge(engine(aws, spec), spec, PurgeScope(), check_mode=False)
    assert (outcome.failures, findings(outcome)) == ((), [])
    assert attached(aws) == ["of-a"]
    assert policy_arn("of-b") not in aws.state()["policies"]
    assert names(planned.plan) == done(outcome)
    assert findings(planned) == []
    again = run_with_purge(engine(aws, spec), spec, PurgeScope(), check_mode=False)
    assert (again.failures, done(again)) == ((), [])


def test_purge_keeps_the_policy_of_another_user() -> None:
    """Check that a purge keeps the policy of a workload with an unmanaged association, because it does not delete this
    association."""
    aws = FakeAws()
    spec = single("a", "cluster")
    run(aws, spec)
    run(aws, single("b", "cluster"))
    create_association(aws, "c", "shared")
    outcome = run_with_purge(engine(aws, spec), spec, PurgeScope(), check_mode=False)
    assert outcome.failures == ()
    assert attached(aws) == ["of-a", "of-b"]
    [finding_] = [finding for finding in findings(outcome) if finding.code == "POLICY_ATTACHED_EXTRA"]
    assert f"({CLUSTER} default/c)" in finding_.message


def test_verification_reports_the_findings_of_the_run() -> None:
    aws = FakeAws()
    run(aws, single("a", "cluster"))
    run(aws, single("b", "cluster"))
    aws.replace("eks:DescribeAddon", lambda _asked: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}})
    spec = single("a", "cluster")
    performed = perform(engine(aws, spec), spec, Order("present", verify=True))
    (verified,) = performed.verified or ()
    assert verified.findings == findings(performed.run)
    # A verification alone does not read the other users of the role, so its finding must not deny that they exist.
    observed = engine(aws, spec).observe(spec)
    (workload_,) = verify(spec, observed, VerificationReads({CLUSTER: Agent("ACTIVE", "v1")}))
    assert [(finding.code.value, finding.severity) for finding in workload_.findings] == [
        ("POLICY_ATTACHED_EXTRA", "warning")
    ]


def test_grant_lost_during_the_run_is_restored() -> None:
    """Let another process overwrite the trust policy with an older version after the run has read it."""
    aws = FakeAws()
    run(aws, single("b"))
    run(aws, single("c"))
    stale = aws.iam.roles["shared"]["trust"]
    run(aws, single("c"), "absent")
    spec = single("a")

    def overwrite() -> None:
        aws.iam.roles["shared"]["trust"] = stale

    class Overwriting(Clock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            # The first read after the pause confirms the change. The second read belongs to the verification.
            if len(self.pauses) == 1:
                aws.before_request("iam:GetRole", lambda: aws.before_request("iam:GetRole", overwrite))

    perform(engine(aws, spec, clock=Overwriting()), spec, Order("present"))
    assert grants(aws) == ["my-cluster/default/a", "my-cluster/default/b", "my-cluster/default/c"]
