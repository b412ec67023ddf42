# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""The input of the modules for many workloads, parsed on the controller."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

from ansible import constants
from ansible.plugins.action.normal import ActionModule as Normal
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible_values
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.parsed_input import (
    ParsedFile,
    write_parsed,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    read_input,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    ParsedInput,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
    input_message,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.files import locate_files
from ansible_collections.workload_identity.aws.plugins.plugin_utils.processes import interruptible
from ansible_collections.workload_identity.aws.plugins.plugin_utils.task import (
    runs_here,
)

PARSED = "parsed_input"
WORKLOADS = ("workloads", "workloads_from")
ALIASES = {"cluster": "cluster_name", "resource_tags": "tags"}


def keep(parsed: ParsedInput) -> ParsedFile:
    """A file that lives as long as this run of Ansible, on the controller."""
    return write_parsed(parsed, constants.DEFAULT_LOCAL_TMP)


def parse_arguments(
    arguments: Mapping[str, Any], variables: Mapping[str, Any] | None, workloads_required: bool
) -> dict[str, Any]:
    """A module's arguments with a file of parsed input in the place of the workloads, or InputError.

    The arguments are left as they are where they have such a file already, and where workloads are neither
    given nor required.
    """
    has_workloads = any(arguments.get(name) is not None for name in WORKLOADS)
    if arguments.get(PARSED) is not None or not (has_workloads or workloads_required):
        return dict(arguments)
    options = {ALIASES.get(name, name): value for name, value in arguments.items()}
    file = keep(read_input(options, partial(locate_files, variables=variables)))
    rest = {name: value for name, value in arguments.items() if name not in WORKLOADS}
    return {**rest, PARSED: {"path": file.path, "sha256": file.sha256}}


class LongModule(Normal):  # type: ignore[misc]  # Ansible has no type information
    """Runs the module of the same name on input that is parsed here."""

    workloads_required = True

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        arguments = dict(self._task.args)
        try:
            self._task.args = self._with_readable_input(self._parse(arguments, task_vars))
        except InputError as error:
            return {"changed": False, "failed": True, "msg": input_message(error)}
        try:
            # Where this ends, nobody waits for the module any more, and it ends as well.
            with interruptible():
                result: dict[str, Any] = super().run(tmp, task_vars)
        finally:
            # The copy ends with the module; a retry of the task makes a new one.
            self._task.args = arguments
        # A module that ended in order has a printable result, which may be long.
        return cast("dict[str, Any]", visible_values(result)) if "module_stderr" in result else result

    def _parse(self, arguments: dict[str, Any], variables: dict[str, Any] | None) -> dict[str, Any]:
        """Return the arguments with parsed input in the place of workloads. Raises InputError."""
        return parse_arguments(arguments, variables, self.workloads_required)

    def _with_readable_input(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments with parsed input where the module can read it: copied, unless that is here as this user.

        What is written here lives as long as this run of Ansible, which a module in the background may outlive.
        """
        parsed = arguments.get(PARSED)
        if parsed is None or (runs_here(self) and not self._task.async_val):
            return dict(arguments)
        shell = self._connection._shell
        if shell.tmpdir is None:
            self._make_tmp_path()
        path = shell.join_path(shell.tmpdir, Path(parsed["path"]).name)
        self._transfer_file(parsed["path"], path)
        self._fixup_perms2((shell.tmpdir, path))
        return {**arguments, PARSED: {**parsed, "path": path}}
