# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse and validate the workloads of the input, before any change."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from ..._findings.finding import WorkloadKey
from ..._policy.evaluation.pods import NAMESPACE, SERVICE_ACCOUNT
from ..._policy.grammar.storable import storability
from ..._policy.language.document import PolicyDocument, describe_type, to_json
from ..._policy.permissions.permissions import FactError, Required, parse_permission
from ..model.associations import AssociationSpec
from ..model.desired import ServiceAccountSpec, State, Workload, differing_field
from ..model.errors import InputError, Problems
from ..model.names import (
    KEY_RULE,
    PATH_PATTERN,
    POLICY_NAME,
    ROLE_NAME,
    VALUE_RULE,
    is_key,
    is_label_value,
    parse_policy_arn,
    parse_role_arn,
)
from ..model.policies import PolicySpec, PresetScope
from ..model.roles import TRUST_SCOPES, RoleSpec, TrustScope
from .fields import (
    ANNOTATIONS_SIZE,
    DESCRIPTION,
    DESCRIPTION_RULE,
    CombinationRule,
    Fields,
    annotations_size,
    read_boolean,
    shown_value,
)
from .form import permission_spec, policy_spec, role_spec, workload_spec
from .preset_expansion import PresetExpander, RunValues, read_role_name


def _validate_consistency(workloads: Sequence[Workload], problems: Problems, places: Sequence[str]) -> None:
    """Report service accounts that are listed twice, and roles and policies that two workloads define differently.

    :arg places: the place of each workload in the input, for messages.
    """
    keys: dict[WorkloadKey, str] = {}
    definitions: dict[tuple[str, str], tuple[str, RoleSpec | PolicySpec]] = {}
    for workload, place in zip(workloads, places, strict=True):
        # Two patterns with the same names can have different selectors. ``expand`` reports the service accounts that both match.
        if workload.key in keys and "*" not in str(workload.key):
            problems.add(
                f"workload {workload.key}",
                f"is listed twice, in {keys[workload.key]} and in {place}; a service account has one "
                "association.",
            )
        keys.setdefault(workload.key, place)
        definer = f"workload {workload.key} ({place})"
        specs: list[tuple[str, RoleSpec | PolicySpec]] = [("role", workload.role)] if workload.role else []
        for kind, spec in (*specs, *(("policy", spec) for spec in workload.policies if spec.arn is None)):
            # IAM names are case-insensitive.
            first, definition = definitions.setdefault((kind, spec.name.lower()), (definer, spec))
            field = differing_field(definition, spec)
            if field == "name":
                problems.add(
                    definer,
                    f"defines {kind} '{spec.name}', and {first} defines '{definition.name}': IAM names that differ only in "
                    "letter case are the same; use the same spelling, or rename one.",
                )
            elif field:
                problems.add(
                    definer,
                    f"defines {kind} '{spec.name}' with a different {field} "
                    f"than {first}; use the same definition, or rename the {kind}.",
                )


WORKLOAD_KEYS = tuple(workload_spec())
SELECTORS = ("namespace_selector", "service_account_selector")
ROLE_KEYS = tuple(role_spec())
EXISTING_ROLE_KEYS = ("arn", "extend_trust", "trust_scope")
POLICY_KEYS = tuple(policy_spec())
PERMISSION_KEYS = tuple(permission_spec())
PATTERN = re.compile(r"[-a-z0-9.*]{1,253}", re.ASCII)
_NO_PATTERN = (
    "Only the Ansible role pod_identity accepts patterns and selectors, because it reads the service accounts of the cluster. "
    "List the service accounts by name here, or use the role."
)
_NAMES = (
    (
        "namespace",
        NAMESPACE,
        "a Kubernetes namespace (lower case letters, digits and -, at most 63 characters)",
    ),
    (
        "service_account",
        SERVICE_ACCOUNT,
        "the name of a Kubernetes service account (lower case letters, digits, - and .)",
    ),
)
_ACTION = re.compile(r"[\w-]+:\w+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Defaults:
    """Settings of a run for all workloads. A workload can override ``create_service_accounts`` and ``create_namespaces``.

    A tag of a workload overrides the tag with the same key in ``tags``. ``patterns`` allows patterns with "*" as names.
    ``presets`` replaces presets by documents. It is None in a module, because the action plugin has already replaced them.
    ``prefix`` is the text before the name of an option of the run in messages, such as "pod_identity_". ``path`` and
    ``permissions_boundary`` are for roles, and the path for policies, that do not set them.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    create_service_accounts: bool = True
    create_namespaces: bool = False
    patterns: bool = False
    presets: PresetExpander | None = None
    prefix: str = ""
    path: str = "/"
    permissions_boundary: str | None = None


def parse_workloads(
    raw: object,
    cluster_name: str,
    state: State = "present",
    defaults: Defaults | None = None,
    places: Sequence[str] = (),
) -> tuple[Workload, ...]:
    """Parse the workloads of one cluster.

    With ``state`` "absent", a workload may omit its role.

    :arg raw: a list of mappings, as ``workload_spec`` describes them.
    :arg defaults: the settings of the run. By default, presets get no account and no region.
    :arg places: the place of each workload in the input, for messages; by default "workloads[INDEX]".
    :raises InputError: with the problems of all workloads. Invalid workloads are not compared with other workloads.
    """
    defaults = defaults or Defaults(presets=PresetExpander(RunValues(cluster_name)))
    problems = Problems()
    if isinstance(raw, (str, Mapping)) or not isinstance(raw, Sequence):
        raise InputError([f"workloads: must be a list of mappings, got {describe_type(raw)}."])
    workloads: list[Workload] = []
    valid_places: list[str] = []
    for index, entry in enumerate(raw):
        place = places[index] if places else f"workloads[{index}]"
        if not isinstance(entry, Mapping):
            problems.add(place, f"must be a mapping, got {describe_type(entry)}.")
            continue
        workload = _parse_workload(entry, cluster_name, place, problems, state, defaults)
        if workload is not None:
            workloads.append(workload)
            valid_places.append(place)
    _validate_consistency(workloads, problems, valid_places)
    problems.raise_if_any()
    return tuple(workloads)


def _parse_workload(
    raw: Mapping[object, object],
    cluster_name: str,
    place: str,
    problems: Problems,
    state: State,
    defaults: Defaults,
) -> Workload | None:
    named = "/".join(shown_value(raw.get(part) or "?") for part in ("namespace", "service_account"))
    fields = Fields(raw, f"{place} ({named})", problems)
    earlier_problems = len(problems.texts)
    fields.report_unknown(WORKLOAD_KEYS, {"role": ROLE_KEYS})
    key = _key(fields, cluster_name, defaults.patterns)
    for name in SELECTORS:
        # ``find_patterns`` leaves only selectors that are blank or not text.
        if defaults.patterns and fields.has(name):
            fields.refuse(name, "a label selector, such as team=payments")
        elif fields.has(name):
            fields.problems.add(fields.place, f"{name} selects service accounts. {_NO_PATTERN}")
    role = _role(fields, state, defaults)
    policies = tuple(
        policy
        for policy_place, entry in _policy_entries(fields, defaults.presets)
        if (policy := _policy(entry, policy_place, problems, defaults)) is not None
    )
    association = _association(fields, defaults.tags)
    permissions = tuple(
        permission
        for index, entry in enumerate(fields.entries("required_permissions"))
        if (permission := _permission(entry, f"{fields.place} required_permissions[{index}]", problems))
        is not None
    )
    _check_session_tags(fields, role, association)
    service_account = _service_account(fields, defaults)
    if len(problems.texts) > earlier_problems:
        return None
    return Workload(key, role, policies, association, permissions, service_account)


def _key(fields: Fields, cluster_name: str, patterns: bool = False) -> WorkloadKey:
    """Return cluster, namespace and service account of a workload. Report an invalid name.

    :arg patterns: whether the names may be patterns with "*".
    """
    names = []
    has_pattern = patterns and any("*" in str(fields.raw.get(name)) for name, _pattern, _rule in _NAMES)
    for name, pattern, rule in _NAMES:
        value = fields.raw.get(name)
        if value is None:
            fields.problems.add(fields.place, f"{name} is missing.")
        elif "*" in str(value) and not patterns:
            fields.problems.add(fields.place, f"{name} '{shown_value(value)}' is a pattern. {_NO_PATTERN}")
        names.append(
            fields.text(
                name,
                "",
                PATTERN if "*" in str(value) else pattern,
                "a name, or a pattern of lower case letters, digits, -, . and *" if has_pattern else rule,
                253,
            )
            or ""
        )
    return WorkloadKey(cluster_name, *names)


_ROLE_RULES: tuple[CombinationRule, ...] = (
    (lambda role: role.get("name") is None, "name or arn is missing."),
    (
        lambda role: read_boolean(role.get("extend_trust")),
        "extend_trust is for a role with arn; the trust policy of a role with name is managed as a whole. "
        "Leave extend_trust out, or set arn instead of name.",
    ),
    (
        lambda role: role.get("trust_policy") is not None and role.get("trust_scope") is not None,
        "trust_policy and trust_scope are mutually exclusive.",
    ),
)


def _role(fields: Fields, state: State, defaults: Defaults) -> RoleSpec | None:
    raw = fields.mapping("role")
    if raw is None:
        if state == "present" and not fields.has("role"):
            fields.problems.add(
                fields.place,
                "role is missing; set role: {name: …} to create one, or role: {arn: …} to use an existing one.",
            )
        return None
    role = Fields(raw, f"{fields.place} role", fields.problems)
    role.report_unknown(ROLE_KEYS)
    arn = role.text("arn")
    name = role.text(
        "name", None, ROLE_NAME, "a role name (letters, digits and +=,.@_-, at most 64 characters)"
    )
    if arn is not None:
        return _existing_role(role, arn, name)
    role.check(_ROLE_RULES)
    role.flag("extend_trust")
    return RoleSpec(
        name=name or "",
        path=read_path(role, defaults.path),
        description=role.text("description", None, DESCRIPTION, DESCRIPTION_RULE, 1000),
        permissions_boundary=read_boundary(role, defaults.permissions_boundary),
        max_session_duration=role.integer("max_session_duration", 3600, 43200, "seconds"),
        tags=role.tags("tags", defaults.tags),
        trust_scope=_trust_scope(role),
        trust_policy=_document(role, "trust_policy", "trust"),
    )


def read_path(fields: Fields, default: str = "/") -> str:
    return fields.text("path", default, PATH_PATTERN, "a path that starts and ends with /") or default


def read_boundary(fields: Fields, default: str | None = None) -> str | None:
    boundary = fields.text("permissions_boundary", default)
    if boundary and boundary != default and parse_policy_arn(boundary) is None:
        fields.refuse("permissions_boundary", "the ARN of a managed policy")
    return boundary


def _trust_scope(role: Fields) -> TrustScope | None:
    return cast("TrustScope | None", role.choice("trust_scope", TRUST_SCOPES))


def _existing_role(role: Fields, arn: str, name: str | None) -> RoleSpec:
    parts = parse_role_arn(arn)
    if parts is None:
        role.refuse("arn", "the ARN of an IAM role (arn:aws:iam::111122223333:role/name)")
    elif name is not None and name != parts.name:
        role.problems.add(
            role.place,
            f"name '{shown_value(name)}' is not the name in arn '{shown_value(arn)}'; leave name out.",
        )
    for key in ROLE_KEYS:
        if key not in EXISTING_ROLE_KEYS and key != "name" and role.has(key):
            role.problems.add(
                role.place,
                f"{key} cannot be set for a role with arn; to have the role managed, set name instead of arn.",
            )
    return RoleSpec(
        name=parts.name if parts else "",
        arn=arn,
        path=parts.path if parts else "/",
        trust_scope=_trust_scope(role),
        extend_trust=bool(role.flag("extend_trust")),
    )


def _policy_entries(fields: Fields, presets: PresetExpander | None) -> list[tuple[str, object]]:
    """Return the entries of ``policies`` with their places. Replace presets by documents, except in a module."""
    entries = [
        (f"{fields.place} policies[{index}]", entry) for index, entry in enumerate(fields.entries("policies"))
    ]
    return (
        presets.expand(entries, read_role_name(fields.raw.get("role")), fields.problems)
        if presets
        else entries
    )


_POLICY_RULES: tuple[CombinationRule, ...] = (
    (
        # In files of workloads_from, ``read_sources`` has already replaced document_file by the document.
        lambda policy: policy.get("document_file") is not None,
        "document_file works only in a file of workloads_from; write the document itself here.",
    ),
    (
        lambda policy: policy.get("document_file") is None and policy.get("document") is None,
        "document is missing; set name and document, preset, or arn.",
    ),
    (lambda policy: policy.get("name") is None, "name is missing; set name and document, preset, or arn."),
    (
        lambda policy: policy.get("with") is not None and policy.get("preset") is None,
        "'with' has the parameters of a preset; set preset, or remove 'with'.",
    ),
)


def _policy(raw: object, place: str, problems: Problems, defaults: Defaults) -> PolicySpec | None:
    if not isinstance(raw, Mapping):
        problems.add(place, "must be a mapping with name and document, with preset, or with arn.")
        return None
    policy = Fields(raw, place, problems)
    policy.report_unknown(POLICY_KEYS)
    arn = policy.text("arn")
    if arn is not None:
        if parse_policy_arn(arn) is None:
            policy.refuse("arn", "the ARN of a managed policy (arn:aws:iam::…:policy/name)")
        for key in POLICY_KEYS:
            if key != "arn" and policy.has(key):
                problems.add(place, f"{key} cannot be set together with arn.")
        return PolicySpec(arn=arn)
    if policy.has("preset") and not policy.has("document"):
        problems.add(
            place,
            "preset: the module was started without its action plugin, which reads the presets on the controller. Call it "
            "from a play by its full name.",
        )
        return None
    policy.check(_POLICY_RULES)
    return PolicySpec(
        name=policy.text(
            "name",
            "",
            POLICY_NAME,
            "a policy name (letters, digits and +=,.@_-, at most 128 characters)",
        )
        or "",
        document=_document(policy, "document", "managed"),
        path=read_path(policy, defaults.path),
        description=policy.text("description", longest=1000),
        tags=policy.tags("tags", defaults.tags),
        preset=_preset_scope(policy),
    )


def _preset_scope(policy: Fields) -> PresetScope | None:
    """Return the preset from which ``PresetExpander`` created the entry, or None."""
    name = policy.text("preset")
    if name is None:
        return None
    scope = Fields(policy.mapping("with") or {}, policy.place, policy.problems)
    values = {part: scope.text(part) or "" for part in ("description", "partition", "account_id", "region")}
    return PresetScope(name, **values)


def parse_association(params: Mapping[str, object]) -> AssociationSpec:
    """Return the settings of one association from the options of the module ``eks_pod_identity_association``.

    :raises InputError: with all problems.
    """
    problems = Problems()
    place = f"association {params.get('namespace')}/{params.get('service_account')}"
    fields = Fields(dict(params.items()), place, problems)
    _key(fields, str(params.get("cluster_name")))
    spec = _association(fields, {})
    problems.raise_if_any()
    return spec


_SESSION_RULES: tuple[CombinationRule, ...] = (
    (
        lambda raw: (
            raw.get("session_policy") is not None and not read_boolean(raw.get("disable_session_tags"))
        ),
        "session_policy needs disable_session_tags: true (EKS accepts a session policy only without session tags).",
    ),
)


def _association(fields: Fields, common: Mapping[str, str]) -> AssociationSpec:
    target = fields.text("target_role_arn")
    if target and parse_role_arn(target) is None:
        fields.refuse("target_role_arn", "the ARN of an IAM role, or '' to remove it")
    return AssociationSpec(
        target_role_arn=target,
        disable_session_tags=fields.flag("disable_session_tags"),
        session_policy=_session_policy(fields),
        tags=fields.tags("tags", common),
    )


def _session_policy(fields: Fields) -> PolicyDocument | None:
    """Return the session policy of the association. An empty document removes the present session policy; None keeps it."""
    if fields.raw.get("session_policy") in ("", {}):
        return PolicyDocument()
    fields.check(_SESSION_RULES)
    return _document(fields, "session_policy", "session")


def _permission(raw: object, place: str, problems: Problems) -> Required | None:
    if not isinstance(raw, Mapping):
        problems.add(place, "must be a mapping with action and resource.")
        return None
    earlier_problems = len(problems.texts)
    permission = Fields(raw, place, problems)
    permission.report_unknown(PERMISSION_KEYS)
    action = permission.text("action", "", _ACTION, "service:Action")
    if not permission.has("action"):
        problems.add(place, "action is missing.")
    context = {
        str(key): [_scalar(part) for part in value] if isinstance(value, (list, tuple)) else _scalar(value)
        for key, value in (permission.mapping("context") or {}).items()
    }
    if len(problems.texts) > earlier_problems:
        return None
    try:
        return parse_permission({**raw, "action": action, "context": context}, {})
    except FactError as error:
        problems.add(place, str(error))
        return None


def _scalar(value: object) -> object:
    """Convert a value to a plain type: YAML parses 2026-01-31 as a date, and Ansible passes a subclass of str."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value) if isinstance(value, str) else value


def _document(fields: Fields, name: str, kind: str) -> PolicyDocument | None:
    """Return a policy document with JSON values, or None if it is missing or invalid. Report a document that IAM would reject.

    :arg kind: the type of the policy, which determines its rules: "trust", "managed" or "session".
    """
    raw = fields.raw.get(name)
    if raw is None:
        return None
    refusals = storability(raw, kind).refusals
    for refusal in refusals:
        fields.problems.add(fields.place, f"{name} is not a valid policy: {refusal.advice}")
    return None if refusals else PolicyDocument(json.loads(to_json(raw)))


def _service_account(fields: Fields, defaults: Defaults) -> ServiceAccountSpec:
    create = fields.flag("create_service_account")
    create_namespace = fields.flag("create_namespace")
    return ServiceAccountSpec(
        create=defaults.create_service_accounts if create is None else create,
        create_namespace=defaults.create_namespaces if create_namespace is None else create_namespace,
        labels=read_metadata(fields, "service_account_labels", "label"),
        annotations=read_metadata(fields, "service_account_annotations", "annotation"),
    )


def read_metadata(fields: Fields, name: str, kind: Literal["label", "annotation"]) -> dict[str, str]:
    """Return labels or annotations by key. Report entries that Kubernetes would reject."""
    metadata: dict[str, str] = {}
    raw = fields.mapping(name) or {}
    name = f"{fields.prefix}{name}"
    for key, value in raw.items():
        metadata[str(key)] = str(value)
        # Unlike the key of a label, the key of an annotation may have capital letters in its domain.
        if not is_key(str(key) if kind == "label" else str(key).lower()):
            fields.problems.add(
                fields.place, f"{name}: '{shown_value(key)}' is not a valid {kind} key ({KEY_RULE})."
            )
        if not isinstance(value, str):
            fields.problems.add(
                fields.place,
                f"{name}: the value of '{shown_value(key)}' must be text, got {shown_value(repr(value))}; quote it.",
            )
        elif kind == "label" and not is_label_value(value):
            fields.problems.add(
                fields.place,
                f"{name}: the value of '{shown_value(key)}' must be a Kubernetes label value ({VALUE_RULE}), got "
                f"{shown_value(repr(value))}.",
            )
    if kind == "annotation" and annotations_size(metadata) > ANNOTATIONS_SIZE:
        fields.problems.add(
            fields.place,
            f"{name} have {annotations_size(metadata)} bytes together; Kubernetes accepts at most {ANNOTATIONS_SIZE}.",
        )
    return metadata


def _check_session_tags(fields: Fields, role: RoleSpec | None, association: AssociationSpec) -> None:
    """Report a trust scope that needs session tags if the association disables session tags."""
    if not association.disable_session_tags or role is None:
        return
    if role.trust_scope in ("workload", "namespace", "cluster"):
        fields.problems.add(
            fields.place,
            f"role.trust_scope '{role.trust_scope}' needs session tags, but "
            "disable_session_tags is true. The aws:RequestTag conditions of the trust policy would never match. Use trust_scope "
            "'account', or leave disable_session_tags out.",
        )
