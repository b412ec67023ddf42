# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Send requests to AWS: create the clients, retry, read all pages of a response, and check that responses are from AWS."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from types import SimpleNamespace
from typing import Any, Protocol, cast

from ansible_collections.amazon.aws.plugins.module_utils.botocore import get_aws_connection_info

from .._identity.model.accounts import SESSION_DURATION, SESSION_NAME, AssumeRole
from .._identity.model.errors import ONCE_ONLY, AwsError, ErrorKind, InputError
from .errors import TOO_SLOW, as_aws_error, classify, explain_refusal, is_from_aws, malformed, not_aws
from .interrupt import raise_if_interrupted
from .service_data import new_session
from .transport import DEFAULT_WIDTH, OutOfTime, RateLimiter, Retries, call_within

# Importing this file must not fail without botocore, because AnsibleAWSModule reports the missing package with a better message.
with contextlib.suppress(ImportError):
    from botocore import xform_name
    from botocore.config import Config
    from botocore.credentials import DeferredRefreshableCredentials
    from botocore.exceptions import BotoCoreError, ClientError, PaginationError
    from botocore.paginate import Paginator
    from botocore.parsers import ResponseParserError
    from botocore.session import Session

Response = dict[str, Any]

# The time limit for a whole attempt, in seconds. A read timeout is not sufficient, because each part of a response restarts it.
ATTEMPT_SECONDS = 60.0

# A list of resources with more pages is an error: a page has up to 100 associations or 1000 roles, and an account has at most
# 5000 roles.
MOST_PAGES = 1000
# The retries of botocore are off, because transport.py retries. botocore would also repeat requests that must be sent only once.
# In addition, all threads of a client share its retry quota, which 100 failed retries use up.
RETRIES = {"mode": "standard", "total_max_attempts": 1}
# The time limits in seconds: for connecting, between two parts of a response.
TIMEOUTS = {"connect_timeout": 10, "read_timeout": 30}


class Api(Protocol):
    """The interface to send requests to one AWS account."""

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Response:
        """Send a request and return the response.

        :arg service: the name of the service in boto3, such as "iam".
        :arg operation: the name in the API, such as "CreateRole".
        :raises AwsError: when the request fails.
        """

    def pages(
        self, service: str, operation: str, parameters: Mapping[str, Any], result: str
    ) -> Iterable[Any]:
        """Send a list request, and yield the items of all pages. A page is requested only when its items are needed.

        :arg result: the key of the items in a response.
        :raises AwsError: when a request fails.
        """


class ClientModule(Protocol):
    """The part of AnsibleAWSModule that creates clients."""

    params: Mapping[str, Any]
    region: str | None

    def client(self, service: str, **extra: Any) -> Any:
        """Return a boto3 client for a service, with the credentials and region of the module."""


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
        self._ready = ready
        self._make_client = make_client
        self._retries = retries or Retries()
        self._free = threading.BoundedSemaphore(max(1, width))
        self._services: dict[str, tuple[Any, RateLimiter]] = {}
        self._lock = threading.Lock()

    def _service(self, name: str) -> tuple[Any, RateLimiter]:
        """Return the client and the rate limiter of a service."""
        with self._lock:
            if name not in self._services:
                limiter = RateLimiter(self._retries.now, self._retries.sleep)
                self._services[name] = self._make_client(name), limiter
            return self._services[name]

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Response:
        """Send a request with retries, and return the response (see ``Api.call``)."""
        return self._request(service, operation, parameters, _REQUIRED.get(operation))

    def pages(
        self, service: str, operation: str, parameters: Mapping[str, Any], result: str
    ) -> Iterator[Any]:
        """Send a list request, and yield the items of all pages (see ``Api.pages``)."""
        request = partial(self._request, service, operation, expected=result)
        for page in _pages(request, service, operation, parameters):
            yield from page[result]

    def _request(
        self, service: str, operation: str, parameters: Mapping[str, Any], expected: str | None
    ) -> Response:
        complete = dict(parameters)
        if operation in _REQUEST_TOKENS:
            # All attempts have the same token, so that EKS recognises a retry and does not execute the request twice.
            complete.setdefault(_REQUEST_TOKENS[operation], str(uuid.uuid4()))
        send = partial(self._send, service, operation, complete, expected)
        _client, limiter = self._service(service)
        # Refresh the credentials before the attempts, because AssumeRole has separate retries and a separate time limit.
        if self._ready is not None:
            self._ready()
        return self._retries.run(send, f"{service}:{operation}" in ONCE_ONLY, limiter.wait)

    def _send(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        expected: str | None,
        sent: float,
    ) -> Response:
        """Send a request once, and check that the response is complete.

        :arg expected: the key that the response must have, or None.
        :arg sent: the time at which the request is sent, for the rate limiter.
        :raises AwsError: when the request fails or the response is incomplete.
        """
        client, limiter = self._service(service)
        try:
            with self._free:
                raise_if_interrupted()
                request = partial(getattr(client, xform_name(operation)), **parameters)
                response = cast("Response", call_within(self._attempt_seconds, request))
        except OutOfTime as error:
            raise classify(f"{service}:{operation}", TOO_SLOW, str(error), True) from error
        except KeyError as error:
            # botocore raises KeyError if the response is an XHTML page instead of XML.
            raise not_aws(service, operation) from error
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            failure = as_aws_error(error, service, operation)
            if failure.kind is ErrorKind.THROTTLED:
                limiter.throttled(sent)
            elif isinstance(error, ClientError):
                limiter.responded()
            raise failure from error
        if not is_from_aws(response):
            raise not_aws(service, operation)
        limiter.responded()
        if expected and expected not in response:
            raise malformed(service, operation, f"the response lacks {expected}")
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
    settings = _PAGES[service]

    def send(**page_parameters: Any) -> Response:
        page = request(page_parameters)
        # The paginator would end without an error, and a run would consider resources deleted that the list lacks.
        if page.get("IsTruncated") and not page.get(settings["output_token"]):
            raise malformed(
                service, operation, "the response is truncated but has no token for the next page"
            )
        return page

    try:
        pages = iter(cast("Any", Paginator)(send, settings, None).paginate(**parameters))
        yield from islice(pages, MOST_PAGES)
        if next(pages, None) is not None:
            raise malformed(
                service, operation, f"the response has a token for another page after {MOST_PAGES} pages"
            )
    except PaginationError as error:
        raise malformed(service, operation, str(error)) from error


# The settings of the paginator of botocore, by service. It reads no items here, so any key can be its result.
_PAGES = {
    service: {"input_token": token, "output_token": token, "result_key": token, **more}
    for service, token, more in (
        ("eks", "nextToken", {}),
        ("iam", "Marker", {"more_results": "IsTruncated"}),
        ("organizations", "NextToken", {}),
    )
}
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


def client_config(width: int) -> dict[str, Any]:
    """Return the arguments of ``botocore.config.Config`` for clients that ``width`` threads share."""
    return {"retries": RETRIES, "max_pool_connections": max(10, width), **TIMEOUTS}


@contextlib.contextmanager
def as_aws_errors(service: str) -> Iterator[None]:
    """Convert errors of botocore in a block that creates a client or a session to AwsError."""
    try:
        yield
    except BotoCoreError as error:
        raise as_aws_error(error, service, "GetCallerIdentity" if service == "sts" else "client") from error


@dataclass(frozen=True, slots=True)
class Connection:
    """The connection settings of all clients of a module or plugin. None means the default of boto3.

    ``verify`` is the path of a CA bundle, or whether to verify TLS certificates.
    """

    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    verify: bool | str | None = None


_now = partial(datetime.now, timezone.utc)


class AssumedSession:
    """The session of an assumed role. Its clients share the credentials, in all regions and threads.

    AssumeRole is called before the first request, and again before the credentials expire. The client with the source
    credentials sends it with the retries of all other requests, because the retries of botocore end earlier if STS throttles.

    :arg source: the client that sends AssumeRole with the source credentials.
    :arg connection: the settings of the clients that ``client`` creates.
    :arg now: returns the current time in UTC; tests replace it.
    """

    def __init__(
        self,
        role: AssumeRole,
        source: Api,
        connection: Connection,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._role = role
        self._source = source
        self._connection = connection
        # The time when the credentials expire, in UTC, or None if there are no credentials yet.
        self.expires_at: datetime | None = None
        self._credentials = DeferredRefreshableCredentials(self._assume, "assume-role", now)
        self._session: Any = None
        self._lock = threading.Lock()

    def api(self, width: int, region: str | None = None) -> BotoApi:
        """Return the interface to AWS with the credentials of the role, by default in the region of the connection."""
        return BotoApi(partial(self.client, width=width, region=region), width=width, ready=self.ready)

    def ready(self) -> None:
        """Call AssumeRole if there are no credentials yet, or if they expire soon.

        :raises AwsError: when AssumeRole fails. An error is ignored while the present credentials are valid for some minutes.
        """
        self._credentials.get_frozen_credentials()

    def client(
        self, service: str, endpoint: str | None = None, width: int = 1, region: str | None = None
    ) -> Any:
        """Return a client with the credentials of the role, which the client refreshes before they expire.

        :arg endpoint: the URL of the endpoint; defaults to the endpoint of the connection.
        :arg width: the maximum number of threads that share the client.
        :arg region: defaults to the region of the connection.
        """
        with self._lock, as_aws_errors(service):
            if self._session is None:
                self._session = new_session(self._connection.profile)
                provider = SimpleNamespace(load_credentials=lambda: self._credentials)
                self._session.register_component("credential_provider", provider)
            return self._session.create_client(
                service,
                region_name=region or self._connection.region,
                endpoint_url=endpoint or self._connection.endpoint_url,
                verify=self._connection.verify,
                config=Config(**client_config(width)),
            )

    def _assume(self) -> dict[str, str]:
        """Call AssumeRole, and return the credentials in the format that botocore expects.

        No lock is necessary: botocore calls this function in one thread at a time.
        """
        request = {
            "RoleArn": self._role.arn,
            "RoleSessionName": SESSION_NAME,
            "DurationSeconds": SESSION_DURATION,
            **({"ExternalId": self._role.external_id} if self._role.external_id else {}),
        }
        try:
            credentials = self._source.call("sts", "AssumeRole", request)["Credentials"]
        except AwsError as error:
            raise explain_refusal(error, self._role, self._connection.region or "") from error
        self.expires_at = credentials["Expiration"]
        return {
            "access_key": credentials["AccessKeyId"],
            "secret_key": credentials["SecretAccessKey"],
            "token": credentials["SessionToken"],
            "expiry_time": credentials["Expiration"].isoformat(),
        }


TWO_CREDENTIALS = (
    "a profile (⟨profile⟩, AWS_PROFILE) and access keys (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN) are both "
    "set, but only one of them can be used. Remove the profile or the access keys."
)


def api_for(module: ClientModule, width: int = DEFAULT_WIDTH, role: AssumeRole | None = None) -> BotoApi:
    """Return the interface to AWS with the credentials, region and endpoint of a module.

    :arg width: the maximum number of concurrent requests.
    :arg role: the role to assume for all requests, or None to use the credentials directly.
    :raises AwsError: when the profile cannot be read.
    :raises InputError: when the options have both a profile and access keys.
    """

    def read_connection() -> Connection:
        region, endpoint_url, options = get_aws_connection_info(module)
        return Connection(region, endpoint_url, options.get("profile_name"), options.get("verify"))

    return api_with(module.client, module.params, read_connection, width, role)


def api_with(
    make_client: Callable[..., Any],
    options: Mapping[str, Any],
    connect: Callable[[], Connection],
    width: int,
    role: AssumeRole | None,
) -> BotoApi:
    """Return the interface to AWS for a module or plugin based on amazon.aws.

    :arg make_client: the method ``client`` of the module or plugin.
    :arg options: the connection options of amazon.aws.
    :arg connect: returns the connection settings. amazon.aws reads them with another message if there are two credentials.
    :arg width: the maximum number of concurrent requests.
    :arg role: the role to assume for all requests, or None to use the credentials directly.
    :raises AwsError: when the profile does not exist, or the configuration files of AWS are malformed.
    :raises InputError: when the options have both a profile and access keys.
    """
    if has_two_credentials(options):
        raise InputError([TWO_CREDENTIALS])
    connection = connect()
    if connection.profile:
        # The error message of amazon.aws would not name the cause.
        with as_aws_errors("sts"):
            Session(profile=connection.profile).get_scoped_config()
    if role is None:
        return BotoApi(lambda service: make_client(service, aws_config=client_config(width)), width=width)
    return session_with(make_client, connection, role).api(width)


def session_with(make_client: Callable[..., Any], connection: Connection, role: AssumeRole) -> AssumedSession:
    """Return the session of an assumed role, for example to sign tokens for an EKS cluster.

    :arg make_client: the method ``client`` of a module or plugin based on amazon.aws; it creates the clients for AssumeRole.
    :arg connection: the connection settings.
    """
    source = BotoApi(lambda service: make_client(service, aws_config=client_config(1)), width=1)
    return AssumedSession(role, source, connection)


def has_two_credentials(options: Mapping[str, Any]) -> bool:
    """Return whether the options of amazon.aws have both a profile and access keys, including those from the environment."""
    return bool(options.get("profile")) and any(
        map(options.get, ("access_key", "secret_key", "session_token"))
    )
