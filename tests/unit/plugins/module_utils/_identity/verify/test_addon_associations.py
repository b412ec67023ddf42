# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.addons import Agent
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    OWNED,
    REGION,
    FakeAws,
    Raw,
    create_association,
    desired,
    engine,
    role_arn,
    run,
    workload,
)

DRIVER, SERVICE_ACCOUNT = "aws-ebs-csi-driver", "ebs-csi-controller-sa"
SUBJECT = f"association a-00000000000000001 of kube-system/{SERVICE_ACCOUNT}"
WORKLOAD = workload(SERVICE_ACCOUNT, "kube-system", addon=DRIVER)
ELSEWHERE = (
    "ADDON_ASSOCIATION_EXISTS",
    "error",
    "Delete that association and apply the workload at once: Pods of the add-on that start in between get no credentials. "
    "Or leave addon out of the workload.",
)


def owner(addon: str) -> str:
    return f"arn:aws:eks:{REGION}:{ACCOUNT}:addon/{CLUSTER}/{addon}/1"


def check(aws: FakeAws, raw: Raw = WORKLOAD) -> tuple[str, list[tuple[str, str, str, str]]]:
    """Verify the workload. Return the status and the findings of the check of the association."""
    config = desired(raw)
    reads = VerificationReads({CLUSTER: Agent("ACTIVE", "v1")})
    (verified,) = verify(config, engine(aws, config).observe(config), reads)
    (found,) = (check for check in verified.checks if check.name == "association")
    return found.status, [
        (str(finding.code), finding.severity, finding.message, finding.remedy) for finding in found.findings
    ]


def associated(role: str = "my-role", **more: object) -> FakeAws:
    """Return an account in which the workload has its role and an association. ``more`` are settings of the association."""
    aws = FakeAws()
    # The fake has no add-ons, so the run creates only the role.
    run(aws, desired(WORKLOAD))
    assert aws.eks.associations == {}
    create_association(aws, SERVICE_ACCOUNT, role, "kube-system", **more)
    return aws


def test_association_of_the_addon_passes() -> None:
    assert check(associated(ownerArn=owner(DRIVER))) == ("pass", [])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"ownerArn": owner("aws-efs-csi-driver")},
            f"{SUBJECT} belongs to {owner('aws-efs-csi-driver')}, and add-on {DRIVER} cannot take it over.",
        ),
        # The name of this add-on begins with the name of the workload's add-on.
        (
            {"ownerArn": owner(f"{DRIVER}-2")},
            f"{SUBJECT} belongs to {owner(f'{DRIVER}-2')}, and add-on {DRIVER} cannot take it over.",
        ),
        ({}, f"{SUBJECT} belongs to no add-on, and add-on {DRIVER} cannot take it over."),
        ({"tags": OWNED}, f"{SUBJECT} belongs to no add-on, and add-on {DRIVER} cannot take it over."),
    ],
)
def test_association_of_another_owner_fails(more: dict[str, object], message: str) -> None:
    code, severity, remedy = ELSEWHERE
    assert check(associated(**more)) == ("fail", [(code, severity, message, remedy)])


def test_association_of_the_addon_with_another_role_fails() -> None:
    status, ((code, _severity, message, remedy),) = check(associated("other", ownerArn=owner(DRIVER)))
    assert (status, code, message, remedy) == (
        "fail",
        "ASSOCIATION_OTHER_ROLE",
        f"{SUBJECT} names role {role_arn('other')}, not {role_arn('my-role')}.",
        "Apply the workload, which corrects it. Running Pods use the former role for up to six hours, unless they are recreated.",
    )


@pytest.mark.parametrize(
    ("more", "need"),
    [
        ({"tags": OWNED}, ""),
        ({}, " This collection did not create the association, so the run needs ⟨adopt⟩: true."),
        (
            {"ownerArn": owner(DRIVER)},
            " An EKS add-on owns the association, so the run needs ⟨force⟩: true.",
        ),
    ],
)
def test_remedy_names_the_option_of_the_run(more: dict[str, object], need: str) -> None:
    aws = associated("other", **more)
    _status, ((_code, _severity, _message, remedy),) = check(aws, workload(SERVICE_ACCOUNT, "kube-system"))
    assert remedy == (
        f"Apply the workload, which corrects it.{need} Running Pods use the former role for up to six hours, unless they are "
        "recreated."
    )


def test_missing_association_fails() -> None:
    aws = associated(ownerArn=owner(DRIVER))
    aws.eks.associations.clear()
    assert check(aws) == (
        "fail",
        [
            (
                "ASSOCIATION_MISSING",
                "error",
                f"cluster {CLUSTER} has no pod identity association for kube-system/{SERVICE_ACCOUNT} (account {ACCOUNT}, "
                f"region {REGION}).",
                "Apply the workload, which creates it.",
            )
        ],
    )
