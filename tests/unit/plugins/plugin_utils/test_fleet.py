# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the search for clusters with several hosts, and which hosts the table of a play has."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.artifact import (
    PREFIX,
    to_artifact,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _fleet, _screen
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.report.test_fleet_lines import (
    report,
)

SCREENS = yaml.safe_load(Path(__file__).with_name("fleet_screens.yml").read_text(encoding="utf-8"))
HERE, THERE = "111122223333", "444455556666"
SHARED = (
    "cluster prod (account 111122223333, region us-west-2) belongs to several hosts of this play: blue, red. Each of them would "
    "apply its own workloads. Leave all but one of these hosts out of the run, or correct pod_identity_cluster_name, "
    "pod_identity_region or the credentials."
)
PLACE = {"cluster_name": "prod", "region": "us-west-2", "account_id": HERE}


class HostVars(dict[str, dict[str, Any]]):
    """The variables of all hosts."""

    def raw_get(self, host: str) -> dict[str, Any]:
        return self[host]


class Task:
    """A task whose templates are plain values, except an invalid one, and whose credentials belong to THERE in us-east-1."""

    identity, check_mode, keywords, loader = "task", False, SimpleNamespace(no_log=False), DataLoader()
    in_environment = staticmethod(nullcontext[None])

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
    variables_of_task = {"hostvars": variables, "ansible_play_hosts_all": list(variables)}
    messages: dict[str, str] = perform(Task(), variables_of_task, {"step": "check"})["hosts"]
    assert set(messages.values()) <= {SHARED}
    return list(messages)


def perform(task: Any, variables: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    action: Any = None
    return _fleet.ActionModule.perform(action, task, variables, options)


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


@pytest.mark.parametrize("name", SCREENS)
def test_screen(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Test the table of a play or of earlier jobs. The tasks of a case are in order."""
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    for case in SCREENS[name]:
        monkeypatch.setattr(_screen, "output_form", partial(case.get, "form", ""))
        task: Any = Task()
        task.check_mode = case.get("check_mode", False)
        hosts = {
            host: {key: report(**value) if key.endswith("report") else value for key, value in row.items()}
            for host, row in case.get("hosts", {}).items()
        }
        variables = {
            "hostvars": HostVars(hosts),
            "ansible_play_hosts_all": list(hosts),
            "ansible_play_batch": case.get("batch", list(hosts)),
            "ansible_play_hosts": case.get("running", list(hosts)),
            **{
                f"{PREFIX}{key}": to_artifact(report(**row)) for key, row in case.get("artifacts", {}).items()
            },
        }
        options = {"expected": None, "files": None, **case.get("options", {"step": "show"})}
        found = {**perform(task, variables, options), "screen": capsys.readouterr().out}
        assert found == case["expected"]
