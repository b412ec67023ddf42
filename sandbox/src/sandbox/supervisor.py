# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, stop and reset a sandbox. A lock ensures that only one command at a time starts, stops or resets it."""

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
from sandbox.ports import free_ports, is_in_use, require_free
from sandbox.processes import stop
from sandbox.servers import Servers
from sandbox.settings import Settings
from sandbox.state import Condition, Observation, State, now, observe, records, write_private

LOCK_SECONDS = 120.0
START_ATTEMPTS = 3
TOKEN_BYTES = 24

Notify = Callable[[str], None]


def backends_for(state: State, layout: Layout) -> tuple[AwsBackend, KubernetesBackend]:
    """Return the backends of a running sandbox."""
    servers = Servers(layout, die_with_parent=False)
    return make_backends(state.settings, state.ports, state.token, servers)


def client_environment(state: State, layout: Layout) -> EnvironmentChange:
    """Return the environment variables with which clients use the sandbox. `sandbox run` and env.sh set them."""
    settings = state.settings
    sandbox = EnvironmentChange(
        {
            "SANDBOX_STATE": str(layout.root),
            "SANDBOX_AWS": settings.aws,
            "SANDBOX_KUBERNETES": settings.kubernetes,
            "SANDBOX_CLUSTER": settings.cluster,
        }
    )
    return combine([*(backend.environment() for backend in backends_for(state, layout)), sandbox])


@dataclass(frozen=True, slots=True)
class Supervisor:
    """The control of the sandbox in one state folder.

    ``notify`` prints a message for the user. With ``die_with_parent``, the servers are killed when this process dies (Linux).
    ``on_started`` is called when the start is complete; an exception before that call stops the servers.
    """

    layout: Layout
    notify: Notify
    die_with_parent: bool = False
    on_started: Callable[[], None] = lambda: None

    def up(self, settings: Settings) -> tuple[State, bool]:
        """Start the sandbox if it does not run.

        Return the record of the sandbox, and whether this call has started the sandbox.
        """
        self.layout.claim()
        with self._locked():
            observation = observe(self.layout)
            if observation.condition is Condition.RUNNING and observation.state is not None:
                return observation.state, False
            self._clean_up(observation)
            self.layout.prepare()
            return self._start(settings), True

    def down(self) -> bool:
        """Stop the sandbox, and delete its files except the logs. Return False if there was no sandbox."""
        if not self.layout.is_claimed():
            return False
        with self._locked():
            observation = observe(self.layout)
            self._stop(observation)
            self.layout.clear()
            return observation.condition is not Condition.ABSENT

    def reset(self) -> list[str]:
        """Reset both backends, and return their messages for the user."""
        self._require_claimed()
        with self._locked():
            state = self.require_running()
            backends = aws, kubernetes = backends_for(state, self.layout)
            messages = [backend.reset() for backend in backends]
            # Set the API server of the EKS clusters again, because tests may have changed it.
            aws.attach(kubernetes)
            return messages

    def require_running(self) -> State:
        """Return the record of the running sandbox. Raise SandboxError if it does not run."""
        self._require_claimed()
        observation = observe(self.layout)
        if observation.condition is Condition.RUNNING and observation.state is not None:
            return observation.state
        if observation.condition is Condition.BROKEN:
            raise SandboxError(
                f"The sandbox in {self.layout.root} is broken: {_have_died(observation.dead)}.",
                "`sandbox logs` shows why, until `sandbox up` cleans up and starts a new one.",
            )
        raise self._not_running()

    def _require_claimed(self) -> None:
        if not self.layout.is_claimed():
            raise self._not_running()

    def _not_running(self) -> SandboxError:
        return SandboxError(f"No sandbox is running in {self.layout.root}.", "Start one with `sandbox up`.")

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        return lock.exclusive(
            self.layout.lock,
            seconds=LOCK_SECONDS,
            on_wait=lambda: self.notify("Waiting for another sandbox command to end."),
        )

    def _clean_up(self, observation: Observation) -> None:
        if observation.condition is Condition.ABSENT:
            return
        reason = "an earlier start was interrupted"
        if observation.condition is Condition.BROKEN:
            reason = _have_died(observation.dead)
        stopping = f"; stopping {', '.join(sorted(observation.alive))}" if observation.alive else ""
        self.notify(f"Cleaning up an earlier sandbox: {reason}{stopping}.")
        self._stop(observation)

    def _stop(self, observation: Observation) -> None:
        if observation.state is not None:
            stop_backends(backends_for(observation.state, self.layout))
        stop([*observe(self.layout).alive.values()])
        for record in records(self.layout):
            record.unlink(missing_ok=True)

    def _start(self, settings: Settings) -> State:
        for _ in range(START_ATTEMPTS - 1):
            ports = self._choose_ports(settings)
            try:
                return self._start_on(settings, ports)
            except StartError:
                conflicts = [port for port in ports.values() if is_in_use(port)]
                if not conflicts:
                    raise
                self.notify(f"Another program took port {conflicts[0]}; trying again.")
                self.layout.prepare()
        return self._start_on(settings, self._choose_ports(settings))

    def _start_on(self, settings: Settings, ports: dict[str, int]) -> State:
        token = secrets.token_hex(TOKEN_BYTES)
        servers = Servers(self.layout, die_with_parent=self.die_with_parent)
        backends = aws, kubernetes = make_backends(settings, ports, token, servers)
        with contextlib.ExitStack() as undo:
            undo.callback(self.layout.clear)
            undo.callback(stop_backends, backends)
            asyncio.run(_start_all(backends))
            aws.attach(kubernetes)
            processes = tuple(name for backend in backends for name in backend.processes)
            state = State(settings, ports, token, processes, now())
            shell = client_environment(state, self.layout).as_shell()
            write_private(self.layout.environment, shell)
            state.write(self.layout.state)
            self.on_started()
            undo.pop_all()
        return state

    def _choose_ports(self, settings: Settings) -> dict[str, int]:
        backends = make_backends(settings, {}, "", Servers(self.layout, die_with_parent=False))
        names = [name for backend in backends for name in backend.port_names]
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        options = {
            "aws": (settings.aws_port, "--aws-port"),
            "kubernetes": (settings.kube_port, "--kube-port"),
            "kube-apiserver": (settings.kube_port, "--kube-port"),
        }
        for name, (port, option) in options.items():
            if port and name in ports:
                require_free(port, option)
                ports[name] = port
        return ports


def stop_backends(backends: Sequence[Backend]) -> None:
    with ThreadPoolExecutor(len(backends)) as pool:
        for _ in pool.map(lambda backend: backend.stop(), backends):
            pass


async def _start_all(backends: Sequence[Backend]) -> None:
    """Start all backends concurrently. If the start of a backend fails, cancel the start of the other backends."""
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
