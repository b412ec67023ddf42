# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules of one task at once: each in a process of its own, of which none is left behind."""

from __future__ import annotations

import os
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils import forks
from ansible_collections.workload_identity.aws.plugins.plugin_utils.forks import Lost, run_in_forks
from ansible_collections.workload_identity.aws.plugins.plugin_utils.process_environment import variables

LONG = 60
# That threads of other tests may run meanwhile.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


class Caller:
    """An action as far as its processes need it."""

    def __init__(self, removed: Path | None = None) -> None:
        self._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/the/task's/own"))
        self._removed = removed

    def _remove_tmp_path(self, path: str) -> None:
        assert self._removed
        self._removed.write_text(path, encoding="utf-8")


def never(_result: Any) -> bool:
    return False


def run(works: Any, width: int = 2, stops: Callable[[Any], bool] = never, caller: Any = None) -> Any:
    return run_in_forks(caller or Caller(), map(nullcontext, works), width, stops)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_each_result_is_at_the_place_of_its_work() -> None:
    def work(place: int, pause: float) -> int:
        time.sleep(pause)
        return place

    works = [partial(work, *pair) for pair in enumerate([0.3, 0.0, 0.1, 0.0, 0.0])]
    assert run(works, 3) == {place: place for place in range(5)}


def test_no_work_has_no_result() -> None:
    assert run([]) == {}


def test_as_many_are_done_at_once_as_asked_and_no_more(tmp_path: Path) -> None:
    """Each waits until another one has begun, too."""

    def work(place: int) -> tuple[int, int]:
        mark = tmp_path / f"{place} runs"
        mark.touch()
        (tmp_path / f"{place} began").touch()
        end = time.monotonic() + LONG
        while len(list(tmp_path.glob("* began"))) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        begun, running = (len(list(tmp_path.glob(f"* {state}"))) for state in ("began", "runs"))
        mark.unlink()
        return begun, running

    results = run([partial(work, place) for place in range(6)]).values()
    assert min(begun for begun, _running in results) >= 2
    assert max(running for _begun, running in results) <= 2


def test_none_is_done_in_this_process() -> None:
    pids = set(run([os.getpid] * 3).values())
    assert len(pids) == 3
    assert os.getpid() not in pids


def test_one_that_ends_without_a_result_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> str:
        raise ValueError("a fault of ours")

    def find_no_room() -> str:
        raise OSError(28, "No space left on device")

    def be_killed() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    assert run([partial(os._exit, 3), partial(str, "done"), fail, find_no_room, be_killed]) == {
        0: Lost("ended with exit code 3 before its result"),
        1: "done",
        2: Lost("ended with exit code 1 before its result"),
        3: Lost("could not be run: [Errno 28] No space left on device"),
        4: Lost("was ended by SIGKILL before its result"),
    }
    # What nobody expects is in the output, and does not pass for a result.
    assert "a fault of ours" in capfd.readouterr().err


def test_one_that_ends_in_the_middle_of_its_result_is_told() -> None:
    answer, sender = Pipe(duplex=False)
    os.write(sender.fileno(), struct.pack("!i", 1000) + b"the first bytes")
    sender.close()
    ended = SimpleNamespace(exitcode=-signal.SIGKILL, join=lambda _grace: None, is_alive=lambda: False)
    assert forks._result(answer, ended) == Lost("was ended by SIGKILL before its result")


def test_one_that_does_not_end_in_order_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(forks, "GRACE", 0.1)
    deaf = tmp_path / "deaf"

    def work() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (tmp_path / "new").write_text(str(os.getpid()), encoding="utf-8")
        (tmp_path / "new").rename(deaf)
        time.sleep(LONG)

    def works() -> Iterator[Callable[[], None]]:
        yield work
        while not deaf.exists():
            time.sleep(0.01)
        raise SystemExit(143)

    with pytest.raises(SystemExit):
        run(works())
    assert not is_running(int(deaf.read_text(encoding="utf-8")))


def test_each_begins_in_the_context_of_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def lent(value: str) -> Iterator[Callable[[], str | None]]:
        with variables({"FORKS_TEST": value}):
            yield partial(os.environ.get, "FORKS_TEST")

    monkeypatch.delenv("FORKS_TEST", raising=False)
    assert run_in_forks(Caller(), map(lent, "abc"), 2, never) == {0: "a", 1: "b", 2: "c"}
    assert "FORKS_TEST" not in os.environ


def test_after_the_last_one_no_more_begin() -> None:
    begun = []

    def works() -> Iterator[Callable[[], str]]:
        for name in "abcdef":
            begun.append(name)
            yield partial(str, name)

    results = run(works(), 1, lambda result: result == "c")
    assert results == {0: "a", 1: "b", 2: "c"}
    assert begun == ["a", "b", "c"]


def test_where_it_ends_early_all_that_it_began_ends(tmp_path: Path) -> None:
    """As by SIGTERM, which raises SystemExit in the middle of it."""
    pid = tmp_path / "pid"

    def work() -> None:
        (tmp_path / "new").write_text(str(os.getpid()), encoding="utf-8")
        (tmp_path / "new").rename(pid)
        time.sleep(LONG)

    def works() -> Iterator[Callable[[], None]]:
        yield work
        while not pid.exists():
            time.sleep(0.01)
        raise SystemExit(143)

    with pytest.raises(SystemExit):
        run(works())
    assert not is_running(int(pid.read_text(encoding="utf-8")))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_work_in_order(
    number: signal.Signals, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C reaches every process of a terminal; who started this one says so."""

    def work() -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(LONG)
        finally:
            (tmp_path / "ended").touch()

    assert run([work]) == {0: Lost(f"ended with exit code {128 + number} before its result")}
    assert (tmp_path / "ended").exists()
    assert capfd.readouterr().err == ""


def test_each_has_a_folder_of_its_own_and_removes_it(tmp_path: Path) -> None:
    caller = Caller(tmp_path / "removed")
    shell = caller._connection._shell

    def work() -> list[str | None]:
        before = [shell.tmpdir]
        shell.tmpdir = "/of/this/process"
        return before

    assert run([work], caller=caller) == {0: [None]}
    assert (tmp_path / "removed").read_text(encoding="utf-8") == "/of/this/process"
    assert shell.tmpdir == "/the/task's/own"
