# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test whole runs of the playbook audit on fakes of AWS and Kubernetes. audit_runs.yml describes the runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    ApiServer,
    certificate_digests,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    Catalogue,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _audit
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    OTHER_CLUSTER,
    REGION,
    TRUST_BARE,
    FakeAws,
    create_association,
    create_role,
    policy_arn,
    role_arn,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.plugin_utils.test_role_runs import (
    CERTIFICATE,
    Kubernetes,
    Loader,
    build_action,
    fakes,
)

__all__ = ["fakes"]
Json = dict[str, Any]
RUNS: Mapping[str, Json] = yaml.load(
    Path(__file__).with_name("audit_runs.yml").read_text(encoding="utf-8"), Loader
)
# The members of the report that are compared. The screen has the others.
PARTS = ("only", "notes", "clusters", "summary")


class Today(datetime):
    """The time at which the report is built."""

    @classmethod
    def now(cls, tz: Any = None) -> Today:
        return cls(2026, 11, 29, 10, tzinfo=tz)


@pytest.fixture
def audit(
    fakes: tuple[FakeAws, Kubernetes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    """Return a function that runs the steps of an audit, and returns their results, the screen, the files and the requests."""
    aws, kubernetes = fakes
    for name in ("app", "web", "node", "target"):
        create_role(aws, name, TRUST_BARE, (policy_arn("reader"),))
    create_association(aws, "app", "app")
    create_association(aws, "web", "web", targetRoleArn=role_arn("target"))
    aws.eks.clusters[CLUSTER]["computeConfig"] = {"enabled": True, "nodeRoleArn": role_arn("node")}
    create_association(aws, "app", "app", clusterName=OTHER_CLUSTER)
    authority = {name: aws.eks.clusters[CLUSTER][name] for name in ("endpoint", "certificateAuthority")}
    aws.eks.clusters[OTHER_CLUSTER] |= authority
    kubernetes.server = ApiServer("https://eks", certificate_digests(CERTIFICATE))
    kubernetes.lists = {"Namespace": build.read([{"metadata": {"name": "default"}}])}
    monkeypatch.setattr(_audit, "datetime", Today)
    monkeypatch.setattr(_audit, "load_catalogue", Catalogue)

    def run(case: Json) -> Json:
        hosts = case.get("hosts", {"blue": {}})
        base = {
            "pod_identity_cluster_name": CLUSTER,
            "pod_identity_region": REGION,
            **case.get("variables", {}),
        }
        hostvars: dict[str, Json] = {name: {**base, **more} for name, more in hosts.items()}
        for name, errors in case.get("aws", {}).items():
            aws.fail_on(name, *(classify(name, *error) for error in errors))
        for name, answer in case.get("answers", {}).items():
            aws.replace(name, lambda _parameters, answer=answer: answer)
        found: Json = {}
        for step in case.get("steps", ("read", "roles", "report")):
            sent = len(aws.requests)
            for host in hosts if step != "report" else [next(iter(hosts))]:
                variables = {
                    **hostvars[host],
                    "inventory_hostname": host,
                    "ansible_play_hosts_all": list(hosts),
                    "hostvars": hostvars,
                }
                task = {"args": {"step": step}, **case.get("task", {})}
                result = build_action(variables, {"task": task}, _audit.ActionModule).run(None, variables)
                hostvars[host][f"pod_identity_audit_{'part' if step == 'read' else step}"] = result
                found[f"{step} {host}"] = {name: value for name, value in result.items() if value}
            found[f"requests {step}"] = dict(sorted(Counter(name for name, _ in aws.requests[sent:]).items()))
        found["screen"] = capsys.readouterr().out
        for path in sorted(tmp_path.glob("report.*")):
            text = path.read_text(encoding="utf-8")
            report = json.loads(text) if path.suffix == ".json" else {}
            found[path.name] = {name: report[name] for name in PARTS} if report else text.splitlines()[:3]
        text = json.dumps(found).replace(str(tmp_path), "/tmp")
        return json.loads(text, object_hook=without_names_of_files)

    return run


def without_names_of_files(row: Json) -> Json:
    """Return a row without the random part of file names."""
    return {
        name: value.partition("-")[0] if str(value).endswith(".pickle") else value
        for name, value in row.items()
    }


@pytest.mark.parametrize("name", RUNS)
def test_audit(name: str, audit: Any) -> None:
    case = RUNS[name]
    assert audit(case) == case["expected"]
