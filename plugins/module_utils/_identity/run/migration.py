# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The AWS part of a migration from IRSA: read the roles and associations, remove statements for IRSA, and restore them.

The engine adds statements for EKS Pod Identity and creates the associations, as for every other workload.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

from ..._aws.client import Api, Response
from ..._aws.transport import map_concurrently
from ..._findings.codes import Code
from ..._findings.finding import WorkloadKey
from ..._policy.language.document import document_statements, to_json
from ..._policy.trust.federation import Issuer, ServiceAccountName, with_federation, without_federation
from ..._policy.trust.statements import TrustGrant, read_grants, with_grants, writer_of
from ..model.associations import ObservedAssociation
from ..model.changes import Call, Change, Stage, TagChange, iam_tag_calls
from ..model.cluster import Cluster
from ..model.errors import AwsError
from ..model.migration import (
    Migrant,
    Record,
    RecordError,
    is_wide_elsewhere,
    read_record,
    record_keys,
    record_tags,
)
from ..model.names import parse_role_arn
from ..model.observed import Document
from ..model.roles import ObservedRole, RoleSpec, decode_role
from ..model.targets import Failure, request_failure, role_target, trust_target
from ..read.account import Snapshot
from ..read.reader import none_if_missing
from ..read.roles import read_role
from .access import snapshot_documents
from .consistency import WaitPolicy, send
from .outcome import joined

# The maximum number of attempts to edit a trust policy, which another process may change between the read and the write.
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class MigrationReads:
    """The associations of the cluster, the roles of the account by lower-case name, and policy documents by ARN.

    ``complete`` is false if only the roles of the service accounts could be read, without their policy documents.
    """

    associations: Mapping[WorkloadKey, ObservedAssociation]
    roles: Mapping[str, ObservedRole] = field(default_factory=dict)
    documents: Mapping[str, Document] = field(default_factory=dict)
    complete: bool = True


@dataclass(frozen=True, slots=True)
class PlannedApi:
    """The API that a plan reads from: each role has the trust policy in ``trusts``, by its name, or else its present one.

    So each stage of a plan starts from the changes of the earlier stages.
    """

    api: Api
    trusts: Mapping[str, Document]

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Response:
        response = self.api.call(service, operation, parameters)
        for role in (response.get("Role", {}), *response.get("RoleDetailList", ())):
            if trust := self.trusts.get(role.get("RoleName", "")):
                role["AssumeRolePolicyDocument"] = trust
        return response

    def pages(
        self, service: str, operation: str, parameters: Mapping[str, Any], result: str
    ) -> Iterable[Any]:
        return self.api.pages(service, operation, parameters, result)


def read_roles(
    api: Api,
    cluster: Cluster,
    snapshot: Snapshot,
    associations: Mapping[WorkloadKey, ObservedAssociation],
    role_arns: Iterable[str],
    width: int,
) -> MigrationReads:
    """Return the roles of a complete snapshot with the documents of their policies, or else read ``role_arns``. Raises AwsError.

    Sources: iam GetPolicy and GetPolicyVersion, or GetRole and ListAttachedRolePolicies.
    """
    specs = {
        parts.name.lower(): RoleSpec(parts.name, arn) for arn in role_arns if (parts := parse_role_arn(arn))
    }
    if snapshot.complete:
        roles = [snapshot.roles[name] for name in specs.keys() & snapshot.roles.keys()]
        documents = snapshot_documents(api, snapshot, roles, width)
        return MigrationReads(associations, snapshot.roles, documents)
    found = map_concurrently(lambda spec: read_role(api, cluster, spec, False), specs.values(), width)
    present = {name: role for name, role in zip(specs, found, strict=True) if role is not None}
    return MigrationReads(associations, present, complete=False)


def read_again(
    api: Api, roles: Mapping[str, ObservedRole], role_arns: Iterable[str], width: int
) -> dict[str, ObservedRole]:
    """Return ``roles`` with new trust policies and tags: a bulk read may not show a recent change yet. Raises AwsError.

    Source: iam GetRole.
    """
    current = dict(roles)
    for role in map_concurrently(partial(_read_trust, api), list(role_arns), width):
        name = role.name.lower() if role is not None else ""
        if role is not None and name in current:
            current[name] = replace(current[name], trust=role.trust, tags=role.tags)
    return current


def _read_trust(api: Api, arn: str) -> ObservedRole | None:
    """Return a role without its attached policies, or None if no role of the account has this ARN. Source: iam GetRole."""
    response = none_if_missing(lambda: api.call("iam", "GetRole", {"RoleName": arn.rpartition("/")[2]}))
    role = decode_role(response["Role"], ()) if response is not None else None
    return role if role is not None and role.arn == arn else None


# The edit of a role: the changes that a rollback needs as a record, and the changes after them.
_Edit: TypeAlias = "tuple[Sequence[Change], Sequence[Change]]"
_NO_EDIT: _Edit = ((), ())


def _edit(role: ObservedRole, trust: Document, first: Sequence[Call], then: Sequence[Call]) -> _Edit:
    """Return the edit of a role that sets its trust policy.

    ``first`` and ``then`` are the requests that change its tags before and after that.
    """
    # The record is left out of results, because it is long.
    tags, target = {"tags": dict[str, str]()}, role_target(role.name)
    tagging, untagging = (
        [Change(Stage.ROLE, target, "update", (), tags, tags, (call,)) for call in calls]
        for calls in (first, then)
    )
    if trust == role.trust:
        return tagging, untagging
    before, after = {"trust_policy": role.trust}, {"trust_policy": trust}
    call = Call("iam", "UpdateAssumeRolePolicy", {"RoleName": role.name, "PolicyDocument": to_json(trust)})
    change = Change(Stage.TRUST, trust_target(role.name), "update", (), before, after, (call,))
    return tagging, [change, *untagging]


@dataclass(frozen=True, slots=True)
class TrustRun:
    """The result of a method of ``TrustEditor``: changes of trust policies, and failures of roles."""

    changes: Sequence[Change] = ()
    failures: Sequence[Failure] = ()


@dataclass(frozen=True, slots=True)
class TrustEditor:
    """An editor of trust policies, and of the record of the migration in the tags of roles.

    Each method edits the roles of several service accounts concurrently. In check mode, it changes nothing. ``issuer`` is the
    OIDC issuer of the cluster, ``owner`` the owner of the statements for EKS Pod Identity. ``made`` gets each change right after
    its request (in check mode, each planned change), so that the changes of an interrupted edit can be reported.
    """

    api: Api
    cluster: Cluster
    issuer: Issuer
    owner: str
    width: int
    wait_policy: WaitPolicy
    check_mode: bool = False
    made: list[Change] = field(default_factory=list)

    def record(self, migrants: Sequence[Migrant]) -> TrustRun:
        """Record the service accounts in the tags of their roles, before the first change. The trust policies do not change."""
        return self._edit(migrants, partial(self._with_record, users=_by_role(migrants)))

    def finish(self, migrants: Iterable[Migrant], accounts: Collection[ServiceAccountName]) -> TrustRun:
        """Remove the statements that allow only ``accounts`` with IRSA, and record them in the tags of their roles.

        A trust policy without any other statement is not changed.

        :arg migrants: the service accounts whose roles are edited.
        :arg accounts: all service accounts of the cluster that no longer need IRSA.
        """
        return self._edit(migrants, partial(self._without_irsa, accounts=accounts))

    def restore(self, migrants: Iterable[Migrant]) -> TrustRun:
        """Restore the trust statements that ``finish`` removed. The record keeps the service accounts."""
        return self._edit(migrants, self._with_irsa)

    def release(self, migrants: Sequence[Migrant], used: Collection[str]) -> TrustRun:
        """Take service accounts that use IRSA again out of the records.

        With the last one of a role, remove the statement for the whole account that the migration added, unless it is the only
        statement, another cluster has a record, or an association still needs it.

        :arg used: the ARNs of the roles of associations.
        """
        return self._edit(migrants, partial(self._without_record, users=_by_role(migrants), used=used))

    def _with_record(self, role: ObservedRole, users: Mapping[str, Sequence[Migrant]]) -> _Edit:
        record = read_record(self.cluster.arn, role.tags)
        # The statement that the migration of another cluster added serves this cluster, too.
        is_wide = is_wide_elsewhere(self.cluster.arn, role.tags) or (
            any(migrant.disable_session_tags for migrant in users[role.arn]) and not self._wide_grants(role)
        )
        names = record.accounts | {migrant.name for migrant in users[role.arn]}
        calls = self._tag_calls(role, replace(record, accounts=names, is_wide=record.is_wide or is_wide))
        return _edit(role, role.trust, calls, ())

    def _without_irsa(self, role: ObservedRole, accounts: Collection[ServiceAccountName]) -> _Edit:
        trust, removed = without_federation(role.trust, self.issuer, accounts)
        if not removed:
            return _NO_EDIT
        present, record = document_statements(role.trust), read_record(self.cluster.arn, role.tags)
        # A run that ended between the two requests has recorded statements that are still present.
        earlier = [entry for entry in record.removed if entry.statement not in present]
        calls = self._tag_calls(role, replace(record, removed=(*earlier, *removed)))
        first = [call for call in calls if call.operation == "TagRole"]
        return _edit(role, trust, first, [call for call in calls if call not in first])

    def _with_irsa(self, role: ObservedRole) -> _Edit:
        record = read_record(self.cluster.arn, role.tags)
        if not record.removed:
            return _NO_EDIT
        trust = with_federation(role.trust, record.removed)
        return _edit(role, trust, (), self._tag_calls(role, replace(record, removed=())))

    def _without_record(
        self, role: ObservedRole, users: Mapping[str, Sequence[Migrant]], used: Collection[str]
    ) -> _Edit:
        record, own = read_record(self.cluster.arn, role.tags), self._wide_grants(role)
        left = replace(record, accounts=record.accounts - {migrant.name for migrant in users[role.arn]})
        if left == record:
            return _NO_EDIT
        grants, rest = read_grants(role.trust)
        unused = record.is_wide and not left.accounts and role.arn not in used
        revokes = unused and own and not is_wide_elsewhere(self.cluster.arn, role.tags)
        # A trust policy needs at least one statement.
        revokes = revokes and bool(rest or grants - own)
        trust = with_grants(role.trust, rest, grants - own) if revokes else role.trust
        return _edit(role, trust, (), self._tag_calls(role, left))

    def _wide_grants(self, role: ObservedRole) -> set[TrustGrant]:
        """Return the grants of this owner for all associations of the account."""
        grants, _rest = read_grants(role.trust)
        return {grant for grant in grants if grant.writer == writer_of(self.owner) and not grant.cluster_arn}

    def _tag_calls(self, role: ObservedRole, record: Record) -> list[Call]:
        """Return the requests that replace the record of a role.

        A request that sets tags comes first: without obsolete tags of the earlier record, that record could not be read.
        """
        tags = record_tags(self.cluster.arn, record, role.tags)
        changed = {key: value for key, value in tags.items() if role.tags.get(key) != value}
        obsolete = tuple(key for key in record_keys(self.cluster.arn, role.tags) if key not in tags)
        return iam_tag_calls("Role", {"RoleName": role.name}, TagChange(changed, obsolete))[::-1]

    def _edit(self, migrants: Iterable[Migrant], make: Callable[[ObservedRole], _Edit]) -> TrustRun:
        results = map_concurrently(
            lambda item: self._edit_role(item[0], item[1], make), _by_role(migrants).items(), self.width
        )
        return TrustRun(
            [change for change, _failure in results if change is not None],
            [failure for _change, failure in results if failure is not None],
        )

    def _edit_role(
        self, arn: str, users: Sequence[Migrant], make: Callable[[ObservedRole], _Edit]
    ) -> tuple[Change | None, Failure | None]:
        """Edit a role until reads show that nothing is left to edit. Return the change of its trust policy, and the failure.

        The record of an edit is visible before its other changes are made. After each change the role is read again, because
        another process may have changed its trust policy in the meantime.

        :arg make: returns the edit of a role.
        """
        name, target = arn.rpartition("/")[2], trust_target(arn.rpartition("/")[2])
        keys = tuple(migrant.key for migrant in users)
        result: Change | None = None
        try:
            for _round in range(_ROUNDS):
                sent: list[list[Change]] = []
                for _attempt in self.wait_policy.attempts():
                    while (changes := self._next_changes(arn, make)) and changes not in sent:
                        for change in changes:
                            for call in () if self.check_mode else change.calls:
                                send(self.api, call, self.wait_policy, False, False)
                            self.made.append(change)
                            if change.target == target:
                                result = joined(result or change, change)
                        if self.check_mode:
                            return result, None
                        sent.append(changes)
                    if not changes:
                        return result, None
                if changes[0].target != target:
                    break
        except AwsError as error:
            return result, request_failure(error, keys, target, "update")
        except RecordError as error:
            return result, Failure(
                keys,
                target,
                "update",
                Code.MIGRATION_NO_RECORD,
                f"role {name} is not changed, because the migration cannot be recorded in its tags: {error}.",
                "Remove unused tags of the role, or repair the record: the events TagRole in CloudTrail have its values.",
            )
        return result, Failure(
            keys,
            target,
            "update",
            Code.NOT_YET_VISIBLE,
            f"another process changed role {name} at the same time, or IAM does not show the change of this run yet.",
            "Run again.",
        )

    def _next_changes(self, arn: str, make: Callable[[ObservedRole], _Edit]) -> list[Change]:
        """Read a role, and return the next changes of its edit, in check mode all of them."""
        role = _read_trust(self.api, arn)
        first, then = make(role) if role is not None else _NO_EDIT
        return [*first, *then] if self.check_mode else list(first or then)


def _by_role(migrants: Iterable[Migrant]) -> dict[str, list[Migrant]]:
    users: dict[str, list[Migrant]] = {}
    for migrant in migrants:
        users.setdefault(migrant.role_arn, []).append(migrant)
    return users


def workload_rows(migrants: Iterable[Migrant]) -> list[dict[str, Any]]:
    """Return entries of ``workloads`` that give service accounts an association with their present role."""
    return [
        {
            "namespace": migrant.key.namespace,
            "service_account": migrant.key.service_account,
            "role": {"arn": migrant.role_arn, "extend_trust": True},
            "create_service_account": False,
            **({"disable_session_tags": True} if migrant.disable_session_tags else {}),
        }
        for migrant in migrants
    ]
