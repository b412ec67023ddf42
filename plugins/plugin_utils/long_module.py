# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""What the action plugins of the modules for many workloads do before and while the module runs."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.action.normal import ActionModule as Normal
from ansible.utils.display import Display
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.messages import (
    input_message,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.files import for_module
from ansible_collections.workload_identity.aws.plugins.plugin_utils.progress import Watch, is_text


class LongModule(Normal):  # type: ignore[misc]  # Ansible has no type information
    """Runs the module of the same name: with absolute paths of its files, and a line now and then."""

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            self._task.args = for_module(self._task.args, self._connection.transport, task_vars)
        except InputError as error:
            return {"changed": False, "failed": True, "msg": input_message(error)}
        if not self._is_shown():
            found: dict[str, Any] = super().run(tmp, task_vars)
            return found
        folder = Path(tempfile.mkdtemp(prefix="pod-identity-", dir=constants.DEFAULT_LOCAL_TMP))
        path = folder / "progress"
        self._task.args["progress_file"] = str(path)
        title = f"{self._task.args.get('cluster_name') or self._task.args.get('cluster')}"
        watch = Watch(path, title, lambda line: Display().display(line, screen_only=True))
        watch.start()
        try:
            found = super().run(tmp, task_vars)
        finally:
            watch.stop()
            shutil.rmtree(folder, ignore_errors=True)
        return found

    def _is_shown(self) -> bool:
        """Whether the module runs as this user on this machine, for someone who reads text."""
        return (
            self._connection.transport == "local"
            and not self._play_context.become
            and not self._task.no_log
            and not self._task.async_val
            and "progress_file" not in self._task.args
            and is_text(constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK"))
        )
