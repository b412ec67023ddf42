# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find free ports on the loopback address."""

from __future__ import annotations

import contextlib
import socket

from sandbox.errors import SandboxError

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Return this number of different free ports.

    Another program may occupy a port before the server uses it. Then the supervisor tries again with other ports.
    """
    with contextlib.ExitStack() as listeners:
        ports = []
        for _ in range(count):
            listener = listeners.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            listener.bind((LOOPBACK, 0))
            ports.append(int(listener.getsockname()[1]))
        return ports


def is_in_use(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


def require_free(port: int, option: str) -> None:
    if is_in_use(port):
        raise SandboxError(
            f"Port {port} on {LOOPBACK} is already in use by another program.",
            f"Omit {option} to use a free port, or choose another number.",
        )
