# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test AWS clients on the controller: the error for a missing SDK names the Python that needs it."""

from __future__ import annotations

import sys

import pytest
from ansible.errors import AnsibleError
from ansible_collections.amazon.aws.plugins.module_utils import botocore
from ansible_collections.workload_identity.aws.plugins.plugin_utils._aws_clients import check_options


def test_missing_boto3_names_the_python_and_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore, "HAS_BOTO3", False)
    with pytest.raises(AnsibleError) as caught:
        check_options({})
    assert str(caught.value) == (
        f"requests to AWS need the Python packages boto3 and botocore, which are missing in {sys.executable}. Install them: "
        f"{sys.executable} -m pip install boto3 botocore."
    )
