# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the role of a pattern: the service accounts that the pattern allows are listed workloads."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    Workload,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    FakeAws,
    create_association,
    desired,
    named,
    policy,
    policy_arn,
    run,
    workload,
)

NAMES = ("web-one", "web-two")


def matched(*policies: str) -> Desired:
    """Return the workloads of an entry with the service account "web-*"."""
    raw = [workload(name, role={"name": "web"}, policies=[*map(policy, policies)]) for name in NAMES]
    listed = desired(*raw)
    return replace(listed, workloads=tuple(map(_with_pattern, listed.workloads)))


def _with_pattern(listed: Workload) -> Workload:
    assert listed.role is not None
    return replace(listed, role=replace(listed.role, trust_patterns=(("default", "web-*"),)))


def changes(done: Run) -> list[str]:
    return [named(applied.change) for applied in done.done]


def test_unlisted_policy_is_detached() -> None:
    aws = FakeAws()
    run(aws, matched("kept", "left"))
    assert changes(run(aws, matched("kept"))) == [f"detach attachment web {policy_arn('left')}"]


def test_teardown_deletes_the_role() -> None:
    aws = FakeAws()
    run(aws, matched("web"))
    done = run(aws, matched("web"), "absent")
    assert changes(done)[-2:] == ["delete role web", f"delete policy {policy_arn('web')}"]
    assert done.findings == ()


def test_teardown_keeps_the_pattern_for_an_association_of_another_owner() -> None:
    aws = FakeAws()
    run(aws, matched("web"))
    for key, association in list(aws.eks.associations.items()):
        if association["serviceAccount"] == "web-two":
            del aws.eks.associations[key]
    create_association(aws, "web-two", "web")
    trust = aws.iam.roles["web"]["trust"]
    done = run(aws, matched("web"), "absent")
    assert changes(done) == ["delete association default/web-one"]
    assert aws.iam.roles["web"]["trust"] == trust
    assert [str(finding.code) for finding in done.findings] == ["NOT_OWNED", "RESOURCE_KEPT", "RESOURCE_KEPT"]
