# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The migration from IRSA (IAM roles for service accounts) to EKS Pod Identity: steps, service accounts, records. Pure.

The stage of a service account is not stored: each run finds it from the resources in AWS and Kubernetes. For a rollback, the tags
of a role have the record of the migration: the service accounts, and the statements that were removed from the trust policy. The
removed annotation is the ARN of the role, so it needs no record.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, cast, get_args

from ..._findings.finding import Finding, WorkloadKey
from ..._policy.trust.federation import Removed, ServiceAccountName
from .names import IRSA_TAG

MigrationStep = Literal["inventory", "associate", "restart", "finish"]
STEPS: tuple[MigrationStep, ...] = get_args(MigrationStep)
# The step of a rollback, which restores IRSA.
ROLLBACK = "rollback"
# The stages of a service account. A step in STEPS leads to the stage at the same position.
MigrationStage = Literal["irsa", "associated", "restarted", "finished"]
STAGES: tuple[MigrationStage, ...] = get_args(MigrationStage)

ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
# A migration keeps this annotation: without the annotation of the role it has no effect, and a rollback needs it. It also keeps
# token-expiration and sts-regional-endpoints, because EKS Pod Identity uses them too.
AUDIENCE_ANNOTATION = "eks.amazonaws.com/audience"
# The tools whose roles a user can name with an option, because their tags or paths may not show the tool.
Tool = Literal["cloudformation", "eksctl", "terraform"]
TOOLS: tuple[Tool, ...] = get_args(Tool)
_RECORD_TAG = f"{IRSA_TAG}record."
# The maximum length of a tag value in IAM, and the maximum number of tags of a role.
_TAG_LENGTH = 256
_TAG_COUNT = 50
# Each part of a record begins with the number of parts, like "03:".
_COUNT = "{:02d}:"


@dataclass(frozen=True, slots=True)
class MigrationOptions:
    """The options of a migration.

    ``only`` (shell patterns of "namespace/name") limit the migration, unless they are empty. ``soak`` is the minimum
    age of an association, in hours, before the step "finish" removes IRSA. ``canary`` is the number of service accounts to
    migrate first, and ``batch`` the number of service accounts whose Pods are restarted together. ``observe`` is the minimum
    time, in seconds, over which the injection is tested. ``tool`` is the tool that manages roles whose tags and paths do not show
    a tool, or "". ``file`` is the path of the report, or "".
    """

    step: MigrationStep = "restart"
    rollback: bool = False
    only: tuple[str, ...] = ()
    soak: int = 24
    canary: int = 1
    batch: int = 10
    observe: int = 60
    tool: Tool | Literal[""] = ""
    file: str = ""

    def selects(self, key: WorkloadKey) -> bool:
        return not self.only or any(fnmatchcase(str(key), pattern) for pattern in self.only)

    def names_exactly(self, key: WorkloadKey) -> bool:
        """Return whether the user has named a service account without a pattern."""
        return str(key) in self.only


@dataclass(frozen=True, slots=True)
class IrsaAccount:
    """A service account of a migration or an audit.

    ``annotations`` are all of its annotations. ``managers`` names the tools that would set a removed annotation again, such as
    "Helm release shop". ``is_addon`` is true if EKS applied the service account for an add-on. ``version`` is its
    resourceVersion.
    """

    key: WorkloadKey
    annotations: Mapping[str, str] = field(default_factory=dict)
    managers: tuple[str, ...] = ()
    is_addon: bool = False
    version: str = ""

    @property
    def role_arn(self) -> str:
        return self.annotations.get(ROLE_ANNOTATION, "")

    @property
    def audience(self) -> str:
        return self.annotations.get(AUDIENCE_ANNOTATION, "")


@dataclass(frozen=True, slots=True)
class PodCredentials:
    """The Pods of a service account by the source of their credentials, without Pods that have ended or are being deleted.

    ``irsa`` (a web identity token), ``agent`` (the EKS Pod Identity Agent), ``other`` and ``none`` have the names of the Pods; a
    Pod whose containers have different sources is in several of them. ``other`` are Pods with their own credentials, or with
    credentials that their manifest does not show. ``none`` are Pods in which no container has credentials. ``templates`` are Pod
    templates that set variables of credentials themselves, with the names of the variables. ``on_host_network`` are Pods with
    hostNetwork. ``owners`` has, by the name of a Pod, the owner whose restart replaces the Pod, such as "Deployment shop/web".
    ``held`` has, for each other Pod, the reason why no restart replaces it, and the step that its owner must take.
    """

    irsa: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    templates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    on_host_network: tuple[str, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)

    @property
    def remaining(self) -> tuple[str, ...]:
        """Return the names of the Pods that have another source than EKS Pod Identity, or no credentials."""
        return tuple(sorted({*self.irsa, *self.none, *self.other}))

    def restarts(self, names: Iterable[str]) -> list[str]:
        """Return the owners to restart, so that Pods are replaced."""
        return sorted({self.owners[name] for name in names if name in self.owners})

    def holds(self, names: Iterable[str]) -> list[str]:
        """Return the reasons why no restart replaces some of the Pods."""
        return list(dict.fromkeys(self.held[name] for name in names if name in self.held))


@dataclass(frozen=True, slots=True)
class Migrant:
    """A service account of the migration, with the stage that it has reached.

    ``since`` is the creation time of its association in ISO 8601, or "" without an association. ``disable_session_tags`` is true
    if its association must not send session tags. ``blockers`` prevent its next step. ``holds`` are about Pods that no restart
    replaces: they prevent the stage "restarted", and a rollback. ``notes`` prevent nothing. ``lacks_access`` is true if its Pods
    certainly get no credentials. ``is_recorded`` is true if the record of its role names it.
    """

    key: WorkloadKey
    role_arn: str
    stage: MigrationStage
    audience: str = ""
    since: str = ""
    disable_session_tags: bool = False
    blockers: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()
    holds: tuple[Finding, ...] = ()
    pods: PodCredentials = field(default_factory=PodCredentials)
    lacks_access: bool = False
    is_recorded: bool = False

    @property
    def name(self) -> ServiceAccountName:
        return self.key.namespace, self.key.service_account

    def has_reached(self, step: MigrationStep) -> bool:
        """Return whether the service account is in the stage to which a step leads, or in a later stage."""
        return STAGES.index(self.stage) >= STEPS.index(step)


@dataclass(frozen=True, slots=True)
class MigrationGroup:
    """A group of service accounts whose Pods are restarted together. ``name`` is shown, such as "canary" or "group 2"."""

    name: str
    migrants: tuple[Migrant, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """The record of a migration in the tags of a role, for one cluster.

    ``accounts`` are the service accounts that the migration moves with this role. ``removed`` has the statements that it removed,
    in the order of their removal. ``is_wide`` is true if it added the statement for all associations of the account.
    """

    accounts: frozenset[ServiceAccountName] = frozenset()
    removed: tuple[Removed, ...] = ()
    is_wide: bool = False


class RecordError(ValueError):
    """The error for tags of a role from which the record cannot be read, or into which it does not fit."""


def record_tags(cluster_arn: str, record: Record, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a role for a record; no tags for an empty record.

    :arg tags: the present tags of the role.
    :raises RecordError: when the role would have too many tags.
    """
    if not record.accounts and not record.removed:
        return {}
    content = {
        "accounts": sorted(":".join(name) for name in record.accounts),
        "removed": [[entry.index, entry.statement] for entry in record.removed],
        "wide": record.is_wide,
    }
    text = json.dumps(content, separators=(",", ":"))
    data = base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode()
    size = _TAG_LENGTH - len(_COUNT.format(0))
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    # A longer earlier record may leave tags behind. Because of the number of parts, the reader ignores them.
    found = {
        f"{_prefix(cluster_arn)}{number}": _COUNT.format(len(parts)) + part
        for number, part in enumerate(parts)
    }
    if (count := len({**tags, **found})) > _TAG_COUNT:
        raise RecordError(f"the role would have {count} tags, and IAM allows {_TAG_COUNT}")
    return found


def record_keys(cluster_arn: str, tags: Mapping[str, str]) -> list[str]:
    """Return the keys of the tags with which a role has a record for a cluster."""
    return sorted(key for key in tags if key.startswith(_prefix(cluster_arn)))


def is_wide_elsewhere(cluster_arn: str, tags: Mapping[str, str]) -> bool:
    """Return whether the migration of another cluster added the statement for all associations of the account.

    :raises RecordError: as ``read_record``.
    """
    own = _prefix(cluster_arn)
    prefixes = {key[: len(own)] for key in tags if key.startswith(_RECORD_TAG)} - {own}
    return any(_decode_record(prefix, tags).is_wide for prefix in sorted(prefixes))


def read_record(cluster_arn: str, tags: Mapping[str, str]) -> Record:
    """Return the record for a cluster in the tags of a role; an empty record without such tags.

    :raises RecordError: when a part of the record was changed or deleted.
    """
    return _decode_record(_prefix(cluster_arn), tags)


def _decode_record(prefix: str, tags: Mapping[str, str]) -> Record:
    keys = sorted(key for key in tags if key.startswith(prefix))
    if not keys:
        return Record()
    try:
        count, size = int(tags.get(f"{prefix}0", "").partition(":")[0]), len(_COUNT.format(0))
        parts = [tags[f"{prefix}{number}"][size:] for number in range(count)]
        text = zlib.decompress(base64.urlsafe_b64decode("".join(parts)))
        content: Mapping[str, Any] = json.loads(text)
        names = [cast("list[str]", name.split(":")) for name in content["accounts"]]
        return Record(
            frozenset((namespace, name) for namespace, name in names),
            tuple(Removed(index, statement) for index, statement in content["removed"]),
            bool(content["wide"]),
        )
    except (zlib.error, LookupError, ValueError, TypeError, AttributeError) as error:
        raise RecordError(
            f"its record of the migration is damaged or incomplete (tags: {', '.join(keys)})"
        ) from error


def _prefix(cluster_arn: str) -> str:
    return f"{_RECORD_TAG}{hashlib.sha256(cluster_arn.encode()).hexdigest()[:12]}."
