# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of `sandbox`, and the settings that it asks for."""

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
    "webhook_delay_ms",
    "latency_ms",
    "kube_latency_ms",
    "propagation_ms",
    "read_lag_ms",
    "read_replicas",
    "clock_skew_s",
    "rate_limit",
    "aws_port",
    "kube_port",
)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """``command_line`` holds what `run` is to run. Exits with 2 on wrong usage."""
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
    """Only what the command line asks for, as fields of Settings."""
    chosen = {name: getattr(parsed, name) for name in SETTING_OPTIONS if hasattr(parsed, name)}
    if getattr(parsed, "kube", "auto") != "auto":
        chosen |= _kubernetes(parsed.kube, environment, folder)
    return chosen


def full_settings(parsed: argparse.Namespace, environment: Mapping[str, str], folder: Path) -> Settings:
    """What the command line and the environment ask for, and defaults for the rest."""
    chosen = explicit_settings(parsed, environment, folder)
    if "kubernetes" not in chosen:
        chosen |= _kubernetes("auto", environment, folder)
    if chosen.get("aws") == "real" and environment.get("SANDBOX_AWS") == "embedded":
        raise SandboxError(
            "`--aws real` was asked for, but this shell has the variables of an embedded AWS.",
            "Use a shell in which env.sh of a sandbox was not read.",
        )
    return Settings(**chosen)


def _kubernetes(wanted: str, environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    backend, source = choose_kubernetes(wanted, environment, folder)
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
        help=f"state folder (default: SANDBOX_STATE, else {DEFAULT_STATE} in this folder)",
    )
    start = _start_options()
    parser = argparse.ArgumentParser(
        prog="sandbox",
        description="Embedded AWS and Kubernetes endpoints on the loopback address.",
        parents=[state],
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="COMMAND")
    actions.add_parser("up", parents=[state, start], help="start it in the background and say who answers")
    actions.add_parser("down", parents=[state], help="stop it; no error when it does not run")
    status = actions.add_parser("status", parents=[state], help="show it; exit code 0 when up, 3 when not")
    status.add_argument("--json", action="store_true", help="as JSON")
    actions.add_parser("reset", parents=[state], help="back to how it was after the start")
    run = actions.add_parser(
        "run",
        parents=[state, start],
        help="run a command in it, in one of its own when none runs",
        usage="sandbox run [options] -- COMMAND [ARGS]",
    )
    run.add_argument("--fresh", action="store_true", help="a sandbox of its own in any case")
    run.add_argument("command_line", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    actions.add_parser("env", parents=[state], help='print its variables: eval "$(sandbox env)"')
    cluster = actions.add_parser(
        "cluster",
        parents=[state, _cluster_options()],
        help="create one more EKS cluster, in any account and region",
    )
    cluster.add_argument("name", help="its name; a cluster of that name that is there stays as it is")
    logs = actions.add_parser("logs", parents=[state], help="print the end of its logs")
    logs.add_argument("name", nargs="?", help="one server only, such as aws or kubernetes")
    logs.add_argument("--lines", type=int, default=LOG_LINES, help="of each log (%(default)s)")
    return parser


def _cluster_options() -> argparse.ArgumentParser:
    cluster = argparse.ArgumentParser(add_help=False)
    add = cluster.add_argument
    add("--account", metavar="ID", help="the account that it is in (the one of `up`)")
    add("--region", metavar="NAME", help="its region (the one of `up`)")
    add("--version", metavar="N.NN", default="", help="its Kubernetes version (the newest)")
    add("--tag", metavar="KEY=VALUE", action="append", type=_tag, default=[], help="a tag of it; repeatable")
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
    add("--aws", choices=AWS_BACKENDS, help="who answers for AWS (embedded)")
    add(
        "--kube",
        choices=("auto", *KUBERNETES_BACKENDS),
        help="who answers for Kubernetes (auto: KUBEBUILDER_ASSETS, KUBECONFIG, else embedded)",
    )
    add("--cluster", metavar="NAME", help="the EKS cluster to create (my-cluster)")
    add("--account", metavar="ID", help="the account that is answered for (111122223333)")
    add("--region", metavar="NAME", help="its region (us-west-2)")
    add("--auth", action="store_true", help="embedded AWS: enforce IAM permissions")
    add("--rbac", action="store_true", help="embedded Kubernetes: enforce RBAC")
    add(
        "--kube-controllers",
        action="store_true",
        help="embedded Kubernetes: make Pods of Jobs, end and remove Jobs",
    )
    add(
        "--pod-identity-webhook",
        action="store_true",
        help="embedded Kubernetes: inject EKS Pod Identity into Pods, as EKS does",
    )
    add(
        "--webhook-delay-ms",
        type=int,
        metavar="N",
        help="with the webhook: how long after it was made it knows an association",
    )
    add("--latency-ms", type=int, metavar="N", help="embedded AWS: delay of each answer")
    add("--kube-latency-ms", type=int, metavar="N", help="embedded Kubernetes: the same")
    add("--propagation-ms", type=int, metavar="N", help="embedded AWS: age at which a role exists")
    add("--read-lag-ms", type=int, metavar="N", help="embedded AWS: reads show what was so long ago")
    add("--read-replicas", type=int, metavar="N", help="2: only every second read is late (1)")
    add("--clock-skew-s", type=int, metavar="N", help="embedded AWS: its dates are so far ahead")
    add("--rate-limit", type=int, metavar="N", help="embedded AWS: requests a second; more are throttled")
    add("--aws-port", type=int, metavar="N", help="fixed port instead of a free one")
    add("--kube-port", type=int, metavar="N", help="fixed port instead of a free one")
    return start
