# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a sandbox up, down and back to its first state; one command at a time."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sandbox import lock
from sandbox.backend_factory import make_backends
from sandbox.backends import AwsBackend, Backend, KubernetesBackend
from sandbox.environment import EnvironmentChange, combine
from sandbox.errors import SandboxError, StartError
from sandbox.layout import Layout
from sandbox.ports import free_ports, is_taken, require_free
from sandbox.processes import stop
from sandbox.servers import Servers
from sandbox.settings import Settings
from sandbox.state import Condition, Observation, State, now, observe, records, write_private

LOCK_SECONDS = 120.0
START_ATTEMPTS = 3
TOKEN_BYTES = 24

Say = Callable[[str], None]


def backends_of(state: State, layout: Layout) -> tuple[AwsBackend, KubernetesBackend]:
    servers = Servers(layout, tied_to_us=False)
    return make_backends(state.settings, state.ports, state.token, servers)


def environment_of(state: State, layout: Layout) -> EnvironmentChange:
    """What `run` sets and `env.sh` holds."""
    settings = state.settings
    own = EnvironmentChange(
        {
            "SANDBOX_STATE": str(layout.root),
            "SANDBOX_AWS": settings.aws,
            "SANDBOX_KUBERNETES": settings.kubernetes,
            "SANDBOX_CLUSTER": settings.cluster,
        }
    )
    return combine([*(backend.environment() for backend in backends_of(state, layout)), own])


@dataclass(frozen=True, slots=True)
class Supervisor:
    """``tied_to_us``: the servers die with the calling process. ``say`` tells the user.

    ``on_started`` is called at the moment from which an interruption stops nothing any more.
    """

    layout: Layout
    say: Say
    tied_to_us: bool = False
    on_started: Callable[[], None] = lambda: None

    def up(self, settings: Settings) -> tuple[State, bool]:
        """The running sandbox, and whether this call started it."""
        self.layout.claim()
        with self._alone():
            seen = observe(self.layout)
            if seen.condition is Condition.RUNNING and seen.state is not None:
                return seen.state, False
            self._sweep(seen)
            self.layout.prepare()
            return self._start(settings), True

    def down(self) -> bool:
        """Whether there was anything to stop or to forget."""
        if not self.layout.is_ours():
            return False
        with self._alone():
            seen = observe(self.layout)
            self._stop(seen)
            self.layout.clear()
            return seen.condition is not Condition.ABSENT

    def reset(self) -> list[str]:
        """What each backend did."""
        self._require_ours()
        with self._alone():
            state = self.require_running()
            backends = aws, kubernetes = backends_of(state, self.layout)
            done = [backend.reset() for backend in backends]
            # What clusters tell of their API may have been changed, too.
            aws.attach(kubernetes)
            return done

    def require_running(self) -> State:
        self._require_ours()
        seen = observe(self.layout)
        if seen.condition is Condition.RUNNING and seen.state is not None:
            return seen.state
        if seen.condition is Condition.BROKEN:
            raise SandboxError(
                f"The sandbox in {self.layout.root} is broken: {_have_died(seen.dead)}.",
                "`sandbox up` clears it away and starts a new one; `sandbox logs` shows why.",
            )
        raise self._none()

    def _require_ours(self) -> None:
        if not self.layout.is_ours():
            raise self._none()

    def _none(self) -> SandboxError:
        return SandboxError(f"No sandbox is running in {self.layout.root}.", "Start one with `sandbox up`.")

    def _alone(self) -> contextlib.AbstractContextManager[None]:
        return lock.exclusive(
            self.layout.lock,
            seconds=LOCK_SECONDS,
            on_wait=lambda: self.say("Waiting for another sandbox command to end."),
        )

    def _sweep(self, seen: Observation) -> None:
        if seen.condition is Condition.ABSENT:
            return
        why = "an earlier start was cut short"
        if seen.condition is Condition.BROKEN:
            why = _have_died(seen.dead)
        left = f"; stopping {', '.join(sorted(seen.alive))}" if seen.alive else ""
        self.say(f"Clearing away what an earlier sandbox left: {why}{left}.")
        self._stop(seen)

    def _stop(self, seen: Observation) -> None:
        if seen.state is not None:
            stop_backends(backends_of(seen.state, self.layout))
        stop([*observe(self.layout).alive.values()])
        for record in records(self.layout):
            record.unlink(missing_ok=True)

    def _start(self, settings: Settings) -> State:
        for _ in range(START_ATTEMPTS - 1):
            ports = self._choose_ports(settings)
            try:
                return self._start_on(settings, ports)
            except StartError:
                lost = [port for port in ports.values() if is_taken(port)]
                if not lost:
                    raise
                self.say(f"Port {lost[0]} was taken by another program meanwhile; trying again.")
                self.layout.prepare()
        return self._start_on(settings, self._choose_ports(settings))

    def _start_on(self, settings: Settings, ports: dict[str, int]) -> State:
        token = secrets.token_hex(TOKEN_BYTES)
        servers = Servers(self.layout, tied_to_us=self.tied_to_us)
        backends = aws, kubernetes = make_backends(settings, ports, token, servers)
        with contextlib.ExitStack() as undo:
            undo.callback(self.layout.clear)
            undo.callback(stop_backends, backends)
            asyncio.run(_start_all(backends))
            aws.attach(kubernetes)
            processes = tuple(name for backend in backends for name in backend.processes)
            state = State(settings, ports, token, processes, now())
            shell = environment_of(state, self.layout).as_shell()
            write_private(self.layout.environment, shell)
            state.write(self.layout.state)
            self.on_started()
            undo.pop_all()
        return state

    def _choose_ports(self, settings: Settings) -> dict[str, int]:
        backends = make_backends(settings, {}, "", Servers(self.layout, tied_to_us=False))
        names = [name for backend in backends for name in backend.port_names]
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        wishes = {
            "aws": (settings.aws_port, "--aws-port"),
            "kubernetes": (settings.kube_port, "--kube-port"),
            "kube-apiserver": (settings.kube_port, "--kube-port"),
        }
        for name, (port, option) in wishes.items():
            if port and name in ports:
                require_free(port, option)
                ports[name] = port
        return ports


def stop_backends(backends: Sequence[Backend]) -> None:
    with ThreadPoolExecutor(len(backends)) as pool:
        for _ in pool.map(lambda backend: backend.stop(), backends):
            pass


async def _start_all(backends: Sequence[Backend]) -> None:
    """Start all at the same time; the first failure ends the others' waiting."""
    tasks = [asyncio.ensure_future(backend.start()) for backend in backends]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _have_died(names: Sequence[str]) -> str:
    verb = "has" if len(names) == 1 else "have"
    return f"{' and '.join(names)} {verb} died"
