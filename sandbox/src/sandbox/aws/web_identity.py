# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check requests to AssumeRoleWithWebIdentity, with which Pods get credentials by IRSA (IAM roles for service accounts).

The claims of the token are checked against the trust policy of the role. The signature of the token is not checked, and the
identity provider need not exist in IAM. The request needs no credentials.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from sandbox.aws.iam_documents import as_list
from sandbox.aws.iam_form import Form
from sandbox.aws.iam_state import IamState
from sandbox.aws.ministack import Ministack
from sandbox.aws.model import ApiError, Call, Record, Response
from sandbox.aws.sts import OK, ROLE_ARN, SESSION_RULES, TextRule, check_duration, check_parameters, invalid

ACTION = "sts:AssumeRoleWithWebIdentity"
_TEXT_RULES = (*SESSION_RULES, TextRule("WebIdentityToken", 4, 20000, r"[\s\S]+"))
_NOT_A_TOKEN = (
    "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
)


@dataclass(frozen=True, slots=True)
class Identity:
    """The claims of a token: the issuer without "https://", the subject and the audiences; and the ARN of the provider."""

    issuer: str
    subject: str
    audiences: tuple[str, ...]
    provider: str


class WebIdentity:
    """The operation AssumeRoleWithWebIdentity."""

    def __init__(self, iam: IamState) -> None:
        self._iam = iam

    def check(self, call: Call) -> Identity:
        """Return the claims of the token. Raise the error of AWS if the holder of the token cannot assume the role."""
        form = Form(call.account, call.body)
        seconds = check_parameters(form, _TEXT_RULES)
        match = ROLE_ARN.fullmatch(form.text("RoleArn"))
        if match is None:
            raise invalid("Request ARN is invalid")
        account, name = match.groups()
        identity = read_identity(form.text("WebIdentityToken"), account)
        role = self._iam.role(account, name)
        if (
            role is None
            or role["Arn"] != form.text("RoleArn")
            or not self._trusts(role, call, form, identity)
        ):
            # As in AWS, the message does not reveal whether the role exists.
            raise ApiError(403, "AccessDenied", f"Not authorized to perform {ACTION}")
        check_duration(role, seconds)
        return identity

    def _trusts(self, role: Record, call: Call, form: Form, identity: Identity) -> bool:
        evaluator = self._iam.ministack.evaluator
        host = identity.issuer.lower()
        context = evaluator.EvalContext(
            principal_arn=identity.provider,
            principal_type="WebIdentityUser",
            principal_account=identity.provider.split(":")[4],
            action=ACTION,
            resource_arn=role["Arn"],
            region=call.region,
            service_context={
                f"{host}:sub": identity.subject,
                f"{host}:aud": identity.audiences[0],
                "aws:federatedprovider": identity.provider,
                "sts:rolesessionname": form.get("RoleSessionName"),
            },
        )
        trust = _for_federation(role["AssumeRolePolicyDocument"])
        return bool(evaluator.evaluate_trust_policy(trust, identity.provider, context))


def install(ministack: Ministack) -> None:
    """Disable ministack's check of the trust policy for AssumeRoleWithWebIdentity, which WebIdentity replaces.

    ministack's check runs only with --auth, and does not support a token whose audience is a list.
    """
    ministack.sts._web_identity_trust_denied = _accept


def _accept(_role_arn: str, _parameters: Record, _use_json: bool) -> None:
    """Return None, so that ministack lets the caller assume the role, which :meth:`WebIdentity.check` has already checked."""


def read_identity(token: str, account: str) -> Identity:
    """Return the claims of a JSON Web Token. ``account`` is the account of the role, and so of the identity provider.

    Raise ApiError if the token is malformed or expired.
    """
    try:
        _header, payload, _signature = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        issuer, subject = claims["iss"].removeprefix("https://"), claims["sub"]
        audiences, expiry = tuple(as_list(claims["aud"])), int(claims["exp"])
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError, binascii.Error):
        raise ApiError(400, "InvalidIdentityToken", _NOT_A_TOKEN) from None
    if not audiences or not all(isinstance(text, str) and text for text in (issuer, subject, *audiences)):
        raise ApiError(400, "InvalidIdentityToken", _NOT_A_TOKEN)
    now = int(time.time())
    if expiry <= now:
        raise ApiError(
            400,
            "ExpiredTokenException",
            f"Token expired: current date/time {now} must be before the expiration date/time {expiry}",
        )
    provider = f"arn:aws:iam::{account}:oidc-provider/{issuer}"
    return Identity(issuer, subject, audiences, provider)


def complete(response: Response, identity: Identity) -> Response:
    """Replace the placeholders in ministack's response with the subject, the audience and the provider of the token."""
    if response.status != OK:
        return response
    body = response.body.decode()
    for element, value in (
        ("SubjectFromWebIdentityToken", identity.subject),
        ("Audience", identity.audiences[0]),
        ("Provider", identity.provider),
    ):
        content = f"<{element}>{escape(value)}</{element}>"
        start, end = body.index(f"<{element}>"), body.index(f"</{element}>")
        body = body[:start] + content + body[end + len(f"</{element}>") :]
    return response._replace(body=body.encode())


def _for_federation(document: str) -> dict[str, Any]:
    """Return a trust policy with only its Deny statements and its Allow statements for identity providers."""
    statements = as_list(json.loads(document)["Statement"])
    return {
        "Statement": [s for s in statements if s["Effect"] == "Deny" or _is_federated(s.get("Principal"))]
    }


def _is_federated(principal: Any) -> bool:
    return isinstance(principal, dict) and "Federated" in principal
