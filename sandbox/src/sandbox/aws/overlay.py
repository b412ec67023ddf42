# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The overlay as a whole: its state, and its place in front of ministack's handlers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from sandbox.aws import authz, managed_policies
from sandbox.aws.clock import Clock
from sandbox.aws.creation import check_creation
from sandbox.aws.eks import Eks, Inner
from sandbox.aws.eks_auth import PodIdentity
from sandbox.aws.eks_state import EksState
from sandbox.aws.eks_tokens import TokenReview
from sandbox.aws.iam import Iam
from sandbox.aws.iam_state import IamState
from sandbox.aws.model import ApiError, Call, Query, Response
from sandbox.aws.operations import route, signed_scope
from sandbox.aws.passing import Propagation, RolePassing
from sandbox.aws.read_lag import SERVICES as LAGGING
from sandbox.aws.read_lag import ReadLag
from sandbox.aws.replica import Replica
from sandbox.aws.responses import error_response, json_response
from sandbox.aws.stock import Stock
from sandbox.aws.sts import AssumeRole

_ACCOUNT = re.compile(r"\d{12}")
EKS_AUTH = "eks-auth"
Handler = Callable[[str, str, dict[str, str], bytes, Query], Awaitable[Any]]


class Overlay:
    """Everything the overlay remembers, and the service handlers that use it."""

    def __init__(self, stock: Stock) -> None:
        self.stock = stock
        self.propagation = Propagation()
        self.clock = Clock()
        self.iam_state = IamState(stock, self.clock)
        self.eks_state = EksState(stock, self.clock)
        self._authorizer = authorizer = authz.Authorizer(stock)
        passing = RolePassing(self.iam_state, authorizer, self.propagation)
        self.assume_role = AssumeRole(self.iam_state)
        self.iam = Iam(self.iam_state)
        self.eks = Eks(self.eks_state, passing)
        self.read_lag = ReadLag(self.iam_state, self.eks_state, passing)
        self.token_review = TokenReview(stock)
        self._pod_identity = PodIdentity(self.iam_state, self.eks_state, authorizer)

    def install(self) -> None:
        """Put the overlay in front of ministack's handlers of the services it knows."""
        app = self.stock.app
        for service in ("iam", "eks", "sts"):
            app.SERVICE_HANDLERS[service] = self._wrap(service, app.SERVICE_HANDLERS[service])
        app.SERVICE_HANDLERS[EKS_AUTH] = self._wrap(EKS_AUTH, _unknown_operation)
        app.detect_service = _detecting_eks_auth(app.detect_service)
        authz.install(self.stock, authz.Resources(self.iam_state, self.eks_state))
        managed_policies.install(self.stock)

    def account_of(self, access_key_id: str) -> str:
        """The account a key belongs to, as far as that can be told without checking anything."""
        if _ACCOUNT.fullmatch(access_key_id):
            return access_key_id
        return self.stock.account_of_session(access_key_id) or "unknown"

    def wipe(self) -> None:
        """Forget every resource of every account. Settings stay, but no read is late any more."""
        self.read_lag.set(())
        self.stock.wipe()
        self.token_review.forget()
        managed_policies.install(self.stock)
        self.iam_state.clear()
        self.eks_state.clear()

    def stores(self) -> list[dict[Any, Any]]:
        """All that is remembered of resources: ministack's stores and the indexes over them."""
        return [*self.stock.stores(), *self.iam_state.indexes(), *self.eks_state.indexes()]

    def put_back(self, stores: Iterable[Mapping[Any, Any]]) -> None:
        """Take the content of others, as :meth:`stores` gave them. No read is late any more."""
        for store, content in zip(self.stores(), stores, strict=True):
            store.clear()
            store.update(content)
        self.read_lag.set(())

    def _wrap(self, service: str, stock_handler: Handler) -> Handler:
        async def handle(
            method: str, path: str, headers: dict[str, str], body: bytes, query: Query
        ) -> Response:
            async def inner() -> Response:
                return Response(*await stock_handler(method, path, headers, body, query))

            operation, parts = route(service, method, path, body)
            call = Call(
                service=service,
                operation=operation,
                account=self.stock.account(),
                region=self.stock.region(),
                method=method,
                path=path,
                path_parts=parts,
                headers=headers,
                query=query,
                body=body,
            )
            try:
                return await self._answer(call, inner)
            except ApiError as error:
                return error_response(service, error)

        return handle

    async def _answer(self, call: Call, inner: Inner) -> Response:
        if call.service in LAGGING:
            replica = self.read_lag.replica(call)
            if replica is not None:
                return await _answer_from(replica, call, inner)
            try:
                self.read_lag.check_write(call)
                check_creation(self._authorizer, call)
                return await _answer_from(self, call, inner)
            finally:
                self.read_lag.record(call)
        if call.operation == "AssumeRoleForPodIdentity":
            return json_response(self._pod_identity.assume(call))
        if call.operation == "AssumeRole":
            self.assume_role.check(call)
            return self.assume_role.shortened(await inner())
        return await inner()


async def _answer_from(holder: Overlay | Replica, call: Call, inner: Inner) -> Response:
    if call.service == "eks":
        return await holder.eks.answer(call, inner)
    return holder.iam.answer(call) or await inner()


def _detecting_eks_auth(stock_detect: Callable[..., Any]) -> Callable[..., Any]:
    """ministack does not know EKS Auth, and its paths look like those of EKS."""

    def detect(method: str, path: str, headers: Mapping[str, str], params: Any) -> Any:
        if signed_scope(headers).service == EKS_AUTH:
            return EKS_AUTH
        return stock_detect(method, path, headers, params)

    return detect


async def _unknown_operation(
    method: str, path: str, _headers: Mapping[str, str], _body: bytes, _query: Query
) -> Response:
    error = ApiError(400, "InvalidRequestException", f"No such operation: {method} {path}")
    return error_response(EKS_AUTH, error)
