# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The requests that EKS Pod Identity makes to AWS STS, written down once.

What each part rests on:

* Caller ``pods.eks.amazonaws.com`` in every partition; sts:AssumeRole and sts:TagSession:
  Amazon EKS User Guide, "Create IAM role with trust policy required by EKS Pod Identity".
* The six session tags, all transitive, and what turning them off does: Amazon EKS User Guide,
  "Grant Pods access to AWS resources based on tags"; EKS API, ``disableSessionTags``.
* A session tag is in the request as ``aws:RequestTag/<tag>``, its name in ``aws:TagKeys``, and in
  ``sts:TransitiveTagKeys`` when transitive: IAM User Guide, "Pass session tags in AWS STS".
* aws:SourceAccount, aws:SourceArn, aws:SourceOrgID, aws:PrincipalIsAWSService and
  aws:PrincipalServiceName are there when an AWS service principal calls: IAM User Guide, "AWS
  global condition context keys". For this service the EKS guides show aws:SourceAccount and
  aws:SourceOrgId. Whether aws:SourceArn is set is nowhere in the reference; where AWS shows it, it
  is the cluster's ARN, and association ARNs are known to fail. So: the cluster's ARN or absent.
* The role is in the cluster's account, because EKS refuses to pass a role of another account;
  hence aws:ResourceAccount and aws:ResourceOrgID equal their Source twins.
* Keys of other kinds of callers (an address, MFA, an external ID, a web identity) are absent.
* A target role is assumed by the session of the pod identity role, with the same tags, or with
  ``sts:ExternalId`` when they are off: Amazon EKS User Guide, "Access AWS resources using EKS Pod
  Identity target IAM roles"; EKS API, ``targetRoleArn`` and ``externalId``.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..language.context import ABSENT, PRESENT, UNKNOWN, Context, Part, State, Unknown

SERVICE = "pods.eks.amazonaws.com"
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
_CLUSTER_SHAPE = "arn:*:eks:*:{account}:cluster/*"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is known of a workload and its association. None means: not known.

    ``account_id`` is the cluster's, which is also the role's; it is read from ``cluster_arn`` or
    ``role_arn`` when not given. ``source_org_id`` is that account's organization.
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

    @property
    def account(self) -> str | None:
        """The account of cluster and role."""
        if self.account_id:
            return self.account_id
        for arn in (self.cluster_arn, self.role_arn):
            parts = (arn or "").split(":")
            if len(parts) > 5 and parts[4]:
                return parts[4]
        return None

    @property
    def cluster_name(self) -> str | None:
        """The name at the end of the cluster's ARN."""
        return self.cluster_arn.rpartition("/")[2] if self.cluster_arn else None

    @property
    def external_id(self) -> str | None:
        """region/account/cluster/namespace/service-account, when all of them are known."""
        if not (self.cluster_arn and self.namespace and self.service_account):
            return None
        parts = self.cluster_arn.split(":")
        if len(parts) < 6:
            return None
        return "/".join((parts[3], parts[4], str(self.cluster_name), self.namespace, self.service_account))

    def tags(self) -> dict[str, str | None]:
        """The session tags by name; None where a value is not known."""
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
    """The keys of the request by which EKS Pod Identity assumes the role of an association."""
    account = _known(subject.account)
    cluster = _cluster(subject)
    keys: dict[str, State | Part] = {
        **_tag_keys(subject),
        "aws:sourceaccount": account,
        "aws:sourcearn": Unknown(
            choices=cluster if isinstance(cluster, tuple) else None,
            shape=None if isinstance(cluster, tuple) else cluster.shape,
        ),
        "aws:sourceorgid": _org(subject),
        "aws:sourceorgpaths": _org_paths(subject),
        "aws:principalisawsservice": ("true",),
        "aws:principalservicename": (SERVICE,),
        "aws:principalservicenameslist": (SERVICE,),
        "aws:principaltype": UNKNOWN,
        "aws:userid": UNKNOWN,
        "aws:resourceaccount": Part("aws:sourceaccount"),
        "aws:resourceorgid": Part("aws:sourceorgid"),
        "aws:resourceorgpaths": Part("aws:sourceorgpaths"),
        "aws:viaawsservice": ("false",),
        **_every_call(),
        "sts:externalid": ABSENT,
    }
    return Context(keys, _TAG_FAMILIES, ABSENT)


def chained_context(
    subject: Subject, target_role_arn: str | None = None, external_id: str | None = None
) -> Context:
    """The keys of the request by which the pod identity role's session assumes a target role.

    ``subject.role_arn`` is the pod identity role.
    """
    role = subject.role_arn
    given = external_id or subject.external_id
    target_account = (target_role_arn or "").split(":")[4:5]
    expected: State = (given,) if given else PRESENT
    if subject.session_tags:
        # The guide speaks of the external ID only for associations without session tags.
        expected = Unknown(choices=(given,)) if given else UNKNOWN
    keys: dict[str, State | Part] = {
        **_tag_keys(subject),
        **{
            f"aws:principaltag/{name}": _tag(value)
            for name, value in subject.tags().items()
            if subject.session_tags
        },
        "aws:principalarn": (role,) if role else PRESENT,
        "aws:principalaccount": _known(subject.account),
        "aws:principaltype": ("AssumedRole",),
        "aws:principalisawsservice": ("false",),
        "aws:principalorgid": _org(subject),
        "aws:principalorgpaths": UNKNOWN,
        "aws:userid": PRESENT,
        "aws:tokenissuetime": PRESENT,
        "aws:sourceip": UNKNOWN,
        "aws:viaawsservice": UNKNOWN,
        "aws:calledvia": UNKNOWN,
        "aws:calledviafirst": UNKNOWN,
        "aws:calledvialast": UNKNOWN,
        "aws:resourceaccount": tuple(target_account) or PRESENT,
        "aws:resourceorgid": UNKNOWN,
        "aws:resourceorgpaths": UNKNOWN,
        **_every_call(),
        "sts:externalid": expected,
    }
    families = (*_TAG_FAMILIES, ("aws:principaltag/", UNKNOWN))
    return Context(keys, families, ABSENT)


_TAG_FAMILIES: tuple[tuple[str, State], ...] = (
    ("aws:resourcetag/", UNKNOWN),
    ("iam:resourcetag/", UNKNOWN),
)


def _tag_keys(subject: Subject) -> dict[str, State | Part]:
    if not subject.session_tags:
        return {}
    keys: dict[str, State | Part] = {
        f"aws:requesttag/{name}": _tag(value) for name, value in subject.tags().items()
    }
    keys["aws:requesttag/eks-cluster-arn"] = _cluster(subject)
    keys["aws:tagkeys"] = SESSION_TAGS
    keys["sts:transitivetagkeys"] = SESSION_TAGS
    return keys


def _every_call() -> dict[str, State | Part]:
    """Keys of every call to STS. STS answers over TLS only."""
    return {
        "aws:securetransport": ("true",),
        "aws:currenttime": PRESENT,
        "aws:epochtime": PRESENT,
        "aws:requestedregion": PRESENT,
        "aws:useragent": UNKNOWN,
        "aws:referer": UNKNOWN,
        "sts:rolesessionname": PRESENT,
        "sts:durationseconds": UNKNOWN,
    }


def _cluster(subject: Subject) -> tuple[str, ...] | Unknown:
    if subject.cluster_arn:
        return (subject.cluster_arn,)
    shape = _CLUSTER_SHAPE.format(account=subject.account or "*")
    return Unknown(may_be_absent=False, shape=shape)


def _org(subject: Subject) -> State:
    return (subject.source_org_id,) if subject.source_org_id else Unknown(shape="o-*")


def _org_paths(subject: Subject) -> State:
    # A path is o-id/r-root/ou-.../, for every account of an organization.
    if subject.source_org_id:
        return Unknown(may_be_absent=False, shape=f"{subject.source_org_id}/r-*")
    return Unknown(shape="o-*/r-*")


def _known(value: str | None) -> State:
    return (value,) if value else PRESENT


def _tag(value: str | None) -> State:
    return (value,) if value else PRESENT
