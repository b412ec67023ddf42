# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Exec plugins of a kubeconfig with a time limit: the Kubernetes client waits for their credentials without one.

This file is also the script that starts a plugin and ends it. It then knows nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

try:
    from kubernetes.config import ConfigException, kube_config
except ImportError:
    kube_config = None

# A plugin that asks AWS takes some seconds; nobody is there to answer a question.
PLUGIN_SECONDS = 60.0
# Seconds between two looks at whether the process that waits for the credentials is still there.
LOOK = 0.5
# As of the command timeout, and of a shell for a command that it does not find.
ENDED, NOT_FOUND = 124, 127
# Credentials that the client takes where a plugin gives none.
OTHERS = ("username", "client-certificate", "client-certificate-data")


def bound_plugins() -> None:
    """From now on a client of this process that reads a kubeconfig gets a plugin with a time limit."""
    if kube_config is not None and not hasattr(kube_config.KubeConfigLoader, "has_bound"):
        kube_config.KubeConfigLoader = _bounded(kube_config.KubeConfigLoader)


def _bounded(loader: Any) -> Any:
    def load(self: Any) -> Any:
        """Raise ConfigException for a plugin that gives no credentials, where the client only writes a log."""
        plugin = self._user.value.get("exec")
        if not isinstance(plugin, dict) or "command" not in plugin:
            return loader._load_from_exec_plugin(self)
        self._user.value["exec"] = bounded_plugin(plugin)
        try:
            with _logged_errors() as errors:
                loaded = loader._load_from_exec_plugin(self)
        finally:
            self._user.value["exec"] = plugin
        if errors and not loaded and not any(name in self._user for name in OTHERS):
            context = self._current_context
            names = f"user {context['context']['user']}, context {context['name']}"
            # Not its arguments, which may hold a secret.
            raise ConfigException(f"exec plugin {plugin['command']} ({names}): {errors[-1]}")
        return loaded

    return type("BoundedLoader", (loader,), {"_load_from_exec_plugin": load, "has_bound": True})


def bounded_plugin(plugin: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a plugin with this script in the place of its command."""
    script = ["-I", "-S", os.path.abspath(__file__), str(PLUGIN_SECONDS)]
    return {
        **plugin,
        "command": sys.executable,
        "args": [*script, plugin["command"], *(plugin.get("args") or ())],
    }


@contextlib.contextmanager
def _logged_errors() -> Iterator[list[str]]:
    errors: list[str] = []
    handler = _Collector(errors)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield errors
    finally:
        root.removeHandler(handler)


class _Collector(logging.Handler):
    def __init__(self, errors: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        self._errors.append(" ".join(record.getMessage().split()))


def run_plugin(seconds: float, command: Sequence[str]) -> int:
    """Run a plugin in a session of its own, and end it after so many seconds, or with the parent process.

    Its input is empty and it has no terminal, so that a question ends it rather than waits.
    """
    signals: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        signals.append(number)

    # Before the plugin starts, so that it cannot be left.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    parent = os.getppid()
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        print(error, file=sys.stderr)
        return NOT_FOUND
    last = time.monotonic() + seconds
    while time.monotonic() < last and os.getppid() == parent and not signals:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(LOOK)
            # What a plugin that ended leaves in the background is its own.
            return code if code >= 0 else 128 - code
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if signals:
        return 128 + signals[0]
    print(f"no credentials within {seconds:g} seconds, so it was ended", file=sys.stderr)
    return ENDED


if __name__ == "__main__":
    sys.exit(run_plugin(float(sys.argv[1]), sys.argv[2:]))
