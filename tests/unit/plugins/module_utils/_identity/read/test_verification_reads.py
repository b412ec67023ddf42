# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the reads of a verification: other associations, other versions of policies, and the documents of roles."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import Failure
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.verification_reads import (
    read_for_verification,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    FakeAws,
    agent,
    desired,
    document,
    engine,
    key,
    policy,
    policy_arn,
    run,
    workload,
)

BOTH = desired(workload(), workload("web"))


def reads(aws: FakeAws, config: Desired) -> VerificationReads:
    observed = engine(aws, config).observer().observe(config, planning=False)
    return read_for_verification(aws, config, observed, 1, agent)


def refuse(aws: FakeAws, operation: str) -> None:
    def answer(_parameters: object) -> dict[str, Any]:
        raise classify(operation, "AccessDenied", "not authorized")

    aws.replace(operation, answer)


def test_other_associations_are_read_only_if_one_is_missing() -> None:
    aws = FakeAws()
    run(aws, BOTH)
    assert reads(aws, desired(workload())).associated == ()
    assert reads(aws, desired(workload(), workload("new"))).associated == (key("web"),)


@pytest.mark.parametrize(("known", "associated"), [(False, ()), (True, (key("app"), key("web")))])
def test_unreadable_associations_give_no_suggestions(known: bool, associated: tuple[object, ...]) -> None:
    aws = FakeAws()
    run(aws, BOTH)
    config = desired(workload("new"))
    observed = engine(aws, config).observer().observe(config, planning=False, unlisted=known)
    refuse(aws, "eks:ListPodIdentityAssociations")
    assert read_for_verification(aws, config, observed, 1, agent).associated == associated


@pytest.mark.parametrize(
    ("version", "found"), [("s3:PutObject", {policy_arn("my-policy"): "v2"}), ("kms:Decrypt", {})]
)
def test_other_version_with_the_desired_document_is_found(version: str, found: dict[str, str]) -> None:
    aws = FakeAws()
    run(aws, BOTH)
    request = {"PolicyArn": policy_arn("my-policy"), "PolicyDocument": json.dumps(document(version))}
    aws.iam.CreatePolicyVersion({**request, "SetAsDefault": False})
    config = desired(workload(policies=[policy("my-policy", "s3:PutObject")]))
    assert reads(aws, config).other_versions == found
    assert reads(aws, BOTH).other_versions == {}


def test_documents_of_unlisted_policies_are_read() -> None:
    aws = FakeAws()
    run(aws, BOTH)
    config = desired(workload(policies=None))
    found = reads(aws, config)
    assert found.documents == {policy_arn("my-policy"): document("s3:GetObject")}
    assert found.inline == {"my-role": {}}
    refuse(aws, "iam:GetPolicyVersion")
    assert isinstance(reads(aws, config).documents[policy_arn("my-policy")], Failure)


def test_known_associations_are_described_again_only_with_another_id() -> None:
    aws = FakeAws()
    run(aws, BOTH)
    observer = engine(aws, BOTH).observer()
    known = observer.observe(BOTH, planning=False).associations
    first = known[key("app")]
    sent = len(aws.requests)
    changed = {**known, key("app"): replace(first, association_id="a-former")}
    assert observer.observe(BOTH, planning=False, unchanged=changed).associations == known
    described = [
        request for name, request in aws.requests[sent:] if name.endswith(":DescribePodIdentityAssociation")
    ]
    assert described == [{"clusterName": "my-cluster", "associationId": first.association_id}]
