# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Authentication at the Kubernetes API: by kubeconfig or EKS token, and the causes of a 401. Pure.

Explicit options win. ``~/.kube/config`` and the service account of the Pod that runs Ansible are implicit: they may
belong to any cluster, and in a fleet belong to the wrong one. A token is valid for the named cluster only.

The API gives no reason for a 401. The caller's data in AWS prove some reasons and rule out others; the rest are listed
by likelihood.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from ...model.cluster import CallerAccess, EksTarget
from ...model.errors import InputError

KubeAuth = Literal["auto", "eks", "kubeconfig"]
# Of kubernetes.core's modules, by both of their names: those that say where the API is, or who asks.
IDENTITY_OPTIONS = (
    *("kubeconfig", "context", "host", "api_key", "username", "password"),
    *("client_cert", "cert_file", "client_key", "key_file"),
)
IDENTITY_VARIABLES = ("KUBECONFIG", *(f"K8S_AUTH_{name.upper()}" for name in IDENTITY_OPTIONS))


def uses_eks_token(
    wanted: KubeAuth,
    options: Collection[str],
    task_variables: Mapping[str, str],
    process_variables: Mapping[str, str],
) -> bool:
    """Whether a token for the EKS cluster is used. Raises InputError where it is wanted and cannot be.

    ``options`` are those of kubernetes.core that have a value, as options of the role or by module_defaults;
    ``task_variables`` the environment of the task, and ``process_variables`` that of Ansible.
    """
    given = [name for name in IDENTITY_OPTIONS if name in options]
    in_task = [name for name in IDENTITY_VARIABLES if task_variables.get(name)]
    if wanted == "auto":
        return not (given or in_task or any(map(process_variables.get, IDENTITY_VARIABLES)))
    if wanted == "kubeconfig":
        return False
    if given or in_task:
        also = " and ".join([*given, *in_task])
        raise InputError([f"pod_identity_kube_auth: eks and {also} are both given; leave one of them out"])
    return True


# EKS refuses a token that is dated further ahead than this, or older than 15 minutes.
SKEW_SECONDS = 300.0
GROUP = "pod-identity-operators"


def refusal_message(target: EksTarget, access: CallerAccess | None) -> str:
    """All of the message, with its remedy, for a 401. ``access`` is None when AWS does not know the caller either."""
    place = f"cluster {target.name} (account {target.account_id}, region {target.region})"
    if access is None:
        return (
            f"The Kubernetes API of {place} answered 401: Unauthorized. STS does not accept the AWS credentials either "
            "(sts:GetCallerIdentity).\nRenew them, or check which profile is in use. Nothing was changed."
        )
    head = (
        f"The Kubernetes API of {place} answered 401: Unauthorized. The token is that of {access.caller_arn}."
    )
    return "\n".join([head, *_reason(target, access), "Nothing was changed."])


def _reason(target: EksTarget, access: CallerAccess) -> list[str]:
    if access.sts_host:
        yours = (
            f"The token names the STS endpoint {access.sts_host}; EKS accepts the endpoints of AWS only. Unset "
            "AWS_ENDPOINT_URL_STS or pod_identity_endpoint_url, unless the cluster is a test's."
        )
        return [yours, *_entry_reason(target, access)]
    if access.clock_ahead is not None and abs(access.clock_ahead) >= SKEW_SECONDS:
        side = "ahead of" if access.clock_ahead > 0 else "behind"
        return [
            f"The clock of this machine is {abs(access.clock_ahead):.0f} s {side} that of AWS, so the token is dated "
            "wrongly. Correct the clock, then run again."
        ]
    return _entry_reason(target, access)


def _entry_reason(target: EksTarget, access: CallerAccess) -> list[str]:
    mode = target.authentication_mode
    principal = access.principal or _without_session(access.caller_arn)
    if mode == "CONFIG_MAP":
        return [
            "The authentication mode of the cluster is CONFIG_MAP: access entries do not count, and the ConfigMap "
            f"kube-system/aws-auth does not map {_without_path(principal)}.",
            "Have someone who has access add it there (mapRoles or mapUsers, the ARN of a role without its path), or "
            "let access entries count:",
            f"aws eks update-cluster-config --name {target.name} --region {target.region} --access-config "
            "authenticationMode=API_AND_CONFIG_MAP",
        ]
    if access.has_entry is False:
        other = (
            ""
            if mode == "API"
            else ", and the ConfigMap kube-system/aws-auth does not map it either, or not rightly"
        )
        return [
            f"The cluster has no access entry for {principal}{other}. Make one:",
            *_commands(target, principal),
        ]
    if access.has_entry:
        return [
            f"The cluster has an access entry for {principal}. It may be younger than a minute: run again. Or the "
            "principal was deleted and made again since: then delete the access entry and make it again.",
        ]
    return [
        f"Whether the cluster has an access entry for it could not be read ({access.unknown}). Possible causes, the "
        "likeliest first:",
        "- it has none, and the ConfigMap kube-system/aws-auth does not map it;",
        "- the access entry is younger than a minute, or older than the role, which was made again under its name;",
        "- the role has a path, which an access entry needs and aws-auth must not have;",
        "Make an access entry:",
        *_commands(target, principal),
    ]


def _commands(target: EksTarget, principal: str) -> list[str]:
    """The group is that of the manifests in docs/iam-permissions.md."""
    return [
        f"aws eks create-access-entry --cluster-name {target.name} --region {target.region} --principal-arn {principal} "
        f"--kubernetes-groups {GROUP}",
        f"The manifests that allow the group {GROUP} what is needed are in docs/iam-permissions.md.",
    ]


def _without_session(caller_arn: str) -> str:
    """The role of a session, whose path is not known."""
    if ":assumed-role/" not in caller_arn:
        return caller_arn
    partition, account = caller_arn.split(":")[1], caller_arn.split(":")[4]
    return f"arn:{partition}:iam::{account}:role/{caller_arn.split('/')[1]}"


def _without_path(arn: str) -> str:
    head, _slash, rest = arn.partition("/")
    return f"{head}/{rest.rpartition('/')[2]}" if rest else arn
