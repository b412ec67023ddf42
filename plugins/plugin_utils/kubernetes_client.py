# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.


"""Read Kubernetes in the controller's own process, with the client of kubernetes.core: no module has to start."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ansible import constants
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible_sentence
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
    parse_api_error,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.authentication import (
    IDENTITY_OPTIONS,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
    Query,
    Trial,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
    mapping_of,
    member,
    objects_of,
    text_of,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    ApiServer,
    digests_of,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.plugin_utils.bounds import (
    each_within,
    within,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.exec_plugins import bound_plugins
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_access import (
    Access,
    GivenAccess,
    no_token_message,
)

try:
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s.client import get_api_client
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s.exceptions import CoreException
    from kubernetes.client.exceptions import ApiException
    from kubernetes.config import ConfigException, load_incluster_config
    from kubernetes.dynamic.exceptions import ResourceNotFoundError, ResourceNotUniqueError
    from urllib3.exceptions import HTTPError, InsecureRequestWarning
    from yaml import YAMLError
except ImportError:
    HAS_CLIENT = False
else:
    HAS_CLIENT = True
    # What a kubeconfig, a connection or an answer can be wrong with.
    FAULTS: tuple[type[Exception], ...] = (
        CoreException,
        ConfigException,
        HTTPError,
        OSError,
        ResourceNotFoundError,
        ResourceNotUniqueError,
        ValueError,
        YAMLError,
    )


# Seconds to connect, and between two pieces of an answer: an API server itself gives up after 60.
REQUEST_TIMEOUT = (10, 65)
# Seconds for a whole answer, discovery and the client's own retries among it.
LONGEST_CALL = 120.0
# Dry runs that are under way at once, and seconds for all of them together.
TRIALS_AT_ONCE = 8
LONGEST_TRIALS = 180.0


class ClientReader:
    """One connection for all reads of a task, made with the first of them.

    ``options`` are those of kubernetes.core's modules; what they do not say is in variables of the process. ``access`` gives
    the token, where the options do not say who asks.
    """

    def __init__(self, options: Mapping[str, Any], access: Access | None = None) -> None:
        self._options = options
        self._access = access or GivenAccess({})
        self._client: Any = None
        # The client takes the description of an API from a file of a known name in the folder for temporary files, whoever
        # wrote it.
        tempfile.tempdir = constants.DEFAULT_LOCAL_TMP
        bound_plugins()

    def list_objects(self, query: Query) -> Listing:
        try:
            return _listing_of(within(LONGEST_CALL, partial(self._ask, query)), query.kind)
        except ApiException as error:
            return Listing(error=_answered(error))
        except FAULTS as error:
            return Listing(error=_fault(error))

    def _ask(self, query: Query) -> bytes:
        with _described():
            client = self._connected()
            resource = client.resource(query.kind, query.api_version)
        response = client.get(
            resource,
            namespace=query.namespace or None,
            label_selector=",".join(query.label_selectors),
            field_selector=",".join(query.field_selectors),
            # Thousands of objects are not to be wrapped one by one.
            serialize=False,
            _request_timeout=REQUEST_TIMEOUT,
        )
        return bytes(response.data)

    def try_pods(self, manifests: Sequence[Object]) -> list[Trial]:
        end = time.monotonic() + LONGEST_TRIALS
        try:
            client, pods = within(LONGEST_TRIALS, self._pods)
            try_pod = partial(_try_pod, client, pods)
            return each_within(end - time.monotonic(), try_pod, manifests, TRIALS_AT_ONCE)
        except FAULTS as error:
            return [Trial(error=_fault(error))] * len(manifests)

    def _pods(self) -> tuple[Any, Any]:
        with _described():
            client = self._connected()
            return client, client.resource("Pod", "v1")

    def read_version(self) -> Object:
        try:
            with _described():
                return within(
                    LONGEST_CALL, lambda: mapping_of(self._connected().client.version.get("kubernetes"))
                )
        except (ApiException, *FAULTS):
            return {}

    def read_server(self) -> ApiServer:
        try:
            with _described():
                settings = self._connected().configuration
            authorities = (
                Path(settings.ssl_ca_cert).read_text(encoding="utf-8") if settings.ssl_ca_cert else ""
            )
        except (ApiException, *FAULTS):
            return ApiServer()
        return ApiServer(str(settings.host or ""), digests_of(authorities), bool(settings.verify_ssl))

    def _connected(self) -> Any:
        if self._client is None:
            # The role says it once, in a sentence; this would be said with every request.
            warnings.simplefilter("ignore", InsecureRequestWarning)
            token = self._token()
            if token is None:
                self._client = get_api_client(**{**_named_kubeconfig(), **self._options})
            else:
                # What is empty is not looked for in variables of the process.
                unnamed = dict.fromkeys(IDENTITY_OPTIONS, "")
                self._client = get_api_client(**{**unnamed, **self._options, "api_key": token})
                # The client calls it before each request.
                self._client.configuration.refresh_api_key_hook = self._renew
        return self._client

    def _renew(self, configuration: Any) -> None:
        configuration.api_key["authorization"] = f"Bearer {self._token()}"

    def _token(self) -> str | None:
        try:
            return self._access.token(LONGEST_CALL)
        except AwsError as error:
            raise CoreException(no_token_message(error)) from error


def _named_kubeconfig() -> dict[str, str]:
    """Return the option for the file in KUBECONFIG, where kubernetes.core's modules would use that file. Its client reads the
    variable when it is imported, before the task has its environment."""
    file = os.environ.get("KUBECONFIG")
    if not file or os.environ.get("K8S_AUTH_KUBECONFIG"):
        return {}
    with contextlib.suppress(ConfigException):
        load_incluster_config()
        return {}
    return {"kubeconfig": file}


def _try_pod(client: Any, pods: Any, manifest: Object) -> Trial:
    try:
        response = client.create(
            pods,
            dict(manifest),
            namespace=text_of(member(manifest, "metadata").get("namespace")),
            dry_run="All",
            serialize=False,
            # A connection of its own: behind the endpoint are several API servers, and each connection leads to one.
            header_params={"Connection": "close"},
            _request_timeout=REQUEST_TIMEOUT,
        )
        pod = mapping_of(json.loads(response.data))
    except ApiException as error:
        return Trial(error=_answered(error))
    except FAULTS as error:
        return Trial(error=_fault(error))
    if pod.get("kind") != "Pod":
        return Trial(error=ApiError(0, "what answered is not the Kubernetes API: no Pod"))
    return Trial(pod)


@contextlib.contextmanager
def _described() -> Iterator[None]:
    """The client asks the API for a description of itself, and looks for its members in a web page as well."""
    try:
        yield
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            "what answered 200 is not the Kubernetes API: no description of its resources"
        ) from error


def _listing_of(answer: bytes, kind: str) -> Listing:
    """A proxy may answer a page of its own with 200; that is no empty list."""
    try:
        items = mapping_of(json.loads(answer)).get("items")
    except ValueError:
        items = None
    if not isinstance(items, list):
        return Listing(error=ApiError(0, f"what answered 200 is not the Kubernetes API: no list of {kind}"))
    return Listing(objects_of(items))


def _fault(error: Exception) -> ApiError:
    if isinstance(error, YAMLError):
        return ApiError(0, visible_sentence(f"Invalid kube-config file: {' '.join(str(error).split())}"))
    return parse_api_error(str(error))


def _answered(error: ApiException) -> ApiError:
    """What the API said itself, without the headers around it."""
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body or "")
    parsed = parse_api_error(body or str(error.reason or ""))
    header = str((error.headers or {}).get("Retry-After") or "")
    return replace(
        parsed,
        status=int(error.status or 0),
        retry_after=int(header) if header.isdecimal() else parsed.retry_after,
    )
