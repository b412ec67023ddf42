# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the inventory plugin: its documentation, its cache key, and the files that it accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible_collections.workload_identity.aws.plugins.inventory.eks_clusters import (
    DOCUMENTATION,
    EXAMPLES,
    NOT_IN_KEY,
    InventoryModule,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs import inventory_source
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inventory import host_variables
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.accounts import AssumeRole
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.inventory.clusters import (
    found,
)

ROOT = Path(__file__).resolve().parents[4]
OPTIONS: dict[str, Any] = yaml.safe_load(DOCUMENTATION)["options"]
FILE = ROOT / "examples" / "inventory" / "fleet.eks_clusters.yml"
SOURCES = [*yaml.safe_load_all(EXAMPLES), yaml.safe_load(FILE.read_text(encoding="utf-8"))]
# The documentation fragments of Ansible define these options.
FROM_FRAGMENTS = {"cache", "cache_connection", "cache_plugin", "cache_timeout", "groups", "keyed_groups"}


@pytest.mark.parametrize("source", SOURCES)
def test_documented_examples_are_accepted(source: dict[str, Any]) -> None:
    inventory_source.validate_names(source, [*OPTIONS, *FROM_FRAGMENTS])
    inventory_source.read_request({"concurrency": OPTIONS["concurrency"]["default"], **source})


def test_account_and_organization_keys_match_the_documentation() -> None:
    accounts, organization = (OPTIONS[name]["suboptions"] for name in ("accounts", "organization"))
    assert set(accounts) == set(inventory_source.ACCOUNT_KEYS)
    assert set(organization) == set(inventory_source.ORGANIZATION_KEYS)


def test_defaults_match_the_documentation() -> None:
    request = inventory_source.read_request({"region": "us-west-2"})
    assert list(request.hostnames) == OPTIONS["hostnames"]["default"]
    assert list(request.group_by) == OPTIONS["default_groups"]["default"]
    assert request.require_all is OPTIONS["require_all"]["default"]


def test_every_variable_is_documented() -> None:
    role = AssumeRole("arn:aws:iam::111122223333:role/fleet", "x")
    page = (ROOT / "docs" / "inventory.md").read_text(encoding="utf-8")
    for name in host_variables(found(role=role), {}):
        option = name.replace("pod_identity_assume_role_", "…_") if name[-3:] != "arn" else name
        assert f"`{option}`" in page, name
        assert name in DOCUMENTATION or name.startswith("pod_identity_assume_role_"), name


def test_missing_profile_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise classify(
            "sts:GetCallerIdentity", "ProfileNotFound", "The config profile (x) could not be found"
        )

    monkeypatch.setattr(InventoryModule, "_read_file", lambda *_arguments: {})
    monkeypatch.setattr(InventoryModule, "_hosts", fail)
    with pytest.raises(AnsibleParserError) as caught:
        InventoryModule().parse(InventoryData(), DataLoader(), "x.eks_clusters.yml")
    assert "could not be found. Check the name in the option profile" in str(caught.value)


def test_cache_key_contains_the_selection() -> None:
    deciding = set(OPTIONS) - set(NOT_IN_KEY)
    assert deciding == {
        "accounts",
        "assume_role_arn",
        "assume_role_external_id",
        "exclude_filters",
        "include_filters",
        "organization",
        "own_account",
        "regions",
    }
