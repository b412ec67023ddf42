# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""The cluster as a task writes it: by modules of kubernetes.core, several at once where there is much to write."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
    parse_api_error,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    ClusterReader,
    Listing,
    Query,
    Trial,
    Written,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    FIELD_MANAGER,
    Object,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import ApiServer
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    sentence,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.forks import Lost, run_in_forks
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_access import (
    Access,
    no_token_message,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_modules import (
    APPLY,
    parts_of,
    run_module,
    seconds_for,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_results import written_of

NOT_BEGUN = "not begun, as another part of the work ended early: {cause}"


class TaskCluster:
    """With ``force`` fields of other field managers are taken over. ``width`` is how many modules may write at once."""

    def __init__(
        self,
        caller: ActionBase,
        access: Access,
        variables: Mapping[str, Any],
        reader: ClusterReader,
        force: bool = False,
        width: int = 1,
    ) -> None:
        self._caller, self._access, self._variables = caller, access, variables
        self._reader, self._force, self._width = reader, force, width

    def list_objects(self, query: Query) -> Listing:
        return self._reader.list_objects(query)

    def read_version(self) -> Object:
        return self._reader.read_version()

    def read_server(self) -> ApiServer:
        return self._reader.read_server()

    def try_pods(self, manifests: Sequence[Object]) -> Sequence[Trial]:
        return self._reader.try_pods(manifests)

    def apply(self, manifests: Sequence[Object]) -> Written:
        """Service accounts, which others write as well, by server-side apply; it needs the permission to patch."""
        shared = [index for index, item in enumerate(manifests) if item["kind"] == "ServiceAccount"]
        others = [index for index, item in enumerate(manifests) if item["kind"] != "ServiceAccount"]
        written = Written()
        # Namespaces first, as service accounts go into them.
        for places, arguments in ((others, {}), (shared, self._server_side())):
            if places and written.error is None:
                done = self._write([manifests[index] for index in places], state="present", **arguments)
                refused = {places[index]: reason for index, reason in done.refused.items()}
                written = Written(
                    written.changed or done.changed,
                    dict(sorted({**written.refused, **refused}.items())),
                    done.error,
                    [*written.diffs, *done.diffs],
                )
        return written

    def _server_side(self) -> dict[str, Any]:
        return {
            "apply": True,
            "server_side_apply": {"field_manager": FIELD_MANAGER, "force_conflicts": self._force},
        }

    def patch(self, manifests: Sequence[Object]) -> Written:
        return self._write(manifests, state="patched")

    def remove(self, manifests: Sequence[Object]) -> Written:
        return self._write(manifests, state="absent", delete_options={"propagationPolicy": "Background"})

    def _write(self, manifests: Sequence[Object], **arguments: Any) -> Written:
        parts = parts_of(manifests, self._access.longest, self._width)
        calls = [self._ready(part, arguments) for part in parts]
        if len(parts) > 1 and self._width > 1:
            return _joined(parts, run_in_forks(self._caller, calls, self._width, _is_open))
        done: dict[int, Written | Lost] = {}
        for place, ready in enumerate(calls):
            with ready as call:
                done[place] = call()
            if _is_open(done[place]):
                break
        return _joined(parts, done)

    @contextlib.contextmanager
    def _ready(self, part: Sequence[Object], arguments: Mapping[str, Any]) -> Iterator[Callable[[], Written]]:
        """What writes a part, while it has what it needs. A process that does it is to ask AWS for nothing: it would do so by
        connections of this one."""
        with contextlib.ExitStack() as stack:
            call = partial(self._write_part, part, arguments)
            try:
                stack.enter_context(self._access.lent(seconds_for(part)))
            except AwsError as error:
                call = partial(Written, error=parse_api_error(no_token_message(error)))
            yield call

    def _write_part(self, manifests: Sequence[Object], arguments: Mapping[str, Any]) -> Written:
        whole = {
            **self._access.arguments,
            **arguments,
            "resource_definition": list(manifests),
            # What is refused is for the report to say; the others go on.
            "continue_on_error": True,
        }
        result = run_module(self._caller, APPLY, whole, self._variables, seconds_for(manifests))
        return written_of(result, manifests)


def _is_open(done: Written | Lost) -> bool:
    """Whether it is not known how far it got."""
    return isinstance(done, Lost) or done.error is not None


def _joined(parts: Sequence[Sequence[Object]], done: Mapping[int, Written | Lost]) -> Written:
    """What became of all parts together. Where one ended before its result, that is why its manifests count as refused; with
    no result at all it is the error of the whole."""
    errors = {place: _error_of(part) for place, part in done.items() if _is_open(part)}
    cause = next(iter(errors.values()), None)
    refused: dict[int, ApiError] = {}
    first = 0
    for place, part in enumerate(parts):
        written = done.get(place)
        places = range(first, first + len(part))
        if isinstance(written, Written) and written.error is None:
            refused |= {first + index: reason for index, reason in written.refused.items()}
        elif place in errors:
            refused |= dict.fromkeys(places, errors[place])
        elif cause:
            refused |= dict.fromkeys(places, ApiError(0, NOT_BEGUN.format(cause=sentence(cause.text))))
        first += len(part)
    results = [written for _place, written in sorted(done.items()) if isinstance(written, Written)]
    whole = cause if len(errors) == len(done) else None
    return Written(
        any(written.changed for written in results),
        {} if whole else refused,
        whole,
        [diff for written in results for diff in written.diffs],
    )


def _error_of(done: Written | Lost) -> ApiError:
    if isinstance(done, Written) and done.error is not None:
        return done.error
    return ApiError(0, f"{APPLY} {done.how}" if isinstance(done, Lost) else "")
