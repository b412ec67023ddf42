# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Find the files of a module before it runs, and show how far it is while it does."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.action.normal import ActionModule as Normal
from ansible.utils.display import Display
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.fields import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.messages import input_message
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.role_input import paths_of
from ansible_collections.workload_identity.aws.plugins.plugin_utils.files import is_relative, located

# Seconds: the first line, and all others after it.
FIRST = 5.0
EACH = 10.0


class WithProgress(Normal):  # type: ignore[misc]  # Ansible has no type information
    """Runs the module of the same name, and shows a line now and then when that takes long."""

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            self._locate_files(task_vars)
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

    def _locate_files(self, task_vars: dict[str, Any] | None) -> None:
        """The module runs in another directory than Ansible was started in."""
        if self._task.args.get("workloads_from") is None:
            return
        paths = paths_of(self._task.args["workloads_from"], "workloads_from")
        if self._connection.transport == "local":
            self._task.args["workloads_from"] = located(paths, task_vars)
        elif relative := [path for path in paths if is_relative(path)]:
            raise InputError(
                [
                    f"workloads_from: {relative[0]} is a relative path, and the module runs on another host, "
                    "where it reads the files. Give their absolute paths there."
                ]
            )

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


class Watch(threading.Thread):
    """Reads the file of a module again and again, and shows what it says when that has changed."""

    def __init__(
        self, path: Path, title: str, show: Callable[[str], None], first: float = FIRST, each: float = EACH
    ) -> None:
        super().__init__(daemon=True)
        self._path = path
        self._title = title
        self._show = show
        self._first = first
        self._each = each
        self._ended = threading.Event()

    def run(self) -> None:
        pause = self._first
        shown = ""
        while not self._ended.wait(pause):
            pause = self._each
            line = self._line()
            if line and line != shown:
                self._show(line)
                shown = line

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def _line(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            return progress_line(self._title, json.loads(self._path.read_text(encoding="utf-8")))
        return ""


def progress_line(title: str, counts: Mapping[str, tuple[int, int]]) -> str:
    """ "my-cluster: read 1000 of 1000, policy 430 of 1000"."""
    stages = ", ".join(
        f"{stage} {done} of {expected}" for stage, (done, expected) in counts.items() if expected
    )
    return f"{title}: {stages}"


def is_text(callback: str) -> bool:
    """Whether a stdout callback writes for people. AWX and Automation Platform have one of their own."""
    name = callback.rpartition(".")[2]
    return not ("json" in name or name in ("awx_display", "tower_display", "null"))
