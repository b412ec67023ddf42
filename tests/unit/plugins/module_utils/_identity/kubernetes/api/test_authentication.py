# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the choice between a kubeconfig and an EKS token, and the causes of a response with status 401."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.authentication import (
    KubeAuth,
    unauthorized_message,
    uses_eks_token,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    CallerAccess,
    Cluster,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError

NONE: Mapping[str, str] = {}


@pytest.mark.parametrize(
    ("kube_auth", "options", "task", "process", "eks"),
    [
        pytest.param("auto", (), NONE, NONE, True, id="no options"),
        pytest.param(
            "auto", ("proxy", "ca_cert"), NONE, NONE, True, id="options without server and credentials"
        ),
        pytest.param("auto", (), NONE, {"K8S_AUTH_PROXY": "http://proxy"}, True, id="a proxy"),
        pytest.param("auto", (), NONE, {"KUBECONFIG": ""}, True, id="an empty variable"),
        pytest.param("auto", (), NONE, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, True, id="in a Pod"),
        pytest.param("auto", ("kubeconfig",), NONE, NONE, False, id="a kubeconfig"),
        pytest.param("auto", ("context",), NONE, NONE, False, id="a context"),
        pytest.param("auto", ("host", "api_key"), NONE, NONE, False, id="module_defaults"),
        pytest.param("auto", (), NONE, {"KUBECONFIG": "/k"}, False, id="KUBECONFIG"),
        pytest.param("auto", (), NONE, {"K8S_AUTH_KUBECONFIG": "/k"}, False, id="K8S_AUTH_KUBECONFIG"),
        pytest.param("auto", (), NONE, {"K8S_AUTH_HOST": "h"}, False, id="AWX's credential"),
        pytest.param("auto", (), NONE, {"K8S_AUTH_CERT_FILE": "/c"}, False, id="client certificate"),
        pytest.param("auto", (), {"K8S_AUTH_CONTEXT": "c"}, NONE, False, id="environment of the task"),
        pytest.param("eks", (), NONE, {"K8S_AUTH_KUBECONFIG": "/k"}, True, id="eks despite a variable"),
        pytest.param("kubeconfig", (), NONE, NONE, False, id="kubeconfig without options"),
    ],
)
def test_choice_of_authentication(
    kube_auth: KubeAuth,
    options: Collection[str],
    task: Mapping[str, str],
    process: Mapping[str, str],
    eks: bool,
) -> None:
    assert uses_eks_token(kube_auth, options, task, process) is eks


@pytest.mark.parametrize(
    ("options", "task", "problem"),
    [
        (
            ("context", "kubeconfig"),
            {"K8S_AUTH_HOST": "h"},
            "pod_identity_kube_auth: eks cannot be combined with kubeconfig and context and K8S_AUTH_HOST; leave out one "
            "or the other",
        )
    ],
)
def test_eks_token_with_kubeconfig_options_is_an_error(
    options: Collection[str], task: Mapping[str, str], problem: str
) -> None:
    with pytest.raises(InputError) as error:
        uses_eks_token("eks", options, task, NONE)
    assert error.value.problems == (problem,)


TARGET = Cluster(
    "blue",
    "arn:aws:eks:eu-central-1:111122223333:cluster/blue",
    "111122223333",
    "eu-central-1",
    "aws",
    authentication_mode="API_AND_CONFIG_MAP",
)
SESSION = "arn:aws:sts::111122223333:assumed-role/deployer/job-7"
ROLE = "arn:aws:iam::111122223333:role/ci/deployer"
KNOWN = CallerAccess(SESSION, ROLE, False)
HEAD = (
    "The Kubernetes API of cluster blue (account 111122223333, region eu-central-1) returned 401: Unauthorized. The token "
    f"belongs to {SESSION}.\n"
)
CREATE = "aws eks create-access-entry --cluster-name blue --region eu-central-1 --principal-arn "
GROUP = (
    " --kubernetes-groups pod-identity-operators\ndocs/iam-permissions.md has the manifests that grant the group "
    "pod-identity-operators the necessary permissions.\n"
)
END = "Nothing was changed."


@pytest.mark.parametrize(
    ("mode", "access", "reason"),
    [
        pytest.param(
            "API",
            KNOWN,
            f"The cluster has no access entry for {ROLE}. Create an access entry:\n{CREATE}{ROLE}{GROUP}",
            id="no access entry in mode API",
        ),
        pytest.param(
            "API_AND_CONFIG_MAP",
            KNOWN,
            f"The cluster has no access entry for {ROLE}, and the ConfigMap kube-system/aws-auth has no correct entry for "
            f"it. Create an access entry:\n{CREATE}{ROLE}{GROUP}",
            id="no access entry, and no line in aws-auth",
        ),
        pytest.param(
            "CONFIG_MAP",
            KNOWN,
            "The authentication mode of the cluster is CONFIG_MAP: access entries are not used, and the ConfigMap "
            "kube-system/aws-auth does not map arn:aws:iam::111122223333:role/deployer.\nHave someone with "
            "access to the cluster add this ARN to mapRoles or mapUsers in that ConfigMap, with the group "
            "pod-identity-operators. Or enable access entries, then create one:\n"
            "aws eks update-cluster-config --name blue --region eu-central-1 --access-config "
            f"authenticationMode=API_AND_CONFIG_MAP\n{CREATE}{ROLE}{GROUP}",
            id="mode CONFIG_MAP",
        ),
        pytest.param(
            "API",
            replace(KNOWN, has_entry=True),
            f"The cluster has an access entry for {ROLE}. It may be younger than a minute and not in effect "
            "yet: run again. Or the principal was deleted and recreated after the access entry was created: "
            "then delete the access entry and create it again.\n",
            id="access entry exists",
        ),
        pytest.param(
            "API",
            CallerAccess(SESSION, "", None, "iam:GetRole: AccessDenied"),
            "It is unknown whether the cluster has an access entry for the principal (iam:GetRole: AccessDenied). Possible "
            "causes, the likeliest first:\n- there is no access entry for the principal, and the ConfigMap kube-system/aws-auth "
            "does not map it;\n- the access entry is younger than a minute, or older than the principal, which was "
            "recreated with the same name;\n- the role has a path: the ARN in an access entry must include it, the ARN in "
            "aws-auth must not.\n"
            "If there is no access entry, create one:\n"
            f"{CREATE}arn:aws:iam::111122223333:role/deployer{GROUP}",
            id="access entries cannot be read",
        ),
        pytest.param(
            "API",
            replace(KNOWN, clock_ahead=-900.4),
            "The clock of this machine is 900 s behind the clock of AWS, so the token has a wrong date. Correct the clock, then "
            "run again.\n",
            id="local clock is slow",
        ),
        pytest.param(
            "API",
            replace(KNOWN, clock_ahead=300.0),
            "The clock of this machine is 300 s ahead of the clock of AWS, so the token has a wrong date. Correct the clock, "
            "then run again.\n",
            id="local clock is fast",
        ),
        pytest.param(
            "API",
            replace(KNOWN, clock_ahead=299.0, has_entry=False, principal=ROLE),
            f"The cluster has no access entry for {ROLE}. Create an access entry:\n{CREATE}{ROLE}{GROUP}",
            id="local clock is accurate enough",
        ),
        pytest.param(
            "API",
            replace(KNOWN, clock_ahead=-899.0),
            f"The cluster has no access entry for {ROLE}. Create an access entry:\n{CREATE}{ROLE}{GROUP}",
            id="local clock is slow, but the token is not too old",
        ),
        pytest.param(
            "API",
            replace(KNOWN, sts_host="vpce-1.sts.example"),
            "The token names the STS endpoint vpce-1.sts.example; EKS accepts the endpoints of AWS only. Unset "
            "AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_STS, unless this is a test cluster.\n"
            f"The cluster has no access entry for {ROLE}. Create an access entry:\n{CREATE}{ROLE}{GROUP}",
            id="other STS endpoint",
        ),
    ],
)
def test_unauthorized_message_lists_proven_causes_first(mode: str, access: CallerAccess, reason: str) -> None:
    target = replace(TARGET, authentication_mode=mode)
    assert unauthorized_message(target, access) == f"{HEAD}{reason}{END}"


def test_unauthorized_message_for_invalid_aws_credentials() -> None:
    assert unauthorized_message(TARGET, None) == (
        "The Kubernetes API of cluster blue (account 111122223333, region eu-central-1) returned 401: Unauthorized, and "
        "sts:GetCallerIdentity failed with the same AWS credentials.\nRenew the credentials, or check the profile in use "
        "and the clock of this machine. Nothing was changed."
    )
