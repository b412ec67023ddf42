# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Errors of the Kubernetes API: parsed from the text of a client, explained, and as rows of a result. Pure.

The texts are those of Python's ssl module, urllib3, the Kubernetes client and kubernetes.core, which also contain
headers, a Status object and a traceback.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ...._findings.codes import Code
from ...._findings.text import visible_sentence
from ...model.cluster import ApiServer
from ...model.errors import sentence
from ...model.rows import FailureRow
from ..model.objects import Object, name_of

_MESSAGE = re.compile(r'"message":\s*("(?:[^"\\]|\\.)*")')
_STATUS = re.compile(r"Exception '(\d{3})\b|^\((\d{3})\)|\"code\":\s*(\d{3})\b")
# The one error that the API server answers in plain text.
_BUSY = re.compile(r"\bToo many requests, please try again later\b")
_BODY = re.compile(r"^HTTP response body: (.+)$", re.MULTILINE)
_WRAPPED = re.compile(r"Exception '(.*)' raised while trying to get resource using .*", re.DOTALL)
_RETRY_AFTER = re.compile(r'"retryAfterSeconds":\s*(\d+)|[Rr]etry-[Aa]fter\W+(\d+)')
_PREFIX = re.compile(r"^(?:Task failed: |Module failed: )+")


@dataclass(frozen=True, slots=True)
class ApiError:
    """``status`` is the HTTP status code, 0 when nothing answered; ``text`` what the API or the client says,
    in one line and with all of it visible. ``retry_after`` is how many seconds the API wants to be left alone.
    """

    status: int
    text: str
    retry_after: int = 0


def parse_api_error(text: str) -> ApiError:
    """The error within the text of kubernetes.core or of the Kubernetes client."""
    match = _STATUS.search(text)
    plain_status = 429 if _BUSY.search(text) else 0
    status = int(next(group for group in match.groups() if group)) if match else plain_status
    if message := _MESSAGE.search(text):
        reason = _decoded(message.group(1))
    elif body := _BODY.search(text):
        reason = body.group(1)
    else:
        plain = _WRAPPED.sub(r"\1", _PREFIX.sub("", text.strip()))
        reason = next((line for line in reversed(plain.splitlines()) if line.strip()), "no reason given")
    after = _RETRY_AFTER.search(text)
    seconds = int(next(group for group in after.groups() if group)) if after else 0
    return ApiError(status, visible_sentence(_PREFIX.sub("", reason.strip())), seconds)


def _decoded(text: str) -> str:
    """JSON text; as it is written when something on its way here took it apart."""
    try:
        return str(json.loads(text, strict=False))
    except ValueError:
        return text


AGAIN = "Resolve that and run again, which takes up only what is missing."
CONFLICT = (
    "Have the other field manager leave that field (its own manifests or values), or leave it out of the workload. "
    "pod_identity_force_conflicts: true takes it over."
)
ALLOW = "For a 403, allow it to the caller: docs/iam-permissions.md has the manifests. Then run again."


def list_rules(resources: Iterable[str]) -> str:
    """Spell the RBAC rules that allow resources such as "jobs.batch" to be listed."""
    groups: dict[str, list[str]] = {}
    for resource in resources:
        name, _dot, group = resource.partition(".")
        groups.setdefault(group, []).append(name)
    return "; ".join(
        f'apiGroups: ["{group}"], resources: [{", ".join(names)}], verbs: [list]'
        for group, names in groups.items()
    )


def refusal(
    manifest: Object, action: str, reason: ApiError, workload: str = "", remedy: str = AGAIN
) -> FailureRow:
    """``workload`` is the one that misses the object; "" when that is not one alone."""
    return refusal_of(str(manifest["kind"]), str(name_of(manifest)), action, reason, workload, remedy)


def refusal_of(
    kind: str, name: str, action: str, reason: ApiError, workload: str = "", remedy: str = AGAIN
) -> FailureRow:
    if reason.status == 409 and "conflict with" in reason.text:
        remedy = CONFLICT
    answer = f"Kubernetes answered {reason.status}: " if reason.status else ""
    return {
        "workload": workload,
        "resource": kind,
        "name": name,
        "action": action,
        "error_code": Code.KUBERNETES_REFUSED.value,
        "message": f"{answer}{sentence(reason.text)}",
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
    "Check the endpoint in the kubeconfig, and that it can be reached from where Ansible runs: a private endpoint only "
    "from its VPC or a network that is connected to it"
)
_EKS_NETWORK = (
    "The endpoint is what eks DescribeCluster tells. Check that it can be reached from where Ansible runs: a private "
    "endpoint only from its VPC or a network that is connected to it"
)
_EKS_OTHER_WAY = (
    "Check the proxies between (HTTPS_PROXY, NO_PROXY). For another way to the API, such as a tunnel, give a kubeconfig "
    "(pod_identity_kubeconfig)."
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """``pattern`` is looked for in the text, ``what`` is the rest of a sentence about the API. ``detail`` finds the part
    of the text that is shown, its groups with ``joint`` between; without it all of it is. Where the endpoint is what EKS
    tells, and not a kubeconfig's, ``eks_what`` and ``eks_remedy`` are said instead, if they are given."""

    pattern: str
    what: str
    remedy: str
    detail: re.Pattern[str] | None = None
    joint: str = ":"
    eks_what: str = ""
    eks_remedy: str = ""


_TROUBLES = (
    Trouble(
        r"no token for the cluster",
        "was not asked, as there is no token for it",
        "The token is made with the AWS credentials of this run.",
        re.compile(r"no token for the cluster: (.*)"),
    ),
    Trouble(
        r"^the deadline of \S+ s has passed",
        "was not asked",
        "Run again with a greater pod_identity_deadline.",
    ),
    Trouble(
        r"Missing Authority Key Identifier|Missing Subject Key Identifier|key usage extension|Basic Constraints of CA",
        "has a certificate that Python 3.13 and newer refuse, as they verify strictly",
        "Run Ansible with Python 3.12, or have the certificate made anew with the extension that is missing.",
        _REASON,
    ),
    Trouble(
        r"certificate has expired|certificate is not yet valid",
        "has a certificate that is not valid now",
        "Check the clock of the machine on which Ansible runs. If it is right, the certificate has to be renewed.",
        _REASON,
    ),
    Trouble(
        r"Hostname mismatch|IP address mismatch|doesn't match",
        "has a certificate for another name",
        "Use the endpoint that DescribeCluster names, or set tls-server-name in the kubeconfig for a tunnel.",
        _REASON,
        eks_remedy=_EKS_OTHER_WAY,
    ),
    Trouble(
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "has a certificate that no authority of the kubeconfig has signed",
        f"Use the kubeconfig of this cluster ({_UPDATE} with its authority). Behind a proxy that opens TLS, add the "
        "proxy's authority to it.",
        _REASON,
        eks_what="has a certificate that the cluster's authority has not signed",
        eks_remedy=_EKS_OTHER_WAY,
    ),
    Trouble(
        r"WRONG_VERSION_NUMBER|record layer failure|RemoteDisconnected|BadStatusLine|SSLError|UNEXPECTED_EOF",
        "does not speak TLS as an API server does",
        "Check the server in the kubeconfig, its scheme and port, and the proxy settings.",
        _HOST,
        eks_remedy=_EKS_OTHER_WAY,
    ),
    Trouble(
        r"required Python library \(kubernetes\)|No module named 'kubernetes'",
        "was not asked, as the Python package kubernetes is missing",
        "Install it for that Python: python -m pip install kubernetes",
        re.compile(r"\(kubernetes\) on (\S+) (Python \S+?)\.(?: |$)"),
        " ",
    ),
    Trouble(
        r"exec plugin.*so it was ended",
        "was not asked, as the kubeconfig's exec plugin did not end",
        "No terminal and no browser is there when Ansible runs it, so a plugin that asks for a login or a code waits for "
        "ever: log in before, so that it takes what it has stored, or use a kubeconfig with a token. For EKS "
        "pod_identity_kube_auth: eks needs no plugin. If it asks nothing, see why its command takes so long.",
        _PLUGIN,
    ),
    Trouble(
        r"exec plugin.*(?:No such file or directory|Permission denied|not executable)",
        "was not asked, as the kubeconfig's exec plugin cannot be run",
        "Install the command where Ansible runs (for EKS the AWS CLI), or use a kubeconfig with a token.",
        _PLUGIN,
    ),
    Trouble(
        r"exec plugin",
        "was not asked, as the kubeconfig's exec plugin gave no credentials",
        "Run the command of the kubeconfig by hand, with the same AWS credentials and environment: "
        "aws eks get-token --cluster-name NAME",
        _PLUGIN,
    ),
    Trouble(
        r"ProxyError|Tunnel connection failed|Cannot connect to proxy",
        "was not reached, as the proxy did not pass the request on",
        "Check HTTPS_PROXY, NO_PROXY and the proxy-url of the kubeconfig.",
        eks_remedy=_EKS_OTHER_WAY,
    ),
    Trouble(
        r"NameResolutionError|Failed to resolve|Name or service not known|getaddrinfo failed|nodename nor servname",
        "was not reached, as the name of its endpoint is not known here",
        f"{_NETWORK}.",
        _HOST,
        eks_remedy=f"{_EKS_NETWORK}.",
    ),
    Trouble(
        r"Connection refused|ConnectionRefused",
        "was not reached, as nothing listens at its endpoint",
        f"{_NETWORK}.",
        _HOST,
        eks_remedy=f"{_EKS_NETWORK}.",
    ),
    Trouble(
        r"timed out|ConnectTimeout|ReadTimeout|no complete answer|No route to host|Network is unreachable",
        "did not answer in time",
        f"{_NETWORK}. Then look at firewalls and security groups.",
        _HOST,
        eks_remedy=f"{_EKS_NETWORK}. Then look at firewalls and security groups.",
    ),
    Trouble(
        r"not the Kubernetes API|No matches found|Failed to find exact match|Expecting value|Unable to deserialize",
        "is not what answers there",
        f"Check the server in the kubeconfig ({_UPDATE}), and proxies between.",
        eks_remedy=_EKS_OTHER_WAY,
    ),
    Trouble(
        r"kube-?config|Could not find or access|Service host/port is not set|does not exist in the",
        "was not asked, as the kubeconfig cannot be used",
        f"Check the file and its context ({_VARIABLES}; {_UPDATE}).",
    ),
)
_OTHER = Trouble(
    "",
    "did not answer",
    f"Check the kubeconfig ({_VARIABLES}; {_UPDATE}), its context and token, and that the endpoint can be reached from "
    "here.",
    eks_remedy=f"{_EKS_NETWORK}.",
)


def unreachable_message(error: ApiError, cluster: str, region: str, with_token: bool = False) -> str:
    """Why the service accounts of a cluster cannot be listed, and what to do. Nothing was changed by then.

    ``with_token`` says that endpoint and authority are those that EKS tells, and no kubeconfig is in use.
    """
    place = f"The Kubernetes API of cluster {cluster} (region {region})"
    if error.status:
        return (
            f"{place} answered {error.status}: {sentence(error.text)} {remedy_of(error)} Nothing was changed."
        )
    trouble = _trouble_of(error)
    if with_token:
        trouble = replace(
            trouble, what=trouble.eks_what or trouble.what, remedy=trouble.eks_remedy or trouble.remedy
        )
    # A remedy that ends with a command leaves it whole.
    end = " " if trouble.remedy.endswith(".") else "\n"
    detail = sentence(_detail(error.text, trouble))
    return f"{place} {trouble.what}: {detail}\n{trouble.remedy}{end}Nothing was changed."


def find_unchecked(server: ApiServer, cluster: str, region: str) -> list[str]:
    """A warning when the certificate of the Kubernetes API is not checked. ``server`` is where the connection leads.

    AWX does that by itself: its injector for the credential type sets K8S_AUTH_VERIFY_SSL to False when there is no
    certificate authority.
    """
    if server.checks_certificate or not server.url.startswith("https:"):
        return []
    return [
        f"The Kubernetes API of cluster {cluster} (region {region}) at {server.url} is used without checking its "
        "certificate: whoever answers there gets the token. Turn the check on, with the cluster's certificate authority "
        "(certificateAuthority of eks DescribeCluster): in the AWX credential of type OpenShift or Kubernetes API Bearer "
        "Token under Certificate Authority Data with Verify SSL on, as without it AWX turns the check off; elsewhere in "
        "K8S_AUTH_SSL_CA_CERT with K8S_AUTH_VERIFY_SSL=true, or in the kubeconfig without insecure-skip-tls-verify."
    ]


def remedy_of(error: ApiError) -> str:
    """Return the remedy for an error of the API, or for a missing answer."""
    return _remedy_of_status(error.status) if error.status else _trouble_of(error).remedy


def _trouble_of(error: ApiError) -> Trouble:
    return next((trouble for trouble in _TROUBLES if re.search(trouble.pattern, error.text)), _OTHER)


def _remedy_of_status(status: int) -> str:
    if status == UNAUTHORIZED:
        return (
            "Renew the token of the kubeconfig (aws eks update-kubeconfig writes one that renews itself). If it is "
            "new, the IAM principal has no access entry in the cluster."
        )
    if status == FORBIDDEN:
        return "Allow it to that user, or its group: docs/iam-permissions.md has the manifests."
    if status == 429 or status >= 500:
        return "Run again when the API server is well."
    return f"That is no answer of a Kubernetes API: check the server in the kubeconfig ({_UPDATE}), and proxies between."


def _detail(text: str, trouble: Trouble) -> str:
    match = trouble.detail.search(text) if trouble.detail else None
    return trouble.joint.join(match.groups()) if match else text
