# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Requests to AWS: one place that makes clients, pages, and turns errors into AwsError."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import (
    MALFORMED,
    AwsError,
)

# AnsibleAWSModule reports it when botocore is missing.
with contextlib.suppress(ImportError):
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
    from botocore.parsers import ResponseParserError

Response = dict[str, Any]

# Attempts include the first one. Adaptive mode slows all threads of a client down together.
RETRIES = {"mode": "adaptive", "max_attempts": 8}


class Api(Protocol):
    """What observation and application need of AWS."""

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Response:
        """The answer to one request. Raises AwsError."""

    def pages(self, service: str, operation: str, parameters: Mapping[str, Any], *results: str) -> list[Any]:
        """What all pages list under ``results``. Raises AwsError."""


class ClientModule(Protocol):
    """The part of AnsibleAWSModule that makes clients."""

    def client(self, service: str, **extra: Any) -> Any:
        """A boto3 client with the credentials and the region of the module."""


class BotoApi:
    """Requests through boto3 clients, each made once, at its first use. Safe to share by threads."""

    def __init__(self, make_client: Callable[[str], Any]) -> None:
        self._make_client = make_client
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def _client(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make_client(service)
            return self._clients[service]

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Response:
        """The answer of one request. ``operation`` is the API's name, like "CreateRole"."""
        client = self._client(service)
        try:
            answer = cast("Response", getattr(client, snake_case(operation))(**parameters))
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            raise as_aws_error(error, service, operation) from error
        expected = _ANSWERS.get(operation)
        if expected is not None and expected not in answer:
            raise _malformed(service, operation, f"the answer lacks {expected}")
        return answer

    def pages(self, service: str, operation: str, parameters: Mapping[str, Any], *results: str) -> list[Any]:
        """All items of all pages, found under ``results`` (one key inside another) in each answer."""
        client = self._client(service)
        items: list[Any] = []
        try:
            for page in client.get_paginator(snake_case(operation)).paginate(**parameters):
                found: Any = page
                for key in results:
                    if key not in found:
                        raise _malformed(service, operation, f"the answer lacks {key}")
                    found = found[key]
                items.extend(found)
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            raise as_aws_error(error, service, operation) from error
        return items


def snake_case(operation: str) -> str:
    """The method of a boto3 client for an API operation: "CreateRole" gives "create_role"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation).lower()


def as_aws_error(error: Exception, service: str, operation: str) -> AwsError:
    """An error of botocore in our own words. A wrong parameter names the botocore that knows it."""
    name = f"{service}:{operation}"
    if isinstance(error, ClientError):
        said = error.response.get("Error", {})
        return AwsError(name, str(said.get("Code", "Unknown")), str(said.get("Message", "")))
    if isinstance(error, ParamValidationError):
        return AwsError(name, "ParamValidationError", f"{error}{_botocore_hint(str(error))}")
    if isinstance(error, ResponseParserError):
        return _malformed(service, operation, "the answer cannot be parsed")
    return AwsError(name, type(error).__name__, str(error))


def _malformed(service: str, operation: str, why: str) -> AwsError:
    return AwsError(
        f"{service}:{operation}", MALFORMED, f"{why}, as if something between here and AWS had cut it off"
    )


# What an answer cannot do without: botocore takes a broken answer for an empty one.
_ANSWERS = {
    "CreatePolicy": "Policy",
    "CreatePolicyVersion": "PolicyVersion",
    "CreatePodIdentityAssociation": "association",
    "CreateRole": "Role",
    "DescribeAddon": "addon",
    "DescribeCluster": "cluster",
    "DescribePodIdentityAssociation": "association",
    "GetAccountAuthorizationDetails": "RoleDetailList",
    "GetCallerIdentity": "Account",
    "GetPolicy": "Policy",
    "GetPolicyVersion": "PolicyVersion",
    "GetRole": "Role",
    "GetRolePolicy": "PolicyDocument",
    "ListRoles": "Roles",
    "UpdatePodIdentityAssociation": "association",
}


# The first botocore that knows a parameter. Source: its changelog.
_BOTOCORE_FLOORS = {
    "targetRoleArn": "1.38.35",
    "disableSessionTags": "1.38.35",
    "policy": "1.42.46",
}


def _botocore_hint(text: str) -> str:
    for parameter, version in _BOTOCORE_FLOORS.items():
        if f'Unknown parameter in input: "{parameter}"' in text:
            return f" The installed botocore is too old for {parameter}; it needs {version} or newer."
    return ""


def api_for(module: ClientModule, width: int) -> BotoApi:
    """Requests with a module's credentials, region and endpoint, for ``width`` threads."""
    config = {"retries": RETRIES, "max_pool_connections": max(10, width)}
    return BotoApi(lambda service: module.client(service, aws_config=config))
