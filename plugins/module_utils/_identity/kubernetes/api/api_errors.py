# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse errors of the Kubernetes API and its clients, explain them, and convert them to failures in a result. Pure.

The input is an error response, or the text of an exception of the ssl module, urllib3, the Kubernetes client or
kubernetes.core.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

from ...._findings.codes import Code
from ...._findings.text import visible_sentence
from ...model.cluster import ApiServer
from ...model.errors import sentence
from ...model.rows import FailureRow
from ..model.objects import Object, as_mapping, as_text, member, object_name


@dataclass(frozen=True, slots=True)
class ApiError:
    """An error of the Kubernetes API or its client.

    ``status`` is the HTTP status code, or 0 without a response. ``text`` is the message in one line, with control characters
    escaped. ``retry_after`` is the pause that the API server requests, in seconds.
    """

    status: int
    text: str
    retry_after: int = 0


def parse_api_error(text: str) -> ApiError:
    """Parse the text of an exception without a response. The last line has the reason."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return ApiError(0, visible_sentence(lines[-1] if lines else "no reason given"))


def parse_response(status: int, body: str, retry_after: str = "") -> ApiError:
    """Parse an error response.

    :arg body: a Status object of Kubernetes, or the text of a proxy or of an overloaded API server.
    :arg retry_after: the header Retry-After, or "".
    """
    try:
        fields = as_mapping(json.loads(body, strict=False))
    except ValueError:
        fields = {}
    message = as_text(fields.get("message"))
    text = visible_sentence(message.strip()) if message else parse_api_error(body).text
    seconds = (retry_after, as_text(member(fields, "details").get("retryAfterSeconds")))
    return ApiError(status, text, next((int(number) for number in seconds if number.isdecimal()), 0))


AGAIN = "Resolve the cause and run again, which applies only the remaining changes."
CONFLICT = (
    "Remove each conflicting field from the manifests of the other field manager, or from the workload. With "
    "pod_identity_force: true, the run sets it anyway."
)
ALLOW = (
    "For a 403, grant the caller that permission: docs/iam-permissions.md has the manifests. Then run again."
)


def manifest_failure(
    manifest: Object, action: str, reason: ApiError, workload: str = "", remedy: str = AGAIN
) -> FailureRow:
    """Return the failure of an action on the object of a manifest.

    :arg action: the verb for the result, such as "apply".
    :arg reason: the error.
    :arg workload: "namespace/service_account" of the workload that needs the object, or "" if several workloads need it.
    """
    return object_failure(str(manifest["kind"]), str(object_name(manifest)), action, reason, workload, remedy)


def object_failure(
    kind: str, name: str, action: str, reason: ApiError, workload: str = "", remedy: str = AGAIN
) -> FailureRow:
    """Return the failure of an action on an object, as ``manifest_failure`` does.

    If another field manager owns a field, the remedy is CONFLICT instead of ``remedy``.
    """
    if reason.status == 409 and "conflict with" in reason.text:
        remedy = CONFLICT
    prefix = f"Kubernetes returned {reason.status}: " if reason.status else ""
    return {
        "workload": workload,
        "resource": kind,
        "name": name,
        "action": action,
        "error_code": Code.KUBERNETES_REFUSED.value,
        "message": f"{prefix}{sentence(reason.text)}",
        "remedy": remedy,
    }


_HOST = re.compile(r"host='([^']+)', port=(\d+)")
_REASON = re.compile(r"certificate verify failed: (.*?)\.?(?: \(_ssl\.c:\d+\).*|['\"]?\)*)$")
_PLUGIN = re.compile(r"(exec plugin\b.*)")
UNAUTHORIZED = 401
FORBIDDEN = 403
_UPDATE = "aws eks update-kubeconfig writes one"
_VARIABLES = "pod_identity_kubeconfig, K8S_AUTH_KUBECONFIG or KUBECONFIG"
_NETWORK = (
    "Check the endpoint in the kubeconfig, and that it can be reached from where Ansible runs: a private "
    "endpoint can be reached only from its VPC or a network that is connected to the VPC"
)
_EKS_NETWORK = (
    "The endpoint is from eks DescribeCluster. Check that it can be reached from where Ansible runs: a private "
    "endpoint can be reached only from its VPC or a network that is connected to the VPC"
)
_EKS_OTHER_WAY = (
    "Check the proxies on the way (HTTPS_PROXY, NO_PROXY). To reach the API in another way, such as through a tunnel, "
    "set pod_identity_kubeconfig."
)


@dataclass(frozen=True, slots=True)
class ConnectionProblem:
    """A cause of a failed connection, recognised by the regular expression ``pattern`` in the error text.

    ``summary`` continues the sentence "The Kubernetes API of cluster …". ``detail`` is a regular expression for the part of the
    error text to show: its groups are joined by ``joint``. Without it, or without a match, the whole text is shown.
    ``eks_summary`` and ``eks_remedy`` replace summary and remedy if the endpoint is from EKS DescribeCluster instead of a
    kubeconfig; "" keeps them.
    """

    pattern: str
    summary: str
    remedy: str
    detail: re.Pattern[str] | None = None
    joint: str = ":"
    eks_summary: str = ""
    eks_remedy: str = ""


_PROBLEMS = (
    ConnectionProblem(
        r"no token for the cluster",
        "was not contacted, as there is no token for it",
        "Check the AWS credentials of this run. The token is created with them.",
        re.compile(r"no token for the cluster: (.*)"),
    ),
    ConnectionProblem(
        r"^the deadline of \S+ s has passed",
        "was not contacted",
        "Run again with a greater pod_identity_deadline.",
    ),
    ConnectionProblem(
        r"Missing Authority Key Identifier|Missing Subject Key Identifier|key usage extension|Basic Constraints of CA",
        "has a certificate that Python 3.13 and newer reject, as they verify strictly",
        "Run Ansible with Python 3.12, or have the certificate reissued with the required extensions.",
        _REASON,
    ),
    ConnectionProblem(
        r"certificate has expired|certificate is not yet valid",
        "has a certificate that is not valid now",
        "Check the clock of the machine on which Ansible runs. If it is correct, renew the certificate.",
        _REASON,
    ),
    ConnectionProblem(
        r"Hostname mismatch|IP address mismatch|doesn't match",
        "has a certificate for another name",
        "Use the endpoint from eks DescribeCluster. For a tunnel, set tls-server-name in the kubeconfig.",
        _REASON,
        eks_remedy=_EKS_OTHER_WAY,
    ),
    ConnectionProblem(
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "has a certificate that is not signed by a certificate authority of the kubeconfig",
        f"Use the kubeconfig of this cluster ({_UPDATE}). Behind a proxy that intercepts TLS, add the proxy's certificate "
        "authority to the kubeconfig.",
        _REASON,
        eks_summary="has a certificate that is not signed by the cluster's certificate authority",
        eks_remedy=_EKS_OTHER_WAY,
    ),
    ConnectionProblem(
        r"WRONG_VERSION_NUMBER|record layer failure|RemoteDisconnected|BadStatusLine|SSLError|UNEXPECTED_EOF",
        "was not reached, as its endpoint does not respond over TLS like an API server",
        "Check the server in the kubeconfig, its scheme and port, and the proxy settings.",
        _HOST,
        eks_remedy=_EKS_OTHER_WAY,
    ),
    ConnectionProblem(
        r"required Python library \(kubernetes\)|No module named 'kubernetes'",
        "was not contacted, as the Python package kubernetes is missing",
        "Install it for that Python: python -m pip install kubernetes",
        re.compile(r"\(kubernetes\) on (\S+) (Python \S+?)\.(?: |$)"),
        " ",
    ),
    ConnectionProblem(
        r"exec plugin.*no credentials within",
        "was not contacted, as the kubeconfig's exec plugin did not end",
        "Ansible runs the plugin without a terminal or browser, so it cannot prompt for a login or a code. "
        "Log in first, so that the plugin uses its stored credentials, or use a kubeconfig with a token. "
        "For EKS, 'pod_identity_kube_auth: eks' needs no plugin. If the plugin does not prompt, check why its command is slow.",
        _PLUGIN,
    ),
    ConnectionProblem(
        r"exec plugin.*(?:No such file or directory|Permission denied|not executable)",
        "was not contacted, as the kubeconfig's exec plugin cannot be run",
        "Install the command where Ansible runs (for EKS the AWS CLI), or use a kubeconfig with a token.",
        _PLUGIN,
    ),
    ConnectionProblem(
        r"exec plugin",
        "was not contacted, as the kubeconfig's exec plugin returned no credentials",
        "Run the command of the kubeconfig by hand, with the same credentials and environment. For EKS: "
        "aws eks get-token --cluster-name NAME",
        _PLUGIN,
    ),
    ConnectionProblem(
        r"ProxyError|Tunnel connection failed|Cannot connect to proxy",
        "was not reached, as the proxy did not forward the request",
        "Check HTTPS_PROXY, NO_PROXY and the proxy-url of the kubeconfig.",
        eks_remedy=_EKS_OTHER_WAY,
    ),
    ConnectionProblem(
        r"NameResolutionError|Failed to resolve|Name or service not known|getaddrinfo failed|nodename nor servname",
        "was not reached, as the name of its endpoint cannot be resolved",
        f"{_NETWORK}.",
        _HOST,
        eks_remedy=f"{_EKS_NETWORK}.",
    ),
    ConnectionProblem(
        r"Connection refused|ConnectionRefused",
        "was not reached, as nothing listens at its endpoint",
        f"{_NETWORK}.",
        _HOST,
        eks_remedy=f"{_EKS_NETWORK}.",
    ),
    ConnectionProblem(
        r"timed out|ConnectTimeout|ReadTimeout|no complete response|No route to host|Network is unreachable",
        "was not reached, or did not respond in time",
        f"{_NETWORK}. Then look at firewalls and security groups.",
        _HOST,
        eks_remedy=f"{_EKS_NETWORK}. Then look at firewalls and security groups.",
    ),
    ConnectionProblem(
        r"not from the Kubernetes API|No matches found|Failed to find exact match|Expecting value|Unable to deserialize",
        "was not reached, as another server responds at its endpoint",
        f"Check the server in the kubeconfig ({_UPDATE}), and the proxies on the way.",
        eks_remedy=_EKS_OTHER_WAY,
    ),
    ConnectionProblem(
        r"kube-?config|Could not find or access|Service host/port is not set|does not exist in the",
        "was not contacted, as the kubeconfig cannot be used",
        f"Check the file and its context ({_VARIABLES}; {_UPDATE}).",
    ),
)
_OTHER = ConnectionProblem(
    "",
    "could not be used",
    f"Check the kubeconfig ({_VARIABLES}; {_UPDATE}), its context and token, and that the endpoint can be reached from here.",
    eks_remedy=f"{_EKS_NETWORK}.",
)


def unreachable_message(error: ApiError, cluster: str, region: str, with_token: bool = False) -> str:
    """Return the message for a Kubernetes API that cannot be used, with cause and remedy.

    :arg error: the error of the first request.
    :arg with_token: whether the endpoint and the certificate authority are from EKS DescribeCluster, not from a kubeconfig.
    """
    place = f"The Kubernetes API of cluster {cluster} (region {region})"
    if error.status:
        return f"{place} returned {error.status}: {sentence(error.text)} {remedy_for(error, with_token)} Nothing was changed."
    problem = _find_problem(error)
    if with_token:
        problem = replace(
            problem,
            summary=problem.eks_summary or problem.summary,
            remedy=problem.eks_remedy or problem.remedy,
        )
    # After a command, the next sentence starts on a new line, so that the command can be copied.
    end = " " if problem.remedy.endswith(".") else "\n"
    match = problem.detail.search(error.text) if problem.detail else None
    detail = sentence(problem.joint.join(match.groups()) if match else error.text)
    return f"{place} {problem.summary}: {detail}\n{problem.remedy}{end}Nothing was changed."


def warn_unverified_tls(server: ApiServer, cluster: str, region: str) -> list[str]:
    """Return a warning if the certificate of the Kubernetes API is not verified; an empty list otherwise.

    The user may not know that verification is off: AWX turns verification off if a credential of type OpenShift or
    Kubernetes API Bearer Token has no certificate authority.
    """
    if server.checks_certificate or not server.url.startswith("https:"):
        return []
    return [
        f"The Kubernetes API of cluster {cluster} (region {region}) at {server.url} is used without checking its "
        "certificate: any server at that address gets the token. Turn the check on, with the certificate authority of the "
        "cluster (certificateAuthority of eks DescribeCluster). In AWX: in the credential of type 'OpenShift or Kubernetes "
        "API Bearer Token', fill in 'Certificate Authority Data' and turn on 'Verify SSL'; without that data, AWX turns the "
        "check off. Elsewhere: set K8S_AUTH_SSL_CA_CERT and K8S_AUTH_VERIFY_SSL=true, or remove insecure-skip-tls-verify "
        "from the kubeconfig."
    ]


def remedy_for(error: ApiError, with_token: bool = False) -> str:
    """Return the remedy for an error response, or for a request without response.

    :arg with_token: for an error response, whether the endpoint is from EKS DescribeCluster, not from a kubeconfig.
    """
    return _remedy_for_status(error.status, with_token) if error.status else _find_problem(error).remedy


def _find_problem(error: ApiError) -> ConnectionProblem:
    return next((problem for problem in _PROBLEMS if re.search(problem.pattern, error.text)), _OTHER)


_STATUS_REMEDIES = {
    UNAUTHORIZED: (
        "Check the token of the kubeconfig: it may have expired, or belong to another cluster. A kubeconfig from 'aws eks "
        "update-kubeconfig' requests a new token when it needs one. If the token is valid, the cluster has neither an "
        "access entry nor an entry in the ConfigMap aws-auth for the IAM principal of the token."
    ),
    FORBIDDEN: "Grant that user, or its group, the permission: docs/iam-permissions.md has the manifests.",
    429: "Run again when the API server is available.",
}


def _remedy_for_status(status: int, with_token: bool) -> str:
    doubt = "The response may not be from a Kubernetes API."
    other_way = f"Check the server in the kubeconfig ({_UPDATE}), and the proxies on the way."
    other = f"{doubt} {_EKS_OTHER_WAY if with_token else other_way}"
    return _STATUS_REMEDIES.get(429 if status >= 500 else status, other)
