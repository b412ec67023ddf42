# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the example of event-driven verification: ansible-rulebook can read it, and its rules start job templates of awx_fleet.

The tests do not run the rules, because the engine needs Java. They check the schema, the conditions and the actions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ansible_rulebook
import jsonschema
import pytest
import yaml
from ansible_rulebook.conf import settings
from ansible_rulebook.json_generator import visit_ruleset
from ansible_rulebook.rules_parser import parse_rule_sets
from support import BIN, COLLECTIONS, ROOT

PATH = ROOT / "examples" / "awx" / "rulebooks" / "drift.yml"
CONTENT: list[dict[str, Any]] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
VARIABLES = {"queue_region": "us-east-1", "queue_name": "eks-pod-identity"}
RULES = {rule["name"]: rule for rule in CONTENT[0]["rules"]}


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the path of ansible-galaxy, with which ansible-rulebook finds collections."""
    monkeypatch.setattr(settings, "ansible_galaxy_path", str(BIN / "ansible-galaxy"))
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(COLLECTIONS))


def test_matches_rulebook_schema() -> None:
    schema = Path(ansible_rulebook.__file__).parent / "schema" / "ruleset_schema.json"
    jsonschema.validate(CONTENT, json.loads(schema.read_text(encoding="utf-8")))


@pytest.mark.usefixtures("tools")
def test_conditions_are_valid() -> None:
    [ruleset] = parse_rule_sets(CONTENT, VARIABLES)
    rules = visit_ruleset(ruleset, VARIABLES)["RuleSet"]["rules"]
    assert [rule["Rule"]["name"] for rule in rules] == list(RULES)


def test_source_accepts_arguments() -> None:
    """Parse the documentation in the source of the plugin, because ansible-doc does not support event sources."""
    [source] = CONTENT[0]["sources"]
    [(name, arguments)] = [(key, value) for key, value in source.items() if key != "name"]
    namespace, collection, plugin = name.split(".")
    folder = (
        COLLECTIONS / "ansible_collections" / namespace / collection / "extensions/eda/plugins/event_source"
    )
    text = (folder / f"{plugin}.py").read_text(encoding="utf-8")
    options = yaml.safe_load(text.split('DOCUMENTATION = r"""')[1].split('"""')[0])["options"]
    assert set(arguments) <= set(options)
    assert {option for option, spec in options.items() if spec.get("required")} <= set(arguments)


@pytest.mark.parametrize("name", sorted(RULES))
def test_starts_existing_job_template_with_limit(name: str) -> None:
    variables = yaml.safe_load(
        (ROOT / "roles/awx_fleet/vars/main.yml").read_text(encoding="utf-8").replace("!unsafe", "")
    )
    prefix = yaml.safe_load((ROOT / "roles/awx_fleet/defaults/main.yml").read_text(encoding="utf-8"))[
        "awx_fleet_name"
    ]
    templates = {
        f"{prefix}: {template['key']}": template for template in variables["__awx_fleet_job_templates"]
    }
    action = RULES[name]["action"]["run_job_template"]
    # Templates with ``fleet`` prompt for a limit when they are launched, and templates with ``sliced`` for the number of slices.
    assert templates[action["name"]]["fleet"]
    assert templates[action["name"]]["sliced"]
    assert list(action["job_args"]) == ["job_slice_count", "limit"]
    assert action["job_args"]["job_slice_count"] == 1
