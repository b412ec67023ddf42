# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Plan customer managed policies, and compare policy documents statement by statement. Pure.

A document is the parsed JSON of a policy. Sources: iam CreatePolicy, CreatePolicyVersion (at most five versions), TagPolicy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TypeAlias

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.evaluation.rules import Request, Rule, build_rules
from ..._policy.language.context import Context
from ..._policy.language.document import (
    PolicyError,
    document_statements,
    parse_policy,
    policy_size,
    to_json,
)
from ..model.attributes import creation
from ..model.changes import (
    Call,
    Change,
    Draft,
    Stage,
    compare_tags,
    iam_tag_calls,
    tags_after,
    with_managed_tag,
    without_owner,
)
from ..model.cluster import Account, Clusters
from ..model.desired import Options
from ..model.errors import listed, sentence
from ..model.names import CLUSTER_TAG, is_aws_managed, is_of_another, lacks_owner, may_change
from ..model.policies import DOCUMENT, POLICY_ATTRIBUTES, ObservedPolicy, PolicySpec, PolicyVersion
from ..model.targets import Failure, Step, policy_target, request_failure
from .attachments import further_records, record_further
from .outside_users import PolicyUsers
from .problems import not_owned, owned_by_another, owner_not_set

RawStatement: TypeAlias = Mapping[str, object]
# Elements of an Allow statement to which a value can be added without a loss of permissions.
_LISTS = ("Action", "Resource")
# The maximum number of pairs of an action and a resource for which wildcards are compared, which is slow. For more pairs, only
# the texts are compared.
_MOST_PAIRS = 4096


def gives(present: Mapping[str, object], desired: Mapping[str, object]) -> bool:
    """Return whether the desired document may allow a request that the present one does not allow.

    Only statements are compared, so the result may also be True for documents that allow the same requests.
    """
    return _allows_more(present, desired) or denies_more(present=desired, desired=present)


def _allows_more(present: Mapping[str, object], desired: Mapping[str, object]) -> bool:
    """Return whether the desired document has an Allow that no Allow of the present one covers."""
    return any(not _is_covered(statement, _allows(present)) for statement in _allows(desired))


def denies_more(present: Mapping[str, object], desired: Mapping[str, object]) -> bool:
    """Return whether the desired document has a Deny statement that the present one does not have."""
    return any(statement not in _denies(present) for statement in _denies(desired))


def denies(document: Mapping[str, object]) -> bool:
    """Return whether a document has a Deny statement."""
    return bool(_denies(document))


def only_denies(document: Mapping[str, object]) -> bool:
    """Return whether a document has Deny statements, but no Allow statement."""
    return bool(_denies(document)) and not _allows(document)


def takes(present: Mapping[str, object], desired: Mapping[str, object]) -> bool:
    """Return whether the present document may allow a request that the desired one does not allow."""
    return gives(present=desired, desired=present)


def steps(
    present: Mapping[str, object], desired: Mapping[str, object]
) -> list[tuple[Step, Mapping[str, object]]]:
    """Split the change of a document into up to four steps, each with its document. The document of the last step is ``desired``.

    The steps add Deny statements ("restricts"), add Allow statements (""), remove Allow statements ("takes"), and remove
    Deny statements ("lifts"). If the value of Version changes, there is only one step, because Version changes the meaning of
    all statements.
    """
    if present.get("Version") != desired.get("Version"):
        return [("", desired)]
    allowed = _allows(desired)
    sids = {statement.get("Sid") for statement in _statements(desired)} - {None}
    kept_allows = [
        _without_sid(statement, sids) for statement in _allows(present) if not _is_covered(statement, allowed)
    ]
    kept_denies = [
        _without_sid(statement, sids) for statement in _denies(present) if statement not in _denies(desired)
    ]
    new_denies = [statement for statement in _denies(desired) if statement not in _denies(present)]
    new_sids = {statement.get("Sid") for statement in new_denies} - {None}
    restricted = [_without_sid(statement, new_sids) for statement in _statements(present)]
    documents: list[tuple[Step, Mapping[str, object]]] = []
    if denies_more(present, desired):
        documents.append(("restricts", {**desired, "Statement": [*restricted, *new_denies]}))
    if _allows_more(present, desired):
        documents.append(
            ("", {**desired, "Statement": [*allowed, *_denies(desired), *kept_allows, *kept_denies]})
        )
    if _allows_more(present=desired, desired=present):
        documents.append(("takes", {**desired, "Statement": [*allowed, *_denies(desired), *kept_denies]}))
    if denies_more(present=desired, desired=present):
        documents.append(("lifts", desired))
    if not documents:
        return [("", desired)]
    last, _document = documents[-1]
    return [*documents[:-1], (last, desired)]


def _statements(document: Mapping[str, object]) -> list[RawStatement]:
    return [statement for statement in document_statements(document) if isinstance(statement, Mapping)]


def _allows(document: Mapping[str, object]) -> list[RawStatement]:
    return [statement for statement in _statements(document) if statement.get("Effect") == "Allow"]


def _denies(document: Mapping[str, object]) -> list[RawStatement]:
    return [statement for statement in _statements(document) if statement.get("Effect") != "Allow"]


def _is_covered(statement: RawStatement, candidates: Iterable[RawStatement]) -> bool:
    """Return whether one of the candidates is equal to the statement, or wider.

    A wider candidate has more actions or resources, or wildcards that match the actions and resources of the statement. Sids
    are ignored.
    """
    return any(
        _other_elements(statement) == _other_elements(other) and _is_within(statement, other)
        for other in candidates
    )


def _other_elements(statement: RawStatement) -> dict[str, object]:
    return {name: value for name, value in statement.items() if name not in (*_LISTS, "Sid")}


def _is_within(statement: RawStatement, other: RawStatement) -> bool:
    as_text = all(
        (name in statement) == (name in other) and _listed(statement, name) <= _listed(other, name)
        for name in _LISTS
    )
    return as_text or _is_within_wildcards(statement, other)


def _is_within_wildcards(statement: RawStatement, other: RawStatement) -> bool:
    """Return whether the wildcards of ``other`` certainly match each action and resource of ``statement``, as ``sqs:*`` matches
    ``sqs:SendMessage``.
    """
    if any(name not in item for name in _LISTS for item in (statement, other)):
        return False
    actions, resources = (_listed(statement, name) for name in _LISTS)
    if len(actions) * len(resources) > _MOST_PAIRS or any("${" in resource for resource in resources):
        return False
    try:
        [rule] = build_rules(parse_policy({"Version": "2012-10-17", "Statement": [_plain(other)]}))
    except PolicyError:
        return False
    everywhere = "*" in _listed(other, "Resource")
    return all(
        _covers(rule, action, resource, everywhere) for action, resource in product(actions, resources)
    )


def _plain(statement: RawStatement) -> dict[str, object]:
    return {"Effect": "Allow", **{name: statement[name] for name in _LISTS}}


def _covers(rule: Rule, action: str, resource: str, everywhere: bool) -> bool:
    request = Request(action, resource)
    if not rule.matches_action(request):
        return False
    # In a request, "*" stands for no resource; in a statement, for every resource.
    return everywhere if resource == "*" else rule.matches_resource(request, Context()) is True


def _listed(statement: RawStatement, name: str) -> set[str]:
    value = statement.get(name, [])
    return set(map(str, value)) if isinstance(value, list) else {str(value)}


def _without_sid(statement: RawStatement, used_sids: set[object]) -> RawStatement:
    """Return a statement, without its Sid if ``used_sids`` contains the Sid, because IAM requires unique Sids."""
    if statement.get("Sid") not in used_sids:
        return statement
    return {name: value for name, value in statement.items() if name != "Sid"}


POLICY_STAGE = Stage.POLICY
NARROWING_STAGE = Stage.TAKE
# The maximum number of versions of a managed policy.
VERSION_LIMIT = 5
# The maximum number of characters in a managed policy, without white space.
DOCUMENT_SIZE = 6144


def plan_policy(
    draft: Draft,
    clusters: Clusters,
    options: Options,
    spec: PolicySpec,
    policy: ObservedPolicy | None,
    users: Sequence[WorkloadKey],
    policy_users: PolicyUsers,
) -> None:
    """Plan one policy: add its change or failure, and findings about it, to the draft.

    :arg policy: the policy in IAM, or None if it does not exist.
    :arg users: the workloads of the run that need the policy, also as permissions boundary.
    :arg policy_users: all users of policies, in and outside the run.
    """
    arn = clusters.account.policy_arn(spec)
    workloads = tuple(users)
    records = further_records(policy, policy_users.roles.get(arn, ()), clusters) if policy else {}
    if spec.document is None:
        if policy is None:
            draft.failures.append(_missing(arn, clusters.account, workloads))
        elif records and may_change(policy.tags or {}, options.owner, options.adopt):
            draft.changes.append(record_further(POLICY_STAGE, policy, records, workloads))
        return
    if policy is None:
        draft.changes.append(_create(spec, arn, clusters, workloads))
        return
    shared = not options.adopt and lacks_owner(policy.tags or {}, spec.tags)
    if shared and (reason := policy_users.reason_to_share(policy)):
        draft.findings.append(owner_not_set(policy_target(arn), spec.tags, reason, workloads))
        spec = replace(spec, tags=without_owner(spec.tags))
    change = _update(replace(spec, tags={**spec.tags, **records}), policy, clusters, options, workloads)
    if change is None:
        return
    present = policy.tags or {}
    of_another = is_of_another(present, options.owner)
    if (of_another or not policy.owned) and not options.adopt:
        # A policy with an equal document is used unchanged.
        if not _same_document(spec, policy):
            draft.failures.append(
                owned_by_another(policy_target(arn), present, options.owner, workloads, "update")
                if of_another
                else not_owned(
                    policy_target(arn),
                    workloads,
                    f"policy {arn} exists with another document",
                    "give the policy another name, or use the existing one by its arn.",
                )
            )
        return
    if "document" in (change.after or {}):
        if options.force:
            draft.findings += _changed_elsewhere(policy, policy_users, workloads)
        elif (failure := _used_elsewhere(policy, policy_users, workloads)) is not None:
            draft.failures.append(failure)
            return
    draft.changes.append(change)


def _create(spec: PolicySpec, arn: str, clusters: Clusters, workloads: tuple[WorkloadKey, ...]) -> Change:
    values = {attribute.name: getattr(spec, attribute.name) for attribute in POLICY_ATTRIBUTES}
    values["tags"] = _marked(spec, clusters, workloads)
    if spec.description is None and spec.preset is not None:
        values["description"] = spec.preset.description
    parameters, state = creation(POLICY_ATTRIBUTES, values)
    parameters |= {"PolicyName": spec.name, "Path": spec.path}
    state["arn"] = arn
    call = Call("iam", "CreatePolicy", parameters)
    return Change(POLICY_STAGE, policy_target(arn), "create", workloads, None, state, (call,))


def _marked(spec: PolicySpec, clusters: Clusters, workloads: tuple[WorkloadKey, ...]) -> dict[str, str]:
    """Return the desired tags of a policy that this collection creates or adopts.

    Add the tag of managed resources, and the tag by which a purge finds the policy: the cluster of the first workload. Workloads
    whose cluster could not be read are skipped.
    """
    cluster_arn = next((clusters.of_workload(key).arn for key in workloads if key in clusters), "")
    return {**with_managed_tag(spec.tags), **({CLUSTER_TAG: cluster_arn} if cluster_arn else {})}


def _update(
    spec: PolicySpec,
    policy: ObservedPolicy,
    clusters: Clusters,
    options: Options,
    workloads: tuple[WorkloadKey, ...],
) -> Change | None:
    old: dict[str, object] = {}
    new: dict[str, object] = {}
    calls: list[Call] = []
    identity = {"PolicyArn": policy.arn}
    if not _same_document(spec, policy):
        old["document"], new["document"] = policy.document, spec.document
        oldest = _oldest(policy.versions)
        if oldest is not None:
            old["oldest_version"], new["oldest_version"] = oldest.version_id, "deleted"
        calls += _version_calls(policy.arn, oldest, spec.document)
    if policy.tags is not None:
        desired_tags = with_managed_tag(spec.tags) if policy.owned else _marked(spec, clusters, workloads)
        change = compare_tags(policy.tags, desired_tags, options.purge_tags)
        if change:
            old["tags"], new["tags"] = dict(policy.tags), tags_after(policy.tags, change)
            calls += iam_tag_calls("Policy", identity, change)
    if not calls:
        return None
    update = Change(POLICY_STAGE, policy_target(policy.arn), "update", workloads, old, new, tuple(calls))
    present: Mapping[str, object] = policy.document or {}
    desired: Mapping[str, object] = spec.document or {}
    only_takes = (
        _allows_more(present=desired, desired=present)
        and not gives(present, desired)
        and not denies_more(present, desired)
    )
    return replace(update, stage=NARROWING_STAGE, takes=True) if only_takes else update


_STAGES: Mapping[Step, Stage] = {
    "restricts": Stage.POLICY,
    "": Stage.POLICY,
    "takes": Stage.TAKE,
    "lifts": Stage.LIFT,
}


def in_steps(update: Change, policy: ObservedPolicy) -> tuple[Change, ...]:
    """Split the update of a policy into the changes of ``steps``, so that another change can be applied between two steps.

    For example, another policy gets a permission before this one loses it. A step whose document exceeds the size limit of IAM
    is omitted. If only the last step remains, the result is one change, in a later stage if it removes permissions or Deny
    statements.
    """
    document_after = (update.after or {}).get("document")
    if not isinstance(document_after, Mapping) or policy.document is None:
        return (update,)
    *between, last = steps(policy.document, document_after)
    documents = [*(step for step in between if policy_size(step[1]) <= DOCUMENT_SIZE), last]
    if len(documents) == 1:
        step, _document = last
        if step == "lifts":
            return (replace(update, stage=Stage.LIFT, target=policy_target(policy.arn, step)),)
        loses = between or (not step and _allows_more(document_after, policy.document))
        return (replace(update, stage=NARROWING_STAGE),) if loses else (update,)
    rest = [
        call for call in update.calls if call.operation not in ("CreatePolicyVersion", "DeletePolicyVersion")
    ]
    changes: list[Change] = []
    present, versions = policy.document, policy.versions
    for step, document in documents:
        oldest = _oldest(versions)
        calls = _version_calls(policy.arn, oldest, document)
        changes.append(
            replace(
                update,
                stage=_STAGES[step],
                target=policy_target(policy.arn, step),
                before={"document": present} if changes else update.before,
                after={"document": document} if changes else {**(update.after or {}), "document": document},
                calls=calls if changes else (*calls, *rest),
                needs=update.needs | {change.target for change in changes[-1:]},
                takes=step == "takes",
            )
        )
        present, versions = document, _with_another(versions, oldest)
    return tuple(changes)


def _oldest(versions: Sequence[PolicyVersion]) -> PolicyVersion | None:
    """Return the version to delete before a new one: the oldest that is not the default; None if no deletion is necessary."""
    if len(versions) < VERSION_LIMIT:
        return None
    return min(
        (version for version in versions if not version.is_default), key=lambda version: version.number
    )


def _with_another(
    versions: Sequence[PolicyVersion], oldest: PolicyVersion | None
) -> tuple[PolicyVersion, ...]:
    """Return the versions of a policy after the creation of another version. IAM numbers versions consecutively."""
    former = [replace(version, is_default=False) for version in versions if version != oldest]
    newest = max((version.number for version in versions), default=0) + 1
    return (*former, PolicyVersion(f"v{newest}", True))


def _version_calls(
    arn: str, oldest: PolicyVersion | None, document: Mapping[str, object] | None
) -> tuple[Call, ...]:
    identity = {"PolicyArn": arn}
    create = Call(
        "iam", "CreatePolicyVersion", {**identity, "PolicyDocument": to_json(document), "SetAsDefault": True}
    )
    if oldest is None:
        return (create,)
    return Call("iam", "DeletePolicyVersion", {**identity, "VersionId": oldest.version_id}), create


def _same_document(spec: PolicySpec, policy: ObservedPolicy) -> bool:
    return policy.document is not None and DOCUMENT.equals(policy.document, spec.document)


def _missing(arn: str, account: Account, workloads: tuple[WorkloadKey, ...]) -> Failure:
    return Failure(
        workloads,
        policy_target(arn),
        "read",
        Code.POLICY_MISSING,
        f"AWS managed policy {arn} does not exist."
        if is_aws_managed(arn)
        else f"policy {arn} does not exist in account {account.account_id}.",
        "Correct its ARN. To list the AWS managed policies: aws iam list-policies --scope AWS"
        if is_aws_managed(arn)
        else "Correct the ARN, or set name and document to create the policy.",
    )


def _used_elsewhere(
    policy: ObservedPolicy, policy_users: PolicyUsers, workloads: tuple[WorkloadKey, ...]
) -> Failure | None:
    """Return a failure if the policy has users outside the run, or if its users could not be read; otherwise None.

    Return None also if all workloads already fail, because these workloads need no second failure.
    """
    if policy_users.failing.issuperset(workloads):
        return None
    target = policy_target(policy.arn)
    unread = policy_users.unread(policy)
    if unread is not None:
        text = f"policy {policy.arn} is unchanged, because its users outside this run could not be read: "
        return request_failure(unread.error, workloads, target, "update", prefix=text)
    users = policy_users.outside(policy)
    if not users:
        return None
    cluster = (policy.tags or {}).get(CLUSTER_TAG)
    tagged = f" It was first created for cluster {cluster} (tag {CLUSTER_TAG})." if cluster else ""
    return Failure(
        workloads,
        target,
        "update",
        Code.POLICY_USED_ELSEWHERE,
        f"policy {policy.arn} has a different document than this run defines for {listed(map(str, workloads))}. It is unchanged "
        f"because of users outside this run: {listed(users, 5)}.{tagged}",
        "Give the policy another name here, or apply all lists that use it in one run. To change it for all of these users, set "
        "⟨force⟩: true (check mode with diff shows the change), and define the same document in all lists.",
    )


def _changed_elsewhere(
    policy: ObservedPolicy, policy_users: PolicyUsers, workloads: tuple[WorkloadKey, ...]
) -> list[Finding]:
    """Report the users outside the run that a change with ``force`` affects. Return at most one finding."""
    unread = policy_users.unread(policy)
    if unread is not None:
        error = unread.error
        text = f"could not be read: {error.operation}: {error.code}: {sentence(error.text)}"
        message = f"policy {policy.arn} gets another document. Its users outside this run {text}"
    elif users := policy_users.outside(policy):
        message = f"policy {policy.arn} gets another document, also for users outside this run: {listed(users, 10)}."
    else:
        return []
    return [
        Finding(
            Code.POLICY_USED_ELSEWHERE,
            message,
            "Notify the owners of these users, and define the same document in every list with the policy.",
            workloads[0],
            raised_as="warning",
        )
    ]
