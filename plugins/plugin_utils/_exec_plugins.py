# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limit the running time of the exec credential plugins of a kubeconfig.

An exec credential plugin is a command that prints credentials. The Kubernetes client waits for the command without a limit.

This file is also a script: the client runs the script instead of a plugin, and the script runs the plugin with the time
limit. The script can import only the standard library, because it runs without site-packages (``python -I -S``).
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

# A plugin that calls AWS takes some seconds. After a minute it usually waits for input, which the user cannot enter.
PLUGIN_SECONDS = 60.0
# Seconds between checks that the parent process, which waits for the credentials, still runs.
POLL_SECONDS = 0.5
# The exit code of the command timeout(1) for an expired time limit, and the exit code of a shell for an unknown command.
ENDED, NOT_FOUND = 124, 127
# Other credentials of a user in a kubeconfig. The client uses them if the plugin returns no credentials.
OTHER_CREDENTIALS = ("username", "client-certificate", "client-certificate-data")


def bound_plugins() -> None:
    """Limit the running time of exec credential plugins for all Kubernetes clients of this process.

    A second call has no effect.
    """
    if kube_config is not None and not hasattr(kube_config.KubeConfigLoader, "has_bound"):
        kube_config.KubeConfigLoader = _bounded(kube_config.KubeConfigLoader)


def _bounded(loader: Any) -> Any:
    def load(self: Any) -> Any:
        """Run the plugin with the time limit. Raise ConfigException if it fails and the user has no other credentials.

        Without this function, the client only logs the failure and continues without credentials.
        """
        plugin = self._user.value.get("exec")
        if not isinstance(plugin, dict) or "command" not in plugin:
            return loader._load_from_exec_plugin(self)
        self._user.value["exec"] = bounded_plugin(plugin)
        try:
            with _logged_errors() as errors:
                loaded = loader._load_from_exec_plugin(self)
        finally:
            self._user.value["exec"] = plugin
        if errors and not loaded and not any(name in self._user for name in OTHER_CREDENTIALS):
            context = self._current_context
            names = f"user {context['context']['user']}, context {context['name']}"
            # The message has the command without its arguments, which may contain a secret.
            raise ConfigException(f"exec plugin {plugin['command']} ({names}): {errors[-1]}")
        return loaded

    return type("BoundedLoader", (loader,), {"_load_from_exec_plugin": load, "has_bound": True})


def bounded_plugin(plugin: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a plugin, changed so that the client runs this script.

    The arguments of the script are the time limit and the command of the plugin.
    """
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
    """Run a plugin, and return its exit code.

    Kill the plugin after ``seconds``, after a signal, or if the parent process exits.

    The plugin has no terminal and no input, so that a prompt fails instead of waiting.
    """
    signals: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        signals.append(number)

    # Handle signals before the plugin starts. Otherwise a signal could end this process and leave the plugin running.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    parent = os.getppid()
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        print(error, file=sys.stderr)
        return NOT_FOUND
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and os.getppid() == parent and not signals:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(POLL_SECONDS)
            # A plugin may start background processes, such as a credential cache. These processes continue to run.
            return code if code >= 0 else 128 - code
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if signals:
        return 128 + signals[0]
    print(f"no credentials within {seconds:g} seconds, so it was ended", file=sys.stderr)
    return ENDED


if __name__ == "__main__":
    sys.exit(run_plugin(float(sys.argv[1]), sys.argv[2:]))
