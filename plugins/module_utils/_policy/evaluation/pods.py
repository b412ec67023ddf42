# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The condition keys of the requests of Pods: to AWS STS for the credentials of a role, and to AWS with these credentials.

The facts about the requests to AWS STS, with their sources:

* The caller is ``pods.eks.amazonaws.com`` in every partition. The actions are sts:AssumeRole and sts:TagSession. Source: Amazon
  EKS User Guide, "Create IAM role with trust policy required by EKS Pod Identity".
* There are six session tags, all of them transitive, which an association can disable. Sources: Amazon EKS User Guide, "Grant
  Pods access to AWS resources based on tags"; EKS API, ``disableSessionTags``.
* A session tag is in the request as ``aws:RequestTag/<tag>``. Its name is in ``aws:TagKeys``, and for a transitive tag also in
  ``sts:TransitiveTagKeys``. Source: IAM User Guide, "Pass session tags in AWS STS".
* Requests of an AWS service principal have aws:SourceAccount, aws:SourceArn, aws:SourceOrgID, aws:PrincipalIsAWSService and
  aws:PrincipalServiceName. Source: IAM User Guide, "AWS global condition context keys". For EKS Pod Identity the EKS guides
  show aws:SourceAccount and aws:SourceOrgId.
* AWS does not document the value of aws:SourceArn in these requests. Examples in the guides compare it with the ARN of the
  cluster, and conditions with the ARN of an association are known to fail. So this module assumes that the key has the ARN of
  the cluster, or is absent.
* The role is in the cluster's account, because EKS rejects a role of another account. Therefore aws:ResourceAccount and
  aws:ResourceOrgID equal aws:SourceAccount and aws:SourceOrgID.
* Keys of other kinds of callers (an address, MFA, an external ID, a web identity) are absent.
* Requests with temporary credentials have aws:MultiFactorAuthPresent (``false`` without MFA), and have aws:MultiFactorAuthAge
  only with MFA. Source: IAM User Guide, "AWS global condition context keys". AWS does not document whether
  aws:MultiFactorAuthPresent is present after a service has assumed the role, as for a Pod. So this module assumes that the key
  is ``false`` or absent.
* The session of the pod identity role (the role of the association) assumes a target role with the same tags, or with
  ``sts:ExternalId`` if session tags are disabled. Sources: Amazon EKS User Guide, "Access AWS resources using EKS Pod Identity
  target IAM roles"; EKS API, ``targetRoleArn`` and ``externalId``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..language.context import (
    ABSENT,
    ACCOUNT,
    CLUSTER_NAME,
    ORGANIZATION,
    PRESENT,
    UNKNOWN_VALUE,
    Context,
    KeyState,
    Part,
    Unknown,
)

SERVICE = "pods.eks.amazonaws.com"
# The names that Kubernetes accepts for a namespace and for a service account, which also has at most 253 characters.
NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
SERVICE_ACCOUNT = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
ASSUME_ROLE = "sts:AssumeRole"
TAG_SESSION = "sts:TagSession"
ACTIONS = (ASSUME_ROLE, TAG_SESSION)
SESSION_TAGS = (
    "eks-cluster-arn",
    "eks-cluster-name",
    "kubernetes-namespace",
    "kubernetes-service-account",
    "kubernetes-pod-name",
    "kubernetes-pod-uid",
)
# Two internal names that are not condition keys: the values of several condition keys are extracted from their values.
_CLUSTER = "~cluster"
_ORG_PATH = "~organization path"
# A pattern that matches every account ID.
_ANY_ACCOUNT = "?" * 12
# The key aws:MultiFactorAuthPresent in a request without MFA: ``false`` or absent.
_NO_MFA = Unknown(choices=("false",))


@dataclass(frozen=True, slots=True)
class Subject:
    """A workload and its pod identity association. A value of None is unknown.

    ``cluster`` is the name of the cluster and is used only if ``cluster_arn`` is unknown. ``account_id`` is the account of
    cluster and role; the default is the account in ``cluster_arn`` or ``role_arn``. ``source_org_id`` is the ID of the
    organization that this account belongs to.
    """

    cluster_arn: str | None = None
    namespace: str | None = None
    service_account: str | None = None
    account_id: str | None = None
    source_org_id: str | None = None
    session_tags: bool = True
    partition: str | None = None
    role_arn: str | None = None
    pod_name: str | None = None
    pod_uid: str | None = None
    cluster: str | None = None

    @property
    def account(self) -> str | None:
        """Return the account ID of the cluster and the role, or None if it is unknown."""
        if self.account_id:
            return self.account_id
        for arn in (self.cluster_arn, self.role_arn):
            parts = (arn or "").split(":")
            if len(parts) > 5 and parts[4]:
                return parts[4]
        return None

    @property
    def cluster_name(self) -> str | None:
        """Return the name of the cluster from its ARN, or from ``cluster`` if the ARN is unknown."""
        return self.cluster_arn.rpartition("/")[2] if self.cluster_arn else self.cluster

    @property
    def external_id(self) -> str | None:
        """Return the external ID in the form region/account/cluster/namespace/service-account, or None if a part is
        unknown.
        """
        parts = (self.cluster_arn or "").split(":")
        if len(parts) < 6 or not (self.namespace and self.service_account):
            return None
        return "/".join((parts[3], parts[4], str(self.cluster_name), self.namespace, self.service_account))

    def tags(self) -> dict[str, str | None]:
        """Return the session tags by name. A value of None is unknown."""
        values = (
            self.cluster_arn,
            self.cluster_name,
            self.namespace,
            self.service_account,
            self.pod_name,
            self.pod_uid,
        )
        return dict(zip(SESSION_TAGS, values, strict=True))


def pod_identity_context(subject: Subject) -> Context:
    """Return the condition keys of the request with which EKS Pod Identity assumes the role of an association."""
    account: KeyState | Part = (subject.account,) if subject.account else Part(_CLUSTER, ACCOUNT)
    keys: dict[str, KeyState | Part] = {
        **_tag_keys(subject),
        **_org_keys(subject.source_org_id, "source", "resource"),
        "aws:sourceaccount": account,
        "aws:sourcearn": (
            Unknown(choices=(subject.cluster_arn,))
            if subject.cluster_arn
            else Part(_CLUSTER, may_be_absent=True)
        ),
        "aws:principalisawsservice": ("true",),
        "aws:principalservicename": (SERVICE,),
        "aws:principalservicenameslist": (SERVICE,),
        "aws:principaltype": UNKNOWN_VALUE,
        "aws:userid": UNKNOWN_VALUE,
        "aws:resourceaccount": account,
        "aws:viaawsservice": ("false",),
        **_every_call(),
        "sts:externalid": ABSENT,
    }
    return Context(keys, _TAG_FAMILIES, ABSENT)


def chained_context(
    subject: Subject, target_role_arn: str | None = None, external_id: str | None = None
) -> Context:
    """Return the condition keys of the request with which the session of a pod identity role assumes a target role.

    :arg subject: the workload; its ``role_arn`` is the pod identity role.
    :arg external_id: the external ID of the association; by default it is composed from the subject.
    """
    role = subject.role_arn
    external = external_id or subject.external_id
    target_account = (target_role_arn or "").split(":")[4:5]
    expected: KeyState = (external,) if external else PRESENT
    if subject.session_tags:
        # The EKS guide mentions the external ID only for associations without session tags.
        expected = Unknown(choices=(external,)) if external else UNKNOWN_VALUE
    keys: dict[str, KeyState | Part] = {
        **_tag_keys(subject),
        **_principal_tags(subject),
        **_org_keys(subject.source_org_id, "principal"),
        "aws:principalarn": (role,) if role else PRESENT,
        "aws:principalaccount": (subject.account,) if subject.account else PRESENT,
        "aws:principaltype": ("AssumedRole",),
        "aws:principalisawsservice": ("false",),
        "aws:multifactorauthpresent": _NO_MFA,
        "aws:userid": PRESENT,
        "aws:tokenissuetime": PRESENT,
        "aws:sourceip": UNKNOWN_VALUE,
        "aws:viaawsservice": UNKNOWN_VALUE,
        "aws:calledvia": UNKNOWN_VALUE,
        "aws:calledviafirst": UNKNOWN_VALUE,
        "aws:calledvialast": UNKNOWN_VALUE,
        "aws:resourceaccount": tuple(target_account) or PRESENT,
        "aws:resourceorgid": UNKNOWN_VALUE,
        "aws:resourceorgpaths": UNKNOWN_VALUE,
        **_every_call(),
        "sts:externalid": expected,
    }
    families = (*_TAG_FAMILIES, ("aws:principaltag/", UNKNOWN_VALUE))
    return Context(keys, families, ABSENT)


def web_identity_context(host: str, subject: str, audience: str) -> Context:
    """Return the condition keys of an sts:AssumeRoleWithWebIdentity request with the token of a service account.

    The request is not signed, so keys that identify a principal, such as aws:PrincipalArn, aws:PrincipalAccount,
    aws:PrincipalOrgID and aws:PrincipalTag, are absent. Keys of session tags are absent, because Kubernetes tokens do not have
    the claim for them. These keys may be present: aws:PrincipalType, keys of the network such as aws:SourceIp and
    aws:SourceVpc, and keys of the organization and the tags of the role. Sources: IAM User Guide, "IAM and AWS STS condition
    context keys" (keys for OIDC federation); EKS User Guide, "IAM roles for service accounts".

    :arg host: the OIDC provider without scheme, such as oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE.
    :arg subject: the claim ``sub``, such as system:serviceaccount:default:app.
    :arg audience: the claim ``aud``.
    """
    name = host.lower()
    keys: dict[str, KeyState | Part] = {
        f"{name}:sub": (subject,),
        f"{name}:aud": (audience,),
        "aws:federatedprovider": PRESENT,
        "aws:principaltype": UNKNOWN_VALUE,
        "aws:userid": PRESENT,
        "aws:principalisawsservice": ("false",),
        "aws:viaawsservice": ("false",),
        "aws:sourceip": UNKNOWN_VALUE,
        "aws:sourcevpc": UNKNOWN_VALUE,
        "aws:sourcevpce": UNKNOWN_VALUE,
        "aws:vpcsourceip": UNKNOWN_VALUE,
        "aws:resourceaccount": PRESENT,
        "aws:resourceorgid": UNKNOWN_VALUE,
        "aws:resourceorgpaths": UNKNOWN_VALUE,
        **_every_call(),
    }
    return Context(keys, _TAG_FAMILIES, ABSENT)


def pod_context(subject: Subject | None = None, role_tags: Mapping[str, str] | None = None) -> Context:
    """Return the condition keys of a request that a Pod sends with the credentials of its role.

    The caller is a session of a role. The session tags are aws:PrincipalTag keys. The session has no user name, and was not
    authenticated with MFA. Source: IAM User Guide, "AWS global condition context keys", properties of the principal.

    :arg subject: the workload. None means that the caller is unknown; then every key may have any value.
    :arg role_tags: the tags of the role, or None if they are unknown. A session tag overrides a tag of the role.
    """
    if subject is None:
        return Context()
    role = f"arn:{subject.partition or 'aws*'}:iam::{subject.account or _ANY_ACCOUNT}:role/*"
    keys: dict[str, KeyState | Part] = {
        "aws:principaltype": ("AssumedRole",),
        "aws:principalarn": (subject.role_arn,) if subject.role_arn else Unknown(False, pattern=role),
        "aws:principalaccount": (subject.account,) if subject.account else Part("aws:principalarn", ACCOUNT),
        **_org_keys(subject.source_org_id, "principal"),
        "aws:userid": PRESENT,
        "aws:tokenissuetime": PRESENT,
        "aws:currenttime": PRESENT,
        "aws:epochtime": PRESENT,
        "aws:principalisawsservice": ("false",),
        "aws:multifactorauthpresent": _NO_MFA,
        **dict.fromkeys(
            (
                "aws:username",
                "aws:multifactorauthage",
                "aws:federatedprovider",
                "aws:sourceidentity",
                "aws:principalservicename",
                "aws:principalservicenameslist",
                "aws:sourceaccount",
                "aws:sourcearn",
                "aws:sourceorgid",
                "aws:sourceorgpaths",
            ),
            ABSENT,
        ),
    }
    for key, value in (role_tags or {}).items():
        keys[f"aws:principaltag/{key.lower()}"] = (value,)
    keys.update(_session_tags(subject, "aws:principaltag/"))
    other: KeyState = UNKNOWN_VALUE if role_tags is None else ABSENT
    return Context(keys, (("aws:principaltag/", other),), UNKNOWN_VALUE)


_TAG_FAMILIES: tuple[tuple[str, KeyState], ...] = (
    ("aws:resourcetag/", UNKNOWN_VALUE),
    ("iam:resourcetag/", UNKNOWN_VALUE),
)


def _session_tags(subject: Subject, prefix: str) -> dict[str, KeyState | Part]:
    """Return the session tags as condition keys with a prefix, such as ``aws:requesttag/``.

    If the ARN of the cluster is unknown, the tags with its ARN and its name are taken from one internal value (see
    ``_unknown_cluster``), so that they always agree.
    """
    if not subject.session_tags:
        return {}
    # EKS never sets an empty session tag.
    unknown = Unknown(may_be_absent=False, pattern="?*")
    keys: dict[str, KeyState | Part] = {
        f"{prefix}{name}": (value,) if value else unknown for name, value in subject.tags().items()
    }
    if not subject.cluster_arn:
        keys[f"{prefix}eks-cluster-arn"] = Part(_CLUSTER)
        if not subject.cluster:
            keys[f"{prefix}eks-cluster-name"] = Part(_CLUSTER, CLUSTER_NAME)
    return {**keys, **_unknown_cluster(subject)}


def _tag_keys(subject: Subject) -> dict[str, KeyState | Part]:
    """Return the session tags as ``aws:requesttag/`` keys, and the keys that list the names of the tags."""
    keys = _session_tags(subject, "aws:requesttag/")
    if not keys:
        return _unknown_cluster(subject)
    return {**keys, "aws:tagkeys": SESSION_TAGS, "sts:transitivetagkeys": SESSION_TAGS}


def _principal_tags(subject: Subject) -> dict[str, KeyState | Part]:
    """Return the session tags as ``aws:principaltag/`` keys.

    EKS passes the tags of the session on to the target role. So an unknown tag has the same value as in aws:RequestTag.
    """
    keys = _session_tags(subject, "aws:principaltag/")
    for name in SESSION_TAGS:
        key = f"aws:principaltag/{name}"
        if isinstance(keys.get(key), Unknown):
            keys[key] = Part(f"aws:requesttag/{name}")
    return keys


def _every_call() -> dict[str, KeyState | Part]:
    """Return the condition keys of every request to AWS STS. STS accepts TLS only, so aws:SecureTransport is true."""
    return {
        "aws:securetransport": ("true",),
        "aws:currenttime": PRESENT,
        "aws:epochtime": PRESENT,
        "aws:requestedregion": PRESENT,
        "aws:useragent": UNKNOWN_VALUE,
        "aws:referer": UNKNOWN_VALUE,
        "sts:rolesessionname": PRESENT,
        "sts:durationseconds": UNKNOWN_VALUE,
    }


def _unknown_cluster(subject: Subject) -> dict[str, KeyState | Part]:
    """Return the internal value for an unknown cluster ARN. Its pattern has the account and the name if they are known."""
    if subject.cluster_arn:
        return {}
    partition, account = subject.partition or "aws*", subject.account or _ANY_ACCOUNT
    pattern = f"arn:{partition}:eks:*:{account}:cluster/{subject.cluster or '*'}"
    return {_CLUSTER: Unknown(may_be_absent=False, pattern=pattern)}


def _org_keys(org_id: str | None, *owners: str) -> dict[str, KeyState | Part]:
    """Return the condition keys with the ID and the path of an account's organization, such as aws:SourceOrgID.

    A path has the form o-id/r-root/ou-.../. If the ID is unknown, the keys may be absent, because the account may not belong to
    an organization.

    :arg owners: the beginnings of the keys, such as "source".
    """
    keys: dict[str, KeyState | Part] = {_ORG_PATH: Unknown(not org_id, pattern=f"{org_id or 'o-*'}/r-*")}
    for owner in owners:
        keys[f"aws:{owner}orgid"] = Part(_ORG_PATH, ORGANIZATION)
        keys[f"aws:{owner}orgpaths"] = Part(_ORG_PATH)
    return keys
