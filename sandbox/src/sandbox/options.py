# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command-line options of `sandbox`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError
from sandbox.settings import AWS_BACKENDS, KUBERNETES_BACKENDS, Settings, choose_kubernetes

DEFAULT_STATE = ".sandbox"
LOG_LINES = 40
SETTING_OPTIONS = (
    "aws",
    "account",
    "region",
    "cluster",
    "auth",
    "rbac",
    "kube_controllers",
    "pod_identity_webhook",
    "latency_ms",
    "kube_latency_ms",
    "aws_port",
    "kube_port",
)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line. In the result, ``command_line`` is the command that `sandbox run` runs.

    Exit with code 2 if the command line is invalid.
    """
    options, command_line = _split(arguments)
    parser = _parser()
    parsed = parser.parse_args(options)
    if parsed.action == "run":
        words = [*parsed.command_line, *(["--"] if parsed.command_line and command_line else [])]
        parsed.command_line = [*words, *command_line]
        if not parsed.command_line:
            parser.error("run needs a command, as in: sandbox run -- ansible-playbook site.yml")
    elif command_line:
        parser.error(f"{parsed.action} takes no command")
    return parsed


def state_folder(parsed: argparse.Namespace, environment: Mapping[str, str]) -> Path:
    chosen = getattr(parsed, "state", None) or environment.get("SANDBOX_STATE") or DEFAULT_STATE
    return Path(chosen).expanduser().resolve()


def explicit_settings(
    parsed: argparse.Namespace, environment: Mapping[str, str], folder: Path
) -> dict[str, Any]:
    """Return the settings that options set explicitly, by the field name of Settings.

    ``environment`` and ``folder`` determine the source of the Kubernetes backend that --kube selects.
    """
    chosen = {name: getattr(parsed, name) for name in SETTING_OPTIONS if hasattr(parsed, name)}
    if getattr(parsed, "kube", "auto") != "auto":
        chosen |= _kubernetes(parsed.kube, environment, folder)
    return chosen


def full_settings(parsed: argparse.Namespace, environment: Mapping[str, str], folder: Path) -> Settings:
    """Return the settings of the command line, and the defaults of the settings that it does not set.

    Without --kube, ``environment`` and ``folder`` determine the Kubernetes backend.
    """
    chosen = explicit_settings(parsed, environment, folder)
    if "kubernetes" not in chosen:
        chosen |= _kubernetes("auto", environment, folder)
    if chosen.get("aws") == "real" and environment.get("SANDBOX_AWS") == "embedded":
        raise SandboxError(
            "`--aws real` needs your own AWS variables, but this shell has the variables of a sandbox.",
            "Use a shell without the env.sh of a sandbox.",
        )
    return Settings(**chosen)


def _kubernetes(choice: str, environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    backend, source = choose_kubernetes(choice, environment, folder)
    return {"kubernetes": backend, "kubernetes_source": source}


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    if "--" not in arguments:
        return [*arguments], []
    place = list(arguments).index("--")
    return [*arguments[:place]], [*arguments[place + 1 :]]


def _parser() -> argparse.ArgumentParser:
    state = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    state.add_argument(
        "--state",
        metavar="DIR",
        help=f"state folder (default: SANDBOX_STATE, else {DEFAULT_STATE} in the current folder)",
    )
    start = _start_options()
    parser = argparse.ArgumentParser(
        prog="sandbox",
        description="Embedded AWS and Kubernetes endpoints on the loopback address.",
        parents=[state],
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="COMMAND")
    actions.add_parser("up", parents=[state, start], help="start a sandbox in the background")
    actions.add_parser("down", parents=[state], help="stop the sandbox, if it runs")
    status = actions.add_parser("status", parents=[state], help="show the status; exit code 0 if up, else 3")
    status.add_argument("--json", action="store_true", help="print JSON")
    actions.add_parser("reset", parents=[state], help="restore the initial state of AWS and Kubernetes")
    run = actions.add_parser(
        "run",
        parents=[state, start],
        help="run a command in the sandbox, or in a temporary one if none runs",
        usage="sandbox run [options] -- COMMAND [ARGS]",
    )
    run.add_argument("--fresh", action="store_true", help="always start a temporary sandbox")
    run.add_argument("command_line", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    actions.add_parser("env", parents=[state], help='print the variables: eval "$(sandbox env)"')
    cluster = actions.add_parser(
        "cluster",
        parents=[state, _cluster_options()],
        help="create another EKS cluster, in any account and region",
    )
    cluster.add_argument("name", help="name of the cluster; an existing cluster is not changed")
    logs = actions.add_parser("logs", parents=[state], help="print the last lines of the server logs")
    logs.add_argument("name", nargs="?", help="one server only, such as aws or kubernetes")
    logs.add_argument("--lines", type=int, default=LOG_LINES, help="lines of each log (%(default)s)")
    return parser


def _cluster_options() -> argparse.ArgumentParser:
    cluster = argparse.ArgumentParser(add_help=False)
    add = cluster.add_argument
    add("--account", metavar="ID", help="account (default: the account of the sandbox)")
    add("--region", metavar="NAME", help="region (default: the region of the sandbox)")
    add("--version", metavar="N.NN", default="", help="Kubernetes version (default: the newest)")
    add("--tag", metavar="KEY=VALUE", action="append", type=_tag, default=[], help="a tag; repeatable")
    add("--auto-mode", action="store_true", help="with EKS Auto Mode")
    add("--no-agent", action="store_true", help="without the add-on eks-pod-identity-agent")
    return cluster


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def _start_options() -> argparse.ArgumentParser:
    start = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    add = start.add_argument
    add("--aws", choices=AWS_BACKENDS, help="the AWS backend (default: embedded)")
    add(
        "--kube",
        choices=("auto", *KUBERNETES_BACKENDS),
        help="the Kubernetes backend (default: auto, that is KUBEBUILDER_ASSETS, else KUBECONFIG, else embedded)",
    )
    add("--cluster", metavar="NAME", help="the EKS cluster to create (default: my-cluster)")
    add("--account", metavar="ID", help="account (default: 111122223333)")
    add("--region", metavar="NAME", help="region (default: us-west-2)")
    add("--auth", action="store_true", help="embedded AWS: enforce IAM permissions")
    add("--rbac", action="store_true", help="embedded Kubernetes: enforce RBAC")
    add(
        "--kube-controllers",
        action="store_true",
        help="embedded Kubernetes: emulate Deployments, Jobs and other controllers",
    )
    add(
        "--pod-identity-webhook",
        action="store_true",
        help="embedded Kubernetes: inject EKS Pod Identity into Pods",
    )
    add("--latency-ms", type=int, metavar="N", help="embedded AWS: delay of each response")
    add("--kube-latency-ms", type=int, metavar="N", help="embedded Kubernetes: delay of each response")
    add("--aws-port", type=int, metavar="N", help="port of AWS (default: a free port)")
    add("--kube-port", type=int, metavar="N", help="port of Kubernetes (default: a free port)")
    return start
