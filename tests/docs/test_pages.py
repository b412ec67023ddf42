# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the pages: links, sizes, tables that repeat facts of the code, and examples of workloads."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.files import FileSource
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.options import (
    parse_cluster_name,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.patterns import (
    find_patterns,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.preset_expansion import (
    PresetExpander,
    RunValues,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    POLICY_KEYS,
    ROLE_KEYS,
    WORKLOAD_KEYS,
    Defaults,
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import default_owner
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import TRUST_SCOPES
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.text import COLUMNS
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    policy_size,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    TrustGrant,
    trust_policy,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._policy.grants import grant_for
from support import ROOT, Block, all_blocks, blocks, pages

DOCS = ROOT / "docs"
_LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
_ANCHOR = re.compile(r'<a id="(\w+)"></a>')
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
CLUSTER = "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"


def anchor(heading: str) -> str:
    """Return the anchor that GitHub creates for a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    if page.suffix != ".md" or not page.is_file():
        return set()
    text = page.read_text(encoding="utf-8")
    return {*map(anchor, _HEADING.findall(text)), *_ANCHOR.findall(text)}


def links(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [
        target for target in _LINK.findall(text) if "://" not in target and not target.startswith("mailto:")
    ]


def rows(page: Path, section: str) -> list[list[str]]:
    """Return the cells of the tables below a heading, row by row, without the header and the separator line."""
    text = page.read_text(encoding="utf-8")
    start = re.search(rf"^#+ {re.escape(section)}$", text, re.MULTILINE)
    assert start is not None, f"{page.name} has no section '{section}'"
    body = re.split(r"^#+ ", text[start.end() :], maxsplit=1, flags=re.MULTILINE)[0]
    found = [line for line in body.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found]
    rules = [index for index, row in enumerate(cells) if set("".join(row)) <= set("-| ")]
    heads = {index - 1 for index in rules}
    return [row for index, row in enumerate(cells) if index not in heads and index not in rules]


def keys(page: Path, section: str) -> list[str]:
    """Return the names in back quotes that the first column of a section's tables contains."""
    return [name for row in rows(page, section) for name in re.findall(r"`([^`]+)`", row[0])]


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages()])
def test_relative_links_have_targets(page: Path) -> None:
    broken = []
    for target in links(page):
        name, _, fragment = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        if not found.exists() or (fragment and fragment not in anchors(found)):
            broken.append(target)
    assert broken == []


def test_pages_of_the_artifact_have_no_dead_links() -> None:
    """Compare the links with the files that ``ansible-galaxy collection build`` includes."""
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["build_ignore"]

    def is_included(path: Path) -> bool:
        relative = path.resolve().relative_to(ROOT)
        parts = [relative, *relative.parents]
        return not any(fnmatch.fnmatch(str(part), pattern) for part in parts for pattern in ignored)

    assert [
        f"{page.relative_to(ROOT)}: {target}"
        for page in filter(is_included, pages())
        for target in links(page)
        if not target.startswith("#") and not is_included(page.parent / target.partition("#")[0])
    ] == []


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_documentation_is_short() -> None:
    """Count the words of README, CONTRIBUTING, docs and roles, without the bars of tables. The limit may only shrink."""
    found = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *DOCS.rglob("*.md"),
        *(ROOT / "roles").glob("*/README.md"),
    ]
    words = [word for page in found for word in page.read_text(encoding="utf-8").split()]
    assert sum(any(map(str.isalnum, word)) for word in words) <= 35_500


def test_readme_links_every_page() -> None:
    reached, queue = set(), [ROOT / "README.md"]
    while queue:
        page = queue.pop()
        if page not in reached:
            reached.add(page)
            found = [(page.parent / target.partition("#")[0]).resolve() for target in links(page)]
            queue += [linked for linked in found if linked.suffix == ".md" and linked.is_file()]
    assert sorted(page.name for page in DOCS.rglob("*.md") if page not in reached) == []


def workload_blocks() -> list[Block]:
    return [block for block in all_blocks("yaml") if "pod_identity_workloads:" in block.text]


def listed_workloads(value: object) -> list[object]:
    """Return every value of ``pod_identity_workloads`` in a YAML document, at any depth."""
    if isinstance(value, dict):
        found = [item for key, item in value.items() if key == "pod_identity_workloads"]
        return found + [workloads for item in value.values() for workloads in listed_workloads(item)]
    if isinstance(value, list):
        return [workloads for item in value for workloads in listed_workloads(item)]
    return []


class TestWorkloads:
    @pytest.mark.parametrize("block", [pytest.param(block, id=block.name) for block in workload_blocks()])
    def test_accepts_examples_of_pages(self, block: Block) -> None:
        found = [
            content for content in listed_workloads(yaml.safe_load(block.text)) if isinstance(content, list)
        ]
        assert found
        for workloads in found:
            places = [f"workloads[{index}]" for index in range(len(workloads))]
            source, _patterns = find_patterns(FileSource(workloads, places))
            expander = PresetExpander(RunValues("my-cluster"))
            defaults = Defaults(patterns=True, presets=expander)
            parsed = parse_workloads(source.workloads, "my-cluster", defaults=defaults)
            assert len(parsed) == len(workloads)

    @pytest.mark.parametrize(
        "path",
        [
            pytest.param(path, id=path.name)
            for path in sorted((ROOT / "examples").glob("*.yml"))
            if "\npod_identity_workloads:" in path.read_text(encoding="utf-8")
        ],
    )
    def test_accepts_example_files(self, path: Path) -> None:
        variables = yaml.safe_load(path.read_text(encoding="utf-8"))
        parse_cluster_name(variables["pod_identity_cluster_name"])
        workloads = variables["pod_identity_workloads"]
        assert len(parse_workloads(workloads, "my-cluster")) == len(workloads)

    @pytest.mark.parametrize(
        ("section", "names"),
        [
            pytest.param("The workload", WORKLOAD_KEYS, id="workload"),
            pytest.param("`role`", ROLE_KEYS, id="role"),
            pytest.param("`policies`", POLICY_KEYS, id="policies"),
        ],
    )
    def test_describes_every_key(self, section: str, names: tuple[str, ...]) -> None:
        described = set(keys(DOCS / "workloads.md", section))
        if section == "`policies`":
            described.add("arn")
        assert described == set(names)


PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
# Playbooks that send no requests to AWS or Kubernetes.
WITHOUT_PERMISSIONS = ("awx", "report")


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_playbook_is_in_the_readme_and_in_the_permissions(playbook: str) -> None:
    def first_cells(page: Path) -> str:
        return "\n".join(re.findall(r"^\| (.*?) \|", page.read_text(encoding="utf-8"), re.MULTILINE))

    assert re.search(rf"\bplaybooks? .*`{playbook}`", first_cells(ROOT / "README.md")), (
        f"the table of README.md does not have the playbook {playbook}"
    )
    if playbook not in WITHOUT_PERMISSIONS:
        assert f"`{playbook}.yml`" in first_cells(DOCS / "iam-permissions.md"), (
            f"the first table of docs/iam-permissions.md does not have {playbook}.yml"
        )


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_playbook_is_run_by_a_test(playbook: str) -> None:
    start = re.compile(rf"workload_identity\.aws\.{playbook}\b|\b(play|playbook|job)\(\"{playbook}\"")
    files = [path for ending in ("py", "yml") for path in (ROOT / "tests").rglob(f"*.{ending}")]
    assert any(start.search(path.read_text(encoding="utf-8")) for path in files), (
        f"no test runs playbooks/{playbook}.yml"
    )


def test_verification_describes_every_column() -> None:
    text = (DOCS / "verification.md").read_text(encoding="utf-8")
    described = re.findall(r"^\| ([A-Z]+) \|", text, re.MULTILINE)
    assert described == [title for _check, title, _fact in COLUMNS]


def test_readme_has_the_variables_of_the_role() -> None:
    specs = yaml.safe_load((ROOT / "roles/pod_identity/meta/argument_specs.yml").read_text(encoding="utf-8"))
    options = specs["argument_specs"]["main_variables"]["options"]
    readme = ROOT / "roles/pod_identity/README.md"
    _before, text = readme.read_text(encoding="utf-8").split("## Variables\n")
    groups = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert {row[0].strip("`") for group in groups for row in rows(readme, group)} == set(options)


class TestTrustScopes:
    def test_sizes_match_statements(self) -> None:
        table = {row[0].strip("`"): int(row[3]) for row in rows(DOCS / "trust-scopes.md", "Trust scopes")}
        assert table == {scope: policy_size(self.policy(scope)) for scope in TRUST_SCOPES}

    def test_example_is_the_written_document(self) -> None:
        (block,) = blocks(DOCS / "trust-scopes.md", "json")
        assert yaml.safe_load(block.text) == self.policy("workload")

    def test_limits_match_page(self) -> None:
        text = (DOCS / "trust-scopes.md").read_text(encoding="utf-8")
        numbers = re.search(
            r"- with `workload`, (\d+) service accounts of one namespace, "
            r"or (\d+) namespaces with one service account each\n"
            r"- with `namespace`, (\d+) namespaces\n"
            r"- with `cluster`, (\d+) clusters",
            text,
        )
        assert numbers is not None
        cases = (
            ("workload", CLUSTER, "default", "service-account-{:02}"),
            ("workload", CLUSTER, "namespace-{:02}", "service-account-{:02}"),
            ("namespace", CLUSTER, "namespace-{:02}", ""),
            ("cluster", CLUSTER[:-2] + "{:02}", "", ""),
        )
        assert [self.fitting(*case) for case in cases] == [int(number) for number in numbers.groups()]

    @staticmethod
    def policy(scope: str) -> dict[str, object]:
        owner = default_owner("us-west-2", "my-cluster")
        return trust_policy(
            [grant_for(scope, "111122223333", CLUSTER, "default", "my-service-account", owner=owner)]
        )

    @staticmethod
    def fitting(scope: str, cluster: str, namespace: str, service_account: str) -> int:
        """Count how many grants fit into one trust policy. The braces in the names are replaced by the number of the grant."""
        grants: list[TrustGrant] = []
        while True:
            parts = (part.format(len(grants)) for part in (cluster, namespace, service_account))
            grants.append(grant_for(scope, "111122223333", *parts))
            if policy_size(trust_policy(grants)) > 2048:
                return len(grants) - 1
