# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""The modules of kubernetes.core, and the cluster as they read it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
    Query,
    Trial,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
    member,
    text_of,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import ApiServer
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.plugin_utils.installed_module import runs_here
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_access import (
    Access,
    no_token_message,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_results import (
    listing_of,
    trials_of,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.nested_action import (
    Result,
    run_action,
)

APPLY, LIST, INFO = (f"kubernetes.core.{name}" for name in ("k8s", "k8s_info", "k8s_cluster_info"))
# They have no timeouts: how long one may run, and how much longer for each manifest.
MODULE_SECONDS = 180.0
MANIFEST_SECONDS = 2.0
# For how many objects another module at the same time is worth its start, which takes half a second of CPU.
WORTH_A_START = 50


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
                seconds_for(part),
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
            return run_module(caller, name, {**access.arguments, **arguments}, variables, seconds, dry=dry)
    except AwsError as error:
        return {"failed": True, "msg": no_token_message(error)}


def run_module(
    caller: ActionBase,
    name: str,
    arguments: Mapping[str, Any],
    variables: Mapping[str, Any],
    seconds: float,
    *,
    dry: bool = False,
) -> Result:
    """Run an action of kubernetes.core with a folder for temporary files that no other user can write to. Its client takes
    the description of an API from a file of a known name there, whoever wrote it."""
    shell = caller._connection._shell
    if runs_here(caller):
        folder = constants.DEFAULT_LOCAL_TMP
    elif shell.tmpdir is None:
        folder = caller._make_tmp_path()
    else:
        folder = shell.tmpdir
    return run_action(caller, name, arguments, variables, seconds, dry=dry, environment={"TMPDIR": folder})


def seconds_for(manifests: Sequence[Object]) -> float:
    """How long a module may take for them."""
    return MODULE_SECONDS + MANIFEST_SECONDS * len(manifests)


def parts_of(manifests: Sequence[Object], longest: float, width: int = 1) -> list[Sequence[Object]]:
    """Parts of about the same size: as many manifests at once as are surely done in so many seconds, and where there are
    many, a part for each of ``width``, or several."""
    at_once = (
        max(1, int((longest - MODULE_SECONDS) // MANIFEST_SECONDS))
        if math.isfinite(longest)
        else len(manifests)
    )
    count = max(1, min(width, len(manifests) // WORTH_A_START))
    if len(manifests) > at_once * count:
        count = math.ceil(len(manifests) / (at_once * width)) * width
    size = math.ceil(len(manifests) / count)
    return [manifests[first : first + size] for first in range(0, len(manifests), size)] if manifests else []
