# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Codes of a run itself, of purge and teardown, and of failures alone. Pure."""

from __future__ import annotations

from .codes import Code, Description, Descriptions, FailureText, Severity

RUNS: Descriptions = {
    Code.PURGE_WAITS: Description(
        "The purge waits",
        "warning",
        "`purge`: nothing was purged, because a workload failed",
        "resolve the failures, run again",
    ),
    Code.NOT_YET_VISIBLE: Description(
        "A change is not visible yet",
        "error",
        "this run changed it, and AWS still answers as before after `propagation_timeout`; as a warning also: a "
        "teardown does not see what is listed, of a workload made less than five minutes ago",
        "run again in a minute, or when the message says; raise `propagation_timeout`",
        also=("warning",),
        failure=FailureText(
            "this run changed it, and AWS still answers as before after `propagation_timeout`",
            "run again in a minute; raise `propagation_timeout`",
        ),
    ),
    Code.NOTHING_VERIFIED: Description(
        "The list has no workloads",
        "warning",
        "the list has no workload for the cluster, so nothing was verified; an info for a cluster of a fleet",
        "correct the list; where the cluster is meant to have none, `pod_identity_ignore`",
        also=("info",),
    ),
    Code.UNLISTED_ASSOCIATIONS: Description(
        "Associations that are not in the list",
        "warning",
        "the cluster has associations that the list does not have; an info where they are all of other owners, or could not be "
        "read",
        "list them, remove what was made here with `purge`, delete the others",
        also=("info",),
    ),
    Code.TRUST_WITHOUT_ASSOCIATION: Description(
        "A trust policy lets in a workload without association",
        "warning",
        "the trust policy of a role made here has a statement made here for a workload that is not in the list and has no "
        "association: its removal failed, or the association was deleted by hand",
        "`purge`, or `state: absent` for the workload and the role; nothing where another run is about to create the association",
    ),
    Code.ROLE_LEFT: Description(
        "A role has lost its last workload",
        "info",
        "the last workload of a role made here has just moved to another role; a warning where a bulk read shows roles made here "
        "for the cluster that have no workload any more",
        "restart the Pods that may hold its credentials; a later `purge` removes the role",
        also=("warning",),
    ),
    Code.POLICY_LEFT: Description(
        "A policy is attached to nothing any more",
        "info",
        "the run has detached a policy made here, and nothing else has it attached",
        "`purge` deletes it, or delete it",
    ),
    Code.ASSOCIATION_WOULD_BREAK: Description(
        "An association would take credentials away",
        "error",
        "Pods or Pod templates use IRSA and start where the agent cannot be reached; with the association they would start "
        "without either. The workload stops before the change, unless `pod_identity_allow_breakage: true`, which makes this a "
        "warning",
        "Linux EC2 nodes with the agent, or a service account of their own that keeps IRSA",
        also=("warning",),
        failure=FailureText(
            "Pods or Pod templates of the service account use IRSA and start where the agent cannot be reached: Fargate, "
            "Windows, a virtual node, or a node without agent",
            "move them, give them a service account of their own, or `pod_identity_allow_breakage: true`",
        ),
    ),
    Code.ASSOCIATION_MAY_BREAK: Description(
        "An association may take credentials away",
        "warning",
        "a new association of a service account with the annotation of IRSA: nothing shows where the Pods of a template start, a "
        "list was refused, or no user of the service account was found",
        "look where its Pods start before they do; EKS Pod Identity works on Linux EC2 nodes with the agent",
    ),
    Code.BULK_READ_DENIED: Description(
        "Bulk reads are denied",
        "info",
        "roles and policies were read one by one, which takes more requests",
        "[iam-permissions.md](iam-permissions.md)",
    ),
    Code.CALLER_PERMISSION_MISSING: Description(
        "The caller lacks permissions",
        "error",
        "`check_caller`: the caller lacks permissions that applying the workloads takes",
        "[iam-permissions.md](iam-permissions.md)",
    ),
    Code.CALLER_PERMISSION_UNKNOWN: Description(
        "The caller's permissions are not known",
        "info",
        "`check_caller`: IAM's simulator could not be asked",
        "allow the caller `iam:SimulatePrincipalPolicy` and `iam:GetRole` on itself",
    ),
    Code.OWNED_BY_ANOTHER: Description(
        "Another owner has it",
        "warning",
        "teardown or purge: something belongs to another `owner`, or to one where the run has none, and stays",
        "remove it in a run for its owner, or `adopt`",
        failure=FailureText(
            "it belongs to another `owner`, or to one where the run has none, and would have to change or go",
            "run it for its owner, use another name, or `adopt`",
        ),
    ),
    Code.ASSOCIATION_REPLACED: Description(
        "The association is deleted and created anew",
        "warning",
        "`session_policy: ''`: EKS does not remove a session policy in place; Pods that start in that moment get no credentials",
        "recreate Pods that failed to get credentials; or a session policy that allows everything",
    ),
    Code.OWNER_CHANGED: Description(
        "The owner changes",
        "warning",
        "`adopt`: what belonged to one `owner` comes to belong to another",
        "list it for one owner only",
    ),
    Code.OWNER_NOT_SET: Description(
        "No owner is set",
        "info",
        "a run for an `owner` finds something made here that has no owner, and that others use as well: it stays without",
        "`adopt`, if it is for this owner alone",
    ),
    Code.POLICY_ATTACHED_EXTRA: Description(
        "A policy that is not listed is attached",
        "warning",
        "a role made here has a policy that is not listed, or that stays for users outside the run; an error where it lets "
        "the role administer the account, an info where that role is given by its ARN",
        "nothing where another list needs it; else list it, detach it, or `purge_policies`",
        also=("error", "info"),
    ),
    Code.TRUST_SCOPE_WITHOUT_SESSION_TAGS: Description(
        "Without session tags the scope is the account",
        "info",
        "without session tags the role can be used from every cluster of the account",
        "keep the tags on, or write `trust_scope: account`",
    ),
    Code.ASSOCIATION_NOT_OWNED: Description(
        "The association was not made here",
        "warning",
        "teardown: the association was not made here, and stays",
        "delete it with `eks_pod_identity_association`, or `force`",
        failure=FailureText(
            "the service account has an association that was not made here and would have to change",
            "`adopt`, or delete it first",
        ),
    ),
    Code.ROLE_STILL_USED: Description(
        "The role is still used",
        "warning",
        "teardown: another association or cluster uses the role",
        "remove those first",
    ),
    Code.ROLE_HOLDS_FOREIGN: Description(
        "The role holds something that is not known to be ours",
        "warning",
        "teardown, purge: the role has something that is not known to have been put there here",
        "detach or delete that",
    ),
    Code.ROLE_PERHAPS_USED: Description(
        "Other clusters may use the role",
        "warning",
        "teardown or purge: the trust policy is not tied to this cluster, so other clusters may use the role",
        "look at the associations of the other clusters; `force` in a teardown when none names it",
    ),
    Code.POLICY_STILL_USED: Description(
        "The policy is still used",
        "warning",
        "teardown: something else has the policy attached, or as its boundary",
        "detach it there",
    ),
    Code.POLICY_STAYS_ATTACHED: Description(
        "A policy stays attached",
        "info",
        "teardown, purge: a policy stays on a role that was not made here: the policy was not made here either, nothing shows "
        "that it was attached here, or others use the role",
        "detach it, if nothing else needs it",
    ),
    Code.TRUST_STATEMENT_FOREIGN: Description(
        "The trust policy lets in others",
        "info",
        "a role made here has trust statements for other principals, which stay; an error where they are "
        "principals of another account",
        "remove them, or give the whole `role.trust_policy`",
        also=("error",),
    ),
    Code.ROLE_RESTRICTED: Description(
        "Somebody restricted the role",
        "error",
        "a Deny that was not written here keeps the workload out of its role, or may do so (a warning), or concerns others "
        "(information); or a policy that only denies is attached and not listed (a warning). It stays, also with "
        "`purge_policies`, and with `role.trust_policy` unless with `force`",
        "find out who restricted the role and why; remove the statement, or detach the policy",
        also=("warning", "info"),
    ),
    Code.TRUST_KEPT_FOR_OTHERS: Description(
        "The trust policy keeps users outside the run",
        "warning",
        "the run asks for a narrower trust policy, and workloads outside the run use the role, or may use it in other "
        "clusters: they keep what lets them in",
        "the same `trust_scope` wherever the role is listed, or `force`",
    ),
    Code.TRUST_STATEMENT_STAYS: Description(
        "Our trust statement stays",
        "info",
        "teardown: our statement on an existing role lets in more than this cluster, or is the only one",
        "remove it, if nothing else needs it",
    ),
    Code.SERVICE_ACCOUNTS_WAIT: Description(
        "Service accounts wait",
        "warning",
        "service accounts are not applied because their workloads failed in AWS, or in a teardown not removed because "
        "their workloads are not gone there: they failed, or their association stays",
        "resolve the failures, or remove the associations; run again",
    ),
    Code.SERVICE_ACCOUNT_OTHER_OWNER: Description(
        "The service account belongs to another owner",
        "warning",
        "teardown: the service account has the label of another `owner`, and stays",
        "remove it as its owner, or `adopt`",
        failure=FailureText(
            "the service account belongs to another `owner`, and would have to change; nothing is changed for the workload",
            "have its owner list the workload, or `adopt`",
        ),
    ),
    Code.SERVICE_ACCOUNT_IN_USE: Description(
        "The service account is still in use",
        "warning",
        "teardown or purge: Pods or Pod templates use the service account, or another field manager owns fields of it; it stays, "
        "without the labels and annotations that were applied to it",
        "delete its users or give them another service account, have the other field manager give up its fields; run again",
    ),
    Code.SERVICE_ACCOUNTS_STAY: Description(
        "Service accounts stay",
        "error",
        "teardown: EKS has no such cluster, but the Kubernetes API has service accounts of its workloads, "
        "which stay",
        "correct name, account, region or kubeconfig; if the cluster is gone, `eks_pod_identity` with "
        "`state: absent`",
    ),
    Code.CLUSTER_MISSING: Description(
        "The cluster does not exist",
        "warning",
        "teardown: there is no such cluster in this account and region",
        "correct the name, or nothing if it is gone",
    ),
}


def _failure(title: str, cause: str, remedy: str, forced: bool = False) -> Description:
    """A code that only failures have, and with ``forced`` a warning where it is done nevertheless."""
    also: tuple[Severity, ...] = ("warning",) if forced else ()
    return Description(title, "error", cause, remedy, also=also, failure=FailureText(cause, remedy))


FAILURES: Descriptions = {
    Code.ACCOUNT_DIFFERS: _failure(
        "The credentials belong to another account",
        "the credentials belong to another account than `account_id`; EKS and IAM were not asked for anything",
        "credentials of that account, or the right `account_id`",
    ),
    Code.DEADLINE: _failure(
        "The deadline has passed",
        "the run reached its `deadline`; what had begun was brought to its end",
        "run again; raise `deadline`",
    ),
    Code.INTERRUPTED: _failure(
        "The run was interrupted",
        "a signal ended the run; what had begun was brought to its end",
        "run again",
    ),
    Code.NOT_AWS: _failure(
        "Something else answers in place of AWS",
        "an answer has no request ID, or is a web page: a proxy or a sign-in page gave it",
        "check proxy, network and `endpoint_url`, run again",
    ),
    Code.INTERNAL_ERROR: _failure(
        "An error of the collection",
        "the collection ran into an error of its own; `changes` lists what was made before",
        "report it with the output of `-vvv`, run again",
    ),
    Code.ROLE_NOT_OWNED: _failure(
        "The role was not made here",
        "a role of this name exists, was not made here, and would have to change",
        "`role.arn` to use it as it is, another name, or `adopt`",
    ),
    Code.DEFINITIONS_DIFFER: _failure(
        "Clusters define a shared role or policy apart",
        "two clusters of one account name the same role or policy, which IAM has once, and define it apart",
        "give both the same definition, or one of them another name",
    ),
    Code.ROLE_PATH_DIFFERS: _failure(
        "The role has another path",
        "the role exists with another path, which IAM cannot change",
        "give its path, or another name",
    ),
    Code.ROLE_NAME_DIFFERS: _failure(
        "The role is spelt in other letter case",
        "the role exists in other letter case",
        "spell it the same way, or give another name",
    ),
    Code.ASSOCIATION_NOT_REPLACEABLE: _failure(
        "The association cannot be created anew without a loss",
        "`session_policy: ''`: EKS removes a session policy only with the association, which has fields or tags that a new one "
        "cannot be given",
        "a session policy that allows everything; or delete the association, if that may be lost, and run again",
    ),
    Code.ROLE_USED_ELSEWHERE: _failure(
        "The role is used outside the run",
        "permissions boundary, session duration, the value of a tag or a whole trust policy would change for workloads that the "
        "run does not list; with `force` it does, and a warning names them",
        "ask for the same wherever the role is listed, a role of their own, or `force`",
        forced=True,
    ),
    Code.ROLE_POLICIES_OVER_QUOTA: _failure(
        "The role would have more policies than its quota",
        "what is to be attached and what others attached, which stays, are more policies than a role may have",
        "detach what is not needed, join policies, `purge_policies` for a role made here, or have the quota raised",
    ),
    Code.POLICY_NOT_OWNED: _failure(
        "The policy was not made here",
        "a policy of this name exists with another document and was not made here",
        "another name, its `arn`, or `adopt`",
    ),
    Code.POLICY_USED_ELSEWHERE: _failure(
        "The policy is used outside the run",
        "a policy made here would get another document, and roles, users or groups outside the run have it attached, or as "
        "their boundary; with `force` it does, and a warning names them",
        "another name, one run for all lists that use it, or `force`",
        forced=True,
    ),
    Code.TRUST_POLICY_TOO_LONG: _failure(
        "The trust policy is too long",
        "too many workloads for one trust policy",
        "a wider scope, more roles, or a higher quota ([trust-scopes.md](trust-scopes.md))",
    ),
    Code.TRUST_SCOPE_NEEDS_SESSION_TAGS: _failure(
        "The scope needs session tags",
        "the association has session tags off, and the scope needs them",
        "`disable_session_tags: false`, or `trust_scope: account`",
    ),
    Code.SESSION_POLICY_NEEDS_DISABLED_SESSION_TAGS: _failure(
        "A session policy needs session tags turned off",
        "session tags are to be turned on, but the association has a session policy",
        'remove it as well (`session_policy: ""`)',
    ),
    Code.KUBERNETES_REFUSED: _failure(
        "Kubernetes refused an object",
        "the API server refused to apply or remove an object, to restart an owner of Pods, or to list what a Job made; the "
        "message has its answer",
        "resolve that, and run again; for a 403 [iam-permissions.md](iam-permissions.md#kubernetes)",
    ),
    Code.SERVICE_ACCOUNT_NOT_KEPT: _failure(
        "A service account is not as it was left",
        "a read after the write shows a service account that is not there, not as applied, or not gone",
        "find out which other process manages it, and run again",
    ),
    Code.SKIPPED: _failure(
        "Something that it needs failed",
        "something that it needs failed; the message names it",
        "resolve that, and run again",
    ),
}
