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
from typing import Any, ClassVar, Literal, TypeAlias

from ..._aws.client import Api
from ..._aws.interrupt import raise_if_interrupted
from ..._aws.transport import map_concurrently
from ..._findings.codes import Code
from ..._findings.finding import WorkloadKey
from ..._policy.language.document import document_statements, to_json
from ..._policy.trust.federation import Issuer, ServiceAccountName, with_federation, without_federation
from ..._policy.trust.statements import read_grants, with_grants
from ..model.associations import ObservedAssociation
from ..model.changes import Call, TagChange, eks_tag_calls, iam_tag_calls
from ..model.cluster import Cluster, group_clusters
from ..model.errors import AwsError
from ..model.migration import (
    GRANT_TAG,
    DamagedRecord,
    Grant,
    Migrant,
    RecordTooLarge,
    annotation_tags,
    grant_tag,
    recorded_statements,
    trust_record_keys,
    trust_tags,
)
from ..model.names import is_aws_managed, parse_role_arn
from ..model.observed import Document
from ..model.roles import ObservedRole, RoleSpec, decode_role
from ..model.targets import Failure, association_target, request_failure, trust_target
from ..read.account import read_snapshot
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
    return read_all_associations(Observer(api, group_clusters(cluster), width))


def read_roles(
    api: Api,
    cluster: Cluster,
    associations: Mapping[WorkloadKey, ObservedAssociation],
    role_arns: Iterable[str],
    width: int,
) -> MigrationReads:
    """Read the roles of the account, or only ``role_arns`` if a bulk read does not return all. Raises AwsError.

    Sources: iam GetAccountAuthorizationDetails, GetPolicy and GetPolicyVersion, or GetRole and ListAttachedRolePolicies.
    """
    snapshot = read_snapshot(api, _ALL_PAGES)
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
    found = map_concurrently(lambda spec: read_role(api, cluster.account, spec, False), specs.values(), width)
    roles = {name: role for name, role in zip(specs, found, strict=True) if role is not None}
    return MigrationReads(associations, roles, complete=False)


def read_again(api: Api, reads: MigrationReads, role_arns: Iterable[str], width: int) -> MigrationReads:
    """Read the trust policies and tags of roles again: a bulk read may not show a recent change yet. Raises AwsError.

    Source: iam GetRole.
    """
    roles = dict(reads.roles)
    for role in map_concurrently(partial(_read_trust, api), list(role_arns), width):
        name = role.name.lower() if role is not None else ""
        if role is not None and name in roles:
            roles[name] = replace(roles[name], trust=role.trust, tags=role.tags)
    return replace(reads, roles=roles)


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
    """A completed or, in check mode, planned change of the tags that a migration needs for a rollback.

    ``name`` is the name of the role, or "namespace/service_account" for an association.
    """

    resource: Literal["role", "association"]
    name: str

    @property
    def row(self) -> dict[str, object]:
        """Return the change as a row of a result, without the tags."""
        return {"action": "update", "resource": self.resource, "name": self.name, "after": {"tags": {}}}


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
        state = {"trust_policy": self.after}
        return {"action": "update", "resource": self.resource, "name": self.name, "after": state}

    @property
    def diff(self) -> dict[str, str]:
        """Return the change in the form that Ansible prints with --diff."""
        header = f"trust policy of role {self.name}"
        old, new = (f"{json.dumps(document, indent=4)}\n" for document in (self.before, self.after))
        return {"before_header": header, "after_header": header, "before": old, "after": new}


MigrationChange: TypeAlias = "TrustChange | TagWrite"


@dataclass(frozen=True, slots=True)
class TrustRun:
    """The result of a method of ``TrustEditor``: changes of trust policies, and failures of roles or associations."""

    changes: Sequence[TrustChange] = ()
    failures: Sequence[Failure] = ()


@dataclass(frozen=True, slots=True)
class TrustEditor:
    """An editor of trust policies, and of the tags that a migration needs for a rollback.

    Each method edits the roles, or associations, of several service accounts concurrently. In check mode, it changes nothing.
    ``issuer`` is the OIDC issuer of the cluster. ``made`` gets each change right after its request (in check mode, each planned
    change), so that the changes of an interrupted edit can be reported.
    """

    api: Api
    cluster: Cluster
    issuer: Issuer
    width: int
    wait_policy: WaitPolicy
    check_mode: bool = False
    made: list[MigrationChange] = field(default_factory=list)

    def finish(self, migrants: Iterable[Migrant], accounts: Collection[ServiceAccountName]) -> TrustRun:
        """Remove the statements that allow only ``accounts`` with IRSA, and record them as tags of their roles.

        A trust policy without any other statement is not changed.

        :arg migrants: the service accounts whose roles are edited.
        :arg accounts: all service accounts of the cluster that no longer need IRSA.
        """
        return self._edit(migrants, partial(self._without_irsa, accounts=accounts))

    def restore(self, migrants: Iterable[Migrant]) -> TrustRun:
        """Restore the trust statements that ``finish`` removed, and delete the tags that record them."""
        return self._edit(migrants, self._with_irsa)

    def record_grants(self, migrants: Sequence[Migrant]) -> TrustRun:
        """Record, in a tag of each role, that a migration adds a trust statement for the cluster.

        The trust policies themselves do not change.
        """
        wide = frozenset(migrant.role_arn for migrant in migrants if migrant.disable_session_tags)
        return self._edit(migrants, partial(self._with_record, wide=wide))

    def record_annotations(
        self, migrants: Iterable[Migrant], associations: Mapping[WorkloadKey, ObservedAssociation]
    ) -> TrustRun:
        """Record the annotations of service accounts as tags of their associations, unless the tags are up to date."""

        def record(migrant: Migrant) -> Failure | None:
            association = associations[migrant.key]
            tags = annotation_tags(migrant.annotations)
            missing = {key: value for key, value in tags.items() if association.tags.get(key) != value}
            if not missing:
                return None
            try:
                for call in (
                    ()
                    if self.check_mode
                    else eks_tag_calls(association.association_arn, TagChange(missing, ()))
                ):
                    self.api.call(call.service, call.operation, call.parameters)
            except AwsError as error:
                return request_failure(error, (migrant.key,), association_target(migrant.key), "update")
            self.made.append(TagWrite("association", str(migrant.key)))
            return None

        results = map_concurrently(record, list(migrants), self.width)
        return TrustRun([], [failure for failure in results if failure is not None])

    def revoke_grants(self, migrants: Iterable[Migrant]) -> TrustRun:
        """Remove the tags that ``record_grants`` has set.

        If the tag of a role shows that the migration added the trust statement for all clusters of the account, remove this
        statement, too, unless another cluster's tag shows the same or it is the only statement.
        """
        return self._edit(migrants, self._without_record)

    def _without_irsa(self, role: ObservedRole, accounts: Collection[ServiceAccountName]) -> TrustEdit | None:
        trust, removed = without_federation(role.trust, self.issuer, accounts)
        if not removed:
            return None
        present = document_statements(role.trust)
        # A run that ended between the two requests has recorded statements that are still present.
        earlier = [
            entry
            for entry in recorded_statements(self.cluster.arn, role.tags)
            if entry.statement not in present
        ]
        record = trust_tags(self.cluster.arn, [*earlier, *removed], role.tags)
        missing = {key: value for key, value in record.items() if role.tags.get(key) != value}
        obsolete = tuple(key for key in trust_record_keys(self.cluster.arn, role.tags) if key not in record)
        first = iam_tag_calls("Role", {"RoleName": role.name}, TagChange(missing, ()))
        then = iam_tag_calls("Role", {"RoleName": role.name}, TagChange({}, obsolete)) if obsolete else []
        return TrustEdit(trust, first, then)

    def _with_irsa(self, role: ObservedRole) -> TrustEdit | None:
        removed = recorded_statements(self.cluster.arn, role.tags)
        if not removed:
            return None
        keys = tuple(trust_record_keys(self.cluster.arn, role.tags))
        then = iam_tag_calls("Role", {"RoleName": role.name}, TagChange({}, keys))
        return TrustEdit(with_federation(role.trust, removed), (), then)

    def _with_record(self, role: ObservedRole, wide: Collection[str]) -> TrustEdit | None:
        tag = grant_tag(self.cluster.arn)
        grants, _rest = read_grants(role.trust)
        is_granted = any(not grant.cluster_arn for grant in grants)
        # If a migration of another cluster adds the statement for the account, it serves this cluster, too.
        needs_account = self._is_shared(role) or (role.arn in wide and not is_granted)
        needed: Grant = "account" if needs_account else "workload"
        if role.tags.get(tag) in (needed, "account"):
            return None
        return TrustEdit(
            role.trust, iam_tag_calls("Role", {"RoleName": role.name}, TagChange({tag: needed}, ()))
        )

    def _is_shared(self, role: ObservedRole) -> bool:
        """Return whether the tag of another cluster records the statement for the whole account."""
        tag = grant_tag(self.cluster.arn)
        return any(
            key.startswith(GRANT_TAG) and key != tag and value == "account"
            for key, value in role.tags.items()
        )

    def _without_record(self, role: ObservedRole) -> TrustEdit | None:
        tag = grant_tag(self.cluster.arn)
        if tag not in role.tags:
            return None
        grants, rest = read_grants(role.trust)
        # The run for another cluster may have added the statement.
        remaining = {grant for grant in grants if grant.cluster_arn}
        revokes = role.tags[tag] == "account" and remaining != grants and not self._is_shared(role)
        # A trust policy needs at least one statement.
        revokes = revokes and bool(rest or remaining)
        trust = with_grants(role.trust, rest, remaining) if revokes else role.trust
        return TrustEdit(trust, (), iam_tag_calls("Role", {"RoleName": role.name}, TagChange({}, (tag,))))

    def _edit(
        self, migrants: Iterable[Migrant], make: Callable[[ObservedRole], TrustEdit | None]
    ) -> TrustRun:
        users: dict[str, list[Migrant]] = {}
        for migrant in migrants:
            users.setdefault(migrant.role_arn, []).append(migrant)
        results = map_concurrently(
            lambda item: self._edit_role(item[0], item[1], make), users.items(), self.width
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
        except DamagedRecord as error:
            return change, Failure(
                keys,
                trust_target(name),
                "update",
                Code.MIGRATION_NO_RECORD,
                f"the IRSA statements that a migration removed from the trust policy of role {name} cannot be read: {error}.",
                "Restore the trust policy yourself: the events CreateRole and UpdateAssumeRolePolicy in CloudTrail have its "
                "earlier versions. Then delete these tags.",
            )
        except RecordTooLarge as error:
            return change, Failure(
                keys,
                trust_target(name),
                "update",
                Code.MIGRATION_NO_RECORD,
                f"the IRSA statements of role {name} cannot be recorded for a rollback: {error}.",
                "Remove unused tags of the role and run again, or remove the statements yourself.",
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
            self.made.append(TagWrite("role", role.name))

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
