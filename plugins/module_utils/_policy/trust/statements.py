# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the statements of a trust policy that allow certain workloads, read them back, and merge them into other policies.

The statements limit the workloads with conditions on aws:SourceAccount and on the session tags (aws:RequestTag). Source:
Amazon EKS User Guide, "Grant Pods access to AWS resources based on tags".

A statement is "marked" if ``trust_policy`` or ``closed_policy`` would build the same statement with its Sid, otherwise "foreign".
The Sid names the writer of a marked statement: an owner of workloads, and the cluster of the workloads.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from ..evaluation.pods import ACTIONS, SERVICE
from ..language.canonical import same_meaning
from ..language.document import PolicyDocument, document_statements

SID_PREFIX = "EksPodIdentity"
# The Sid in the examples of the EKS User Guide. A statement with this Sid is foreign.
BARE_SID = "AllowEksAuthToAssumeRoleForPodIdentity"
MARKED_SID = re.compile(rf"{SID_PREFIX}([0-9a-f]{{12}})[0-9a-f]{{8}}")
_NO_WRITER = "0" * 12

_ACCOUNT = "aws:SourceAccount"
_CLUSTER = "aws:RequestTag/eks-cluster-arn"
_NAMESPACE = "aws:RequestTag/kubernetes-namespace"
_SERVICE_ACCOUNT = "aws:RequestTag/kubernetes-service-account"


@dataclass(frozen=True, slots=True, order=True)
class TrustGrant:
    """The workloads that may use a role: a single workload, or all workloads of a namespace, cluster or account.

    An empty field means any value. The trust scope "workload" sets the first four fields, "namespace" the first three, "cluster"
    the first two, "account" only the first, and "anyone_in_account" sets no field. A namespace or service account with "*" is a
    pattern, in which "*" matches any text. ``writer`` is the result of ``writer_of`` for the writer of the statement.
    """

    account_id: str = ""
    cluster_arn: str = ""
    namespace: str = ""
    service_account: str = ""
    writer: str = _NO_WRITER

    @property
    def is_single(self) -> bool:
        """Return whether the grant is for one workload."""
        return bool(self.service_account) and not self.is_pattern

    @property
    def is_pattern(self) -> bool:
        return "*" in self.namespace or "*" in self.service_account

    def includes(self, cluster_arn: str, namespace: str, service_account: str) -> bool:
        """Return whether the grant includes a workload of the account of the grant."""
        return self.cluster_arn in ("", cluster_arn) and all(
            not pattern or fnmatchcase(name, pattern)
            for name, pattern in ((namespace, self.namespace), (service_account, self.service_account))
        )


def writer_of(owner: str, cluster_arn: str = "") -> str:
    """Return the part of a Sid that names the writer of a statement.

    :arg cluster_arn: the cluster of the workloads; "" for a statement that allows workloads of several clusters.
    """
    return _digest(12, owner, cluster_arn)


def _digest(length: int, *parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:length]


def covered(grant: TrustGrant, grants: Iterable[TrustGrant]) -> bool:
    """Return whether one of ``grants`` includes all workloads of ``grant``. The writers are ignored."""
    parts = _parts(grant)
    return any(parts[: len(wide)] == wide for wide in map(_parts, grants))


def widest(grants: Iterable[TrustGrant]) -> set[TrustGrant]:
    """Return the grants whose workloads no other grant includes."""
    unique = set(grants)
    return {grant for grant in unique if not covered(grant, unique - {grant})}


def _parts(grant: TrustGrant) -> tuple[str, ...]:
    """Return the values of the fields that are not empty, without the writer."""
    parts = (grant.account_id, grant.cluster_arn, grant.namespace, grant.service_account)
    return tuple(part for part in parts if part)


def trust_policy(grants: Iterable[TrustGrant]) -> PolicyDocument:
    """Build a trust policy that allows exactly the workloads of the grants.

    Service accounts of the same namespace share a statement, because the size of a trust policy is limited.
    """
    statements: dict[tuple[TrustGrant, bool], list[str]] = {}
    for grant in sorted(set(grants)):
        place = replace(grant, service_account="") if grant.is_single else grant
        names = statements.setdefault((place, grant.is_single), [])
        if grant.is_single:
            names.append(grant.service_account)
    ordered = [_grant_statement(place, names) for (place, _named), names in sorted(statements.items())]
    return PolicyDocument({"Version": "2012-10-17", "Statement": ordered})


def _grant_statement(place: TrustGrant, names: Sequence[str]) -> dict[str, object]:
    equals: dict[str, object] = {}
    like: dict[str, object] = {}
    for key, value in (
        (_ACCOUNT, place.account_id),
        (_CLUSTER, place.cluster_arn),
        (_NAMESPACE, place.namespace),
        (_SERVICE_ACCOUNT, place.service_account),
    ):
        if value and value != "*":
            (like if "*" in value else equals)[key] = value
    if names:
        equals[_SERVICE_ACCOUNT] = names[0] if len(names) == 1 else list(names)
    kind = "names" if names else "pattern" if place.is_pattern else ""
    place_digest = _digest(8, kind, *_parts(place))
    statement: dict[str, object] = {
        "Sid": f"{SID_PREFIX}{place.writer}{place_digest}",
        "Effect": "Allow",
        "Principal": {"Service": SERVICE},
        "Action": list(ACTIONS),
    }
    condition = {"StringEquals": equals, "StringLike": like}
    if equals or like:
        statement["Condition"] = {operator: keys for operator, keys in condition.items() if keys}
    return statement


def closed_policy(cluster_arn: str) -> dict[str, object]:
    """Build a trust policy that allows nothing.

    IAM requires at least one statement, so the policy has a Deny statement. Its condition has the ARN of the cluster.
    """
    statement = {
        "Sid": f"{SID_PREFIX}Nobody",
        "Effect": "Deny",
        "Principal": {"Service": SERVICE},
        "Action": list(ACTIONS),
        "Condition": {"StringEquals": {_CLUSTER: cluster_arn}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def closed(document: Mapping[str, object], cluster_arn: str) -> Mapping[str, object]:
    """Add the Deny statement of ``closed_policy`` to a trust policy without Allow statements.

    A policy with an Allow statement is returned unchanged.
    """
    statements = document_statements(document)
    if any(isinstance(statement, Mapping) and statement.get("Effect") == "Allow" for statement in statements):
        return document
    closing = closed_policy(cluster_arn)
    further = [statement for statement in statements if not _closed_for(statement)]
    return {**closing, **document, "Statement": join_statements(further, document_statements(closing))}


def closed_for(document: Mapping[str, object]) -> str:
    """Return the ARN of the cluster in the Deny statement of ``closed_policy``, or "" if the policy does not have that
    statement.
    """
    return next(filter(None, map(_closed_for, document_statements(document))), "")


def _closed_for(statement: object) -> str:
    if not isinstance(statement, Mapping) or statement.get("Effect") != "Deny":
        return ""
    condition = statement.get("Condition", {})
    equals = condition.get("StringEquals", {}) if isinstance(condition, Mapping) else {}
    arn = _single(equals.get(_CLUSTER, "")) if isinstance(equals, Mapping) else ""
    (closing,) = document_statements(closed_policy(str(arn)))
    return str(arn) if _comparable(statement) == _comparable(closing) else ""


def foreign_denies(
    document: Mapping[str, object], listed_policy: Mapping[str, object] | None = None
) -> list[Mapping[str, object]]:
    """Return the foreign Deny statements of a trust policy.

    :arg listed_policy: a complete trust policy from the user's input. A Deny statement that has the same meaning as one of
        its statements is left out.
    """
    _grants, foreign = read_grants(document)
    policies = [_single_policy(statement) for statement in document_statements(listed_policy or {})]
    return [
        statement
        for statement in foreign
        if isinstance(statement, Mapping)
        and statement.get("Effect") == "Deny"
        and not any(same_meaning(_single_policy(statement), policy, "trust") for policy in policies)
    ]


def _single_policy(statement: object) -> _Document:
    return {"Version": "2012-10-17", "Statement": [statement]}


def join_statements(statements: Iterable[object], added: Iterable[object]) -> list[object]:
    """Return ``statements`` followed by ``added``.

    A statement loses its Sid if an added statement has the same Sid, because Sids must be unique.
    """
    further = list(added)
    sids = {statement.get("Sid") for statement in further if isinstance(statement, Mapping)} - {None}
    return [
        {name: value for name, value in statement.items() if name != "Sid"}
        if isinstance(statement, Mapping) and statement.get("Sid") in sids
        else statement
        for statement in statements
    ] + further


def with_grants(
    document: Mapping[str, object], foreign: Iterable[object], grants: Iterable[TrustGrant]
) -> dict[str, object]:
    """Return a trust policy with the foreign statements, followed by marked statements for the grants."""
    granted = trust_policy(grants)["Statement"]
    return {**document, "Statement": join_statements(foreign, document_statements({"Statement": granted}))}


def read_grants(document: Mapping[str, object]) -> tuple[set[TrustGrant], list[object]]:
    """Split a trust policy into the grants of its marked statements, and its foreign statements.

    The Deny statement of ``closed_policy`` is left out: it is marked, and grants nothing.
    """
    grants: set[TrustGrant] = set()
    foreign: list[object] = []
    for statement in document_statements(document):
        if _closed_for(statement):
            continue
        sid = MARKED_SID.fullmatch(str(statement.get("Sid"))) if isinstance(statement, Mapping) else None
        marked = read_statement(statement, sid[1]) if sid is not None else None
        if marked is None:
            foreign.append(statement)
        else:
            grants |= marked
    return grants, foreign


def read_statement(statement: object, writer: str = "") -> set[TrustGrant] | None:
    """Return the grants of a statement that ``trust_policy`` would build, or None for every other statement.

    :arg writer: the writer in the Sid of a marked statement, which must have the Sid of its grants. Without it, any Sid is
        accepted.
    """
    condition = statement.get("Condition", {}) if isinstance(statement, Mapping) else None
    if not isinstance(statement, Mapping) or not isinstance(condition, Mapping):
        return None
    blocks = [block for block in condition.values() if isinstance(block, Mapping)]
    values = {key: _single(value) for block in blocks for key, value in block.items()}
    account_id, cluster_arn, namespace = (values.get(key, "") for key in (_ACCOUNT, _CLUSTER, _NAMESPACE))
    names = values.get(_SERVICE_ACCOUNT, "")
    names = names if isinstance(names, list) else [names]
    if not all(isinstance(part, str) for part in (account_id, cluster_arn, namespace, *names)):
        return None
    if not namespace and any(names):
        namespace = "*"
    grants = {TrustGrant(account_id, cluster_arn, namespace, name, writer or _NO_WRITER) for name in names}
    rewritten = document_statements(trust_policy(grants))
    if len(rewritten) != 1 or not isinstance(rewritten[0], Mapping):
        return None
    built = rewritten[0]
    if not writer:
        sid = {"Sid": statement["Sid"]} if "Sid" in statement else {}
        built = {**{name: value for name, value in built.items() if name != "Sid"}, **sid}
    return grants if _comparable(built) == _comparable(statement) else None


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _comparable(value: object) -> object:
    """Convert each text and list in a statement to a sorted list, because IAM may return a single value in either form."""
    if isinstance(value, Mapping):
        return {str(key): _comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted(map(str, value))
    return [str(value)]


_Document = Mapping[str, object]


def merge_trust(base: _Document, desired: _Document, current: _Document) -> _Document:
    """Merge a change into a trust policy that another process may have changed in the meantime.

    :arg base: the policy before the planned change.
    :arg desired: the policy after the planned change.
    :arg current: the present policy, to which the differences between ``base`` and ``desired`` are applied.
    :returns: the merged policy, or ``current`` if the merged policy would have no statement. IAM requires at least one.
    """
    if same_meaning(base, current, "trust"):
        return desired
    base_grants, base_statements = read_grants(base)
    desired_grants, desired_statements = read_grants(desired)
    grants, statements = read_grants(current)
    granted = (grants - (base_grants - desired_grants)) | (desired_grants - base_grants)
    removed = [statement for statement in base_statements if statement not in desired_statements]
    remaining = [statement for statement in statements if statement not in removed]
    added = [
        statement
        for statement in desired_statements
        if statement not in base_statements and statement not in remaining
    ]
    merged = with_grants(current, [*remaining, *added], granted)
    if cluster_arn := closed_for(desired):
        return closed(merged, cluster_arn)
    return merged if merged["Statement"] else current
