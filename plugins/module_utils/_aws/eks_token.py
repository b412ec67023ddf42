# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sign bearer tokens for the Kubernetes API of an EKS cluster, in the format of ``aws eks get-token``.

A token is ``k8s-aws-v1.`` followed by a presigned URL of STS GetCallerIdentity, in URL-safe base64 without padding. The
signature covers the header ``x-k8s-aws-id`` with the name of the cluster. Signing itself sends no request. The URL has a lifetime
of 60 seconds, but EKS accepts a token for 15 minutes after signing, as long as the credentials are valid. Source:
aws-iam-authenticator, "API Authorization from Outside a Cluster".
"""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from .errors import as_aws_error

# Callers pass a boto3 client, so botocore is installed when the functions of this file run.
with contextlib.suppress(ImportError):
    from botocore.exceptions import BotoCoreError

TOKEN_PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
URL_SECONDS = 60
# EKS accepts a token for 15 minutes. A token is used for one minute less, to allow for latency and clock skew.
LIFETIME = timedelta(minutes=14)
GLOBAL_ENDPOINT = "https://sts.amazonaws.com"


@dataclass(frozen=True, slots=True)
class EksToken:
    """A bearer token. ``text`` is secret and therefore not in ``repr``. Do not use the token after ``expires_at`` (UTC)."""

    text: str = field(repr=False)
    expires_at: datetime


def sign_token(client: Any, cluster: str, now: datetime, credentials_end: datetime | None = None) -> EksToken:
    """Sign a token for a cluster.

    :arg client: a boto3 STS client in the region of the cluster.
    :arg cluster: the name of the cluster.
    :arg now: the current time in UTC.
    :arg credentials_end: the time when the credentials of the client expire, or None. A token does not outlive them.
    :raises AwsError: when the credentials of the client are missing, or cannot be refreshed.
    """
    events = client.meta.events
    name = "before-sign.sts.GetCallerIdentity"
    add = partial(_add_cluster, cluster)
    events.register(name, add)
    try:
        url = client.generate_presigned_url(
            "get_caller_identity", Params={}, ExpiresIn=URL_SECONDS, HttpMethod="GET"
        )
    except BotoCoreError as error:
        raise as_aws_error(error, "sts", "GetCallerIdentity") from error
    finally:
        events.unregister(name, add)
    text = base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
    ends = now + LIFETIME
    return EksToken(f"{TOKEN_PREFIX}{text}", min(ends, credentials_end) if credentials_end else ends)


def regional_client(make_client: Callable[..., Any]) -> Any:
    """Create an STS client. If botocore is configured to use the global endpoint, use a regional endpoint instead.

    :arg make_client: returns a boto3 client for a service. The optional argument ``endpoint`` is the URL of the endpoint.
    """
    client = make_client("sts")
    if client.meta.endpoint_url != GLOBAL_ENDPOINT:
        return client
    return make_client("sts", endpoint=f"https://sts.{client.meta.region_name}.amazonaws.com")


def _add_cluster(cluster: str, request: Any, **_others: Any) -> None:
    request.headers[CLUSTER_HEADER] = cluster


class TokenSource:
    """A thread-safe cache of the token for one cluster.

    :arg sign: returns a new token; it may raise AwsError.
    :arg now: returns the current time in UTC.
    """

    def __init__(self, sign: Callable[[], EksToken], now: Callable[[], datetime]) -> None:
        self._sign, self._now = sign, now
        self._token: EksToken | None = None
        self._lock = threading.Lock()

    def token(self, seconds: float = 0.0) -> EksToken:
        """Return the cached token if it is valid for more than ``seconds`` from now, otherwise a new token.

        A new token may be valid for a shorter time if the credentials expire earlier.

        :raises AwsError: when signing fails.
        """
        with self._lock:
            valid_until = self._now() + timedelta(seconds=seconds)
            if self._token is None or self._token.expires_at <= valid_until:
                self._token = self._sign()
            return self._token
