# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.


"""The cluster as an action plugin reaches it: kubernetes.core's modules write, its client or modules read."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.cluster import (
    Clock,
    Cluster,
    ClusterReader,
    Listing,
    Query,
    Trial,
    Written,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.deadline import (
    Deadline,
    TimedClock,
    TimedCluster,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.objects import (
    Object,
    member,
    text_of,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.patience import (
    PatientCluster,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.api_server import (
    ApiServer,
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
CONNECTION_SPEC = {"kubeconfig": {"type": "raw"}, "context": {"type": "str"}}
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

    def __init__(
        self, caller: ActionBase, connection: Mapping[str, Any], variables: Mapping[str, Any]
    ) -> None:
        self._caller, self._connection, self._variables = caller, connection, variables

    def list_objects(self, query: Query) -> Listing:
        arguments: dict[str, Any] = {
            **self._connection,
            "api_version": query.api_version,
            "kind": query.kind,
            "label_selectors": list(query.label_selectors),
            "field_selectors": list(query.field_selectors),
        }
        if query.namespace:
            arguments["namespace"] = query.namespace
        return listing_of(run_action(self._caller, LIST, arguments, self._variables, MODULE_SECONDS))

    def read_version(self) -> Object:
        result = run_action(self._caller, INFO, self._connection, self._variables, MODULE_SECONDS)
        return member(result, "version", "server", "kubernetes")

    def read_server(self) -> ApiServer:
        """The file of the certificate authority is on the host of the module, and gone with it."""
        result = run_action(self._caller, INFO, self._connection, self._variables, MODULE_SECONDS)
        connection = member(result, "connection")
        return ApiServer(
            text_of(connection.get("host")), checks_certificate=connection.get("verify_ssl") is True
        )

    def try_pods(self, manifests: Sequence[Object]) -> Sequence[Trial]:
        arguments = {
            **self._connection,
            "resource_definition": list(manifests),
            "continue_on_error": True,
        }
        seconds = MODULE_SECONDS + MANIFEST_SECONDS * len(manifests)
        result = run_action(self._caller, APPLY, arguments, self._variables, seconds, dry=True)
        return trials_of(result, len(manifests))


class TaskCluster:
    """``connection`` has the options of CONNECTION_SPEC that were given. With ``force`` fields of other field managers
    are taken over."""

    def __init__(
        self,
        caller: ActionBase,
        connection: Mapping[str, Any],
        variables: Mapping[str, Any],
        reader: ClusterReader,
        force: bool = False,
    ) -> None:
        self._caller, self._connection, self._variables = caller, connection, variables
        self._reader, self._force = reader, force

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
        arguments |= {
            **self._connection,
            "resource_definition": list(manifests),
            # What is refused is for the report to say; the others go on.
            "continue_on_error": True,
        }
        seconds = MODULE_SECONDS + MANIFEST_SECONDS * len(manifests)
        return written_of(run_action(self._caller, APPLY, arguments, self._variables, seconds))


def reader_for(
    caller: ActionBase, connection: Mapping[str, Any], variables: Mapping[str, Any]
) -> ClusterReader:
    """Reads where modules would run: in this process when that is this machine, and it has the client."""
    if not HAS_CLIENT or caller._connection.transport != "local" or caller._play_context.become:
        return ModuleReader(caller, connection, variables)
    options = with_defaults(caller, LIST, connection)
    options = {name: options[name] for name in _CLIENT_OPTIONS if options.get(name) is not None}
    if isinstance(options.get("kubeconfig"), str):
        options["kubeconfig"] = _decrypted(caller, options["kubeconfig"])
    return ClientReader(options, environment_of(caller))


def clock_of(deadline: Deadline | None) -> Clock:
    return TimedClock(SystemClock(), deadline) if deadline else SystemClock()


def connect(
    caller: ActionBase,
    options: Mapping[str, Any],
    variables: Mapping[str, Any],
    deadline: Deadline | None = None,
) -> PatientCluster:
    """``options`` are the task's; raises AnsibleError for a kubeconfig that cannot be found."""
    connection = {name: options[name] for name in CONNECTION_SPEC if options.get(name)}
    reader = reader_for(caller, connection, variables)
    cluster: Cluster = TaskCluster(
        caller, connection, variables, reader, bool(options.get("force_conflicts"))
    )
    if deadline:
        cluster = TimedCluster(cluster, deadline)
    return PatientCluster(cluster, clock_of(deadline))


def _decrypted(caller: ActionBase, kubeconfig: str) -> str:
    """As kubernetes.core finds it: beside the playbook or the role, and from a vault."""
    paths = [_find_file(caller, path) for path in kubeconfig.split(os.pathsep)]
    return os.pathsep.join(caller._loader.get_real_file(path, decrypt=True) for path in paths)


def _find_file(caller: ActionBase, path: str) -> str:
    try:
        found: str = caller._find_needle("files", path)
    except AnsibleError as error:
        # Before ansible-core 2.19 it does not name the file.
        raise AnsibleError(f"Could not find or access '{path}' on the Ansible Controller.") from error
    return found
