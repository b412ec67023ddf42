# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Change one association without its role: a run of the engine for a list of one workload."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..._aws.client import Api
from ..._policy.trust.trust import check_trust
from ..inputs.accounts import foreign_role
from ..model.changes import Change
from ..model.cluster import Cluster
from ..model.desired import Desired, Workload
from ..model.errors import AwsError, InputError, sentence
from ..model.names import default_owner, parse_role_arn
from ..model.rows import Row, association_row
from ..model.targets import Failure
from ..plan.plan import predict
from ..plan.trust import reasons, trust_subject
from ..read.cluster import find_cluster
from ..read.roles import read_trust_policy
from .consistency import WaitPolicy
from .engine import Engine
from .order import Applied, Order, apply_order


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome for one association. ``change`` is None if the association already had its desired state.

    ``association`` is its state after the change, in check mode the predicted one, or None if it does not exist.
    ``warnings`` are about Pods that may lose their credentials: the role requires session tags, which the association disables.
    """

    change: Change | None
    association: Row | None
    warnings: tuple[str, ...] = ()


class AssociationError(Exception):
    """A failure of one association.

    ``changed`` is true if at least one request of the change succeeded. ``trace`` is the traceback of an unexpected error.
    """

    def __init__(self, message: str, failure: Failure, changed: bool, trace: str = "") -> None:
        self.failure = failure
        self.changed = changed
        self.trace = trace
        super().__init__(message)


def converge(
    api: Api, desired: Desired, order: Order, region: str, wait_policy: WaitPolicy, account_id: str = ""
) -> Result:
    """Create, update or delete one association.

    :arg desired: one workload without a role; its association has the ARN of the role. A removal does not use this ARN.
    :arg account_id: the account that the credentials must belong to; "" permits any account.
    :raises InputError: before any change.
    :raises AwsError: before any change.
    :raises AssociationError: for a change that is not allowed, failed, perhaps in part, or cannot be read back.
    """
    (workload,) = desired.workloads
    cluster = find_cluster(api, workload.key.cluster, region, order.state, account_id)
    arn = workload.association.role_arn
    role = parse_role_arn(arn)
    if order.state == "present" and role is None:
        place = f"arn:{cluster.partition}:iam::{cluster.account_id}:role/name"
        raise InputError([f"role_arn must be the ARN of an IAM role ({place}), got {arn!r}."])
    if order.state == "present" and role is not None and role.account_id != cluster.account_id:
        raise InputError([foreign_role(arn, role.account_id, cluster)])
    owner = default_owner(cluster.region, cluster.name)
    options = replace(desired.options, owner=owner, adopt=True, single=True)
    engine = Engine(api, cluster, 1, wait_policy)
    applied = apply_order(engine, replace(desired, options=options), order)
    run = applied.run
    if run.failures or applied.observed.failures:
        uncertain = any(refusal.outcome_unknown for refusal in engine.journal.refusals)
        raise _error(applied, cluster, workload, uncertain)
    observed = predict(applied.observed, run.plan) if order.check_mode else applied.observed
    association = observed.associations.get(workload.key)
    return Result(
        next(iter(run.changes), None),
        association_row(association) if association is not None else None,
        tuple(_session_tags_warnings(api, cluster, workload)) if order.state == "present" else (),
    )


def _error(
    applied: Applied, cluster: Cluster, workload: Workload, uncertain: bool
) -> AssociationError | AwsError:
    """Return the error of a run with a failed change, or with a failed read before or after the change.

    :arg uncertain: whether a refused change may have been carried out.
    """
    run, guard, failures = applied.run, applied.guard, [*applied.run.failures, *applied.observed.failures]
    place = f"the association of {cluster.name} {workload.key}"
    changed = bool(run.done) or any(part.partly for part in run.failures)
    failure = next((part for part in failures if part.action != "read"), failures[0])
    reads = [part.message if guard.cause else str(part.cause) for part in failures if part.action == "read"]
    if failure.action == "read":
        if failure.cause is not None and guard.cause is None and not changed:
            return failure.cause
        state = (
            "changed, but could not be read back" if changed else "not read, and the run changed no resource"
        )
        message = f"{place} was {state}: {sentence(reads[0])} {failure.remedy}"
        return AssociationError(message, failure, changed, guard.trace)
    if failure.cause is None and guard.cause is None:
        end = "" if uncertain else " Nothing was changed."
        return AssociationError(f"{failure.message} {failure.remedy}{end}", failure, changed)
    more = f" The present state of the association cannot be read: {sentence(reads[0])}" if reads else ""
    message = (
        f"could not {failure.action} {place} (account {cluster.account_id}, region {cluster.region}): "
        f"{failure.error_code}: {sentence(failure.message)}{more} {failure.remedy}"
    )
    return AssociationError(message, failure, changed, guard.trace)


def _session_tags_warnings(api: Api, cluster: Cluster, workload: Workload) -> list[str]:
    """Return a warning if the role requires session tags, which this association disables.

    Without this conflict, return an empty list, also if the role cannot be read.
    """
    key, role_arn = workload.key, workload.association.role_arn
    trust = read_trust_policy(api, role_arn) if workload.association.disable_session_tags is True else None
    if trust is None:
        return []
    untagged, tagged = (
        check_trust(trust, trust_subject(cluster, key, role_arn, disabled)) for disabled in (True, False)
    )
    if untagged.usable != "no" or tagged.usable == "no":
        return []
    return [
        f"Role {role_arn} cannot be used by {key} while disable_session_tags is true: {reasons(untagged)} "
        "Leave session tags on, or give the role a trust policy without conditions on aws:RequestTag."
    ]
