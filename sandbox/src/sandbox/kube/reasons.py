# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add HTTP reason phrases, such as "Not Found", to responses.

hypercorn omits reason phrases, but Kubernetes clients show them in error messages for responses without a body.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import h11
from hypercorn.protocol import h11 as protocol


class _WithReasons:
    """A replacement for the module h11 in hypercorn that adds reason phrases to responses."""

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
    """Add reason phrases to all responses that hypercorn sends in this process."""
    setattr(protocol, "h11", _WithReasons())  # noqa: B010 - type checkers do not know the attribute
