# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Expand patterns and annotations to workloads: one workload for each matching service account of the cluster. Pure.

EKS Pod Identity has no associations for patterns. Therefore each run reads the service accounts of the cluster, and expands a
workload with ``namespace: team-*``, ``service_account: "*"`` or a label selector to one workload for each match.

A service account can also request its role with an annotation. Everyone who may edit a service account can set an annotation, so
the rules of ``pod_identity_annotated`` limit the roles and presets by namespace.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.language.document import describe_type
from ..model.cluster import Cluster
from ..model.desired import ROLE_REQUEST, Origin, Workload
from ..model.errors import InputError, Problems, listed
from ..model.names import parse_role_arn
from .fields import Fields, read_boolean, shown_value
from .files import FileSource
from .presets import preset_names, unknown_preset
from .workloads import PATTERN, SELECTORS
from .yaml_file import read_yaml_value

PRESET_REQUEST = "workload-identity/preset"
# Kubernetes creates this service account in every namespace, for Pods that do not specify a service account.
DEFAULT_ACCOUNT = "default"
_SYSTEM_NAMESPACES = ("kube-node-lease", "kube-public", "kube-system")
_RULE_KEYS = ("namespaces", "roles", "presets")
_ROLE_NAME_LENGTH = 64
_ROLE_PATTERN = re.compile(r"[\w+=,.@*-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A service account that a pattern may match. In a removal, it may no longer exist, but have an association."""

    namespace: str
    name: str
    annotations: Mapping[str, str] = field(default_factory=dict)

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


@dataclass(frozen=True, slots=True)
class AnnotationRule:
    """A rule for annotations: service accounts in these namespaces may request these roles and presets.

    ``namespaces`` and ``roles`` are names or patterns. ``presets`` has the parameters of each allowed preset by its name.
    """

    namespaces: tuple[str, ...]
    roles: tuple[str, ...] = ()
    presets: Mapping[str, object] = field(default_factory=dict)

    def applies(self, namespace: str) -> bool:
        return any(fnmatchcase(namespace, pattern) for pattern in self.namespaces)


@dataclass(slots=True)
class PatternInput:
    """The patterns of a list of workloads, and the rules for annotations.

    The first parse of the input sets ``source`` and ``patterns``. If ``needs_service_accounts`` is true, the caller then reads
    the service accounts, and sets ``expansion`` for a second parse.
    """

    rules: tuple[AnnotationRule, ...] = ()
    source: FileSource = field(default_factory=lambda: FileSource([], []))
    patterns: Sequence[WorkloadPattern] = ()
    expansion: Expansion | None = None

    @property
    def needs_service_accounts(self) -> bool:
        """Return whether the workloads depend on the service accounts of the cluster."""
        return bool(self.patterns or self.rules)

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

    ``origins`` has the pattern or annotation of each expanded workload, by "namespace/name". ``findings`` report patterns
    without a match, and annotations that are not valid or not allowed. ``trust_patterns`` are the patterns for the trust policy
    of each role, by its lower-case name.
    """

    source: FileSource
    origins: Mapping[str, Origin] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    trust_patterns: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def complete(self, workload: Workload) -> Workload:
        """Return a workload with its origin. Its role gets ``trust_patterns``, unless the input sets its ARN or trust policy."""
        role = workload.role
        workload = replace(workload, origin=self.origins.get(str(workload.key)))
        patterns = self.trust_patterns.get(role.name.lower(), ()) if role is not None else ()
        if role is None or role.existing or role.trust_policy is not None:
            return workload
        return replace(workload, role=replace(role, trust_patterns=patterns))


def read_rules(raw: object, option: str) -> tuple[AnnotationRule, ...]:
    """Parse the rules for annotations.

    :arg raw: a list of mappings with ``namespaces`` and at least one of ``roles`` and ``presets``, or the YAML text of such a
        list. Null and an empty string count as an empty list.
    :arg option: the name of the option, for messages.
    :raises InputError: with all problems.
    """
    if raw is None or raw == "":
        return ()
    problems = Problems()
    if isinstance(raw, str):
        raw = read_yaml_value(option, raw)
    if isinstance(raw, (str, Mapping)) or not isinstance(raw, Sequence):
        raise InputError([f"{option} must be a list of mappings, got {describe_type(raw)}."])
    rules = []
    for index, entry in enumerate(raw):
        place = f"{option}[{index}]"
        if not isinstance(entry, Mapping):
            problems.add(place, f"must be a mapping with namespaces, got {describe_type(entry)}.")
            continue
        fields = Fields(entry, place, problems)
        fields.report_unknown(_RULE_KEYS)
        presets = {str(name): value for name, value in (fields.mapping("presets") or {}).items()}
        known_presets = preset_names()
        for name in presets:
            if name not in known_presets:
                problems.add(place, unknown_preset(name, known_presets))
        rule = AnnotationRule(fields.names("namespaces"), fields.names("roles"), presets)
        for key, characters, values in (
            ("namespaces", PATTERN, rule.namespaces),
            ("roles", _ROLE_PATTERN, rule.roles),
        ):
            for value in values:
                if not characters.fullmatch(value):
                    problems.add(place, f"{key}: '{shown_value(value)}' is not a name or a pattern with *.")
        if not rule.namespaces:
            problems.add(place, "has no namespaces; list names or patterns, such as team-*.")
        if not (rule.roles or rule.presets):
            problems.add(
                place, "allows nothing; set roles (names or patterns) or presets (name: parameters)."
            )
        if not all(value is None or isinstance(value, Mapping) for value in presets.values()):
            problems.add(place, "presets must be a mapping from the name of each preset to its parameters.")
        rules.append(rule)
    problems.raise_if_any()
    return tuple(rules)


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
    rules: Sequence[AnnotationRule],
    candidates: Sequence[Candidate],
    selected: Selected,
    cluster: Cluster,
    trust_scope: str | None = None,
) -> Expansion:
    """Expand the patterns of a list and the annotations of service accounts to workloads.

    A workload that the list names without a pattern takes precedence over patterns, and a pattern over annotations.

    :arg source: the list from ``find_patterns``.
    :arg candidates: the service accounts of the cluster. In a removal, also those that only have an association.
    :arg trust_scope: the trust scope of the run, or None.
    :raises InputError: when two patterns match the same service account.
    """
    by_index = {pattern.index: pattern for pattern in patterns}
    plain = [entry for index, entry in enumerate(source.workloads) if index not in by_index]
    listed_names = {
        f"{entry.get('namespace')}/{entry.get('service_account')}"
        for entry in plain
        if isinstance(entry, Mapping)
    }
    problems = Problems()
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
        matching = [candidate for candidate in candidates if pattern.matches(candidate, selected)]
        if not matching:
            findings.append(_without_match(pattern, place, cluster))
        matching = [candidate for candidate in matching if str(candidate) not in listed_names]
        for first in dict.fromkeys(
            origins[str(candidate)] for candidate in matching if str(candidate) in origins
        ):
            names = [str(candidate) for candidate in matching if origins.get(str(candidate)) == first]
            problems.add(
                place,
                f"{pattern} and {first.text} of {first.place} both match {listed(names, 5)}. Narrow one of the patterns, or "
                f"list {'this service account' if len(names) == 1 else 'each of these service accounts'} by name.",
            )
        for candidate in matching:
            origins.setdefault(str(candidate), pattern.origin)
            entries.append(_workload(entry, candidate))
            places.append(f"{place} (from {pattern})")
    problems.raise_if_any()
    names_in_list = {*listed_names, *origins}
    for candidate in candidates if rules else ():
        if str(candidate) in names_in_list or not {ROLE_REQUEST, PRESET_REQUEST}.intersection(
            candidate.annotations
        ):
            continue
        requested = _requested(candidate, rules, cluster)
        if isinstance(requested, Finding):
            findings.append(requested)
            continue
        origins[str(candidate)] = Origin("its annotation")
        entries.append(_workload(requested, candidate))
        places.append(f"the annotation of service account {candidate}")
    trust_patterns = _trust_patterns(source, by_index, trust_scope)
    return Expansion(FileSource(entries, places), origins, findings, trust_patterns)


def _workload(entry: Mapping[object, object], candidate: Candidate) -> dict[object, object]:
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


def _requested(
    candidate: Candidate, rules: Iterable[AnnotationRule], cluster: Cluster
) -> dict[object, object] | Finding:
    """Return the entry of the workload that an annotation requests, or a finding if the request is not valid or not allowed."""
    role, preset = (candidate.annotations.get(name, "") for name in (ROLE_REQUEST, PRESET_REQUEST))
    if role and preset:
        return _refused(
            candidate,
            f"both a role ({ROLE_REQUEST}) and a preset ({PRESET_REQUEST})",
            "only one of them may be set",
            cluster,
        )
    applying = [rule for rule in rules if rule.applies(candidate.namespace)]
    if preset:
        parameters = [rule.presets[preset] for rule in applying if preset in rule.presets]
        if not parameters:
            return _refused(candidate, f"preset {preset}", _NOT_ALLOWED, cluster)
        policy = {"preset": preset, **({"with": parameters[0]} if parameters[0] else {})}
        return {"role": {"name": _role_name(cluster.name, candidate)}, "policies": [policy]}
    is_arn = role.startswith("arn:")
    arn = role if is_arn else f"arn:{cluster.partition}:iam::{cluster.account_id}:role/{role}"
    parts = parse_role_arn(arn)
    request = f"role {role}" if role else "an empty role or preset"
    if parts is None or not (is_arn or parts.name == role):
        return _refused(candidate, request, "that is not the name or ARN of a role", cluster)
    if not any(fnmatchcase(parts.name, pattern) for rule in applying for pattern in rule.roles):
        return _refused(candidate, request, _NOT_ALLOWED, cluster)
    if parts.account_id != cluster.account_id:
        return _refused(candidate, request, f"the role must be in account {cluster.account_id}", cluster)
    return {"role": {"arn": arn, "extend_trust": True}}


_NOT_ALLOWED = "pod_identity_annotated does not allow it in this namespace"


def _refused(candidate: Candidate, request: str, reason: str, cluster: Cluster) -> Finding:
    return Finding(
        Code.ANNOTATION_REFUSED,
        f"service account {candidate} requests {shown_value(request)} by annotation, but {reason}, so the request has no effect.",
        "Correct or remove the annotation."
        + (" To allow the request, add a rule to pod_identity_annotated." if reason == _NOT_ALLOWED else ""),
        WorkloadKey(cluster.key, candidate.namespace, candidate.name),
    )


def _role_name(cluster: str, candidate: Candidate) -> str:
    """Return the name of the role for a preset: CLUSTER-NAMESPACE-NAME. In a long name, a digest replaces the end."""
    name = f"{cluster}-{candidate.namespace}-{candidate.name}"
    if len(name) <= _ROLE_NAME_LENGTH:
        return name
    digest = hashlib.sha256(f"{cluster}\0{candidate}".encode()).hexdigest()[:8]
    return f"{name[: _ROLE_NAME_LENGTH - len(digest) - 1]}-{digest}"


def describe_matches(patterns: Sequence[WorkloadPattern], origins: Mapping[str, Origin]) -> Iterator[str]:
    """Yield a line for each pattern with matches: their number, and the names of at most five of them."""
    for pattern in patterns:
        names = sorted(name for name, origin in origins.items() if origin == pattern.origin)
        if names:
            count = f"{len(names)} service account{'' if len(names) == 1 else 's'}"
            yield f"{pattern} matches {count}: {listed(names, 5)}"
