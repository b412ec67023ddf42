# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Send requests to AWS: create the clients, retry, read all pages of a response, and convert errors to AwsError."""

from __future__ import annotations

import contextlib
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

from ansible_collections.amazon.aws.plugins.module_utils.botocore import get_aws_connection_info

from .._identity.model.accounts import AssumeRole
from .._identity.model.errors import ONCE_ONLY, AwsError, ErrorKind, InputError
from .assumed_session import AssumedSession, Connection
from .errors import MALFORMED, NOT_AWS, TOO_SLOW, classify
from .interrupt import raise_if_interrupted
from .transport import DEFAULT_WIDTH, Bounded, OutOfTime, RateLimiter, Retries

# Importing this file must not fail without botocore, because AnsibleAWSModule reports the missing package with a better message.
with contextlib.suppress(ImportError):
    from botocore.config import Config
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectTimeoutError,
        EndpointConnectionError,
        HTTPClientError,
        ParamValidationError,
        ProxyConnectionError,
        SSLError,
    )
    from botocore.exceptions import ConnectionError as BotoConnectionError
    from botocore.parsers import ResponseParserError
    from botocore.session import Session

Response = dict[str, Any]

# The retries of botocore are off, because transport.py retries. botocore would also repeat requests that must be sent only once.
# In addition, all threads of a client share its retry quota, which 100 failed retries use up.
RETRIES = {"mode": "standard", "total_max_attempts": 1}
# The time limits in seconds: for connecting, between two parts of a response, and for a whole attempt.
TIMEOUTS = {"connect_timeout": 10, "read_timeout": 30}
ATTEMPT_SECONDS = 60.0
# A list of resources with more pages is an error: a page has up to 100 associations or 1000 roles, and an account has at most
# 5000 roles.
MOST_PAGES = 1000


class Api(Protocol):
    """The interface to send requests to one AWS account."""

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Response:
        """Send a request and return the response.

        :arg service: the name of the service in boto3, such as "iam".
        :arg operation: the name in the API, such as "CreateRole".
        :raises AwsError: when the request fails.
        """

    def pages(
        self, service: str, operation: str, parameters: Mapping[str, Any], *results: str
    ) -> Iterable[Any]:
        """Send a list request, and yield the items of all pages. A page is requested only when its items are needed.

        :arg results: the keys that lead to the items in a response: one key, or a path of nested keys.
        :raises AwsError: when a request fails.
        """


class ClientModule(Protocol):
    """The part of AnsibleAWSModule that creates clients."""

    params: Mapping[str, Any]

    @property
    def region(self) -> str | None:
        """Return the region from the option or the configuration."""

    def client(self, service: str, **extra: Any) -> Any:
        """Return a boto3 client for a service, with the credentials and region of the module."""


@dataclass(frozen=True, slots=True)
class _Service:
    client: Any
    limiter: RateLimiter


class BotoApi:
    """An implementation of ``Api`` with boto3.

    Each service has one client and one rate limiter. A client is created at the first request. Threads may share an instance.

    :arg make_client: returns a client for a service in the default region.
    :arg retries: the retry settings; the default is ``Retries()``.
    :arg width: the maximum number of concurrent requests.
    :arg attempt_seconds: the time limit for one attempt, in seconds.
    :arg ready: is called before each request to refresh credentials. It may raise AwsError.
    """

    def __init__(
        self,
        make_client: Callable[[str], Any],
        retries: Retries | None = None,
        width: int = DEFAULT_WIDTH,
        attempt_seconds: float = ATTEMPT_SECONDS,
        ready: Callable[[], None] | None = None,
    ) -> None:
        self._attempt_seconds = attempt_seconds
        self._bounded = Bounded()
        self._ready = ready
        self._make_client = make_client
        self._retries = retries or Retries()
        self._free = threading.BoundedSemaphore(max(1, width))
        self._services: dict[str, _Service] = {}
        self._lock = threading.Lock()

    def _service(self, name: str) -> _Service:
        with self._lock:
            if name not in self._services:
                limiter = RateLimiter(self._retries.now, self._retries.sleep)
                self._services[name] = _Service(self._make_client(name), limiter)
            return self._services[name]

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Response:
        """Send a request with retries, and return the response (see ``Api.call``)."""
        return self._request(service, operation, parameters, _REQUIRED.get(operation))

    def pages(
        self, service: str, operation: str, parameters: Mapping[str, Any], *results: str
    ) -> Iterator[Any]:
        """Send a list request, and yield the items of all pages (see ``Api.pages``)."""

        def request(parameters: Mapping[str, Any]) -> Response:
            return self._request(service, operation, parameters, *results)

        for page in _pages(request, service, operation, parameters):
            items: Any = page
            for key in results:
                items = items[key]
            yield from items

    def _request(
        self, service: str, operation: str, parameters: Mapping[str, Any], *expected: str | None
    ) -> Response:
        complete = dict(parameters)
        if operation in _REQUEST_TOKENS:
            # All attempts have the same token, so that EKS recognises a retry and does not execute the request twice.
            complete.setdefault(_REQUEST_TOKENS[operation], str(uuid.uuid4()))
        send = partial(self._send, service, operation, complete, [key for key in expected if key])
        turn = self._service(service).limiter.wait
        # Refresh the credentials before the attempts, because AssumeRole has separate retries and a separate time limit.
        if self._ready is not None:
            self._ready()
        return self._retries.run(send, f"{service}:{operation}" in ONCE_ONLY, turn)

    def _send(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        expected: list[str],
        sent: float,
    ) -> Response:
        """Send a request once, and check that the response is complete.

        :arg expected: the path of nested keys that the response must have.
        :arg sent: the time at which the request is sent, for the rate limiter.
        :raises AwsError: when the request fails or the response is incomplete.
        """
        channel = self._service(service)
        try:
            with self._free:
                raise_if_interrupted()
                request = partial(getattr(channel.client, snake_case(operation)), **parameters)
                response = cast("Response", self._bounded.run(self._attempt_seconds, request))
        except OutOfTime as error:
            text = f"no complete response within {self._attempt_seconds:g} s"
            raise classify(f"{service}:{operation}", TOO_SLOW, text, True) from error
        except KeyError as error:
            # botocore raises KeyError if the response is an XHTML page instead of XML.
            raise _not_aws(service, operation) from error
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            failure = as_aws_error(error, service, operation)
            if failure.kind is ErrorKind.THROTTLED:
                channel.limiter.throttled(sent)
            elif isinstance(error, ClientError):
                channel.limiter.responded()
            raise failure from error
        if not _is_from_aws(response):
            raise _not_aws(service, operation)
        channel.limiter.responded()
        part: Any = response
        for key in expected:
            if key not in part:
                raise _malformed(service, operation, f"the response lacks {key}")
            part = part[key]
        return response


def response_pages(
    api: Api, service: str, operation: str, parameters: Mapping[str, Any]
) -> Iterator[Response]:
    """Send a list request, and yield the whole response of each page, for callers that need several of its members.

    :raises AwsError: when a request fails.
    """
    return _pages(partial(api.call, service, operation), service, operation, parameters)


def _pages(
    request: Callable[[Mapping[str, Any]], Response],
    service: str,
    operation: str,
    parameters: Mapping[str, Any],
) -> Iterator[Response]:
    name = _PAGE_TOKENS[service]
    tokens: set[str] = set()
    previous: Response = {}
    while True:
        page = request(parameters)
        content = {key: value for key, value in page.items() if key not in _ENVELOPE}
        if content == previous and any(content.values()):
            raise _malformed(service, operation, "the response repeats the previous page")
        previous = content
        yield page
        token = page.get(name)
        if not page.get("IsTruncated", bool(token)):
            return
        if not token:
            raise _malformed(
                service, operation, "the response is truncated but has no token for the next page"
            )
        if token in tokens:
            raise _malformed(service, operation, "the token for the next page was used before")
        tokens.add(token)
        if len(tokens) >= MOST_PAGES:
            raise _malformed(
                service, operation, f"the response has a token for another page after {MOST_PAGES} pages"
            )
        parameters = {**parameters, name: token}


def snake_case(operation: str) -> str:
    """Return the name of the boto3 method for an API operation, such as "create_role" for "CreateRole"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation).lower()


def as_aws_error(error: Exception, service: str, operation: str) -> AwsError:
    """Convert an error of botocore to an AwsError.

    If the installed botocore is too old for a parameter in ``_BOTOCORE_FLOORS``, the message names the required version.
    """
    name = f"{service}:{operation}"
    if isinstance(error, ClientError):
        reason = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status < 500 and status != 429 and not _is_from_aws(error.response):
            return _not_aws(service, operation)
        code, text = str(reason.get("Code", "Unknown")), str(reason.get("Message", ""))
        refusal = classify(name, code, text, status=status)
        return refusal.amended(text, outcome_unknown=refusal.kind is ErrorKind.SERVER)
    if isinstance(error, ParamValidationError):
        return classify(name, "ParamValidationError", f"{error}{_botocore_hint(str(error))}")
    if isinstance(error, ResponseParserError):
        return _malformed(service, operation, "the response cannot be parsed")
    if isinstance(error, (BotoConnectionError, HTTPClientError)) and not isinstance(error, SSLError):
        never_sent = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError)
        outcome_unknown = not isinstance(error, never_sent)
        return classify(name, type(error).__name__, str(error), outcome_unknown, lost=True)
    return classify(name, type(error).__name__, str(error))


def _is_from_aws(response: Mapping[str, Any]) -> bool:
    """Return whether AWS sent a response: it has a request ID, and is not a web page, as a proxy might send.

    A response without HTTP metadata counts as a response of AWS, because tests use such responses.
    """
    metadata = response.get("ResponseMetadata")
    if metadata is None or "HTTPHeaders" not in metadata:
        return True
    headers = {str(name).lower(): str(value) for name, value in metadata["HTTPHeaders"].items()}
    identified = metadata.get("RequestId") or any(name in headers for name in _REQUEST_IDS)
    return bool(identified) and "html" not in headers.get("content-type", "").lower()


def _not_aws(service: str, operation: str) -> AwsError:
    text = "the response is not from AWS: it has no request ID, or is a web page"
    return classify(f"{service}:{operation}", NOT_AWS, text, outcome_unknown=True)


def _malformed(service: str, operation: str, reason: str) -> AwsError:
    text = f"{reason}; possibly a proxy has truncated or repeated a response"
    return classify(f"{service}:{operation}", MALFORMED, text, outcome_unknown=True)


_REQUEST_IDS = ("x-amzn-requestid", "x-amz-request-id")
# The key of the token for the next page, by service. The response and the parameters of the next request use the same key.
_PAGE_TOKENS = {"eks": "nextToken", "iam": "Marker", "organizations": "NextToken"}
# The keys to ignore in the comparison of two pages, because their values may differ although the content is the same.
_ENVELOPE = ("IsTruncated", "Marker", "NextToken", "ResponseMetadata", "nextToken")
# The parameter for the idempotency token, by operation.
_REQUEST_TOKENS = {
    "CreateAddon": "clientRequestToken",
    "CreatePodIdentityAssociation": "clientRequestToken",
    "UpdateAddon": "clientRequestToken",
}

# The key that a complete response has, by operation. botocore parses a truncated JSON response as an empty one, without an error.
_REQUIRED = {
    "AssumeRole": "Credentials",
    "CreateAddon": "addon",
    "CreatePolicy": "Policy",
    "CreatePolicyVersion": "PolicyVersion",
    "CreatePodIdentityAssociation": "association",
    "CreateRole": "Role",
    "DescribeAddon": "addon",
    "DescribeAddonVersions": "addons",
    "DescribeCluster": "cluster",
    "DescribeNodegroup": "nodegroup",
    "DescribePodIdentityAssociation": "association",
    "DescribeRegions": "Regions",
    "GenerateServiceLastAccessedDetails": "JobId",
    "GetAccountAuthorizationDetails": "RoleDetailList",
    "GetCallerIdentity": "Account",
    "GetPolicy": "Policy",
    "GetPolicyVersion": "PolicyVersion",
    "GetRole": "Role",
    "GetRolePolicy": "PolicyDocument",
    "GetServiceLastAccessedDetails": "JobStatus",
    "ListNodegroups": "nodegroups",
    "ListPodIdentityAssociations": "associations",
    "ListRoles": "Roles",
    "UpdatePodIdentityAssociation": "association",
}


TWO_CREDENTIALS = (
    "a profile (⟨profile⟩, AWS_PROFILE) and access keys (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN) are both "
    "set, but only one of them can be used. Remove the profile or the access keys."
)
# The first version of botocore that supports a parameter. Source: the changelog of botocore.
_BOTOCORE_FLOORS = {
    "targetRoleArn": "1.38.35",
    "disableSessionTags": "1.38.35",
    "policy": "1.42.46",
}


def _botocore_hint(text: str) -> str:
    for parameter, version in _BOTOCORE_FLOORS.items():
        if f'Unknown parameter in input: "{parameter}"' in text:
            return f". The installed botocore is too old for {parameter}, which needs {version} or newer."
    return ""


def api_for(module: ClientModule, width: int, role: AssumeRole | None) -> BotoApi:
    """Return the interface to AWS with the credentials, region and endpoint of a module.

    :arg width: the maximum number of concurrent requests.
    :arg role: the role to assume for all requests, or None to use the credentials directly.
    :raises AwsError: when the profile cannot be read.
    :raises InputError: when the options have both a profile and access keys.
    """
    if has_two_credentials(module.params):
        raise InputError([TWO_CREDENTIALS])
    connection = _read_connection(module)
    validate_profile(connection.profile)
    return api_with(module.client, lambda: connection, width, role)


def api_with(
    make_client: Callable[..., Any],
    connect: Callable[[], Connection],
    width: int,
    role: AssumeRole | None,
) -> BotoApi:
    """Return the interface to AWS for a module or plugin based on amazon.aws.

    :arg make_client: the method ``client`` of the module or plugin.
    :arg connect: returns the connection settings. It is called only if there is a role to assume.
    :arg width: the maximum number of concurrent requests.
    :arg role: the role to assume for all requests, or None to use the credentials directly.
    """
    if role is None:
        config = client_config(width)
        return BotoApi(lambda service: make_client(service, aws_config=config), width=width)
    session = session_with(make_client, connect, role)
    assumed = partial(_assumed_client, session, width)
    return BotoApi(assumed, width=width, ready=session.ready)


def session_with(
    make_client: Callable[..., Any],
    connect: Callable[[], Connection],
    role: AssumeRole,
    min_validity: int = 0,
) -> AssumedSession:
    """Return the session of an assumed role, for example to sign tokens for an EKS cluster.

    :arg make_client: the method ``client`` of a module or plugin based on amazon.aws; it creates the clients for AssumeRole.
    :arg connect: returns the connection settings.
    :arg min_validity: refresh the credentials if they are valid for less than this number of seconds.
    """
    source = BotoApi(lambda service: make_client(service, aws_config=client_config(1)), width=1)
    return AssumedSession(role, source, connect(), min_validity=min_validity)


def client_config(width: int) -> dict[str, Any]:
    """Return the arguments of ``botocore.config.Config`` for clients that ``width`` threads share."""
    return {"retries": RETRIES, "max_pool_connections": max(10, width), **TIMEOUTS}


def _read_connection(module: ClientModule) -> Connection:
    region, endpoint_url, options = get_aws_connection_info(module)
    return Connection(region, endpoint_url, options.get("profile_name"), options.get("verify"))


def has_two_credentials(options: Mapping[str, Any]) -> bool:
    """Return whether the options of amazon.aws have both a profile and access keys, including those from the environment."""
    return bool(options.get("profile")) and any(
        map(options.get, ("access_key", "secret_key", "session_token"))
    )


def validate_profile(profile: str | None) -> None:
    """Check that a profile can be read, because the error message of amazon.aws would not name the cause.

    :raises AwsError: when the profile does not exist, or the configuration files of AWS are malformed.
    """
    if profile:
        try:
            Session(profile=profile).get_scoped_config()
        except BotoCoreError as error:
            raise as_aws_error(error, "sts", "GetCallerIdentity") from error


def _assumed_client(session: AssumedSession, width: int, service: str) -> Any:
    try:
        return session.client(service, Config(**client_config(width)))
    except BotoCoreError as error:
        raise as_aws_error(error, service, "connect") from error
