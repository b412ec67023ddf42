# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Send requests to the Kubernetes API from the process of a task, with the client and service layer of kubernetes.core.

Starting a module of kubernetes.core for each object would take much longer.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import hashlib
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.amazon.aws.plugins.module_utils.modules import aws_argument_spec

from ..module_utils._aws.eks_token import EksToken, TokenSource, regional_client
from ..module_utils._aws.transport import call_within
from ..module_utils._findings.text import with_option_names
from ..module_utils._identity.inputs.assume_role import ASSUME_ROLE_OPTIONS, read_assume_role
from ..module_utils._identity.inputs.role_variables import DEFAULTS
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.kubernetes.accounts.account_writes import format_diff
from ..module_utils._identity.kubernetes.api.api_errors import ApiError, parse_api_error, parse_response
from ..module_utils._identity.kubernetes.api.authentication import IDENTITY_OPTIONS, uses_eks_token
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
from ..module_utils._identity.model.cluster import ApiServer, CallerAccess, Cluster, certificate_digests
from ..module_utils._identity.model.errors import AwsError, InputError, sentence
from ..module_utils._identity.read.cluster import (
    read_caller,
    read_caller_access,
    read_eks_target,
    require_account,
)
from ._aws_clients import AwsClients, check_options, validate_arguments
from ._files import locate_files, write_private
from ._processes import each_within
from ._task import ActionTask

# The error message for a missing Python package or collection, or "".
MISSING = ""
try:
    from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s.client import get_api_client
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s.exceptions import CoreException
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s.runner import perform_action
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s.service import K8sService
    from kubernetes import config as client_config
    from kubernetes.client.exceptions import ApiException
    from kubernetes.config import ConfigException, exec_provider, kube_config, load_incluster_config
    from kubernetes.dynamic.exceptions import ResourceNotFoundError, ResourceNotUniqueError
    from urllib3.exceptions import HTTPError, InsecureRequestWarning
    from yaml import YAMLError
except ImportError as error:
    MISSING = f"the collection kubernetes.core cannot be used: {error}"
    if not str(error.name).startswith("ansible_collections."):
        MISSING = missing_required_lib("kubernetes")
else:
    # The exceptions for missing credentials, and for errors in a kubeconfig, a connection or a response.
    FAULTS: tuple[type[Exception], ...] = (
        ApiException,
        AwsError,
        CoreException,
        ConfigException,
        HTTPError,
        OSError,
        ResourceNotFoundError,
        ResourceNotUniqueError,
        ValueError,
    )


# The module_defaults for these modules of kubernetes.core also apply to the connection of the role.
KUBERNETES_MODULES = ("kubernetes.core.k8s_info", "kubernetes.core.k8s")
# The connection options of kubernetes.core that are variables of the role, with these variables. kubernetes.core reads other
# options from environment variables (K8S_AUTH_*, KUBECONFIG).
CONNECTION_VARIABLES = {"kubeconfig": "kubeconfig", "context": "kube_context"}
# The module_defaults for this module also apply to the requests of the role.
MODULE = "workload_identity.aws.eks_pod_identity"
# The variables of the role for requests to AWS.
AWS_VARIABLES = ("region", "profile", *ASSUME_ROLE_OPTIONS)
ELSEWHERE = (
    "this play has {how}, but requests to Kubernetes run on the controller, as the user who runs Ansible: set "
    "connection: local and become: false for the play, or ansible_connection: local and ansible_become: false for the host"
)
_now = partial(datetime.now, timezone.utc)
# The timeouts in seconds to connect, and to wait for the next part of a response. An API server ends a request after 60
# seconds, so the client waits slightly longer.
REQUEST_TIMEOUT = (10, 65)
# The time limit in seconds to read a list or to write one object, including API discovery and the client's retries.
LONGEST_CALL = 120.0
# A plugin that calls AWS takes some seconds. After a minute it usually waits for input, which the user cannot enter.
PLUGIN_SECONDS = 60.0
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
# The expected content of a response to API discovery, for error messages.
DESCRIPTION = "description of its resources"


@dataclass
class Access:
    """Access to the Kubernetes API with the connection options of the user.

    ``arguments`` are the options of kubernetes.core modules. kubernetes.core adds options from environment variables.
    """

    arguments: Mapping[str, Any]

    def token(self, _seconds: float, /) -> str | None:
        """Return a bearer token, or None if kubernetes.core authenticates with the options or the environment.

        :arg _seconds: the time for which the token must be valid. It is shorter if the AWS credentials expire earlier.
        :raises AwsError: when no token can be signed.
        """
        return None


class EksAccess(Access):
    """Access with the endpoint and the certificate authority of an EKS cluster, and with tokens signed for the cluster."""

    def __init__(self, arguments: Mapping[str, Any], target: Cluster, clients: AwsClients) -> None:
        server = {"host": target.endpoint, "ca_cert": write_authority(target), "validate_certs": True}
        super().__init__({**arguments, **server})
        self.target, self._clients = target, clients
        self._source = TokenSource(self._sign, _now)

    def token(self, seconds: float, /) -> str | None:
        return self._source.token(seconds).text

    def caller_access(self) -> CallerAccess | None:
        """Return facts about the caller and its EKS access entry that explain a response with status 401.

        Return None if sts:GetCallerIdentity fails.
        """
        return read_caller_access(
            self._clients.api,
            self.target,
            str(regional_client(self._clients.client).meta.endpoint_url),
            _now(),
        )

    def _sign(self) -> EksToken:
        return self._clients.sign_tokens([self.target.name], _now())[0]


def find_access(task: ActionTask, values: Mapping[str, Any], cluster: str) -> Access:
    """Choose how to access the Kubernetes API of an EKS cluster.

    If the variables or the environment specify a kubeconfig or another connection, use that connection. Otherwise use the
    endpoint of the EKS cluster and sign tokens. With ``kube_auth`` the user can require either of these two ways.

    :arg values: the result of ``read_role_variables``.
    :arg cluster: the name of the EKS cluster.
    :raises InputError: when the task would run on another machine or as another user, options contradict each other, or the
        role to assume is invalid.
    :raises AwsError: when AWS does not return the caller or the endpoint, or the credentials belong to another account.
    :raises AnsibleError: when an AWS option is invalid or boto3 is missing.
    """
    require_local(task)
    arguments = {option: values[name] for option, name in CONNECTION_VARIABLES.items() if values.get(name)}
    for module in KUBERNETES_MODULES:
        arguments = task.with_defaults(module, arguments)
    names = [name for name, value in arguments.items() if value]
    if not uses_eks_token(
        values.get("kube_auth", DEFAULTS["kube_auth"]), names, task.environment, os.environ
    ):
        return Access(arguments)
    options = {name: values[name] for name in AWS_VARIABLES if values.get(name) not in (None, "")}
    clients = clients_of_task(task, options)
    if account_id := values.get("account_id"):
        require_account(read_caller(clients.api), account_id, cluster, clients.region)
    return EksAccess(arguments, read_eks_target(clients.api, cluster, clients.region), clients)


def clients_of_task(task: ActionTask, connection_options: Mapping[str, Any]) -> AwsClients:
    """Return the factory of clients for a task. Call it inside ``ActionTask.in_environment``.

    :arg connection_options: the connection options. Options that are missing are added from the module_defaults for MODULE.
    :raises AnsibleError: when an option is invalid or boto3 is missing.
    :raises InputError: when the role to assume is invalid, or the options have both a profile and access keys.
    """
    arguments_set = {name: value for name, value in connection_options.items() if value is not None}
    arguments = task.with_defaults(MODULE, arguments_set)
    spec = aws_argument_spec()
    names = {alias for name, option in spec.items() for alias in (name, *option.get("aliases", ()))}
    options = validate_arguments(spec, {name: arguments[name] for name in names & arguments.keys()})
    return AwsClients(check_options(options, ROLE), read_assume_role(arguments, ROLE))


def require_local(task: ActionTask) -> None:
    """Check that the task runs on the controller and as the current user.

    :raises InputError: when the connection or ``become`` of the task would run modules on another machine or as another
        user.
    """
    transport = str(task.connection.transport)
    if transport != "local" or task.connection.become:
        how = "become: true" if transport == "local" else f"connection: {transport}"
        raise InputError([ELSEWHERE.format(how=how)])


def write_authority(target: Cluster) -> str:
    """Write the certificate authority of a cluster to a file, and return its path.

    Ansible deletes the file when Ansible exits.
    """
    pem = base64.b64decode(target.certificate_authority_data)
    path = Path(constants.DEFAULT_LOCAL_TMP, f"eks-authority-{hashlib.sha256(pem).hexdigest()[:16]}.crt")
    if not path.exists():
        write_private(str(path), pem.decode(errors="replace"))
    return str(path)


class ClientCluster:
    """The Kubernetes API of a cluster, for reads and writes of a task. The client is created at the first request.

    Lists and writes are repeated after transient errors. After the deadline only deletions of Jobs are sent, because the run
    deletes no Jobs but its own. Requests that were sent before the deadline are completed.

    :arg options: connection options of kubernetes.core modules. For missing options, the client reads environment variables.
    :arg access: the source of a bearer token, unless the options have credentials.
    :arg deadline: the time until which requests may be sent, or None.
    :arg force: whether to take over fields of other field managers, of all service accounts or of those that it names as
        "namespace/name".
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        access: Access,
        deadline: Deadline | None = None,
        *,
        force: bool | Sequence[str] = False,
        check_mode: bool = False,
        diff: bool = False,
    ) -> None:
        self._options, self.access, self._deadline = options, access, deadline
        self._force, self.check_mode, self.diff = force, check_mode, diff
        self._connected: Any = None
        self.clock = SystemClock(deadline)
        # The client caches API discovery in a file with a predictable name in the temporary folder. Another user could create
        # that file first, so use a folder that only the current user can access.
        tempfile.tempdir = constants.DEFAULT_LOCAL_TMP
        # The role warns once about an unverified certificate. The client would repeat the warning for every request.
        warnings.simplefilter("ignore", InsecureRequestWarning)

    def _client(self, *, late: bool = False) -> Any:
        """Return the client for the next request.

        :arg late: whether the request may be sent after the deadline.
        :raises TimeoutError: after the deadline.
        """
        if self._deadline and not late:
            self._deadline.check()
        if self._connected is None:
            token = self.access.token(LONGEST_CALL)
            if token is None:
                client = _create_client(self._options)
            else:
                # Empty options prevent the client from reading other credentials from environment variables.
                client = get_api_client(
                    **{**dict.fromkeys(IDENTITY_OPTIONS, ""), **self._options, "api_key": token}
                )
                # The client calls this hook before each request.
                client.configuration.refresh_api_key_hook = self._renew
            api = client.client.client
            # The service layer of kubernetes.core does not set a timeout.
            api.call_api = partial(_call_within_limit, api.call_api)
            self._connected = client
        return self._connected

    def _renew(self, configuration: Any) -> None:
        configuration.api_key["authorization"] = f"Bearer {self.access.token(LONGEST_CALL)}"

    def _find_resource(self, kind: str, api_version: str, *, late: bool = False) -> tuple[Any, Any]:
        """Return the client, and the client's object for a kind of resource from API discovery."""
        with _expect(DESCRIPTION):
            client = self._client(late=late)
            return client, client.resource(kind, api_version)

    def list_objects(self, query: Query) -> Listing:
        """List objects, with retries."""
        [listing] = send_patiently(lambda queries: [*map(self._list, queries)], [query], self.clock)
        return listing

    def _list(self, query: Query) -> Listing:
        try:
            return _parse_listing(call_within(LONGEST_CALL, partial(self._request, query)), query.kind)
        except FAULTS as error:
            return Listing(error=_parse_error(error))

    def _request(self, query: Query) -> bytes:
        client, resource = self._find_resource(query.kind, query.api_version)
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
        try:
            client, pods = call_within(LONGEST_CALL, partial(self._find_resource, "Pod", "v1"))
            return each_within(LONGEST_DRY_RUNS, partial(_try_pod, client, pods), manifests, AT_ONCE)
        except FAULTS as error:
            return [DryRun(error=_parse_error(error))] * len(manifests)

    def read_version(self) -> Object:
        try:
            with _expect(DESCRIPTION):
                return call_within(
                    LONGEST_CALL, lambda: as_mapping(self._client().client.version.get("kubernetes"))
                )
        except FAULTS:
            return {}

    def read_server(self) -> ApiServer:
        try:
            with _expect(DESCRIPTION):
                settings = call_within(LONGEST_CALL, self._client).configuration
            authorities = (
                Path(settings.ssl_ca_cert).read_text(encoding="utf-8") if settings.ssl_ca_cert else ""
            )
        except FAULTS:
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
        force = self._force
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
        send = partial(self._write_once, _Writer(self, options), late)
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

    def _write_once(self, writer: _Writer, late: bool, manifests: Sequence[Object]) -> Sequence[_Outcome]:
        """Write the objects once."""
        client = None
        try:
            if manifests and not writer.cause:
                client = call_within(LONGEST_CALL, partial(self._find_client, manifests, late))
        except FAULTS as error:
            return [writer.stop(error)] * len(manifests)
        write = partial(writer.write, client)
        # Without objects, the limit must not be 0, because it includes the start of a thread.
        return each_within(LONGEST_CALL * (len(manifests) or 1), write, manifests, AT_ONCE, GRACE)

    def _find_client(self, manifests: Sequence[Object], late: bool) -> Any:
        """Return the client for writes.

        Look up the kinds of the objects in the API first, so that the threads do not repeat the requests of the lookup.
        """
        for kind, api_version in {(as_text(item["kind"]), as_text(item["apiVersion"])) for item in manifests}:
            self._find_resource(kind, api_version, late=late)
        # Copy the client, because reads use the same client, and the setting dry_run must not apply to reads.
        client = copy.copy(self._client(late=late))
        client.dry_run = self.check_mode
        # The API server takes the field manager of a patch from the user agent. The default of the client is also that of other
        # tools, which would set a removed annotation again.
        client.client.client.user_agent = PATCH_MANAGER
        return client


class BoundedEnding:
    """The clean-up of an interrupted run. It takes at most ``CLEANUP_SECONDS`` to delete the objects that the run created.

    :arg tell: displays a line to the user.
    """

    def __init__(self, cluster: KubernetesCluster, tell: Callable[[str], None]) -> None:
        self._cluster, self.tell = cluster, tell

    def remove(self, manifests: Sequence[Object]) -> WriteResult:
        try:
            return call_within(CLEANUP_SECONDS, partial(self._cluster.remove, manifests))
        except TimeoutError as error:
            late = ApiError(0, str(error))
            return WriteResult(refused=dict.fromkeys(range(len(manifests)), late), error=late)


def connect(
    task: ActionTask,
    access: Access,
    force: bool | Sequence[str] = False,
    deadline: Deadline | None = None,
) -> ClientCluster:
    """Return the interface to the Kubernetes API for a task, without sending a request.

    :arg access: the connection options and the source of the token.
    :arg force: whether to take over fields of other field managers; see ``ClientCluster``.
    :arg deadline: the time until which requests may be sent, or None.
    :raises AnsibleError: when a kubeconfig, a Python package or kubernetes.core is missing.
    :raises InputError: when module_defaults are invalid, or the task would run on another machine.
    """
    if MISSING:
        raise AnsibleError(MISSING)
    require_local(task)
    options = read_client_options(access.arguments)
    if isinstance(options.get("kubeconfig"), str):
        options["kubeconfig"] = _decrypted(task, options["kubeconfig"])
    return ClientCluster(
        options,
        access,
        deadline,
        force=force,
        check_mode=task.check_mode,
        diff=bool(task.keywords.diff),
    )


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

    :arg options: returns the options of kubernetes.core.k8s for an object.
    """

    def __init__(self, cluster: ClientCluster, options: Callable[[Object], Mapping[str, Any]]) -> None:
        self._cluster, self._options = cluster, options
        self.cause: ApiError | None = None

    def write(self, client: Any, manifest: Object) -> _Outcome:
        if self.cause:
            text = f"not started, because another write failed: {sentence(self.cause.text)}"
            return _Outcome(error=ApiError(0, text), cause=self.cause)
        try:
            self._cluster.access.token(LONGEST_CALL)
        except AwsError as error:
            return self.stop(error)
        definition = copy.deepcopy(dict(manifest))
        # The service layer of kubernetes.core uses these members of a module. Its warnings are ignored, because the role reads
        # the objects after the writes and reports problems as findings.
        module = SimpleNamespace(
            params=self._options(manifest),
            check_mode=self._cluster.check_mode,
            _diff=self._cluster.diff,
            warn=lambda *_texts, **_more: None,
            deprecate=lambda *_texts, **_more: None,
        )
        perform = partial(perform_action, K8sService(client, module), definition, module.params)
        try:
            with _expect(as_text(definition["kind"])):
                result = call_within(LONGEST_CALL, perform)
        except TimeoutError as error:
            return self.stop(error)
        except FAULTS as error:
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


class _BoundedPlugin:
    """An exec plugin of a kubeconfig. The Kubernetes client would wait for it without a limit.

    :arg settings: the arguments of ``ExecProvider``.
    """

    def __init__(self, *settings: Any) -> None:
        self._plugin = exec_provider.ExecProvider(*settings)

    def run(self) -> Any:
        try:
            return call_within(PLUGIN_SECONDS, self._plugin.run)
        except TimeoutError as error:
            raise ConfigException(f"no credentials within {PLUGIN_SECONDS:g} seconds") from error


def _create_client(options: Mapping[str, Any]) -> Any:
    """Create a client for a kubeconfig or other options of the user.

    If an exec plugin of the kubeconfig fails, the Kubernetes client only logs the error, and continues without credentials.

    The client package reads the environment variable KUBECONFIG at import, before the environment of the task is set.
    Therefore the variable is passed as an option, if modules of kubernetes.core would use it.

    :raises CoreException: when an exec plugin fails or does not end.
    """
    file = os.environ.get("KUBECONFIG")
    if file and not os.environ.get("K8S_AUTH_KUBECONFIG"):
        try:
            load_incluster_config()
        except ConfigException:
            options = {"kubeconfig": file, **options}
    kube_config.ExecProvider = _BoundedPlugin
    client_config.load_kube_config = _load_kubeconfig
    logging.getLogger().addFilter(_raise_error)
    try:
        return get_api_client(**options)
    finally:
        logging.getLogger().removeFilter(_raise_error)


def _load_kubeconfig(**options: Any) -> None:
    """Load a kubeconfig. Raise ConfigException for other content, for which the client has no exception of its own."""
    try:
        kube_config.load_kube_config(**options)
    except (AttributeError, KeyError, TypeError, ValueError, YAMLError) as error:
        raise ConfigException(
            f"{options.get('config_file') or kube_config.KUBE_CONFIG_DEFAULT_LOCATION} is not a valid kubeconfig: "
            f"{' '.join(str(error).split())}"
        ) from error


def _raise_error(record: logging.LogRecord) -> bool:
    """Filter the log records of the Kubernetes client: raise the error of an exec plugin."""
    if record.funcName == "_load_from_exec_plugin":
        text = " ".join(record.getMessage().split())
        raise ConfigException(f"exec plugin: {text.removeprefix('exec plugin: ')}")
    return True


def _call_within_limit(call_api: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """Send a request with a timeout."""
    return call_api(
        *arguments, **{**more, "_request_timeout": more.get("_request_timeout") or REQUEST_TIMEOUT}
    )


def read_client_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Select the connection options from the options of a module of kubernetes.core, and validate them.

    :raises InputError: when an option is invalid.
    """
    names = {alias for name, option in AUTH_ARG_SPEC.items() for alias in (name, *option.get("aliases", ()))}
    checked = ArgumentSpecValidator(AUTH_ARG_SPEC).validate(
        {name: value for name, value in options.items() if name in names}
    )
    if checked.error_messages:
        raise InputError([f"module_defaults of kubernetes.core: {text}" for text in checked.error_messages])
    return {
        name: value
        for name, value in checked.validated_parameters.items()
        if name in AUTH_ARG_SPEC and value is not None
    }


def _decrypted(task: ActionTask, kubeconfig: str) -> str:
    """Find and decrypt kubeconfig files, and return their paths joined by ``os.pathsep``.

    :raises AnsibleError: when a file does not exist, or cannot be decrypted.
    """
    try:
        files = [*filter(None, kubeconfig.split(os.pathsep))]
        paths = locate_files(files, {"playbook_dir": task.loader.get_basedir()})
        return os.pathsep.join(map(task.loader.get_real_file, paths))
    except (AnsibleError, InputError) as error:
        # Ansible adds advice that is only for modules to its message about a missing file.
        raise AnsibleError(f"kubeconfig: {str(error).splitlines()[0]}") from None


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
    except FAULTS as error:
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
    with contextlib.suppress(ValueError):
        if isinstance(items := as_mapping(json.loads(answer)).get("items"), list):
            return Listing(as_objects(items))
    text = f"the response with status 200 is not from the Kubernetes API: no list of {kind}"
    return Listing(error=ApiError(0, text))


def _parse_error(error: Exception) -> ApiError:
    """Convert an exception to an ApiError, preferably from the response of the API. An AwsError means that there is no token."""
    if isinstance(error, AwsError):
        message = f"no token for the cluster: {sentence(str(error))} {error.remedy}"
        return ApiError(0, str(with_option_names(message, ROLE)))
    answer = error if isinstance(error, ApiException) else error.__cause__
    if isinstance(answer, ApiException):
        body = answer.body.decode(errors="replace") if isinstance(answer.body, bytes) else answer.body
        header = (answer.headers or {}).get("Retry-After")
        return parse_response(int(answer.status or 0), str(body or answer.reason or ""), str(header or ""))
    return parse_api_error(str(error))
