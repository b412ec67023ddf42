# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the plan of a migration from IRSA: the stage of each service account, the findings that block its next step, and notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import (
    Finding,
    WorkloadKey,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    ObservedAssociation,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    AUDIENCE_ANNOTATION,
    ROLE_ANNOTATION,
    IrsaAccount,
    Migrant,
    MigrationOptions,
    PodCredentials,
    Record,
    record_tags,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import ObservedRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.migration import (
    MigrationPlan,
    MigrationState,
    plan_migration,
    with_findings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.federation import (
    Issuer,
    Removed,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER_ARN,
    HERE,
    document,
    key,
    policy_arn,
    role_arn,
)

Json = dict[str, Any]

HOST = "oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE1"
OTHER_HOST = "oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE2"
CLUSTER = replace(HERE, issuer=f"https://{HOST}")
ISSUER = Issuer("us-west-2", "EXAMPLE1")
API, WEB, JOB = key("api", "shop"), key("web", "shop"), key("job", "batch")
ROLE = role_arn("app")
ASSOCIATED = "2026-03-09T10:00:00+00:00"
POD_IDENTITY = {
    "Effect": "Allow",
    "Principal": {"Service": "pods.eks.amazonaws.com"},
    "Action": ["sts:AssumeRole", "sts:TagSession"],
}


def provider(host: str = HOST) -> str:
    return f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"


def irsa(*keys: WorkloadKey, condition: Mapping[str, Any] | None = None, **more: Any) -> Json:
    """Return a trust policy statement that allows these service accounts of the cluster with IRSA."""
    subjects = [f"system:serviceaccount:{key.namespace}:{key.service_account}" for key in keys]
    equals = {f"{HOST}:sub": subjects, f"{HOST}:aud": "sts.amazonaws.com"}
    return {
        "Effect": "Allow",
        "Principal": {"Federated": provider()},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": equals, **(condition or {})},
        **more,
    }


def role(*statements: Json, name: str = "app", **more: Any) -> ObservedRole:
    trust = {"Version": "2012-10-17", "Statement": list(statements)}
    return ObservedRole(name, role_arn(name), "/", trust, **more)


def account(workload: WorkloadKey = API, arn: str = ROLE, audience: str = "", **more: Any) -> IrsaAccount:
    annotations = {ROLE_ANNOTATION: arn, AUDIENCE_ANNOTATION: audience}
    return IrsaAccount(workload, {name: text for name, text in annotations.items() if text}, **more)


def association(workload: WorkloadKey = API, arn: str = ROLE, **more: Any) -> ObservedAssociation:
    fields = {"created_at": ASSOCIATED, **more}
    return ObservedAssociation(workload, "a-1", "arn:association", arn, **fields)


def recorded(*keys: WorkloadKey, removed: tuple[Json, ...] = ()) -> dict[str, str]:
    """Return the tags of a role whose record names these service accounts, and has removed statements."""
    names = frozenset((key.namespace, key.service_account) for key in keys)
    entries = tuple(Removed(index, statement) for index, statement in enumerate(removed))
    return record_tags(CLUSTER_ARN, Record(names, entries), {})


def state(
    *accounts: IrsaAccount,
    associations: tuple[ObservedAssociation, ...] = (),
    roles: tuple[ObservedRole, ...] = (),
    pods: PodCredentials | None = None,
    records: bool = True,
    **more: Any,
) -> MigrationState:
    """Return the state that a plan reads. All service accounts have the same ``pods``.

    With ``records``, the roles of associations without an add-on have a record, unless they have tags.
    """
    users: dict[str, list[WorkloadKey]] = {}
    for found in associations if records else ():
        users.setdefault(found.role_arn.lower(), []).extend([] if found.owner_arn else [found.key])
    roles = tuple(
        replace(role, tags=role.tags or recorded(*users.get(role.arn.lower(), ()))) for role in roles
    )
    keys = {*(account.key for account in accounts), *(found.key for found in associations)}
    return MigrationState(
        **{
            "cluster": CLUSTER,
            "issuer": ISSUER,
            "accounts": {account.key: account for account in accounts},
            "associations": {found.key: found for found in associations},
            "roles": {role.name.lower(): role for role in roles},
            "pods": dict.fromkeys(keys, pods) if pods else {},
            **more,
        }
    )


def only(plan: MigrationPlan) -> Migrant:
    [migrant] = plan.migrants
    return migrant


MIGRATED = role(irsa(API), POD_IDENTITY)
FINISHED = role(POD_IDENTITY)
IRSA_PODS, AGENT_PODS = PodCredentials(irsa=("p",)), PodCredentials(agent=("p",))
HAS_ASSOCIATION = {"associations": (association(),)}


@pytest.mark.parametrize(
    ("scene", "stage", "is_finished"),
    [
        (state(account(), roles=(MIGRATED,), pods=IRSA_PODS), "irsa", False),
        (state(account(), roles=(MIGRATED,), pods=IRSA_PODS, **HAS_ASSOCIATION), "associated", False),
        (
            state(
                account(),
                roles=(MIGRATED,),
                pods=PodCredentials(agent=("p",), none=("q",)),
                **HAS_ASSOCIATION,
            ),
            "associated",
            False,
        ),
        (state(account(), roles=(MIGRATED,), pods=AGENT_PODS, **HAS_ASSOCIATION), "restarted", False),
        (state(account(), roles=(MIGRATED,), **HAS_ASSOCIATION), "restarted", False),
        (
            state(account(arn=ROLE.replace("app", "APP")), roles=(MIGRATED,), **HAS_ASSOCIATION),
            "restarted",
            False,
        ),
        (state(account(), roles=(MIGRATED,), records=False, **HAS_ASSOCIATION), "restarted", False),
        (
            state(account(), roles=(MIGRATED,), associations=(association(arn=role_arn("other")),)),
            "irsa",
            False,
        ),
        (state(roles=(FINISHED,), pods=AGENT_PODS, **HAS_ASSOCIATION), "finished", True),
        (state(IrsaAccount(API), roles=(FINISHED,), **HAS_ASSOCIATION), "finished", True),
        (state(roles=(MIGRATED,), pods=AGENT_PODS, **HAS_ASSOCIATION), "restarted", True),
        (state(roles=(FINISHED,), pods=IRSA_PODS, **HAS_ASSOCIATION), "associated", False),
        (state(IrsaAccount(API)), "irsa", False),
        (state(configured={API: ROLE}, roles=(MIGRATED,)), "irsa", False),
    ],
)
def test_service_account_has_its_stage(scene: MigrationState, stage: str, is_finished: bool) -> None:
    plan = plan_migration(scene)
    assert only(plan).key == API
    assert only(plan).stage == stage
    assert plan.finished == ({("shop", "api")} if is_finished else set())


@pytest.mark.parametrize(
    ("name", "annotated"),
    [
        pytest.param("app", "app", id="equal ARNs"),
        pytest.param("app", "APP", id="annotation in upper case"),
        pytest.param("App", "app", id="role with upper case"),
        pytest.param("App", "aPP", id="annotation and role with upper case"),
    ],
)
@pytest.mark.parametrize("associations", [(), (association(arn=role_arn("APP")),)])
def test_role_arn_has_the_letter_case_of_iam(
    name: str, annotated: str, associations: tuple[ObservedAssociation, ...]
) -> None:
    annotation = role_arn(annotated)
    scene = state(
        account(arn=annotation), associations=associations, roles=(role(irsa(API), POD_IDENTITY, name=name),)
    )
    migrant = only(plan_migration(scene))
    assert migrant.role_arn == role_arn(name)
    assert (migrant.stage, migrant.blockers, migrant.notes) == (
        "restarted" if associations else "irsa",
        (),
        (),
    )


# Tests of findings that block a step

NOT_TRUSTED = (
    "If the service account must have the role, correct the trust policy and run again. Or apply it as a workload with role: "
    "{arn: ARN, extend_trust: true}, which adds a statement for EKS Pod Identity."
)


def no_access(cause: str) -> str:
    return (
        f"IRSA gives no access to the role today: {cause}. Everyone who may edit a service account can set its annotation, so "
        "the annotation does not prove that the service account may have the role."
    )


CONDITIONAL = (
    "IRSA gives the role only under conditions that a statement for EKS Pod Identity would not have: its statement also has "
    "conditions on aws:sourceip (192.0.2.0/24)."
)
FOREIGN = "arn:aws:iam::444455556666:role/app"
FOREIGN_TEXT = (
    f"role {FOREIGN} is in account 444455556666, and an association needs a role of account {ACCOUNT}.",
    f"Create a role in account {ACCOUNT} that may use sts:AssumeRole and sts:TagSession on {FOREIGN}. Allow the new "
    f"role both actions in the trust policy of {FOREIGN}. List the service account as a workload with the new role and "
    f"target_role_arn: {FOREIGN} (docs/accounts.md#target-roles). Restart its Pods, then remove the annotation.",
)
MISSING_REMEDY = "Correct the annotation, or remove it: kubectl annotate serviceaccount api eks.amazonaws.com/role-arn- -n shop"
CONFIG_MAP = (
    "MIGRATION_CONFIG_MAP",
    "service account shop/api gets its role from the ConfigMap pod-identity-webhook in namespace kube-system.",
    "Set the role as the annotation eks.amazonaws.com/role-arn of the service account. Remove the entry of the service "
    "account from the ConfigMap. Then run the migration again.",
)


def missing_role(arn: str, remedy: str = MISSING_REMEDY) -> tuple[str, str, str]:
    message = f"role {arn} does not exist in account {ACCOUNT}, so shop/api cannot use it."
    return "MIGRATION_ROLE_NOT_USABLE", message, remedy


def addon_blocker(arn: str) -> tuple[str, str, str]:
    return (
        "MIGRATION_ADDON",
        "service account shop/api belongs to an EKS add-on, so only the add-on can own its association.",
        f"Let pods.eks.amazonaws.com assume role {arn}, and set this role in the add-on with the module "
        f"eks_addon_pod_identity. Then run the step finish. To see the add-ons: aws eks list-addons --cluster-name "
        f"{CLUSTER.name}",
    )


ADDON_ANNOTATED = (
    "MIGRATION_ADDON",
    "service account shop/api belongs to an add-on, and EKS has not removed its annotation yet.",
    "If the add-on still has a serviceAccountRoleArn, update the add-on without this field (aws eks update-addon). Then "
    "run the step finish again.",
)
CLAIMS_REMEDY = (
    "Keep these policies, because IRSA needs them. Apply the service account as a workload with another role, whose policies use "
    "session tags, such as aws:PrincipalTag/kubernetes-namespace. Restart its Pods, then remove the annotation."
)
MANY_TAGS = {f"tag-{index}": "x" for index in range(50)}
HOST_PODS = PodCredentials(irsa=("p", "q"), on_host_network=("p", "q"))


def with_claims(host: str = HOST, claim: str = "sub") -> Json:
    policy = document("s3:GetObject")
    policy["Statement"][0]["Condition"] = {
        "StringEquals": {f"{host}:{claim}": "system:serviceaccount:shop:api"}
    }
    return policy


def with_inline(**documents: Json) -> ObservedRole:
    return replace(MIGRATED, inline_documents=documents)


OF_OTHER = irsa(API, Principal={"Federated": provider(OTHER_HOST)})
VARIABLES = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")
TEMPLATES = {"Deployment web": VARIABLES, "Job load": ("AWS_ACCESS_KEY_ID",)}
OF_SUBJECT = f"arn:aws:s3:::b/${{{HOST}:sub}}/*"
CLAIMS = (
    "MIGRATION_NEEDS_CLAIMS",
    f"policies of role app have conditions on claims of the OIDC token ({HOST.lower()}:sub or :aud): {policy_arn('reads')}. "
    "Requests with EKS Pod Identity do not have these claims.",
    CLAIMS_REMEDY,
)


@pytest.mark.parametrize(
    ("scene", "findings"),
    [
        pytest.param(state(account(), roles=(MIGRATED,)), [], id="no blocker"),
        pytest.param(state(account(is_addon=True), roles=(MIGRATED,)), [addon_blocker(ROLE)], id="add-on"),
        pytest.param(
            state(IrsaAccount(API, is_addon=True)), [addon_blocker("ARN")], id="add-on without a role"
        ),
        pytest.param(
            state(
                account(is_addon=True), roles=(MIGRATED,), associations=(association(arn=role_arn("other")),)
            ),
            ["MIGRATION_ADDON", "MIGRATION_OTHER_ASSOCIATION"],
            id="add-on, association with another role",
        ),
        pytest.param(
            state(account(is_addon=True), roles=(MIGRATED,), pods=IRSA_PODS, **HAS_ASSOCIATION),
            [ADDON_ANNOTATED],
            id="add-on with association",
        ),
        pytest.param(
            state(account(is_addon=True), roles=(MIGRATED,), pods=AGENT_PODS, **HAS_ASSOCIATION),
            [ADDON_ANNOTATED],
            id="add-on after the restart",
        ),
        pytest.param(
            state(IrsaAccount(API, is_addon=True), roles=(FINISHED,), pods=IRSA_PODS, **HAS_ASSOCIATION),
            [],
            id="EKS has removed the annotation, Pods with IRSA",
        ),
        pytest.param(state(configured={API: ROLE}, roles=(MIGRATED,)), [CONFIG_MAP], id="ConfigMap"),
        pytest.param(
            state(configured={API: ""}, roles=(MIGRATED,)), [CONFIG_MAP], id="ConfigMap without a role"
        ),
        pytest.param(
            state(account(), roles=(MIGRATED,), pods=PodCredentials(templates=TEMPLATES)),
            [
                (
                    "MIGRATION_OWN_VARIABLES",
                    "the Pod template of Deployment web sets AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE itself, so an association "
                    "would have no effect on its Pods.",
                    f"If the service account lacks the annotation {ROLE_ANNOTATION}, set it first. Then remove these variables "
                    "from the Pod template of Deployment web. The EKS webhook sets the variables that the Pods need.",
                )
            ],
            id="variables of a template",
        ),
        pytest.param(state(IrsaAccount(API)), [], id="no role"),
        pytest.param(
            state(account(arn=FOREIGN), roles=(MIGRATED,)),
            [("MIGRATION_ROLE_NOT_USABLE", *FOREIGN_TEXT)],
            id="role of another account",
        ),
        pytest.param(
            state(account(arn=role_arn("gone")), roles=(MIGRATED,)),
            [missing_role(role_arn("gone"))],
            id="role does not exist",
        ),
        pytest.param(state(account(arn="app"), roles=(MIGRATED,)), [missing_role("app")], id="not an ARN"),
        pytest.param(
            state(configured={API: role_arn("gone")}, roles=(MIGRATED,)),
            [
                CONFIG_MAP,
                missing_role(role_arn("gone"), "Create the role, or give the service account another one."),
            ],
            id="role of the ConfigMap does not exist",
        ),
        pytest.param(
            state(account(), roles=(MIGRATED,), associations=(association(arn=role_arn("other")),)),
            [
                (
                    "MIGRATION_OTHER_ASSOCIATION",
                    f"association a-1 gives shop/api role {role_arn('other')}, but the IRSA role of shop/api is {ROLE}. New "
                    "Pods get the role of the association.",
                    "Decide which role is right: correct the annotation, or the association.",
                )
            ],
            id="association with another role",
        ),
        pytest.param(
            state(account(), roles=(role(irsa(WEB)),)),
            [
                (
                    "MIGRATION_NOT_TRUSTED",
                    no_access("its statement is for sub system:serviceaccount:shop:web"),
                    NOT_TRUSTED,
                )
            ],
            id="not trusted",
        ),
        pytest.param(
            state(account(audience="vault"), roles=(MIGRATED,)),
            [("MIGRATION_NOT_TRUSTED", no_access("its statement is for aud sts.amazonaws.com"), NOT_TRUSTED)],
            id="not trusted with its audience",
        ),
        pytest.param(
            state(
                account(), roles=(role(irsa(API, condition={"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})),)
            ),
            [("MIGRATION_NOT_TRUSTED", CONDITIONAL, NOT_TRUSTED)],
            id="trusted under a condition",
        ),
        pytest.param(
            state(account(), roles=(role(POD_IDENTITY),), pods=IRSA_PODS, **HAS_ASSOCIATION),
            [],
            id="trust policy is ignored after the association",
        ),
        pytest.param(
            state(
                account(),
                roles=(replace(MIGRATED, attached=(policy_arn("reads"), policy_arn("unread"))),),
                documents={
                    policy_arn("reads"): with_claims(HOST.upper(), "SUB"),
                    policy_arn("more"): with_claims(),
                },
            ),
            [CLAIMS],
            id="condition on the subject",
        ),
        pytest.param(
            state(account(), roles=(with_inline(one=with_claims(), two=with_claims(claim="aud")),)),
            [
                (
                    CLAIMS[0],
                    f"policies of role app have conditions on claims of the OIDC token ({HOST.lower()}:sub or :aud): one, two. "
                    "Requests with EKS Pod Identity do not have these claims.",
                    CLAIMS_REMEDY,
                )
            ],
            id="condition in inline policies",
        ),
        pytest.param(
            state(account(), roles=(with_inline(one=document("s3:GetObject", resource=OF_SUBJECT)),)),
            [(CLAIMS[0], CLAIMS[1].replace(policy_arn("reads"), "one"), CLAIMS_REMEDY)],
            id="policy variable with the subject",
        ),
        pytest.param(
            state(account(), roles=(with_inline(one=with_claims(OTHER_HOST)),)),
            [],
            id="condition on the subject of another cluster",
        ),
        pytest.param(
            state(
                account(),
                roles=(role(irsa(API), OF_OTHER, inline_documents={"one": with_claims(OTHER_HOST)}),),
            ),
            [],
            id="condition on the subject of another cluster, which may use the role",
        ),
        pytest.param(
            state(account(), roles=(role(irsa(API), tags=MANY_TAGS),)),
            [
                (
                    "MIGRATION_NO_RECORD",
                    "a migration of shop/api could not be recorded for a rollback: the role would have 52 tags, and IAM allows "
                    "50.",
                    "Remove unused tags of role app.",
                )
            ],
            id="no room for a record",
        ),
        pytest.param(
            state(account(), roles=(role(irsa(API)),), pods=HOST_PODS),
            [
                (
                    "MIGRATION_HOST_NETWORK",
                    "Pods p, q of shop/api use the network of the node (hostNetwork). Users have reported that EKS refuses "
                    "credentials to such Pods.",
                    "To migrate it nevertheless, name it: pod_identity_only=shop/api. Then check in the "
                    "log of its Pods that they get credentials.",
                )
            ],
            id="hostNetwork",
        ),
        pytest.param(
            state(
                account(),
                roles=(role(irsa(API)),),
                pods=HOST_PODS,
                options=MigrationOptions(only=("shop/*",)),
            ),
            ["MIGRATION_HOST_NETWORK"],
            id="hostNetwork, not named but selected",
        ),
        pytest.param(
            state(
                account(arn=FOREIGN, is_addon=True),
                roles=(MIGRATED,),
                configured={API: ROLE},
                pods=PodCredentials(templates={"Job load": ("AWS_ROLE_ARN",)}),
            ),
            [
                "MIGRATION_ADDON",
                "MIGRATION_CONFIG_MAP",
                "MIGRATION_OWN_VARIABLES",
                "MIGRATION_ROLE_NOT_USABLE",
            ],
            id="several blockers, in order",
        ),
        pytest.param(
            state(
                account(),
                roles=(role(irsa(WEB), inline_documents={"one": with_claims()}, tags=MANY_TAGS),),
                associations=(association(arn=role_arn("other")),),
            ),
            [
                "MIGRATION_OTHER_ASSOCIATION",
                "MIGRATION_NEEDS_CLAIMS",
                "MIGRATION_NO_RECORD",
                "MIGRATION_NOT_TRUSTED",
            ],
            id="several blockers of the role, in order",
        ),
        pytest.param(
            state(
                IrsaAccount(API, is_addon=True), roles=(FINISHED,), configured={API: ROLE}, **HAS_ASSOCIATION
            ),
            [],
            id="nothing prevents a step after the last one",
        ),
    ],
)
def test_blockers_are_errors(scene: MigrationState, findings: list[Any]) -> None:
    blockers = only(plan_migration(scene)).blockers
    assert {(finding.severity, finding.workload) for finding in blockers} <= {("error", API)}
    assert [
        finding.code.value
        if isinstance(expected, str)
        else (finding.code.value, finding.message, finding.remedy)
        for finding, expected in zip(blockers, findings, strict=True)
    ] == findings


# Tests of notes

OTHER_ACCOUNTS_REMEDY = (
    "Migrate these service accounts, too. Then run the step finish again, which removes the statement."
)
PATTERN_REMEDY = (
    "If no other principal needs the statement, remove it. Otherwise edit it, so that it no longer "
    "allows the service account."
)
KEPT = "the trust policy of role app still allows shop/api with IRSA: the statement is kept, because "
PATTERN_KEPT = (
    "MIGRATION_STATEMENT_KEPT",
    f"{KEPT}it matches service accounts by a pattern, or allows other principals.",
    PATTERN_REMEDY,
)
TWO_PROVIDERS = {"Federated": [provider(), provider(OTHER_HOST)]}
OTHER_ROLES_REMEDY = (
    "Let these Pods assume such a role with the credentials of their own role, or leave the service account out of "
    "the migration."
)


def matching(pattern: str) -> Json:
    return {"StringLike": {f"{HOST}:sub": f"system:serviceaccount:{pattern}"}}


OF_VAULT = {
    f"{HOST}:sub": ["system:serviceaccount:shop:api", "system:serviceaccount:shop:web"],
    f"{HOST}:aud": "vault",
}


def without_association(text: str) -> tuple[str, str, str]:
    return (
        "ASSOCIATION_MISSING",
        f"{text} EKS Pod Identity, but there is no association, so EKS refuses new credentials.",
        f"Run the rollback, which restores IRSA. Or apply shop/api as a workload with role: {{arn: {ROLE}, extend_trust: true}}.",
    )


@pytest.mark.parametrize(
    ("scene", "findings"),
    [
        pytest.param(state(account(), roles=(MIGRATED,)), [], id="no note"),
        pytest.param(
            state(account(), roles=(MIGRATED,), pods=AGENT_PODS),
            [without_association("Pods p of shop/api use")],
            id="Pods without association",
        ),
        pytest.param(
            state(IrsaAccount(API), roles=(role(POD_IDENTITY, tags=recorded(API)),)),
            [without_association("a migration moved shop/api to")],
            id="finished without association",
        ),
        pytest.param(
            state(account(managers=("Helm release shop", "field manager helm")), roles=(MIGRATED,)),
            [
                (
                    "MIGRATION_MANAGED_ELSEWHERE",
                    "Helm release shop manages service account shop/api and would set the annotation "
                    "eks.amazonaws.com/role-arn again.",
                    f"Before the step finish, remove the line eks.amazonaws.com/role-arn: {ROLE} from its source. The "
                    "annotations there are then: {}",
                )
            ],
            id="managed by Helm",
        ),
        pytest.param(
            state(IrsaAccount(API, managers=("Helm release shop",)), roles=(FINISHED,), **HAS_ASSOCIATION),
            [],
            id="managed without annotation",
        ),
        pytest.param(
            state(
                account(),
                roles=(MIGRATED,),
                pods=PodCredentials(on_host_network=("a", "b")),
                options=MigrationOptions(only=("shop/api",)),
            ),
            [
                (
                    "MIGRATION_HOST_NETWORK",
                    "Pods a, b of shop/api use the network of the node (hostNetwork). Users have reported that EKS refuses "
                    "credentials to such Pods.",
                    "Check in the log of its Pods that they get credentials.",
                )
            ],
            id="network of the node",
        ),
        pytest.param(
            state(account(), roles=(MIGRATED, role(irsa(WEB, API), name="b"), role(irsa(API), name="a"))),
            [
                (
                    "MIGRATION_OTHER_ROLES",
                    "shop/api can also assume a, b with IRSA. Pods that assume such a role with their token file lose the file, "
                    "because EKS Pod Identity gives them another token.",
                    OTHER_ROLES_REMEDY,
                )
            ],
            id="further roles",
        ),
        pytest.param(
            state(
                account(),
                roles=(MIGRATED, role(irsa(WEB), name="b"), role(irsa(API, Effect="Deny"), name="a")),
            ),
            [],
            id="further roles do not name it",
        ),
        pytest.param(
            state(roles=(role(irsa(API, WEB, JOB), POD_IDENTITY),), **HAS_ASSOCIATION),
            [
                (
                    "MIGRATION_STATEMENT_KEPT",
                    f"{KEPT}it also allows batch/job, shop/web.",
                    OTHER_ACCOUNTS_REMEDY,
                )
            ],
            id="statement for more service accounts",
        ),
        pytest.param(
            state(
                roles=(role(irsa(Condition={"StringEquals": OF_VAULT}), POD_IDENTITY),),
                accounts={API: IrsaAccount(API, {AUDIENCE_ANNOTATION: "vault"})},
                **HAS_ASSOCIATION,
            ),
            [("MIGRATION_STATEMENT_KEPT", f"{KEPT}it also allows shop/web.", OTHER_ACCOUNTS_REMEDY)],
            id="statement for another audience",
        ),
        pytest.param(
            state(
                roles=(role(irsa(Condition=matching("batch:*")), irsa(API, WEB), POD_IDENTITY),),
                **HAS_ASSOCIATION,
            ),
            [("MIGRATION_STATEMENT_KEPT", f"{KEPT}it also allows shop/web.", OTHER_ACCOUNTS_REMEDY)],
            id="statement after a pattern for another namespace",
        ),
        pytest.param(
            state(roles=(role(irsa(Condition=matching("shop:*")), POD_IDENTITY),), **HAS_ASSOCIATION),
            [PATTERN_KEPT],
            id="statement with a pattern",
        ),
        pytest.param(
            state(roles=(role(irsa(API, Principal=TWO_PROVIDERS), POD_IDENTITY),), **HAS_ASSOCIATION),
            [PATTERN_KEPT],
            id="statement with another principal",
        ),
        pytest.param(
            state(roles=(role(irsa(Condition=matching("batch:*")), POD_IDENTITY),), **HAS_ASSOCIATION),
            [],
            id="statement with a pattern for another namespace",
        ),
        pytest.param(
            state(roles=(role(irsa(API, WEB, Principal=TWO_PROVIDERS), POD_IDENTITY),), **HAS_ASSOCIATION),
            [PATTERN_KEPT],
            id="statement with another principal and more service accounts",
        ),
        pytest.param(
            state(roles=(role(irsa(API, Effect="Deny"), POD_IDENTITY),), **HAS_ASSOCIATION), [], id="Deny"
        ),
        pytest.param(
            state(roles=(role(irsa(API, WEB), irsa(API, Effect="Deny"), POD_IDENTITY),), **HAS_ASSOCIATION),
            [],
            id="statement without effect because of a Deny",
        ),
        pytest.param(
            state(roles=(role(irsa(API, WEB), irsa(WEB, Effect="Deny"), POD_IDENTITY),), **HAS_ASSOCIATION),
            [("MIGRATION_STATEMENT_KEPT", f"{KEPT}it also allows shop/web.", OTHER_ACCOUNTS_REMEDY)],
            id="Deny for another service account",
        ),
    ],
)
def test_notes(scene: MigrationState, findings: list[tuple[str, str, str]]) -> None:
    notes = only(plan_migration(scene)).notes
    assert [(finding.severity, finding.workload) for finding in notes] == [
        ("error" if code == "ASSOCIATION_MISSING" else "warning", API) for code, *_texts in findings
    ]
    assert [(finding.code.value, finding.message, finding.remedy) for finding in notes] == findings


# Tests of further roles that reject session tags

TARGET = role_arn("target")
TAGS_REMEDY = (
    "Allow sts:TagSession in the trust policies of the further roles. After the migration, set "
    "disable_session_tags: false."
)
UNREAD_REMEDY = "Allow the caller iam:GetAccountAuthorizationDetails, iam:GetPolicy and iam:GetPolicyVersion."
TAGS_END = (
    " IRSA sends no session tags, so the association of shop/api gets disable_session_tags: true. Without session tags, the "
    "trust policy cannot distinguish the workloads of the account."
)


def target(*actions: str, principal: str = ROLE, name: str = "target") -> ObservedRole:
    return role({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": list(actions)}, name=name)


def chaining(
    *actions: str, resource: str = TARGET, roles: tuple[ObservedRole, ...] = (), **more: Any
) -> MigrationState:
    """Return a state in which a customer managed policy allows the role of the workload to assume further roles."""
    policies = {policy_arn("chain"): document(*actions, resource=resource)}
    chained_role = replace(MIGRATED, attached=(policy_arn("chain"),))
    return state(account(), roles=(chained_role, *roles), documents=policies, **more)


REFUSES = target("sts:AssumeRole")
ACCEPTS = target("sts:AssumeRole", "sts:TagSession")
# A trust policy that names the account does not suffice: the policies of the assuming role must allow the actions as well.
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
REFUSES_OF_ACCOUNT = target("sts:AssumeRole", principal=ROOT)
ACCEPTS_OF_ACCOUNT = target("sts:AssumeRole", "sts:TagSession", principal=ROOT)
FURTHER_ROLE = "arn:aws:iam::444455556666:role/data"
REFUSING = f"role app may assume {TARGET}, which may refuse session tags (sts:TagSession).{TAGS_END}"
UNKNOWN_TARGET = (
    f"role app may assume {FURTHER_ROLE}, which may refuse session tags (sts:TagSession).{TAGS_END}"
)


@pytest.mark.parametrize(
    ("scene", "message"),
    [
        (chaining("sts:AssumeRole", roles=(REFUSES,)), REFUSING),
        (chaining("sts:AssumeRole", roles=(REFUSES_OF_ACCOUNT,)), REFUSING),
        (chaining("sts:*", resource="*", roles=(REFUSES_OF_ACCOUNT,)), REFUSING),
        (chaining("sts:AssumeRole", roles=(ACCEPTS_OF_ACCOUNT,)), REFUSING),
        (chaining("s3:GetObject", roles=(REFUSES,)), REFUSING),
        (chaining("s3:GetObject", roles=(ACCEPTS,)), ""),
        (
            chaining(
                "sts:AssumeRole",
                resource="*",
                roles=(
                    target("sts:AssumeRole", name="b"),
                    target("sts:AssumeRole", principal=ROOT, name="a"),
                    ACCEPTS,
                ),
            ),
            REFUSING.replace(TARGET, f"{role_arn('a')}, {role_arn('b')}"),
        ),
        (chaining("sts:AssumeRole", "sts:TagSession", resource=FURTHER_ROLE), UNKNOWN_TARGET),
        (chaining("sts:AssumeRole", "sts:TagSession", roles=(ACCEPTS_OF_ACCOUNT,)), ""),
        (chaining("sts:AssumeRole", roles=(target("sts:AssumeRole", principal=role_arn("other")),)), ""),
        (chaining("s3:GetObject", roles=(REFUSES_OF_ACCOUNT,)), ""),
        (chaining("sts:AssumeRole", resource=role_arn("else"), roles=(REFUSES_OF_ACCOUNT,)), ""),
        (chaining("sts:AssumeRole", roles=(REFUSES,), **HAS_ASSOCIATION), ""),
    ],
)
def test_session_tags_of_an_association(scene: MigrationState, message: str) -> None:
    migrant = only(plan_migration(scene))
    assert migrant.disable_session_tags is bool(message)
    expected = [("MIGRATION_SESSION_TAGS_OFF", "warning", message, TAGS_REMEDY)] if message else []
    assert [
        (finding.code.value, finding.severity, finding.message, finding.remedy) for finding in migrant.notes
    ] == expected
    assert migrant.blockers == ()


@pytest.mark.parametrize(
    "scene",
    [
        pytest.param(
            chaining("sts:AssumeRole", "sts:TagSession", roles=(ACCEPTS,), complete=False), id="known policy"
        ),
        pytest.param(
            replace(chaining("sts:AssumeRole", complete=False), documents={}), id="policy was not read"
        ),
        pytest.param(state(account(), roles=(MIGRATED,), complete=False), id="no policy was read"),
    ],
)
def test_incomplete_read_turns_session_tags_off(scene: MigrationState) -> None:
    migrant = only(plan_migration(scene))
    assert migrant.disable_session_tags
    assert [(finding.code.value, finding.message, finding.remedy) for finding in migrant.notes] == [
        (
            "MIGRATION_SESSION_TAGS_OFF",
            "the policies of role app could not be read, so it is not known whether Pods of shop/api assume further roles."
            + TAGS_END,
            UNREAD_REMEDY,
        )
    ]


MANAGED_ARN, BOUNDARY_ARN = "arn:aws:iam::aws:policy/AdministratorAccess", policy_arn("limit")


def allow(*actions: str, **more: Any) -> Json:
    """Return a statement of an identity policy. ``more`` replaces its elements; the value None removes an element."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}
    return {name: element for name, element in statement.items() if element is not None}


def trusting(*pairs: tuple[str, Any], deny: str = "") -> ObservedRole:
    """Return a further role, whose trust policy allows each principal in ``pairs`` some actions.

    ``deny`` is an action that a Deny statement denies to the role of the workload.
    """
    statements: list[Json] = [
        {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": actions}
        for principal, actions in pairs
    ]
    if deny:
        statements.append({"Effect": "Deny", "Principal": {"AWS": ROLE}, "Action": deny})
    return role(*statements, name="target")


BOTH_ACTIONS = ["sts:AssumeRole", "sts:TagSession"]
DIRECT = trusting((ROLE, BOTH_ACTIONS))
# The first statement allows the role one action. The second statement allows the account the other action.
SPLIT = trusting((ROLE, "sts:AssumeRole"), (ROOT, "sts:TagSession"))
ELSEWHERE = {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}
EXCEPT_ELSE, EXCEPT_TARGET = (
    allow("sts:AssumeRole", Resource=None, NotResource=name) for name in (role_arn("else"), TARGET)
)
TAGS_ELSEWHERE = allow("sts:TagSession", Condition=ELSEWHERE)
TAGS_DENIED_ELSEWHERE = {**TAGS_ELSEWHERE, "Effect": "Deny"}


@pytest.mark.parametrize(
    ("target_role", "identity_statements", "boundary", "accepts"),
    [
        (ACCEPTS_OF_ACCOUNT, [allow(*BOTH_ACTIONS)], None, True),
        (ACCEPTS_OF_ACCOUNT, [allow("sts:AssumeRole")], None, False),
        (trusting((ACCOUNT, BOTH_ACTIONS)), [allow("sts:AssumeRole")], None, False),
        (trusting(("*", BOTH_ACTIONS)), [allow("sts:AssumeRole")], None, False),
        (DIRECT, [], None, True),
        (DIRECT, [allow("sts:AssumeRole")], None, True),
        (SPLIT, [], None, False),
        (SPLIT, [allow("s3:GetObject")], None, False),
        (SPLIT, [allow("sts:TagSession")], None, True),
        (trusting((ROOT, "sts:AssumeRole"), (ROLE, "sts:TagSession")), [allow("sts:AssumeRole")], None, True),
        (trusting((ROOT, "sts:AssumeRole"), (ROLE, "sts:TagSession")), [], None, True),
        (DIRECT, [allow("sts:TagSession", Effect="Deny")], None, False),
        (ACCEPTS_OF_ACCOUNT, [allow(*BOTH_ACTIONS), allow("sts:TagSession", Effect="Deny")], None, False),
        (DIRECT, [TAGS_DENIED_ELSEWHERE], None, False),
        (ACCEPTS_OF_ACCOUNT, [allow(*BOTH_ACTIONS), TAGS_DENIED_ELSEWHERE], None, False),
        (REFUSES, [allow("sts:AssumeRole", Effect="Deny")], None, True),
        (REFUSES, [allow("sts:AssumeRole", Effect="Deny", Condition=ELSEWHERE)], None, False),
        (REFUSES_OF_ACCOUNT, [allow("sts:AssumeRole", Condition=ELSEWHERE)], None, False),
        (ACCEPTS_OF_ACCOUNT, [allow("sts:AssumeRole"), TAGS_ELSEWHERE], None, False),
        (trusting((ROLE, BOTH_ACTIONS), deny="sts:TagSession"), [], None, False),
        (trusting((ROLE, BOTH_ACTIONS), deny="sts:AssumeRole"), [], None, True),
        # A permissions boundary without sts:AssumeRole prevents every use of the further role, so session tags do not matter.
        (DIRECT, [], allow("s3:*"), True),
        (REFUSES, [], allow("s3:*"), True),
        (DIRECT, [], allow("sts:*"), True),
        (DIRECT, [], allow("sts:AssumeRole"), False),
        (DIRECT, [], allow("sts:*", Condition=ELSEWHERE), False),
        (ACCEPTS_OF_ACCOUNT, [allow("sts:*")], allow("s3:*"), True),
        (ACCEPTS_OF_ACCOUNT, [allow("sts:*")], allow("sts:*"), True),
        (ACCEPTS_OF_ACCOUNT, [allow("sts:*")], allow("sts:AssumeRole"), False),
        (DIRECT, [allow(*BOTH_ACTIONS)], allow("sts:*"), True),
        (ACCEPTS_OF_ACCOUNT, [allow("sts:AssumeRole*")], None, False),
        (ACCEPTS_OF_ACCOUNT, [allow("STS:assume*")], None, False),
        (ACCEPTS_OF_ACCOUNT, [allow("s?s:*")], None, True),
        (REFUSES_OF_ACCOUNT, [allow("*")], None, False),
        (REFUSES_OF_ACCOUNT, [allow("sts:AssumeRoleWithSAML", "sts:AssumeRoleWith*")], None, True),
        (REFUSES_OF_ACCOUNT, [allow(Action=None, NotAction="iam:*")], None, False),
        (ACCEPTS_OF_ACCOUNT, [allow(Action=None, NotAction=["iam:*", "sts:Tag*"])], None, False),
        (ACCEPTS_OF_ACCOUNT, [allow(Action=None, NotAction=["iam:*"])], None, True),
        (REFUSES_OF_ACCOUNT, [allow(Action=None, NotAction=["iam:*", "sts:*"])], None, True),
        (REFUSES_OF_ACCOUNT, [EXCEPT_ELSE], None, False),
        (REFUSES_OF_ACCOUNT, [EXCEPT_TARGET], None, True),
    ],
)
def test_session_tags_of_further_roles(
    target_role: ObservedRole, identity_statements: list[Json], boundary: Json | None, accepts: bool
) -> None:
    identity = (
        {"chain": {"Version": "2012-10-17", "Statement": identity_statements}} if identity_statements else {}
    )
    chained_role = replace(
        MIGRATED, inline_documents=identity, permissions_boundary=BOUNDARY_ARN if boundary else ""
    )
    limit = {"Version": "2012-10-17", "Statement": [boundary]}
    scene = state(
        account(), roles=(chained_role, target_role), documents={BOUNDARY_ARN: limit} if boundary else {}
    )
    migrant = only(plan_migration(scene))
    assert [finding.message for finding in migrant.notes] == ([] if accepts else [REFUSING])
    assert migrant.disable_session_tags is not accepts


@pytest.mark.parametrize(
    ("effect", "actions", "disables"),
    [
        ("Allow", {"Action": "sts:AssumeRole"}, True),
        ("Allow", {"Action": "STS:*"}, True),
        ("Allow", {"Action": ["s3:*", "sts:AssumeRole*"]}, True),
        ("Allow", {"NotAction": "iam:*"}, True),
        ("Allow", {"NotAction": ["iam:*", "sts:assumerole"]}, False),
        ("Allow", {"Action": "sts:TagSession"}, False),
        ("Deny", {"Action": "sts:AssumeRole"}, False),
    ],
)
def test_statement_about_a_role_of_another_account(effect: str, actions: Json, disables: bool) -> None:
    statement = {"Effect": effect, **actions, "Resource": FURTHER_ROLE}
    chained_role = replace(
        MIGRATED, inline_documents={"chain": {"Version": "2012-10-17", "Statement": statement}}
    )
    assert only(plan_migration(state(account(), roles=(chained_role,)))).disable_session_tags is disables


def test_findings_about_pods_are_added_to_their_service_account() -> None:
    own_blocker = Finding(Code.MIGRATION_ADDON, "a", "b", API)
    migrant = Migrant(API, ROLE, "irsa", blockers=(own_blocker,))
    error = Finding(Code.ASSOCIATION_WOULD_BREAK, "c", "d", API)
    warning = Finding(Code.ASSOCIATION_WOULD_BREAK, "e", "f", API, raised_as="warning")
    info = Finding(Code.MIGRATION_WAITS, "g", "h", API)
    found = with_findings(migrant, [warning, error, info, replace(error, workload=WEB)])
    assert found == replace(migrant, blockers=(own_blocker, error), notes=(warning, info))


OF_ADDON = f"arn:aws:eks:us-west-2:{ACCOUNT}:addon/my-cluster/aws-ebs-csi-driver/1"


@pytest.mark.parametrize(
    ("statements", "pods", "stages", "finished"),
    [
        ((irsa(API), POD_IDENTITY), AGENT_PODS, ["restarted"], True),
        ((irsa(API), POD_IDENTITY), IRSA_PODS, ["associated"], False),
        ((POD_IDENTITY,), AGENT_PODS, [], False),
        ((irsa(WEB), POD_IDENTITY), AGENT_PODS, [], False),
    ],
    ids=[
        "step finish is next",
        "Pods with IRSA",
        "no IRSA statement",
        "statement of another service account",
    ],
)
def test_addon_without_annotation_is_finished(
    statements: tuple[Json, ...], pods: PodCredentials, stages: list[str], finished: bool
) -> None:
    owned = association(owner_arn=OF_ADDON)
    plan = plan_migration(state(associations=(owned,), roles=(role(*statements),), pods=pods))
    assert [migrant.stage for migrant in plan.migrants] == stages
    assert [migrant.role_arn for migrant in plan.migrants] == [ROLE for _stage in stages]
    assert plan.finished == ({("shop", "api")} if finished else frozenset())
