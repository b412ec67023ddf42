# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Confirmation 5: the association exists and has the role and the settings that were asked for. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.language.document import to_json
from ..model.changes import compare_tags, tags_after
from ..model.checks import FAIL, PASS, Check, conclude, conclude_unread, find_read_failure
from ..model.desired import AssociationSpec, Workload
from ..model.errors import listed
from ..model.observed import Observed, ObservedAssociation, VerificationReads
from ..model.targets import association_target, associations_target
from ..plan.associations import find_extra_settings, same_session_policy
from ..plan.trust_usability import is_shut_out
from .settings import differences, shown, unmarked
from .trust_policy import is_foreign

NAME = "association"


def check_association(workload: Workload, observed: Observed, reads: VerificationReads) -> Check:
    """One finding, for the first thing that is wrong with it."""
    cluster = observed.cluster_of(workload.key)
    failure = find_read_failure(observed, associations_target(cluster.key)) or find_read_failure(
        observed, association_target(workload.key)
    )
    if failure is not None:
        return conclude_unread(NAME, failure, workload.key)
    association = observed.associations.get(workload.key)
    if association is None and is_foreign(workload, cluster.account):
        # That the role is of another account is a finding of another check.
        return Check(NAME, FAIL)
    if association is None:
        return conclude(
            NAME,
            Finding(
                Code.ASSOCIATION_MISSING,
                f"cluster {cluster.name} has no pod identity association for {workload.key} (account "
                f"{cluster.account_id}, region {cluster.region}).{_hint(workload.key, reads.others)}",
                "Apply the workload, which creates it.",
                workload.key,
            ),
        )
    role_arn = observed.account.role_arn(workload.role) if workload.role else association.role_arn
    role = observed.roles.get(workload.role.name.lower()) if workload.role is not None else None
    shut_out = is_shut_out(workload, association, role, observed.clusters)
    finding = _find_difference(workload, association, role_arn, shut_out)
    return conclude(NAME, finding) if finding is not None else Check(NAME, PASS)


def _hint(key: WorkloadKey, others: Sequence[WorkloadKey]) -> str:
    """Others that may have been meant: the same service account elsewhere, and similar names."""
    same = [str(other) for other in others if other.service_account == key.service_account]
    similar = difflib.get_close_matches(str(key), list(map(str, others)), 3, 0.8)
    near = list(dict.fromkeys([*same, *similar]))
    return f" It has one for {listed(near)}." if near else ""


def _find_difference(
    workload: Workload, association: ObservedAssociation, role_arn: str, shut_out: bool
) -> Finding | None:
    subject = f"association {association.association_id} of {workload.key}"
    spec = workload.association
    if association.role_arn != role_arn:
        return Finding(
            Code.ASSOCIATION_OTHER_ROLE,
            f"{subject} names role {association.role_arn}, not {role_arn}.",
            "Apply the workload, which corrects it; Pods see the change after up to six hours, or at once "
            "when they are recreated.",
            workload.key,
        )
    if _differs(spec.target_role_arn, association.target_role_arn):
        return Finding(
            Code.ASSOCIATION_OTHER_TARGET_ROLE,
            f"{subject} has the target role {association.target_role_arn or '(none)'}, not "
            f"{spec.target_role_arn or '(none)'}.",
            "Apply the workload, which corrects it.",
            workload.key,
        )
    differing = _differing_settings(spec, association)
    if differing:
        return _settings_differ(subject, differing, workload.key)
    extra = find_extra_settings(spec, association, shut_out)
    if extra is not None:
        return extra
    if association.owner_arn:
        return Finding(
            Code.ASSOCIATION_OWNED_BY_ADDON,
            f"{subject} is owned by the EKS add-on {association.owner_arn}.",
            "Manage its role in the add-on's podIdentityAssociations.",
            workload.key,
        )
    if not association.owned:
        return unmarked(subject, workload.key)
    change = compare_tags(association.tags, spec.tags, False)
    if change:
        after = tags_after(association.tags, change)
        differing = differences({"tags": association.tags}, {"tags": after})
        return replace(_settings_differ(subject, differing, workload.key), raised_as="warning")
    return None


def _settings_differ(subject: str, differing: Sequence[str], key: WorkloadKey) -> Finding:
    return Finding(
        Code.ASSOCIATION_SETTINGS_DIFFER,
        f"{subject} is not as asked for: {', '.join(differing)}.",
        "Apply the workload, which corrects it.",
        key,
    )


def _differing_settings(spec: AssociationSpec, association: ObservedAssociation) -> list[str]:
    settings = []
    if _differs(spec.disable_session_tags, association.disable_session_tags):
        present, asked = association.disable_session_tags, spec.disable_session_tags
        settings.append(f"disable_session_tags is {shown(present)}, not {shown(asked)}")
    if not same_session_policy(spec.session_policy, association):
        settings.append(
            f"session_policy is {_brief(association.session_policy)}, not {_brief(spec.session_policy)}"
        )
    return settings


def _brief(document: Mapping[str, object] | None) -> str:
    return to_json(document) if document else "(none)"


def _differs(wanted: object, present: object) -> bool:
    return wanted is not None and wanted != present
