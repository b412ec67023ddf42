# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Known causes of failed requests for credentials, told from the text that SDK or AWS left. Pure.

The texts are those of the AWS SDKs and of EKS; docs/troubleshooting.md lists them for people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...._findings.codes import Code

_ADDRESS = r"(169\.254\.170\.23|\[?fd00:ec2::23\]?)"


@dataclass(frozen=True, slots=True)
class Cause:
    """``pattern`` is looked for in the text; ``what`` is the rest of a sentence about the Pod."""

    code: Code
    pattern: str
    what: str
    remedy: str


# The first that matches is taken: what names a cause before what only names a symptom.
CAUSES = (
    Cause(
        Code.PROOF_IRSA,
        r"No OpenIDConnect provider found|AssumeRoleWithWebIdentity",
        "it tried IAM roles for service accounts instead of EKS Pod Identity",
        "Remove what is left of IRSA: the service account's annotation eks.amazonaws.com/role-arn and, if "
        "the "
        "Pod template sets them, AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE.",
    ),
    Cause(
        Code.PROOF_SDK_TOO_OLD,
        r"only loopback hosts are allowed|Host should resolve to a loopback address"
        r"|is not a valid container metadata service hostname|Unsupported host '169\.254\.170\.23'",
        "its SDK is too old to know the agent's address",
        "Use a newer one: docs/troubleshooting.md has the oldest versions that know EKS Pod Identity.",
    ),
    Cause(
        Code.PROOF_TOKEN_MALFORMED,
        r"Service account token cannot be parsed|token is malformed",
        "the agent could not read the token that it sent",
        'Send the token alone, without "Bearer" before it; an SDK that does so needs an update.',
    ),
    Cause(
        Code.PROOF_TAG_SESSION,
        r"not authorized to perform: sts:TagSession",
        "it may not tag the session",
        "Allow sts:TagSession beside sts:AssumeRole, in the trust policy and, for a target role, in the "
        "role's "
        "own policy, too.",
    ),
    Cause(
        Code.PROOF_TAGS_TOO_LARGE,
        r"PackedPolicyTooLarge|Packed size of session tags consumes",
        "session tags and session policy together are too large",
        "Shorten the session policy, or set disable_session_tags: true.",
    ),
    Cause(
        Code.PROOF_AGENT_UNREACHABLE,
        rf"(?i)(timeout|timed out|could not connect|connection refused|failed to connect).{{0,200}}{_ADDRESS}"
        rf"|{_ADDRESS}.{{0,200}}(timeout|timed out|connection refused|unreachable)",
        "the EKS Pod Identity Agent did not answer on its node",
        "Look at the agent there: kubectl -n kube-system get pods -l "
        "app.kubernetes.io/name=eks-pod-identity-agent -o wide",
    ),
    Cause(
        Code.PROOF_REFUSED,
        r"AccessDenied|not authorized to perform|Received non 200 response",
        "the agent or AWS refused it the role's credentials",
        "See the agent's log on that node, and the role's trust policy (iam_trust_policy_check).",
    ),
    Cause(
        Code.PROOF_NO_CREDENTIALS,
        r"Unable to locate credentials|NoCredentialsError|no EC2 IMDS role found|NoCredentialProviders",
        "it found no credentials, so nothing was injected into it",
        "An association needs some seconds until the cluster knows it: run again. If it stays, look at the "
        "mutating webhooks.",
    ),
    Cause(
        Code.PROOF_NO_NETWORK,
        r"(?i)(could not connect to the endpoint|connect timeout on endpoint url|could not resolve host"
        r"|name or service not known|failed to establish a new connection)",
        "it could not reach AWS STS",
        "Let its namespace reach the STS endpoint of the region (network policy, VPC endpoint, NAT, DNS).",
    ),
)


def cause_of(text: str) -> Cause | None:
    """None when the text names no known cause."""
    flat = " ".join(text.split())
    return next((cause for cause in CAUSES if re.search(cause.pattern, flat)), None)
