# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test how the hosts of a fleet exchange their results."""

from __future__ import annotations

import hashlib
import pickle
import re
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    Preflight,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Deadline,
    start_deadline,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    ParsedInput,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.plugin_utils._fleet import (
    group_hosts,
    hand_over,
    prepared_row,
    require_linear,
    take_over,
    take_part,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._kubernetes_access import GivenAccess
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_run import Prepared
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    workload,
)

END = "Its changes, if any, are missing from this report. Run the play again: it continues from the current state."
NOT_COMPLETED = "The AWS run of this account did not complete:"


def test_host_gets_its_part_of_the_result() -> None:
    rows = {"blue": {"changed": True, "diff": [1], "msg": "blue"}, "red": {"changed": False, "msg": "red"}}
    account = {"parts": {host: hand_over("part", row) for host, row in rows.items()}}
    assert take_part(account, "blue") == {"changed": True, "diff": [1], "msg": "blue"}
    assert take_part(account, "red") == {"changed": False, "msg": "red"}


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        ({}, "it ended without a result."),
        ({"failed": False, "msg": "Out of memory"}, "Out of memory."),
        ({"parts": {"red": {}}, "msg": ""}, "it ended without a result."),
    ],
)
def test_incomplete_account_run_gives_its_hosts_the_reason(account: dict[str, Any], reason: str) -> None:
    assert take_part(account, "blue") == {
        "failed": True,
        "left_out": True,
        "changed": False,
        "msg": f"{NOT_COMPLETED} {reason} {END}",
    }


def test_handed_over_file_is_private() -> None:
    parsed = ParsedInput(CLUSTER, "present", parse_workloads([workload()], CLUSTER))
    preflight = Preflight({}, ["default"], breakage=[Finding(Code.RESOURCE_KEPT, "m", "r")])
    deadline = start_deadline(60)
    file = hand_over("prepared", (parsed, preflight, deadline))
    assert take_over(file) == (parsed, preflight, deadline)
    assert Path(file["path"]).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("ends", "left"), [(None, None), (3600, 3600), (-1, 1)])
def test_prepared_host_has_options_and_remaining_seconds(ends: int | None, left: int | None) -> None:
    deadline = None if ends is None else Deadline(3600, time.monotonic() + ends)
    parsed = ParsedInput(CLUSTER, "present", ())
    values = {"cluster_name": CLUSTER, "workloads": [], "tags": {"a": "b"}, "force": True}
    row = prepared_row(Prepared(values, parsed, GivenAccess({}), Preflight({}, None), deadline))
    assert row["options"] == {"cluster_name": CLUSTER, "force": True}
    assert row["seconds_left"] == (left and pytest.approx(left, abs=30 if left > 30 else 0))
    assert take_over(row["prepared"])[0] == parsed


class Loaded:
    """An object that fails the test when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return pytest.fail, ("loaded",)


def test_modified_file_is_rejected() -> None:
    file = hand_over("part", {"changed": True})
    path = Path(file["path"])
    path.write_bytes(pickle.dumps(Loaded()))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    message = f"{path} was modified since it was written (SHA-256 {digest}). Run again."
    with pytest.raises(InputError, match=re.escape(message)):
        take_over(file)


def test_missing_handed_over_file_is_named() -> None:
    file = hand_over("part", {"changed": False})
    Path(file["path"]).unlink()
    message = f"{file['path']} cannot be read: No such file or directory. Run again."
    with pytest.raises(InputError, match=re.escape(message)):
        take_over(file)


HERE = "111122223333"


class Untemplatable(dict[str, Any]):
    """Variables of a host, one with an invalid template. Reading this variable raises an error, as in ansible-core 2.19 and
    newer."""

    def get(self, name: str, default: Any = None) -> Any:
        if super().get(name) == "{{ nobody }}":
            raise AnsibleError("'nobody' is undefined")
        return super().get(name, default)


def test_unstarted_run_made_no_changes() -> None:
    account = {"failed": True, "not_begun": True, "msg": "x.json cannot be read: gone. Nothing was changed."}
    assert take_part(account, "blue")["msg"] == (
        "The AWS run of this account did not start: x.json cannot be read: gone. Nothing was changed."
    )


def ready(name: str, **options: Any) -> dict[str, Any]:
    """Return the variables that a host has after the preparation step of a fleet run."""
    prepared = {
        "options": {"cluster_name": name, "account_id": HERE, "state": "present", **options},
        "prepared": {"path": "/none", "sha256": ""},
        "seconds_left": None,
    }
    return {"pod_identity_prepared": prepared}


def test_account_run_has_the_expected_account_of_each_cluster() -> None:
    hosts = {"blue": ready("blue"), "red": ready("red", account_id="")}
    grouped = group_hosts({"hostvars": hosts, "ansible_play_hosts_all": list(hosts)}, ["blue", "red"])
    rows = [
        row
        for file in grouped["files"].values()
        for group in take_over(file)
        for row in group["arguments"]["clusters"]
    ]
    assert [(row["cluster_name"], row.get("account_id")) for row in rows] == [("blue", HERE), ("red", None)]


def failed_clusters(hosts: dict[str, Any], batch: list[str]) -> list[dict[str, Any]]:
    """Group the hosts of a batch into a single run. Return the failed clusters that this run gets."""
    variables = {"hostvars": hosts, "ansible_play_hosts_all": list(hosts)}
    grouped = group_hosts(variables, batch)
    [file] = grouped["files"].values()
    [group] = take_over(file)
    assert set(grouped["leaders"].values()) == {batch[0]}
    return list(group["arguments"].get("stopped", ()))


@pytest.mark.parametrize("variables", [dict, Untemplatable])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"cluster_name": "prod", "region": "us-west-2", "account_id": HERE}, "prod"),
        ({"cluster_name": "prod", "account_id": "444455556666"}, None),
        ({"cluster_name": "prod", "account_id": "{{ nobody }}"}, "prod"),
        ({"cluster_name": "{{ nobody }}", "account_id": HERE}, "red"),
        ({"cluster_name": "prod", "assume_role_arn": "{{ nobody }}", "account_id": "444455556666"}, "prod"),
        ({"cluster_name": ["prod"], "account_id": HERE}, "red"),
    ],
)
def test_failed_host_has_its_readable_variables(
    variables: type[dict[str, Any]], values: dict[str, Any], expected: str | None
) -> None:
    red = variables({f"pod_identity_{name}": value for name, value in values.items()})
    rows = failed_clusters({"blue": ready("blue"), "red": red}, ["blue", "red"])
    assert [row["cluster_name"] for row in rows] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"state": "absent", "force": True}, ["red", "grey"]),
        ({"state": "absent"}, []),
        ({"state": "present", "force": True}, []),
    ],
)
def test_force_in_a_teardown_does_not_cover_later_batches(
    options: dict[str, Any], expected: list[str]
) -> None:
    other_hosts = {
        "red": {"pod_identity_report": {"failed": True}},
        "grey": {},
        "green": {"pod_identity_report": {"failed": False}},
    }
    place = {"pod_identity_account_id": HERE}
    hosts = {
        "blue": ready("blue", **options),
        **{name: {**place, **row} for name, row in other_hosts.items()},
    }
    assert [row["cluster_name"] for row in failed_clusters(hosts, ["blue"])] == expected


def test_failed_host_reports_kept_permissions() -> None:
    account = {"parts": {"red": hand_over("part", {"changed": False, "kept": ["role shared"]})}}
    assert take_part(account, "red") == {"changed": False, "kept": ["role shared"]}


@pytest.mark.parametrize("strategy", ["linear", "debug"])
def test_linear_strategies_are_accepted(strategy: str) -> None:
    require_linear(strategy, ["blue", "red"])


def test_single_host_may_have_any_strategy() -> None:
    require_linear("free", ["blue"])


@pytest.mark.parametrize("strategy", ["free", "host_pinned"])
def test_strategies_without_lockstep_are_rejected(strategy: str) -> None:
    with pytest.raises(
        InputError, match=rf"^The strategy of this play is {strategy}, so its hosts do not wait"
    ):
        require_linear(strategy, ["blue", "red"])


def test_file_outside_the_folder_of_the_run_is_not_loaded(tmp_path: Path) -> None:
    file = hand_over("part", {"changed": False})
    copy = tmp_path / Path(file["path"]).name
    copy.write_bytes(Path(file["path"]).read_bytes())
    with pytest.raises(InputError) as raised:
        take_over({**file, "path": str(copy)})
    assert raised.value.problems == (f"{copy} is not a file of this run. Run again.",)
