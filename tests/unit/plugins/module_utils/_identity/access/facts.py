# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build clusters and roles for tests of the access report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.access import (
    ClusterFacts,
    RoleFacts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    ObservedAssociation,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import Cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    ROLE_ANNOTATION,
    IrsaAccount,
    PodCredentials,
)

ACCOUNT = "111122223333"
OTHER_ACCOUNT = "444455556666"
HOST = "oidc.eks.eu-central-1.amazonaws.com/id/ABC"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


def allow(actions: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}


def deny(actions: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(actions, resource, **more), "Effect": "Deny"}


def document(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def role_arn(name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:role/{name}"


def policy_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:policy/{name}"


def make_cluster(name: str = "blue", account: str = ACCOUNT) -> Cluster:
    arn = f"arn:aws:eks:eu-central-1:{account}:cluster/{name}"
    return Cluster(name, arn, account, "eu-central-1", "aws", issuer=f"https://{HOST}")


BLUE = make_cluster()


def key(name: str, namespace: str = "shop", cluster: str = "blue") -> WorkloadKey:
    return WorkloadKey(cluster, namespace, name)


def pod_identity_trust(name: str, namespace: str = "shop", cluster: Cluster = BLUE) -> dict[str, Any]:
    """Return a trust policy that allows EKS Pod Identity for only one service account."""
    tags = {
        "aws:SourceAccount": cluster.account_id,
        "aws:RequestTag/eks-cluster-arn": cluster.arn,
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": name,
    }
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {"StringEquals": tags},
        }
    )


def wide_trust(account: str = ACCOUNT) -> dict[str, Any]:
    """Return a trust policy that allows EKS Pod Identity for all service accounts of all clusters in an account."""
    trust = pod_identity_trust("any")
    trust["Statement"][0]["Condition"] = {"StringEquals": {"aws:SourceAccount": account}}
    return trust


def irsa_trust(name: str, namespace: str = "shop") -> dict[str, Any]:
    subject = f"system:serviceaccount:{namespace}:{name}"
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{HOST}:sub": subject, f"{HOST}:aud": "sts.amazonaws.com"}},
        }
    )


def principal_trust(*arns: str) -> dict[str, Any]:
    return document(
        {"Effect": "Allow", "Principal": {"AWS": list(arns)}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    )


ROOT_TRUST = principal_trust(f"arn:aws:iam::{ACCOUNT}:root")


def make_role(
    name: str, *statements: Mapping[str, Any], trust: Mapping[str, Any] | None = None, **more: Any
) -> RoleFacts:
    """Return a role that was read. ``statements`` are in a customer managed policy with the same name as the role.

    Without ``trust``, the trust policy allows the service account with the same name as the role in the namespace shop.
    """
    policies = ((policy_arn(name), document(*statements)),) if statements else ()
    values = {
        "policies": policies,
        "attached": tuple(arn for arn, _document in policies),
        "trust": trust if trust is not None else pod_identity_trust(name),
        **more,
    }
    return RoleFacts(role_arn(name), "read", **values)


def associate(
    name: str, role: str = "", namespace: str = "shop", cluster: str = "blue", **more: Any
) -> ObservedAssociation:
    arn = role if role.startswith("arn:") else role_arn(role or name)
    return ObservedAssociation(key(name, namespace, cluster), f"a-{name}", "arn:association", arn, **more)


def make_facts(
    roles: Sequence[RoleFacts] = (),
    associations: Sequence[ObservedAssociation] = (),
    annotated: Mapping[str, str] | None = None,
    *,
    cluster: Cluster = BLUE,
    missing: Sequence[str] = (),
    pods: Mapping[str, PodCredentials] | None = None,
    **more: Any,
) -> ClusterFacts:
    """Return the data of a cluster. The service accounts of all associations exist, except ``missing``.

    :arg annotated: the ARN of the IRSA role, or "" without a role, by name of a service account in the namespace shop.
    :arg missing: names of service accounts.
    :arg pods: the Pods, by name of a service account in the namespace shop.
    """
    accounts = {
        association.key: IrsaAccount(association.key)
        for association in associations
        if association.key.service_account not in missing
    }
    for name, arn in (annotated or {}).items():
        found = key(name, cluster=cluster.name)
        accounts[found] = IrsaAccount(found, {ROLE_ANNOTATION: arn} if arn else {})
    return ClusterFacts(
        cluster.name,
        cluster,
        {association.key: association for association in associations},
        accounts,
        pods={key(name, cluster=cluster.name): found for name, found in (pods or {}).items()},
        roles={role.arn.lower(): role for role in roles},
        complete=True,
        **more,
    )
