# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which way leads to the Kubernetes API."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.authentication import (
    KubeAuth,
    uses_eks_token,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError

NONE: Mapping[str, str] = {}


@pytest.mark.parametrize(
    ("wanted", "options", "task", "process", "eks"),
    [
        pytest.param("auto", (), NONE, NONE, True, id="nothing is given"),
        pytest.param("auto", ("proxy", "ca_cert"), NONE, NONE, True, id="what says neither where nor who"),
        pytest.param("auto", (), NONE, {"K8S_AUTH_PROXY": "http://proxy"}, True, id="a proxy"),
        pytest.param("auto", (), NONE, {"KUBECONFIG": ""}, True, id="an empty variable"),
        pytest.param("auto", (), NONE, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, True, id="in a Pod"),
        pytest.param("auto", ("kubeconfig",), NONE, NONE, False, id="a kubeconfig"),
        pytest.param("auto", ("context",), NONE, NONE, False, id="a context"),
        pytest.param("auto", ("host", "api_key"), NONE, NONE, False, id="module_defaults"),
        pytest.param("auto", (), NONE, {"KUBECONFIG": "/k"}, False, id="KUBECONFIG"),
        pytest.param("auto", (), NONE, {"K8S_AUTH_KUBECONFIG": "/k"}, False, id="of kubernetes.core"),
        pytest.param("auto", (), NONE, {"K8S_AUTH_HOST": "h"}, False, id="AWX's credential"),
        pytest.param("auto", (), NONE, {"K8S_AUTH_CERT_FILE": "/c"}, False, id="a certificate"),
        pytest.param("auto", (), {"K8S_AUTH_CONTEXT": "c"}, NONE, False, id="the task's environment"),
        pytest.param("eks", (), NONE, {"K8S_AUTH_KUBECONFIG": "/k"}, True, id="eks beside a variable"),
        pytest.param("kubeconfig", (), NONE, NONE, False, id="what kubernetes.core finds"),
    ],
)
def test_what_is_given_counts_and_what_is_only_found_does_not(
    wanted: KubeAuth,
    options: Collection[str],
    task: Mapping[str, str],
    process: Mapping[str, str],
    eks: bool,
) -> None:
    assert uses_eks_token(wanted, options, task, process) is eks


@pytest.mark.parametrize(
    ("options", "task", "problem"),
    [
        (
            ("context", "kubeconfig"),
            {"K8S_AUTH_HOST": "h"},
            "pod_identity_kube_auth: eks and kubeconfig and context and K8S_AUTH_HOST are both given; leave one of them out",
        ),
    ],
)
def test_a_token_that_cannot_be_used_is_refused(
    options: Collection[str], task: Mapping[str, str], problem: str
) -> None:
    with pytest.raises(InputError) as error:
        uses_eks_token("eks", options, task, NONE)
    assert error.value.problems == (problem,)
