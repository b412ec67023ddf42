# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that a module reports its changes even if it gets a signal after its last change, but before it prints the result."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run import (
    cluster as cluster_run,
)
from ansible_collections.workload_identity.aws.plugins.modules import (
    eks_pod_identity,
    eks_pod_identity_association,
    eks_pod_identity_association_info,
    eks_pod_identity_info,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    FakeAws,
    role_arn,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.modules.test_eks_pod_identity import (
    ONE,
    Run,
    aws,
    run,
)

__all__ = ["aws", "run"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        (eks_pod_identity, lambda: {"cluster_name": CLUSTER, "workloads": [workload()]}),
        (eks_pod_identity_association, lambda: {**ONE, "role_arn": role_arn("r")}),
        (eks_pod_identity_association_info, lambda: {"cluster_name": CLUSTER}),
        (eks_pod_identity_info, lambda: {"cluster_name": CLUSTER}),
    ],
    ids=lambda value: value.__name__.rpartition(".")[2] if isinstance(value, ModuleType) else "",
)
def test_signal_after_the_last_change_keeps_the_result(
    run: Run,
    aws: FakeAws,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    arguments: Callable[[], dict[str, Any]],
    number: signal.Signals,
) -> None:
    received: list[int] = []
    answer = AnsibleModule.exit_json

    def exit_json(self: AnsibleModule, **result: Any) -> None:
        os.kill(os.getpid(), number)
        answer(self, **result)

    monkeypatch.setattr(AnsibleModule, "exit_json", exit_json)
    for patched in (module, cluster_run):
        monkeypatch.setattr(patched, "api_for", lambda *_, **_more: aws, raising=False)
    aws.replace(
        "eks:DescribeAddon", lambda _parameters: {"addon": {"status": "ACTIVE", "addonVersion": "v1.3.8"}}
    )
    handler = signal.signal(number, lambda found, _frame: received.append(found))
    try:
        ended = run(module, **arguments())
    finally:
        signal.signal(number, handler)
    assert not ended.get("failed"), ended["msg"]
    assert received == []
