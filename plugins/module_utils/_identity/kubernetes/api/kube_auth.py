# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""How the Kubernetes API is reached: by what the user gave, or by a token for the EKS cluster. Pure.

What is given counts. ``~/.kube/config`` and a service account of the Pod that Ansible runs in are only found: they may
be of any cluster, and for a fleet they are of the wrong one. The token is for the cluster that is named, and no other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from ...model.errors import InputError

KubeAuth = Literal["auto", "eks", "kubeconfig"]
KUBE_AUTHS: tuple[KubeAuth, ...] = ("auto", "eks", "kubeconfig")
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
    runs_here: bool,
) -> bool:
    """Whether a token for the EKS cluster is used. Raises InputError where it is wanted and cannot be.

    ``options`` are those of kubernetes.core that have a value, as options of the role or by module_defaults;
    ``task_variables`` the environment of the task, and ``process_variables`` that of Ansible. ``runs_here`` says that
    modules run on this machine as this user.
    """
    given = [name for name in IDENTITY_OPTIONS if name in options]
    in_task = [name for name in IDENTITY_VARIABLES if task_variables.get(name)]
    if wanted == "auto":
        return runs_here and not (given or in_task or any(map(process_variables.get, IDENTITY_VARIABLES)))
    if wanted == "kubeconfig":
        return False
    if not runs_here:
        raise InputError(
            [
                "pod_identity_kube_auth: eks needs connection: local without become, as the token is made on the machine "
                "that runs Ansible, with its AWS credentials"
            ]
        )
    if given or in_task:
        also = " and ".join([*given, *in_task])
        raise InputError([f"pod_identity_kube_auth: eks and {also} are both given; leave one of them out"])
    return True
