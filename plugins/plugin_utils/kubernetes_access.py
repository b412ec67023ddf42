# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""What reaches the Kubernetes API: options that were given, or a token for the EKS cluster that renews itself."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ansible import constants
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.eks_token import (
    LIFETIME,
    EksToken,
    TokenSource,
    regional_client,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import with_option_names
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import ROLE
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.authentication import (
    IDENTITY_VARIABLES,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    CallerAccess,
    EksTarget,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    sentence,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import (
    read_caller_access,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.aws_clients import AwsClients
from ansible_collections.workload_identity.aws.plugins.plugin_utils.files import write_private
from ansible_collections.workload_identity.aws.plugins.plugin_utils.process_environment import variables


class Access(Protocol):
    """How kubernetes.core's modules and its client reach the API. ``longest`` is for how many seconds at once.

    ``arguments`` are options of the modules, and never hold a secret of ours: what a module is given is in a file, in its
    result and on the screen.
    """

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Options of kubernetes.core's modules."""

    @property
    def longest(self) -> float:
        """Seconds."""

    def token(self, seconds: float, /) -> str | None:
        """A bearer token that is good for so long; None where the options say who asks. Raises AwsError."""

    def lent(self, seconds: float, /) -> contextlib.AbstractContextManager[None]:
        """While it lasts, a module that starts here finds what it needs. Raises AwsError."""


class GivenAccess:
    """By the options of CONNECTION_SPEC that were given; what is left out is for kubernetes.core to find."""

    longest = float("inf")

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.arguments = arguments

    def token(self, _seconds: float, /) -> str | None:
        return None

    def lent(self, _seconds: float, /) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


class EksAccess:
    """By endpoint and certificate authority that EKS tells, and a token for that cluster.

    A module gets the token as a variable of its process, which no file, log or result shows.
    """

    longest = LIFETIME.total_seconds()

    def __init__(self, target: EksTarget, clients: AwsClients) -> None:
        self.target, self._clients = target, clients
        self._source = TokenSource(self._sign, _now)
        self.arguments: Mapping[str, Any] = {
            "host": target.endpoint,
            "ca_cert": write_authority(target),
            "validate_certs": True,
        }

    def token(self, seconds: float, /) -> str | None:
        return self._source.token(seconds).text

    @contextlib.contextmanager
    def lent(self, seconds: float, /) -> Iterator[None]:
        others: dict[str, str | None] = dict.fromkeys(IDENTITY_VARIABLES)
        with variables({**others, "K8S_AUTH_API_KEY": self.token(seconds)}):
            yield

    def caller_access(self) -> CallerAccess | None:
        """Who was not known to the API, and what EKS says of them."""
        url = regional_client(self._clients.client).meta.endpoint_url
        return read_caller_access(self._clients.api, self.target, str(url), _now())

    def _sign(self) -> EksToken:
        [token] = self._clients.sign_tokens([self.target.name], _now())
        return token


def no_token_message(error: AwsError) -> str:
    message = f"no token for the cluster: {sentence(str(error))} {error.remedy}"
    return str(with_option_names(message, ROLE))


def write_authority(target: EksTarget) -> str:
    """The path of a file with the certificate authority, which is no secret. It lives as long as this run of Ansible."""
    pem = base64.b64decode(target.authority)
    name = f"eks-authority-{hashlib.sha256(pem).hexdigest()[:16]}.crt"
    path = Path(constants.DEFAULT_LOCAL_TMP) / name
    if not path.exists():
        write_private(str(path), pem.decode(errors="replace"))
    return str(path)


_now = partial(datetime.now, timezone.utc)
