# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The overlay: request handlers that run before the handlers of ministack, and their state."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from sandbox.aws import authz, managed_policies, web_identity
from sandbox.aws.creation import check_creation
from sandbox.aws.eks import Eks, Inner
from sandbox.aws.eks_auth import PodIdentity
from sandbox.aws.eks_state import EksState
from sandbox.aws.eks_tokens import TokenReview
from sandbox.aws.iam import Iam
from sandbox.aws.iam_state import IamState
from sandbox.aws.ministack import Ministack
from sandbox.aws.model import ApiError, Call, Query, Response
from sandbox.aws.operations import route, signed_scope
from sandbox.aws.passing import Propagation, RolePassing
from sandbox.aws.read_lag import SERVICES as LAGGING
from sandbox.aws.read_lag import ReadLag
from sandbox.aws.replica import Replica
from sandbox.aws.responses import error_response, json_response
from sandbox.aws.sts import AssumeRole
from sandbox.aws.web_identity import WebIdentity

_ACCOUNT = re.compile(r"\d{12}")
EKS_AUTH = "eks-auth"
Handler = Callable[[str, str, dict[str, str], bytes, Query], Awaitable[Any]]


class Overlay:
    """The state of the overlay, and its handlers for the services."""

    def __init__(self, ministack: Ministack) -> None:
        self.ministack = ministack
        self.propagation = Propagation()
        self.iam_state = IamState(ministack)
        self.eks_state = EksState(ministack)
        self._authorizer = authorizer = authz.Authorizer(ministack)
        passing = RolePassing(self.iam_state, authorizer, self.propagation)
        self.assume_role = AssumeRole(self.iam_state)
        self._web_identity = WebIdentity(self.iam_state)
        self.iam = Iam(self.iam_state)
        self.eks = Eks(self.eks_state, passing)
        self.read_lag = ReadLag(self.iam_state, self.eks_state, passing)
        self.token_review = TokenReview(ministack)
        self._pod_identity = PodIdentity(self.iam_state, self.eks_state, authorizer)

    def install(self) -> None:
        """Install the request handlers, the authorization and the AWS managed policies of the overlay in ministack."""
        app = self.ministack.app
        for service in ("iam", "eks", "sts"):
            app.SERVICE_HANDLERS[service] = self._wrap(service, app.SERVICE_HANDLERS[service])
        app.SERVICE_HANDLERS[EKS_AUTH] = self._wrap(EKS_AUTH, _unknown_operation)
        app.detect_service = _detect_eks_auth(app.detect_service)
        authz.install(self.ministack, authz.Resources(self.iam_state, self.eks_state))
        managed_policies.install(self.ministack)
        web_identity.install(self.ministack)

    def caller_account(self, access_key_id: str) -> str:
        """Return the account of an access key, or "unknown". The secret key is not checked."""
        if _ACCOUNT.fullmatch(access_key_id):
            return access_key_id
        return self.ministack.key_account(access_key_id) or "unknown"

    def wipe(self) -> None:
        """Delete all resources of all accounts, the read lag rules and the recorded bearer tokens, but keep other settings."""
        self.read_lag.set(())
        self.ministack.wipe()
        self.token_review.clear()
        managed_policies.install(self.ministack)
        self.iam_state.clear()
        self.eks_state.clear()

    def stores(self) -> list[dict[Any, Any]]:
        """Return the stores of all resources: ministack's stores and the indexes of the overlay."""
        return [*self.ministack.stores(), *self.iam_state.indexes(), *self.eks_state.indexes()]

    def restore(self, stores: Iterable[Mapping[Any, Any]]) -> None:
        """Replace the content of all stores, and delete the read lag rules.

        ``stores`` must have the order of :meth:`stores`.
        """
        for store, content in zip(self.stores(), stores, strict=True):
            store.clear()
            store.update(content)
        self.read_lag.set(())

    def _wrap(self, service: str, original_handler: Handler) -> Handler:
        async def handle(
            method: str, path: str, headers: dict[str, str], body: bytes, query: Query
        ) -> Response:
            async def inner() -> Response:
                return Response(*await original_handler(method, path, headers, body, query))

            # STS also accepts GET requests, with the parameters in the query.
            parameters = body or (urlencode(query, doseq=True).encode() if service == "sts" else b"")
            operation, parts = route(service, method, path, parameters)
            call = Call(
                service=service,
                operation=operation,
                account=self.ministack.account(),
                region=self.ministack.region(),
                method=method,
                path=path,
                path_parts=parts,
                headers=headers,
                query=query,
                body=parameters,
            )
            try:
                return await self._handle(call, inner)
            except ApiError as error:
                return error_response(service, error)

        return handle

    async def _handle(self, call: Call, inner: Inner) -> Response:
        if call.service in LAGGING:
            replica = self.read_lag.replica(call)
            if replica is not None:
                return await _dispatch(replica, call, inner)
            try:
                check_creation(self._authorizer, call)
                return await _dispatch(self, call, inner)
            finally:
                self.read_lag.record(call)
        if call.operation == "AssumeRoleForPodIdentity":
            return json_response(self._pod_identity.assume(call))
        if call.operation == "AssumeRole":
            self.assume_role.check(call)
            return self.assume_role.apply_lifetime(await inner())
        if call.operation == "AssumeRoleWithWebIdentity":
            identity = self._web_identity.check(call)
            return self.assume_role.apply_lifetime(web_identity.complete(await inner(), identity))
        return await inner()


async def _dispatch(source: Overlay | Replica, call: Call, inner: Inner) -> Response:
    if call.service == "eks":
        return await source.eks.handle(call, inner)
    return source.iam.handle(call) or await inner()


def _detect_eks_auth(original_detect: Callable[..., Any]) -> Callable[..., Any]:
    """Extend ministack's function that detects the service of a request.

    EKS and EKS Auth have similar paths, so the service in the signature distinguishes them.
    """

    def detect(method: str, path: str, headers: Mapping[str, str], params: Any) -> Any:
        if signed_scope(headers).service == EKS_AUTH:
            return EKS_AUTH
        return original_detect(method, path, headers, params)

    return detect


async def _unknown_operation(
    method: str, path: str, _headers: Mapping[str, str], _body: bytes, _query: Query
) -> Response:
    error = ApiError(400, "InvalidRequestException", f"No such operation: {method} {path}")
    return error_response(EKS_AUTH, error)
