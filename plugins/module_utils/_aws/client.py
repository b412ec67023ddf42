# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Requests to AWS: clients, pages, and errors as AwsError."""

from __future__ import annotations

import contextlib
import copy
import json
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

# AnsibleAWSModule reports it when botocore is missing.
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

# Retries are those of transport.py: botocore also repeats requests that may be sent once only, and gives up for all threads
# after a hundred retries.
RETRIES = {"mode": "standard", "total_max_attempts": 1}
# Seconds: to connect, between two parts of an answer, and for the whole of an attempt.
TIMEOUTS = {"connect_timeout": 10, "read_timeout": 30}
ATTEMPT_SECONDS = 60.0
# Services of which each region has its own limits. IAM is one for an account.
REGIONAL = frozenset(("eks",))
# A page holds up to 100 associations or 1000 roles; an account has at most 5000 roles.
MOST_PAGES = 1000


class Api(Protocol):
    """Requests to one account of AWS."""

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Response:
        """Return the answer to one request. Raises AwsError."""

    def pages(
        self, service: str, operation: str, parameters: Mapping[str, Any], *results: str
    ) -> Iterable[Any]:
        """Yield the items of all pages, found under ``results``; each page is read when it is needed. Raises AwsError."""

    def in_region(self, region: str) -> Api:
        """Return requests to the same account with regional services in that region; "" is the region of the credentials."""


class ClientModule(Protocol):
    """The part of AnsibleAWSModule that makes clients."""

    params: Mapping[str, Any]

    @property
    def region(self) -> str | None:
        """The region of the module, as asked for or as configured."""

    def client(self, service: str, **extra: Any) -> Any:
        """A boto3 client with the credentials and the region of the module."""


@dataclass(frozen=True, slots=True)
class _Service:
    client: Any
    limiter: RateLimiter


class BotoApi:
    """Requests through boto3 clients, each made at its first use, with a rate of its own: a client for each service of the
    account, and for each region of a regional service.

    ``make_client`` takes the service; ``make_regional`` also takes a region other than ``region``, that of the credentials.
    Without ``make_regional`` there is one region. Threads may share an instance; at most ``width`` requests run at once, in
    all regions together. ``ready`` is called before each request, to renew credentials, and may raise AwsError.
    """

    def __init__(
        self,
        make_client: Callable[[str], Any],
        retries: Retries | None = None,
        width: int = DEFAULT_WIDTH,
        attempt_seconds: float = ATTEMPT_SECONDS,
        region: str = "",
        make_regional: Callable[[str, str], Any] | None = None,
        ready: Callable[[], None] | None = None,
    ) -> None:
        self._attempt_seconds = attempt_seconds
        self._bounded = Bounded()
        self._ready = ready
        self._make_client = make_client
        self._retries = retries or Retries()
        self._free = threading.BoundedSemaphore(max(1, width))
        self._home = region
        self._make_regional = make_regional
        # Where the requests of this view go; "" for that of the credentials.
        self._region = ""
        self._services: dict[tuple[str, str], _Service] = {}
        self._lock = threading.Lock()

    def in_region(self, region: str) -> BotoApi:
        """Return requests in another region, with the same clients and rates for services that are not regional."""
        regional = copy.copy(self)
        regional._region = "" if region == self._home or self._make_regional is None else region
        return regional

    def _service(self, name: str) -> _Service:
        place = name, self._region if name in REGIONAL else ""
        with self._lock:
            if place not in self._services:
                limiter = RateLimiter(self._retries.now, self._retries.sleep)
                self._services[place] = _Service(self._client(*place), limiter)
            return self._services[place]

    def _client(self, service: str, region: str) -> Any:
        if region and self._make_regional is not None:
            return self._make_regional(service, region)
        return self._make_client(service)

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Response:
        """Return the answer of one request. ``operation`` is the name in the API, like "CreateRole"."""
        return self._answer(service, operation, parameters, _ANSWERS.get(operation))

    def pages(
        self, service: str, operation: str, parameters: Mapping[str, Any], *results: str
    ) -> Iterator[Any]:
        """Yield all items of all pages, found under ``results`` (one key inside another) in each answer."""

        def request(parameters: Mapping[str, Any]) -> Response:
            return self._answer(service, operation, parameters, *results)

        for page in _pages(request, service, operation, parameters):
            items: Any = page
            for key in results:
                items = items[key]
            yield from items

    def _answer(
        self, service: str, operation: str, parameters: Mapping[str, Any], *expected: str | None
    ) -> Response:
        complete = dict(parameters)
        if operation in _REQUEST_TOKENS:
            # The same for every attempt, so that EKS recognises a repeated request.
            complete.setdefault(_REQUEST_TOKENS[operation], str(uuid.uuid4()))
        send = partial(self._send, service, operation, complete, [key for key in expected if key])
        turn = self._service(service).limiter.wait
        # Outside of the attempts: AssumeRole has its own attempts and time limit.
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
        """Send the request at the time ``sent``, once. The answer must have the keys ``expected``, one inside another."""
        channel = self._service(service)
        try:
            with self._free:
                raise_if_interrupted()
                request = partial(getattr(channel.client, snake_case(operation)), **parameters)
                answer = cast("Response", self._bounded.within(self._attempt_seconds, request))
        except OutOfTime as error:
            text = f"no complete response within {self._attempt_seconds:g} s"
            raise classify(f"{service}:{operation}", TOO_SLOW, text, True) from error
        except KeyError as error:
            # botocore fails so on a page of XHTML.
            raise _not_aws(service, operation) from error
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            failure = as_aws_error(error, service, operation)
            if failure.kind is ErrorKind.THROTTLED:
                channel.limiter.throttled(sent)
            elif isinstance(error, ClientError):
                channel.limiter.answered()
            raise failure from error
        if not _is_from_aws(answer):
            raise _not_aws(service, operation)
        channel.limiter.answered()
        part: Any = answer
        for key in expected:
            if key not in part:
                raise _malformed(service, operation, f"the answer lacks {key}")
            part = part[key]
        return answer


def answers_by_page(
    api: Api, service: str, operation: str, parameters: Mapping[str, Any]
) -> Iterator[Response]:
    """Yield the answer for each page, for its other members; each page is read when it is needed."""
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
            raise _malformed(service, operation, "the answer gives the page again that was read before it")
        previous = content
        yield page
        token = page.get(name)
        if not page.get("IsTruncated", bool(token)):
            return
        if not token:
            raise _malformed(service, operation, "the answer says that there are more pages, but not which")
        if token in tokens:
            raise _malformed(
                service, operation, "the answer names a page as the next one that was read before"
            )
        tokens.add(token)
        if len(tokens) >= MOST_PAGES:
            raise _malformed(service, operation, f"the answer names another page after {MOST_PAGES}")
        parameters = {**parameters, name: token}


def snake_case(operation: str) -> str:
    """Return the method of a boto3 client for an operation of the API: "create_role" for "CreateRole"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation).lower()


def as_aws_error(error: Exception, service: str, operation: str) -> AwsError:
    """Classify an error of botocore. The text for an unknown parameter names the version of botocore that has it."""
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
        return _malformed(service, operation, "the answer cannot be parsed")
    if isinstance(error, (BotoConnectionError, HTTPClientError)) and not isinstance(error, SSLError):
        never_sent = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError)
        outcome_unknown = not isinstance(error, never_sent)
        return classify(name, type(error).__name__, str(error), outcome_unknown, lost=True)
    return classify(name, type(error).__name__, str(error))


def _is_from_aws(answer: Mapping[str, Any]) -> bool:
    """Return whether the answer has a request ID and is no web page. An answer without metadata did not come by HTTP."""
    metadata = answer.get("ResponseMetadata")
    if metadata is None or "HTTPHeaders" not in metadata:
        return True
    headers = {str(name).lower(): str(value) for name, value in metadata["HTTPHeaders"].items()}
    identified = metadata.get("RequestId") or any(name in headers for name in _REQUEST_IDS)
    return bool(identified) and "html" not in headers.get("content-type", "").lower()


def _not_aws(service: str, operation: str) -> AwsError:
    text = "the answer is not from AWS: it has no request ID, or is a web page"
    return classify(f"{service}:{operation}", NOT_AWS, text, outcome_unknown=True)


def _malformed(service: str, operation: str, why: str) -> AwsError:
    text = f"{why}, as if something between here and AWS had cut it off"
    return classify(f"{service}:{operation}", MALFORMED, text, outcome_unknown=True)


_REQUEST_IDS = ("x-amzn-requestid", "x-amz-request-id")
# The member of an answer that names the next page, and the parameter of a request for it.
_PAGE_TOKENS = {"eks": "nextToken", "iam": "Marker", "organizations": "NextToken"}
# Members that differ between two answers with the same page.
_ENVELOPE = ("IsTruncated", "Marker", "NextToken", "ResponseMetadata", "nextToken")
# The parameter that identifies a request when it is repeated.
_REQUEST_TOKENS = {"CreatePodIdentityAssociation": "clientRequestToken"}

# Members that an answer must have: botocore takes a broken answer for an empty one.
_ANSWERS = {
    "AssumeRole": "Credentials",
    "CreatePolicy": "Policy",
    "CreatePolicyVersion": "PolicyVersion",
    "CreatePodIdentityAssociation": "association",
    "CreateRole": "Role",
    "DescribeAddon": "addon",
    "DescribeCluster": "cluster",
    "DescribePodIdentityAssociation": "association",
    "DescribeRegions": "Regions",
    "GetAccountAuthorizationDetails": "RoleDetailList",
    "GetCallerIdentity": "Account",
    "GetPolicy": "Policy",
    "GetPolicyVersion": "PolicyVersion",
    "GetRole": "Role",
    "GetRolePolicy": "PolicyDocument",
    "ListPodIdentityAssociations": "associations",
    "ListRoles": "Roles",
    "UpdatePodIdentityAssociation": "association",
}


TWO_CREDENTIALS = (
    "a profile (⟨profile⟩, AWS_PROFILE) and access keys (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN) are both "
    "given, and only one of them can be meant; leave the profile out, or unset the variables of the keys."
)
# The first version of botocore with a parameter. Source: its changelog.
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


def api_for(module: ClientModule, width: int, role: AssumeRole | None) -> BotoApi:
    """Return requests with the credentials, region and endpoint of a module, for ``width`` threads.

    With a ``role`` the credentials assume it, and all requests are those of the role.

    :raises AwsError: for a profile that cannot be used.
    :raises InputError: for a profile beside access keys.
    """
    if has_two_credentials(module.params):
        raise InputError([TWO_CREDENTIALS])
    connection = _connection_of(module)
    validate_profile(connection.profile)
    return api_with(module.client, lambda: connection, width, role, module.region or "")


def api_with(
    make_client: Callable[..., Any],
    connect: Callable[[], Connection],
    width: int,
    role: AssumeRole | None,
    region: str = "",
) -> BotoApi:
    """Return requests for ``width`` threads, with the ``role`` if there is one; in ``region``, and in others.

    ``make_client`` is the method ``client`` of a module or plugin of amazon.aws, with the credentials of the job; ``connect``
    returns the connection of the clients of a role.
    """
    if role is None:
        own = partial(_own_client, make_client, client_config(width))
        return BotoApi(own, width=width, region=region, make_regional=own)
    session = session_with(make_client, connect, role)
    assumed = partial(_assumed_client, session, width)
    return BotoApi(assumed, width=width, ready=session.ready, region=region, make_regional=assumed)


def session_with(
    make_client: Callable[..., Any], connect: Callable[[], Connection], role: AssumeRole, lasting: int = 0
) -> AssumedSession:
    """Return the session of a role, for tokens that are signed without a request. Its credentials are valid for ``lasting``
    seconds more whenever they are used."""
    own = partial(_own_client, make_client, client_config(1))
    return AssumedSession(role, BotoApi(own, width=1), connect(), lasting=lasting)


def client_config(width: int) -> dict[str, Any]:
    """Return the configuration of botocore for the clients of a BotoApi."""
    return {"retries": RETRIES, "max_pool_connections": max(10, width), **TIMEOUTS}


def _connection_of(module: ClientModule) -> Connection:
    region, endpoint_url, options = get_aws_connection_info(module)
    return Connection(region, endpoint_url, options.get("profile_name"), options.get("verify"))


def has_two_credentials(options: Mapping[str, Any]) -> bool:
    """Return whether the options of amazon.aws, or their environment variables, have both a profile and access keys."""
    return bool(options.get("profile")) and any(
        map(options.get, ("access_key", "secret_key", "session_token"))
    )


def validate_profile(profile: str | None) -> None:
    """Raise AwsError for a profile that cannot be used; amazon.aws says only that it couldn't connect."""
    if profile:
        try:
            Session(profile=profile).get_scoped_config()
        except BotoCoreError as error:
            raise as_aws_error(error, "sts", "GetCallerIdentity") from error


def _own_client(
    make_client: Callable[..., Any], config: Mapping[str, Any], service: str, region: str = ""
) -> Any:
    where = {"region": region} if region else {}
    return _with_all_members(make_client(service, aws_config=dict(config), **where), service)


def _assumed_client(session: AssumedSession, width: int, service: str, region: str = "") -> Any:
    try:
        return _with_all_members(
            session.client(service, Config(**client_config(width)), region or None), service
        )
    except BotoCoreError as error:
        raise as_aws_error(error, service, "connect") from error


def _with_all_members(client: Any, service: str) -> Any:
    """Let a client of EKS return all members of an association, also those that the installed botocore does not know.

    botocore drops them from the parsed answer. Without them an association that has to be created anew would lose them.
    """
    if service == "eks":
        client.meta.events.register("after-call.eks.DescribePodIdentityAssociation", add_unknown_members)
    return client


def add_unknown_members(http_response: Any, parsed: Response, model: Any, **_event: Any) -> None:
    """Add to the parsed association what only the body of the answer has."""
    if "association" not in parsed:
        return
    known = model.output_shape.members["association"].members
    association = json.loads(http_response.content)["association"]
    parsed["association"] |= {name: value for name, value in association.items() if name not in known}
