# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A bearer token for an EKS cluster: a presigned STS request, created without a request.

It equals the output of ``aws eks get-token``: ``k8s-aws-v1.`` and, in base64 for URLs without padding, the URL of
GetCallerIdentity, presigned for 60 seconds, whose signature covers the header ``x-k8s-aws-id`` with the cluster's name.
EKS accepts it for 15 minutes from its date on, whatever the URL specifies, as long as the credentials are valid.
Source: aws-iam-authenticator, "API Authorization from Outside a Cluster".
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

from .client import as_aws_error

# The creator of the client has checked that it is installed.
with contextlib.suppress(ImportError):
    from botocore.exceptions import BotoCoreError

TOKEN_PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
URL_SECONDS = 60
# One minute less than EKS accepts, for latency and clock skew.
LIFETIME = timedelta(minutes=14)
GLOBAL_ENDPOINT = "https://sts.amazonaws.com"


@dataclass(frozen=True, slots=True)
class EksToken:
    """A bearer token. ``text`` is secret. ``expires_at`` is the time until which to use it, in UTC."""

    text: str = field(repr=False)
    expires_at: datetime


def sign_token(client: Any, cluster: str, now: datetime, credentials_end: datetime | None = None) -> EksToken:
    """Return a token for a cluster.

    :arg client: a boto3 STS client in the cluster's region.
    :arg credentials_end: the time when its credentials expire, and the token with them.
    :raises AwsError: without credentials.
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
    """Return an STS client with a regional endpoint, even if botocore is configured for the global one."""
    client = make_client("sts")
    if client.meta.endpoint_url != GLOBAL_ENDPOINT:
        return client
    return make_client("sts", endpoint=f"https://sts.{client.meta.region_name}.amazonaws.com")


def _add_cluster(cluster: str, request: Any, **_others: Any) -> None:
    request.headers[CLUSTER_HEADER] = cluster


class TokenSource:
    """A thread-safe cache of the token for one cluster."""

    def __init__(self, sign: Callable[[], EksToken], now: Callable[[], datetime]) -> None:
        self._sign, self._now = sign, now
        self._token: EksToken | None = None
        self._lock = threading.Lock()

    def token(self, seconds: float = 0.0) -> EksToken:
        """Return a token that is valid for ``seconds`` more, if the credentials permit. Raises AwsError."""
        with self._lock:
            valid_until = self._now() + timedelta(seconds=seconds)
            if self._token is None or self._token.expires_at <= valid_until:
                self._token = self._sign()
            return self._token
