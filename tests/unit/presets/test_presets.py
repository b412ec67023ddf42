# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the presets: each file is valid, IAM can store its documents, and it passes the cases in its table in this folder."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.fields import Fields
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.preset_expansion import (
    COMMON_PARAMETERS,
    DNS_SUFFIXES,
    RunValues,
    expand_preset,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.presets import (
    FOLDER,
    Preset,
    load_preset,
    placeholders,
    preset_names,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import Problems
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import (
    Subject,
    pod_context,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.grammar.storable import (
    storability,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.context import Context
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    parse_policy,
    policy_size,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    Catalogue,
    load_catalogue,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.lints import (
    action_problem,
    lint_policy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    NamedPolicy,
    Required,
    check_permission,
    permission_layers,
)

TABLES = Path(__file__).resolve().parent
ROLE_FORM = "arn:aws:iam::111122223333:role/my-role, without wildcards"
KEY_FORM = "arn:aws:kms:us-west-2:111122223333:key/…"
NAMES = preset_names()
# The regions that the tables use, and those that replace them in each partition. The partition aws-eusc has only one region, so
# the other names are not real.
REGIONS = {
    "aws": ("us-west-2", "us-east-1", "eu-west-1", "ap-southeast-2"),
    "aws-cn": ("cn-north-1", "cn-northwest-1", "cn-northwest-1", "cn-northwest-1"),
    "aws-us-gov": ("us-gov-west-1", "us-gov-east-1", "us-gov-east-1", "us-gov-east-1"),
    "aws-eusc": ("eusc-de-east-1", "eusc-de-west-1", "eusc-de-west-1", "eusc-de-west-1"),
}
REGION = re.compile(r"\b(?:us-west-2|us-east-1|eu-west-1|ap-southeast-2)\b")
CLAIMS = [(name, partition) for name in NAMES for partition in load_preset(name).partitions]
# The names of services in the endpoints of botocore, if they are not the prefix of the service's actions.
ENDPOINTS = {
    "cloudwatch": "monitoring",
    "ecr": "api.ecr",
    "kafka-cluster": "kafka",
    "pricing": "api.pricing",
    "rds-db": "rds",
    "tag": "tagging",
}
# For these services, endpoints.json of botocore is not complete. Their endpoints are in the rules of each service.
GLOBAL_SERVICES = ("iam", "route53")
RUN = RunValues("my-cluster", "111122223333", "us-west-2")
# By key of a preset: its type, and whether it is required.
KEYS: Mapping[str, tuple[type, bool]] = {
    "title": (str, True),
    "purpose": (str, True),
    "version": (int, True),
    "checked": (str, True),
    "source": (str, True),
    "source_version": (str, True),
    "partitions": (list, True),
    "namespace": (str, False),
    "service_account": (str, False),
    "needs_session_tags": (bool, False),
    "managed_policies": (list, False),
    "left_out": (dict, False),
    "limits": (str, False),
    "parameters": (dict, False),
    "policies": (list, True),
}
PARAMETER_KEYS = {"type", "description", "pattern", "service", "default"}
KINDS = ("name", "names", "arn", "arns", "flag")
CASE_KEYS = {"with", "allows", "denies"}
REQUEST_KEYS = {"action", "resource", "context"}
SIZE = 6144
MANAGED_POLICY = re.compile(r"[\w/-]+")
SESSION_TAG = re.compile(r"aws:PrincipalTag/(?:kubernetes|eks)-")


@dataclass(frozen=True, slots=True)
class Case:
    """A test case of a preset: parameters, and the requests that the preset allows and denies with these parameters."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    allows: Sequence[Mapping[str, Any]] = ()
    denies: Sequence[Mapping[str, Any]] = ()


@cache
def raw_preset(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))
    return content


@cache
def read_preset(name: str) -> Preset:
    return load_preset(name)


@cache
def cases(name: str) -> tuple[Case, ...]:
    path = TABLES / f"{name}.yml"
    rows = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else []
    assert all(row.keys() <= CASE_KEYS for row in rows), f"{path.name}: unknown key of a case"
    return tuple(
        Case(row.get("with") or {}, row.get("allows") or (), row.get("denies") or ()) for row in rows
    )


def expand(preset: Preset, parameters: Mapping[str, Any], values: RunValues = RUN) -> list[dict[str, Any]]:
    problems = Problems()
    entry = Fields({"preset": preset.name, "with": parameters}, preset.name, problems)
    rows: list[dict[str, Any]] = expand_preset(preset, entry, "my-role", values)
    assert problems.texts == []
    return rows


@cache
def catalogue() -> Catalogue:
    return load_catalogue()


def every_preset() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", NAMES)


def statements(name: str) -> Iterator[dict[str, Any]]:
    for policy in raw_preset(name)["policies"]:
        yield from policy["statements"]


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_each_table_belongs_to_a_preset() -> None:
    assert sorted(path.stem for path in TABLES.glob("*.yml")) == NAMES


@every_preset()
def test_preset_has_the_required_keys(name: str) -> None:
    content = raw_preset(name)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert content.keys() <= KEYS.keys()
    assert {key for key, (_kind, required) in KEYS.items() if required} <= content.keys()
    assert [
        key
        for key, value in content.items()
        if not isinstance(value, KEYS[key][0]) or (value == "" and KEYS[key][1])
    ] == []
    assert content["version"] >= 1
    assert datetime.date.fromisoformat(content["checked"]) >= datetime.date(2026, 11, 1)
    assert content["source"].startswith("https://")
    assert content["partitions"]
    assert set(content["partitions"]) <= DNS_SUFFIXES.keys()
    assert content["purpose"].endswith(".")
    assert ("namespace" in content) <= ("service_account" in content)
    assert all(MANAGED_POLICY.fullmatch(policy) for policy in content.get("managed_policies", ()))
    assert all(isinstance(reason, str) and reason for reason in content.get("left_out", {}).values())
    assert bool(content.get("left_out")) <= bool(content.get("managed_policies"))


@every_preset()
def test_parameters_are_declared_and_used(name: str) -> None:
    parameters = raw_preset(name).get("parameters", {})
    for key, parameter in parameters.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", key)
        assert key not in COMMON_PARAMETERS
        assert {"type", "description"} <= parameter.keys() <= PARAMETER_KEYS
        assert parameter["type"] in KINDS
        assert parameter["description"].endswith(".")
        assert ("pattern" in parameter) == (parameter["type"] in ("name", "names"))
        assert ("service" in parameter) == (parameter["type"] in ("arn", "arns"))
        assert not re.fullmatch(parameter.get("pattern", ""), "<cluster_name>")
        default = parameter.get("default")
        kind = {"flag": bool, "names": list, "arns": list}.get(parameter["type"], str)
        assert default is None or isinstance(default, kind)
        assert parameter["type"] != "flag" or default is not None
        assert set(placeholders(default)) <= set(COMMON_PARAMETERS)
    conditions = {statement["when"] for statement in statements(name) if "when" in statement}
    used = set(placeholders(list(statements(name))))
    assert used | conditions <= {*parameters, *COMMON_PARAMETERS}
    assert set(parameters) <= used | conditions
    flags = {key for key, parameter in parameters.items() if parameter["type"] == "flag"}
    assert used & flags == set()
    assert all(parameters[key].get("default") in ([], "", False, True) for key in conditions)


@every_preset()
def test_suffixes_and_sids_are_unique(name: str) -> None:
    policies = raw_preset(name)["policies"]
    assert all(policy.keys() <= {"suffix", "statements"} for policy in policies)
    suffixes = [policy.get("suffix", "") for policy in policies]
    assert len(set(suffixes)) == len(suffixes)
    for policy in policies:
        sids = [statement["Sid"] for statement in policy["statements"] if "Sid" in statement]
        assert len(set(sids)) == len(sids)


@every_preset()
def test_roles_are_passed_only_to_named_services(name: str) -> None:
    for statement in statements(name):
        if "iam:PassRole" in as_list(statement.get("Action", [])):
            condition = statement["Condition"]
            assert "iam:PassedToService" in {key for part in condition.values() for key in part}


@every_preset()
def test_session_tags_are_declared(name: str) -> None:
    text = (FOLDER / f"{name}.yml").read_text(encoding="utf-8")
    assert bool(SESSION_TAG.search(text)) == read_preset(name).needs_session_tags


@every_preset()
def test_omitted_actions_are_not_granted(name: str) -> None:
    granted = {action for statement in statements(name) for action in as_list(statement.get("Action", []))}
    assert granted & read_preset(name).left_out.keys() == set()


@every_preset()
def test_documents_can_be_stored(name: str) -> None:
    for case in cases(name):
        for row in expand(read_preset(name), case.parameters):
            assert storability(row["document"], "managed").refusals == (), row["name"]
            assert policy_size(row["document"]) <= SIZE


@every_preset()
def test_actions_exist_and_apply_to_their_resources(name: str) -> None:
    actions = {action for statement in statements(name) for action in as_list(statement.get("Action", []))}
    problems = {action: action_problem(catalogue(), action) for action in actions if "*" not in action}
    assert {action: text for action, text in problems.items() if text} == {}
    assert [action for action in problems if not catalogue_has_case(action)] == []
    for case in cases(name)[:1]:
        for row in expand(read_preset(name), case.parameters):
            policy = parse_policy(row["document"], "identity")
            assert [finding.message for finding in lint_policy(catalogue(), policy, row["name"])] == []


def catalogue_has_case(action: str) -> bool:
    """Return whether an action has the same letter case as in the Service Authorization Reference."""
    return catalogue().find(action.lower()).spelling == action.partition(":")[2]


@every_preset()
def test_table_sets_every_parameter(name: str) -> None:
    rows = cases(name)
    assert rows, f"{name} has no table of cases"
    required = {key for key, parameter in read_preset(name).parameters.items() if parameter.default is None}
    assert [case.parameters for case in rows if not required <= case.parameters.keys()] == []
    set_parameters = {key for case in rows for key in case.parameters}
    assert read_preset(name).parameters.keys() - set_parameters == set()
    assert any(case.allows for case in rows)
    assert any(case.denies for case in rows)


def build_context(preset: Preset, partition: str = "aws") -> Context:
    return pod_context(
        Subject(
            cluster_arn=f"arn:{partition}:eks:{REGIONS[partition][0]}:111122223333:cluster/my-cluster",
            namespace=preset.namespace or "my-namespace",
            service_account=preset.service_account or "my-service-account",
            account_id="111122223333",
            partition=partition,
            role_arn=f"arn:{partition}:iam::111122223333:role/my-role",
            session_tags=True,
        )
    )


def required(request: Mapping[str, Any]) -> Required:
    assert request.keys() <= REQUEST_KEYS, request
    return Required(request["action"], request.get("resource", "*"), request.get("context") or {})


def in_partition(value: Any, partition: str) -> Any:
    """Return a value of a table whose ARNs, regions and regional endpoints are replaced to fit a partition."""
    if isinstance(value, str):
        regions = dict(zip(REGIONS["aws"], REGIONS[partition], strict=True))
        text = REGION.sub(lambda found: regions[found.group()], value).replace(
            "arn:aws:", f"arn:{partition}:"
        )
        return re.sub(
            rf"({'|'.join(regions.values())})\.amazonaws\.com$", rf"\1.{DNS_SUFFIXES[partition]}", text
        )
    if isinstance(value, Mapping):
        return {key: in_partition(part, partition) for key, part in value.items()}
    return [in_partition(part, partition) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("name", "partition"), CLAIMS)
def test_cases(name: str, partition: str) -> None:
    preset, wrong = read_preset(name), []
    values = RunValues("my-cluster", "111122223333", REGIONS[partition][0])
    for case in cases(name):
        parameters = in_partition(case.parameters, partition)
        rows = expand(preset, parameters, values)
        assert set(re.findall(r"\barn:([^:]+):", json.dumps(rows))) <= {partition}
        layers = permission_layers([NamedPolicy(row["name"], row["document"]) for row in rows])
        context = build_context(preset, partition)
        for expected, requests in (
            (("allowed",), case.allows),
            (("implicit_deny", "explicit_deny"), case.denies),
        ):
            for request in in_partition(list(requests), partition):
                verdict = check_permission(layers, required(request), context)
                if verdict.decision not in expected:
                    wrong.append((parameters, verdict.decision, verdict.message))
                elif expected == ("allowed",) and (foreign := to_other_partition(request, partition)):
                    verdict = check_permission(layers, required(foreign), context)
                    everywhere = check_permission(layers, required({**request, "resource": "*"}), context)
                    if verdict.decision == "allowed" and everywhere.decision != "allowed":
                        wrong.append((parameters, verdict.decision, verdict.message))
    assert wrong == []


def to_other_partition(request: Mapping[str, Any], partition: str) -> dict[str, Any] | None:
    """Return the same request for a resource in another partition, or None if the resource is not an ARN."""
    other = "aws-cn" if partition == "aws" else "aws"
    start, resource = f"arn:{partition}:", str(request.get("resource", ""))
    return {**request, "resource": resource.replace(start, f"arn:{other}:", 1)} if start in resource else None


@pytest.mark.parametrize(("name", "partition"), CLAIMS)
def test_services_exist_in_the_partitions(name: str, partition: str) -> None:
    loader = pytest.importorskip("botocore.loaders").create_loader()
    [services] = [
        row["services"]
        for row in loader.load_data("endpoints")["partitions"]
        if row["partition"] == partition
    ]

    def exists(service: str) -> bool:
        if service in GLOBAL_SERVICES:
            return f'"{partition}"' in json.dumps(loader.load_service_model(service, "endpoint-rule-set-1"))
        return ENDPOINTS.get(service, service) in services

    missing = {
        action
        for statement in statements(name)
        for action in as_list(statement["Action"])
        if not exists(action.partition(":")[0])
    }
    # AWS introduces most services in the partition aws first.
    if partition == "aws":
        assert {action.partition(":")[0] for action in missing} <= set(
            loader.list_available_services("service-2")
        )
    elif missing:
        assert re.search(rf"\b{partition}\b(?!-)", read_preset(name).limits), missing


@every_preset()
def test_every_statement_is_needed_by_a_case(name: str) -> None:
    preset, context = read_preset(name), build_context(read_preset(name))
    open_statements = {
        (policy.suffix, number): statement
        for policy in preset.policies
        for number, statement in enumerate(policy.statements)
    }
    for case in cases(name):
        for key, statement in [*open_statements.items()]:
            effect, requests = ("allowed", case.allows)
            if statement["Effect"] == "Deny":
                effect, requests = ("explicit_deny", case.denies)
            document = find_document(preset, statement, case)
            if document is None:
                continue
            layers = permission_layers([NamedPolicy("statement", document)])
            if any(
                check_permission(layers, required(request), context).decision == effect
                for request in requests
            ):
                del open_statements[key]
    assert list(open_statements) == []


def find_document(preset: Preset, statement: Mapping[str, object], case: Case) -> dict[str, Any] | None:
    """Return a document with only this statement of a preset, or None if the parameters of the case leave the statement out."""
    for policy, row in zip_policies(preset, case):
        if statement in policy:
            return {**row["document"], "Statement": [row["document"]["Statement"][policy.index(statement)]]}
    return None


def zip_policies(preset: Preset, case: Case) -> Iterator[tuple[list[Mapping[str, object]], dict[str, Any]]]:
    """Yield the statements and the expanded entry of each policy that the parameters of a case do not leave out."""
    rows = expand(preset, case.parameters)
    values = {
        key: case.parameters.get(key, parameter.default) for key, parameter in preset.parameters.items()
    }
    policies = [
        [
            statement
            for statement in policy.statements
            if "when" not in statement or values[str(statement["when"])]
        ]
        for policy in preset.policies
    ]
    yield from zip([policy for policy in policies if policy], rows, strict=True)


def test_dns_suffixes_are_those_of_botocore() -> None:
    loader = pytest.importorskip("botocore.loaders").create_loader()
    partitions = loader.load_data("partitions")["partitions"]
    suffixes = {partition["id"]: partition["outputs"]["dnsSuffix"] for partition in partitions}
    assert {name: suffixes[name] for name in DNS_SUFFIXES if name in suffixes} == {
        name: suffix for name, suffix in DNS_SUFFIXES.items() if name in suffixes
    }


@pytest.mark.parametrize(
    ("preset", "name", "value", "form"),
    [
        ("karpenter", "node_role_arns", "arn:aws:iam::111122223333:role/nodes", ""),
        ("karpenter", "node_role_arns", "arn:aws:iam::111122223333:role/*", ROLE_FORM),
        ("karpenter", "node_role_arns", "arn:aws:iam::*:role/nodes", ROLE_FORM),
        ("karpenter", "node_role_arns", "arn:aws:iam::111122223333:user/me", ROLE_FORM),
        ("kms-use", "key_arns", "arn:aws:kms:us-west-2:111122223333:key/1234", ""),
        ("kms-use", "key_arns", "arn:aws:kms:us-west-2:111122223333:alias/my-key", KEY_FORM),
    ],
)
def test_arns_that_make_no_sense_are_refused(preset: str, name: str, value: str, form: str) -> None:
    problems = Problems()
    entry = Fields({"preset": preset, "with": {name: [value]}}, "policies[0]", problems)
    expand_preset(load_preset(preset), entry, "r", RunValues("my-cluster", "111122223333", "us-west-2"))
    message = f"policies[0] with: {name}[0] must be an ARN such as {form}, got '{value}'."
    assert problems.texts == ([message] if form else [])
