# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the role uses module_defaults of the action groups: credentials, region, endpoint and kubeconfig."""

from __future__ import annotations

from pathlib import Path

import yaml
from support import Sandbox

# By option of the AWS action group: the environment variable of the sandbox that has the value.
SOURCES = {
    "region": "AWS_REGION",
    "endpoint_url": "AWS_ENDPOINT_URL",
    "access_key": "AWS_ACCESS_KEY_ID",
    "secret_key": "AWS_SECRET_ACCESS_KEY",
}
HIDDEN = (*SOURCES.values(), "AWS_DEFAULT_REGION", "KUBECONFIG", "K8S_AUTH_KUBECONFIG")
COMMAND = (
    " ".join(f"export X_{name}=${name};" for name in (*SOURCES.values(), "KUBECONFIG"))
    + f" unset {' '.join(HIDDEN)}; ansible-playbook play.yml"
)


def test_role_uses_module_defaults_for_aws_and_kubernetes(sandbox: Sandbox, tmp_path: Path) -> None:
    def read_environment(name: str) -> str:
        return f"{{{{ lookup('ansible.builtin.env', 'X_{name}') }}}}"

    workload = {
        "namespace": "default",
        "service_account": "app",
        "role": {"name": "r"},
        "policies": [{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}],
    }
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "pod_identity_cluster_name": "my-cluster",
            "pod_identity_workloads": [workload],
        },
        "module_defaults": {
            "group/workload_identity.aws.aws": {
                option: read_environment(name) for option, name in SOURCES.items()
            },
            "group/kubernetes.core.k8s": {"kubeconfig": read_environment("KUBECONFIG")},
        },
        "roles": ["workload_identity.aws.pod_identity"],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    done = sandbox.run("bash", "-c", COMMAND, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "Verified: 1 workload; 1 pass." in done.stdout
