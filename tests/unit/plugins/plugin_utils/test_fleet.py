# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the search for clusters with several hosts, and which hosts the table of a play has."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _fleet

HERE, THERE = "111122223333", "444455556666"
PLACE = {"cluster_name": "prod", "region": "us-west-2", "account_id": HERE}


class HostVars(dict[str, dict[str, Any]]):
    """The variables of all hosts."""

    def raw_get(self, host: str) -> dict[str, Any]:
        return self[host]


class Task:
    """A task whose templates are plain values, except an invalid one, and whose credentials belong to THERE in us-east-1."""

    identity, check_mode, keywords = "task", False, SimpleNamespace(no_log=False)

    def template(self, values: Mapping[str, Any], _variables: Mapping[str, Any]) -> Mapping[str, Any]:
        if "{{ nobody }}" in values.values():
            raise AnsibleError("'nobody' is undefined")
        return values

    def region(self, option: object) -> str:
        return str(option or "")


@pytest.fixture(autouse=True)
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    sent: list[Any] = []

    def clients(_task: Any, options: Mapping[str, Any]) -> Any:
        sent.append(options["profile"])
        client = SimpleNamespace(meta=SimpleNamespace(region_name="us-east-1"))
        return SimpleNamespace(client=lambda _service: client, api=None)

    monkeypatch.setattr(_fleet, "clients_of_task", clients)
    monkeypatch.setattr(_fleet, "read_caller", lambda _api: SimpleNamespace(account_id=THERE))
    return sent


def shared(**hosts: Mapping[str, Any]) -> list[str]:
    """Return the hosts that share a cluster with another host."""
    variables = HostVars(
        {
            name: {f"pod_identity_{option}": value for option, value in host.items()}
            for name, host in hosts.items()
        }
    )
    task: Any = Task()
    return list(
        _fleet.find_shared_clusters(task, {"hostvars": variables, "ansible_play_hosts_all": list(variables)})
    )


@pytest.mark.parametrize(
    ("other", "expected", "sent"),
    [
        pytest.param(PLACE, True, 0, id="the same place"),
        pytest.param({**PLACE, "cluster_name": "test"}, False, 0, id="another name"),
        pytest.param({**PLACE, "region": "us-east-1"}, False, 0, id="another region"),
        pytest.param({**PLACE, "account_id": THERE}, False, 0, id="another account"),
        pytest.param({**PLACE, "account_id": int(HERE)}, True, 0, id="account as a number"),
        pytest.param(
            {**PLACE, "account_id": "", "assume_role_arn": f"arn:aws:iam::{HERE}:role/fleet"},
            True,
            0,
            id="account of the role to assume",
        ),
        pytest.param({**PLACE, "account_id": None}, False, 1, id="account of the credentials"),
        pytest.param({"cluster_name": "prod"}, False, 1, id="region of the credentials"),
        pytest.param({**PLACE, "region": "{{ nobody }}"}, False, 0, id="an invalid template"),
    ],
)
def test_clusters_are_compared_by_place(
    requests: list[Any], other: Mapping[str, Any], expected: bool, sent: int
) -> None:
    assert shared(blue=PLACE, green={**PLACE, "cluster_name": "green"}, red=other) == (
        ["blue", "red"] if expected else []
    )
    assert len(requests) == sent
