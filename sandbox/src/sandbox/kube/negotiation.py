# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The media types of requests and responses: JSON, and for requests also YAML."""

from __future__ import annotations

import json
from typing import Any

import yaml

from sandbox.kube.errors import bad_request, not_acceptable, unsupported_media_type
from sandbox.kube.patch import APPLY, PATCHES

JSON = "application/json"
YAML = "application/yaml"
OBJECTS = (JSON, YAML)


def check_acceptable(accept: str) -> None:
    """Check that the Accept header allows JSON. Raise ApiError 406 if it does not."""
    choices = [choice.replace(" ", "").split(";") for choice in accept.split(",")]
    if accept and not any(_is_plain_json(media_type, options) for media_type, *options in choices):
        raise not_acceptable([JSON])


def _is_plain_json(media_type: str, options: list[str]) -> bool:
    # A parameter such as ``as=Table`` requests a conversion to another kind, which is not supported.
    converts = any(option.startswith("as=") for option in options)
    return media_type in (JSON, "application/*", "*/*") and not converts


def media_type(content_type: str) -> str:
    """Return the media type of a Content-Type header, without parameters. The default is JSON."""
    return content_type.partition(";")[0].strip() or JSON


def parse_body(raw: bytes, content_type: str, *, patch: bool) -> Any:
    """Parse the object or patch in a body. Return None for an empty body.

    Raise ApiError 415 for an unsupported media type, or 400 for a syntax error.
    """
    if not raw:
        return None
    accepted = PATCHES if patch else OBJECTS
    if content_type not in accepted:
        raise unsupported_media_type(accepted)
    try:
        return yaml.safe_load(raw) if content_type in (APPLY, YAML) else json.loads(raw)
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error
