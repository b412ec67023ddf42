# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check the actions, conditions, resources and principals of a statement against the rules of IAM.

The functions ``*_reasons`` yield the reasons why IAM rejects, or may reject, a document with the statement.

IAM rejects a trust policy if one of its principals does not exist. The principals in the argument ``existing`` and the services
in ``SERVICES`` are known to exist. Whether another principal exists is unknown.

Sources in the IAM User Guide:

* "IAM JSON policy elements: Action", "IAM JSON policy elements: Condition" (the names of keys), "IAM JSON policy elements:
  Condition operators";
* "IAM JSON policy elements: Resource" (IAM completes short ARNs in identity-based policies; variables are supported after the
  fifth colon);
* "AWS JSON policy elements: Principal" (no groups, and no wildcards in a part of a name or ARN), "AWS JSON policy elements:
  NotPrincipal" (not in trust policies);
* "Grammar of the IAM JSON policy language", "IAM policy validation check reference".

Error messages of IAM: "AssumeRole policy may only specify STS AssumeRole actions", "Resource … must be in ARN format",
"Resource vendor must be fully qualified and cannot contain regexes", "Partition … is not valid", "The policy failed legacy
parsing" (also for a date condition whose value is not a date).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..._findings.text import visible
from ..language.document import Statement
from ..language.match import ARN_PARTS, arn_parts
from ..language.operators import binary, date, family, network, number

_MAX_QUOTED = 120


def quote(value: str) -> str:
    """Return a value in quotes for a message, shortened to ``_MAX_QUOTED`` characters."""
    return repr(value if len(value) <= _MAX_QUOTED else f"{value[: _MAX_QUOTED - 3]}...")


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason why IAM rejects a document or may reject it.

    The reason is ``certain`` if AWS documents the rule, or IAM has an error message for a violation of the rule.
    ``statement`` is the label of the statement. It is empty if the reason concerns the whole document, or if the document cannot
    be parsed. ``remedy`` may be empty.
    """

    certain: bool
    statement: str
    message: str
    remedy: str

    @property
    def text(self) -> str:
        """Return the message, preceded by the label of the statement, if any."""
        return f"{self.statement}: {self.message}" if self.statement else self.message

    @property
    def advice(self) -> str:
        """Return ``text`` and the remedy, if any."""
        return f"{self.text}. {self.remedy}" if self.remedy else self.text

    def as_row(self) -> dict[str, object]:
        """Return the reason as a row of a module result."""
        texts = {"statement": self.statement, "message": self.message, "remedy": self.remedy}
        return {"certain": self.certain, **{name: visible(text) for name, text in texts.items()}}


# The actions that the IAM User Guide and the AWS STS API Reference show in trust policies.
TRUST_ACTIONS = frozenset(
    {
        "sts:assumerole",
        "sts:assumerolewithsaml",
        "sts:assumerolewithwebidentity",
        "sts:tagsession",
        "sts:setsourceidentity",
        "sts:setcontext",
    }
)
# The other actions of AWS STS. AWS does not document whether a trust policy may contain these actions.
_STS_ACTIONS = frozenset(
    {
        *(
            "sts:assumeroot",
            "sts:decodeauthorizationmessage",
            "sts:getaccesskeyinfo",
            "sts:getcalleridentity",
        ),
        *("sts:getdelegatedaccesstoken", "sts:getfederationtoken", "sts:getservicebearertoken"),
        *("sts:getsessiontoken", "sts:getwebidentitytoken", "sts:taggetwebidentitytoken"),
    }
)
# The certainty, the message and the remedy of a reason, or None for a valid value.
_Problem: TypeAlias = tuple[bool, str, str] | None
# The first regular expression that matches the whole value decides. In the messages, {value} is replaced with the value, {quoted}
# with the value in quotes, {name} with the quoted text after its first colon, and {id} with the account ID of a principal.
_Rules: TypeAlias = Sequence[tuple[str, _Problem]]


def _exactly(names: Iterable[str]) -> str:
    return "|".join(map(re.escape, names))


_PERMISSION_ACTIONS: _Rules = (
    (r"\*", None),
    (
        r"(?![A-Za-z0-9-]+:).*",
        (
            True,
            "the service prefix of the action {quoted} may only have letters, digits and hyphens",
            "Write the action with its full service prefix, such as s3:GetObject; * and ? are allowed after the colon.",
        ),
    ),
    (
        r"[^:]*:.*:.*",
        (True, "the action {quoted} has more than one colon", "Write it as service:Action."),
    ),
    (r"[^:]*:[A-Za-z0-9*?_.-]+", None),
    (
        r".*",
        (
            False,
            "{name} cannot be the name of an action; AWS does not document whether IAM stores such a policy",
            "Correct the name of the action.",
        ),
    ),
)
_TRUST_ACTIONS: _Rules = (
    (rf"(?ai:{_exactly(TRUST_ACTIONS)})", None),
    (
        rf"\*|(?ai:{_exactly(_STS_ACTIONS)}|sts:.*[*?].*)",
        (
            False,
            "AWS does not document whether IAM accepts the action {quoted} in a trust policy",
            "List the actions: sts:AssumeRole and sts:TagSession.",
        ),
    ),
    (
        r"(?ai:sts:).*",
        (
            True,
            "AWS STS has no action {quoted}",
            "Correct the name; EKS Pod Identity needs sts:AssumeRole and sts:TagSession.",
        ),
    ),
    (
        r".*",
        (
            True,
            "the action {quoted} does not belong to AWS STS, and a trust policy may only have actions that assume a role",
            "List sts:AssumeRole and sts:TagSession; put permissions into a policy that is attached to the role.",
        ),
    ),
)


def action_reasons(statement: Statement, trust: bool) -> Iterator[Reason]:
    """Yield the reasons why IAM rejects or may reject the actions of a statement.

    :arg trust: whether the statement belongs to a trust policy.
    """
    if trust and statement.not_action:
        yield Reason(
            True,
            statement.label,
            "NotAction is not allowed in the trust policy of a role",
            "Name the actions in Action: sts:AssumeRole and sts:TagSession.",
        )
        return
    for action in statement.actions:
        problem = _find_problem(_TRUST_ACTIONS if trust else _PERMISSION_ACTIONS, action)
        if problem is not None:
            yield Reason(problem[0], statement.label, *problem[1:])


def _find_problem(rules: _Rules, value: str, account_id: str = "") -> _Problem:
    problem = next(rule for pattern, rule in rules if re.fullmatch(pattern, value, re.DOTALL))
    if problem is None:
        return None
    certain, message, remedy = problem
    name = quote(value.partition(":")[2])
    return certain, message.format(value=value, quoted=quote(value), name=name, id=account_id), remedy


_FORMATS = {"Numeric": "a number", "Date": "a date", "Ip": "an address or CIDR block", "Binary": "base64"}
# The functions that return whether a value of a type is valid. Every text is a valid String and a valid Arn.
_VALID: Mapping[str, Callable[[str], bool]] = {
    "Numeric": lambda value: number(value) is not None,
    "Date": lambda value: date(value) is not None,
    "Ip": lambda value: network(value) is not None,
    "Binary": lambda value: not binary(value).startswith("not base64"),
    "Bool": lambda value: value.lower() in ("true", "false"),
    "Null": lambda value: value.lower() in ("true", "false"),
}


def condition_reasons(statement: Statement, block: object) -> Iterator[Reason]:
    """Yield the reasons why IAM rejects or may reject the conditions of a statement.

    :arg block: the Condition element as the author wrote it, or None.
    """
    label = statement.label
    for condition in statement.conditions:
        if ":" not in condition.key.strip(":"):
            yield Reason(
                True,
                label,
                f"the condition key {quote(condition.key)} has no service prefix",
                "Write it as service:key, such as aws:SourceAccount.",
            )
        if not condition.values:
            yield Reason(
                False,
                label,
                f"{condition.operator} {condition.key} has no values; AWS does not document whether IAM stores such a policy",
                "Add at least one value.",
            )
        kind = family(condition.base)
        for value in condition.values if kind in _VALID else ():
            if not _VALID[kind](value):
                # IAM has an error message for a value that is not a date, so this rejection is certain. For the other types,
                # only the IAM User Guide calls such values invalid.
                yield Reason(
                    kind == "Date" and "${" not in value,
                    label,
                    f"{condition.operator} {condition.key} requires {_FORMATS.get(kind, 'true or false')}, not {quote(value)}",
                    "Correct the value, or use a String operator.",
                )
    spellings = {condition.operator.lower(): condition.operator for condition in statement.conditions}
    for operator, keys in block.items() if isinstance(block, Mapping) else ():
        spelling = spellings.get(str(operator).lower(), operator)
        if not keys:
            yield Reason(
                True,
                label,
                f"the condition operator {quote(str(operator))} has no condition keys",
                "Remove the operator, or add a condition key.",
            )
        elif spelling != operator:
            yield Reason(
                False,
                label,
                f"AWS does not document whether IAM accepts the condition operator {quote(str(operator))} in this letter case",
                f"Write {spelling}.",
            )


PARTITIONS = frozenset(
    {"aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"}
)
_ARN_SERVICE = re.compile(r"[A-Za-z0-9-]+\Z")
_ARN_ACCOUNT = re.compile(r"(?:[0-9]{12}|\*|aws)?\Z")
_MAYBE_ACCOUNT = re.compile(r"[a-z0-9*?-]+\Z")
_FULL = "Write the whole ARN, such as arn:aws:s3:::my-bucket/*, or '*'."


def resource_reasons(statement: Statement, session: bool) -> Iterator[Reason]:
    """Yield the reasons why IAM rejects or may reject the resources of a statement.

    :arg session: whether the statement belongs to a session policy.
    """
    for resource in statement.resources or ():
        for certain, *texts in _problems(resource, session):
            yield Reason(certain, statement.label, *texts)


def _problems(resource: str, session: bool) -> Iterator[tuple[bool, str, str]]:
    if resource == "*":
        return
    if not resource.startswith("arn:"):
        yield ":" not in resource, f"the resource {quote(resource)} is not an ARN or '*'", _FULL
        return
    parts = arn_parts(resource)
    if len(parts) < 3:
        yield True, f"the resource {quote(resource)} has no service", _FULL
        return
    if session and len(parts) < ARN_PARTS:
        yield (
            True,
            f"the resource {quote(resource)} has {len(parts)} of the six parts of an ARN, and IAM completes ARNs in"
            " identity-based policies only, not in a session policy",
            _FULL,
        )
    partition, service, region, account = [*parts[1:], "", ""][:4]
    if partition not in PARTITIONS and partition != "*":
        yield (
            not any(sign in partition for sign in "*?"),
            f"{quote(partition)} in the resource {quote(resource)} is not an AWS partition",
            "Write aws, aws-cn, aws-us-gov, or another partition of AWS.",
        )
    if not _ARN_SERVICE.match(service):
        yield (
            service != "*",
            f"the service {quote(service)} in the resource {quote(resource)} may only have letters, digits and hyphens, without"
            " wildcards",
            "Write the full name of the service, and one ARN for each service.",
        )
    if "${" in region:
        yield (
            False,
            f"{quote(resource)} has a policy variable before the fifth colon, where IAM does not support it",
            "Write the Region, or *.",
        )
    # A variable in the Region has a colon, so the parts after it are not known.
    elif not _ARN_ACCOUNT.match(account):
        yield (
            not _MAYBE_ACCOUNT.match(account),
            f"{quote(account)} in the resource {quote(resource)} is not an account ID",
            "Write twelve digits, *, or nothing if ARNs of the service have no account; policy variables are supported"
            " after the fifth colon only.",
        )
    if region and len(parts) == ARN_PARTS and (service == "iam" or (service == "s3" and not account)):
        noun = "IAM ARNs" if service == "iam" else "S3 ARNs without an account ID"
        yield (
            True,
            f"{noun} have no Region, but {quote(resource)} has {quote(region)}",
            "Leave the Region empty.",
        )


# The services that the AWS guides show as the principal of a role.
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
_ACCOUNT = r"([0-9]{12})|arn:[a-z0-9-]+:iam::([0-9]{12}):root"
_WEB_IDENTITY = (
    "cognito-identity.amazonaws.com",
    "www.amazon.com",
    "graph.facebook.com",
    "accounts.google.com",
)
_NAMES = "Write an account ID, or the ARN of an account, role, user or session, in full."
# The rules for each kind of principal.
_RULES: Mapping[str, _Rules] = {
    "Service": (
        (_exactly(SERVICES), None),
        (
            r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?",
            (
                False,
                "IAM rejects unknown services, and the AWS guides do not mention {value} as a service principal",
                "Use the name in the guide of the service; for EKS Pod Identity it is pods.eks.amazonaws.com.",
            ),
        ),
        (".*", (True, "{quoted} is not the name of a service", "Write it as service.amazonaws.com.")),
    ),
    "Federated": (
        (_exactly(_WEB_IDENTITY), None),
        (
            r"arn:[a-z0-9-]+:iam::[0-9]{12}:(?:oidc|saml)-provider/[^*?\s]+",
            (
                False,
                "IAM accepts the identity provider {value} only if it exists and the statement has the conditions that AWS"
                " requires for it",
                "Create the provider first, and add the required conditions.",
            ),
        ),
        (
            ".*",
            (
                True,
                "{quoted} is not an identity provider",
                "Write the ARN of an OpenID Connect or SAML provider.",
            ),
        ),
    ),
    "*": (
        (
            ".*",
            (
                False,
                'the AWS guides contradict each other on "Principal": "*" in a trust policy',
                'Write "Principal": {"AWS": "*"}, which is equivalent.',
            ),
        ),
    ),
    "CanonicalUser": (
        (
            ".*",
            (
                False,
                "a CanonicalUser belongs to Amazon S3; AWS does not document whether IAM accepts it in a trust policy",
                _NAMES,
            ),
        ),
    ),
    "AWS": (
        (r"\*", None),
        (
            _ACCOUNT,
            (False, "IAM accepts account {id} only if it exists", "Check the account ID."),
        ),
        (
            r"A(?:ROA|IDA)[A-Z0-9]{12,}",
            (
                False,
                "IAM accepts the unique ID {value} only if its role or user exists",
                "Write the ARN of an existing role or user.",
            ),
        ),
        (
            r"arn:[a-z0-9-]+:iam::[0-9]{12}:(?:role|user)/[^*?\s]+",
            (
                False,
                "IAM accepts {value} only if it exists",
                "Create it first, or use its account and add a condition on aws:PrincipalArn.",
            ),
        ),
        (
            r"arn:[a-z0-9-]+:sts::[0-9]{12}:(?:assumed-role/[^*?\s/]+|federated-user)/[^*?\s]+",
            None,
        ),
        (
            r".*[*?].*",
            (
                True,
                "the principal {quoted} has a wildcard, and IAM accepts only a single '*'",
                'Use the account, and add a condition such as ArnLike on aws:PrincipalArn, or write "AWS": "*".',
            ),
        ),
        (".*", (True, "the principal {quoted} is not an account, role, user or session", _NAMES)),
    ),
}


def principal_reasons(statement: Statement, existing: Collection[str]) -> Iterator[Reason]:
    """Yield the reasons why IAM rejects or may reject the principals of a statement in a trust policy.

    :arg existing: account IDs and principals that are known to exist.
    """
    if statement.not_principal:
        yield Reason(
            True,
            statement.label,
            "NotPrincipal is not allowed in the trust policy of a role",
            "List the callers in Principal. To exclude callers from a Deny, use a condition such as StringNotEquals on"
            " aws:PrincipalServiceName.",
        )
        return
    for kind, value in statement.principals or ():
        if value in existing:
            continue
        account = re.fullmatch(_ACCOUNT, value)
        name = next(filter(None, account.groups()), "") if account else ""
        problem = _check_partition(value)
        if problem is None and name not in existing:
            problem = _find_problem(_RULES[kind], value, name)
        if problem is not None:
            yield Reason(problem[0], statement.label, *problem[1:])


def _check_partition(value: str) -> _Problem:
    prefix, *parts = value.split(":")
    if prefix != "arn" or not parts or parts[0] in PARTITIONS or "*" in parts[0] or "?" in parts[0]:
        return None
    return (
        True,
        f"{quote(parts[0])} in the principal {quote(value)} is not an AWS partition",
        "Write aws, aws-cn, aws-us-gov, or another partition of AWS.",
    )
