# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the cluster of a task asks of kubernetes.core: which objects server-side, and what it makes of refusals."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.eks_token import (
    LIFETIME,
    EksToken,
    TokenSource,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Written,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import EksTarget
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    ErrorKind,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils import (
    kubernetes_cluster,
    kubernetes_modules,
    kubernetes_writes,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.forks import Lost
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_access import (
    EksAccess,
    GivenAccess,
    write_authority,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_writes import TaskCluster
from ansible_collections.workload_identity.aws.plugins.plugin_utils.process_environment import variables

NOW = datetime(2026, 3, 10, tzinfo=timezone.utc)
FOREVER = float("inf")
NAMESPACE = {"kind": "Namespace", "metadata": {"name": "shop"}}
FIRST, SECOND = (
    {"kind": "ServiceAccount", "metadata": {"namespace": "shop", "name": name}} for name in ("a", "b")
)
JOB = {"kind": "Job", "metadata": {"namespace": "shop", "name": "proof"}}
MADE = {"changed": True, "result": {}, "diff": {"after": {"a": 1}}}
CONFLICT = 'Apply failed with 1 conflict: conflict with "helm": .metadata.labels.team'
STATUS = json.dumps({"message": CONFLICT, "code": 409})
REFUSED = {"changed": False, "error": {"msg": f"Failed to apply object: {STATUS}"}}


class Asked:
    """``results`` are the answers, in order."""

    def __init__(self, *results: dict[str, Any]) -> None:
        self.results = list(results)
        self.arguments: list[dict[str, Any]] = []
        self.tokens: list[str | None] = []

    def __call__(
        self, _caller: Any, _name: str, arguments: dict[str, Any], *_more: Any, dry: bool = False
    ) -> dict[str, Any]:
        assert dry is False
        self.arguments.append(arguments)
        self.tokens.append(os.environ.get("K8S_AUTH_API_KEY"))
        return self.results.pop(0)


def cluster(monkeypatch: pytest.MonkeyPatch, asked: Asked, force: bool = False) -> Any:
    monkeypatch.setattr(kubernetes_writes, "run_module", asked)
    return TaskCluster(None, GivenAccess({"context": "blue"}), {}, None, force)


@pytest.mark.parametrize("force", [True, False])
def test_service_accounts_are_applied_server_side_under_one_name(
    monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    asked = Asked(MADE)
    assert cluster(monkeypatch, asked, force).apply([FIRST]).changed
    (arguments,) = asked.arguments
    assert arguments["apply"] is True
    assert arguments["server_side_apply"] == {"field_manager": "workload-identity", "force_conflicts": force}
    assert arguments["resource_definition"] == [FIRST]


def test_namespaces_come_first_and_need_no_permission_to_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(MADE, {"changed": True, "result": {"results": [MADE, REFUSED]}})
    written = cluster(monkeypatch, asked).apply([NAMESPACE, FIRST, SECOND])
    assert [arguments["resource_definition"] for arguments in asked.arguments] == [
        [NAMESPACE],
        [FIRST, SECOND],
    ]
    assert "apply" not in asked.arguments[0]
    # By its place among all manifests.
    assert (written.changed, written.refused) == (True, {2: ApiError(409, CONFLICT)})
    assert [diff["after_header"] for diff in written.diffs] == ["Namespace shop", "ServiceAccount shop/a"]


def test_without_namespaces_service_accounts_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked({"failed": True, "msg": "no client"})
    assert cluster(monkeypatch, asked).apply([NAMESPACE, FIRST]) == Written(
        error=ApiError(0, "no client"), diffs=[]
    )
    assert len(asked.arguments) == 1


def test_a_job_is_created(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(MADE)
    cluster(monkeypatch, asked).apply([JOB])
    assert "apply" not in asked.arguments[0]


class Lent:
    """An access whose token is for calls of at most 200 seconds, which is ten manifests."""

    arguments = {"host": "https://eks"}
    longest = kubernetes_modules.MODULE_SECONDS + 10 * kubernetes_modules.MANIFEST_SECONDS

    def __init__(self, error: AwsError | None = None) -> None:
        self.error = error
        self.asked: list[float] = []

    def token(self, seconds: float) -> str:
        self.asked.append(seconds)
        return f"token {len(self.asked)}"

    @contextlib.contextmanager
    def lent(self, seconds: float) -> Iterator[None]:
        if self.error:
            raise self.error
        with variables({"K8S_AUTH_API_KEY": self.token(seconds)}):
            yield


def accounts(count: int) -> list[dict[str, Any]]:
    return [
        {"kind": "ServiceAccount", "metadata": {"namespace": "shop", "name": f"a{index}"}}
        for index in range(count)
    ]


def test_no_module_runs_longer_than_its_token_is_good_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8S_AUTH_API_KEY", "the user's")
    rows = [[MADE] * 8, [MADE] * 7 + [REFUSED], [MADE, REFUSED] + [MADE] * 5]
    asked = Asked(*({"changed": True, "result": {"results": part}} for part in rows))
    monkeypatch.setattr(kubernetes_writes, "run_module", asked)
    access = Lent()
    written = TaskCluster(None, access, {}, None).apply(accounts(23))
    assert [len(arguments["resource_definition"]) for arguments in asked.arguments] == [8, 8, 7]
    assert access.asked == [196.0, 196.0, 194.0]
    assert asked.tokens == ["token 1", "token 2", "token 3"]
    assert os.environ["K8S_AUTH_API_KEY"] == "the user's"
    # By their places among all of them.
    assert written.refused == {15: ApiError(409, CONFLICT), 17: ApiError(409, CONFLICT)}
    assert len(written.diffs) == 21
    # What a module is given can be read in a file and on the screen.
    assert [arguments["host"] for arguments in asked.arguments] == ["https://eks"] * 3
    assert "token" not in json.dumps(asked.arguments)


def test_without_credentials_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked()
    monkeypatch.setattr(kubernetes_writes, "run_module", asked)
    error = AwsError("sts:AssumeRole", "AccessDenied", "no", ErrorKind.DENIED, "Allow it.")
    written = TaskCluster(None, Lent(error), {}, None).apply(accounts(1))
    assert written == Written(
        error=ApiError(0, "no token for the cluster: sts:AssumeRole: AccessDenied: no. Allow it."), diffs=[]
    )


NOT_BEGUN = "not begun, as another part of the work ended early: lost."


def test_what_was_written_before_the_work_ended_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked({"changed": True, "result": {"results": [MADE] * 8}}, {"failed": True, "msg": "lost"})
    monkeypatch.setattr(kubernetes_writes, "run_module", asked)
    written = TaskCluster(None, Lent(), {}, None).apply(accounts(23))
    assert (written.changed, written.error, len(asked.arguments), len(written.diffs)) == (True, None, 2, 8)
    assert written.refused == {
        **dict.fromkeys(range(8, 16), ApiError(0, "lost")),
        **dict.fromkeys(range(16, 23), ApiError(0, NOT_BEGUN)),
    }


class Forks:
    """In the place of run_in_forks: the parts one after the other, in this process. That at ``lost`` ends without a result."""

    def __init__(self, lost: int | None = None) -> None:
        self.lost, self.width = lost, 0

    def __call__(self, _caller: Any, calls: Iterator[Any], width: int, stops: Any) -> dict[int, Any]:
        self.width = width
        results: dict[int, Any] = {}
        for place, ready in enumerate(calls):
            with ready as call:
                results[place] = Lost("was ended by SIGKILL") if place == self.lost else call()
            if stops(results[place]):
                break
        return results


def wide(monkeypatch: pytest.MonkeyPatch, asked: Asked, access: Any = None, lost: int | None = None) -> Any:
    """A cluster that three modules write at once, and what they are run by."""
    forks = Forks(lost)
    monkeypatch.setattr(kubernetes_writes, "run_module", asked)
    monkeypatch.setattr(kubernetes_writes, "run_in_forks", forks)
    given = access or GivenAccess({})
    return TaskCluster(None, given, {}, None, width=3), forks


def answer(count: int, refused: int | None = None) -> dict[str, Any]:
    results = [REFUSED if place == refused else MADE for place in range(count)]
    return {"changed": True, "result": {"results": results}}


@pytest.mark.parametrize(
    ("count", "longest", "sizes"),
    [
        (0, FOREVER, []),
        (1, FOREVER, [1]),
        (50, FOREVER, [50]),
        # Another module is worth its start for fifty objects.
        (99, FOREVER, [99]),
        (100, FOREVER, [50, 50]),
        (149, FOREVER, [75, 74]),
        (200, FOREVER, [67, 67, 66]),
        (3000, FOREVER, [1000, 1000, 1000]),
        # With a token for 330 objects at once, there are as many for each of three.
        (990, 840, [330] * 3),
        (1000, 840, [167] * 5 + [165]),
        (20, 200, [7, 7, 6]),
    ],
)
def test_the_parts_are_alike_and_none_is_too_long(count: int, longest: float, sizes: list[int]) -> None:
    assert [len(part) for part in kubernetes_modules.parts_of(accounts(count), longest, 3)] == sizes


@pytest.mark.parametrize(
    ("transport", "hosts", "width"),
    [
        ("local", ["blue"], 3),
        ("local", ["blue", "green"], 1),
        ("local", ["blue", "green", "red", "grey"], 1),
        ("ssh", ["blue"], 1),
    ],
)
def test_hosts_that_are_worked_on_at_once_share_the_modules(
    monkeypatch: pytest.MonkeyPatch, transport: str, hosts: list[str], width: int
) -> None:
    """On another host each would need a connection of its own."""
    caller = SimpleNamespace(
        _connection=SimpleNamespace(transport=transport), _play_context=SimpleNamespace(become=False)
    )
    monkeypatch.setattr(kubernetes_cluster, "reader_for", lambda *_: None)
    made: Any = kubernetes_cluster.connect(caller, GivenAccess({}), {"ansible_play_batch": hosts})
    assert made.cluster._width == width


def test_several_modules_write_many_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(answer(67), answer(67, refused=1), answer(66, refused=65))
    cluster, forks = wide(monkeypatch, asked)
    written = cluster.apply(accounts(200))
    assert forks.width == 3
    names = [
        manifest["metadata"]["name"]
        for arguments in asked.arguments
        for manifest in arguments["resource_definition"]
    ]
    assert names == [manifest["metadata"]["name"] for manifest in accounts(200)]
    # By their places among all of them.
    assert written.refused == {68: ApiError(409, CONFLICT), 199: ApiError(409, CONFLICT)}
    assert (written.changed, written.error, len(written.diffs)) == (True, None, 198)


def test_few_objects_need_no_further_process(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, forks = wide(monkeypatch, Asked(answer(50)))
    assert cluster.remove(accounts(50)).changed
    assert forks.width == 0


def test_a_module_that_was_lost_is_the_cause_for_its_own_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, _forks = wide(monkeypatch, Asked(answer(67)), lost=1)
    written = cluster.patch(accounts(200))
    lost = "kubernetes.core.k8s was ended by SIGKILL"
    waiting = f"not begun, as another part of the work ended early: {lost}."
    assert written.refused == {
        **dict.fromkeys(range(67, 134), ApiError(0, lost)),
        **dict.fromkeys(range(134, 200), ApiError(0, waiting)),
    }
    assert (written.changed, written.error, len(written.diffs)) == (True, None, 67)


def test_where_no_module_has_a_result_the_cause_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, _forks = wide(monkeypatch, Asked(), lost=0)
    written = cluster.apply(accounts(200))
    assert written == Written(error=ApiError(0, "kubernetes.core.k8s was ended by SIGKILL"), diffs=[])


class Signed(EksAccess):
    """An access as for an EKS cluster: by real tokens, which this counts."""

    arguments: dict[str, Any] = {}

    def __init__(self, spent: int = 99) -> None:
        self.signed = 0
        self._spent = spent
        self._source = TokenSource(self._sign, lambda: NOW)

    def _sign(self) -> EksToken:
        if self.signed == self._spent:
            raise AwsError("sts:AssumeRole", "AccessDenied", "no", ErrorKind.DENIED, "Allow it.")
        self.signed += 1
        return EksToken(f"token {self.signed}", NOW + LIFETIME)


def test_what_a_process_does_needs_no_token_that_it_would_have_to_ask_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each part takes as long as a token is good for: a moment later another one would have to be signed."""
    access = Signed()
    asked = Asked(*[answer(330)] * 3)
    cluster, _forks = wide(monkeypatch, asked, access)
    assert cluster.apply(accounts(990)).changed
    assert (asked.tokens, access.signed) == (["token 1", "token 2", "token 3"], 3)


def test_without_credentials_for_another_token_no_more_modules_start(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked()
    cluster, _forks = wide(monkeypatch, asked, Signed(spent=0))
    written = cluster.apply(accounts(200))
    assert written.error == ApiError(
        0, "no token for the cluster: sts:AssumeRole: AccessDenied: no. Allow it."
    )
    assert (written.changed, asked.arguments) == (False, [])


def test_what_is_removed_at_the_end_of_an_interrupted_run_has_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Slow:
        def remove(self, _manifests: Any) -> Written:
            time.sleep(60)
            return Written()

    monkeypatch.setattr(kubernetes_cluster, "ENDING_SECONDS", 0.1)
    lines: list[str] = []
    ending = kubernetes_cluster.BoundedEnding(Slow(), lines.append)
    assert ending.remove([JOB]) == Written(error=ApiError(0, "no result within 0.1 seconds"))
    ending.tell("left: \x1b[2J")
    assert lines == ["left: \\x1b[2J"]


class Shell:
    """The shell of a connection, and the folder that Ansible makes for a module on another host."""

    def __init__(self, tmpdir: str | None) -> None:
        self.tmpdir = tmpdir


@pytest.mark.parametrize(
    ("transport", "become", "tmpdir", "folder"),
    [
        ("local", False, None, "/of/this/run"),
        ("local", True, None, "/made/there"),
        ("ssh", False, None, "/made/there"),
        ("ssh", False, "/there/already", "/there/already"),
    ],
)
def test_a_module_has_a_folder_of_its_user_for_temporary_files(
    monkeypatch: pytest.MonkeyPatch, transport: str, become: bool, tmpdir: str | None, folder: str
) -> None:
    """Its client takes the description of an API from a file of a known name there."""
    caller = SimpleNamespace(
        _connection=SimpleNamespace(transport=transport, _shell=Shell(tmpdir)),
        _play_context=SimpleNamespace(become=become),
        _make_tmp_path=lambda: "/made/there",
    )
    environments: list[Any] = []
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", "/of/this/run")
    monkeypatch.setattr(
        kubernetes_modules,
        "run_action",
        lambda *_arguments, environment, **_more: environments.append(environment) or {},
    )
    kubernetes_modules.run_module(caller, "kubernetes.core.k8s", {}, {}, 5)
    kubernetes_modules.run_with(GivenAccess({}), caller, "kubernetes.core.k8s", {}, {}, 5)
    assert environments == [{"TMPDIR": folder}] * 2


def test_the_authority_of_a_cluster_is_in_a_file_of_this_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    target = EksTarget("blue", "arn:of:blue", "https://eks", base64.b64encode(b"PEM\n").decode())
    before = os.umask(0)
    try:
        path = Path(write_authority(target))
        assert write_authority(target) == str(path)
    finally:
        os.umask(before)
    assert (path.parent, path.read_text(), path.stat().st_mode & 0o777) == (tmp_path, "PEM\n", 0o600)
