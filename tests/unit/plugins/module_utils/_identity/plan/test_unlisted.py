# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    ObservedAssociation,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    Options,
    PurgeScope,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import OWNER_TAG
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    Observed,
    UnlistedAssociations,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.unlisted import (
    find_empty_list,
    find_unlisted,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    HERE,
    OWNED,
    OWNER,
    REGION,
    desired,
    key,
    role_arn,
    workload,
)

DENIED = classify("eks:DescribePodIdentityAssociation", "AccessDeniedException", "User is not authorized")
BY_PURGE = (
    "If the managed associations belong to another list of workloads, set ⟨owner⟩ for each list. Otherwise "
    "list these workloads, or remove them: run for this cluster alone with ⟨purge⟩: true. The check mode of this run "
    "shows the removals."
)
BY_HAND = (
    "A purge keeps unmanaged associations: list them with ⟨adopt⟩: true, or delete them with "
    "workload_identity.aws.eks_pod_identity_association."
)
LOOK = "The check mode of a run for this cluster alone with ⟨purge⟩: true reads all associations."
NOTHING = "If the associations belong to other lists of workloads, no action is needed."


def association(name: str, tags: Mapping[str, str] = OWNED, role: str = "reports") -> ObservedAssociation:
    return ObservedAssociation(key(name), f"a-{name}", "", role_arn(role), tags=tags)


def owned_by(owner: str) -> dict[str, str]:
    return {**OWNED, OWNER_TAG: owner}


def unlisted(
    *associations: ObservedAssociation,
    unread: Iterable[WorkloadKey] = (),
    failed: Iterable[WorkloadKey] = (),
    addons: Iterable[WorkloadKey] = (),
    more: bool = False,
) -> UnlistedAssociations:
    described = {association.key: association for association in associations}
    keys = tuple(sorted((*described, *unread, *failed)))
    failed = tuple(failed)
    return UnlistedAssociations(
        keys, tuple(addons), more, described, failed, error=DENIED if failed else None
    )


@dataclass(frozen=True)
class Case:
    name: str
    unlisted: UnlistedAssociations
    message: str
    remedy: str
    severity: str = "warning"
    options: Options = field(default_factory=lambda: Options(owner=OWNER))
    purge: PurgeScope | None = None


CASES = (
    Case(
        "one managed",
        unlisted(association("a")),
        "has 1 association not in the list: 1 managed (default/a).",
        BY_PURGE,
    ),
    Case(
        "several managed, one created by hand",
        unlisted(association("a"), association("b"), association("hand", {}, "Admin")),
        "has 3 associations not in the list: 2 managed (default/a, default/b), 1 not managed (default/hand with role Admin).",
        f"{BY_PURGE} {BY_HAND}",
    ),
    Case(
        "managed for the owner of the run",
        unlisted(association("a", owned_by("x"))),
        "has 1 association not in the list: 1 managed (default/a).",
        BY_PURGE,
        options=Options(owner="x"),
    ),
    Case(
        "of other owners alone",
        unlisted(
            association("a", owned_by("y")), association("b", owned_by("z")), association("c", owned_by("z"))
        ),
        "has 3 associations not in the list: 3 of other owners (y, z).",
        NOTHING,
        "info",
        Options(owner="x"),
    ),
    Case(
        "of an owner, in a run without",
        unlisted(association("a", owned_by("y"))),
        "has 1 association not in the list: 1 of other owners (y).",
        NOTHING,
        "info",
    ),
    Case(
        "by hand beside another owner and an add-on",
        unlisted(
            association("a", owned_by("y")), association("hand", {}), addons=[key("ebs", "kube-system")]
        ),
        "has 3 associations not in the list: 1 not managed (default/hand with role reports), 1 of other owners (y), "
        "1 of EKS add-ons (kube-system/ebs).",
        BY_HAND,
        options=Options(owner="x"),
    ),
    Case(
        "more than were looked at",
        unlisted(*[association(f"a{n}") for n in range(10)], unread=[key(f"b{n:02}") for n in range(40)]),
        "has 50 associations not in the list: 10 managed ("
        + ", ".join(f"default/a{n}" for n in range(10))
        + "), 40 not read ("
        + ", ".join(f"default/b{n:02}" for n in range(10))
        + " and 30 more).",
        BY_PURGE,
    ),
    Case(
        "more than were looked at, which are all of other owners",
        unlisted(association("a", owned_by("y")), unread=[key("b"), key("c")]),
        "has 3 associations not in the list: 1 of other owners (y), 2 not read (default/b, default/c).",
        LOOK,
        "info",
        Options(owner="x"),
    ),
    Case(
        "further pages",
        unlisted(association("a"), more=True),
        "has at least 1 association not in the list: 1 managed (default/a).",
        BY_PURGE,
    ),
    Case(
        "one that cannot be read",
        unlisted(failed=[key("a")]),
        "has 1 association not in the list: 1 that could not be read (default/a). eks:DescribePodIdentityAssociation: "
        "AccessDeniedException: User is not authorized.",
        DENIED.remedy,
        "info",
    ),
    Case(
        "one unreadable and one managed",
        unlisted(association("b"), failed=[key("a")]),
        "has 2 associations not in the list: 1 managed (default/b), 1 that could not be read (default/a). "
        "eks:DescribePodIdentityAssociation: AccessDeniedException: User is not authorized.",
        f"{BY_PURGE} {DENIED.remedy}",
    ),
    Case(
        "by hand, in a purge",
        unlisted(association("hand", {})),
        "has 1 association not in the list: 1 not managed (default/hand with role reports).",
        BY_HAND,
        purge=PurgeScope(),
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_unlisted_associations_are_one_finding(case: Case) -> None:
    observed = Observed(HERE, unlisted=case.unlisted)
    (finding,) = find_unlisted(Desired((), case.options, purge=case.purge), observed)
    assert finding.code == "UNLISTED_ASSOCIATIONS"
    assert finding.message == f"cluster {CLUSTER} (account {ACCOUNT}, region {REGION}) {case.message}"
    assert (finding.remedy, finding.severity) == (case.remedy, case.severity)
    assert finding.workload is None


@pytest.mark.parametrize(("workloads", "severities"), [(0, ["warning"]), (1, [])])
def test_empty_list_is_a_finding(workloads: int, severities: list[str]) -> None:
    entries = desired(*[workload()] * workloads).workloads
    findings = find_empty_list(entries)
    assert [finding.severity for finding in findings] == severities
    assert {(str(finding.code), finding.message, finding.remedy) for finding in findings} <= {
        (
            "NOTHING_VERIFIED",
            "the list does not have a workload for this cluster, so the verification is empty.",
            "Check the list, and the files and variables that define it. If the cluster must not have workloads, "
            "accept the finding with pod_identity_ignore: [NOTHING_VERIFIED] in the Ansible role.",
        )
    }
