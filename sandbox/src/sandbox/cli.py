# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `sandbox`. Each subcommand is a function that returns the exit code."""

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
from sandbox.signals import ignore_signals, interruptible
from sandbox.state import Condition, State, observe
from sandbox.supervisor import Supervisor, client_environment

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
        with interruptible():
            layout = Layout(state_folder(parsed, environment))
            return actions[parsed.action](parsed, layout, environment)
    except SandboxError as error:
        _print_error(f"sandbox: {error}")
        return EXIT_FAILED


def _print_error(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _up(parsed: argparse.Namespace, layout: Layout, environment: Mapping[str, str]) -> int:
    settings = full_settings(parsed, environment, layout.root)
    # After the start, the servers remain in the background, so a signal must no longer change the exit code.
    state, started = Supervisor(layout, notify=_print_error, on_started=ignore_signals).up(settings)
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
    """Check that the options of the command line match the settings of the running sandbox.

    If they differ, raise SandboxError with the differences.
    """
    changed = replace(state.settings, **explicit_settings(parsed, environment, layout.root))
    current, requested = state.settings.to_json(), changed.to_json()
    differences = [
        f"{name} is {current[name]!r}, not {requested[name]!r}"
        for name in current
        if current[name] != requested[name]
    ]
    if differences:
        raise SandboxError(
            f"The sandbox in {layout.root} is already running with other settings: {'; '.join(differences)}.",
            "Stop it with `sandbox down`, or start another one with --state or `run --fresh`.",
        )


def _down(_parsed: argparse.Namespace, layout: Layout, _environment: Mapping[str, str]) -> int:
    stopped = Supervisor(layout, notify=_print_error).down()
    print(
        f"The sandbox in {layout.root} is stopped." if stopped else f"No sandbox is running in {layout.root}."
    )
    return 0


def _status(parsed: argparse.Namespace, layout: Layout, _environment: Mapping[str, str]) -> int:
    report = status(layout)
    print(json.dumps(report, indent=2) if parsed.json else as_text(report))
    return 0 if report["up"] else EXIT_NOT_UP


def _reset(_parsed: argparse.Namespace, layout: Layout, _environment: Mapping[str, str]) -> int:
    for line in Supervisor(layout, notify=_print_error).reset():
        print(line)
    return 0


def _env(_parsed: argparse.Namespace, layout: Layout, _environment: Mapping[str, str]) -> int:
    state = Supervisor(layout, notify=_print_error).require_running()
    print(client_environment(state, layout).as_shell(), end="")
    return 0


def _cluster(parsed: argparse.Namespace, layout: Layout, _environment: Mapping[str, str]) -> int:
    state = Supervisor(layout, notify=_print_error).require_running()
    if state.settings.aws != "embedded":
        raise SandboxError("`sandbox cluster` needs the embedded AWS; this sandbox uses real AWS.")
    settings = replace(
        state.settings,
        cluster=parsed.name,
        account=parsed.account or state.settings.account,
        region=parsed.region or state.settings.region,
    )
    cluster = ClusterRequest(
        name=settings.cluster,
        agent=not parsed.no_agent,
        auto_mode=parsed.auto_mode,
        version=parsed.version,
        tags=dict(parsed.tag),
    )
    create_cluster(AwsRequester(state.ports["aws"], settings.account, settings.region), cluster)
    print(f"EKS cluster {settings.cluster} is ACTIVE in account {settings.account}, {settings.region}.")
    return 0


def _logs(parsed: argparse.Namespace, layout: Layout, _environment: Mapping[str, str]) -> int:
    logs = {path.stem: path for path in sorted(layout.logs.glob("*.log"))}
    if parsed.name is not None and parsed.name not in logs:
        remedy = f"There are logs of {', '.join(logs)}." if logs else "There are no logs."
        raise SandboxError(f"There is no log of {parsed.name!r} in {layout.logs}.", remedy)
    for name, path in logs.items():
        if parsed.name in (None, name):
            print(f"==> {path}")
            print("\n".join(tail(path, parsed.lines)))
    return 0


def _run(parsed: argparse.Namespace, layout: Layout, environment: Mapping[str, str]) -> int:
    observation = observe(layout)
    if not parsed.fresh and observation.condition is Condition.RUNNING and observation.state is not None:
        _require_same(observation.state, parsed, layout, environment)
        return _run_in(observation.state, layout, parsed.command_line, environment)
    settings = full_settings(parsed, environment, layout.root)
    with ephemeral_folder() as folder:
        supervisor = Supervisor(folder, notify=_print_error, die_with_parent=True)
        try:
            state, _ = supervisor.up(settings)
            return _run_in(state, folder, parsed.command_line, environment)
        finally:
            supervisor.down()


def _run_in(state: State, layout: Layout, command: Sequence[str], environment: Mapping[str, str]) -> int:
    _print_error(backend_lines(state, layout))
    return run_command(command, client_environment(state, layout).apply(environment))


if __name__ == "__main__":
    sys.exit(main())
