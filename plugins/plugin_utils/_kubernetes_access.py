# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Choose how to access the Kubernetes API: with options of the user, or with the endpoint of an EKS cluster and signed tokens."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ansible import constants

from ..module_utils._aws.eks_token import (
    EksToken,
    TokenSource,
    regional_client,
)
from ..module_utils._findings.text import with_option_names
from ..module_utils._identity.inputs.accounts import (
    ASSUME_ROLE_OPTIONS,
)
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.kubernetes.api.authentication import (
    KubeAuth,
    uses_eks_token,
)
from ..module_utils._identity.model.cluster import (
    CallerAccess,
    Cluster,
)
from ..module_utils._identity.model.errors import (
    AwsError,
    InputError,
    sentence,
)
from ..module_utils._identity.read.cluster import (
    read_caller,
    read_caller_access,
    read_eks_target,
    require_account,
)
from ._aws_clients import (
    AwsClients,
    clients_of_task,
)
from ._files import write_private
from ._task import ActionTask

# The module_defaults for this module of kubernetes.core also apply to the connection of the role.
LIST = "kubernetes.core.k8s_info"
# The connection options of the role. kubernetes.core reads other options from environment variables (K8S_AUTH_*, KUBECONFIG).
CONNECTION_SPEC = {"kubeconfig": {"type": "raw"}, "context": {"type": "str"}}
# The AWS options for signing a token for the EKS cluster.
AWS_SPEC: dict[str, dict[str, Any]] = {
    **{name: {"type": "str"} for name in ("region", "profile")},
    # These options have no type here, because read_assume_role validates them together and ignores empty text.
    **{name: {"type": "raw"} for name in ASSUME_ROLE_OPTIONS},
}
ELSEWHERE = (
    "this play has {how}, but requests to Kubernetes run on the controller, as the user who runs Ansible: set "
    "connection: local and become: false for the play, or ansible_connection: local and ansible_become: false for the host"
)


class Access(Protocol):
    """A way to access the Kubernetes API: connection options of kubernetes.core, and a source of tokens."""

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Return the connection options of kubernetes.core modules, without the token."""

    def token(self, seconds: float, /) -> str | None:
        """Return a bearer token, or None if kubernetes.core authenticates with the options or the environment.

        :arg seconds: the time for which the token must be valid. It is shorter if the AWS credentials expire earlier.
        :raises AwsError: when no token can be signed.
        """


class GivenAccess:
    """Access with the connection options of the user. kubernetes.core adds options from environment variables."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.arguments = arguments

    def token(self, _seconds: float, /) -> str | None:
        return None


class EksAccess:
    """Access with the endpoint and the certificate authority of an EKS cluster, and with tokens signed for the cluster."""

    def __init__(self, target: Cluster, clients: AwsClients) -> None:
        self.target, self._clients = target, clients
        self._source = TokenSource(self._sign, _now)
        self.arguments: Mapping[str, Any] = {
            "host": target.endpoint,
            "ca_cert": write_authority(target),
            "validate_certs": True,
        }

    def token(self, seconds: float, /) -> str | None:
        return self._source.token(seconds).text

    def caller_access(self) -> CallerAccess | None:
        """Return facts about the caller and its EKS access entry that explain a response with status 401.

        Return None if sts:GetCallerIdentity fails.
        """
        url = regional_client(self._clients.client).meta.endpoint_url
        return read_caller_access(self._clients.api, self.target, str(url), _now())

    def _sign(self) -> EksToken:
        [token] = self._clients.sign_tokens([self.target.name], _now())
        return token


def find_access(
    task: ActionTask, kube_auth: KubeAuth, cluster: str, options: Mapping[str, Any], account_id: str = ""
) -> Access:
    """Choose how to access the Kubernetes API of an EKS cluster.

    If the options or the environment specify a kubeconfig or another connection, use that connection. Otherwise use the
    endpoint of the EKS cluster and sign tokens.

    :arg kube_auth: the variable ``pod_identity_kube_auth``, with which the user can require either of these two ways.
    :arg cluster: the name of the EKS cluster.
    :arg options: the connection options of the role, for AWS and Kubernetes.
    :arg account_id: the AWS account that the credentials must belong to, or "" for any account.
    :raises InputError: when the task would run on another machine or as another user, options contradict each other, or the
        role to assume is invalid.
    :raises AwsError: when AWS does not return the caller or the endpoint, or the credentials belong to another account.
    :raises AnsibleError: when an AWS option is invalid or boto3 is missing.
    """
    require_local(task)
    arguments = task.with_defaults(LIST, _connection(options))
    names = [name for name, value in arguments.items() if value]
    if not uses_eks_token(kube_auth, names, task.environment, os.environ):
        return GivenAccess(_connection(options))
    clients = clients_of_task(task, _aws_options(options))
    if account_id:
        require_account(read_caller(clients.api), account_id, cluster, clients.region)
    return EksAccess(read_eks_target(clients.api, cluster, clients.region), clients)


def access_for(task: ActionTask, target: Cluster | None, options: Mapping[str, Any]) -> Access:
    """Restore the access to the Kubernetes API that an earlier step of the play has chosen.

    :arg target: the EKS cluster to sign tokens for, or None to use the connection options of the user.
    :raises InputError: when the role to assume is invalid, or the options have both a profile and access keys.
    :raises AnsibleError: when an AWS option is invalid or boto3 is missing.
    """
    if target is None:
        return GivenAccess(_connection(options))
    return EksAccess(target, clients_of_task(task, _aws_options(options)))


def require_local(task: ActionTask) -> None:
    """Check that the task runs on the controller and as the current user.

    :raises InputError: when the connection or ``become`` of the task would run modules on another machine or as another
        user.
    """
    if task.runs_here:
        return
    transport = str(task.connection.transport)
    how = "become: true" if transport == "local" else f"connection: {transport}"
    raise InputError([ELSEWHERE.format(how=how)])


def _connection(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in CONNECTION_SPEC if options.get(name)}


def _aws_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in AWS_SPEC if options.get(name) not in (None, "")}


def no_token_message(error: AwsError) -> str:
    message = f"no token for the cluster: {sentence(str(error))} {error.remedy}"
    return str(with_option_names(message, ROLE))


def write_authority(target: Cluster) -> str:
    """Write the certificate authority of a cluster to a file, and return its path.

    Ansible deletes the file when Ansible exits.
    """
    pem = base64.b64decode(target.certificate_authority_data)
    name = f"eks-authority-{hashlib.sha256(pem).hexdigest()[:16]}.crt"
    path = Path(constants.DEFAULT_LOCAL_TMP) / name
    if not path.exists():
        write_private(str(path), pem.decode(errors="replace"))
    return str(path)


_now = partial(datetime.now, timezone.utc)
