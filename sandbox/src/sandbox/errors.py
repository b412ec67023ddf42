# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error type of the command: a message and what to do about it."""

from __future__ import annotations


class SandboxError(Exception):
    """Something the user has to know; shown without a traceback."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message


class StartError(SandboxError):
    """A server did not start; the message carries the last lines of its log."""
