# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the inventory plugin: its documentation, its cache key, and the files that it accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.utils.display import Display
from ansible_collections.workload_identity.aws.plugins.inventory import eks_clusters
from ansible_collections.workload_identity.aws.plugins.inventory.eks_clusters import (
    DOCUMENTATION,
    EXAMPLES,
    NOT_IN_KEY,
    InventoryModule,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs import inventory_source
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inventory import host_variables
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.accounts import (
    AssumeRole,
    FoundClusters,
    UnreadClusters,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.inventory.clusters import (
    found,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.modules.test_arguments import documented

ROOT = Path(__file__).resolve().parents[4]
OPTIONS: dict[str, Any] = yaml.safe_load(DOCUMENTATION)["options"]
FILE = ROOT / "examples" / "inventory" / "fleet.eks_clusters.yml"
SOURCES = [*yaml.safe_load_all(EXAMPLES), yaml.safe_load(FILE.read_text(encoding="utf-8"))]
# The documentation fragments of Ansible define these options.
RUNS = yaml.safe_load(Path(__file__).with_name("runs.yml").read_text(encoding="utf-8"))
CLUSTERS = {"blue": {"stage": "prod"}, "green": {"stage": "{{ 1 + 1 }}"}}
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


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return a function that reads inventory files. The runs of a list are in order, and share a cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config").write_text("[profile fleet]\nregion = eu-west-1\n", encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    constants.config.initialize_plugin_configuration_definitions(
        "inventory", InventoryModule.NAME, documented(eks_clusters)
    )

    def run(case: Any) -> Any:
        reads, warnings = [], []

        def read_clusters(request: Any, _sessions: Any, home: str) -> FoundClusters:
            reads.append({"home": home, "regions": list(request.regions)})
            if error := case.get("error"):
                raise classify("sts:GetCallerIdentity", *error)
            clusters = [found(name=name, tags=tags) for name, tags in case.get("clusters", CLUSTERS).items()]
            failures = [
                UnreadClusters(
                    "111122223333",
                    region,
                    "",
                    classify("eks:ListClusters", "AccessDeniedException", "denied"),
                )
                for region in case.get("unread", ())
            ]
            return FoundClusters(tuple(clusters), tuple(failures), bool(failures) and not clusters)

        monkeypatch.setattr(eks_clusters, "read_clusters", read_clusters)
        monkeypatch.setattr(Display, "warning", lambda _display, text: warnings.append(text))
        for name, value in case.get("environment", {}).items():
            monkeypatch.setenv(name, value)
        path = tmp_path / case.get("file", "fleet.eks_clusters.yml")
        path.write_text(json.dumps({"plugin": InventoryModule.NAME, **case["options"]}), encoding="utf-8")
        plugin, inventory = InventoryModule(), InventoryData()
        plugin._load_name, plugin._redirected_names = InventoryModule.NAME, []
        result = {"accepted": plugin.verify_file(str(path)), "reads": reads, "warnings": warnings}
        try:
            plugin.parse(inventory, DataLoader(), str(path), case.get("cache", True))
        except AnsibleError as error:
            return {**result, "error": str(error).replace(str(tmp_path), "/tmp")}
        if "cache" in case["options"]:
            plugin.update_cache_if_changed()
        hosts = {
            host.name: {name: host.vars[name] for name in case.get("show", ()) if name in host.vars}
            for host in inventory.hosts.values()
        }
        groups = {
            name: [host.name for host in group.hosts]
            for name, group in inventory.groups.items()
            if group.hosts
        }
        return {**result, "hosts": hosts, "groups": groups}

    return run


@pytest.mark.parametrize("name", RUNS)
def test_inventory(name: str, read: Any) -> None:
    for case in RUNS[name]:
        assert read(case) == case["expected"]


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
