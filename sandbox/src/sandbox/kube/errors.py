# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of the Kubernetes API: one exception class for all errors, and a function for each kind of error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.kube.resources import ResourceType

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cause:
    """A field that an error response names. ``field`` is its path, ``reason`` a code of Kubernetes (CauseType)."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"

    def as_json(self) -> Json:
        return {"reason": self.reason, "message": self.message, "field": self.field}


class ApiError(Exception):
    """An error response of the Kubernetes API. ``status()`` returns the body, an object of the kind Status."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Json | None = None,
        headers: Sequence[tuple[str, str]] = (),
        metadata: Json | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = tuple(headers)
        self.metadata = metadata or {}

    def status(self) -> Json:
        body: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details:
            body["details"] = self.details
        body["code"] = self.code
        return body


def _details(rtype: ResourceType, name: str, **members: Any) -> Json:
    details: Json = {"name": name} if name else {}
    if rtype.group:
        details["group"] = rtype.group
    return {**details, "kind": rtype.plural, **members}


def not_found(rtype: ResourceType, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{rtype.qualified} "{name}" not found', _details(rtype, name))


def path_not_found() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(rtype: ResourceType, name: str) -> ApiError:
    message = f'{rtype.qualified} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(rtype, name))


def conflict(rtype: ResourceType, name: str, reason: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {rtype.qualified} "{name}": {reason}'
    return ApiError(409, "Conflict", message, _details(rtype, name))


def modified(rtype: ResourceType, name: str) -> ApiError:
    reason = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(rtype, name, reason)


def apply_conflict(conflicts: Sequence[tuple[str, str]]) -> ApiError:
    """Return the error for conflicts in server-side apply. ``conflicts`` has pairs of the other manager and the field."""
    if len(conflicts) == 1:
        manager, path = conflicts[0]
        summary = f"1 conflict: conflict with {manager}: {path}"
    else:
        lines = [f"{len(conflicts)} conflicts:"]
        for manager in sorted({manager for manager, _ in conflicts}):
            lines.append(f"conflicts with {manager}:")
            lines += [f"- {path}" for owner, path in conflicts if owner == manager]
        summary = "\n".join(lines).replace(":\n", ": ", 1)
    causes = [
        Cause(path, f"conflict with {manager}", "FieldManagerConflict").as_json()
        for manager, path in conflicts
    ]
    return ApiError(409, "Conflict", f"Apply failed with {summary}", {"causes": causes})


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """Return the error for an invalid object (status 422). As in Kubernetes, the message puts several causes in brackets."""
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    summary = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    qualified = f"{kind}.{group}" if group else kind
    details: Json = {"name": name} if name else {}
    if group:
        details["group"] = group
    details |= {"kind": kind, "causes": [cause.as_json() for cause in causes]}
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {summary}', details)


def forbidden(rtype: ResourceType, name: str, reason: str, causes: Sequence[Cause] = ()) -> ApiError:
    subject = f'{rtype.qualified} "{name}"' if name else rtype.qualified
    details = _details(rtype, name)
    if causes:
        details["causes"] = [cause.as_json() for cause in causes]
    return ApiError(403, "Forbidden", f"{subject} is forbidden: {reason}", details)


def forbidden_path(user: str, verb: str, path: str) -> ApiError:
    message = f'forbidden: User "{user}" cannot {verb} path "{path}"'
    return ApiError(403, "Forbidden", message, {})


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def method_not_allowed() -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, {})


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(
        accepted
    )
    return ApiError(415, "UnsupportedMediaType", message, {})
