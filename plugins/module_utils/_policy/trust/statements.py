# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Trust statements for EKS Pod Identity that allow exactly the workloads of a grant, and their merge into a policy.

The condition keys are those that the EKS User Guide names for trust policies: aws:SourceAccount and the session tags as
aws:RequestTag ("Grant Pods access to AWS resources based on tags"). A merge keeps changes of other processes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..evaluation.request import ACTIONS, SERVICE
from ..language.canonical import same_meaning
from ..language.document import PolicyDocument

SID_PREFIX = "EksPodIdentity"
# The Sid that the EKS User Guide shows.
BARE_SID = "AllowEksAuthToAssumeRoleForPodIdentity"

_ACCOUNT = "aws:SourceAccount"
_CLUSTER = "aws:RequestTag/eks-cluster-arn"
_NAMESPACE = "aws:RequestTag/kubernetes-namespace"
_SERVICE_ACCOUNT = "aws:RequestTag/kubernetes-service-account"


@dataclass(frozen=True, slots=True, order=True)
class TrustGrant:
    """Who may use the role: everything below the last part that is given.

    Scope "workload" gives all four parts, "namespace" the first three, "cluster" the first two,
    "account" the first, "none" not one.
    """

    account_id: str = ""
    cluster_arn: str = ""
    namespace: str = ""
    service_account: str = ""


def grant_for(
    scope: str, account_id: str, cluster_arn: str, namespace: str, service_account: str
) -> TrustGrant:
    """The grant of one workload under a trust scope."""
    parts = (account_id, cluster_arn, namespace, service_account)
    given = {"none": 0, "account": 1, "cluster": 2, "namespace": 3, "workload": 4}[scope]
    return TrustGrant(*parts[:given])


def covered(grant: TrustGrant, grants: Iterable[TrustGrant]) -> bool:
    """Whether a wider one of ``grants`` (or the same) already lets in all whom ``grant`` does."""
    parts = _parts(grant)
    return any(parts[: len(wide)] == wide for wide in map(_parts, grants))


def widest(grants: Iterable[TrustGrant]) -> set[TrustGrant]:
    """The same without grants that another one covers."""
    given = set(grants)
    return {grant for grant in given if not covered(grant, given - {grant})}


def _parts(grant: TrustGrant) -> tuple[str, ...]:
    """The parts that a grant names; a grant with fewer of them is wider."""
    parts = (grant.account_id, grant.cluster_arn, grant.namespace, grant.service_account)
    return tuple(part for part in parts if part)


def trust_policy(grants: Iterable[TrustGrant]) -> PolicyDocument:
    """A trust policy with exactly these grants and no cross product of them.

    Service accounts of one namespace share a statement, which keeps the document small.
    """
    statements: dict[tuple[TrustGrant, bool], list[str]] = {}
    for grant in sorted(set(grants)):
        place = TrustGrant(grant.account_id, grant.cluster_arn, grant.namespace)
        names = statements.setdefault((place, bool(grant.service_account)), [])
        if grant.service_account:
            names.append(grant.service_account)
    listed = [_statement(place, names) for (place, _named), names in sorted(statements.items())]
    return PolicyDocument({"Version": "2012-10-17", "Statement": listed})


def _statement(place: TrustGrant, names: Sequence[str]) -> dict[str, object]:
    equals: dict[str, object] = {}
    for key, value in (
        (_ACCOUNT, place.account_id),
        (_CLUSTER, place.cluster_arn),
        (_NAMESPACE, place.namespace),
    ):
        if value:
            equals[key] = value
    if names:
        equals[_SERVICE_ACCOUNT] = names[0] if len(names) == 1 else list(names)
    statement: dict[str, object] = {
        "Sid": _sid(place, bool(names)),
        "Effect": "Allow",
        "Principal": {"Service": SERVICE},
        "Action": list(ACTIONS),
    }
    if equals:
        statement["Condition"] = {"StringEquals": equals}
    return statement


def _sid(place: TrustGrant, named: bool) -> str:
    if not place.account_id:
        return BARE_SID
    if not place.cluster_arn:
        return f"{SID_PREFIX}Account{place.account_id}"
    scope = "Workloads" if named else "Namespace" if place.namespace else "Cluster"
    text = f"{place.cluster_arn}\0{place.namespace}"
    return f"{SID_PREFIX}{scope}{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def closed_policy(cluster_arn: str) -> dict[str, object]:
    """A trust policy that lets nobody in: IAM takes none without a statement. It says which cluster the role was for."""
    statement = {
        "Sid": f"{SID_PREFIX}Nobody",
        "Effect": "Deny",
        "Principal": {"Service": SERVICE},
        "Action": list(ACTIONS),
        "Condition": {"StringEquals": {_CLUSTER: cluster_arn}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def closed(document: Mapping[str, object], cluster_arn: str) -> Mapping[str, object]:
    """Return a trust policy that allows nothing with the statement of one that lets nobody in; any other as it is."""
    statements = _statements(document)
    if any(isinstance(statement, Mapping) and statement.get("Effect") == "Allow" for statement in statements):
        return document
    closing = closed_policy(cluster_arn)
    others = [statement for statement in statements if not _closed_for(statement)]
    return {**closing, **document, "Statement": join_statements(others, _statements(closing))}


def closed_for(document: Mapping[str, object]) -> str:
    """The ARN of the cluster for which a trust policy was closed; empty when it was not."""
    return next(filter(None, map(_closed_for, _statements(document))), "")


def _closed_for(statement: object) -> str:
    if not isinstance(statement, Mapping) or statement.get("Effect") != "Deny":
        return ""
    condition = statement.get("Condition", {})
    equals = condition.get("StringEquals", {}) if isinstance(condition, Mapping) else {}
    arn = _single(equals.get(_CLUSTER, "")) if isinstance(equals, Mapping) else ""
    (closing,) = _statements(closed_policy(str(arn)))
    return str(arn) if _comparable(statement) == _comparable(closing) else ""


def _statements(document: Mapping[str, object]) -> list[object]:
    statements = document.get("Statement", [])
    return statements if isinstance(statements, list) else [statements]


def foreign_denies(
    document: Mapping[str, object], given: Mapping[str, object] | None = None
) -> list[Mapping[str, object]]:
    """Return the Deny statements that were not written by this collection.

    :arg given: a trust policy that a user gives as a whole. Its Deny statements are known, in whatever spelling.
    """
    _grants, others = read_grants(document)
    known = [statement for statement in _statements(given or {}) if _is_deny(statement)]
    return [
        statement
        for statement in others
        if isinstance(statement, Mapping)
        and _is_deny(statement)
        and not any(_same_statement(statement, other) for other in known)
    ]


def _is_deny(statement: object) -> bool:
    return isinstance(statement, Mapping) and statement.get("Effect") == "Deny"


def _same_statement(one: object, other: object) -> bool:
    first, second = ({"Version": "2012-10-17", "Statement": [statement]} for statement in (one, other))
    return same_meaning(first, second, "trust")


def join_statements(kept: Iterable[object], added: Iterable[object]) -> list[object]:
    """Return statements that are kept as they are, and further ones. A kept statement loses its Sid only where an added one
    has the same, because IAM accepts each Sid once in a document."""
    further = list(added)
    sids = {statement.get("Sid") for statement in further if isinstance(statement, Mapping)} - {None}
    return [
        {name: value for name, value in statement.items() if name != "Sid"}
        if isinstance(statement, Mapping) and statement.get("Sid") in sids
        else statement
        for statement in kept
    ] + further


def with_grants(
    document: Mapping[str, object], others: Iterable[object], grants: Iterable[TrustGrant]
) -> dict[str, object]:
    """Return a trust policy with other statements, and statements of ours for these grants."""
    granted = trust_policy(grants)["Statement"]
    return {**document, "Statement": join_statements(others, _statements({"Statement": granted}))}


def read_grants(document: Mapping[str, object]) -> tuple[set[TrustGrant], list[object]]:
    """The grants that our own statements give, and all other statements of a trust policy.

    A statement counts as ours only if writing its grants again gives the very same statement. One that closes the
    policy grants nothing, and is gone as soon as something is granted.
    """
    grants: set[TrustGrant] = set()
    others: list[object] = []
    for statement in _statements(document):
        if _closed_for(statement):
            continue
        own = _grants_of(statement)
        if own is None:
            others.append(statement)
        else:
            grants |= own
    return grants, others


def _grants_of(statement: object) -> set[TrustGrant] | None:
    if not isinstance(statement, Mapping):
        return None
    sid = statement.get("Sid")
    if not isinstance(sid, str) or not (sid.startswith(SID_PREFIX) or sid == BARE_SID):
        return None
    condition = statement.get("Condition", {})
    equals = condition.get("StringEquals", {}) if isinstance(condition, Mapping) else {}
    if not isinstance(equals, Mapping):
        return None
    account_id, cluster_arn, namespace = (
        _single(equals.get(key, "")) for key in (_ACCOUNT, _CLUSTER, _NAMESPACE)
    )
    names = equals.get(_SERVICE_ACCOUNT, "")
    names = names if isinstance(names, list) else [names]
    if not all(isinstance(part, str) for part in (account_id, cluster_arn, namespace, *names)):
        return None
    grants = {TrustGrant(account_id, cluster_arn, namespace, name) for name in names}
    rewritten = trust_policy(grants)["Statement"]
    if not isinstance(rewritten, list) or len(rewritten) != 1:
        return None
    return grants if _comparable(rewritten[0]) == _comparable(statement) else None


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _comparable(value: object) -> object:
    """A statement with single values as lists and lists in order, as IAM may return either."""
    if isinstance(value, Mapping):
        return {str(key): _comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted(map(str, value))
    return [str(value)]


_Document = Mapping[str, object]


def merge_trust(before: _Document, after: _Document, present: _Document) -> _Document:
    """``present`` with the grants and statements that ``after`` has more than ``before``, and without those that it
    has less. The last statement stays: without any it is no trust policy."""
    if same_meaning(before, present, "trust"):
        return after
    old_grants, old_others = read_grants(before)
    new_grants, new_others = read_grants(after)
    grants, others = read_grants(present)
    granted = (grants - (old_grants - new_grants)) | (new_grants - old_grants)
    gone = [statement for statement in old_others if statement not in new_others]
    kept = [statement for statement in others if statement not in gone]
    more = [statement for statement in new_others if statement not in old_others and statement not in kept]
    merged = with_grants(present, [*kept, *more], granted)
    if cluster_arn := closed_for(after):
        return closed(merged, cluster_arn)
    return merged if merged["Statement"] else present
