# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the servers of a sandbox, and build the environment with which clients use them."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from sandbox.aws.control import AwsControl
from sandbox.aws.settings import ROOT_SECRET_ACCESS_KEY
from sandbox.control_client import CONTROL_PREFIX
from sandbox.kube.control import KubeControl
from sandbox.kube.kubeconfig import write_kubeconfig
from sandbox.processes import LOOPBACK, Kubernetes, Server, free_port

HIDDEN = (
    *(
        f"AWS_{name}"
        for name in ("PROFILE", "DEFAULT_PROFILE", "SESSION_TOKEN", "SECURITY_TOKEN", "ROLE_ARN")
    ),
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_URL", "EC2_URL"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
    *("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"),
    *(f"AWS_ENDPOINT_URL_{name}" for name in ("EKS", "EKS_AUTH", "IAM", "STS")),
    *(f"K8S_AUTH_{name}" for name in ("HOST", "API_KEY", "CONTEXT", "USERNAME", "PASSWORD", "CERT_FILE")),
    *(f"K8S_AUTH_{name}" for name in ("KEY_FILE", "SSL_CA_CERT", "VERIFY_SSL", "PROXY", "PROXY_HEADERS")),
    *("K8S_AUTH_IMPERSONATE_USER", "K8S_AUTH_IMPERSONATE_GROUPS"),
)
"""Variables that would let a client use other credentials or endpoints."""
CONFIG_TEXT = "# Empty on purpose: the sandbox does not read your profiles and endpoints.\n"


@dataclass(frozen=True)
class Options:
    """The options of `sandbox run`."""

    cluster: str = "my-cluster"
    account: str = "111122223333"
    region: str = "us-west-2"
    auth: bool = False
    rbac: bool = False
    kube_controllers: bool = False
    pod_identity_webhook: bool = False
    kubebuilder: bool = False
    latency_ms: float = 0
    kube_latency_ms: float = 0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox."""

    folder: Path
    options: Options
    aws: str
    kubernetes: Kubernetes

    @property
    def description(self) -> str:
        account = f"account {self.options.account}"
        return f"AWS: {self.aws}, {account}; Kubernetes: {self.kubernetes.description} on {self.kubernetes.endpoint}"

    def environment(self, present: Mapping[str, str]) -> dict[str, str]:
        """Return environment variables with which clients use the sandbox, and reach it without a proxy."""
        config = self.folder / "aws-config"
        config.write_text(CONFIG_TEXT, encoding="utf-8")
        kubeconfig = str(self.folder / "kubeconfig")
        direct = {
            name: ",".join(filter(None, (present.get(name), LOOPBACK, "localhost")))
            for name in ("NO_PROXY", "no_proxy")
        }
        return {
            **{name: value for name, value in present.items() if name not in HIDDEN},
            **direct,
            "AWS_ENDPOINT_URL": self.aws,
            "AWS_ACCESS_KEY_ID": self.options.account,
            "AWS_SECRET_ACCESS_KEY": ROOT_SECRET_ACCESS_KEY,
            "AWS_REGION": self.options.region,
            "AWS_DEFAULT_REGION": self.options.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": str(config),
            "KUBECONFIG": kubeconfig,
            "K8S_AUTH_KUBECONFIG": kubeconfig,
            "SANDBOX_STATE": str(self.folder),
            "SANDBOX_KUBERNETES": "kubebuilder" if self.options.kubebuilder else "embedded",
            "SANDBOX_CLUSTER": self.options.cluster,
        }


def start(stack: ExitStack, folder: Path, options: Options) -> Sandbox:
    """Start AWS and Kubernetes in a folder, and create the EKS cluster. The end of the stack stops them."""
    port, token = free_port(), secrets.token_hex(24)
    aws = [sys.executable, "-P", "-m", "sandbox.aws", "--port", str(port)]
    aws += ["--latency-ms", str(options.latency_ms)]
    aws_server = Server(stack, folder, "aws", [*aws, "--auth"] if options.auth else aws)
    if options.kubebuilder:
        # Import the module only here, because it needs cryptography, which is slow to import.
        from sandbox import kubebuilder

        assets = os.environ.get("KUBEBUILDER_ASSETS", "")
        kubernetes = kubebuilder.start(stack, folder, Path(assets), token)
    else:
        kubernetes = _start_embedded(stack, folder, options, token, port)
    endpoint = aws_server.address()
    control = AwsControl(endpoint)
    authority = kubernetes.authority.read_bytes()
    place = options.account, options.region, options.cluster
    control.set_kubernetes(*place, kubernetes.endpoint, authority)
    control.create_cluster(*place)
    write_kubeconfig(folder / "kubeconfig", kubernetes.endpoint, authority.decode("ascii"), token)
    return Sandbox(folder, options, endpoint, kubernetes)


def _start_embedded(
    stack: ExitStack, folder: Path, options: Options, token: str, aws_port: int
) -> Kubernetes:
    def control_url(request: str) -> str:
        names = {"account": options.account, "region": options.region, "cluster": options.cluster}
        query = urlencode({**names, "sts_host": f"{LOOPBACK}:{aws_port}"})
        return f"http://{LOOPBACK}:{aws_port}{CONTROL_PREFIX}{request}?{query}"

    files = folder / "kubernetes"
    command = [sys.executable, "-P", "-m", "sandbox.kube", "--cert-dir", str(files), "--token", token]
    command += ["--rbac"] if options.rbac else []
    command += ["--controllers"] if options.kube_controllers else []
    command += ["--eks-auth", control_url("token-review")]
    if options.pod_identity_webhook:
        command += ["--pod-identity-webhook", "--associations", control_url("associations")]
    endpoint = Server(stack, folder, "kubernetes", command).address()
    if options.kube_latency_ms:
        KubeControl(endpoint, files / "ca.crt", token).set_latency(options.kube_latency_ms)
    return Kubernetes(endpoint, files / "ca.crt", "embedded emulator")
