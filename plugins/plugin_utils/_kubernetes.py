# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Send requests to the Kubernetes API from the process of a task, with the client and service layer of kubernetes.core.

Starting a module of kubernetes.core for each object would take much longer.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..module_utils._findings.text import (
    visible,
    visible_sentence,
)
from ..module_utils._identity.kubernetes.accounts.account_writes import (
    format_diff,
)
from ..module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
    parse_api_error,
    parse_response,
)
from ..module_utils._identity.kubernetes.api.authentication import (
    IDENTITY_OPTIONS,
)
from ..module_utils._identity.kubernetes.api.cluster import (
    ApiResponse,
    Deadline,
    DryRun,
    KubernetesCluster,
    Listing,
    Query,
    SystemClock,
    WriteResult,
    is_transient,
    send_patiently,
)
from ..module_utils._identity.kubernetes.model.objects import (
    FIELD_MANAGER,
    Object,
    as_mapping,
    as_objects,
    as_text,
    member,
    object_name,
)
from ..module_utils._identity.model.cluster import (
    ApiServer,
    certificate_digests,
)
from ..module_utils._identity.model.errors import (
    AwsError,
    InputError,
    sentence,
)
from ._exec_plugins import bound_plugins
from ._kubernetes_access import (
    LIST,
    Access,
    no_token_message,
    require_local,
)
from ._processes import (
    alarm,
    each_within,
    run_within,
)
from ._task import ActionTask

# The error message for a missing Python package or collection, or "".
MISSING = ""
try:
    from kubernetes.client.exceptions import ApiException
    from kubernetes.config import ConfigException, load_incluster_config
    from kubernetes.dynamic.exceptions import ResourceNotFoundError, ResourceNotUniqueError
    from urllib3.exceptions import HTTPError, InsecureRequestWarning
    from yaml import YAMLError
except ImportError:
    MISSING = missing_required_lib("kubernetes")
else:
    try:
        from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
        from ansible_collections.kubernetes.core.plugins.module_utils.k8s.client import get_api_client
        from ansible_collections.kubernetes.core.plugins.module_utils.k8s.exceptions import CoreException
        from ansible_collections.kubernetes.core.plugins.module_utils.k8s.runner import perform_action
        from ansible_collections.kubernetes.core.plugins.module_utils.k8s.service import K8sService
        from ansible_collections.kubernetes.core.plugins.modules.k8s import argspec
    except ImportError as error:
        MISSING = f"the collection kubernetes.core cannot be used: {error}"
    else:
        # The exceptions for errors in a kubeconfig, a connection or a response.
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


# The timeouts in seconds to connect, and to wait for the next part of a response. An API server ends a request after 60
# seconds, so the client waits slightly longer.
REQUEST_TIMEOUT = (10, 65)
# The time limit in seconds to read a list or to write one object, including API discovery and the client's retries.
LONGEST_CALL = 120.0
# The field manager of patches. Server-side apply has another one, because its fields belong to the list of workloads.
PATCH_MANAGER = "workload-identity-patch"
# The time limit in seconds for deleting the objects that an interrupted run has created.
CLEANUP_SECONDS = 30.0
# The maximum number of concurrent requests.
AT_ONCE = 8
# The time limit in seconds for all dry runs of one call.
LONGEST_DRY_RUNS = 180.0
# When the task is interrupted, running writes may continue for this number of seconds.
GRACE = 5.0
# The module_defaults for this module of kubernetes.core also apply to writes.
APPLY = "kubernetes.core.k8s"
# The expected content of a response to API discovery, for error messages.
DESCRIPTION = "description of its resources"
NOT_STARTED = "not started, because another write failed: {cause}"


class Connection:
    """A connection to the Kubernetes API. Its client is created at the first request.

    :arg options: connection options of kubernetes.core modules. For missing options, the client reads environment variables.
    :arg access: the source of a bearer token, unless the options have credentials.
    :arg deadline: the time until which requests may be sent, or None.
    """

    def __init__(self, options: Mapping[str, Any], access: Access, deadline: Deadline | None = None) -> None:
        self._options, self._access, self._deadline = options, access, deadline
        self._client: Any = None

    def client(self, *, late: bool = False) -> Any:
        """Return the client for the next request.

        :arg late: whether the request may be sent after the deadline.
        :raises TimeoutError: after the deadline.
        """
        if self._deadline and not late:
            self._deadline.check()
        if self._client is None:
            token = self.token()
            if token is None:
                client = get_api_client(**{**_named_kubeconfig(), **self._options})
            else:
                # Empty options prevent the client from reading other credentials from environment variables.
                no_identity = dict.fromkeys(IDENTITY_OPTIONS, "")
                client = get_api_client(**{**no_identity, **self._options, "api_key": token})
                # The client calls this hook before each request.
                client.configuration.refresh_api_key_hook = self._renew
            _limit_requests(client)
            self._client = client
        return self._client

    def token(self) -> str | None:
        """Return a bearer token, or None if kubernetes.core authenticates without it (see ``Access.token``).

        :raises CoreException: when no token can be signed.
        """
        try:
            return self._access.token(LONGEST_CALL)
        except AwsError as error:
            raise CoreException(no_token_message(error)) from error

    def _renew(self, configuration: Any) -> None:
        configuration.api_key["authorization"] = f"Bearer {self.token()}"


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """The settings of writes.

    ``defaults`` has the module_defaults of kubernetes.core.k8s. ``force`` takes over fields of other field managers, of all
    service accounts or of those that it names as "namespace/name".
    """

    defaults: Mapping[str, Any] = field(default_factory=dict)
    force: bool | Sequence[str] = False
    check_mode: bool = False
    diff: bool = False


class ClientCluster:
    """The Kubernetes API of a cluster, for reads and writes of a task.

    Lists and writes are repeated after transient errors. After the deadline only deletions of Jobs are sent, because the run
    deletes no Jobs but its own. Requests that were sent before the deadline are completed.

    :arg reads: the connection for reads, with the module_defaults of kubernetes.core.k8s_info.
    :arg writes: the connection for writes, with the module_defaults of kubernetes.core.k8s. It may be the same connection as
        ``reads``.
    """

    def __init__(
        self, reads: Connection, writes: Connection, options: WriteOptions, deadline: Deadline | None = None
    ) -> None:
        self._reads, self._writes, self._options = reads, writes, options
        self.clock = SystemClock(deadline)
        # The client caches API discovery in a file with a predictable name in the temporary folder. Another user could create
        # that file first, so use a folder that only the current user can access.
        tempfile.tempdir = constants.DEFAULT_LOCAL_TMP
        bound_plugins()
        # The role warns once about an unverified certificate. The client would repeat the warning for every request.
        warnings.simplefilter("ignore", InsecureRequestWarning)

    def list_objects(self, query: Query) -> Listing:
        """List objects, with retries."""
        [listing] = send_patiently(lambda queries: [*map(self._list, queries)], [query], self.clock)
        return listing

    def _list(self, query: Query) -> Listing:
        try:
            return _parse_listing(run_within(LONGEST_CALL, partial(self._request, query)), query.kind)
        except (ApiException, *FAULTS) as error:
            return Listing(error=_parse_error(error))

    def _request(self, query: Query) -> bytes:
        client, resource = _find_resource(self._reads, query.kind, query.api_version)
        response = client.get(
            resource,
            namespace=query.namespace or None,
            label_selector=",".join(query.label_selectors),
            field_selector=",".join(query.field_selectors),
            # A list may have thousands of items, and the client is slow to create a wrapper object for each item.
            serialize=False,
        )
        return bytes(response.data)

    def dry_run_pods(self, manifests: Sequence[Object]) -> list[DryRun]:
        """Send the dry runs once, without retries, because the injection probe repeats them."""
        end = time.monotonic() + LONGEST_DRY_RUNS
        try:
            client, pods = run_within(LONGEST_DRY_RUNS, partial(_find_resource, self._reads, "Pod", "v1"))
            try_pod = partial(_try_pod, client, pods)
            return each_within(end - time.monotonic(), try_pod, manifests, AT_ONCE)
        except (ApiException, *FAULTS) as error:
            return [DryRun(error=_parse_error(error))] * len(manifests)

    def read_version(self) -> Object:
        try:
            with _expect(DESCRIPTION):
                return run_within(
                    LONGEST_CALL, lambda: as_mapping(self._reads.client().client.version.get("kubernetes"))
                )
        except (ApiException, *FAULTS):
            return {}

    def read_server(self) -> ApiServer:
        try:
            with _expect(DESCRIPTION):
                settings = run_within(LONGEST_CALL, self._reads.client).configuration
            authorities = (
                Path(settings.ssl_ca_cert).read_text(encoding="utf-8") if settings.ssl_ca_cert else ""
            )
        except (ApiException, *FAULTS):
            return ApiServer()
        return ApiServer(
            str(settings.host or ""), certificate_digests(authorities), bool(settings.verify_ssl)
        )

    def apply(self, manifests: Sequence[Object]) -> WriteResult:
        """Create or update the objects. Service accounts are applied server-side, because they have other field managers, too."""
        return self._write(manifests, self._apply_options)

    def _apply_options(self, manifest: Object) -> dict[str, Any]:
        if manifest["kind"] != "ServiceAccount":
            return {"state": "present"}
        force = self._options.force
        forces = force if isinstance(force, bool) else str(object_name(manifest)) in force
        settings = {"field_manager": FIELD_MANAGER, "force_conflicts": forces}
        return {"state": "present", "apply": True, "server_side_apply": settings}

    def patch(self, manifests: Sequence[Object]) -> WriteResult:
        return self._write(manifests, lambda _manifest: {"state": "patched"})

    def remove(self, manifests: Sequence[Object]) -> WriteResult:
        options = {"state": "absent", "delete_options": {"propagationPolicy": "Background"}}
        late = all(manifest["kind"] == "Job" for manifest in manifests)
        return self._write(manifests, lambda _manifest: options, late=late)

    def _write(
        self,
        manifests: Sequence[Object],
        options: Callable[[Object], Mapping[str, Any]],
        *,
        late: bool = False,
    ) -> WriteResult:
        """Write the objects concurrently, with retries.

        If every write has timed out or was not started, the result also has the error that caused this.

        :arg options: returns the options of kubernetes.core.k8s for an object.
        :arg late: whether the writes may be sent after the deadline.
        """
        outcomes: dict[int, _Outcome] = {}
        send = partial(self._send, _Writer(self._options, self._writes.token, options), late)
        # Create namespaces before the service accounts in them.
        for is_namespace in (True, False):
            indexes = [
                index for index, item in enumerate(manifests) if (item["kind"] == "Namespace") == is_namespace
            ]
            sent = send_patiently(send, [manifests[index] for index in indexes], self.clock)
            outcomes |= dict(zip(indexes, sent, strict=True))
        causes = [outcome.cause for outcome in outcomes.values()]
        return WriteResult(
            any(outcome.changed for outcome in outcomes.values()),
            {index: outcome.error for index, outcome in sorted(outcomes.items()) if outcome.error},
            causes[0] if causes and all(causes) else None,
            [outcome.diff for outcome in outcomes.values() if outcome.diff],
        )

    def _send(self, writer: _Writer, late: bool, manifests: Sequence[Object]) -> Sequence[_Outcome]:
        """Write the objects once."""
        kinds = {(as_text(item["kind"]), as_text(item["apiVersion"])) for item in manifests}
        client = None
        try:
            if kinds and not writer.cause:
                client = run_within(LONGEST_CALL, partial(self._find_client, kinds, late))
        except (ApiException, *FAULTS) as error:
            return [writer.stop(error)] * len(manifests)
        write = partial(writer.write, client)
        return each_within(LONGEST_CALL * len(manifests), write, manifests, AT_ONCE, GRACE)

    def _find_client(self, kinds: Collection[tuple[str, str]], late: bool) -> Any:
        """Return the client for writes.

        Look up ``kinds`` in the API first, so that the threads do not repeat the requests of the lookup.
        """
        for kind, api_version in kinds:
            _find_resource(self._writes, kind, api_version, late=late)
        # Copy the client, because reads may use the same client, and the setting dry_run must not apply to reads.
        client = copy.copy(self._writes.client(late=late))
        client.dry_run = self._options.check_mode
        # The API server takes the field manager of a patch from the user agent. The default of the client is also that of other
        # tools, which would set a removed annotation again.
        client.client.client.user_agent = PATCH_MANAGER
        return client


class BoundedEnding:
    """The clean-up of an interrupted run. It takes at most ``CLEANUP_SECONDS`` to delete the objects that the run created.

    :arg write: displays a line to the user.
    """

    def __init__(self, cluster: KubernetesCluster, write: Callable[[str], None]) -> None:
        self._cluster, self._write = cluster, write

    def remove(self, manifests: Sequence[Object]) -> WriteResult:
        try:
            with alarm(CLEANUP_SECONDS):
                return self._cluster.remove(manifests)
        except TimeoutError as error:
            late = ApiError(0, str(error))
            return WriteResult(refused=dict.fromkeys(range(len(manifests)), late), error=late)

    def tell(self, text: str) -> None:
        self._write(visible(text))


def connect(
    task: ActionTask,
    access: Access,
    force: bool | Sequence[str] = False,
    deadline: Deadline | None = None,
) -> ClientCluster:
    """Return the interface to the Kubernetes API for a task, without sending a request.

    :arg access: the connection options and the source of the token.
    :arg force: whether to take over fields of other field managers; see ``WriteOptions``.
    :arg deadline: the time until which requests may be sent, or None.
    :raises AnsibleError: when a kubeconfig, a Python package or kubernetes.core is missing.
    :raises InputError: when module_defaults are invalid, or the task would run on another machine.
    """
    if MISSING:
        raise AnsibleError(MISSING)
    require_local(task)
    reads = _client_options(task, LIST, access)
    writes = _client_options(task, APPLY, access)
    reading = Connection(reads, access, deadline)
    defaults = read_write_options(task.with_defaults(APPLY, access.arguments))
    options = WriteOptions(defaults, force, task.check_mode, bool(task.keywords.diff))
    writing = reading if writes == reads else Connection(writes, access, deadline)
    return ClientCluster(reading, writing, options, deadline)


class _Module:
    """A stand-in for a module, with the members that the service layer of kubernetes.core uses."""

    def __init__(self, settings: WriteOptions, options: Mapping[str, Any]) -> None:
        self.params = {**settings.defaults, **options}
        self.check_mode, self._diff = settings.check_mode, settings.diff

    def warn(self, *_texts: Any, **_more: Any) -> None:
        """Ignore a warning, because the role reads the objects after the writes and reports problems as findings."""

    deprecate = warn


@dataclass(frozen=True, slots=True)
class _Outcome(ApiResponse):
    """The result of one write.

    ``cause`` is the error of the write that timed out or had no credentials: this one, or another one because of which this
    one was not started.
    """

    changed: bool = False
    diff: Object | None = None
    cause: ApiError | None = None


class _Writer:
    """A writer of objects for concurrent use by several threads.

    After a write has timed out or had no credentials, the writer starts no further writes. ``cause`` is the first error of this
    kind.

    :arg ready: ensures that there are valid credentials for a request, or raises CoreException.
    :arg options: returns the options of kubernetes.core.k8s for an object.
    """

    def __init__(
        self,
        settings: WriteOptions,
        ready: Callable[[], object],
        options: Callable[[Object], Mapping[str, Any]],
    ) -> None:
        self._settings, self._ready, self._options = settings, ready, options
        self.cause: ApiError | None = None

    def write(self, client: Any, manifest: Object) -> _Outcome:
        if self.cause:
            text = NOT_STARTED.format(cause=sentence(self.cause.text))
            return _Outcome(error=ApiError(0, text), cause=self.cause)
        try:
            self._ready()
        except CoreException as error:
            return self.stop(error)
        definition = copy.deepcopy(dict(manifest))
        module = _Module(self._settings, self._options(manifest))
        perform = partial(perform_action, K8sService(client, module), definition, module.params)
        try:
            with _expect(as_text(definition["kind"])):
                result = run_within(LONGEST_CALL, perform)
        except TimeoutError as error:
            return self.stop(error)
        except (ApiException, *FAULTS) as error:
            return _Outcome(error=_parse_error(error))
        return _Outcome(
            bool(result.get("changed")), diff=format_diff(as_mapping(result.get("diff")), manifest)
        )

    def stop(self, error: Exception) -> _Outcome:
        """Return the outcome of a write that failed like all further ones would, and start no further writes.

        A transient error stops only the present writes, because they are repeated.
        """
        api_error = _parse_error(error)
        if not is_transient(api_error):
            self.cause = self.cause or api_error
        return _Outcome(error=api_error, cause=self.cause or api_error)


def read_client_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Select the connection options from the options of a module of kubernetes.core, and validate them.

    :raises InputError: when an option is invalid.
    """
    names = {alias for name, option in AUTH_ARG_SPEC.items() for alias in (name, *option.get("aliases", ()))}
    valid = _validated({name: value for name, value in options.items() if name in names})
    return {name: valid[name] for name in AUTH_ARG_SPEC if valid.get(name) is not None}


def read_write_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Validate the options of kubernetes.core.k8s, and return them without the options for the connection.

    :raises InputError: when an option is invalid.
    """
    return {name: value for name, value in _validated(options).items() if name not in AUTH_ARG_SPEC}


def _client_options(task: ActionTask, module: str, access: Access) -> dict[str, Any]:
    options = read_client_options(task.with_defaults(module, access.arguments))
    if isinstance(options.get("kubeconfig"), str):
        options["kubeconfig"] = _decrypted(task, options["kubeconfig"])
    return options


def _decrypted(task: ActionTask, kubeconfig: str) -> str:
    """Find and decrypt kubeconfig files as kubernetes.core does, and return their paths joined by ``os.pathsep``.

    :raises AnsibleError: when a file does not exist or cannot be decrypted.
    """
    paths = [_find_file(task, path) for path in kubeconfig.split(os.pathsep)]
    return os.pathsep.join(task.loader.get_real_file(path, decrypt=True) for path in paths)


def _find_file(task: ActionTask, path: str) -> str:
    try:
        return task.find_file(path)
    except AnsibleError as error:
        # In ansible-core before 2.19, the error message does not contain the path of the file.
        raise AnsibleError(f"Could not find or access '{path}' on the Ansible Controller.") from error


def _validated(options: Mapping[str, Any]) -> dict[str, Any]:
    checked = ArgumentSpecValidator(argspec()).validate(dict(options))
    if checked.error_messages:
        raise InputError([f"module_defaults of kubernetes.core: {text}" for text in checked.error_messages])
    return dict(checked.validated_parameters)


def _limit_requests(client: Any) -> None:
    """Set a timeout for each request, because the service layer of kubernetes.core does not set a timeout."""
    api = client.client.client
    call_api = api.call_api

    def call_within_limit(*arguments: Any, _request_timeout: Any = None, **more: Any) -> Any:
        return call_api(*arguments, _request_timeout=_request_timeout or REQUEST_TIMEOUT, **more)

    api.call_api = call_within_limit


def _find_resource(
    connection: Connection, kind: str, api_version: str, *, late: bool = False
) -> tuple[Any, Any]:
    """Return the client, and the client's object for a kind of resource from API discovery."""
    with _expect(DESCRIPTION):
        client = connection.client(late=late)
        return client, client.resource(kind, api_version)


def _named_kubeconfig() -> dict[str, str]:
    """Return the environment variable KUBECONFIG as an option, if modules of kubernetes.core would use the variable.

    The option is necessary, because the client package reads the variable at import, before the environment of the task is
    set.
    """
    file = os.environ.get("KUBECONFIG")
    if not file or os.environ.get("K8S_AUTH_KUBECONFIG"):
        return {}
    with contextlib.suppress(ConfigException):
        load_incluster_config()
        return {}
    return {"kubeconfig": file}


def _try_pod(client: Any, pods: Any, manifest: Object) -> DryRun:
    try:
        response = client.create(
            pods,
            dict(manifest),
            namespace=as_text(member(manifest, "metadata").get("namespace")),
            dry_run="All",
            serialize=False,
            # Use a new connection for each request, so that a load balancer can select another API server each time.
            header_params={"Connection": "close"},
        )
        pod = as_mapping(json.loads(response.data))
    except (ApiException, *FAULTS) as error:
        return DryRun(error=_parse_error(error))
    if pod.get("kind") != "Pod":
        return DryRun(error=ApiError(0, "the response is not from the Kubernetes API: no Pod"))
    return DryRun(pod)


@contextlib.contextmanager
def _expect(content: str) -> Iterator[None]:
    """Raise ValueError if the block fails because of an unexpected response, such as the web page of a proxy.

    :arg content: a description of the expected content, for the message.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"the response with status 200 is not from the Kubernetes API: no {content}"
        ) from error


def _parse_listing(answer: bytes, kind: str) -> Listing:
    """Parse a response with a list of objects. For other content, such as the web page of a proxy, return an error."""
    try:
        items = as_mapping(json.loads(answer)).get("items")
    except ValueError:
        items = None
    if not isinstance(items, list):
        return Listing(
            error=ApiError(
                0, f"the response with status 200 is not from the Kubernetes API: no list of {kind}"
            )
        )
    return Listing(as_objects(items))


def _parse_error(error: Exception) -> ApiError:
    """Convert an exception to an ApiError, preferably from the response of the API."""
    answer = error if isinstance(error, ApiException) else error.__cause__
    if isinstance(answer, ApiException):
        body = answer.body.decode(errors="replace") if isinstance(answer.body, bytes) else answer.body
        header = (answer.headers or {}).get("Retry-After")
        return parse_response(int(answer.status or 0), str(body or answer.reason or ""), str(header or ""))
    if isinstance(error, YAMLError):
        return ApiError(0, visible_sentence(f"Invalid kube-config file: {' '.join(str(error).split())}"))
    return parse_api_error(str(error))
