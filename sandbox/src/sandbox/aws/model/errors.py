# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The error responses of AWS."""

from __future__ import annotations

_STATUSES = {
    "NoSuchEntity": 404,
    "ResourceNotFoundException": 404,
    "NotFoundException": 404,
    "EntityAlreadyExists": 409,
    "DeleteConflict": 409,
    "LimitExceeded": 409,
    "ResourceInUseException": 409,
    "AccessDenied": 403,
    "AccessDeniedException": 403,
}


class Refusal(Exception):
    """An error response of AWS: code, text and HTTP status, which is 400 unless the code or the caller determines another one."""

    def __init__(self, code: str, text: str, status: int = 0) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
        self.status = status or _STATUSES.get(code, 400)


def exceeded(quota: str, limit: int) -> Refusal:
    return Refusal("LimitExceeded", f"Cannot exceed quota for {quota}: {limit}")


def invalid(text: str) -> Refusal:
    """Return the error of EKS for an invalid parameter."""
    return Refusal("InvalidParameterException", text)
