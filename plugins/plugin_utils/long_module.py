# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""What the action plugins of the modules for many workloads do before and while the module runs."""

from __future__ import annotations

import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, cast

from ansible import constants
from ansible.plugins.action.normal import ActionModule as Normal
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible_values
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
    input_message,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.hand_over import PARSED, parse_arguments
from ansible_collections.workload_identity.aws.plugins.plugin_utils.installed_module import (
    OWN,
    installed_module,
    runs_here,
    starts_here,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.interruption import interruptible
from ansible_collections.workload_identity.aws.plugins.plugin_utils.nested_action import with_defaults
from ansible_collections.workload_identity.aws.plugins.plugin_utils.progress import (
    is_watched,
    read_line,
    shown,
)


class LongModule(Normal):  # type: ignore[misc]  # Ansible has no type information
    """Runs the module of the same name on input that is parsed here, and shows a line now and then."""

    workloads_required = True

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            arguments = self._parse(self._given_arguments(), task_vars)
        except InputError as error:
            return {"changed": False, "failed": True, "msg": input_message(error)}
        self._task.args = self._with_readable_input(arguments)
        try:
            # Where this ends, nobody waits for the module any more, and it ends as well.
            with interruptible():
                result = self._run_shown(tmp, task_vars)
        finally:
            # What is copied for the module, and its progress, end with it; the task may be tried again.
            self._task.args = arguments
        # A module that ended in order has a printable result, which may be long.
        return cast("dict[str, Any]", visible_values(result)) if "module_stderr" in result else result

    def _parse(self, arguments: dict[str, Any], variables: dict[str, Any] | None) -> dict[str, Any]:
        """Arguments with parsed input in the place of workloads, or InputError."""
        return parse_arguments(arguments, variables, self.workloads_required)

    def _title(self) -> str:
        """What progress is shown of."""
        return f"{self._task.args.get('cluster_name') or self._task.args.get('cluster')}"

    def _given_arguments(self) -> dict[str, Any]:
        """The task's arguments. The role names all of them, and omits those whose variable is not set: with an argument
        that is omitted, Ansible forgets its module_defaults."""
        given: dict[str, Any] = dict(self._task.args)
        return with_defaults(self, self._task.action, given) if PARSED in given else given

    def _run_shown(self, tmp: object, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        if not self._is_shown():
            result: dict[str, Any] = super().run(tmp, task_vars)
            return result
        folder = Path(tempfile.mkdtemp(prefix="pod-identity-", dir=constants.DEFAULT_LOCAL_TMP))
        path = folder / "progress"
        self._task.args["progress_file"] = str(path)
        try:
            with shown(partial(read_line, path, self._title())):
                result = super().run(tmp, task_vars)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return result

    def _configure_module(
        self, module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]
    ) -> Any:
        """Also called for what runs a module in the background, which Ansible has to pack. It also finds the module of a
        short or redirected name."""
        if not (module_name.startswith(f"{OWN}.") and starts_here(self, task_vars)):
            return super()._configure_module(module_name, module_args, task_vars)
        return installed_module(module_name, module_args, sys.executable)

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

    def _is_shown(self) -> bool:
        """Whether someone reads the screen while the module runs here."""
        return runs_here(self) and "progress_file" not in self._task.args and is_watched(self)
