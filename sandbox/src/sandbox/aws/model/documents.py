# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validate policy documents, with the error messages of IAM.

The functions raise :class:`Refusal` with the code ``MalformedPolicyDocument``. Sources: the pages of the IAM User
Guide on policy elements and grammar, and messages that IAM has returned.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from sandbox.aws.model.errors import Refusal

SYNTAX = "Syntax errors in policy."
_VERSIONS = ("2008-10-17", "2012-10-17")
_STATEMENT_ELEMENTS = (
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction"),
    *("Resource", "NotResource", "Condition"),
)
_OPERATOR = re.compile(
    r"(?:ForAllValues:|ForAnyValue:)?"
    r"(?:String(?:Not)?(?:Equals(?:IgnoreCase)?|Like)"
    r"|(?:Numeric|Date)(?:(?:Not)?Equals|(?:Less|Greater)Than(?:Equals)?)"
    r"|Bool|BinaryEquals|(?:Not)?IpAddress|Arn(?:Not)?(?:Equals|Like))"
    r"(?:IfExists)?|Null"
)
_STS_ACTIONS = frozenset(
    f"sts:{name}"
    for name in (
        *("assumerole", "assumerolewithsaml", "assumerolewithwebidentity", "assumeroot", "tagsession"),
        *("setsourceidentity", "setcontext", "getcalleridentity", "getsessiontoken", "getfederationtoken"),
        *("decodeauthorizationmessage", "getaccesskeyinfo", "getservicebearertoken", "getwebidentitytoken"),
        *("getdelegatedaccesstoken", "taggetwebidentitytoken"),
    )
)
_SID = re.compile(r"[0-9A-Za-z]*")
_VENDOR = re.compile(r"[a-zA-Z0-9-]+")
_PARTITIONS = ("aws", "aws-cn", "aws-us-gov", "*")
_RESOURCE_ACCOUNT = re.compile(r"\d{12}|\*|aws|")
_DATE = re.compile(
    r"\d+|\d{4}(?:-\d\d(?:-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:\d\d)?)?)?)?"
)
_CHARACTERS = re.compile(r"[\u0009\u000A\u000D\u0020-\u00FF]+")
_SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?")
POD_IDENTITY_SERVICE = "pods.eks.amazonaws.com"
_EKS_SERVICES = frozenset([POD_IDENTITY_SERVICE])
_ACCOUNT = re.compile(r"\d{12}|arn:aws:iam::\d{12}:root")
_ENTITY = re.compile(r"arn:aws:iam::\d{12}:(?:role|user)/.+")
_UNIQUE_ID = re.compile(r"(?:AROA|AIDA)[A-Z0-9]{12,}")
_SESSION = re.compile(r"arn:aws:sts::\d{12}:(?:assumed-role|federated-user)/.+")

EntityExists = Callable[[str], bool]
"""A function that returns whether the role or user with an ARN exists."""


def check_identity_policy(text: str, *, managed: bool) -> None:
    """Validate a permissions policy. A managed policy must have the version 2012-10-17."""
    document = _parse(text)
    if "Id" in document:
        # Only resource-based policies have an Id.
        raise malformed(SYNTAX)
    for statement in _statements(document):
        if "Principal" in statement or "NotPrincipal" in statement:
            raise malformed("Policy document should not specify a principal.")
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise malformed(SYNTAX)
        sid = statement.get("Sid", "")
        if not _SID.fullmatch(sid):
            raise malformed(
                "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the "
                "regular expression [0-9A-Za-z]*"
            )
        actions = _one_of(statement, "Action", "NotAction")
        if not actions:
            raise malformed("Policy statement must contain actions.")
        resources = _one_of(statement, "Resource", "NotResource")
        if not resources:
            raise malformed("Policy statement must contain resources.")
        for action in actions:
            _check_action(action)
        for resource in resources:
            _check_resource(resource)
        _check_condition(statement)
    if managed and document.get("Version") != "2012-10-17":
        raise malformed("Policy document must be version 2012-10-17 or greater.")


def check_session_policy(text: str) -> None:
    """Validate a session policy. Incomplete ARNs are errors, because IAM accepts them only in identity-based policies."""
    check_identity_policy(text, managed=False)
    for statement in _statements(_parse(text)):
        for resource in _one_of(statement, "Resource", "NotResource"):
            if resource != "*" and resource.count(":") < 5:
                raise malformed("The policy failed legacy parsing")


def check_trust_policy(text: str, exists: EntityExists) -> None:
    """Validate a trust policy. ``exists`` checks the roles and users in its principals."""
    document = _parse(text)
    for statement in _statements(document):
        for name in ("Resource", "NotResource"):
            if name in statement:
                raise malformed(f"Has prohibited field {name}")
        if "Effect" not in statement:
            raise malformed("Missing required field Effect")
        if statement["Effect"] not in ("Allow", "Deny"):
            raise malformed(SYNTAX)
        if "NotPrincipal" in statement:
            if statement["Effect"] == "Allow":
                raise malformed("Allow with NotPrincipal is not allowed.")
            raise malformed("AssumeRole policy must not contain NotPrincipal field.")
        if "Principal" not in statement:
            raise malformed("Missing required field Principal")
        actions = _one_of(statement, "Action", "NotAction")
        if not actions:
            raise malformed("Missing required field Action")
        if "NotAction" in statement or not all(map(_may_assume, actions)):
            raise malformed("AssumeRole policy may only specify STS AssumeRole actions.")
        _check_principal(statement["Principal"], exists)
        _check_condition(statement)


def malformed(message: str) -> Refusal:
    return Refusal("MalformedPolicyDocument", message)


def as_list(value: Any) -> list[Any]:
    """Return the values of a policy element, which may be a single value or a list."""
    return value if isinstance(value, list) else [value]


def _parse(text: str) -> dict[str, Any]:
    if not _CHARACTERS.fullmatch(text):
        raise malformed("The specified value for policyDocument is invalid.")
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except ValueError:
        raise malformed("This policy contains invalid Json") from None
    if not isinstance(document, dict) or document.keys() - {"Version", "Id", "Statement"}:
        raise malformed(SYNTAX)
    if "Version" in document and document["Version"] not in _VERSIONS:
        raise malformed(SYNTAX)
    if not isinstance(document.get("Id", ""), str):
        raise malformed(SYNTAX)
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object from its members. Raise Refusal for duplicate keys."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise malformed(SYNTAX)
    return members


def _statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    statements = as_list(document.get("Statement", []))
    if not statements:
        raise malformed(SYNTAX)
    sids: set[str] = set()
    for statement in statements:
        if not isinstance(statement, dict) or statement.keys() - set(_STATEMENT_ELEMENTS):
            raise malformed(SYNTAX)
        sid = statement.get("Sid", "")
        if not isinstance(sid, str):
            raise malformed(SYNTAX)
        if sid in sids:
            raise malformed("Statement IDs (SID) in a single policy must be unique.")
        if sid:
            sids.add(sid)
    return statements


def _one_of(statement: dict[str, Any], name: str, negated: str) -> list[str]:
    """Return the values of an element such as Action, or of its negated form such as NotAction.

    Return [] if the statement has neither element. Raise Refusal if it has both, or if a value is not a string.
    """
    if name in statement and negated in statement:
        raise malformed(SYNTAX)
    values = as_list(statement.get(name, statement.get(negated, [])))
    if not all(isinstance(value, str) for value in values):
        raise malformed(SYNTAX)
    return values


def _may_assume(action: str) -> bool:
    """Return whether a trust policy may contain an action.

    AWS does not document which wildcards are permitted, so "*" and every pattern of sts: actions are accepted.
    """
    folded = action.lower()
    return (
        folded == "*"
        or folded in _STS_ACTIONS
        or (folded.startswith("sts:") and any(w in folded for w in "*?"))
    )


def _check_action(action: str) -> None:
    if action == "*":
        return
    vendor, colon, rest = action.partition(":")
    if not colon or not vendor:
        raise malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    if ":" in rest:
        raise malformed("Actions/Condition can contain only one colon.")
    if not _VENDOR.fullmatch(vendor):
        raise malformed(f"Vendor {vendor} is not valid")


def _check_resource(resource: str) -> None:
    if resource == "*":
        return
    parts = resource.split(":", 5)
    if parts[0] != "arn":
        raise malformed(f'Resource {resource} must be in ARN format or "*".')
    if len(parts) > 1 and parts[1] not in _PARTITIONS:
        raise malformed(f'Partition "{parts[1]}" is not valid for resource "{resource}".')
    vendor = parts[2] if len(parts) > 2 else ""
    if vendor != "*" and not _VENDOR.fullmatch(vendor):
        raise malformed("Resource vendor must be fully qualified and cannot contain regexes.")
    region, account = (*parts[3:5], "", "")[:2]
    if not _RESOURCE_ACCOUNT.fullmatch(account):
        raise malformed("The policy failed legacy parsing")
    if vendor == "iam" and region and len(parts) == 6:
        raise malformed(f"IAM resource {resource} cannot contain region information.")
    if vendor == "s3" and region and not account and len(parts) == 6:
        raise malformed(f"Resource {resource} can not contain region information.")


def _check_principal(principal: Any, exists: EntityExists) -> None:
    if principal == "*":
        return
    if not isinstance(principal, dict) or not principal:
        raise malformed(SYNTAX)
    for kind, values in principal.items():
        if kind not in ("AWS", "Service", "Federated", "CanonicalUser"):
            raise malformed(SYNTAX)
        for value in as_list(values):
            if not isinstance(value, str):
                raise malformed(SYNTAX)
            if not _principal_valid(kind, value, exists):
                raise malformed(f'Invalid principal in policy: "{kind.upper()}":"{value}"')


def _principal_valid(kind: str, value: str, exists: EntityExists) -> bool:
    if kind == "Service":
        if not _SERVICE.fullmatch(value):
            return False
        return not value.endswith(".eks.amazonaws.com") or value in _EKS_SERVICES
    if kind == "AWS":
        if _ENTITY.fullmatch(value):
            return exists(value)
        patterns = (_ACCOUNT, _UNIQUE_ID, _SESSION)
        return value == "*" or any(pattern.fullmatch(value) for pattern in patterns)
    return bool(value)


def _check_condition(statement: dict[str, Any]) -> None:
    conditions = statement.get("Condition", {})
    if not isinstance(conditions, dict):
        raise malformed(SYNTAX)
    for operator, keys in conditions.items():
        if not _OPERATOR.fullmatch(operator):
            raise malformed(f"Invalid Condition type : {operator}.")
        if not isinstance(keys, dict) or not keys:
            raise malformed(SYNTAX)
        if len({key.lower() for key in keys}) < len(keys):
            raise malformed(SYNTAX)
        for key, values in keys.items():
            if ":" not in key:
                raise malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
            if operator.startswith("Date") and not all(_DATE.fullmatch(str(v)) for v in as_list(values)):
                raise malformed("The policy failed legacy parsing")
            if any(isinstance(value, (dict, list)) or value is None for value in as_list(values)):
                raise malformed(SYNTAX)
