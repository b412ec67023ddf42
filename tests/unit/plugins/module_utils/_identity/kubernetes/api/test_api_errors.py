# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how errors of the Kubernetes API are parsed and explained."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
    parse_api_error,
    parse_response,
    unreachable_message,
    warn_unverified_tls,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import ApiServer

FORBIDDEN = 'serviceaccounts is forbidden: User \\"me\\" cannot list resource \\"serviceaccounts\\" at the cluster scope'


@pytest.mark.parametrize(
    ("body", "header", "error"),
    [
        pytest.param(
            f'{{"kind":"Status","message":"{FORBIDDEN}","reason":"Forbidden","code":403}}',
            "",
            ApiError(403, FORBIDDEN.replace("\\", "")),
            id="a status object",
        ),
        pytest.param(
            '{"message":"two\nlines","details":{"retryAfterSeconds":3}}',
            "",
            ApiError(403, "two lines", 3),
            id="a pause in the object",
        ),
        pytest.param(
            '{"message":"busy","details":{"retryAfterSeconds":3}}',
            "7",
            ApiError(403, "busy", 7),
            id="a header",
        ),
        pytest.param(
            "Too many requests, please try again later.\n",
            "Wed, 21 Oct 2026 07:28:00 GMT",
            ApiError(403, "Too many requests, please try again later."),
            id="text instead of an object",
        ),
        pytest.param('{"message":"cut', "", ApiError(403, '{"message":"cut'), id="a truncated object"),
        pytest.param("[]", "", ApiError(403, "[]"), id="a list"),
        pytest.param("", "", ApiError(403, "no reason given"), id="no body"),
    ],
)
def test_response_has_reason_and_pause(body: str, header: str, error: ApiError) -> None:
    assert parse_response(403, body, header) == error


PLACE = "The Kubernetes API of cluster my-cluster (region us-west-2) "
POOL = "HTTPSConnectionPool(host='abc.eks.amazonaws.com', port=443): Max retries exceeded with url: /version (Caused by "


def message(error: ApiError) -> str:
    return unreachable_message(error, "my-cluster", "us-west-2").removeprefix(PLACE)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (
            401,
            "Check the token of the kubeconfig: it may have expired, or belong to another cluster. A kubeconfig from 'aws eks "
            "update-kubeconfig' requests a new token when it needs one. If the token is valid, the cluster has neither an "
            "access entry nor an entry in the ConfigMap aws-auth for the IAM principal of the token.",
        ),
        (403, "Grant that user, or its group, the permission: docs/iam-permissions.md has the manifests."),
        (429, "Run again when the API server is available."),
        (500, "Run again when the API server is available."),
        (
            404,
            "The response may not be from a Kubernetes API. Check the server in the kubeconfig (aws eks update-kubeconfig "
            "writes one), and the proxies on the way.",
        ),
    ],
)
def test_remedy_depends_on_status(code: int, remedy: str) -> None:
    assert message(ApiError(code, "no")) == f"returned {code}: no. {remedy} Nothing was changed."


def test_remedy_for_status_without_kubeconfig_does_not_mention_one() -> None:
    text = unreachable_message(ApiError(404, "no"), "my-cluster", "us-west-2", with_token=True)
    assert text == (
        f"{PLACE}returned 404: no. The response may not be from a Kubernetes API. {EKS_PROXY} Nothing was changed."
    )


def tls(reason: str) -> str:
    error = f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {reason} (_ssl.c:1029)"
    return f"{POOL}SSLError(SSLCertVerificationError(1, '{error}')))"


NETWORK = (
    "Check the endpoint in the kubeconfig, and that it can be reached from where Ansible runs: a private "
    "endpoint can be reached only from its VPC or a network that is connected to the VPC."
)
KUBECONFIG = (
    "Check the file and its context (pod_identity_kubeconfig, K8S_AUTH_KUBECONFIG or KUBECONFIG; aws eks "
    "update-kubeconfig writes one)."
)


@pytest.mark.parametrize(
    ("text", "summary", "remedy"),
    [
        pytest.param(
            "the deadline of 60 s has passed",
            "was not contacted: the deadline of 60 s has passed.",
            "Run again with a greater pod_identity_deadline.",
            id="the deadline",
        ),
        pytest.param(
            tls("unable to get local issuer certificate"),
            "has a certificate that is not signed by a certificate authority of the kubeconfig: unable to get local "
            "issuer certificate.",
            "Use the kubeconfig of this cluster (aws eks update-kubeconfig writes one). Behind a proxy "
            "that intercepts TLS, add the proxy's certificate authority to the kubeconfig.",
            id="certificate of another authority",
        ),
        *(
            pytest.param(
                tls(reason),
                f"has a certificate that Python 3.13 and newer reject, as they verify strictly: {reason}.",
                "Run Ansible with Python 3.12, or have the certificate reissued with the required extensions.",
                id=reason,
            )
            for reason in (
                "Missing Authority Key Identifier",
                "CA cert does not include key usage extension",
                "Basic Constraints of CA cert not marked critical",
            )
        ),
        pytest.param(
            tls("certificate has expired"),
            "has a certificate that is not valid now: certificate has expired.",
            "Check the clock of the machine on which Ansible runs. If it is correct, renew the certificate.",
            id="expired certificate",
        ),
        pytest.param(
            tls("Hostname mismatch, certificate is not valid for 'localhost'."),
            "has a certificate for another name: Hostname mismatch, certificate is not valid for 'localhost'.",
            "Use the endpoint from eks DescribeCluster. For a tunnel, set tls-server-name in the kubeconfig.",
            id="certificate for another name",
        ),
        pytest.param(
            f"{POOL}SSLError(SSLError(1, '[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1029)')))",
            "was not reached, as its endpoint does not respond over TLS like an API server: abc.eks.amazonaws.com:443.",
            "Check the server in the kubeconfig, its scheme and port, and the proxy settings.",
            id="server without TLS",
        ),
        pytest.param(
            "Failed to import the required Python library (kubernetes) on host's Python /usr/bin/python3. Please read "
            "the module documentation and install it in the appropriate location.",
            "was not contacted, as the Python package kubernetes is missing: host's Python /usr/bin/python3.",
            "Install it for that Python: python -m pip install kubernetes",
            id="missing package",
        ),
        pytest.param(
            "exec plugin: [Errno 2] No such file or directory: 'aws'",
            "was not contacted, as the kubeconfig's exec plugin cannot be run: exec plugin: [Errno 2] No such file or "
            "directory: 'aws'.",
            "Install the command where Ansible runs (for EKS the AWS CLI), or use a kubeconfig with a token.",
            id="missing exec plugin",
        ),
        pytest.param(
            "exec plugin: exec: process returned 255. Unable to locate credentials",
            "was not contacted, as the kubeconfig's exec plugin returned no credentials: exec plugin: exec: process returned "
            "255. Unable to locate credentials.",
            "Run the command of the kubeconfig by hand, with the same credentials and environment. For EKS: aws eks "
            "get-token --cluster-name NAME",
            id="failing exec plugin",
        ),
        pytest.param(
            "exec plugin: no credentials within 60 seconds",
            "was not contacted, as the kubeconfig's exec plugin did not end: exec plugin: no credentials within 60 seconds.",
            "Ansible runs the plugin without a terminal or browser, so it cannot prompt for a login or a code. Log in "
            "first, so that the plugin uses its stored credentials, or use a kubeconfig with a token. For EKS, "
            "'pod_identity_kube_auth: eks' needs no plugin. If the plugin does not prompt, check why its "
            "command is slow.",
            id="hanging exec plugin",
        ),
        pytest.param(
            f"{POOL}ProxyError('Unable to connect to proxy', OSError('Tunnel connection failed: 403 Forbidden')))",
            f"was not reached, as the proxy did not forward the request: {POOL}ProxyError('Unable to connect to proxy', "
            "OSError('Tunnel connection failed: 403 Forbidden'))).",
            "Check HTTPS_PROXY, NO_PROXY and the proxy-url of the kubeconfig.",
            id="proxy error",
        ),
        pytest.param(
            f'{POOL}NameResolutionError("Failed to resolve ([Errno -2] Name or service not known)"))',
            "was not reached, as the name of its endpoint cannot be resolved: abc.eks.amazonaws.com:443.",
            NETWORK,
            id="unknown host name",
        ),
        pytest.param(
            f"{POOL}NewConnectionError('Failed to establish a new connection: [Errno 111] Connection refused'))",
            "was not reached, as nothing listens at its endpoint: abc.eks.amazonaws.com:443.",
            NETWORK,
            id="connection refused",
        ),
        pytest.param(
            f"{POOL}ConnectTimeoutError('Connection to abc timed out. (connect timeout=10)'))",
            "was not reached, or did not respond in time: abc.eks.amazonaws.com:443.",
            f"{NETWORK} Then look at firewalls and security groups.",
            id="no response",
        ),
        pytest.param(
            "the response with status 200 is not from the Kubernetes API: no list of ServiceAccount",
            "was not reached, as another server responds at its endpoint: the response with status 200 is not from the "
            "Kubernetes API: no list of ServiceAccount.",
            "Check the server in the kubeconfig (aws eks update-kubeconfig writes one), and the proxies on the way.",
            id="response of another API",
        ),
        pytest.param(
            "Could not find or access '/x/kubeconfig' on the Ansible Controller.",
            "was not contacted, as the kubeconfig cannot be used: Could not find or access '/x/kubeconfig' on the Ansible "
            "Controller.",
            KUBECONFIG,
            id="no kubeconfig",
        ),
        pytest.param(
            "Could not create API client: Invalid kube-config file. Expected object with name blue in contexts list",
            "was not contacted, as the kubeconfig cannot be used: Could not create API client: Invalid kube-config file. "
            "Expected object with name blue in contexts list.",
            KUBECONFIG,
            id="no context",
        ),
        pytest.param(
            "something new",
            "could not be used: something new.",
            "Check the kubeconfig (pod_identity_kubeconfig, K8S_AUTH_KUBECONFIG or KUBECONFIG; aws eks update-kubeconfig "
            "writes one), its context and token, and that the endpoint can be reached from here.",
            id="another text",
        ),
    ],
)
def test_connection_problem_has_summary_and_remedy(text: str, summary: str, remedy: str) -> None:
    end = " " if remedy.endswith(".") else "\n"
    assert message(parse_api_error(text)) == f"{summary}\n{remedy}{end}Nothing was changed."


EKS_NETWORK = (
    "The endpoint is from eks DescribeCluster. Check that it can be reached from where Ansible runs: a private "
    "endpoint can be reached only from its VPC or a network that is connected to the VPC."
)
EKS_PROXY = (
    "Check the proxies on the way (HTTPS_PROXY, NO_PROXY). To reach the API in another way, such as through a tunnel, "
    "set pod_identity_kubeconfig."
)


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        (
            tls("unable to get local issuer certificate"),
            "has a certificate that is not signed by the cluster's certificate authority: unable to get local "
            "issuer certificate.\n"
            f"{EKS_PROXY} ",
        ),
        (
            f"{POOL}ConnectTimeoutError('timed out'))",
            f"was not reached, or did not respond in time: abc.eks.amazonaws.com:443.\n{EKS_NETWORK} Then look at firewalls and "
            "security groups. ",
        ),
        (
            f"{POOL}NameResolutionError('Failed to resolve'))",
            "was not reached, as the name of its endpoint cannot be resolved: abc.eks.amazonaws.com:443.\n"
            f"{EKS_NETWORK} ",
        ),
        (
            "no token for the cluster: sts:AssumeRole: AccessDenied: no. Allow it.",
            "was not contacted, as there is no token for it: sts:AssumeRole: AccessDenied: no. Allow it.\n"
            "Check the AWS credentials of this run. The token is created with them. ",
        ),
        ("something else", f"could not be used: something else.\n{EKS_NETWORK} "),
    ],
)
def test_remedy_without_kubeconfig(text: str, summary: str) -> None:
    message = unreachable_message(parse_api_error(text), "my-cluster", "us-west-2", with_token=True)
    assert message == f"{PLACE}{summary}Nothing was changed."


def test_unverified_certificate_is_a_warning() -> None:
    assert warn_unverified_tls(ApiServer("https://abc.eks.amazonaws.com"), "my-cluster", "us-west-2") == []
    server = ApiServer("https://abc.eks.amazonaws.com", checks_certificate=False)
    assert warn_unverified_tls(server, "my-cluster", "us-west-2") == [
        f"{PLACE}at https://abc.eks.amazonaws.com is used without checking its certificate: any server at that address gets "
        "the token. Turn the check on, with the certificate authority of the cluster (certificateAuthority of eks "
        "DescribeCluster). In AWX: in the credential of type 'OpenShift or Kubernetes API Bearer Token', fill in 'Certificate "
        "Authority Data' and turn on 'Verify SSL'; without that data, AWX turns the check off. Elsewhere: set "
        "K8S_AUTH_SSL_CA_CERT and K8S_AUTH_VERIFY_SSL=true, or remove insecure-skip-tls-verify from the kubeconfig."
    ]
