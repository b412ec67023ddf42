# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The principals of a trust policy: what IAM takes, and what it looks up.

IAM refuses a trust policy whose principals do not exist. What exists is known here for what the caller names, and for
services that the guides of AWS name.
Sources: IAM User Guide, "AWS JSON policy elements: Principal" (no wildcard in a part of a name or ARN, no groups),
"AWS JSON policy elements: NotPrincipal" (not in trust policies), "IAM policy validation check reference".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from ..language.document import Statement
from .reasons import Reason, quote
from .resources import PARTITIONS

# Services whose own guides show them as the principal of a role.
SERVICES = frozenset(
    f"{name}.amazonaws.com"
    for name in (
        *(
            "apigateway",
            "application-autoscaling",
            "autoscaling",
            "backup",
            "batch",
            "cloudformation",
            "cloudtrail",
        ),
        *(
            "codebuild",
            "codedeploy",
            "codepipeline",
            "config",
            "delivery.logs",
            "dms",
            "ec2",
            "ecs",
            "ecs-tasks",
            "edgelambda",
        ),
        *(
            "eks",
            "eks-fargate-pods",
            "eks-nodegroup",
            "elasticmapreduce",
            "events",
            "firehose",
            "glue",
            "lambda",
        ),
        *(
            "monitoring.rds",
            "pods.eks",
            "pipes",
            "rds",
            "redshift",
            "s3",
            "sagemaker",
            "scheduler",
            "ssm",
            "states",
        ),
        *("transfer", "vpc-flow-logs"),
    )
)
_SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?\Z")
_ACCOUNT = re.compile(r"(?:arn:[a-z0-9-]+:iam::)?(?P<id>[0-9]{12})(?::root)?\Z")
_ENTITY = re.compile(r"arn:[a-z0-9-]+:iam::[0-9]{12}:(?:role|user)/[^*?\s]+\Z")
_SESSION = re.compile(r"arn:[a-z0-9-]+:sts::[0-9]{12}:(?:assumed-role/[^*?\s/]+|federated-user)/[^*?\s]+\Z")
_UNIQUE_ID = re.compile(r"A(?:ROA|IDA)[A-Z0-9]{12,}\Z")
_PROVIDER = re.compile(r"arn:[a-z0-9-]+:iam::[0-9]{12}:(?:oidc|saml)-provider/[^*?\s]+\Z")
_WEB_IDENTITY = (
    "cognito-identity.amazonaws.com",
    "www.amazon.com",
    "graph.facebook.com",
    "accounts.google.com",
)
_NAMES = "Write an account ID, or the ARN of an account, role, user or session, in full."


def principal_reasons(statement: Statement, known: Collection[str]) -> Iterator[Reason]:
    """``known``: account IDs and principals of which it is known that they exist."""
    if statement.not_principal:
        yield Reason(
            True,
            statement.label,
            "NotPrincipal is not allowed in the trust policy of a role",
            "Name the callers in Principal; leave callers out of a Deny by conditions, such as StringNotEquals on"
            " aws:PrincipalServiceName.",
        )
        return
    for kind, value in statement.principals or ():
        if value in known:
            continue
        certain, message, remedy = _partition(value) or _problem(kind, value, known) or (False, "", "")
        if message:
            yield Reason(certain, statement.label, message, remedy)


def _partition(value: str) -> tuple[bool, str, str] | None:
    start, *others = value.split(":")
    if start != "arn" or not others or others[0] in PARTITIONS or "*" in others[0] or "?" in others[0]:
        return None
    return (
        True,
        f"{quote(others[0])} in the principal {quote(value)} is not a partition of AWS",
        "Write aws, aws-cn, aws-us-gov, or the partition that the account is in.",
    )


def _problem(kind: str, value: str, known: Collection[str]) -> tuple[bool, str, str] | None:
    if kind == "Service":
        return _service(value)
    if kind == "Federated":
        return _federated(value)
    if kind == "*":
        return (
            False,
            'the guides of AWS contradict each other on "Principal": "*" in a trust policy',
            'Write "Principal": {"AWS": "*"}, which means the same.',
        )
    if kind == "CanonicalUser":
        return (
            False,
            "a CanonicalUser belongs to Amazon S3; whether IAM takes it in a trust policy is not documented",
            _NAMES,
        )
    return _aws(value, known)


def _service(value: str) -> tuple[bool, str, str] | None:
    if value in SERVICES:
        return None
    if not _SERVICE.match(value):
        return True, f"{quote(value)} is not the name of a service", "Write it as service.amazonaws.com."
    return (
        False,
        f"IAM refuses services that it does not know, and it is not known here whether it knows {value}",
        "Take the name from the guide of the service; that of EKS Pod Identity is pods.eks.amazonaws.com.",
    )


def _federated(value: str) -> tuple[bool, str, str] | None:
    if value in _WEB_IDENTITY:
        return None
    if _PROVIDER.match(value):
        return (
            False,
            f"it turns on whether the identity provider {value} exists, and on the conditions that AWS asks for with it",
            "Create the provider first.",
        )
    return (
        True,
        f"{quote(value)} is not an identity provider",
        "Write the ARN of an OpenID Connect or SAML provider.",
    )


def _aws(value: str, known: Collection[str]) -> tuple[bool, str, str] | None:
    if value == "*":
        return None
    account = _ACCOUNT.match(value)
    if account is not None and (value.startswith("arn:") is value.endswith(":root")):
        if account["id"] in known:
            return None
        return (
            False,
            f"it turns on whether account {account['id']} exists",
            "Check the account ID.",
        )
    if _ENTITY.match(value) or _UNIQUE_ID.match(value):
        return (
            False,
            f"it turns on whether {value} exists: IAM refuses roles and users that do not",
            "Create it first, or name its account and add a condition on aws:PrincipalArn.",
        )
    if _SESSION.match(value):
        return None
    if "*" in value or "?" in value:
        return (
            True,
            f"the principal {quote(value)} has a wildcard, which may only stand alone",
            'Name the account, and add a condition such as ArnLike on aws:PrincipalArn, or write "AWS": "*".',
        )
    return True, f"the principal {quote(value)} is neither an ARN of IAM or AWS STS nor an account ID", _NAMES
