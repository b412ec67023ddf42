# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that the two emulators of AWS, the in-memory fake and the sandbox, return the expected responses and agree."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.tests.emulators.cases import CASES, NEVER_REFUSED
from ansible_collections.workload_identity.aws.tests.emulators.fake_account import Answer, Call, fake_call
from ansible_collections.workload_identity.aws.tests.emulators.table import (
    Case,
    Refusal,
    Request,
    differences,
    filled,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_eks import (
    FakeEks,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_iam import (
    FakeIam,
)

# Tests do not compare these members, because they are different in any two accounts.
OWN = ("RoleId", "associationId", "associationArn", "CreateDate", "createdAt", "modifiedAt")
each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


class Session:
    """A sequence of requests. Later requests may use members of earlier responses."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.saved: dict[str, str] = {}

    def send(self, request: Request) -> Answer:
        answer = self._call(request.service, request.operation, filled(request.parameters, self.saved))
        for name, path in request.saved.items():
            member: Any = answer
            for step in path:
                member = member[step]
            self.saved[name] = member
        return answer


@each_case
def test_answer(call: Call, case: Case) -> None:
    session = Session(call)
    for request in case.setup:
        session.send(request)
    if isinstance(case.outcome, Refusal):
        with pytest.raises(AwsError) as caught:
            session.send(case.request)
        error = caught.value
        text = filled(case.outcome.text, session.saved)
        assert (error.operation, error.code, error.text) == (case.operation, case.outcome.code, text)
    else:
        answer = session.send(case.request)
        assert differences(filled(case.outcome, session.saved), answer) == []


@each_case
def test_responses_of_the_fake_are_part_of_the_sandbox_responses(sandbox_call: Call, case: Case) -> None:
    fake, sandbox = Session(fake_call()), Session(sandbox_call)
    for request in (*case.setup, case.request):
        if request.service == "sts" or (request is case.request and isinstance(case.outcome, Refusal)):
            continue
        fake_response = _comparable(fake.send(request))
        sandbox_response = _comparable(sandbox.send(request))
        assert differences(fake_response, sandbox_response, request.operation) == []


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items() if key not in OWN}
    return [_comparable(item) for item in value] if isinstance(value, list) else value


def test_the_table_has_every_operation_of_the_fake() -> None:
    operations = {"sts:GetCallerIdentity"}
    for service, fake in (("iam", FakeIam), ("eks", FakeEks)):
        operations |= {f"{service}:{name}" for name in vars(fake) if name[0].isupper()}
    refused = {case.operation for case in CASES if isinstance(case.outcome, Refusal)}
    answered = {case.operation for case in CASES if not isinstance(case.outcome, Refusal)}
    assert (answered, refused) == (operations, operations - NEVER_REFUSED)
