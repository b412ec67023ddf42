# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
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
    agent,
    create_association,
    create_role,
    desired,
    engine,
    workload,
)

OF_ADDON = f"arn:aws:eks:{REGION}:{ACCOUNT}:addon/{CLUSTER}/aws-ebs-csi-driver/1"


@pytest.mark.parametrize(
    ("more", "need"),
    [
        ({"tags": OWNED}, ""),
        ({}, " The association does not belong to the owner of this list, so the run needs ⟨adopt⟩: true."),
        ({"ownerArn": OF_ADDON}, " An EKS add-on owns the association, so the run needs ⟨force⟩: true."),
    ],
)
def test_remedy_names_the_option_of_the_run(more: dict[str, object], need: str) -> None:
    aws = FakeAws()
    create_role(aws, "my-role", tags=OWNED)
    create_association(aws, "ebs-csi-controller-sa", "other", "kube-system", **more)
    config = desired(workload("ebs-csi-controller-sa", "kube-system"))
    reads = VerificationReads(agent())
    (verified,) = verify(config, engine(aws, config).observer().observe(config), reads)
    (check,) = (check for check in verified.checks if check.name == "association")
    assert [(str(finding.code), finding.remedy) for finding in check.findings] == [
        (
            "ASSOCIATION_OTHER_ROLE",
            f"Apply the workload, which corrects it.{need} Running Pods use the former role for up to six hours, unless they are "
            "recreated.",
        )
    ]
