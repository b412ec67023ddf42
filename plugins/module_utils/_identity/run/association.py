# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Change one association without a workload list: read, plan, apply, and read again until the change is visible."""

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
from ..model.changes import Change, Plan
from ..model.cluster import Cluster, group_clusters
from ..model.desired import Desired
from ..model.errors import AwsError, ErrorKind, InputError, sentence
from ..model.names import default_owner, parse_role_arn
from ..model.observed import Observed
from ..model.rows import AssociationRow, association_row
from ..model.targets import Failure, association_target, request_failure
from ..plan.associations import (
    DesiredAssociation,
    addon_owned,
    delete_association,
    plan_association,
    predicted,
)
from ..plan.trust import reasons, trust_subject
from ..read.associations import describe_association, list_associations
from ..read.cluster import find_cluster
from ..read.roles import read_trust_policy
from .apply import ApplyContext, apply_plan
from .consistency import WaitPolicy, may_become_usable, unseen
from .outcome import Cause, Journal, Outcome, Refusal


@dataclass(frozen=True, slots=True)
class AssociationInput:
    """The options of the module eks_pod_identity_association. A deletion does not use ``role_arn``.

    Without ``has_tags`` the tags of an existing association are kept. ``account_id`` is the account that the credentials
    must belong to; "" permits any account.
    """

    key: WorkloadKey
    absent: bool
    role_arn: str
    spec: AssociationSpec
    has_tags: bool
    purge_tags: bool
    force: bool
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome for one association. ``change`` is None if the association already had its desired state.

    ``association`` is its state after the change, in check mode the predicted one, or None if it does not exist.
    ``warnings`` are about Pods that may lose their credentials: the role requires session tags, which the association disables.
    """

    change: Change | None
    association: AssociationRow | None
    warnings: tuple[str, ...] = ()


class AssociationError(Exception):
    """A failure of one association. ``changed`` is true if at least one request of the change succeeded."""

    def __init__(self, message: str, failure: Failure, changed: bool) -> None:
        self.failure = failure
        self.changed = changed
        super().__init__(message)


def converge(
    api: Api,
    request: AssociationInput,
    region: str,
    check_mode: bool,
    wait_policy: WaitPolicy,
    journal: Journal | None = None,
) -> Result:
    """Create, update or delete one association. ``journal`` records the changes, for ``cut_short``.

    :raises InputError: before any change.
    :raises AwsError: before any change.
    :raises AssociationError: for a change that is not allowed, failed, perhaps in part, or cannot be read back.
    """
    journal = journal or Journal()
    state = "absent" if request.absent else "present"
    cluster = find_cluster(api, request.key.cluster, region, state, request.account_id)
    _validate_role(request, cluster)
    result = _converge(api, cluster, request, check_mode, wait_policy, journal)
    warning = _session_tags_warning(api, cluster, request)
    return replace(result, warnings=(warning,) if warning else ())


def _converge(
    api: Api,
    cluster: Cluster,
    request: AssociationInput,
    check_mode: bool,
    wait_policy: WaitPolicy,
    journal: Journal,
) -> Result:
    refusal: Refusal | None = None
    # If another process created or deleted the association meanwhile, read the association again, once.
    for _turn in range(2):
        if refusal is None:
            association = _find(api, cluster, request.key)
        else:
            association = _look_again(api, cluster, request.key, refusal, journal.perhaps_made(), wait_policy)
        change = _plan(request, cluster, association, refusal)
        plan = Plan((change,) if change else ())
        journal.begin(Observed(group_clusters(cluster)), plan)
        if change is None:
            row = association_row(association) if association else None
            return Result(journal.done[-1].change if journal.done else None, row)
        if check_mode:
            return Result(change, predicted(change, association, request.key))
        outcome = _apply(api, change, cluster, request, wait_policy, journal)
        refusal = next(iter(journal.refusals), None)
        if not any(refused.conflict or refused.reason is ErrorKind.MISSING for refused in outcome.refusals):
            break
    if refusal:
        raise _error(refusal.failure, cluster, request.key)
    made = journal.done[-1].change
    return Result(made, _read_back(api, cluster, made, wait_policy))


def cut_short(
    journal: Journal, request: AssociationInput, cause: Cause, check_mode: bool
) -> AssociationError:
    """Return the error for a module that ended early; ``journal`` shows the requests that had succeeded."""
    key = request.key
    if journal.observed is None:
        failure = Failure((key,), association_target(key), "read", cause.code, cause.text, cause.remedy)
        message = f"the association of {key.cluster} {key} was not read, and the run changed no resource: "
        return AssociationError(f"{message}{cause.text} {cause.remedy}", failure, changed=False)
    clusters = journal.observed.clusters
    cluster = clusters.of_workload(key)
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
    """Return the association as it is after a refusal. Raises AssociationError.

    :arg awaited: changes that may be complete in spite of the refusal. Reads are repeated until they show these changes, or the
        timeout is over.
    """
    try:
        return _settled(api, cluster, key, awaited, wait_policy)[0]
    except AwsError as error:
        text = f"{sentence(earlier.failure.message)} The present state of the association cannot be read: {error}"
        raise _error(replace(earlier.failure, message=text), cluster, key) from error


def _settled(
    api: Api, cluster: Cluster, key: WorkloadKey, awaited: Sequence[Change], wait_policy: WaitPolicy
) -> tuple[ObservedAssociation | None, bool]:
    """Read the association until it shows the changes or the timeout is over.

    Return the association, and whether it shows them.
    """
    association: ObservedAssociation | None = None
    for _attempt in wait_policy.attempts():
        raise_if_interrupted()
        association = _find(api, cluster, key)
        associations = {key: association} if association is not None else {}
        if not unseen(awaited, Observed(group_clusters(cluster), associations=associations)):
            return association, True
    return association, False


def _find(api: Api, cluster: Cluster, key: WorkloadKey) -> ObservedAssociation | None:
    if not cluster.status:
        return None
    for summary in list_associations(api, cluster.name, key.namespace, key.service_account):
        return describe_association(api, cluster.name, summary["associationId"])
    return None


def _plan(
    request: AssociationInput,
    cluster: Cluster,
    association: ObservedAssociation | None,
    earlier: Refusal | None,
) -> Change | None:
    """Return the change that is still needed, or None. Raises AssociationError for a change that is not allowed.

    :arg earlier: the refused change of the previous attempt.
    """
    planned = (
        _removal(request, association) if request.absent else _convergence(request, cluster, association)
    )
    if isinstance(planned, Failure):
        message = f"{planned.message} {planned.remedy}"
        if earlier is None or not earlier.outcome_unknown:
            message += " Nothing was changed."
        raise AssociationError(message, planned, earlier is not None and earlier.failure.partly)
    return planned


def _removal(request: AssociationInput, association: ObservedAssociation | None) -> Change | Failure | None:
    if association is None:
        return None
    if association.owner_arn and not request.force:
        return addon_owned(association, "delete")
    return delete_association(association)


def _convergence(
    request: AssociationInput, cluster: Cluster, association: ObservedAssociation | None
) -> Change | Failure | None:
    # The user names the association explicitly, so the module changes an association that it did not create, without a mark.
    owner = default_owner(cluster.region, cluster.name) if association is None else ""
    purge_tags = request.has_tags and request.purge_tags
    desired = DesiredAssociation(
        request.key, request.role_arn, request.spec, owner, purge_tags, request.force, adopt=True
    )
    return plan_association(desired, association)


def _apply(
    api: Api,
    change: Change,
    cluster: Cluster,
    request: AssociationInput,
    wait_policy: WaitPolicy,
    journal: Journal,
) -> Outcome:
    """Apply the change. If EKS does not accept the role, wait only for a role that EKS may accept soon."""
    context = ApplyContext(api, wait_policy, journal=journal)
    outcome = apply_plan(Plan((change,)), context)
    if not any(refusal.reason is ErrorKind.ROLE_NOT_USABLE for refusal in outcome.refusals):
        return outcome
    subject = trust_subject(cluster, request.key, request.role_arn, bool(request.spec.disable_session_tags))
    if not may_become_usable(api, request.role_arn, subject):
        return outcome
    return apply_plan(Plan((change,)), replace(context, awaits=True))


def _session_tags_warning(api: Api, cluster: Cluster, request: AssociationInput) -> str:
    """Return a warning if the role requires session tags, which this association disables.

    Otherwise return "", also if the role cannot be read.
    """
    if request.absent or request.spec.disable_session_tags is not True:
        return ""
    trust = read_trust_policy(api, request.role_arn)
    if trust is None:
        return ""
    untagged, tagged = (
        check_trust(trust, trust_subject(cluster, request.key, request.role_arn, disabled))
        for disabled in (True, False)
    )
    if untagged.usable != "no" or tagged.usable == "no":
        return ""
    return (
        f"Role {request.role_arn} cannot be used by {request.key} while disable_session_tags is true: {reasons(untagged)} "
        "Leave session tags on, or give the role a trust policy without conditions on aws:RequestTag."
    )


def _validate_role(request: AssociationInput, cluster: Cluster) -> None:
    if request.absent:
        return
    parts = parse_role_arn(request.role_arn)
    if parts is None:
        example = f"arn:{cluster.partition}:iam::{cluster.account_id}:role/name"
        raise InputError([f"role_arn must be the ARN of an IAM role ({example}), got {request.role_arn!r}."])
    if parts.account_id != cluster.account_id:
        raise InputError([foreign_role(request.role_arn, parts.account_id, cluster)])


def _error(failure: Failure, cluster: Cluster, key: WorkloadKey) -> AssociationError:
    message = (
        f"could not {failure.action} the association of {cluster.name} {key} (account {cluster.account_id}, "
        f"region {cluster.region}): {failure.error_code}: "
        f"{sentence(failure.message)} {failure.remedy}"
    )
    return AssociationError(message, failure, failure.partly)


def _read_back(api: Api, cluster: Cluster, change: Change, wait_policy: WaitPolicy) -> AssociationRow | None:
    """Return the association once reads show the change, so that later tasks of a play read the changed state, too."""
    (key,) = change.workloads
    try:
        association, is_visible = _settled(api, cluster, key, (change,), wait_policy)
    except AwsError as error:
        failure = request_failure(error, (key,), association_target(key), "read")
        message = (
            f"the association of {cluster.name} {key} was changed, but could not be read back: "
            f"{sentence(str(error))} {error.remedy}"
        )
        raise AssociationError(message, failure, changed=True) from error
    if not is_visible:
        raise _not_yet_visible(cluster, change, wait_policy.timeout)
    return association_row(association) if association else None


def _not_yet_visible(cluster: Cluster, change: Change, waited: float) -> AssociationError:
    (key,) = change.workloads
    text = (
        f"the association of {cluster.name} {key} was changed, but reads do not show the change ({change.action}) after "
        f"{waited:g} s."
    )
    remedy = "Run again in a minute."
    failure = Failure((key,), change.target, "read", Code.NOT_YET_VISIBLE, text, remedy)
    return AssociationError(f"{text} {remedy}", failure, changed=True)
