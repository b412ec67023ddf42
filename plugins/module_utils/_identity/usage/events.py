# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Parse CloudTrail events, and add up the events of roles. Pure.

Only sessions and totals are kept in memory, because an account can have millions of events. Sources: AWS CloudTrail User Guide,
"CloudTrail record contents"; for sessions, the events of sts AssumeRole and AssumeRoleWithWebIdentity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

POD_IDENTITY_SERVICE = "pods.eks.amazonaws.com"
# EKS Pod Identity starts sessions of six hours. So an event can belong to a session that began up to six hours earlier.
LOOK_BACK = timedelta(hours=6)
# The maximum number of resources that a tally counts separately. For further resources it counts their ``parent_pattern``, until
# it has MOST_PATTERNS entries.
MOST_RESOURCES = 500
MOST_PATTERNS = 2 * MOST_RESOURCES
_LONGEST_ARN = 2_048
_LONGEST_MESSAGE = 400
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_ROLE_ARN = re.compile(r"arn:[a-z0-9-]+:(?:iam|sts)::(\d{12}):(?:role/(?:.*/)?|assumed-role/)([^/]+)(?:/.*)?")
# The error codes that mean a missing permission, without the prefix "Client." of EC2.
_DENIALS = frozenset(
    (
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "UnauthorizedAccess",
        "UnauthorizedOperation",
    )
)


class EventError(ValueError):
    """The error for a record that is not a CloudTrail event. The message completes a sentence such as "record 3 ..."."""


def format_event_time(time: datetime) -> str:
    """Return a time in the format of events, such as 2026-11-29T10:00:00Z."""
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_event_time(text: str) -> datetime:
    """Return the time of an event. Raises ValueError."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def role_key(arn: str) -> str:
    """Return a role as "account/name" in lower case, from the ARN of the role or of a session. Return "" for any other text.

    IAM names are case-insensitive, and the ARN of a session has no path.
    """
    match = _ROLE_ARN.fullmatch(arn)
    return f"{match[1]}/{match[2]}".lower() if match else ""


@dataclass(frozen=True, slots=True)
class UsageScope:
    """A selection of events: the events of certain roles in a period.

    ``roles`` are from ``role_key``. ``begin`` and ``end`` are times in the format of events, or "" without a limit.
    ``sessions_from`` is the time from which sessions matter, ``LOOK_BACK`` before the period.
    """

    roles: frozenset[str]
    begin: str = ""
    end: str = ""
    sessions_from: str = ""


def usage_scope(
    role_arns: Iterable[str], begin: datetime | None = None, end: datetime | None = None
) -> UsageScope:
    """Return the selection of the events of roles from ``begin`` to ``end``. None means without a limit."""
    return UsageScope(
        frozenset(filter(None, map(role_key, role_arns))),
        format_event_time(begin) if begin else "",
        format_event_time(end) if end else "",
        format_event_time(begin - LOOK_BACK) if begin else "",
    )


@dataclass(frozen=True, slots=True)
class SessionStart:
    """The start of a session of a role.

    ``kind`` is "pod_identity", "irsa", "chained" (started by a session of a role) or "other". ``principal`` has the form
    ROLE_ID:SESSION_NAME. ``cluster_arn``, ``namespace``, ``service_account`` and ``pod`` are from the session tags, or from the
    token of IRSA, or "". ``issuer`` is the OIDC provider of IRSA, without https://. For a chained session, ``source`` is the
    access key and principal of the caller.
    """

    access_key: str
    principal: str
    role: str
    kind: str
    name: str
    begin: str
    cluster_arn: str = ""
    namespace: str = ""
    service_account: str = ""
    pod: str = ""
    issuer: str = ""
    source: tuple[str, str] = ("", "")


class CallKey(NamedTuple):
    """The key of a ``Tally``: a session, its role, and a kind of event.

    ``variant`` has the parameters of the request that require other actions, such as "version" (see ``_variant``).
    """

    access_key: str
    principal: str
    role: str
    source: str
    name: str
    variant: str
    denied: bool


class Tally:
    """The number of events with the same key, the time of the last one, and their resources.

    ``failed`` counts the events with an error other than a denial. ``resources`` maps the ARNs of an event, in the syntax of
    policies, to the number of events with these ARNs and the time of the last one.
    """

    __slots__ = ("count", "failed", "last", "message", "resources")

    def __init__(self) -> None:
        self.count = 0
        self.failed = 0
        self.last = ""
        self.message = ""
        self.resources: dict[tuple[str, ...], tuple[int, str]] = {}

    def add(self, arns: tuple[str, ...], time: str, failed: bool, message: str) -> None:
        self.count += 1
        self.failed += failed
        self.last = max(self.last, time)
        self.message = self.message or message
        self._add_resource(arns, 1, time)

    def merge(self, other: Tally) -> None:
        self.count += other.count
        self.failed += other.failed
        self.last = max(self.last, other.last)
        self.message = self.message or other.message
        for arns, (count, last) in other.resources.items():
            self._add_resource(arns, count, last)

    def forget_resources(self) -> None:
        """Forget the resources of all events, to save memory. The events then count as events that name no resource."""
        self.resources = {(): (self.count, self.last)}

    def _add_resource(self, arns: tuple[str, ...], count: int, time: str) -> None:
        resources = self.resources
        if arns not in resources and len(resources) >= MOST_RESOURCES:
            arns = _parents(arns)
            if arns not in resources and len(resources) >= MOST_PATTERNS:
                arns = ("*",) if arns else ()
        known_count, last = resources.get(arns, (0, ""))
        resources[arns] = (known_count + count, max(last, time))


def parent_pattern(arn: str) -> str:
    """Return a pattern that matches a resource and its siblings, such as arn:aws:s3:::bucket/* for an object.

    The pattern replaces the part of the resource after its first slash, or else after its last colon, or else all of it.
    """
    *head, resource = arn.split(":", 5)
    if len(head) < 5:
        return "*"
    if "/" in resource:
        last = f"{resource.partition('/')[0]}/*"
    else:
        last = f"{resource.rpartition(':')[0]}:*" if ":" in resource else "*"
    return ":".join((*head, last))


def _parents(arns: tuple[str, ...]) -> tuple[str, ...]:
    """Replace the most specific ARNs of an event with patterns.

    The event of an S3 object has the ARNs of the object and its bucket. Only the ARN of the object becomes a pattern.
    """
    inner = [arn for arn in arns if "/" in arn.split(":", 5)[-1]]
    chosen = inner or arns
    return tuple(dict.fromkeys(parent_pattern(arn) if arn in chosen else arn for arn in arns))


def policy_text(arn: str) -> str:
    """Return an ARN with wildcards and dollar signs escaped, because they have a special meaning in policies."""
    if "*" not in arn and "?" not in arn and "$" not in arn:
        return arn
    return "".join(f"${{{character}}}" if character in "*?$" else character for character in arn)


@dataclass(slots=True)
class EventTotals:
    """The sessions and tallies of some events, for example of one file.

    ``first`` and ``last`` are the times of the first and last event of any caller. ``data_sources`` has the event sources of all
    data events. ``refused`` is the number of requests for credentials in one cluster that EKS rejected, ``last_refused`` the time
    of the last one. ``problems`` describe records and files that could not be read.
    """

    sessions: list[SessionStart] = field(default_factory=list)
    calls: dict[CallKey, Tally] = field(default_factory=dict)
    events: int = 0
    first: str = ""
    last: str = ""
    data_sources: set[str] = field(default_factory=set)
    refused: int = 0
    last_refused: str = ""
    problems: list[str] = field(default_factory=list)

    def add(self, record: object, scope: UsageScope, cluster: str = "") -> None:
        """Add an event.

        :arg cluster: the name of the cluster whose rejected requests for credentials are counted.
        :raises EventError: when the record is not an event.
        """
        if not isinstance(record, dict):
            raise EventError("is not a mapping, so it is not an event")
        if "insightDetails" in record:
            return
        time, source, name = record.get("eventTime"), record.get("eventSource"), record.get("eventName")
        if not isinstance(time, str) or len(time) != 20 or not _TIME.fullmatch(time):
            raise EventError("has no eventTime such as 2026-11-29T10:00:00Z")
        if not isinstance(source, str) or not isinstance(name, str):
            raise EventError("has no eventSource or no eventName")
        self.events += 1
        if not self.first or time < self.first:
            self.first = time
        if time > self.last:
            self.last = time
        if record.get("managementEvent") is False or record.get("eventCategory") == "Data":
            self.data_sources.add(source)
        if scope.end and time > scope.end:
            return
        starts = source == "sts.amazonaws.com" and name.startswith("AssumeRole")
        if starts and time >= scope.sessions_from and (session := parse_session(record, time)):
            self.sessions.append(session)
        if time < scope.begin:
            return
        if source == "eks-auth.amazonaws.com" and name == "AssumeRoleForPodIdentity":
            self._count_refused(record, time, cluster)
        self._add_call(record, source, name, time, scope)

    def _count_refused(self, record: Mapping[str, Any], time: str, cluster: str) -> None:
        """Count a request for credentials if EKS rejected it. Such events name the cluster and node, but no service account."""
        if record.get("errorCode") and _mapping(record, "requestParameters").get("clusterName") == cluster:
            self.refused += 1
            self.last_refused = max(self.last_refused, time)

    def _add_call(
        self, record: Mapping[str, Any], source: str, name: str, time: str, scope: UsageScope
    ) -> None:
        identity = _mapping(record, "userIdentity")
        if identity.get("type") != "AssumedRole":
            return
        role = _session_role(identity)
        if role not in scope.roles:
            return
        error = record.get("errorCode")
        denied = isinstance(error, str) and error.removeprefix("Client.") in _DENIALS
        failed = bool(error) and not denied
        message = _text(record, "errorMessage")[:_LONGEST_MESSAGE] if denied else ""
        session = _text(identity, "accessKeyId"), _text(identity, "principalId")
        for label, variant, arns in _parts(record, source, name, identity):
            key = CallKey(*session, role, source, label, variant, denied)
            tally = self.calls.get(key)
            if tally is None:
                tally = self.calls[key] = Tally()
            tally.add(arns, time, failed, message)


def parse_session(record: Mapping[str, Any], time: str) -> SessionStart | None:
    """Return the session that an event of AWS STS started, or None if it started none."""
    response = _mapping(record, "responseElements")
    parameters = _mapping(record, "requestParameters")
    user = _mapping(response, "assumedRoleUser")
    key = _text(_mapping(response, "credentials"), "accessKeyId")
    principal = _text(user, "assumedRoleId")
    role = role_key(_text(parameters, "roleArn")) or role_key(_text(user, "arn"))
    if record.get("errorCode") or not role or not (key or principal):
        return None
    identity = _mapping(record, "userIdentity")
    session_name = _text(parameters, "roleSessionName")
    if identity.get("type") == "WebIdentityUser":
        parts = _text(identity, "userName").split(":")
        is_account = len(parts) == 4 and parts[:2] == ["system", "serviceaccount"]
        issuer = _text(identity, "identityProvider").rpartition("oidc-provider/")[2].removeprefix("https://")
        if is_account:
            return SessionStart(
                key, principal, role, "irsa", session_name, time, "", parts[2], parts[3], issuer=issuer
            )
        return SessionStart(key, principal, role, "other", session_name, time)
    caller = _text(identity, "accessKeyId"), _text(identity, "principalId")
    # In the account of the role, a caller from another account appears as an account, with the principal of its session.
    if identity.get("type") in ("AssumedRole", "AWSAccount") and ":" in caller[1]:
        return SessionStart(key, principal, role, "chained", session_name, time, source=caller)
    if identity.get("invokedBy") != POD_IDENTITY_SERVICE:
        return SessionStart(key, principal, role, "other", session_name, time)
    tags = dict(_tags(parameters))
    return SessionStart(
        key,
        principal,
        role,
        "pod_identity",
        session_name,
        time,
        tags.get("eks-cluster-arn", ""),
        tags.get("kubernetes-namespace", ""),
        tags.get("kubernetes-service-account", ""),
        tags.get("kubernetes-pod-uid", "") or tags.get("kubernetes-pod-name", ""),
    )


def _tags(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    tags = parameters.get("tags")
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, dict):
            yield _text(tag, "key"), _text(tag, "value")


def _session_role(identity: Mapping[str, Any]) -> str:
    issuer = _mapping(_mapping(identity, "sessionContext"), "sessionIssuer")
    return role_key(_text(issuer, "arn")) or role_key(_text(identity, "arn"))


_COPIES = ("CopyObject", "UploadPartCopy")


def _parts(
    record: Mapping[str, Any], source: str, name: str, identity: Mapping[str, Any]
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield the event name, the variant (see ``_variant``) and the ARNs of a call.

    A copy in S3 yields two tuples, the first of which is the read of the source.
    """
    parameters = _mapping(record, "requestParameters")
    partition = _text(identity, "arn").split(":")[1:2]
    place = _Place(
        partition[0] if partition else "aws",
        _text(record, "awsRegion"),
        _text(record, "recipientAccountId") or _text(identity, "accountId"),
    )
    if source == "s3.amazonaws.com":
        if name in _COPIES:
            copied = _text(parameters, "x-amz-copy-source").lstrip("/").partition("?")[0]
            read = _clean((f"arn:{place.partition}:s3:::{copied}",)) if "/" in copied else ()
            yield f"{name} (source)", "", read
            # The resources of this event can include the copied object. Only the parameters name the destination.
            yield name, _variant(parameters), _clean(_built(source, parameters, place))
            return
        yield name, _variant(parameters), _clean(_arns(record, source, parameters, place))
        return
    yield name, "", _clean(_arns(record, source, parameters, place))


def _variant(parameters: Mapping[str, Any]) -> str:
    """Return marks, joined by plus signs, for the parameters of a request to S3 that require other or further actions."""
    marks = [
        mark
        for mark, names in (
            ("version", ("versionId",)),
            ("acl", ("x-amz-acl", "x-amz-grant-read", "x-amz-grant-full-control")),
            ("tagging", ("x-amz-tagging",)),
        )
        if any(parameters.get(name) for name in names)
    ]
    return "+".join(marks)


class _Place(NamedTuple):
    partition: str
    region: str
    account: str


def _arns(
    record: Mapping[str, Any], source: str, parameters: Mapping[str, Any], place: _Place
) -> Iterator[str]:
    """Yield the ARNs of an event: its resources, the ARNs among its parameters, and the resources that a parameter names."""
    table, index = _text(parameters, "tableName"), _text(parameters, "indexName")
    if source == "dynamodb.amazonaws.com" and index and not table.startswith("arn:"):
        # A request to an index needs the permission on the index only, but CloudTrail lists its table.
        yield f"arn:{place.partition}:dynamodb:{place.region}:{place.account}:table/{table}/index/{index}"
        return
    resources = record.get("resources")
    for resource in resources if isinstance(resources, list) else ():
        if isinstance(resource, dict):
            yield _text(resource, "ARN")
    for value in parameters.values():
        if isinstance(value, str) and value.startswith("arn:"):
            yield value
    yield from _built(source, parameters, place)


# The ARN of a resource that a parameter names, by event source. The fields are the parts of ``_Place`` and the value.
_TEMPLATES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "dynamodb.amazonaws.com": (("tableName", "arn:{0}:dynamodb:{1}:{2}:table/{3}"),),
    "ecr.amazonaws.com": (("repositoryName", "arn:{0}:ecr:{1}:{2}:repository/{3}"),),
    "eks.amazonaws.com": (("name", "arn:{0}:eks:{1}:{2}:cluster/{3}"),),
    "firehose.amazonaws.com": (("deliveryStreamName", "arn:{0}:firehose:{1}:{2}:deliverystream/{3}"),),
    "kinesis.amazonaws.com": (("streamName", "arn:{0}:kinesis:{1}:{2}:stream/{3}"),),
    "lambda.amazonaws.com": (("functionName", "arn:{0}:lambda:{1}:{2}:function:{3}"),),
    # Secrets Manager appends a hyphen and six random characters to the name of a secret.
    "secretsmanager.amazonaws.com": (("secretId", "arn:{0}:secretsmanager:{1}:{2}:secret:{3}-??????"),),
    "ssm.amazonaws.com": (
        ("name", "arn:{0}:ssm:{1}:{2}:parameter/{3}"),
        ("names", "arn:{0}:ssm:{1}:{2}:parameter/{3}"),
        ("path", "arn:{0}:ssm:{1}:{2}:parameter/{3}"),
    ),
}
_QUEUE = re.compile(
    r"https://(?:sqs\.[a-z0-9-]+|[a-z0-9-]+\.queue|queue)\.amazonaws\.com(?:\.cn)?/(\d{12})/([\w.-]+)"
)


def _built(source: str, parameters: Mapping[str, Any], place: _Place) -> Iterator[str]:
    if source == "s3.amazonaws.com":
        bucket, key = _text(parameters, "bucketName"), _text(parameters, "key")
        if bucket:
            yield f"arn:{place.partition}:s3:::{bucket}" + (f"/{key}" if key else "")
    elif source == "sqs.amazonaws.com" and (queue := _QUEUE.fullmatch(_text(parameters, "queueUrl"))):
        yield f"arn:{place.partition}:sqs:{place.region}:{queue[1]}:{queue[2]}"
    if not (place.account and place.region):
        return
    for parameter, template in _TEMPLATES.get(source, ()):
        values = parameters.get(parameter)
        for value in values if isinstance(values, list) else (values,):
            if isinstance(value, str) and value and not value.startswith("arn:"):
                yield template.format(*place, value.lstrip("/"))


def _clean(arns: Iterable[str]) -> tuple[str, ...]:
    """Return the ARNs in the syntax of policies, without duplicates and without texts that cannot be in a policy."""
    found: dict[str, None] = {}
    for arn in arns:
        if arn.startswith("arn:") and len(arn) <= _LONGEST_ARN and arn.count(":") >= 5 and _is_storable(arn):
            name = arn.removesuffix("-??????")
            # Only the suffix of a secret is a wildcard.
            found[f"{policy_text(name)}-??????" if name != arn else policy_text(arn)] = None
    return tuple(found)


def _is_storable(text: str) -> bool:
    """Return whether IAM accepts all characters of a text: U+0020 to U+00FF, without control characters."""
    return (text.isascii() and text.isprintable()) or all(
        character.isprintable() and character <= "ÿ" for character in text
    )


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    member = value.get(name)
    return member if isinstance(member, dict) else {}


def _text(value: Mapping[str, Any], name: str) -> str:
    member = value.get(name)
    return member if isinstance(member, str) else ""
