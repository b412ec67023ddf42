# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that AWX accepts the surveys, and that the role accepts answers in the form in which AWX passes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.role_variables import (
    AUDIT,
    MIGRATION,
    read_audit_variables,
    read_migration_variables,
    read_variables,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    INPUT_OPTIONS,
    ROLE,
    read_input,
    refuse_files,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.variables import (
    VARIABLES,
)
from emulator import QUESTIONS, Controller
from target import ROOT

FOLDER = ROOT / "roles" / "awx_fleet" / "files" / "surveys"
TEMPLATES = yaml.safe_load(
    (ROOT / "roles/awx_fleet/vars/main.yml").read_text(encoding="utf-8").replace("!unsafe", "")
)
# The types of survey questions that fit a variable with another answer than a number or a choice, by the type of the variable.
FITTING = {
    "str": {"text", "textarea"},
    "list": {"multiselect", "textarea"},
    "raw": {"text", "textarea"},
    "dict": {"textarea"},
}
WORKLOADS = "- namespace: default\n  service_account: api\n  role: {name: api}\n"


def surveys() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def questions() -> Iterator[Any]:
    for name, survey in surveys().items():
        for question in survey["spec"]:
            yield pytest.param(name, question, id=f"{name}-{question['variable']}")


def answers(question: dict[str, Any]) -> list[object]:
    """Return answers to a question as a job gets them: texts, numbers and lists of choices."""
    if question["type"] == "multiplechoice":
        return list(question["choices"])
    if question["type"] == "multiselect":
        return [[choice] for choice in question["choices"]] + [list(question["choices"])]
    if question["type"] == "integer":
        return [question["min"], question["max"]]
    if question["variable"] == "pod_identity_workloads":
        return [
            WORKLOADS,
            json.dumps(yaml.safe_load(WORKLOADS)),
            json.dumps(yaml.safe_load(WORKLOADS), indent=2),
        ]
    examples = {
        "pod_identity_assume_role_arn": "arn:aws:iam::444455556666:role/fleet",
        "pod_identity_assume_role_external_id": "my-fleet",
        "pod_identity_audit_file": "/reports/a.html\n/reports/a.json",
        "pod_identity_only": "default/*\nshop/api",
        "pod_identity_force": "shop/api\nshop/web",
        "pod_identity_serial": '[1, "100%"]',
    }
    return [examples.get(question["variable"], "eu-central-1")]


def entry_point(survey: str) -> str:
    return "verify" if survey == "verify" else "main"


def test_job_templates_use_all_surveys() -> None:
    used = {template["survey"] for template in TEMPLATES["__awx_fleet_job_templates"] if "survey" in template}
    assert used == set(surveys())


@pytest.mark.parametrize("name", sorted(surveys()))
def test_awx_accepts_survey(name: str) -> None:
    world = Controller(("site.yml",))
    world.write_survey(1, surveys()[name])
    assert set(surveys()[name]) == {"name", "description", "spec"}


@pytest.mark.parametrize(("survey", "question"), list(questions()))
def test_question_fits_variable_and_job(survey: str, question: dict[str, Any]) -> None:
    """Check the properties of questions that tools/make_variables.py does not generate."""
    name = question["variable"].removeprefix(ROLE)
    option = {**VARIABLES["main"], **VARIABLES["fleet"], **VARIABLES.get(survey, {})}[name]
    assert question["type"] in QUESTIONS
    if option["type"] not in ("bool", "int") and "choices" not in option:
        assert question["type"] in FITTING[option["type"]]
    if question["variable"] == "pod_identity_ignore":
        assert set(question["choices"]) <= {code.value for code in Code}
    # As an extra variable, a default would override the inventory.
    assert "default" not in question
    # Schedules of fleet jobs cannot answer required questions.
    assert not (question["required"] and survey in ("audit", "fleet", "verify"))


@pytest.mark.parametrize(("survey", "question"), list(questions()))
def test_role_accepts_answers(survey: str, question: dict[str, Any]) -> None:
    name = question["variable"].removeprefix(ROLE)
    for readers, read in ((AUDIT, read_audit_variables), (MIGRATION, read_migration_variables)):
        if name in readers:
            assert all(read({name: answer}) for answer in answers(question))
            return
    if name in VARIABLES["fleet"]:
        pytest.skip("a keyword of the play, which tests/fleet/test_fleet_play.py tests")
    for answer in answers(question):
        if question["variable"] == f"{ROLE}assume_role_external_id":
            variables = {"assume_role_arn": "arn:aws:iam::444455556666:role/fleet"}
        else:
            variables = {}
        variables |= {
            "cluster_name": "blue",
            "workloads": WORKLOADS,
            question["variable"].removeprefix(ROLE): answer,
        }
        point: Any = entry_point(survey)
        values = read_variables(variables, point)
        parsed = read_input(
            {name: values[name] for name in INPUT_OPTIONS if name in values}, refuse_files, ROLE
        )
        assert [workload.key.service_account for workload in parsed.workloads] == ["api"]
