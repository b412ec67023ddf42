# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The migration from IRSA (IAM roles for service accounts) to EKS Pod Identity: steps, service accounts, records. Pure.

The stage of a service account is not stored: each run finds it from the resources in AWS and Kubernetes. For a rollback, a
migration records the annotations of a service account as tags of its association, and the removed statements of a trust policy
as tags of its role.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from ..._findings.finding import Finding, WorkloadKey
from ..._policy.trust.federation import Removed
from .names import IRSA_TAG

MigrationStep = Literal["inventory", "associate", "restart", "finish"]
STEPS: tuple[MigrationStep, ...] = get_args(MigrationStep)
# The step of a rollback, which restores IRSA.
ROLLBACK = "rollback"
# The stages of a service account. A step in STEPS leads to the stage at the same position.
MigrationStage = Literal["irsa", "associated", "restarted", "finished"]
STAGES: tuple[MigrationStage, ...] = get_args(MigrationStage)

ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
AUDIENCE_ANNOTATION = "eks.amazonaws.com/audience"
# The annotations that a migration removes. It keeps the annotations token-expiration and sts-regional-endpoints, because EKS
# Pod Identity uses them too.
ANNOTATIONS = (ROLE_ANNOTATION, AUDIENCE_ANNOTATION)
_ANNOTATION_TAGS = {ROLE_ANNOTATION: f"{IRSA_TAG}role-arn", AUDIENCE_ANNOTATION: f"{IRSA_TAG}audience"}
# The prefix of the tags with which a role records that a migration has added statements for a cluster. The value names the
# widest scope of these statements. With this record, a later run continues a rollback that was interrupted.
GRANT_TAG = f"{IRSA_TAG}grant."
Grant = Literal["workload", "account"]
# The maximum length of a tag value in IAM and EKS, and the maximum number of tags of a role.
_TAG_LENGTH = 256
_TAG_COUNT = 50
# Each part of a record begins with the number of parts, like "03:".
_COUNT = "{:02d}:"


@dataclass(frozen=True, slots=True)
class MigrationOptions:
    """The options of a migration.

    ``service_accounts`` (shell patterns of "namespace/name") limit the migration, unless they are empty. ``soak`` is the minimum
    age of an association, in hours, before the step "finish" removes IRSA. ``canary`` is the number of service accounts to
    migrate first, and ``batch`` the number of service accounts whose Pods are restarted together. ``observe`` is the minimum
    time, in seconds, over which the injection is tested. ``file`` is the path of the report, or "".
    """

    step: MigrationStep = "restart"
    rollback: bool = False
    service_accounts: tuple[str, ...] = ()
    soak: int = 24
    canary: int = 1
    batch: int = 10
    observe: int = 60
    file: str = ""


@dataclass(frozen=True, slots=True)
class IrsaAccount:
    """A service account of a migration or an audit.

    ``annotations`` has the annotations in ``ANNOTATIONS`` that are set. ``managers`` names the tools that would set a removed
    annotation again, such as "Helm release shop". ``is_addon`` is true if EKS applied the service account for an add-on.
    ``version`` is its resourceVersion.
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
    hostNetwork.
    """

    irsa: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    templates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    on_host_network: tuple[str, ...] = ()

    @property
    def remaining(self) -> tuple[str, ...]:
        """Return the names of the Pods that have another source than EKS Pod Identity, or no credentials."""
        return tuple(sorted({*self.irsa, *self.none, *self.other}))


@dataclass(frozen=True, slots=True)
class Migrant:
    """A service account of the migration, with the stage that it has reached.

    ``since`` is the creation time of its association in ISO 8601, or "" in the stage "irsa". ``blockers`` prevent its next step;
    ``notes`` do not. ``disable_session_tags`` is true if its association must not send session tags. ``lacks_access`` is true if
    the trust policy of the role certainly does not allow the association to use it.
    """

    key: WorkloadKey
    role_arn: str
    stage: MigrationStage
    annotations: Mapping[str, str] = field(default_factory=dict)
    since: str = ""
    disable_session_tags: bool = False
    blockers: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()
    pods: PodCredentials = field(default_factory=PodCredentials)
    lacks_access: bool = False

    def has_reached(self, step: MigrationStep) -> bool:
        """Return whether the service account is in the stage to which a step leads, or in a later stage."""
        return STAGES.index(self.stage) >= STEPS.index(step)


class DamagedRecord(ValueError):
    """The error for tags of a role from which the removed statements cannot be read."""


class RecordTooLarge(ValueError):
    """The error for annotations or statements that do not fit into tags."""


def annotation_tags(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the tags with which an association records the annotations of its service account.

    :raises RecordTooLarge: when a value is too long for a tag.
    """
    tags = {_ANNOTATION_TAGS[name]: annotations[name] for name in ANNOTATIONS if annotations.get(name)}
    if too_long := [key for key, value in tags.items() if len(value) > _TAG_LENGTH]:
        raise RecordTooLarge(f"{', '.join(too_long)} would have more than {_TAG_LENGTH} characters")
    return tags


def recorded_annotations(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations that an association records; empty if a migration did not create the association."""
    return {name: tags[tag] for name, tag in _ANNOTATION_TAGS.items() if tags.get(tag)}


def grant_tag(cluster_arn: str) -> str:
    """Return the key of the tag with which a role records that a migration has added statements for a cluster."""
    return f"{GRANT_TAG}{_digest(cluster_arn)}"


def _trust_prefix(cluster_arn: str) -> str:
    return f"{IRSA_TAG}trust.{_digest(cluster_arn)}."


def _digest(cluster_arn: str) -> str:
    return hashlib.sha256(cluster_arn.encode()).hexdigest()[:12]


def trust_tags(cluster_arn: str, removed: Sequence[Removed], tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags with which a role records the statements that a migration removed for a cluster.

    :arg removed: the statements, in the order of their removal.
    :arg tags: the present tags of the role.
    :raises RecordTooLarge: when the role would have too many tags.
    """
    text = json.dumps([[entry.index, entry.statement] for entry in removed], separators=(",", ":"))
    data = base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode()
    size = _TAG_LENGTH - len(_COUNT.format(0))
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    # An earlier record with more parts may leave tags behind. Because of the number of parts, the reader ignores them.
    record = {
        f"{_trust_prefix(cluster_arn)}{number}": _COUNT.format(len(parts)) + part
        for number, part in enumerate(parts)
    }
    if (count := len({**tags, **record})) > _TAG_COUNT:
        raise RecordTooLarge(f"the role would have {count} tags, and IAM allows {_TAG_COUNT}")
    return record


def trust_record_keys(cluster_arn: str, tags: Mapping[str, str]) -> list[str]:
    """Return the keys of the tags with which a role records removed statements for a cluster."""
    return sorted(key for key in tags if key.startswith(_trust_prefix(cluster_arn)))


def recorded_statements(cluster_arn: str, tags: Mapping[str, str]) -> list[Removed]:
    """Return the statements that a migration removed for a cluster, in the order of their removal; [] without a record.

    :raises DamagedRecord: when a part of the record was changed or deleted.
    """
    prefix = _trust_prefix(cluster_arn)
    keys = trust_record_keys(cluster_arn, tags)
    if not keys:
        return []
    try:
        count, size = int(tags.get(f"{prefix}0", "").partition(":")[0]), len(_COUNT.format(0))
        parts = [tags[f"{prefix}{number}"][size:] for number in range(count)]
        text = zlib.decompress(base64.urlsafe_b64decode("".join(parts)))
        rows = cast("list[tuple[int, Mapping[str, object]]]", json.loads(text))
        return [Removed(index, statement) for index, statement in rows]
    except (binascii.Error, zlib.error, LookupError, ValueError, TypeError) as error:
        raise DamagedRecord(
            f"the record of these statements is damaged or incomplete (tags: {', '.join(keys)})"
        ) from error
