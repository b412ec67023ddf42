# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kinds of risks in the access report, each with a severity, the reason why it is a risk, and a remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from .effective import StatementPlace
from .estate import AccessMember

RiskSeverity = Literal["high", "medium", "low"]
RISK_SEVERITIES: Final[Sequence[RiskSeverity]] = ("high", "medium", "low")


@dataclass(frozen=True, slots=True)
class RiskKind:
    """A kind of risk. ``reason`` explains the danger, and ``remedy`` is an instruction for the user."""

    title: str
    severity: RiskSeverity
    reason: str
    remedy: str


RISK_KINDS: Final[Mapping[str, RiskKind]] = {
    "ADMINISTRATOR": RiskKind(
        "The role can administer the account",
        "high",
        "The role has all permissions, or can give itself any permission. Everyone who controls a Pod of the service "
        "account controls the account.",
        "Replace the policy with one that allows only the actions and resources that the workload needs, or add a permissions "
        "boundary that denies changes in IAM.",
    ),
    "ESCALATION": RiskKind(
        "The role can obtain further permissions",
        "high",
        "A combination of its permissions lets the role use the permissions of other roles or users. So its own policies "
        "do not show everything that it can do.",
        "Remove one action of each combination, or limit its resources. Limit iam:PassRole to the roles that the workload "
        "passes, with a condition on iam:PassedToService.",
    ),
    "PATH_TO_ADMINISTRATOR": RiskKind(
        "The role can assume an administrator",
        "high",
        "The role can assume, directly or through other roles, a role that can administer its account.",
        "Remove sts:AssumeRole for the first role of the path, and limit the trust policy of that role to the principals "
        "that need it.",
    ),
    "ASSUMES_ROLE": RiskKind(
        "The role can assume further roles",
        "medium",
        "The service account can use the permissions of these roles in addition to the permissions of its own role.",
        "Check that the workload needs each of these roles. Otherwise limit the resources of sts:AssumeRole and the trust "
        "policies of these roles.",
    ),
    "TRUST_WIDE": RiskKind(
        "The trust policy allows more than the service account",
        "medium",
        "A person who can create an association or a service account that the trust policy allows can use the role.",
        "Limit the statement to EKS Pod Identity and to the cluster, namespace and service account: docs/trust-scopes.md has the "
        "conditions.",
    ),
    "TRUST_OTHERS": RiskKind(
        "The trust policy allows other principals",
        "medium",
        "These principals can use all permissions of the role without a Pod. The account does not control principals "
        "of other accounts, or the identities of a provider without a condition on its claim sub.",
        "Remove the statements whose principals do not need the role, or limit them: name single roles of an account, and add a "
        "condition on the claim sub of an OIDC provider.",
    ),
    "ROLE_SHARED": RiskKind(
        "Several namespaces or clusters share the role",
        "low",
        "Each of these service accounts has the permissions that any of them needs, and CloudTrail shows the same role "
        "for all.",
        "Give each workload its own role, or keep the role if all of them need the same permissions.",
    ),
    "CREDENTIALS_BY_HAND": RiskKind(
        "A Pod template sets its own credentials",
        "high",
        "SDKs prefer these credentials to EKS Pod Identity and, except for an endpoint, to IRSA. Access keys do not expire, "
        "and this report cannot show their permissions.",
        "Remove the variables from the template, so that the Pods use the role of their service account. If they were an access "
        "key, delete it.",
    ),
    "NODE_CREDENTIALS": RiskKind(
        "Pods without credentials can use the role of their node",
        "medium",
        "If a Pod without credentials reaches the instance metadata service, its SDK uses the role of the node. All Pods of "
        "the node share this role.",
        "Restart Pods that started without the credentials of their service account, and check that the EKS Pod Identity Agent "
        "runs on their nodes. Set the hop limit of the instance metadata service to 1, and limit the role to the permissions of "
        "a node.",
    ),
    "ROLE_UNUSED": RiskKind(
        "No recent use of the role is recorded",
        "low",
        "Unused permissions have no benefit, and an attacker in a Pod of the workload has them, too.",
        "Check that no rare task, such as a yearly one, needs the role. Then remove the association or annotation, and the role.",
    ),
    "SERVICES_UNUSED": RiskKind(
        "The role does not use services that it may use",
        "low",
        "Unused permissions have no benefit, and an attacker in a Pod of the workload has them, too.",
        "Check that no rare task needs the services, and remove them from the policies.",
    ),
    "ACTIONS_UNUSED": RiskKind(
        "No recent use of allowed actions is recorded",
        "low",
        "Unused permissions have no benefit, and an attacker in a Pod of the workload has them, too.",
        "Check that no rare task needs the actions, and remove them from the policies. docs/audit.md describes how to get a "
        "policy from IAM Access Analyzer.",
    ),
    "ROLE_UNUSABLE": RiskKind(
        "The service account cannot use its role",
        "medium",
        "AWS does not let the service account use the role or its target role, so Pods of the service account get no credentials "
        "of the role.",
        "If the association, annotation or variables of the Pod template are not needed, remove them. Otherwise correct the "
        "cause that the risk names: docs/codes.md has the causes in trust policies.",
    ),
    "ROLE_MISSING": RiskKind(
        "The role does not exist",
        "medium",
        "An association, annotation or Pod template names a role that does not exist. A person who creates a role with that name "
        "can give its permissions to the service account.",
        "Remove the association, the annotation or the variables of the Pod template, or create the role again.",
    ),
    "ACCOUNT_MISSING": RiskKind(
        "The service account of an association does not exist",
        "medium",
        "A person who may create a service account with that name in the namespace gets the permissions of the role.",
        "If the workload does not exist any more, delete the association: aws eks delete-pod-identity-association "
        "--cluster-name NAME --association-id ID",
    ),
    "DATA_OF_ALL": RiskKind(
        "The role can read the data of all resources",
        "medium",
        "The role can read all secrets, parameters or objects of the account that no other policy protects.",
        "In the policy, name the secrets, parameters or buckets that the workload reads.",
    ),
    "WRITES_EVERYWHERE": RiskKind(
        "The role can change all resources of a service",
        "low",
        "A fault in the workload can affect resources of other workloads.",
        "In the policy, name the resources, or limit them with a condition on a tag.",
    ),
    "ACCESS_UNKNOWN": RiskKind(
        "The permissions are not completely known",
        "low",
        "The role, or some of its policies, could not be read, so the report may show too little.",
        "Allow the caller the permissions in docs/audit.md, or include the account of the role in the report.",
    ),
}


@dataclass(frozen=True, slots=True)
class Risk:
    """A risk that a report has found.

    ``code`` is a key of ``RISK_KINDS``. ``code`` and ``subject`` together identify the risk in later reports; ``subject`` has,
    for example, the ARN of a role. ``members`` are the service accounts with the risk, none for a risk that is only about the
    roles of nodes. ``is_certain`` is false if the risk exists only with some values of condition keys. ``statements`` are the
    statements that cause it, and ``roles`` the ARNs of the roles concerned. ``detail`` has the names of actions, services or
    variables of a Pod template, or further ARNs. ``raised_as`` is the severity if it differs from the severity of the kind.
    """

    code: str
    subject: str
    text: str
    members: tuple[AccessMember, ...]
    is_certain: bool = True
    statements: tuple[StatementPlace, ...] = ()
    roles: tuple[str, ...] = ()
    detail: tuple[str, ...] = ()
    raised_as: RiskSeverity | None = None

    @property
    def severity(self) -> RiskSeverity:
        return self.raised_as or RISK_KINDS[self.code].severity
