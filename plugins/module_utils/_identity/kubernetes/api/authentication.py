# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Choose how to authenticate to the Kubernetes API (kubeconfig or EKS token), and explain the response 401. Pure.

By default a kubeconfig is used only if an option or variable names it. ``~/.kube/config`` and the service account of the Pod
that runs Ansible do not count, because they may belong to another cluster. An EKS token is valid for one cluster only.

The response 401 does not contain a reason. Data about the caller in AWS prove some causes and exclude others. If no cause is
proven, the message lists the possible causes, the most likely first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Literal

from ...model.cluster import CallerAccess, Cluster
from ...model.errors import InputError

KubeAuth = Literal["auto", "eks", "kubeconfig"]
# Options of kubernetes.core's modules for the endpoint and the user, with their aliases.
IDENTITY_OPTIONS = (
    *("kubeconfig", "context", "host", "api_key", "username", "password"),
    *("client_cert", "cert_file", "client_key", "key_file"),
)
IDENTITY_VARIABLES = ("KUBECONFIG", *(f"K8S_AUTH_{name.upper()}" for name in IDENTITY_OPTIONS))


def uses_eks_token(
    kube_auth: KubeAuth,
    options: Collection[str],
    task_variables: Mapping[str, str],
    process_variables: Mapping[str, str],
) -> bool:
    """Return True to authenticate with an EKS token, or False to leave authentication to the options of kubernetes.core.

    :arg kube_auth: the option; with "auto" a token is used if none of IDENTITY_OPTIONS and IDENTITY_VARIABLES is set.
    :arg options: the names of the kubernetes.core options that have a value, in the role or in module_defaults.
    :arg task_variables: the environment variables of the task.
    :arg process_variables: the environment variables of the Ansible process.
    :raises InputError: if ``kube_auth`` is "eks", and one of these options is set, or one of these variables in the task.
    """
    explicit = [name for name in IDENTITY_OPTIONS if name in options]
    explicit += [name for name in IDENTITY_VARIABLES if task_variables.get(name)]
    if kube_auth == "eks" and explicit:
        raise InputError(
            [
                f"pod_identity_kube_auth: eks cannot be combined with {' and '.join(explicit)}; leave out one or the other"
            ]
        )
    if kube_auth == "auto":
        return not (explicit or any(map(process_variables.get, IDENTITY_VARIABLES)))
    return kube_auth == "eks"


# The Kubernetes group in the manifests of docs/iam-permissions.md.
GROUP = "pod-identity-operators"


def unauthorized_message(target: Cluster, access: CallerAccess | None) -> str:
    """Return the message for a 401 with its causes and remedies, in several lines.

    :arg access: the caller and its access entry as AWS returned them, or None if sts:GetCallerIdentity failed.
    """
    place = f"cluster {target.name} (account {target.account_id}, region {target.region})"
    if access is None:
        return (
            f"The Kubernetes API of {place} returned 401: Unauthorized, and sts:GetCallerIdentity failed with the same "
            "AWS credentials.\nRenew the credentials, or check the profile in use and the clock of this machine. Nothing was "
            "changed."
        )
    head = (
        f"The Kubernetes API of {place} returned 401: Unauthorized. The token belongs to {access.caller_arn}."
    )
    return "\n".join([head, *_find_reasons(target, access), "Nothing was changed."])


def _find_reasons(target: Cluster, access: CallerAccess) -> Iterator[str]:
    mode, ahead = target.authentication_mode, access.clock_ahead
    principal = access.principal or _without_session(access.caller_arn)
    if access.sts_host:
        yield (
            f"The token names the STS endpoint {access.sts_host}; EKS accepts the endpoints of AWS only. Unset "
            "AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_STS, unless this is a test cluster."
        )
    # EKS rejects a token if its time is more than 5 minutes in the future, or more than 15 minutes in the past.
    elif ahead is not None and not -900 < ahead < 300:
        yield (
            f"The clock of this machine is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the clock of AWS, so the "
            "token has a wrong date. Correct the clock, then run again."
        )
        return
    if mode == "CONFIG_MAP":
        yield (
            "The authentication mode of the cluster is CONFIG_MAP: access entries are not used, and the ConfigMap "
            f"kube-system/aws-auth does not map {principal.partition('/')[0]}/{principal.rpartition('/')[2]}."
        )
        yield (
            "Have someone with access to the cluster add this ARN to mapRoles or mapUsers in that ConfigMap, with the group "
            f"{GROUP}. Or enable access entries, then create one:"
        )
        yield (
            f"aws eks update-cluster-config --name {target.name} --region {target.region} --access-config "
            "authenticationMode=API_AND_CONFIG_MAP"
        )
    elif access.has_entry:
        yield (
            f"The cluster has an access entry for {principal}. It may be younger than a minute and not in "
            "effect yet: run again. Or the principal was deleted and recreated after the access entry was "
            "created: then delete the access entry and create it again."
        )
        return
    elif access.has_entry is False:
        other = (
            "" if mode == "API" else ", and the ConfigMap kube-system/aws-auth has no correct entry for it"
        )
        yield f"The cluster has no access entry for {principal}{other}. Create an access entry:"
    else:
        yield from (
            f"It is unknown whether the cluster has an access entry for the principal ({access.unknown}). Possible causes, the "
            "likeliest first:",
            "- there is no access entry for the principal, and the ConfigMap kube-system/aws-auth does not map it;",
            "- the access entry is younger than a minute, or older than the principal, which was recreated with the same name;",
            "- the role has a path: the ARN in an access entry must include it, the ARN in aws-auth must not.",
            "If there is no access entry, create one:",
        )
    yield (
        f"aws eks create-access-entry --cluster-name {target.name} --region {target.region} --principal-arn {principal} "
        f"--kubernetes-groups {GROUP}"
    )
    yield f"docs/iam-permissions.md has the manifests that grant the group {GROUP} the necessary permissions."


def _without_session(caller_arn: str) -> str:
    """Return the ARN of the role of a session, but without the path of the role; any other ARN unchanged."""
    parts = caller_arn.split(":")
    if ":assumed-role/" not in caller_arn:
        return caller_arn
    return f"arn:{parts[1]}:iam::{parts[4]}:role/{caller_arn.split('/')[1]}"
