# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The overlay as a whole: its state, and its place in front of ministack's handlers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from sandbox.aws.authz import Authorizer
from sandbox.aws.eks import Eks
from sandbox.aws.eks_state import EksState
from sandbox.aws.iam import Iam
from sandbox.aws.iam_state import IamState
from sandbox.aws.model import ApiError, Call, Query, Response
from sandbox.aws.operations import route
from sandbox.aws.passing import Propagation, RolePassing
from sandbox.aws.responses import error_response
from sandbox.aws.stock import Stock

_ACCOUNT = re.compile(r"\d{12}")
Handler = Callable[[str, str, dict[str, str], bytes, Query], Awaitable[Any]]


class Overlay:
    """Everything the overlay remembers, and the service handlers that use it."""

    def __init__(self, stock: Stock) -> None:
        self.stock = stock
        self.propagation = Propagation()
        self.iam_state = IamState(stock)
        self.eks_state = EksState(stock)
        passing = RolePassing(self.iam_state, Authorizer(stock), self.propagation)
        self._iam = Iam(self.iam_state)
        self._eks = Eks(self.eks_state, passing)

    def install(self) -> None:
        """Put the overlay in front of ministack's handlers of the services it knows."""
        handlers = self.stock.app.SERVICE_HANDLERS
        for service in ("iam", "eks"):
            handlers[service] = self._wrap(service, handlers[service])

    def account_of(self, access_key_id: str) -> str:
        """The account a key belongs to, as far as that can be told without checking anything."""
        if _ACCOUNT.fullmatch(access_key_id):
            return access_key_id
        return self.stock.account_of_session(access_key_id) or "unknown"

    def wipe(self) -> None:
        """Forget every resource of every account. Settings stay."""
        self.stock.wipe()
        self.iam_state.clear()
        self.eks_state.clear()

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
                if service == "iam":
                    return self._iam.answer(call) or await inner()
                return await self._eks.answer(call, inner)
            except ApiError as error:
                return error_response(service, error)

        return handle
