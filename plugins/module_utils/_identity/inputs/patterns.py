# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expand patterns to workloads: one workload for each matching service account of the cluster. Pure.

EKS Pod Identity has no associations for patterns. Therefore each run reads the service accounts of the cluster, and expands a
workload with ``namespace: team-*``, ``service_account: "*"`` or a label selector to one workload for each match.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..model.cluster import Cluster
from ..model.desired import Origin, Workload
from ..model.errors import Problems, listed
from .fields import read_boolean, shown_value
from .files import FileSource
from .workloads import SELECTORS

# Kubernetes creates this service account in every namespace, for Pods that do not specify a service account.
DEFAULT_ACCOUNT = "default"
_SYSTEM_NAMESPACES = ("kube-node-lease", "kube-public", "kube-system")


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A service account that a pattern may match. In a removal, it may no longer exist, but have an association."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Selected:
    """The matches of label selectors.

    ``namespaces`` has the names of the matching namespaces, by selector. ``accounts`` has the matching service accounts, as
    "namespace/name", by selector.
    """

    namespaces: Mapping[str, Collection[str]] = field(default_factory=dict)
    accounts: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkloadPattern:
    """An entry with a pattern or a label selector in the list of workloads.

    ``index`` is its index in the list, and ``place`` its place in the input. The selectors are label selectors as text, or "".
    """

    index: int
    place: str
    namespace: str
    service_account: str
    namespace_selector: str = ""
    account_selector: str = ""

    def __str__(self) -> str:
        selectors = [text for text in (self.namespace_selector, self.account_selector) if text]
        suffix = f" with {' and '.join(selectors)}" if selectors else ""
        return f"{self.namespace}/{self.service_account}{suffix}"

    @property
    def origin(self) -> Origin:
        """Return the origin of the workloads from this pattern."""
        return Origin(str(self), self.place)

    def matches(self, candidate: Candidate, selected: Selected) -> bool:
        """Return whether the pattern includes a service account.

        A namespace pattern that begins with "*" does not match system namespaces such as kube-system. A service account pattern
        that begins with "*" does not match the service account "default".

        :arg selected: the matches of the selectors of all patterns.
        """
        return (
            _fits(candidate.namespace, self.namespace, _SYSTEM_NAMESPACES)
            and _fits(candidate.name, self.service_account, (DEFAULT_ACCOUNT,))
            and (
                not self.namespace_selector
                or candidate.namespace in selected.namespaces[self.namespace_selector]
            )
            and (not self.account_selector or str(candidate) in selected.accounts[self.account_selector])
        )


def _fits(name: str, pattern: str, special: Collection[str]) -> bool:
    if not fnmatchcase(name, pattern):
        return False
    # kube-* is intended for system namespaces, but * is not.
    return name not in special or not pattern.startswith("*")


@dataclass(slots=True)
class PatternInput:
    """The patterns of a list of workloads.

    The first parse of the input sets ``source`` and ``patterns``. If there are patterns, the caller then reads the service
    accounts, and sets ``expansion`` for a second parse.
    """

    source: FileSource = field(default_factory=lambda: FileSource([], []))
    patterns: Sequence[WorkloadPattern] = ()
    expansion: Expansion | None = None

    @property
    def selectors(self) -> tuple[set[str], set[str]]:
        """Return the label selectors for namespaces, and the label selectors for service accounts."""
        return (
            {pattern.namespace_selector for pattern in self.patterns} - {""},
            {pattern.account_selector for pattern in self.patterns} - {""},
        )

    def describe_invalid(self, reasons: Mapping[str, str]) -> list[str]:
        """Return a problem for each use of a label selector that Kubernetes rejects.

        :arg reasons: the error message of Kubernetes for each invalid selector.
        """
        problems = Problems()
        for pattern in self.patterns:
            selectors = (pattern.namespace_selector, pattern.account_selector)
            for name, selector in zip(SELECTORS, selectors, strict=True):
                if selector in reasons:
                    problems.add(
                        f"{pattern.place} ({pattern.namespace}/{pattern.service_account})",
                        f"{name} '{shown_value(selector)}' is not a valid label selector: {reasons[selector]}",
                    )
        return problems.texts

    def find(self, source: FileSource) -> FileSource:
        """Find the patterns of a list, and return the list for the first parse."""
        self.source, self.patterns = find_patterns(source)
        return self.source


@dataclass(frozen=True, slots=True)
class Expansion:
    """The list of workloads after the expansion.

    ``origins`` has the pattern of each expanded workload, by "namespace/name". ``findings`` report patterns without a match.
    ``trust_patterns`` are the patterns for the trust policy of each role, by its lower-case name. ``conflicts`` has a finding for
    each service account that several entries match, by "namespace/name".
    """

    source: FileSource
    origins: Mapping[str, Origin] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    trust_patterns: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    conflicts: Mapping[str, Finding] = field(default_factory=dict)

    def complete(self, workload: Workload) -> Workload:
        """Return a workload with its origin and conflict. Its role gets ``trust_patterns``.

        A role whose ARN or trust policy is in the input does not get them.
        """
        role, name = workload.role, str(workload.key)
        workload = replace(workload, origin=self.origins.get(name), conflict=self.conflicts.get(name))
        patterns = self.trust_patterns.get(role.name.lower(), ()) if role is not None else ()
        if role is None or role.existing or role.trust_policy is not None:
            return workload
        return replace(workload, role=replace(role, trust_patterns=patterns))


def find_patterns(source: FileSource) -> tuple[FileSource, list[WorkloadPattern]]:
    """Return the list with the label selectors removed, and its patterns.

    A selector that is blank or not text remains in its entry, so that the parser of workloads reports it with all other problems.
    """
    entries: list[object] = []
    patterns = []
    for index, (entry, place) in enumerate(zip(source.workloads, source.places, strict=True)):
        if not isinstance(entry, Mapping):
            entries.append(entry)
            continue
        namespace, account, *selectors = (
            value.strip() if isinstance(value := entry.get(name), str) else ""
            for name in ("namespace", "service_account", *SELECTORS)
        )
        if any(selectors) or "*" in namespace or "*" in account:
            patterns.append(WorkloadPattern(index, place, namespace, account, *selectors))
        entries.append(
            {
                name: value
                for name, value in entry.items()
                if name not in SELECTORS or not (isinstance(value, str) and value.strip())
            }
        )
    return FileSource(entries, list(source.places)), patterns


def expand(
    source: FileSource,
    patterns: Sequence[WorkloadPattern],
    candidates: Sequence[Candidate],
    selected: Selected,
    cluster: Cluster,
    trust_scope: str | None = None,
) -> Expansion:
    """Expand the patterns of a list to workloads.

    If several entries match a service account, its workload is from the first of them, and has a conflict.

    :arg source: the list from ``find_patterns``.
    :arg candidates: the service accounts of the cluster. In a removal, also those that only have an association.
    :arg trust_scope: the trust scope of the run, or None.
    """
    by_index = {pattern.index: pattern for pattern in patterns}
    # The entries that match each service account. The patterns also match names in the list, which the run may create.
    matches: dict[Candidate, list[Origin]] = {}
    for index, (entry, place) in enumerate(zip(source.workloads, source.places, strict=True)):
        if index not in by_index and isinstance(entry, Mapping):
            named = Candidate(str(entry.get("namespace")), str(entry.get("service_account")))
            matches[named] = [Origin(str(named), place)]
    everyone = [*candidates, *sorted(matches.keys() - set(candidates))]
    origins: dict[str, Origin] = {}
    findings: list[Finding] = []
    entries: list[object] = []
    places: list[str] = []
    for index, (entry, place) in enumerate(zip(source.workloads, source.places, strict=True)):
        pattern = by_index.get(index)
        if pattern is None or not isinstance(entry, Mapping):
            entries.append(entry)
            places.append(place)
            continue
        matching = [candidate for candidate in everyone if pattern.matches(candidate, selected)]
        if set(candidates).isdisjoint(matching):
            findings.append(_without_match(pattern, place, cluster))
        for candidate in matching:
            matches.setdefault(candidate, []).append(pattern.origin)
            if matches[candidate] == [pattern.origin]:
                origins[str(candidate)] = pattern.origin
                entries.append(_matched_entry(entry, candidate))
                places.append(f"{place} (from {pattern})")
    conflicts = {
        str(candidate): Finding(
            Code.PATTERN_CONFLICT,
            f"service account {candidate} matches {len(claims)} entries of the list: "
            f"{listed(f'{claim.place} ({claim.text})' for claim in claims)}.",
            "Leave one of these entries, or narrow the patterns, for example with service_account_selector.",
            WorkloadKey(cluster.name, candidate.namespace, candidate.name),
        )
        for candidate, claims in matches.items()
        if len(claims) > 1
    }
    trust_patterns = _trust_patterns(source, by_index, trust_scope)
    return Expansion(FileSource(entries, places), origins, findings, trust_patterns, conflicts)


def _matched_entry(entry: Mapping[object, object], candidate: Candidate) -> dict[object, object]:
    """Return the entry for one service account. By default, it is not created: a match exists already."""
    return {
        "create_service_account": False,
        **entry,
        "namespace": candidate.namespace,
        "service_account": candidate.name,
    }


def _without_match(pattern: WorkloadPattern, place: str, cluster: Cluster) -> Finding:
    remedy = "Correct the pattern, or create the service accounts first."
    if "*" in (pattern.namespace[:1], pattern.service_account[:1]):
        remedy += (
            " A service account pattern that begins with * does not match default. A namespace pattern that begins with "
            "* does not match kube-node-lease, kube-public and kube-system."
        )
    message = f"{place}: {pattern} matches no service account of cluster {cluster.name}."
    return Finding(Code.PATTERN_UNMATCHED, message, remedy)


def _trust_patterns(
    source: FileSource, patterns: Mapping[int, WorkloadPattern], trust_scope: str | None
) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return the patterns that conditions in the trust policy of each role can express, by the lower-case name of the role.

    With conditions for patterns, the size of a trust policy does not grow with the number of matches. Conditions cannot compare
    labels, and without session tags they cannot compare names.
    """
    pairs: dict[str, set[tuple[str, str]]] = {}
    for index, pattern in patterns.items():
        entry = source.workloads[index]
        role = entry.get("role") if isinstance(entry, Mapping) else None
        name = role.get("name") if isinstance(role, Mapping) else None
        if (
            isinstance(entry, Mapping)
            and isinstance(role, Mapping)
            and isinstance(name, str)
            and not (pattern.namespace_selector or pattern.account_selector)
            and (role.get("trust_scope") or trust_scope or "workload") == "workload"
            and not read_boolean(entry.get("disable_session_tags"))
        ):
            pairs.setdefault(name.lower(), set()).add((pattern.namespace, pattern.service_account))
    return {name: tuple(sorted(found)) for name, found in pairs.items()}


def describe_matches(patterns: Sequence[WorkloadPattern], origins: Mapping[str, Origin]) -> Iterator[str]:
    """Yield a line for each pattern with matches: their number, and the names of at most five of them."""
    for pattern in patterns:
        names = sorted(name for name, origin in origins.items() if origin == pattern.origin)
        if names:
            count = f"{len(names)} service account{'' if len(names) == 1 else 's'}"
            yield f"{pattern} matches {count}: {listed(names, 5)}"
