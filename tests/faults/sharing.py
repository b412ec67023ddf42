# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two parties that change the same resource.

The parties are two lists of workloads for one cluster, for two clusters or with two owners; or a list, and a change by hand or by
Terraform.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    read_input,
    refuse_files,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    Options,
)
from ansible_collections.workload_identity.aws.tests.faults.access import admits
from ansible_collections.workload_identity.aws.tests.faults.harness import Account, TaskSpec
from ansible_collections.workload_identity.aws.tests.faults.kube_world import cluster_objects
from ansible_collections.workload_identity.aws.tests.faults.role import Patience, Role, RoleRun
from ansible_collections.workload_identity.aws.tests.faults.world import (
    ACCOUNT,
    CLUSTER,
    REGION,
    TRUST,
    document,
    policy,
)
from ansible_collections.workload_identity.aws.tests.findings.cluster import Kube

OTHER_CLUSTER = "other-cluster"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/shared"
POLICY_ARN = f"arn:aws:iam::{ACCOUNT}:policy/%s"
NAMESPACES = ("shop", "bank")
SERVICE_ACCOUNTS = (("shop", "api"), ("shop", "web"), ("shop", "cron"), ("bank", "ledger"))
Workload = Mapping[str, Any]
Workloads = tuple[Workload, ...]


@dataclass(frozen=True)
class Playground:
    """An AWS account with two clusters, each with a separate Kubernetes API."""

    account: Account
    kubes: Mapping[str, Kube]

    @property
    def iam(self) -> Any:
        return self.account.clients["iam"]

    @property
    def eks(self) -> Any:
        return self.account.clients["eks"]

    def clean(self) -> None:
        if not self.account.restored("playground"):
            self.account.clean()
            self.eks.create_cluster(
                name=OTHER_CLUSTER,
                roleArn=f"arn:aws:iam::{ACCOUNT}:role/cluster",
                resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]},
            )
            self.eks.create_addon(clusterName=OTHER_CLUSTER, addonName="eks-pod-identity-agent")
            self.account.save("playground")
        for kube in self.kubes.values():
            kube.control.reset()
            kube.node()
            kube.agent()
            for namespace in NAMESPACES:
                kube.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
            kube.control.set_associations(list(SERVICE_ACCOUNTS))

    def role(self, name: str) -> dict[str, Any]:
        """Return a role as IAM stores it, or {} if it does not exist."""
        try:
            role: dict[str, Any] = self.iam.get_role(RoleName=name)["Role"]
        except self.iam.exceptions.NoSuchEntityException:
            return {}
        return role

    def attached(self, name: str) -> frozenset[str]:
        """Return the ARNs of the policies attached to a role, or an empty set if the role does not exist."""
        if not self.role(name):
            return frozenset()
        policies = self.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        return frozenset(policy["PolicyArn"] for policy in policies)

    def association(self, cluster: str, name: str) -> dict[str, Any]:
        """Return the association of "namespace/service-account", or {} if it does not exist."""
        namespace, service_account = name.split("/")
        found = self.eks.list_pod_identity_associations(
            clusterName=cluster, namespace=namespace, serviceAccount=service_account
        )["associations"]
        if not found:
            return {}
        ids = {"clusterName": cluster, "associationId": found[0]["associationId"]}
        association: dict[str, Any] = self.eks.describe_pod_identity_association(**ids)["association"]
        return association


@dataclass(frozen=True)
class List:
    """A list of workloads for one cluster, with or without an owner."""

    workloads: Workloads
    cluster: str = CLUSTER
    owner: str | None = None

    def apply(self, playground: Playground, state: Any = "present", purge: bool = False) -> RoleRun:
        """Run the role with this list, as site.yml or teardown.yml does."""
        owner = {"owner": self.owner} if self.owner else {}
        variables = {"cluster_name": self.cluster, "workloads": list(self.workloads), "state": state, **owner}
        parsed = read_input(variables, refuse_files)
        desired = Desired(parsed.workloads, Options(owner=self.owner or ""))
        spec = TaskSpec(desired, state, purge, cluster=self.cluster)
        kube = playground.kubes[self.cluster]
        return Role(playground.account, kube.kubeconfig).run(spec, self.workloads, Patience())


def result_codes(run: RoleRun) -> frozenset[str]:
    """Return the codes of all failures, and of the findings that the screen shows as errors or warnings.

    Return only "refused" if the run failed before any change.
    """
    if run.report is None:
        return frozenset(("refused",))
    failures = {str(row["error_code"]) for row in run.report["failures"]}
    findings = {str(row["code"]) for row in run.report["findings"] if row["severity"] != "info"}
    return frozenset(failures | findings)


def workload(name: str, role: Mapping[str, Any], *policies: Mapping[str, Any], **more: Any) -> Workload:
    """Return a workload. ``name`` is "namespace/service-account"."""
    namespace, service_account = name.split("/")
    return {
        "namespace": namespace,
        "service_account": service_account,
        "role": dict(role),
        "policies": list(policies),
        **more,
    }


@dataclass(frozen=True)
class Sharing:
    """The workloads of two lists that share a resource or setting, such as a policy or the tags of a role (see ASPECTS).

    ``first`` and ``second`` are the workloads of the first run of each list. ``change`` is the second list after a change.
    ``rest`` is the second list without the workload that shares the resource, for a purge.
    """

    first: Workloads
    second: Workloads
    change: Workloads
    rest: Workloads


OWN = workload("bank/ledger", {"name": "ledger"}, policy("ledger", "sns:Publish"))
READ = policy("shared", "s3:GetObject")
WRITE = policy("shared", "s3:PutObject")
START = policy("shared", "ec2:RunInstances")
CLUSTER_WIDE = {"name": "shared", "trust_scope": "cluster"}
BOUNDARY = POLICY_ARN % "theirs"


def _sharing(first: Workload, second: Workload, change: Workload) -> Sharing:
    return Sharing((first,), (second, OWN), (change, OWN), (OWN,))


ASPECTS: dict[str, Sharing] = {
    "policy": _sharing(
        workload("shop/api", {"name": "api"}, READ),
        workload("shop/web", {"name": "web"}, READ),
        workload("shop/web", {"name": "web"}, WRITE),
    ),
    "attachment": _sharing(
        workload("shop/api", CLUSTER_WIDE, policy("api", "s3:GetObject")),
        workload("shop/web", CLUSTER_WIDE, policy("api", "s3:GetObject")),
        workload("shop/web", CLUSTER_WIDE, policy("web", "sqs:SendMessage")),
    ),
    "trust": _sharing(
        workload("shop/api", CLUSTER_WIDE, READ),
        workload("shop/web", CLUSTER_WIDE, READ),
        workload("shop/web", {"name": "shared", "trust_scope": "workload"}, READ),
    ),
    "boundary": _sharing(
        workload("shop/api", {**CLUSTER_WIDE, "permissions_boundary": BOUNDARY}, START),
        workload("shop/web", CLUSTER_WIDE, START),
        workload("shop/web", {**CLUSTER_WIDE, "permissions_boundary": ""}, START),
    ),
    "association": _sharing(
        workload("shop/api", {"name": "api"}, READ),
        workload("shop/api", {"name": "api"}, READ),
        workload("shop/api", {"name": "web"}, READ),
    ),
    "service account": _sharing(
        workload("shop/api", {"name": "api"}, READ, service_account_labels={"team": "shop"}),
        workload("shop/api", {"name": "api"}, READ, service_account_labels={"team": "shop"}),
        workload("shop/api", {"name": "api"}, READ, service_account_labels={"team": "bank"}),
    ),
    "tags": _sharing(
        workload("shop/api", {**CLUSTER_WIDE, "tags": {"team": "shop"}}, READ),
        workload("shop/web", CLUSTER_WIDE, READ),
        workload("shop/web", {**CLUSTER_WIDE, "tags": {"team": "bank"}}, READ),
    ),
}


@dataclass(frozen=True)
class Pair:
    """The cluster and the owner of each of two lists."""

    first: tuple[str, str | None]
    second: tuple[str, str | None]

    def lists(self, sharing: Sharing) -> tuple[List, List, List, List]:
        """Return the lists of ``sharing.first``, ``second``, ``change`` and ``rest``, with this pair's clusters and owners."""
        return (
            List(sharing.first, *self.first),
            List(sharing.second, *self.second),
            List(sharing.change, *self.second),
            List(sharing.rest, *self.second),
        )


PAIRS: dict[str, Pair] = {
    "two lists": Pair((CLUSTER, None), (CLUSTER, None)),
    "two clusters": Pair((OTHER_CLUSTER, "shop"), (CLUSTER, "shop")),
    "two owners": Pair((CLUSTER, "blue"), (CLUSTER, "green")),
}

QUARANTINE = {
    "Sid": "Quarantine",
    "Effect": "Deny",
    "Principal": {"Service": "pods.eks.amazonaws.com"},
    "Action": "sts:AssumeRole",
}
TARGET = "arn:aws:iam::444455556666:role/target-one"


@dataclass(frozen=True)
class ByHand:
    """A change that a person makes to the resources of a list. ``rest`` is the list without the changed workload, for a purge."""

    change: Callable[[Playground], None]
    workloads: Workloads = (workload("shop/api", {"name": "shared"}, READ), OWN)
    rest: Workloads = (OWN,)


def _attach_by_hand(playground: Playground) -> None:
    playground.iam.attach_role_policy(RoleName="shared", PolicyArn=BOUNDARY)


def _document_by_hand(playground: Playground) -> None:
    playground.iam.create_policy_version(
        PolicyArn=POLICY_ARN % "shared",
        PolicyDocument=json.dumps(document("s3:DeleteObject")),
        SetAsDefault=True,
    )


def _deny_by_hand(playground: Playground) -> None:
    trust = playground.role("shared")["AssumeRolePolicyDocument"]
    trust["Statement"].append(QUARANTINE)
    playground.iam.update_assume_role_policy(RoleName="shared", PolicyDocument=json.dumps(trust))


def _boundary_by_hand(playground: Playground) -> None:
    playground.iam.put_role_permissions_boundary(RoleName="shared", PermissionsBoundary=BOUNDARY)


def _target_by_hand(playground: Playground) -> None:
    association = playground.association(CLUSTER, "shop/api")
    playground.eks.update_pod_identity_association(
        clusterName=CLUSTER, associationId=association["associationId"], targetRoleArn=TARGET
    )


def _label_by_hand(playground: Playground) -> None:
    playground.kubes[CLUSTER].request(
        "PATCH",
        "/api/v1/namespaces/shop/serviceaccounts/api",
        {"metadata": {"labels": {"team": "shop"}}},
        fieldManager="kubectl-label",
    )


def _tags_by_hand(playground: Playground) -> None:
    playground.iam.tag_role(RoleName="shared", Tags=[{"Key": "team", "Value": "shop"}])


HANDS: dict[str, ByHand] = {
    "policy": ByHand(_document_by_hand),
    "attachment": ByHand(_attach_by_hand),
    "trust": ByHand(_deny_by_hand),
    "boundary": ByHand(_boundary_by_hand),
    "association": ByHand(_target_by_hand),
    "service account": ByHand(_label_by_hand),
    "tags": ByHand(_tags_by_hand),
}


def terraform(playground: Playground) -> None:
    """Create resources as Terraform would: a role with a policy and an association, and a service account."""
    playground.kubes[CLUSTER].account("shop", "api", labels={"managed-by": "terraform"})
    iam, eks = playground.iam, playground.eks
    tags = [{"Key": "managed-by", "Value": "terraform"}]
    iam.create_role(
        RoleName="shared", AssumeRolePolicyDocument=json.dumps(TRUST), PermissionsBoundary=BOUNDARY, Tags=tags
    )
    iam.create_policy(PolicyName="terraform", PolicyDocument=json.dumps(document("ec2:*")), Tags=tags)
    iam.attach_role_policy(RoleName="shared", PolicyArn=POLICY_ARN % "terraform")
    eks.create_pod_identity_association(
        clusterName=CLUSTER,
        namespace="shop",
        serviceAccount="cron",
        roleArn=ROLE_ARN,
        tags={"of": "terraform"},
    )


_THEIRS = {"arn": ROLE_ARN}
# By aspect: a workload that uses the role of Terraform by its ARN, or that names another resource of Terraform as its own.
TERRAFORM: dict[str, Workload] = {
    "policy": workload("shop/api", _THEIRS, policy("terraform", "s3:GetObject")),
    "attachment": workload("shop/api", _THEIRS, READ),
    "trust": workload("shop/api", {**_THEIRS, "extend_trust": True}, READ),
    "boundary": workload("shop/api", {"name": "shared", "permissions_boundary": ""}, READ),
    "association": workload("shop/cron", {"name": "cron"}, READ),
    "service account": workload("shop/api", _THEIRS, READ, service_account_labels={"team": "shop"}),
    "tags": workload("shop/api", {"name": "shared", "tags": {"managed-by": "ansible"}}, READ),
}


def _stored_document(playground: Playground, name: str) -> Any:
    policies = playground.account.facets()
    found = policies.get(("policy", POLICY_ARN % name))
    return found and found["Versions"][found["DefaultVersionId"]]


def _admitted(playground: Playground, cluster: str, role: str) -> bool:
    """Return whether the trust policy of a role allows the workload shop/api of a cluster."""
    arn = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{cluster}"
    context = {
        "aws:SourceAccount": ACCOUNT,
        "aws:RequestTag/eks-cluster-arn": arn,
        "aws:RequestTag/kubernetes-namespace": "shop",
        "aws:RequestTag/kubernetes-service-account": "api",
    }
    statements = playground.role(role).get("AssumeRolePolicyDocument", {}).get("Statement", [])
    return any(admits(statement, context) for statement in statements)


def _stored_boundary(playground: Playground) -> Any:
    return playground.role("shared").get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")


def _stored_association(playground: Playground, cluster: str, name: str) -> Any:
    association = playground.association(cluster, name)
    return association and (association["roleArn"], association.get("targetRoleArn"))


def _stored_label(playground: Playground, cluster: str, key: str) -> Any:
    accounts = cluster_objects(playground.kubes[cluster])
    account = accounts.get(("serviceaccounts", "shop/api"))
    return account and account["labels"].get(key)


def _stored_tag(playground: Playground, key: str) -> Any:
    return next(
        (tag["Value"] for tag in playground.role("shared").get("Tags", ()) if tag["Key"] == key), None
    )


def property_of_first(playground: Playground, pair: str, aspect: str) -> Any:
    """Return the property that the first party needs, for an aspect such as "policy": for example, the policy document."""
    cluster = PAIRS[pair].first[0] if pair in PAIRS else CLUSTER
    by_hand, of_terraform = pair == "manual change", pair == "Terraform"
    if aspect == "policy":
        return _stored_document(playground, "terraform" if of_terraform else "shared")
    if aspect == "attachment":
        arn = BOUNDARY if by_hand else POLICY_ARN % ("terraform" if of_terraform else "api")
        return arn in playground.attached("shared")
    if aspect == "trust":
        if by_hand:
            statements = playground.role("shared").get("AssumeRolePolicyDocument", {}).get("Statement", [])
            return QUARANTINE in statements
        if of_terraform:
            statements = playground.role("shared")["AssumeRolePolicyDocument"]["Statement"]
            return TRUST["Statement"][0] in statements
        return _admitted(playground, cluster, "shared")
    if aspect == "boundary":
        return _stored_boundary(playground)
    if aspect == "association":
        return _stored_association(playground, cluster, "shop/cron" if of_terraform else "shop/api")
    if aspect == "service account":
        return _stored_label(playground, cluster, "managed-by" if of_terraform else "team")
    assert aspect == "tags"
    return _stored_tag(playground, "managed-by" if of_terraform else "team")
