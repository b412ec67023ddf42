# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies in protobuf, as kubectl create sends them. Bytes are built here from the wire format."""

from __future__ import annotations

import pytest
from sandbox.kube.errors import ApiError
from sandbox.kube.protobuf import decode


def field(number: int, content: bytes | str) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    size, length = len(data), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def envelope(kind: str, raw: bytes, version: str = "v1") -> bytes:
    return b"k8s\x00" + field(1, field(1, version) + field(2, kind)) + field(2, raw)


def test_a_service_account_as_kubectl_sends_it() -> None:
    # Fields that are not optional come empty: generateName, namespace, creationTimestamp.
    meta = (
        field(1, "app")
        + field(2, "")
        + field(3, "")
        + field(8, b"")
        + field(11, field(1, "a") + field(2, "b"))
    )
    body = envelope("ServiceAccount", field(1, meta) + bytes([4 << 3, 0]))
    assert decode(body) == {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "app", "labels": {"a": "b"}},
        "automountServiceAccountToken": False,
    }


def test_a_secret_keeps_its_bytes() -> None:
    body = envelope("Secret", field(1, field(1, "s")) + field(2, field(1, "k") + field(2, b"\xff\x00")))
    assert decode(body)["data"] == {"k": "/wA="}


def test_long_fields() -> None:
    text = "x" * 300
    body = envelope("ConfigMap", field(1, field(1, "c")) + field(2, field(1, "k") + field(2, text)))
    assert decode(body)["data"] == {"k": text}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"{}", 400, id="no-magic"),
        pytest.param(b"k8s\x00\x0a\xff", 400, id="cut-off"),
        pytest.param(envelope("Gadget", b""), 415, id="unknown-kind"),
        pytest.param(envelope("Namespace", field(9, "something")), 415, id="unknown-field"),
    ],
)
def test_bodies_that_cannot_be_read(body: bytes, code: int) -> None:
    with pytest.raises(ApiError) as raised:
        decode(body)
    assert raised.value.code == code
