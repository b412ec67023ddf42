# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pass control requests to the control handler, and API requests to the model.

API requests are counted and delayed, and the rate limit and the fault rules apply to them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import uuid

from sandbox.aws.api import Api
from sandbox.aws.control_handler import ControlHandler
from sandbox.aws.faults import ENDLESS_PAGES, MALFORMED, TRICKLE, api_error
from sandbox.aws.instruments import Instruments
from sandbox.aws.model.accounts import Cloud, Settings
from sandbox.aws.protocol import QUERY_SERVICES, Operation, error_response, operation_of
from sandbox.aws.signing import Signed, signed
from sandbox.control_client import CONTROL_PREFIX
from sandbox.faults import EMPTY200, HTML200, RESET_AFTER, RESET_BEFORE, STALL, THROTTLE, FaultRule
from sandbox.http import Connection, Request, Response
from sandbox.proxy_page import HTML_TYPE, PROXY_PAGE

PROXY_RESPONSES = {
    HTML200: Response(200, {"Content-Type": HTML_TYPE}, PROXY_PAGE),
    EMPTY200: Response(200, {}, b""),
}
_TRUNCATED = re.compile(rb"<IsTruncated>(?:true|false)</IsTruncated>(?:<Marker>[^<]*</Marker>)?")


class Gateway:
    """The embedded AWS."""

    def __init__(self, *, auth: bool, latency_ms: float) -> None:
        self.instruments = Instruments(latency_ms)
        self._api = Api(Cloud(Settings(auth=auth)))
        self._control = ControlHandler(self._api, self.instruments)

    async def respond(self, request: Request, connection: Connection) -> None:
        if request.path.startswith(CONTROL_PREFIX):
            found = self._control.handle(request.method, request.path, request.query, request.body)
            await connection.send(found.encoded())
            return
        signature = signed(request)
        # Only STS accepts requests without a signature, for example AssumeRoleWithWebIdentity.
        operation = operation_of(signature.service or "sts", request)
        name = f"{operation.service}:{operation.name}"
        account = self._api.cloud.account_of(signature.key)
        self.instruments.counters.request(account, name)
        accepted = self.instruments.rate_limit.take()
        if self.instruments.latency_ms:
            await asyncio.sleep(self.instruments.latency_ms / 1000)
        rule = (
            self.instruments.faults.pick(name, account, signature.region) if accepted else FaultRule(THROTTLE)
        )
        if rule is None:
            await connection.send(self._answer(operation, signature, request).encoded())
            return
        self.instruments.counters.fault(rule.kind)
        await self._fail(rule, account, operation, signature, request, connection)

    def _answer(self, operation: Operation, signature: Signed, request: Request) -> Response:
        found = self._api.respond(operation, signature, request)
        self.instruments.counters.response(found.status)
        return found

    async def _fail(
        self,
        rule: FaultRule,
        account: str,
        operation: Operation,
        signature: Signed,
        request: Request,
        connection: Connection,
    ) -> None:
        error = api_error(rule, operation.service, account, f"{operation.service}:{operation.name}")
        if error is not None or rule.kind in PROXY_RESPONSES:
            found = PROXY_RESPONSES[rule.kind] if error is None else error_response(operation.service, error)
            self.instruments.counters.response(found.status)
            await connection.send(found.encoded())
        elif rule.kind == RESET_BEFORE:
            connection.reset()
        elif rule.kind == RESET_AFTER:
            self._api.respond(operation, signature, request)
            connection.reset()
        else:
            await _distort(rule, self._answer(operation, signature, request), operation, connection)


async def _distort(rule: FaultRule, found: Response, operation: Operation, connection: Connection) -> None:
    """Send a response as a faulty network or proxy would."""
    data = found.encoded()
    if rule.kind == STALL:
        await asyncio.sleep(rule.seconds)
    elif rule.kind == MALFORMED:
        # The header Content-Length has the length of the half, so the client does not notice the truncation.
        data = found._replace(body=found.body[: len(found.body) // 2]).encoded()
    elif rule.kind == ENDLESS_PAGES:
        data = found._replace(body=_with_next_page(found.body, operation)).encoded()
    elif rule.kind == TRICKLE and found.body:
        await connection.send(data[: -len(found.body)])
        for index in range(len(found.body)):
            await asyncio.sleep(rule.seconds / len(found.body))
            await connection.send(found.body[index : index + 1])
        return
    await connection.send(data)


def _with_next_page(body: bytes, operation: Operation) -> bytes:
    """Add a token for the next page to a list, even to the last page.

    Each token is unique, but selects the first page again: the key in the token sorts before the keys of all items.
    """
    token = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().hex.encode())
    if operation.service in QUERY_SERVICES:
        page = b"<IsTruncated>true</IsTruncated><Marker>" + token + b"</Marker>"
        return _TRUNCATED.sub(page, body)
    if not operation.name.startswith("List") or b'"tags"' in body:
        return body
    return json.dumps({**json.loads(body), "nextToken": token.decode()}).encode()
