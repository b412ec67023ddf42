# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Use a sandbox from Python: run one in the background, control its two servers, and reset it.

This module needs only the standard library.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sandbox.aws.control import AwsControl
from sandbox.kube.control import KubeControl

_SHOW_AND_WAIT = "import json, os, sys; print(json.dumps(dict(os.environ)), flush=True); sys.stdin.read()"


@contextmanager
def running(
    command: str | Path, *options: str, env: Mapping[str, str] | None = None
) -> Iterator[dict[str, str]]:
    """Run a sandbox while the block runs. Yield the environment of its commands.

    ``command`` is the path of the program `sandbox`, ``options`` are options of `sandbox run`.
    """
    arguments: Sequence[str | Path] = [command, "run", *options, "--", sys.executable, "-c", _SHOW_AND_WAIT]
    process = subprocess.Popen(
        arguments, env=env and dict(env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{command} run has not started; its exit code is {process.wait()}")
        yield json.loads(line)
    finally:
        process.communicate()


def aws_control(environment: Mapping[str, str]) -> AwsControl:
    return AwsControl(environment["AWS_ENDPOINT_URL"])


def kube_control(environment: Mapping[str, str]) -> KubeControl:
    folder = Path(environment["SANDBOX_STATE"])
    config = json.loads((folder / "kubeconfig").read_text(encoding="utf-8"))
    server, token = config["clusters"][0]["cluster"]["server"], config["users"][0]["user"]["token"]
    return KubeControl(server, folder / "kubernetes" / "ca.crt", token)


def reset(environment: Mapping[str, str]) -> None:
    """Restore the initial state of a sandbox: delete objects, counters, faults and delays, and create its cluster again."""
    aws = aws_control(environment)
    aws.reset()
    aws.set_latency(0)
    aws.set_propagation(0)
    aws.set_rate_limit(0)
    aws.set_session_lifetime(0)
    account, region = environment["AWS_ACCESS_KEY_ID"], environment["AWS_REGION"]
    aws.create_cluster(account, region, environment["SANDBOX_CLUSTER"])
    kube_control(environment).reset()
