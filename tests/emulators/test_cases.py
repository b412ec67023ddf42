# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that the sandbox's model of AWS returns the responses of AWS, over HTTP and through boto3."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.tests.emulators.cases import CASES
from ansible_collections.workload_identity.aws.tests.emulators.conftest import Answer, Call
from ansible_collections.workload_identity.aws.tests.emulators.table import (
    Case,
    Refusal,
    Request,
    differences,
    filled,
)

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
