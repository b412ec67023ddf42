# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The AWS part of a migration from IRSA: read the roles and associations, remove statements for IRSA, and restore them.

The engine adds statements for EKS Pod Identity and creates the associations, as for every other workload.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, TypeAlias

from ..._aws.client import Api
from ..._aws.interrupt import raise_if_interrupted
from ..._aws.transport import map_concurrently
from ..._findings.codes import Code
from ..._findings.finding import WorkloadKey
from ..._policy.language.document import document_statements, to_json
from ..._policy.trust.federation import Issuer, ServiceAccountName, with_federation, without_federation
from ..._policy.trust.statements import TrustGrant, read_grants, with_grants, writer_of
from ..model.associations import ObservedAssociation
from ..model.changes import Call, TagChange, iam_tag_calls
from ..model.cluster import Cluster
from ..model.errors import AwsError
from ..model.migration import (
    DamagedRecord,
    Migrant,
    Record,
    RecordTooLarge,
    is_wide_elsewhere,
    read_record,
    record_keys,
    record_tags,
)
from ..model.names import is_aws_managed, parse_role_arn
from ..model.observed import Document
from ..model.roles import ObservedRole, RoleSpec, decode_role
from ..model.targets import Failure, request_failure, trust_target
from ..read.account import Snapshot, read_snapshot
from ..read.associations import read_all_associations
from ..read.observe import Observer
from ..read.reader import none_if_missing
from ..read.roles import read_document, read_role
from .consistency import WaitPolicy, send

# The argument ``singles`` of ``read_snapshot``: high enough to read all roles of an account, because a migration needs all trust
# policies.
_ALL_PAGES = 8000
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


def read_cluster_associations(
    api: Api, cluster: Cluster, width: int
) -> dict[WorkloadKey, ObservedAssociation]:
    """Read all associations of a cluster. Raises AwsError."""
    return read_all_associations(Observer(api, cluster, width))


def read_all_roles(api: Api) -> Snapshot:
    """Read all roles of the account, if the caller is allowed to. Source: iam GetAccountAuthorizationDetails. Raises AwsError."""
    return read_snapshot(api, _ALL_PAGES)


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
    if snapshot.complete:
        documents = {
            arn: policy.document for arn, policy in snapshot.policies.items() if policy.document is not None
        }
        used = {parts.name.lower() for arn in role_arns if (parts := parse_role_arn(arn))}
        documents |= _read_managed_documents(
            api, [snapshot.roles[name] for name in used if name in snapshot.roles], width
        )
        return MigrationReads(associations, snapshot.roles, documents)
    specs = {
        parts.name.lower(): RoleSpec(parts.name, arn) for arn in role_arns if (parts := parse_role_arn(arn))
    }
    found = map_concurrently(lambda spec: read_role(api, cluster, spec, False), specs.values(), width)
    roles = {name: role for name, role in zip(specs, found, strict=True) if role is not None}
    return MigrationReads(associations, roles, complete=False)


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
    request = {"RoleName": arn.rpartition("/")[2]}
    response = none_if_missing(lambda: api.call("iam", "GetRole", request))
    role = decode_role(response["Role"], ()) if response is not None else None
    return role if role is not None and role.arn == arn else None


def _read_managed_documents(api: Api, roles: Iterable[ObservedRole], width: int) -> dict[str, Document]:
    """Read the AWS managed policies of roles, which a bulk read leaves out. Return the documents that exist and are readable."""
    arns = sorted(
        {arn for role in roles for arn in (*role.attached, role.permissions_boundary) if is_aws_managed(arn)}
    )

    def read(arn: str) -> Document | None:
        try:
            return read_document(api, arn)
        except AwsError as error:
            if error.denied or error.missing:
                return None
            raise

    documents = map_concurrently(read, arns, width)
    return {arn: document for arn, document in zip(arns, documents, strict=True) if document is not None}


@dataclass(frozen=True, slots=True)
class TrustEdit:
    """An edit of a role. ``trust`` is its new trust policy.

    ``first`` and ``then`` are the requests that change tags of the role before and after the change of the trust policy.
    """

    trust: Document
    first: Sequence[Call] = ()
    then: Sequence[Call] = ()

    def update(self, role: ObservedRole) -> Call:
        """Return the request that sets the trust policy of a role."""
        parameters = {"RoleName": role.name, "PolicyDocument": to_json(self.trust)}
        return Call("iam", "UpdateAssumeRolePolicy", parameters)


class _NotVisible(Exception):
    """The error for a change of tags that IAM does not show within the time of the wait policy."""


@dataclass(frozen=True, slots=True)
class TagWrite:
    """A completed or, in check mode, planned change of the record in the tags of a role. ``name`` is the name of the role."""

    name: str

    @property
    def row(self) -> dict[str, object]:
        """Return the change as a row of a result, without the tags."""
        return {"action": "update", "resource": "role", "name": self.name, "after": {"tags": {}}}


@dataclass(frozen=True, slots=True)
class TrustChange:
    """A completed or, in check mode, planned change of the trust policy of a role."""

    resource: ClassVar[str] = "trust_policy"

    name: str
    before: Document
    after: Document

    @property
    def row(self) -> dict[str, object]:
        """Return the change as a row of a result, with the new trust policy."""
        before, after = ({"trust_policy": document} for document in (self.before, self.after))
        return {
            "action": "update",
            "resource": self.resource,
            "name": self.name,
            "before": before,
            "after": after,
        }

    @property
    def diff(self) -> dict[str, str]:
        """Return the change in the form that Ansible prints with --diff."""
        header = f"trust policy of role {self.name}"
        old, new = (f"{json.dumps(document, indent=4)}\n" for document in (self.before, self.after))
        return {"before_header": header, "after_header": header, "before": old, "after": new}


MigrationChange: TypeAlias = "TrustChange | TagWrite"


@dataclass(frozen=True, slots=True)
class TrustRun:
    """The result of a method of ``TrustEditor``: changes of trust policies, and failures of roles."""

    changes: Sequence[TrustChange] = ()
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
    made: list[MigrationChange] = field(default_factory=list)

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

    def _with_record(self, role: ObservedRole, users: Mapping[str, Sequence[Migrant]]) -> TrustEdit | None:
        record = read_record(self.cluster.arn, role.tags)
        needs_wide = any(migrant.disable_session_tags for migrant in users[role.arn])
        # The statement that the migration of another cluster added serves this cluster, too.
        is_wide = is_wide_elsewhere(self.cluster.arn, role.tags) or (
            needs_wide and not self._wide_grants(role)
        )
        names = record.accounts | {migrant.name for migrant in users[role.arn]}
        calls = self._tag_calls(role, replace(record, accounts=names, is_wide=record.is_wide or is_wide))
        return TrustEdit(role.trust, calls) if calls else None

    def _without_irsa(self, role: ObservedRole, accounts: Collection[ServiceAccountName]) -> TrustEdit | None:
        trust, removed = without_federation(role.trust, self.issuer, accounts)
        if not removed:
            return None
        present, record = document_statements(role.trust), read_record(self.cluster.arn, role.tags)
        # A run that ended between the two requests has recorded statements that are still present.
        earlier = [entry for entry in record.removed if entry.statement not in present]
        calls = self._tag_calls(role, replace(record, removed=(*earlier, *removed)))
        first = [call for call in calls if call.operation == "TagRole"]
        return TrustEdit(trust, first, [call for call in calls if call not in first])

    def _with_irsa(self, role: ObservedRole) -> TrustEdit | None:
        record = read_record(self.cluster.arn, role.tags)
        if not record.removed:
            return None
        trust = with_federation(role.trust, record.removed)
        return TrustEdit(trust, (), self._tag_calls(role, replace(record, removed=())))

    def _without_record(
        self, role: ObservedRole, users: Mapping[str, Sequence[Migrant]], used: Collection[str]
    ) -> TrustEdit | None:
        record, own = read_record(self.cluster.arn, role.tags), self._wide_grants(role)
        left = replace(record, accounts=record.accounts - {migrant.name for migrant in users[role.arn]})
        if left == record:
            return None
        grants, rest = read_grants(role.trust)
        unused = record.is_wide and not left.accounts and role.arn not in used
        revokes = unused and own and not is_wide_elsewhere(self.cluster.arn, role.tags)
        # A trust policy needs at least one statement.
        revokes = revokes and bool(rest or grants - own)
        trust = with_grants(role.trust, rest, grants - own) if revokes else role.trust
        return TrustEdit(trust, (), self._tag_calls(role, left))

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

    def _edit(
        self, migrants: Iterable[Migrant], make: Callable[[ObservedRole], TrustEdit | None]
    ) -> TrustRun:
        results = map_concurrently(
            lambda item: self._edit_role(item[0], item[1], make), _by_role(migrants).items(), self.width
        )
        return TrustRun(
            [change for change, _failure in results if change is not None],
            [failure for _change, failure in results if failure is not None],
        )

    def _edit_role(
        self, arn: str, users: Sequence[Migrant], make: Callable[[ObservedRole], TrustEdit | None]
    ) -> tuple[TrustChange | None, Failure | None]:
        name = arn.rpartition("/")[2]
        keys = tuple(migrant.key for migrant in users)
        change: TrustChange | None = None
        try:
            for _round in range(_ROUNDS):
                found = self._recorded(arn, make)
                if found is None:
                    return change, None
                role, edit = found
                planned = TrustChange(name, change.before if change else role.trust, edit.trust)
                if edit.trust != role.trust:
                    if not self.check_mode:
                        self._send([edit.update(role)])
                    change = planned
                    self.made.append(planned)
                self._send_tags(role, edit.then)
                if self.check_mode:
                    return change, None
                if self._shows(arn, make):
                    return change, None
        except _NotVisible:
            pass
        except AwsError as error:
            return change, request_failure(error, keys, trust_target(name), "update")
        except (DamagedRecord, RecordTooLarge) as error:
            return change, Failure(
                keys,
                trust_target(name),
                "update",
                Code.MIGRATION_NO_RECORD,
                f"role {name} is not changed, because the migration cannot be recorded in its tags: {error}.",
                "Remove unused tags of the role, or repair the record: the events TagRole in CloudTrail have its values.",
            )
        return change, Failure(
            keys,
            trust_target(name),
            "update",
            Code.NOT_YET_VISIBLE,
            f"another process changed role {name} at the same time, or IAM does not show the change of this run yet.",
            "Run again.",
        )

    def _recorded(
        self, arn: str, make: Callable[[ObservedRole], TrustEdit | None]
    ) -> tuple[ObservedRole, TrustEdit] | None:
        """Write the record of an edit, if it needs one. Return the role and its edit, or None if there is nothing to edit.

        The record consists of tags of the role that a rollback needs. After the write, the role is read again, because another
        process may have changed its trust policy in the meantime.

        :arg make: returns the edit of a role, or None if there is nothing to edit.
        :raises _NotVisible: when IAM does not show the record within the time of the wait policy.
        """
        sent: Sequence[Call] = ()
        for _attempt in self.wait_policy.attempts():
            found = self._look(arn, make)
            if found is not None and found[1].first != sent and found[1].first:
                sent = found[1].first
                self._send_tags(found[0], sent)
                found = found if self.check_mode else self._look(arn, make)
            if found is None or not found[1].first or self.check_mode:
                return found
        raise _NotVisible

    def _look(
        self, arn: str, make: Callable[[ObservedRole], TrustEdit | None]
    ) -> tuple[ObservedRole, TrustEdit] | None:
        raise_if_interrupted()
        role = _read_trust(self.api, arn)
        edit = make(role) if role is not None else None
        return (role, edit) if role is not None and edit is not None else None

    def _send_tags(self, role: ObservedRole, calls: Sequence[Call]) -> None:
        for call in calls:
            if not self.check_mode:
                self._send([call])
            self.made.append(TagWrite(role.name))

    def _send(self, calls: Iterable[Call]) -> None:
        for call in calls:
            raise_if_interrupted()
            send(self.api, call, self.wait_policy, False, False)

    def _shows(self, arn: str, make: Callable[[ObservedRole], TrustEdit | None]) -> bool:
        """Wait until ``make`` returns None for a new read of the role. Return False after the timeout."""
        for _attempt in self.wait_policy.attempts():
            raise_if_interrupted()
            role = _read_trust(self.api, arn)
            if role is not None and make(role) is None:
                return True
        return False


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
