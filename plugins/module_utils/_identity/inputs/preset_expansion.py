# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expand presets: replace each entry of ``policies`` that names a preset by entries with the documents of the preset.

The controller expands presets, because modules run without the files of the collection.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ..model.errors import Problems
from ..model.names import ACCOUNT_ID, ACCOUNT_ID_RULE, CLUSTER_RULE, EKS_CLUSTER_NAME, parse_role_arn
from .fields import Fields, number_as_text, read_boolean, shown_value
from .form import policy_spec
from .presets import (
    PLACEHOLDER,
    VERSION,
    Parameter,
    Preset,
    PresetPolicy,
    load_preset,
    placeholders,
    preset_names,
    unknown_preset,
)

_PARTITION, _DNS_SUFFIX, _ACCOUNT_ID, _REGION, _CLUSTER = (
    "partition",
    "dns_suffix",
    "account_id",
    "region",
    "cluster_name",
)
# Placeholders that every preset may use, and that every ``with`` may set.
COMMON_PARAMETERS = (_PARTITION, _DNS_SUFFIX, _ACCOUNT_ID, _REGION, _CLUSTER)
# The parameters whose values must be the values of the cluster. A document with another value is an input error.
_OF_CLUSTER = (_PARTITION, _ACCOUNT_ID, _REGION)
# The DNS suffix of each partition. Source: endpoints.json of botocore.
DNS_SUFFIXES = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-us-gov": "amazonaws.com",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
}
# The partitions whose regions have a prefix. All other regions belong to the partition aws.
_REGION_PREFIXES = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "eusc-": "aws-eusc",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
}
_REGION_RULE = re.compile(r"[a-z]+(-[a-z]+)+-[0-9]+", re.ASCII)
_ARN = re.compile(r"arn:([^:]+):([^:]+):[^:]*:[^:]*:[^<>\s]+")
# The part of an ARN after the service, by service, with an example. No policy should name all roles of an account, and the alias
# of a key has no effect.
_RESOURCES = {
    "iam": (r":[0-9]{12}:role/[^*?]+", ":111122223333:role/my-role, without wildcards"),
    "kms": (r"[^:]*:[^:]*:key/.+", "us-west-2:111122223333:key/…"),
}
# Keys that an entry with a preset must not have.
_EXCLUDED = ("document", "document_file", "arn")
# Keys of an entry that apply to each policy of its preset.
_COPIED = ("description", "path", "tags")
_LONGEST_NAME = 128
_DIGEST = 8


@dataclass(frozen=True, slots=True)
class RunValues:
    """The values of a run for COMMON_PARAMETERS; "" for an unknown value.

    ``prefix`` is the text before an option name in messages, such as "pod_identity_".
    """

    cluster_name: str = ""
    account_id: str = ""
    region: str = ""
    prefix: str = ""


def find_partition(region: str) -> str:
    """Return the partition of a region. An unknown region belongs to the partition aws."""
    return next((name for prefix, name in _REGION_PREFIXES.items() if region.startswith(prefix)), "aws")


def shorten_name(name: str) -> str:
    """Return the name of a policy with at most 128 characters. A digest replaces the end of a longer name."""
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{name[: _LONGEST_NAME - _DIGEST - 1]}-{digest}"


def read_role_name(raw: object) -> str:
    """Return the name of the role in the unparsed ``role`` of a workload, or ""."""
    if not isinstance(raw, Mapping):
        return ""
    arn, name = raw.get("arn"), raw.get("name")
    if isinstance(arn, str):
        parts = parse_role_arn(arn)
        return parts.name if parts else ""
    return str(name) if isinstance(name, str) else ""


class PresetExpander:
    """An expander of the presets in ``policies`` of workloads. It reads each preset at most once.

    :arg values: the values of the run for parameters.
    :arg load: reads a preset by its name.
    """

    def __init__(self, values: RunValues, load: Callable[[str], Preset] = load_preset) -> None:
        self._values = values
        self._load = load
        self._names: list[str] | None = None
        self._presets: dict[str, Preset] = {}

    def expand(
        self, entries: Sequence[tuple[str, object]], role: str, problems: Problems
    ) -> list[tuple[str, object]]:
        """Replace the entries of one workload that name a preset. Report invalid ones, and leave them out.

        :arg entries: the entries of ``policies``, each with its place in the input.
        :arg role: the name of the workload's role, or "".
        :returns: the entries with their places; an entry that does not name a preset is unchanged. An entry from a preset keeps
            ``preset``, and its ``with`` has only the description for a new policy, and the partition, account and region that
            are in its document.
        """
        expanded: list[tuple[str, object]] = []
        places: dict[str, str] = {}
        for place, entry in entries:
            if not isinstance(entry, Mapping) or entry.get("preset") is None:
                expanded.append((place, entry))
                continue
            fields = Fields(entry, place, problems)
            preset = self._preset(fields)
            if preset is None:
                continue
            if not fields.has("name"):
                first = places.setdefault(preset.name, place)
                if first != place:
                    problems.add(
                        place,
                        f"preset '{preset.name}' is already in {first}; set name in one of them, so that their policies "
                        "have different names.",
                    )
            expanded += [
                (f"{place} (preset {preset.name})", row)
                for row in expand_preset(preset, fields, role, self._values)
            ]
        return expanded

    def expand_workload(self, raw: object) -> object:
        """Return an unparsed workload with documents in place of presets.

        :raises InputError: with all problems.
        """
        policies = raw.get("policies") if isinstance(raw, Mapping) else None
        if not isinstance(raw, Mapping) or not isinstance(policies, (list, tuple)):
            return raw
        problems = Problems()
        rows = [(f"policies[{index}]", entry) for index, entry in enumerate(policies)]
        entries = self.expand(rows, read_role_name(raw.get("role")), problems)
        problems.raise_if_any()
        return {**raw, "policies": [entry for _place, entry in entries]}

    def _preset(self, fields: Fields) -> Preset | None:
        """Return the preset of an entry. If the preset is unknown or another key excludes it, report that and return None."""
        fields.report_unknown(policy_spec())
        name = fields.text("preset", rule="the name of a preset")
        excluded = [key for key in _EXCLUDED if fields.has(key)]
        for key in excluded:
            fields.problems.add(fields.place, f"{key} cannot be set together with preset.")
        if name is None:
            return None
        if name not in self._presets:
            if self._names is None:
                self._names = preset_names()
            if name not in self._names:
                fields.problems.add(fields.place, unknown_preset(name, self._names))
                return None
            self._presets[name] = self._load(name)
        return None if excluded else self._presets[name]


def expand_preset(preset: Preset, entry: Fields, role: str, values: RunValues) -> list[dict[str, object]]:
    """Return an entry of ``policies`` with name and document for each policy of a preset.

    Leave out a policy if the parameters exclude all of its statements. Report a missing name, invalid parameters, or parameters
    that exclude all policies; the result is then empty.

    :arg entry: the entry that names the preset.
    :arg role: the name of the workload's role, from which a policy without ``name`` gets its name.
    """
    earlier_problems = len(entry.problems.texts)
    fields = Fields(entry.mapping("with") or {}, f"{entry.place} with", entry.problems)
    fields.report_unknown((*preset.parameters, *COMMON_PARAMETERS))
    parameters = _read_common(preset, fields, values)
    parameters |= {
        name: _read_parameter(parameter, fields, parameters) for name, parameter in preset.parameters.items()
    }
    base = entry.text("name") or (f"{role}-{preset.name}" if role else "")
    if not base and not entry.has("name"):
        entry.problems.add(
            entry.place,
            "name is missing. Set name, or set role.name to derive the name of the policy from it.",
        )
    if len(entry.problems.texts) > earlier_problems:
        return []
    policies = [(policy.suffix, list(_kept_statements(policy, parameters))) for policy in preset.policies]
    rows: list[dict[str, object]] = []
    for suffix, statements in policies:
        if not statements:
            continue
        scope = _find_scope(preset, fields, statements)
        for name in scope:
            if not parameters[name]:
                _report_unknown_value(preset, fields, name, values)
        rows.append(
            {
                "name": shorten_name(f"{base}-{suffix}" if suffix else base),
                **{key: entry.raw[key] for key in _COPIED if entry.has(key)},
                "document": {
                    "Version": VERSION,
                    "Statement": [_substitute(statement, parameters) for statement in statements],
                },
                "preset": preset.name,
                "with": {
                    "description": f"{preset.title}, created from preset {preset.name} version {preset.version}",
                    **{name: parameters[name] for name in scope if name in _OF_CLUSTER},
                },
            }
        )
    if not rows:
        entry.problems.add(fields.place, _describe_empty(preset))
    return rows if len(entry.problems.texts) == earlier_problems else []


def _find_scope(preset: Preset, fields: Fields, statements: Sequence[object]) -> list[str]:
    """Return the COMMON_PARAMETERS that the statements contain as placeholders, directly or by the default of a parameter."""
    names = set(placeholders(statements))
    for name, parameter in preset.parameters.items():
        if name in names and not fields.has(name):
            names |= set(placeholders(parameter.default))
    return [name for name in COMMON_PARAMETERS if name in names]


def _report_unknown_value(preset: Preset, fields: Fields, name: str, values: RunValues) -> None:
    text = f"{name} is missing; preset '{preset.name}' needs it. Set {name} here, or {values.prefix}{name} for the run."
    if f"{fields.place}: {text}" not in fields.problems.texts:
        fields.problems.add(fields.place, text)


def _describe_empty(preset: Preset) -> str:
    optional = {
        str(statement["when"])
        for policy in preset.policies
        for statement in policy.statements
        if "when" in statement
    }
    return f"preset '{preset.name}' grants nothing with these values; set {' or '.join(sorted(optional))}."


def _kept_statements(policy: PresetPolicy, parameters: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """Yield the statements of a policy, except optional ones whose parameter is false or empty."""
    for statement in policy.statements:
        if "when" not in statement or parameters[str(statement["when"])]:
            yield {key: value for key, value in statement.items() if key != "when"}


def _read_common(preset: Preset, fields: Fields, values: RunValues) -> dict[str, object]:
    """Return the values of COMMON_PARAMETERS, "" if unknown. Report invalid and contradictory values."""
    region = fields.text(_REGION, values.region, _REGION_RULE, "a region, such as us-west-2") or ""
    account = Fields(
        {_ACCOUNT_ID: number_as_text(fields.raw.get(_ACCOUNT_ID))}, fields.place, fields.problems
    )
    account_id = account.text(
        _ACCOUNT_ID,
        values.account_id,
        ACCOUNT_ID,
        ACCOUNT_ID_RULE,
    )
    partition = fields.choice(_PARTITION, tuple(DNS_SUFFIXES)) or find_partition(region)
    if region and find_partition(region) != partition:
        fields.problems.add(
            fields.place,
            f"partition '{partition}' contradicts region '{shown_value(region)}', which is in {find_partition(region)}.",
        )
    if partition not in preset.partitions:
        fields.problems.add(
            fields.place,
            f"preset '{preset.name}' is for {', '.join(preset.partitions)}, not for partition '{partition}'.",
        )
    return {
        _PARTITION: partition,
        _DNS_SUFFIX: fields.text(_DNS_SUFFIX) or DNS_SUFFIXES[partition],
        _ACCOUNT_ID: account_id or "",
        _REGION: region,
        _CLUSTER: fields.text(_CLUSTER, values.cluster_name, EKS_CLUSTER_NAME, CLUSTER_RULE) or "",
    }


def _read_parameter(parameter: Parameter, fields: Fields, common: Mapping[str, object]) -> object:
    """Return the value of a parameter, or its default. Report a missing or invalid value.

    :arg common: the values of COMMON_PARAMETERS, which a default may contain as placeholders.
    """
    name, value = parameter.name, fields.raw.get(parameter.name)
    partition = str(common[_PARTITION])
    if value is None:
        if parameter.default is None:
            fields.problems.add(fields.place, f"{name} is missing. {parameter.description}")
        return _substitute(parameter.default, common)
    if parameter.kind == "flag":
        flag = read_boolean(value)
        if flag is None:
            fields.refuse(name, "true or false")
        return flag
    if not parameter.plural:
        return _read_text(parameter, name, value, fields, partition)
    values = value.split(",") if isinstance(value, str) else value
    if isinstance(values, Mapping) or not isinstance(values, Sequence):
        fields.refuse(name, "a list")
        return ()
    if not values and parameter.default != []:
        fields.problems.add(fields.place, f"{name} is empty; list at least one value.")
    texts = [
        _read_text(
            parameter, f"{name}[{index}]", part.strip() if value is not values else part, fields, partition
        )
        for index, part in enumerate(values)
    ]
    return tuple(dict.fromkeys(texts))


def _read_text(parameter: Parameter, name: str, value: object, fields: Fields, partition: str) -> str:
    """Return one name or ARN. Report an invalid value.

    :arg name: the name of the parameter or of the item, like "buckets[0]", for messages.
    """
    value = number_as_text(value)
    default = parameter.default if isinstance(parameter.default, list) else [parameter.default]
    if value is not None and value in default:
        return str(value)
    text = value if isinstance(value, str) else ""
    if parameter.is_arn:
        pattern, example = _RESOURCES.get(parameter.service, (".+", "…"))
        parts = _ARN.fullmatch(text)
        valid = parts is not None and parts.groups()[:2] == (partition, parameter.service)
        valid = valid and re.fullmatch(pattern, text.split(":", 3)[3]) is not None
        rule = f"an ARN such as arn:{partition}:{parameter.service}:{example}"
    elif parameter.pattern:
        valid = re.fullmatch(parameter.pattern, text) is not None
        rule = f"text of the form {parameter.pattern}"
    else:
        valid, rule = bool(text.strip()), "text"
    if not valid:
        Fields({name: value}, fields.place, fields.problems).refuse(name, rule)
    return str(text)


def _substitute(value: object, parameters: Mapping[str, object]) -> Any:
    """Replace the placeholders in a statement. In a list, a text with the placeholder of a plural parameter is repeated for each
    value of the parameter.
    """
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: str(parameters[found.group(1)]), value)
    if isinstance(value, Mapping):
        return {_substitute(key, parameters): _substitute(part, parameters) for key, part in value.items()}
    if isinstance(value, Sequence):
        return [text for part in value for text in _substitute_item(part, parameters)]
    return value


def _substitute_item(value: object, parameters: Mapping[str, object]) -> list[Any]:
    names = PLACEHOLDER.findall(value) if isinstance(value, str) else []
    plural = next((name for name in names if isinstance(parameters[name], (list, tuple))), None)
    if plural is None:
        return [_substitute(value, parameters)]
    choices = cast("Sequence[str]", parameters[plural])
    return [_substitute(value, {**parameters, plural: choice}) for choice in choices]
