# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The `sandbox` command."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sandbox.aws_request import AwsRequester
from sandbox.eks import ClusterRequest, create_cluster
from sandbox.ephemeral import ephemeral_folder
from sandbox.errors import SandboxError
from sandbox.foreground import run_command
from sandbox.layout import Layout
from sandbox.options import explicit_settings, full_settings, parse, state_folder
from sandbox.report import as_text, backend_lines, status
from sandbox.servers import tail
from sandbox.signals import settle, stoppable
from sandbox.state import Condition, State, observe
from sandbox.supervisor import Supervisor, environment_of

EXIT_FAILED = 1
EXIT_NOT_UP = 3

Action = Callable[[argparse.Namespace, Layout, Mapping[str, str]], int]


def main(arguments: Sequence[str] | None = None) -> int:
    parsed = parse(sys.argv[1:] if arguments is None else arguments)
    environment = dict(os.environ)
    actions: dict[str, Action] = {
        "up": _up,
        "down": _down,
        "status": _status,
        "reset": _reset,
        "run": _run,
        "env": _env,
        "cluster": _cluster,
        "logs": _logs,
    }
    try:
        with stoppable():
            layout = Layout(state_folder(parsed, environment))
            return actions[parsed.action](parsed, layout, environment)
    except SandboxError as error:
        _tell(f"sandbox: {error}")
        return EXIT_FAILED


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _up(parsed: argparse.Namespace, layout: Layout, environment: Mapping[str, str]) -> int:
    settings = full_settings(parsed, environment, layout.root)
    # Once it is up it stays up, and the exit code says so: a later signal comes too late.
    state, started = Supervisor(layout, say=_tell, on_started=settle).up(settings)
    if not started:
        _require_same(state, parsed, layout, environment)
        print(f"The sandbox in {layout.root} is already running.")
    print(backend_lines(state, layout))
    if state.settings.aws == "embedded" and started:
        print(f"EKS cluster {state.settings.cluster} is ACTIVE in {state.settings.region}.")
    print(f"Use it: . {layout.environment}   Stop it: sandbox down")
    return 0


def _require_same(
    state: State, parsed: argparse.Namespace, layout: Layout, environment: Mapping[str, str]
) -> None:
    """A running sandbox with other settings than the command line asks for is an error."""
    asked = replace(state.settings, **explicit_settings(parsed, environment, layout.root))
    running, wanted = state.settings.to_json(), asked.to_json()
    different = [
        f"{name} is {running[name]!r}, not {wanted[name]!r}"
        for name in running
        if running[name] != wanted[name]
    ]
    if different:
        raise SandboxError(
            f"The sandbox in {layout.root} is already running with other settings: {'; '.join(different)}.",
            "Stop it with `sandbox down`, or use another one with --state or `run --fresh`.",
        )


def _down(_parsed: argparse.Namespace, layout: Layout, _environment: Mapping[str, str]) -> int:
    stopped = Supervisor(layout, say=_tell).down()
    print(
        f"The sandbox in {layout.root} is stopped." if stopped else f"No sandbox is running in {layout.root}."
    )
    return 0


def _status(parsed: argparse.Namespace, layout: Layout, _environment: Mapping[str, str]) -> int:
    report = status(layout)
    print(json.dumps(report, indent=2) if parsed.json else as_text(report))
    return 0 if report["up"] else EXIT_NOT_UP


def _reset(_parsed: argparse.Namespace, layout: Layout, _environment: Mapping[str, str]) -> int:
    for line in Supervisor(layout, say=_tell).reset():
        print(line)
    return 0


def _env(_parsed: argparse.Namespace, layout: Layout, _environment: Mapping[str, str]) -> int:
    state = Supervisor(layout, say=_tell).require_running()
    print(environment_of(state, layout).as_shell(), end="")
    return 0


def _cluster(parsed: argparse.Namespace, layout: Layout, _environment: Mapping[str, str]) -> int:
    state = Supervisor(layout, say=_tell).require_running()
    if state.settings.aws != "embedded":
        raise SandboxError("Clusters are created in the embedded AWS only; this sandbox uses a real one.")
    place = replace(
        state.settings,
        cluster=parsed.name,
        account=parsed.account or state.settings.account,
        region=parsed.region or state.settings.region,
    )
    wanted = ClusterRequest(
        name=place.cluster,
        agent=not parsed.no_agent,
        auto_mode=parsed.auto_mode,
        version=parsed.version,
        tags=dict(parsed.tag),
    )
    create_cluster(AwsRequester(state.ports["aws"], place.account, place.region), wanted)
    print(f"EKS cluster {place.cluster} is ACTIVE in account {place.account}, {place.region}.")
    return 0


def _logs(parsed: argparse.Namespace, layout: Layout, _environment: Mapping[str, str]) -> int:
    logs = {path.stem: path for path in sorted(layout.logs.glob("*.log"))}
    if parsed.name is not None and parsed.name not in logs:
        known = f"There are logs of {', '.join(logs)}." if logs else "There are no logs."
        raise SandboxError(f"No log of {parsed.name!r} in {layout.logs}.", known)
    for name, path in logs.items():
        if parsed.name in (None, name):
            print(f"==> {path}")
            print("\n".join(tail(path, parsed.lines)))
    return 0


def _run(parsed: argparse.Namespace, layout: Layout, environment: Mapping[str, str]) -> int:
    seen = observe(layout)
    if not parsed.fresh and seen.condition is Condition.RUNNING and seen.state is not None:
        _require_same(seen.state, parsed, layout, environment)
        return _run_in(seen.state, layout, parsed.command_line, environment)
    settings = full_settings(parsed, environment, layout.root)
    with ephemeral_folder() as own:
        supervisor = Supervisor(own, say=_tell, tied_to_us=True)
        try:
            state, _ = supervisor.up(settings)
            return _run_in(state, own, parsed.command_line, environment)
        finally:
            supervisor.down()


def _run_in(state: State, layout: Layout, command: Sequence[str], environment: Mapping[str, str]) -> int:
    _tell(backend_lines(state, layout))
    return run_command(command, environment_of(state, layout).applied_to(environment))


if __name__ == "__main__":
    sys.exit(main())
