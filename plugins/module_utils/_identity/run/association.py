# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""One association on its own: look, plan, apply, look again until the change is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..._aws.client import Api
from ..._aws.interrupt import raise_if_interrupted
from ..._findings.codes import Code
from ..._findings.finding import WorkloadKey
from ..._policy.trust.trust import check_trust
from ..inputs.accounts import foreign_role
from ..model.associations import AssociationSpec, ObservedAssociation
from ..model.changes import Change, Plan, with_owner
from ..model.cluster import Cluster, clusters_of
from ..model.desired import Desired
from ..model.errors import AwsError, InputError, sentence
from ..model.names import parse_role_arn
from ..model.observed import Observed
from ..model.rows import AssociationRow, association_row
from ..model.targets import Failure, association_target, request_failure
from ..plan.associations import (
    DesiredAssociation,
    addon_owned,
    delete_association,
    plan_association,
    predicted,
    replacement_finding,
)
from ..plan.trust import reasons, subject_of
from ..read.associations import describe_association, list_associations
from ..read.cluster import find_cluster
from ..read.roles import read_trust_policy
from .apply import apply_plan
from .consistency import WaitPolicy, may_become_usable, unseen
from .outcome import Attempts, Cause, Journal, Outcome, Refusal


@dataclass(frozen=True, slots=True)
class Wanted:
    """One association as a user asks for it. ``role_arn`` is not needed for its removal.

    ``given_tags`` says whether tags were given at all; when not, those of an existing one stay. ``account_id`` is the
    account that the credentials must belong to; "" permits any.
    """

    key: WorkloadKey
    absent: bool
    role_arn: str
    spec: AssociationSpec
    given_tags: bool
    purge_tags: bool
    force: bool
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """``change`` is None when nothing had to be done; ``association`` is as modules return it.

    ``warnings`` say that its Pods get no credentials without session tags, or while it is replaced.
    """

    change: Change | None
    association: AssociationRow | None
    warnings: tuple[str, ...] = ()


class AssociationError(Exception):
    """The association could not be brought into the wanted state. ``changed``: something of it was changed."""

    def __init__(self, message: str, failure: Failure, changed: bool) -> None:
        self.failure = failure
        self.changed = changed
        super().__init__(message)


def converge(
    api: Api,
    wanted: Wanted,
    region: str,
    check_mode: bool,
    wait_policy: WaitPolicy,
    journal: Journal | None = None,
) -> Result:
    """Raises InputError and AwsError before anything is changed, AssociationError for what comes later.

    ``journal`` is told what is planned and made, for ``cut_short``.
    """
    journal = journal or Journal()
    state = "absent" if wanted.absent else "present"
    cluster = find_cluster(api, wanted.key.cluster, region, state, wanted.account_id)
    _validate_role(wanted, cluster)
    result = _converge(api, cluster, wanted, check_mode, wait_policy, journal)
    stake = replacement_finding(result.change) if result.change else None
    warnings = (
        f"{stake.message} {stake.remedy}" if stake else "",
        _session_tags_warning(api, cluster, wanted),
    )
    return replace(result, warnings=tuple(filter(None, warnings)))


def _converge(
    api: Api,
    cluster: Cluster,
    wanted: Wanted,
    check_mode: bool,
    wait_policy: WaitPolicy,
    journal: Journal,
) -> Result:
    attempts = Attempts()
    refusal: Refusal | None = None
    # What was made or removed elsewhere since it was looked for is looked at again, once.
    for _turn in range(2):
        if refusal is None:
            association = _find(api, cluster, wanted.key)
        else:
            association = _look_again(api, cluster, wanted.key, refusal, attempts.perhaps_made(), wait_policy)
        change = _plan(wanted, association, refusal)
        plan = Plan((change,) if change else ())
        journal.begin(Observed(clusters_of(cluster)), plan)
        attempts.look(plan)
        if change is None:
            row = association_row(association) if association else None
            return Result(attempts.done[-1].change if attempts.done else None, row)
        if check_mode:
            return Result(change, predicted(change, association, wanted.key))
        outcome = _apply(api, change, cluster, wanted, wait_policy, journal)
        attempts.add(outcome, ())
        refusal = next(iter(attempts.pending.values()), None)
        if not outcome.conflict and not any(refused.vanished for refused in outcome.refusals):
            break
    if refusal:
        raise _error(refusal.failure, cluster, wanted.key)
    made = attempts.done[-1].change
    return Result(made, _read_back(api, cluster, made, wait_policy))


def cut_short(journal: Journal, wanted: Wanted, cause: Cause, check_mode: bool) -> AssociationError:
    """What there is to tell of an association whose module ended before its time."""
    key = wanted.key
    if journal.observed is None:
        failure = Failure((key,), association_target(key), "read", cause.code, cause.text, cause.remedy)
        message = f"the association of {key.cluster} {key} was not looked at, and nothing was changed: "
        return AssociationError(f"{message}{cause.text} {cause.remedy}", failure, changed=False)
    clusters = journal.observed.clusters
    cluster = clusters.of(key)
    run = journal.cut_short(Desired(()), "present", clusters, cause, check_mode)
    (failure,) = run.failures
    if not run.done:
        return _error(replace(failure, workloads=(key,)), cluster, key)
    message = (
        f"the association of {cluster.name} {key} was changed, but not read back: {cause.text} {cause.remedy}"
    )
    return AssociationError(message, failure, changed=True)


def _look_again(
    api: Api,
    cluster: Cluster,
    key: WorkloadKey,
    earlier: Refusal,
    awaited: Sequence[Change],
    wait_policy: WaitPolicy,
) -> ObservedAssociation | None:
    """What there is after a refusal. What it says may be there already is waited for."""
    try:
        return _settled(api, cluster, key, awaited, wait_policy)[0]
    except AwsError as error:
        text = f"{sentence(earlier.failure.message)} What there is now cannot be read: {error}"
        raise _error(replace(earlier.failure, message=text), cluster, key) from error


def _settled(
    api: Api, cluster: Cluster, key: WorkloadKey, awaited: Sequence[Change], wait_policy: WaitPolicy
) -> tuple[ObservedAssociation | None, bool]:
    """The association, and whether it shows the changes. As long as it does not, it is read again."""
    association: ObservedAssociation | None = None
    for _attempt in wait_policy.attempts():
        raise_if_interrupted()
        association = _find(api, cluster, key)
        associations = {key: association} if association is not None else {}
        if not unseen(awaited, Observed(clusters_of(cluster), associations=associations)):
            return association, True
    return association, False


def _find(api: Api, cluster: Cluster, key: WorkloadKey) -> ObservedAssociation | None:
    if not cluster.status:
        return None
    for summary in list_associations(api, cluster.name, key.namespace, key.service_account):
        return describe_association(api, cluster.name, summary["associationId"])
    return None


def _plan(wanted: Wanted, association: ObservedAssociation | None, earlier: Refusal | None) -> Change | None:
    """What is still to do. ``earlier`` is what was refused before this look."""
    planned = _removal(wanted, association) if wanted.absent else _convergence(wanted, association)
    if isinstance(planned, Failure):
        message = f"{planned.message} {planned.remedy}"
        if earlier is None or not earlier.outcome_unknown:
            message += " Nothing was changed."
        raise AssociationError(message, planned, earlier is not None and earlier.failure.partly)
    return planned


def _removal(wanted: Wanted, association: ObservedAssociation | None) -> Change | Failure | None:
    if association is None:
        return None
    if association.owner_arn and not wanted.force:
        return addon_owned(association, "delete")
    return delete_association(1, association)


def _convergence(wanted: Wanted, association: ObservedAssociation | None) -> Change | Failure | None:
    tags_given = wanted.spec.tags
    return plan_association(
        DesiredAssociation(
            key=wanted.key,
            role_arn=wanted.role_arn,
            spec=wanted.spec,
            tags=with_owner(tags_given) if association is None else tags_given,
            purge_tags=wanted.given_tags and wanted.purge_tags,
            force=wanted.force,
            # It is named, and it is the only thing that is asked for.
            adopt=True,
        ),
        association,
    )


def _apply(
    api: Api,
    change: Change,
    cluster: Cluster,
    wanted: Wanted,
    wait_policy: WaitPolicy,
    journal: Journal,
) -> Outcome:
    """Make the change; wait for the role only when IAM says that EKS is merely behind."""
    outcome = apply_plan(api, Plan((change,)), 1, wait_policy, journal=journal)
    # A replace has waited already; another would find nothing to delete, and its failure not tell what was.
    if not any(refusal.role_not_usable and not refusal.half_replaced for refusal in outcome.refusals):
        return outcome
    subject = subject_of(cluster, wanted.key, wanted.role_arn, bool(wanted.spec.disable_session_tags))
    if not may_become_usable(api, wanted.role_arn, subject):
        return outcome
    return apply_plan(api, Plan((replace(change, awaits=True),)), 1, wait_policy, journal=journal)


def _session_tags_warning(api: Api, cluster: Cluster, wanted: Wanted) -> str:
    """Why the role cannot be used without session tags, where it can be with them; "" as well when it cannot be read."""
    if wanted.absent or wanted.spec.disable_session_tags is not True:
        return ""
    trust = read_trust_policy(api, wanted.role_arn)
    if trust is None:
        return ""
    without, with_tags = (
        check_trust(trust, subject_of(cluster, wanted.key, wanted.role_arn, disabled))
        for disabled in (True, False)
    )
    if without.usable != "no" or with_tags.usable == "no":
        return ""
    return (
        f"Role {wanted.role_arn} cannot be used by {wanted.key} while disable_session_tags is true: {reasons(without)} "
        "Leave session tags on, or give the role a trust policy without conditions on aws:RequestTag."
    )


def _validate_role(wanted: Wanted, cluster: Cluster) -> None:
    if wanted.absent:
        return
    parts = parse_role_arn(wanted.role_arn)
    if parts is None:
        example = f"arn:{cluster.partition}:iam::{cluster.account_id}:role/name"
        raise InputError([f"role_arn must be the ARN of an IAM role ({example}), got {wanted.role_arn!r}."])
    if parts.account_id != cluster.account_id:
        raise InputError([foreign_role(wanted.role_arn, parts.account_id, cluster)])


def _error(failure: Failure, cluster: Cluster, key: WorkloadKey) -> AssociationError:
    message = (
        f"{failure.action} of the association of {cluster.name} {key} (account {cluster.account_id}, "
        f"region {cluster.region}) failed: {failure.error_code}: "
        f"{sentence(failure.message)} {failure.remedy}"
    )
    return AssociationError(message, failure, failure.partly)


def _read_back(api: Api, cluster: Cluster, change: Change, wait_policy: WaitPolicy) -> AssociationRow | None:
    """The association once it shows the change, for whoever reads it next."""
    (key,) = change.workloads
    try:
        association, seen = _settled(api, cluster, key, (change,), wait_policy)
    except AwsError as error:
        failure = request_failure(error, (key,), association_target(key), "read")
        message = (
            f"the association of {cluster.name} {key} was changed, but could not be read back: "
            f"{sentence(str(error))} {error.remedy}"
        )
        raise AssociationError(message, failure, changed=True) from error
    if not seen:
        raise _not_yet_visible(cluster, change, wait_policy.timeout)
    return association_row(association) if association else None


def _not_yet_visible(cluster: Cluster, change: Change, waited: float) -> AssociationError:
    (key,) = change.workloads
    text = (
        f"the association of {cluster.name} {key} was changed ({change.action}), and EKS still answers as before it after "
        f"{waited:g} s."
    )
    remedy = "Run again in a minute, or raise ⟨propagation_timeout⟩."
    failure = Failure((key,), change.target, "read", Code.NOT_YET_VISIBLE, text, remedy)
    return AssociationError(f"{text} {remedy}", failure, changed=True)
