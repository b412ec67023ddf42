# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What Kubernetes did of a plan, and what it refused, object by object. Pure.

Source: kubernetes.core.k8s with continue_on_error, which returns an object of its own with ``error`` for
each definition, under ``result.results`` when there are several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._findings.codes import Code
from ..model.messages import sentence
from .api_errors import said
from .service_accounts import key_of

Row = Mapping[str, Any]

ERROR_CODE = Code.KUBERNETES_REFUSED
_REMEDY = "Resolve that and run again, which takes up only what is missing."


def carried_out(
    plan: Row, applied: Row, purged: Row, removes: bool = False
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The plan without what was refused, and the failures of that.

    ``applied`` is the result for ``definitions`` and ``waiting``, ``purged`` that for ``stale``; empty when
    nothing was to be done. ``removes`` says that the definitions were to be removed.
    """
    done = dict(plan)
    failures: list[dict[str, Any]] = []
    wanted = [("definitions", item) for item in plan.get("definitions", ())]
    wanted += [("waiting", item) for item in plan.get("waiting", ())]
    stale = [("stale", item) for item in plan.get("stale", ())]
    for items, result, action in (
        (wanted, applied, "remove" if removes else "apply"),
        (stale, purged, "remove"),
    ):
        for (part, item), one in zip(items, _results(result), strict=False):
            if "error" in one:
                done[part] = [other for other in done[part] if other is not item]
                failures.append(_failure(item, action, str(one["error"].get("msg") or "")))
    return done, failures


def _results(result: Row) -> Sequence[Row]:
    """One for each definition."""
    several = (result.get("result") or {}).get("results")
    return [result] if several is None else list(several)


def _failure(item: Row, action: str, error: str) -> dict[str, Any]:
    namespace, name = key_of(item)
    kind = str(item["kind"])
    code, words = said(error)
    answer = f"Kubernetes answered {code}: " if code else ""
    return {
        # Of a namespace, all its workloads.
        "workload": f"{namespace}/{name}" if kind == "ServiceAccount" else "",
        "resource": kind,
        "name": "/".join(part for part in (namespace, name) if part),
        "action": action,
        "error_code": ERROR_CODE,
        "message": f"{answer}{sentence(words)}",
        "remedy": _REMEDY,
    }
