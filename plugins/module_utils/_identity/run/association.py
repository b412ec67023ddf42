# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""One association on its own: look, plan, apply, look again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..._aws.client import Api
from ..._findings.key import WorkloadKey
from ..._policy.trust.trust import Subject
from ..inputs.account_checks import foreign_role
from ..model import tags
from ..model.arns import parse_role_arn
from ..model.aws_errors import AwsError
from ..model.changes import Change, Plan
from ..model.cluster import Cluster
from ..model.desired import AssociationSpec
from ..model.errors import InputError
from ..model.failures import Failure
from ..model.messages import sentence
from ..model.observed import ObservedAssociation
from ..model.rows import association_row
from ..plan.associations import (
    WantedAssociation,
    addon_owned,
    delete_association,
    plan_association,
    predicted,
)
from ..read.associations import describe_association, list_associations
from ..read.cluster import find_cluster
from ..read.role_propagation import may_become_usable
from .apply import apply_plan
from .attempts import Attempts
from .outcome import Outcome, Refusal
from .waiting import WaitPolicy


@dataclass(frozen=True, slots=True)
class Wanted:
    """One association as a user asks for it. ``role_arn`` is not needed for its removal.

    ``given_tags`` says whether tags were given at all; when not, those of an existing one stay.
    """

    cluster_name: str
    key: WorkloadKey
    absent: bool
    role_arn: str
    spec: AssociationSpec
    given_tags: bool
    purge_tags: bool
    force: bool


@dataclass(frozen=True, slots=True)
class Result:
    """``change`` is None when nothing had to be done; ``association`` is as modules return it."""

    change: Change | None
    association: Mapping[str, Any] | None


class AssociationError(Exception):
    """The association could not be brought into the wanted state."""

    def __init__(self, message: str, code: str, remedy: str, changed: bool = False) -> None:
        self.code = code
        self.remedy = remedy
        self.changed = changed
        super().__init__(message)


def converge(api: Api, wanted: Wanted, region: str, check_mode: bool, wait_policy: WaitPolicy) -> Result:
    """Raises InputError and AwsError before anything is changed, AssociationError for what comes later."""
    cluster = find_cluster(api, wanted.cluster_name, region, "absent" if wanted.absent else "present")
    _check_role(wanted, cluster)
    rounds = Attempts()
    refused: Refusal | None = None
    # What was made or removed elsewhere since it was looked for is looked at again, once.
    for _index in range(2):
        found = _look_again(api, cluster, wanted.key, refused) if refused else _find(api, cluster, wanted.key)
        change = _plan(wanted, cluster, found, refused)
        rounds.look(Plan((change,) if change else ()))
        if change is None:
            row = association_row(found, cluster.name) if found else None
            return Result(rounds.done[-1].change if rounds.done else None, row)
        if check_mode:
            return Result(change, predicted(change, found, wanted.key, cluster.name))
        outcome = _apply(api, change, cluster, wanted, wait_policy)
        rounds.add(outcome, ())
        refused = next(iter(rounds.pending.values()), None)
        if not outcome.conflict and not any(one.vanished for one in outcome.refusals):
            break
    if refused:
        raise _refused(refused.failure, cluster, wanted.key)
    return Result(rounds.done[-1].change, _read_back(api, cluster, wanted.key))


def _look_again(api: Api, cluster: Cluster, key: WorkloadKey, earlier: Refusal) -> ObservedAssociation | None:
    try:
        return _find(api, cluster, key)
    except AwsError as error:
        text = f"{sentence(earlier.failure.message)} What there is now cannot be read: {error}"
        raise _refused(replace(earlier.failure, message=text), cluster, key) from error


def _find(api: Api, cluster: Cluster, key: WorkloadKey) -> ObservedAssociation | None:
    if not cluster.status:
        return None
    for summary in list_associations(api, cluster.name, key.namespace, key.service_account):
        return describe_association(api, cluster.name, summary["associationId"])
    return None


def _plan(
    wanted: Wanted, cluster: Cluster, found: ObservedAssociation | None, earlier: Refusal | None
) -> Change | None:
    """What is still to do. ``earlier`` is what was refused before this look."""
    planned: Change | Failure | None
    if wanted.absent:
        if found is None:
            return None
        if found.owner_arn and not wanted.force:
            planned = addon_owned(cluster.name, found, "delete")
        else:
            planned = delete_association(1, cluster.name, found)
    else:
        association = WantedAssociation(
            cluster_name=cluster.name,
            key=wanted.key,
            role_arn=wanted.role_arn,
            spec=wanted.spec,
            tags=tags.with_owner(wanted.spec.tags) if found is None else wanted.spec.tags,
            purge_tags=wanted.given_tags and wanted.purge_tags,
            force=wanted.force,
        )
        planned = plan_association(association, found)
    if isinstance(planned, Failure):
        message = f"{planned.message} {planned.remedy}"
        if earlier is None or not earlier.outcome_unknown:
            message += " Nothing was changed."
        changed = earlier is not None and earlier.failure.partly
        raise AssociationError(message, planned.error_code, planned.remedy, changed)
    return planned


def _apply(api: Api, change: Change, cluster: Cluster, wanted: Wanted, wait_policy: WaitPolicy) -> Outcome:
    """Make the change; wait for the role only when IAM says that EKS is merely behind."""
    outcome = apply_plan(api, Plan((change,)), 1, wait_policy)
    # A replace has waited already; another would find nothing to delete, and its failure not tell what was.
    if not any(one.role_not_usable and not one.half_replaced for one in outcome.refusals):
        return outcome
    subject = Subject(
        cluster_arn=cluster.arn,
        namespace=wanted.key.namespace,
        service_account=wanted.key.service_account,
        account_id=cluster.account_id,
        partition=cluster.partition,
        role_arn=wanted.role_arn,
        session_tags=not wanted.spec.disable_session_tags,
    )
    if not may_become_usable(api, wanted.role_arn, subject):
        return outcome
    return apply_plan(api, Plan((replace(change, awaits=True),)), 1, wait_policy)


def _check_role(wanted: Wanted, cluster: Cluster) -> None:
    if wanted.absent:
        return
    parts = parse_role_arn(wanted.role_arn)
    if parts is None:
        example = f"arn:{cluster.partition}:iam::{cluster.account_id}:role/name"
        raise InputError([f"role_arn must be the ARN of an IAM role ({example}), got {wanted.role_arn!r}."])
    if parts.account_id != cluster.account_id:
        raise InputError([foreign_role(wanted.role_arn, parts.account_id, cluster)])


def _refused(failure: Failure, cluster: Cluster, key: WorkloadKey) -> AssociationError:
    return AssociationError(
        f"{failure.action} of the association of {cluster.name} {key} (account {cluster.account_id}, "
        f"region {cluster.region}) failed: {failure.error_code}: "
        f"{sentence(failure.message)} {failure.remedy}",
        failure.error_code,
        failure.remedy,
        failure.partly,
    )


def _read_back(api: Api, cluster: Cluster, key: WorkloadKey) -> Mapping[str, Any] | None:
    try:
        found = _find(api, cluster, key)
    except AwsError as error:
        raise AssociationError(
            f"the association of {cluster.name} {key} was changed, but could not be read back: "
            f"{sentence(str(error))} {error.remedy}",
            error.code,
            error.remedy,
            changed=True,
        ) from error
    return association_row(found, cluster.name) if found else None
