# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the Kubernetes API answered, out of what kubernetes.core makes of it."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
    parse_api_error,
)

HEADERS = "Reason: \nHTTP response headers: HTTPHeaderDict({'server': 'x'})\nHTTP response body: "
TRACEBACK = (
    '\nOriginal traceback: \n  File "client.py", line 54, in inner\n    raise ForbiddenException(http_resp)\n'
    "' raised while trying to get resource using (name=None, namespace=None, label_selectors=[])"
)
FORBIDDEN = 'serviceaccounts is forbidden: User \\"me\\" cannot list resource \\"serviceaccounts\\" at the cluster scope'
STATUS = f'{{"kind":"Status","message":"{FORBIDDEN}","reason":"Forbidden","code":403}}'


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        pytest.param(
            f"Exception '403\n{HEADERS}{STATUS}{TRACEBACK}",
            403,
            FORBIDDEN.replace("\\", ""),
            id="a status object",
        ),
        pytest.param(
            f"Exception '429\n{HEADERS}Too many requests, please try again later.\n{TRACEBACK}",
            429,
            "Too many requests, please try again later.",
            id="text instead of an object",
        ),
        pytest.param(
            f"Failed to create object: {STATUS}",
            403,
            FORBIDDEN.replace("\\", ""),
            id="an object in a sentence",
        ),
        pytest.param(
            "Exception 'HTTPSConnectionPool(host='127.0.0.1', port=9): Max retries exceeded' raised while trying to "
            "get resource using {}",
            0,
            "HTTPSConnectionPool(host='127.0.0.1', port=9): Max retries exceeded",
            id="no answer",
        ),
        pytest.param(
            "Task failed: Module failed: Could not find or access '/x' on the Ansible Controller.\n",
            0,
            "Could not find or access '/x' on the Ansible Controller.",
            id="no kubeconfig",
        ),
        pytest.param("Traceback:\n  File x\nOSError: no route\n", 0, "OSError: no route", id="a traceback"),
        pytest.param("", 0, "no reason given", id="nothing"),
    ],
)
def test_status_and_reason_of_an_error(text: str, status: int, reason: str) -> None:
    assert parse_api_error(text) == ApiError(status, reason)
