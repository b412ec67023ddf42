# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the parser, the modules, the role and the JSON Schema accept the same keys and values of workloads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import make_forms
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.form import (
    workloads_spec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.variables import (
    VARIABLES,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    ROLLBACK,
    STEPS,
    TOOLS,
)
from jsonschema import Draft7Validator
from make_docs import make_files
from support import BIN, COLLECTIONS, ROOT, all_blocks, environment, run

SCHEMA = Draft7Validator(json.loads(make_forms.SCHEMA.read_text(encoding="utf-8")))
EXAMPLES = [
    path
    for path in sorted((ROOT / "examples").glob("*.yml"))
    if re.search(r"^pod_identity_workloads:", path.read_text("utf-8"), re.MULTILINE)
]
ROLE_ARN = "arn:aws:iam::111122223333:role/r"
POLICY_ARN = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
SESSION = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
}


def workload(**fields: Any) -> dict[str, Any]:
    """Return a valid workload, changed by ``fields``. A field with the value ``...`` is removed."""
    content = {"namespace": "default", "service_account": "app", "role": {"name": "r"}, **fields}
    return {name: value for name, value in content.items() if value is not ...}


GOOD: dict[str, dict[str, Any]] = {
    "required keys only": workload(),
    "nulls": workload(policies=None, tags=None, session_policy=None, target_role_arn=None),
    "longest namespace": workload(namespace="a" * 63),
    "account with dots": workload(service_account="a.b-c"),
    "existing role": workload(role={"arn": ROLE_ARN, "extend_trust": True, "trust_scope": "namespace"}),
    "existing role with its name": workload(role={"arn": ROLE_ARN, "name": "r"}),
    "role in GovCloud": workload(role={"arn": "arn:aws-us-gov:iam::111122223333:role/p/r"}),
    "all keys of a role": workload(
        role={
            "name": "r",
            "path": "/a/b/",
            "description": "d",
            "permissions_boundary": POLICY_ARN,
            "max_session_duration": 43200,
            "tags": {"a": "b"},
            "trust_scope": "anyone_in_account",
        }
    ),
    "null as trust policy": workload(role={"name": "r", "trust_policy": None}),
    "boundary removed": workload(role={"name": "r", "permissions_boundary": ""}),
    "duration as text": workload(role={"name": "r", "max_session_duration": "7200"}),
    "policies": workload(policies=[{"arn": POLICY_ARN}, {"name": "p", "document": SESSION, "path": "/p/"}]),
    "policy as text": workload(policies=[{"name": "p", "document": json.dumps(SESSION)}]),
    "preset": workload(
        policies=[{"preset": "external-dns", "with": {"hosted_zone_ids": ["Z1"]}, "name": "p", "path": "/p/"}]
    ),
    "preset alone": workload(policies=[{"preset": "external-dns", "document": None, "arn": None}]),
    "target removed": workload(target_role_arn=""),
    "flags as text": workload(disable_session_tags="no", create_namespace="TRUE", create_service_account=1),
    "session policy": workload(session_policy=SESSION, disable_session_tags=True),
    "session policy, flag as text": workload(session_policy=SESSION, disable_session_tags="yes"),
    "session policy removed": workload(session_policy=""),
    "permissions": workload(
        required_permissions=[
            {"action": "s3:GetObject", "resource": "*", "context": {"aws:SourceVpc": ["v"]}}
        ]
    ),
    "labels": workload(service_account_labels={"a": "b"}, service_account_annotations={"a": "b"}),
}
BAD: dict[str, Any] = {
    "text": "app",
    "unknown key": workload(polices=[]),
    "no namespace": workload(namespace=...),
    "no account": workload(service_account=...),
    "no role": workload(role=...),
    "capitals": workload(namespace="Default"),
    "long namespace": workload(namespace="a" * 64),
    "namespace as a number": workload(namespace=1),
    "account with an underscore": workload(service_account="a_b"),
    "role as text": workload(role="r"),
    "role without a name": workload(role={"description": "d"}),
    "unknown key of a role": workload(role={"name": "r", "boundary": POLICY_ARN}),
    "long role name": workload(role={"name": "r" * 65}),
    "role name with a space": workload(role={"name": "my role"}),
    "ARN of a policy as role": workload(role={"arn": POLICY_ARN}),
    "description of an existing role": workload(role={"arn": ROLE_ARN, "description": "d"}),
    "path without a final slash": workload(role={"name": "r", "path": "/a"}),
    "unknown scope": workload(role={"name": "r", "trust_scope": "pod"}),
    "scope and trust policy": workload(
        role={"name": "r", "trust_scope": "anyone_in_account", "trust_policy": SESSION}
    ),
    "ARN of a role as boundary": workload(role={"name": "r", "permissions_boundary": ROLE_ARN}),
    "short session": workload(role={"name": "r", "max_session_duration": 60}),
    "policies as a mapping": workload(policies={"arn": POLICY_ARN}),
    "policy without a document": workload(policies=[{"name": "p"}]),
    "document and ARN": workload(policies=[{"name": "p", "document": SESSION, "arn": POLICY_ARN}]),
    "policy without name and ARN": workload(policies=[{"description": "d"}]),
    "preset and document": workload(policies=[{"preset": "external-dns", "document": SESSION}]),
    "preset and ARN": workload(policies=[{"preset": "external-dns", "arn": POLICY_ARN}]),
    "unknown preset": workload(policies=[{"preset": "external-dn"}]),
    "parameters as a list": workload(policies=[{"preset": "external-dns", "with": ["Z1"]}]),
    "parameters without a preset": workload(
        policies=[{"name": "p", "document": SESSION, "with": {"hosted_zone_ids": ["Z1"]}}]
    ),
    "unknown key of a policy": workload(policies=[{"arn": POLICY_ARN, "nmae": "p"}]),
    "name of a policy as ARN": workload(policies=[{"arn": "my-policy"}]),
    "name of a role as target": workload(target_role_arn="role"),
    "invalid flag": workload(disable_session_tags="perhaps"),
    "session policy without disable_session_tags": workload(session_policy=SESSION),
    "session policy with session tags": workload(session_policy=SESSION, disable_session_tags=False),
    "tags as a list": workload(tags=["a"]),
    "permission without an action": workload(required_permissions=[{"resource": "*"}]),
    "unknown key of a permission": workload(
        required_permissions=[{"action": "s3:GetObject", "effect": "Allow"}]
    ),
}


def is_parsed(workload: object) -> bool:
    try:
        parse_workloads([workload], "my-cluster")
    except InputError:
        return False
    return True


@pytest.mark.parametrize("name", GOOD)
def test_parser_and_schema_accept(name: str) -> None:
    assert is_parsed(GOOD[name])
    for content in ([GOOD[name]], {"pod_identity_workloads": [GOOD[name]], "other": 1}):
        assert [error.message for error in SCHEMA.iter_errors(content)] == []


@pytest.mark.parametrize("name", BAD)
def test_parser_and_schema_reject(name: str) -> None:
    assert not is_parsed(BAD[name])
    assert not SCHEMA.is_valid([BAD[name]])
    assert not SCHEMA.is_valid({"workloads": [workload(), BAD[name]]})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_reference_schema_and_are_valid(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "# yaml-language-server: $schema=../docs/workloads.schema.json\n" in text
    assert (path.parent / "../docs/workloads.schema.json").is_file()
    assert [error.message for error in SCHEMA.iter_errors(yaml.safe_load(text))] == []


def test_pages_match_schema() -> None:
    found = [block for block in all_blocks("yaml") if block.text.startswith("pod_identity_cluster_name:")]
    assert len(found) > 5
    for block in found:
        errors = [error.message for error in SCHEMA.iter_errors(yaml.safe_load(block.text))]
        assert errors == [], block.name


def test_generated_files_are_current() -> None:
    """Compare the files with the output of nox -s tables."""
    assert {path.name for path, made in make_files() if path.read_text("utf-8") != made} == set()


def test_variables_have_the_choices_of_the_code() -> None:
    choices = {name: option.get("choices") for name, option in VARIABLES["migrate"].items()}
    assert choices["migration_step"] == (*STEPS, ROLLBACK)
    assert choices["migration_tool"] == TOOLS


def types(options: Mapping[str, Any], key: str) -> Iterator[tuple[str, str, str, bool, tuple[str, ...]]]:
    """Yield the path, type, element type, required and choices of all options, including nested options."""
    for name, option in options.items():
        choices = tuple(option.get("choices") or ())
        kind, required = option["type"], bool(option.get("required"))
        yield name, kind, option.get("elements") or "", required, choices
        for path, *rest in types(option.get(key) or {}, key):
            yield f"{name}.{path}", *rest  # type: ignore[misc]


@pytest.mark.parametrize("module", ["eks_pod_identity", "eks_pod_identity_info"])
def test_modules_document_every_key(tmp_path: Path, module: str) -> None:
    name = f"workload_identity.aws.{module}"
    done = run([BIN / "ansible-doc", "--json", name], ROOT, environment(COLLECTIONS, home=tmp_path))
    workloads = json.loads(done.stdout[done.stdout.index("{") :])[name]["doc"]["options"]["workloads"]
    documented = sorted(types({"workloads": workloads}, "suboptions"))
    assert documented == sorted(types({"workloads": workloads_spec()}, "options"))


def test_role_documents_every_key_and_leaves_validation_to_parser() -> None:
    specs = yaml.safe_load(make_forms.ROLE.read_text(encoding="utf-8"))["argument_specs"]
    spec = specs["main_variables"]["options"]
    option = spec["pod_identity_workloads"]
    assert sorted(types(option["options"], "options")) == sorted(
        types(workloads_spec()["options"], "options")
    )
    variables = {"pod_identity_cluster_name": "my-cluster", "pod_identity_workloads": [{"nmae": 1}, 2]}
    result = ArgumentSpecValidator(spec).validate(variables)
    assert result.error_messages == []


@pytest.mark.parametrize(
    ("entry_point", "module"),
    [("main_variables", "eks_pod_identity"), ("verify_variables", "eks_pod_identity_info")],
)
def test_role_variables_match_module_options(tmp_path: Path, entry_point: str, module: str) -> None:
    """Compare the type, the default and the choices of each variable with the option of the same name."""
    name = f"workload_identity.aws.{module}"
    done = run([BIN / "ansible-doc", "--json", name], ROOT, environment(COLLECTIONS, home=tmp_path))
    documented = json.loads(done.stdout[done.stdout.index("{") :])[name]["doc"]["options"]
    spec = yaml.safe_load(make_forms.ROLE.read_text(encoding="utf-8"))["argument_specs"][entry_point]
    variables = {name.removeprefix("pod_identity_"): option for name, option in spec["options"].items()}
    common = sorted(variables.keys() & documented.keys() - {"workloads"})
    assert len(common) >= 8
    keys = ("type", "elements", "default", "choices")
    assert [
        (name, key, variables[name].get(key), documented[name].get(key))
        for name in common
        for key in keys
        if variables[name].get(key) != documented[name].get(key)
    ] == []


def test_variables_match_in_both_entry_points() -> None:
    specs = yaml.safe_load(make_forms.ROLE.read_text(encoding="utf-8"))["argument_specs"]
    main, verify = specs["main_variables"]["options"], specs["verify_variables"]["options"]
    assert verify.items() <= main.items()


def test_role_validates_its_variables_before_ansible() -> None:
    """Check that no entry point has the name of a file in tasks/.

    Ansible would validate the variables of such an entry point before the role does, with less specific messages.
    """
    spec = yaml.safe_load(make_forms.ROLE.read_text(encoding="utf-8"))["argument_specs"]
    files = list((ROOT / "roles" / "pod_identity" / "tasks").iterdir())
    assert files
    assert {name for path in files for name in (path.name, path.stem)}.isdisjoint(spec)
