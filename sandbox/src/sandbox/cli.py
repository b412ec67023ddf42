# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `sandbox run -- COMMAND`: run a command in the environment of a new sandbox, which ends with the command."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from sandbox.control_client import ControlError
from sandbox.errors import SandboxError
from sandbox.servers import Options, Sandbox, start

FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
EXIT_FAILED = 1
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    place = words.index("--") if "--" in words else len(words)
    parser = _parser()
    parsed = parser.parse_args(words[:place])
    command = words[place + 1 :]
    if not command:
        parser.error("run needs a command, as in: sandbox run -- ansible-playbook site.yml")
    chosen = vars(parsed)
    del chosen["action"]
    try:
        return _run(Options(**chosen), command)
    except (SandboxError, ControlError) as error:
        print(f"sandbox: {error}", file=sys.stderr, flush=True)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _run(options: Options, command: Sequence[str]) -> int:
    with ExitStack() as stack:
        # A signal during the start or the clean-up ends this process only after the servers have been stopped.
        signal.signal(signal.SIGTERM, _exit)
        signal.signal(signal.SIGHUP, _exit)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sandbox-")))
        sandbox = start(stack, folder, options)
        print(sandbox.description, file=sys.stderr, flush=True)
        return _run_command(command, sandbox)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _run_command(command: Sequence[str], sandbox: Sandbox) -> int:
    """Run a command, and return its exit code. If signal N has ended the command, the exit code is 128 + N, as in shells."""
    sys.stdout.flush()
    try:
        child = subprocess.Popen(command, env=sandbox.environment(os.environ))
    except FileNotFoundError:
        print(f"{command[0]}: command not found", file=sys.stderr)
        return EXIT_NOT_FOUND
    except OSError as error:
        print(f"{command[0]}: cannot be run: {error.strerror}", file=sys.stderr)
        return EXIT_NOT_EXECUTABLE
    # The terminal sends Ctrl-C and Ctrl-\ to the command as well.
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    for number in FORWARDED:
        signal.signal(number, lambda received, _frame: child.send_signal(received))
    code = child.wait()
    return code if code >= 0 else 128 - code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sandbox", description="Emulators of AWS and Kubernetes on the loopback address."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="COMMAND")
    run = actions.add_parser(
        "run", help="run a command in a new sandbox", usage="sandbox run [options] -- COMMAND [ARGS]"
    )
    add = run.add_argument
    add("--cluster", metavar="NAME", default=Options.cluster, help="the EKS cluster to create (%(default)s)")
    add("--account", metavar="ID", default=Options.account, help="the account (%(default)s)")
    add("--region", metavar="NAME", default=Options.region, help="the region (%(default)s)")
    add("--auth", action="store_true", help="AWS enforces IAM permissions")
    add("--rbac", action="store_true", help="Kubernetes enforces RBAC")
    add(
        "--kube-controllers",
        action="store_true",
        help="Kubernetes creates the Pods of Deployments, Jobs and others",
    )
    add("--pod-identity-webhook", action="store_true", help="Kubernetes injects EKS Pod Identity into Pods")
    add("--kubebuilder", action="store_true", help="a real API server, from the folder KUBEBUILDER_ASSETS")
    add("--latency-ms", type=float, default=0, metavar="N", help="delay of each response of AWS")
    add("--kube-latency-ms", type=float, default=0, metavar="N", help="delay of each response of Kubernetes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
