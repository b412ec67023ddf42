# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.


"""The cluster as an action plugin reaches it: kubernetes.core's modules write, its client or modules read."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.assume_role import (
    ASSUME_ROLE_OPTIONS,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
    parse_api_error,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Clock,
    Cluster,
    ClusterReader,
    Listing,
    Query,
    Trial,
    Written,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.deadline import (
    Deadline,
    TimedClock,
    TimedCluster,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.kube_auth import (
    KubeAuth,
    uses_eks_token,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.patience import (
    PatientCluster,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
    member,
    text_of,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.api_server import (
    ApiServer,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.aws_errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.eks_target import (
    EksTarget,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.eks_access import (
    read_eks_target,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.aws_clients import (
    clients_of_task,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.forks import run_in_forks
from ansible_collections.workload_identity.aws.plugins.plugin_utils.installed_module import runs_here
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_access import (
    Access,
    EksAccess,
    GivenAccess,
    no_token_message,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_client import (
    HAS_CLIENT,
    ClientReader,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_results import (
    listing_of,
    trials_of,
    written_of,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.nested_action import (
    Result,
    environment_of,
    run_action,
    with_defaults,
)

APPLY, LIST, INFO = (f"kubernetes.core.{name}" for name in ("k8s", "k8s_info", "k8s_cluster_info"))
# What the role gives; what is left out is for kubernetes.core to find (K8S_AUTH_*, KUBECONFIG).
# The modules of kubernetes.core have no timeouts: how long one may run, and how much longer for each manifest.
MODULE_SECONDS = 180.0
# Who we are among those who write a service account: never another name, or it would be another owner.
FIELD_MANAGER = "workload-identity"
MANIFEST_SECONDS = 2.0
# How many of them write at once, as each asks for one object after the other; and for how many objects another one is worth
# its start, which takes half a second of CPU.
WIDTH = 3
FEWEST = 50
ENDED = f"{APPLY} ended without a result"
CONNECTION_SPEC = {"kubeconfig": {"type": "raw"}, "context": {"type": "str"}}
# What a token for the EKS cluster is made with.
AWS_SPEC: dict[str, dict[str, Any]] = {
    **{name: {"type": "str"} for name in ("region", "profile", "endpoint_url")},
    # As they were given: they are read together, and empty text is none.
    **{name: {"type": "raw"} for name in ASSUME_ROLE_OPTIONS},
}
# Of kubernetes.core's modules, for those who set them with module_defaults.
_CLIENT_OPTIONS = (
    *("kubeconfig", "context", "host", "api_key", "username", "password", "validate_certs", "verify_ssl"),
    *("ca_cert", "ssl_ca_cert", "client_cert", "cert_file", "client_key", "key_file", "proxy", "no_proxy"),
    *("proxy_headers", "persist_config", "impersonate_user", "impersonate_groups"),
)


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ModuleReader:
    """Reads by modules: where they run on another host, or the controller has no Kubernetes client."""

    def __init__(self, caller: ActionBase, access: Access, variables: Mapping[str, Any]) -> None:
        self._caller, self._access, self._variables = caller, access, variables

    def list_objects(self, query: Query) -> Listing:
        arguments: dict[str, Any] = {
            "api_version": query.api_version,
            "kind": query.kind,
            "label_selectors": list(query.label_selectors),
            "field_selectors": list(query.field_selectors),
        }
        if query.namespace:
            arguments["namespace"] = query.namespace
        return listing_of(self._run(LIST, arguments))

    def read_version(self) -> Object:
        result = self._run(INFO, {})
        return member(result, "version", "server", "kubernetes")

    def read_server(self) -> ApiServer:
        """The file of the certificate authority is on the host of the module, and gone with it."""
        result = self._run(INFO, {})
        connection = member(result, "connection")
        return ApiServer(
            text_of(connection.get("host")), checks_certificate=connection.get("verify_ssl") is True
        )

    def try_pods(self, manifests: Sequence[Object]) -> Sequence[Trial]:
        trials: list[Trial] = []
        for part in parts_of(manifests, self._access.longest):
            arguments = {"resource_definition": list(part), "continue_on_error": True}
            result = run_with(
                self._access,
                self._caller,
                APPLY,
                arguments,
                self._variables,
                _seconds_for(part),
                dry=True,
            )
            trials += trials_of(result, len(part))
        return trials

    def _run(self, name: str, arguments: Mapping[str, Any]) -> Result:
        return run_with(self._access, self._caller, name, arguments, self._variables, MODULE_SECONDS)


def run_with(
    access: Access,
    caller: ActionBase,
    name: str,
    arguments: Mapping[str, Any],
    variables: Mapping[str, Any],
    seconds: float,
    *,
    dry: bool = False,
) -> Result:
    """The result of an action of kubernetes.core that reaches the API by ``access``."""
    try:
        with access.lent(seconds):
            return run_action(caller, name, {**access.arguments, **arguments}, variables, seconds, dry=dry)
    except AwsError as error:
        return {"failed": True, "msg": no_token_message(error)}


def parts_of(manifests: Sequence[Object], longest: float, width: int = 1) -> list[Sequence[Object]]:
    """As many manifests at once as are surely done in so many seconds; where there are many, a part for each of
    ``width``."""
    size = max(FEWEST, math.ceil(len(manifests) / width))
    if MODULE_SECONDS + MANIFEST_SECONDS * size > longest:
        size = int((longest - MODULE_SECONDS) // MANIFEST_SECONDS)
    return [manifests[first : first + size] for first in range(0, len(manifests), size)]


class TaskCluster:
    """With ``force`` fields of other field managers are taken over. ``width`` is how many modules may write at once."""

    def __init__(
        self,
        caller: ActionBase,
        access: Access,
        variables: Mapping[str, Any],
        reader: ClusterReader,
        force: bool = False,
        width: int = 1,
    ) -> None:
        self._caller, self._access, self._variables = caller, access, variables
        self._reader, self._force, self._width = reader, force, width

    def list_objects(self, query: Query) -> Listing:
        return self._reader.list_objects(query)

    def read_version(self) -> Object:
        return self._reader.read_version()

    def read_server(self) -> ApiServer:
        return self._reader.read_server()

    def try_pods(self, manifests: Sequence[Object]) -> Sequence[Trial]:
        return self._reader.try_pods(manifests)

    def apply(self, manifests: Sequence[Object]) -> Written:
        """Service accounts, which others write as well, by server-side apply; it needs the permission to patch."""
        shared = [index for index, item in enumerate(manifests) if item["kind"] == "ServiceAccount"]
        others = [index for index in range(len(manifests)) if index not in set(shared)]
        written = Written()
        # Namespaces first, as service accounts go into them.
        for places, arguments in ((others, {}), (shared, self._server_side())):
            if places and written.error is None:
                done = self._write([manifests[index] for index in places], state="present", **arguments)
                refused = {places[index]: reason for index, reason in done.refused.items()}
                written = Written(
                    written.changed or done.changed,
                    dict(sorted({**written.refused, **refused}.items())),
                    done.error,
                    [*written.diffs, *done.diffs],
                )
        return written

    def _server_side(self) -> dict[str, Any]:
        return {
            "apply": True,
            "server_side_apply": {"field_manager": FIELD_MANAGER, "force_conflicts": self._force},
        }

    def patch(self, manifests: Sequence[Object]) -> Written:
        return self._write(manifests, state="patched")

    def remove(self, manifests: Sequence[Object]) -> Written:
        return self._write(manifests, state="absent", delete_options={"propagationPolicy": "Background"})

    def _write(self, manifests: Sequence[Object], **arguments: Any) -> Written:
        parts = parts_of(manifests, self._access.longest, self._width)
        written = Written()
        first = 0
        for part, done in zip(parts, self._write_parts(parts, arguments), strict=False):
            written = Written(
                written.changed or done.changed,
                {**written.refused, **{first + index: reason for index, reason in done.refused.items()}},
                written.error or done.error,
                [*written.diffs, *done.diffs],
            )
            first += len(part)
        return written

    def _write_parts(
        self, parts: Sequence[Sequence[Object]], arguments: Mapping[str, Any]
    ) -> Iterator[Written]:
        """What became of each part; after one whose end is not known, of those that had begun."""
        if len(parts) > 1 and self._width > 1:
            works = self._works(parts, arguments)
            done = run_in_forks(self._caller, works, self._width, _is_open)
            for _place, written in sorted(done.items()):
                yield written or Written(error=ApiError(0, ENDED))
            return
        for part in parts:
            written = self._write_part(part, arguments)
            yield written
            if written.error is not None:
                return

    def _works(
        self, parts: Sequence[Sequence[Object]], arguments: Mapping[str, Any]
    ) -> Iterator[Callable[[], Written]]:
        """Each part, with a token that is good for it: the process that writes it is not to talk to AWS by connections of
        this one."""
        for part in parts:
            try:
                self._access.token(_seconds_for(part))
            except AwsError as error:
                yield partial(Written, error=parse_api_error(no_token_message(error)))
            else:
                yield partial(self._write_part, part, arguments)

    def _write_part(self, manifests: Sequence[Object], arguments: Mapping[str, Any]) -> Written:
        whole = {
            **arguments,
            "resource_definition": list(manifests),
            # What is refused is for the report to say; the others go on.
            "continue_on_error": True,
        }
        seconds = _seconds_for(manifests)
        result = run_with(self._access, self._caller, APPLY, whole, self._variables, seconds)
        return written_of(result, manifests)


def _is_open(written: Written | None) -> bool:
    """Whether it is not known how far it got."""
    return written is None or written.error is not None


def _seconds_for(manifests: Sequence[Object]) -> float:
    """How long a module may take for them."""
    return MODULE_SECONDS + MANIFEST_SECONDS * len(manifests)


def reader_for(caller: ActionBase, access: Access, variables: Mapping[str, Any]) -> ClusterReader:
    """Reads where modules would run: in this process when that is this machine, and it has the client."""
    if not HAS_CLIENT or not runs_here(caller):
        return ModuleReader(caller, access, variables)
    options = with_defaults(caller, LIST, access.arguments)
    options = {name: options[name] for name in _CLIENT_OPTIONS if options.get(name) is not None}
    if isinstance(options.get("kubeconfig"), str):
        options["kubeconfig"] = _decrypted(caller, options["kubeconfig"])
    return ClientReader(options, environment_of(caller), access)


def clock_of(deadline: Deadline | None) -> Clock:
    return TimedClock(SystemClock(), deadline) if deadline else SystemClock()


def find_access(caller: ActionBase, wanted: KubeAuth, cluster: str, options: Mapping[str, Any]) -> Access:
    """By a token for the EKS cluster where one is to be used, else by the task's ``options``.

    Raises InputError, AnsibleError, and AwsError where EKS does not tell where the API of the cluster is.
    """
    given = with_defaults(caller, LIST, _connection(options))
    names = [name for name, value in given.items() if value]
    if not uses_eks_token(wanted, names, environment_of(caller), os.environ, runs_here(caller)):
        return GivenAccess(_connection(options))
    clients = clients_of_task(caller, _of_aws(options))
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
    variables: Mapping[str, Any],
    force: bool = False,
    deadline: Deadline | None = None,
) -> PatientCluster:
    """Raises AnsibleError for a kubeconfig that cannot be found."""
    width = _width(variables) if runs_here(caller) else 1
    reader = reader_for(caller, access, variables)
    cluster: Cluster = TaskCluster(caller, access, variables, reader, force, width)
    if deadline:
        cluster = TimedCluster(cluster, deadline)
    return PatientCluster(cluster, clock_of(deadline))


def _width(variables: Mapping[str, Any]) -> int:
    """Hosts that are worked on at once share them: each is memory."""
    return max(1, WIDTH // max(1, len(variables.get("ansible_play_batch") or ())))


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
