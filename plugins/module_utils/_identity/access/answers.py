# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Decide from the JSON of an access report which service accounts may perform an action on a resource."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..._findings.finding import WorkloadKey
from ..._policy.evaluation.evaluate import IMPLICIT_DENY, Layer
from ..._policy.evaluation.request import Subject
from ..._policy.evaluation.rules import Rule, build_rules
from ..._policy.language.context import PRESENT, Context
from ..._policy.language.document import parse_policy
from ..._policy.permissions.permissions import (
    IDENTITY,
    NOT_KNOWN,
    Holder,
    Holding,
    Required,
    pod_context,
    who_can,
)
from .report import REPORT_FORMAT, REPORT_KIND

_Row = Mapping[str, Any]


class NotAReport(ValueError):
    """The error for data that is not an access report, or whose format is not ``REPORT_FORMAT``."""


def validate_report(data: object) -> _Row:
    """Return ``data`` if it is an access report with the current format.

    :raises NotAReport: when it is not.
    """
    if not isinstance(data, Mapping) or data.get("kind") != REPORT_KIND:
        raise NotAReport("it is not a report from pod_identity_audit_json")
    if data.get("format") != REPORT_FORMAT:
        raise NotAReport(
            f"it has the format {data.get('format')}, and this version of the collection reads format {REPORT_FORMAT}"
        )
    return data


def answer_from_report(data: object, required: Required) -> list[Holding]:
    """Decide for each service account of a report whether its policies allow a permission.

    The results have the order of the service accounts in the report. After them, there is one unknown result for each cluster
    that could not be read.

    :raises NotAReport: when ``data`` is not an access report with the current format.
    """
    report = _Answers(validate_report(data))
    return [report.answer(row, required) for row in report.row["workloads"]] + report.unread_clusters(
        required
    )


@dataclass
class _Answers:
    """The report, with caches of compiled policies.

    The key of ``_layers`` is the number of a profile. The key of ``_rules`` is the number of a policy with its use: "identity",
    "boundary" or "session".
    """

    row: _Row
    _rules: dict[tuple[int, str], tuple[Rule, ...]] = field(default_factory=dict)
    _layers: dict[int, tuple[Layer, ...]] = field(default_factory=dict)

    def answer(self, workload: _Row, required: Required) -> Holding:
        name, access = self._name(workload), workload["access"]
        permission = f"{required.action} on {required.resource}"
        if access == "unknown":
            reason = str(workload["credentials"][0].get("why") or workload["winner"])
            message = f"It is not known whether {permission} is allowed: {reason}"
            return Holding(name, NOT_KNOWN, (), (), (reason,), message)
        if access == "none":
            message = f"{permission} is denied: the service account has no role that exists."
            return Holding(name, IMPLICIT_DENY, (), (), (), message)
        if access == "blocked":
            reason = next((entry.get("why", "") for entry in workload["credentials"] if "role" in entry), "")
            message = f"{permission} is denied: the service account cannot use its role. {reason}".rstrip()
            return Holding(name, IMPLICIT_DENY, (), (), (), message)
        holder = Holder(
            name, self._profile_layers(workload["profile"]), self.context(workload), self._unread(workload)
        )
        (holding,) = who_can([holder], required)
        return holding

    def unread_clusters(self, required: Required) -> list[Holding]:
        """Return an unknown decision for each cluster that could not be read, for all its service accounts."""
        permission = f"{required.action} on {required.resource}"
        return [
            Holding(
                f"{cluster['key']}/*",
                NOT_KNOWN,
                (),
                (),
                (str(cluster["key"]),),
                f"It is not known which service accounts of cluster {cluster['key']} are allowed {permission}, because "
                f"the cluster could not be read: {cluster['error']}",
            )
            for cluster in self.row["clusters"]
            if cluster.get("error")
        ]

    def context(self, workload: _Row) -> Context:
        """Return the condition keys of requests that a service account sends. Its credentials must include a role."""
        entry = next(entry for entry in workload["credentials"] if "role" in entry)
        role = self.row["roles"][entry.get("target", entry["role"])]
        cluster = self.row["clusters"][workload["cluster"]]
        is_pod_identity = entry["kind"] == "pod_identity"
        subject = Subject(
            cluster_arn=cluster["arn"],
            namespace=workload["namespace"],
            service_account=workload["service_account"],
            account_id=role["account"],
            partition=cluster["arn"].split(":")[1],
            role_arn=role["arn"],
            session_tags=is_pod_identity and entry.get("session_tags", True),
        )
        context = pod_context(subject, role.get("tags", {}))
        return context if is_pod_identity else context.assume({"aws:federatedprovider": PRESENT})

    def _name(self, workload: _Row) -> str:
        key = WorkloadKey("", workload["namespace"], workload["service_account"])
        clusters: Sequence[_Row] = self.row["clusters"]
        return f"{clusters[workload['cluster']]['key']} {key}" if len(clusters) > 1 else str(key)

    def _profile_layers(self, number: int) -> tuple[Layer, ...]:
        if number not in self._layers:
            self._layers[number] = tuple(self._build_layers(self.row["profiles"][number]))
        return self._layers[number]

    def _build_layers(self, profile: _Row) -> Iterator[Layer]:
        identity = [rule for number in profile["policies"] for rule in self._policy_rules(number, "identity")]
        yield Layer(IDENTITY, tuple(identity))
        for kind in ("boundary", "session"):
            if kind in profile:
                name = self.row["policies"][profile[kind]]["name"]
                yield Layer(name, self._policy_rules(profile[kind], kind))

    def _policy_rules(self, number: int, kind: str) -> tuple[Rule, ...]:
        key = number, kind
        if key not in self._rules:
            row = self.row["policies"][number]
            statements = [_statement(entry) for entry in row["statements"]]
            document = {"Version": row.get("version", "2012-10-17"), "Statement": statements}
            self._rules[key] = build_rules(parse_policy(document, kind), row["name"]) if statements else ()
        return self._rules[key]

    def _unread(self, workload: _Row) -> tuple[tuple[str, str], ...]:
        """Return the policies that could not be read, each as the name of its ``Layer`` and the name of the policy."""
        profile = self.row["profiles"][workload["profile"]]
        return tuple((str(layer), str(name)) for layer, name in profile.get("unread_layers", ()))


def _statement(row: _Row) -> dict[str, object]:
    """Convert a statement of a report to a statement of an IAM policy.

    In a report, the Sid is a part of ``label``, as in "Statement 1 (Sid 'Read')".
    """
    sid = str(row["label"]).partition("(Sid '")[2].removesuffix("')")
    elements = {name: value for name, value in row.items() if name != "label"}
    return {"Sid": sid, **elements} if sid else elements
