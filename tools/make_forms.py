# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the form of workloads where Ansible and editors look for it, from the one that the collection uses.

Keys and types are those of the parser (``inputs/form.py``), descriptions those of the modules
(``plugins/doc_fragments/workloads.py``). From them come the options of the role, between comments in its argument spec,
and the JSON Schema.

Usage: PYTHONPATH=.collections python tools/make_forms.py
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.workload_identity.aws.plugins.doc_fragments.workloads import ModuleDocFragment
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.form import workload_spec
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    EXISTING_ROLE_KEYS,
    NAMESPACE,
    SERVICE_ACCOUNT,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.yaml_file import (
    LIST_KEYS,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import (
    PATH_PATTERN,
    POLICY_ARN,
    POLICY_NAME,
    ROLE_ARN,
    ROLE_NAME,
)

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "docs" / "workloads.schema.json"
ROLE = ROOT / "roles" / "pod_identity" / "meta" / "argument_specs.yml"
BEGIN = "        # Made by tools/make_forms.py.\n"
END = "        # End of what is made.\n"
# What Ansible templates is whatever it becomes.
TEMPLATE = r"\{\{|\{%"
_BOOLEAN = (
    r"^(?:[Tt]([Rr][Uu][Ee])?|[Yy]([Ee][Ss])?|[Oo][Nn]|1|[Ff]([Aa][Ll][Ss][Ee])?|[Nn]([Oo])?|[Oo][Ff][Ff]|0)$"
)
_TEXT_RULES: Mapping[str, re.Pattern[str]] = {
    "namespace": NAMESPACE,
    "service_account": SERVICE_ACCOUNT,
    "role.name": ROLE_NAME,
    "role.path": PATH_PATTERN,
    "role.arn": ROLE_ARN,
    "policies.name": POLICY_NAME,
    "policies.path": PATH_PATTERN,
    "policies.arn": POLICY_ARN,
}
_EMPTY_OR_ARN = {"role.permissions_boundary": POLICY_ARN, "target_role_arn": ROLE_ARN}
_MARKUP = re.compile(r"\b(?:[CVOIB]|RV)\(([^()]*(?:\([^()]*\))*[^()]*)\)|\bP\(([\w.]+)#\w+\)|\bM\(([\w.]+)\)")


class _Indented(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:  # noqa: ARG002
        return super().increase_indent(flow, False)


def described() -> dict[str, Any]:
    """The options of a workload, as the modules document them."""
    documentation = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)
    suboptions: dict[str, Any] = documentation["options"]["workloads"]["suboptions"]
    return suboptions


def role_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The same in the argument spec of a role, which says "options"."""
    made = {}
    for name, option in options.items():
        one = {key: value for key, value in option.items() if key not in ("suboptions", "required")}
        if "suboptions" in option:
            one["options"] = role_options(option["suboptions"])
        if option.get("required"):
            one["required"] = True
        made[name] = one
    return made


def role_text(text: str) -> str:
    """The argument spec of the role with the options as they must be."""
    made = yaml.dump(
        role_options(described()), Dumper=_Indented, sort_keys=False, width=120, allow_unicode=True
    )
    block = "        options: &workload\n" + "".join(
        f"          {line}\n" if line else "\n" for line in made.splitlines()
    )
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return text[:begin] + block + text[end:]


def schema_text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> dict[str, Any]:
    """For files of ``pod_identity_workloads_from``, and for those with variables of the role."""
    workloads = {"type": "array", "items": _workload()}
    either = {"anyOf": [workloads, _template()]}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Workloads of EKS Pod Identity",
        "anyOf": [
            workloads,
            {
                "type": "object",
                "properties": dict.fromkeys(LIST_KEYS, either),
                "not": {"required": list(LIST_KEYS)},
            },
        ],
    }


def _workload() -> dict[str, Any]:
    made = _mapping(workload_spec(), described(), "")
    made["required"] = ["namespace", "service_account", "role"]
    made["allOf"] = [
        {
            "if": {"required": ["session_policy"], "properties": {"session_policy": _filled()}},
            "then": {
                "required": ["disable_session_tags"],
                "properties": {"disable_session_tags": {"not": {"enum": [False, None, "false", "no"]}}},
            },
        }
    ]
    return made


def _mapping(spec: Mapping[str, Any], texts: Mapping[str, Any], place: str) -> dict[str, Any]:
    properties = {name: _option(name, option, texts[name], place) for name, option in spec.items()}
    made: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
    if required := [name for name, option in spec.items() if option.get("required")]:
        made["required"] = required
    if place == "role.":
        others = [name for name in spec if name not in (*EXISTING_ROLE_KEYS, "name")]
        made["anyOf"] = [_has("name"), _has("arn")]
        made["allOf"] = [
            {"if": _has("arn"), "then": {"properties": {name: {"type": "null"} for name in others}}},
            {"not": {"allOf": [_has("trust_policy"), _has("trust_scope")]}},
        ]
    if place == "policies.":
        made["oneOf"] = [
            {"allOf": [_has("name"), _has("document"), {"properties": {"arn": {"type": "null"}}}]},
            {
                "allOf": [
                    _has("arn"),
                    {"properties": {name: {"type": "null"} for name in spec if name != "arn"}},
                ]
            },
        ]
    return made


def _option(name: str, option: Mapping[str, Any], text: Mapping[str, Any], place: str) -> dict[str, Any]:
    made: dict[str, Any] = {"description": plain(text["description"])}
    kind, path = option["type"], f"{place}{name}"
    optional = [] if option.get("required") else [{"type": "null"}]
    if kind == "dict" and "options" in option:
        forms = [_mapping(option["options"], text["suboptions"], f"{path}."), _template()]
    elif kind == "list":
        entry = _mapping(option["options"], text["suboptions"], f"{path}.")
        forms = [{"type": "array", "items": {"anyOf": [entry, _template()]}}, _template()]
    elif kind == "dict":
        forms = [{"type": "object"}, _template()]
    elif kind == "raw":
        forms = [{"type": "object"}, {"type": "string"}]
    elif kind == "bool":
        forms = [{"type": "boolean"}, {"enum": [0, 1]}, {"type": "string", "pattern": _BOOLEAN}, _template()]
    elif kind == "int":
        forms = [
            {"type": "integer", "minimum": 3600, "maximum": 43200},
            {"type": "string", "pattern": "^[0-9]+$"},
            _template(),
        ]
    elif "choices" in option:
        forms = [{"enum": option["choices"]}, _template()]
    else:
        forms = [_text(path)]
    return {**made, "anyOf": [*forms, *optional]}


def _text(path: str) -> dict[str, Any]:
    if path in _TEXT_RULES:
        return {"type": "string", "pattern": f"^(?:{_TEXT_RULES[path].pattern})$|{TEMPLATE}"}
    if path in _EMPTY_OR_ARN:
        return {"type": "string", "pattern": f"^(?:{_EMPTY_OR_ARN[path].pattern})?$|{TEMPLATE}"}
    return {"type": "string"}


def _template() -> dict[str, Any]:
    return {"type": "string", "pattern": TEMPLATE}


def _has(name: str) -> dict[str, Any]:
    """Null is as if it were left out."""
    return {"required": [name], "properties": {name: {"not": {"type": "null"}}}}


def _filled() -> dict[str, Any]:
    return {"not": {"enum": [None, "", {}]}}


def plain(description: str | Sequence[str]) -> str:
    """Without the markup of Ansible's documentation, which editors would show as it is."""
    text = description if isinstance(description, str) else " ".join(description)
    return _MARKUP.sub(lambda found: next(part for part in found.groups() if part is not None), text)


def main() -> int:
    for path, made in ((SCHEMA, schema_text()), (ROLE, role_text(ROLE.read_text(encoding="utf-8")))):
        if not path.exists() or path.read_text(encoding="utf-8") != made:
            path.write_text(made, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
