# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answer API requests: authenticate the caller, check its permissions, and call the operation of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.aws import protocol
from sandbox.aws.authz import Rights
from sandbox.aws.model.accounts import Account, Cloud, Principal
from sandbox.aws.model.eks_auth import EksAuth
from sandbox.aws.model.errors import Refusal
from sandbox.aws.model.sts import Sts
from sandbox.aws.model.tables import operation as method_of
from sandbox.aws.protocol import Operation
from sandbox.aws.read_lag import READS, ReadLag
from sandbox.aws.signing import Signed, is_valid
from sandbox.http import Request, Response

REGIONS = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
    *("eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1"),
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
)
UNSIGNED = "AssumeRoleWithWebIdentity"
WRONG_SIGNATURE = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


class Api:
    """The API of AWS for all accounts."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.read_lag = ReadLag()

    def respond(self, operation: Operation, signature: Signed, request: Request) -> Response:
        try:
            parameters = protocol.parameters(operation, request)
            caller = self._authenticated(operation, signature, request)
            answer = self._answer(operation, parameters, caller, signature.region)
            return protocol.response(operation, answer)
        except Refusal as error:
            return protocol.error_response(operation.service, error)

    def _authenticated(self, operation: Operation, signature: Signed, request: Request) -> Principal:
        if operation.name == UNSIGNED:
            return Principal("arn:aws:iam::000000000000:root", "")
        if self.cloud.settings.auth and not signature.key:
            raise Refusal("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        auth = self.cloud.settings.auth
        caller = self.cloud.principal(signature.key, signature.token, strict=auth)
        if auth and caller.policies is not None and not is_valid(request, signature, caller.secret):
            raise Refusal("SignatureDoesNotMatch", WRONG_SIGNATURE, 403)
        return caller

    def _answer(
        self, operation: Operation, parameters: Mapping[str, Any], caller: Principal, region: str
    ) -> Mapping[str, Any]:
        account = self.cloud.account(caller.account)
        rights = Rights(account, region, caller)
        if self.cloud.settings.auth:
            rights.check_request(operation.service, operation.name, parameters)
        service = self._service(operation, account, caller, region)
        if operation.service == "eks":
            self._prepare(account, caller, region, rights)
        method = method_of(service, operation.name)
        if method is None:
            raise Refusal("InvalidAction", f"The sandbox does not have {operation.service}:{operation.name}.")
        if operation.service not in ("iam", "eks") or operation.name.startswith(READS):
            return method(parameters)
        self.read_lag.before_write(account)
        try:
            return method(parameters)
        finally:
            self.read_lag.after_write(account)

    def _service(self, operation: Operation, account: Account, caller: Principal, region: str) -> object:
        if operation.service in ("iam", "eks"):
            tables = self.read_lag.tables(caller.account, f"{operation.service}:{operation.name}")
            if operation.service == "iam":
                return account.iam if tables is None else account.iam.seen_with(tables[0])
            eks = account.eks(region)
            return eks if tables is None or region not in tables[1] else eks.seen_with(tables[1][region])
        if operation.service == "sts":
            return Sts(self.cloud, caller, region)
        if operation.service == "eks-auth":
            return EksAuth(self.cloud, account.eks(region))
        return _Others(caller.account)

    def _prepare(self, account: Account, caller: Principal, region: str, rights: Rights) -> None:
        """Let EKS know the caller, who gets an access entry in a new cluster, and needs iam:PassRole for a role."""
        eks = account.eks(region)
        role = self.cloud.role_of_session(caller.arn)
        eks.caller = str(role["Arn"]) if role else caller.arn
        eks.strict = self.cloud.settings.auth
        if eks.strict:
            eks.check_pass = rights.check_pass


class _Others:
    """The operations of other services that the inventory plugin needs."""

    def __init__(self, account_id: str) -> None:
        self._account_id = account_id

    def DescribeRegions(self, _request: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"Regions": REGIONS}

    def ListAccounts(self, _request: Mapping[str, Any]) -> Mapping[str, Any]:
        account = self._account_id
        arn = f"arn:aws:organizations::{account}:account/o-sandbox/{account}"
        return {"Accounts": [{"Id": account, "Arn": arn, "Name": "sandbox", "Status": "ACTIVE"}]}
