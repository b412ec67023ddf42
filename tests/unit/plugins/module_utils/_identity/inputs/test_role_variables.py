# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the variables of the role: names, types, and errors that occur before any request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.role_variables import (
    check_extra_variables,
    find_variables,
    read_variables,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model import errors

ROLE = Path(__file__).resolve().parents[6] / "roles" / "pod_identity"
SPECS = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    name.removeprefix("pod_identity_"): option for name, option in SPECS["main_variables"]["options"].items()
}
NO_TEXT = {"bool": "maybe", "int": "many"}


def find_problems(values: Mapping[str, object], entry_point: Any = "main") -> list[str]:
    with pytest.raises(errors.InputError) as caught:
        read_variables(values, entry_point)
    return list(caught.value.problems)


@pytest.mark.parametrize("wrong", [NO_TEXT, {kind: {"x": 1} for kind in NO_TEXT}], ids=["text", "mapping"])
def test_message_names_each_variable_of_another_type(wrong: Mapping[str, object]) -> None:
    values = {name: wrong[option["type"]] for name, option in OPTIONS.items() if option["type"] in wrong}
    lines = errors.input_message(errors.InputError(find_problems(values))).split("\n- pod_identity_")[1:]
    assert {line.partition(" must be ")[0] for line in lines} == values.keys()


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if "default" in option])
def test_accepts_default_values_as_text(name: str) -> None:
    default = OPTIONS[name]["default"]
    assert read_variables({name: default}, "main") == {name: default}
    if isinstance(default, (bool, int)):
        assert read_variables({name: str(default)}, "main") == {name: default}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("ignore", "POD_PROXY, AGENT_MISSING", ["POD_PROXY", "AGENT_MISSING"]),
        ("ignore", '["POD_PROXY"]', ["POD_PROXY"]),
        ("tags", '{"a": "b"}', {"a": "b"}),
        ("force", "yes", True),
        ("force", "shop/api, shop/web", ["shop/api", "shop/web"]),
        ("force", "shop/api\nshop/web", ["shop/api", "shop/web"]),
        ("force", '["shop/api"]', ["shop/api"]),
        ("force", "- shop/api", ["shop/api"]),
        ("force", [], []),
        ("workloads", "[]", "[]"),
        ("workloads_from", "a.yml", "a.yml"),
        ("workloads_from", '["a.yml", "b.yml"]', ["a.yml", "b.yml"]),
        ("purge_limit", "20%", "20%"),
        ("profile", 444455556666, "444455556666"),
        ("account_id", 444455556666, "444455556666"),
        ("account_id", " 444455556666 ", "444455556666"),
        ("account_id", "012345678901", "012345678901"),
    ],
)
def test_parses_text(name: str, text: object, value: object) -> None:
    assert read_variables({name: text}, "main") == {name: value}


# By type of an option: pairs of a value from a survey, a command line or an INI inventory, and the value after parsing.
ANSWERS: dict[str, list[tuple[object, object]]] = {
    "bool": [("true", True), ("False", False), ("yes", True), ("0", False), (True, True)],
    "int": [("900", 900), (" 901 ", 901), (902, 902)],
    "dict": [('{"a": "b"}', {"a": "b"}), ("a: b\nc: 1\n", {"a": "b", "c": 1}), ({"a": "b"}, {"a": "b"})],
    "list": [
        (["POD_PROXY", "AGENT_MISSING"], ["POD_PROXY", "AGENT_MISSING"]),
        ("POD_PROXY, AGENT_MISSING", ["POD_PROXY", "AGENT_MISSING"]),
        ("POD_PROXY\nAGENT_MISSING\n", ["POD_PROXY", "AGENT_MISSING"]),
        ('["POD_PROXY"]', ["POD_PROXY"]),
        ("- POD_PROXY\n- AGENT_MISSING\n", ["POD_PROXY", "AGENT_MISSING"]),
    ],
    "raw": [("true", True), (False, False), ("shop/api\nshop/web\n", ["shop/api", "shop/web"])],
    "str": [("text", "text"), (12345, "12345")],
    "path": [("a/b", "a/b")],
}
# Variables that are parsed together with the workloads, or that accept only certain texts.
ELSEWHERE = {
    "account_id",
    "assume_role_arn",
    "proof_pod",
    "only",
    "purge_limit",
    "workloads",
    "workloads_from",
}
WITH_A_ROLE = {"assume_role_external_id"}


@pytest.mark.parametrize("name", sorted(set(OPTIONS) - ELSEWHERE))
def test_every_variable_accepts_a_survey_answer(name: str) -> None:
    option = OPTIONS[name]
    answers = [(choice, choice) for choice in option.get("choices", ())] or ANSWERS[option["type"]]
    for answer, value in answers:
        required = {"assume_role_arn": ARN} if name in WITH_A_ROLE else {}
        if (name, answer) == ("agent", "absent"):
            required = {"state": "absent"}
        entry_point = "main" if answer == "absent" or name == "state" else "verify"
        assert read_variables({name: answer, **required}, entry_point)[name] == value, answer


# Variables that an empty text does not leave unset: for them, an empty text is an error.
NO_VALUE = {"owner", "workloads", "workloads_from"}


@pytest.mark.parametrize("empty", ["", "  ", None])
@pytest.mark.parametrize("name", sorted(OPTIONS.keys() - {"approved", "only"}))
def test_empty_survey_answer_sets_no_variable(name: str, empty: object) -> None:
    expected = {name: empty} if name in NO_VALUE else {}
    found = read_variables({name: empty}, "main")
    assert found == expected


@pytest.mark.parametrize("empty", ["", "  ", None])
@pytest.mark.parametrize("entry_point", ["main", "verify"])
def test_empty_approval_is_an_error(empty: object, entry_point: str) -> None:
    assert find_problems({"approved": empty}, entry_point) == [
        "pod_identity_approved has no value; name the report of the plan, or leave the variable out."
    ]


def test_variables_of_other_playbooks_and_artifacts_are_ignored() -> None:
    assert find_variables(["pod_identity_artifact_a", "pod_identity_audit_file", "pod_identity_purge"]) == [
        "purge"
    ]


ARN = "arn:aws:iam::444455556666:role/fleet"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("purge_limits", "did you mean pod_identity_purge_limit?"),
        ("audit_question", "did you mean pod_identity_audit_questions?"),
        ("zzz", "rename it: the prefix pod_identity_ is reserved for this collection."),
    ],
)
def test_rejects_unknown_variable(name: str, hint: str) -> None:
    with pytest.raises(errors.InputError) as caught:
        find_variables([f"pod_identity_{name}", "pod_identity_purge", "other"])
    assert caught.value.problems == (f"pod_identity_{name} is not a variable of this collection; {hint}",)


def test_rejects_extra_variable_with_misspelt_prefix() -> None:
    with pytest.raises(errors.InputError) as caught:
        check_extra_variables(
            ["podidentity_state", "pod_idenity_owner", "POD_IDENTITY_PURGE", "pod-identity-state"]
        )
    assert caught.value.problems == (
        "POD_IDENTITY_PURGE is not a variable of this collection; did you mean pod_identity_purge?",
        "pod-identity-state is not a variable of this collection; did you mean pod_identity_state?",
        "pod_idenity_owner is not a variable of this collection; did you mean pod_identity_owner?",
        "podidentity_state is not a variable of this collection; did you mean pod_identity_state?",
    )


@pytest.mark.parametrize(
    ("values", "entry_point", "problem"),
    [
        *(
            (
                {"force": value},
                "main",
                "pod_identity_force must be true, false, or a list of workloads like my-namespace/my-service-account, got "
                f"{value!r}.",
            )
            for value in ("api", ["api"], ["shop/api/1"], [7], 2, ["shop/"])
        ),
        *(
            (
                {"account_id": value},
                "main",
                f"pod_identity_account_id must be an AWS account ID, which is 12 digits in quotation marks, got {value!r}.",
            )
            # YAML parses 012345670123 as an octal number, which is 1402433619.
            for value in ("1111-2222-3333", "production", 1402433619, True, 444455556666.0, ["444455556666"])
        ),
        ({"deadline": 0}, "main", "pod_identity_deadline must be 1 or more, got 0."),
        ({"restart_timeout": "-5"}, "main", "pod_identity_restart_timeout must be 0 or more, got -5."),
        ({"tags": "abc"}, "main", "pod_identity_tags must be a mapping, got 'abc'."),
        ({"approved": ["x"]}, "main", "pod_identity_approved must be text, got ['x']."),
        (
            {"runtime_proof": True, "proof_image": []},
            "main",
            "pod_identity_proof_image must be text, got [].",
        ),
        (
            {"ignore": ["TRUST_WIDER"]},
            "main",
            "pod_identity_ignore: 'TRUST_WIDER' is not a finding code; did you mean TRUST_WIDER_THAN_ASKED?",
        ),
        (
            {"ignore": "POD_PROXI"},
            "main",
            "pod_identity_ignore: 'POD_PROXI' is not a finding code; did you mean POD_PROXY?",
        ),
        (
            {"ignore": ["x"]},
            "main",
            "pod_identity_ignore: 'x' is not a finding code; docs/codes.md lists all codes.",
        ),
        (
            {"restart_stale": "true", "verify_pods": "false"},
            "main",
            "pod_identity_restart_stale needs pod_identity_verify_pods: true to find stale Pods. Set "
            "pod_identity_verify_pods: true, or leave pod_identity_restart_stale out.",
        ),
        (
            {"runtime_proof": True, "proof_image": ""},
            "main",
            "pod_identity_runtime_proof needs pod_identity_proof_image, which has no value.",
        ),
        (
            {"proof_pod": '{"metadata": {"labels": {"team": "team a"}}}'},
            "main",
            "pod_identity_proof_pod metadata: labels: the value of 'team' must be a Kubernetes label value (at most 63 letters, "
            "digits, -, _ and ., with a letter or digit at both ends, or nothing), got 'team a'.",
        ),
        (
            {"proof_pod": {"metadata": {"labels": {"bad key!!": "x"}}}},
            "verify",
            "pod_identity_proof_pod metadata: labels: 'bad key!!' is not a valid label key (1 to 63 letters, digits, -, _ and ., "
            "with a letter or digit at both ends; optionally preceded by a lower-case DNS name and /).",
        ),
        (
            {"proof_pod": "metadata: {annotations: {cost: 5}}"},
            "main",
            "pod_identity_proof_pod metadata: annotations: the value of 'cost' must be text, got 5; quote it.",
        ),
        (
            {"proof_pod": {"metadata": {"annotations": {"eks.amazonaws.com/skip-containers": "proof"}}}},
            "main",
            "pod_identity_proof_pod metadata: annotations: 'eks.amazonaws.com/skip-containers' marks Pods of this collection, or "
            "excludes a Pod from EKS Pod Identity; leave this key out.",
        ),
        (
            {"proof_pod": {"tolerations": []}},
            "main",
            "pod_identity_proof_pod: unknown key 'tolerations'; the valid keys are metadata, spec.",
        ),
        (
            {"state": "absent"},
            "verify",
            "'pod_identity_state: absent' removes workloads, but a verification changes nothing and checks "
            "that they are complete. Leave pod_identity_state out.",
        ),
        (
            {"agent": "absent"},
            "main",
            "'pod_identity_agent: absent' is only for a teardown, because the workloads of this run need the "
            "agent; set 'pod_identity_agent: ignore' or 'pod_identity_state: absent'.",
        ),
        (
            {"agent_version": "latest"},
            "main",
            "pod_identity_agent_version needs pod_identity_agent: present. Set pod_identity_agent: present, or leave "
            "pod_identity_agent_version out.",
        ),
        (
            {"agent": "present", "agent_version": "1.3"},
            "main",
            "pod_identity_agent_version must be 'latest', a version such as 'v1.3.8-eksbuild.2', or a minimum such as "
            "'>=v1.3.0'; it is '1.3'.",
        ),
    ],
)
def test_rejects_contradictory_variables(
    values: Mapping[str, object], entry_point: Any, problem: str
) -> None:
    assert find_problems(values, entry_point) == [problem]
