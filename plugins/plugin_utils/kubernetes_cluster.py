# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.


"""The connection of an action plugin to a cluster, by the options and module_defaults of its task."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.accounts import (
    ASSUME_ROLE_OPTIONS,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.authentication import (
    KubeAuth,
    uses_eks_token,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Clock,
    Deadline,
    KubernetesCluster,
    PatientCluster,
    TimedClock,
    TimedCluster,
    Written,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import EksTarget
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import (
    read_caller,
    read_eks_target,
    require_account,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.aws_clients import (
    clients_of_task,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.bounds import alarm
from ansible_collections.workload_identity.aws.plugins.plugin_utils.installed_module import runs_here
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes import (
    MISSING,
    ClientCluster,
    Connection,
    WriteOptions,
    read_client_options,
    read_write_options,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_access import (
    Access,
    EksAccess,
    GivenAccess,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.nested_action import (
    environment_of,
    with_defaults,
)

# For what an interrupted run removes again.
ENDING_SECONDS = 30.0
APPLY, LIST = "kubernetes.core.k8s", "kubernetes.core.k8s_info"
# What the role gives; what is left out is for kubernetes.core to find (K8S_AUTH_*, KUBECONFIG).
CONNECTION_SPEC = {"kubeconfig": {"type": "raw"}, "context": {"type": "str"}}
# What a token for the EKS cluster is made with.
AWS_SPEC: dict[str, dict[str, Any]] = {
    **{name: {"type": "str"} for name in ("region", "profile", "endpoint_url")},
    # As they were given: they are read together, and empty text is none.
    **{name: {"type": "raw"} for name in ASSUME_ROLE_OPTIONS},
}
ELSEWHERE = (
    "this play has {how}, and the Kubernetes API is asked from the machine and by the user that run Ansible: set connection: "
    "local and become: false for the play, or ansible_connection: local and ansible_become: false for the host"
)


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class BoundedEnding:
    """Removes what an interrupted run has created, in ``ENDING_SECONDS`` at most. ``write`` takes lines for the user."""

    def __init__(self, cluster: KubernetesCluster, write: Callable[[str], None]) -> None:
        self._cluster, self._write = cluster, write

    def remove(self, manifests: Sequence[Object]) -> Written:
        try:
            with alarm(ENDING_SECONDS):
                return self._cluster.remove(manifests)
        except TimeoutError as error:
            return Written(error=ApiError(0, str(error)))

    def tell(self, text: str) -> None:
        self._write(visible(text))


def clock_of(deadline: Deadline | None) -> Clock:
    return TimedClock(SystemClock(), deadline) if deadline else SystemClock()


def find_access(
    caller: ActionBase, wanted: KubeAuth, cluster: str, options: Mapping[str, Any], account_id: str = ""
) -> Access:
    """By a token for the EKS cluster where one is to be used, else by the task's ``options``.

    The token is made with credentials of ``account_id``, where one is given. Raises InputError, AnsibleError, and AwsError
    where EKS does not tell where the API of the cluster is.
    """
    _require_local(caller)
    given = with_defaults(caller, LIST, _connection(options))
    names = [name for name, value in given.items() if value]
    if not uses_eks_token(wanted, names, environment_of(caller), os.environ):
        return GivenAccess(_connection(options))
    clients = clients_of_task(caller, _of_aws(options))
    if account_id:
        require_account(read_caller(clients.api), account_id, cluster, clients.region)
    return EksAccess(read_eks_target(clients.api, cluster, clients.region), clients)


def access_for(caller: ActionBase, target: EksTarget | None, options: Mapping[str, Any]) -> Access:
    """By a token for a target that was found before, or where there is none by the task's options.

    Raises InputError and AnsibleError.
    """
    if target is None:
        return GivenAccess(_connection(options))
    return EksAccess(target, clients_of_task(caller, _of_aws(options)))


def connect(
    caller: ActionBase,
    access: Access,
    _variables: Mapping[str, Any],
    force: bool = False,
    deadline: Deadline | None = None,
) -> PatientCluster:
    """Raises AnsibleError for a kubeconfig or a package that cannot be found, and InputError."""
    if MISSING:
        raise AnsibleError(MISSING)
    _require_local(caller)
    reads = _client_options(caller, LIST, access)
    writes = _client_options(caller, APPLY, access)
    reading = Connection(reads, access)
    defaults = read_write_options(with_defaults(caller, APPLY, access.arguments))
    options = WriteOptions(defaults, force, bool(caller._task.check_mode), bool(caller._task.diff))
    writing = reading if writes == reads else Connection(writes, access)
    cluster: KubernetesCluster = ClientCluster(reading, writing, options)
    if deadline:
        cluster = TimedCluster(cluster, deadline)
    return PatientCluster(cluster, clock_of(deadline))


def _require_local(caller: ActionBase) -> None:
    """Raise InputError where modules would run on another machine, or as another user."""
    if runs_here(caller):
        return
    transport = str(caller._connection.transport)
    how = "become: true" if transport == "local" else f"connection: {transport}"
    raise InputError([ELSEWHERE.format(how=how)])


def _client_options(caller: ActionBase, module: str, access: Access) -> dict[str, Any]:
    options = read_client_options(with_defaults(caller, module, access.arguments))
    if isinstance(options.get("kubeconfig"), str):
        options["kubeconfig"] = _decrypted(caller, options["kubeconfig"])
    return options


def _connection(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in CONNECTION_SPEC if options.get(name)}


def _of_aws(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in AWS_SPEC if options.get(name) not in (None, "")}


def _decrypted(caller: ActionBase, kubeconfig: str) -> str:
    """As kubernetes.core finds it: beside the playbook or the role, and from a vault."""
    paths = [_find_file(caller, path) for path in kubeconfig.split(os.pathsep)]
    return os.pathsep.join(caller._loader.get_real_file(path, decrypt=True) for path in paths)


def _find_file(caller: ActionBase, path: str) -> str:
    try:
        needle: str = caller._find_needle("files", path)
    except AnsibleError as error:
        # Before ansible-core 2.19 it does not name the file.
        raise AnsibleError(f"Could not find or access '{path}' on the Ansible Controller.") from error
    return needle
