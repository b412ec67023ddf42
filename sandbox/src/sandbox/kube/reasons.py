# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP reason phrases, which Hypercorn leaves empty and an API server sends.

Clients show them where an answer has no body: "401 Unauthorized".
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import h11
from hypercorn.protocol import h11 as protocol


class _WithReasons:
    """The module h11 as Hypercorn uses it, with responses that have their phrase."""

    def __getattr__(self, name: str) -> Any:
        return getattr(h11, name)

    @staticmethod
    def Response(*, status_code: int, **fields: Any) -> h11.Response:
        return h11.Response(status_code=status_code, reason=_phrase(status_code), **fields)


def _phrase(status_code: int) -> bytes:
    try:
        return HTTPStatus(status_code).phrase.encode("ascii")
    except ValueError:
        return b""


def send_reasons() -> None:
    """For every connection of this process from now on."""
    setattr(protocol, "h11", _WithReasons())  # noqa: B010 - it is no attribute for type checkers
