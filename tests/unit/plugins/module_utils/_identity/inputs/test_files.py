# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test workloads in files: how they are parsed, and that each error names its file and line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.files import (
    locate,
    read_sources,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError

ONE = {"namespace": "default", "service_account": "one"}
TWO = {"namespace": "default", "service_account": "two"}
YAML = "- {namespace: default, service_account: one}\n- {namespace: default, service_account: two}\n"


def write_file(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yml", YAML),
        ("a.yaml", f"pod_identity_workloads:\n{YAML}"),
        ("a.yml", f"pod_identity_cluster_name: my-cluster\nworkloads:\n{YAML}"),
        ("a.json", json.dumps([ONE, TWO])),
        ("a.json", json.dumps({"workloads": [ONE, TWO]})),
        ("a.json", json.dumps({"other": 1, "pod_identity_workloads": [ONE, TWO], "more": [1]}, indent=1)),
        # Editors on Windows may add a byte order mark.
        ("a.json", "\ufeff" + json.dumps([ONE, TWO])),
        ("a.YML", "\ufeff" + YAML),
        ("a.yml", YAML.replace("\n", "\r\n")),
        ("a.YAML", YAML),
        ("a.JSON", json.dumps([ONE, TWO])),
        # A mapping may override a key of a merged mapping, so this is not a duplicate key.
        ("a.yml", "- &one {namespace: default, service_account: one}\n- {<<: *one, service_account: two}\n"),
    ],
)
def test_accepts_each_file_format(tmp_path: Path, name: str, text: str) -> None:
    path = write_file(tmp_path, name, text)
    assert read_sources([path]).workloads == [ONE, TWO]
    assert read_sources([str(tmp_path)]).workloads == [ONE, TWO]


def test_folder_is_read_by_name_without_other_files(tmp_path: Path) -> None:
    write_file(tmp_path, "b.json", json.dumps([TWO]))
    write_file(tmp_path, "a.yml", json.dumps([ONE]))
    write_file(tmp_path, "c.txt", "not for us")
    write_file(tmp_path, ".hidden.yml", "not for us")
    for folder, name in ((".git", "config.yml"), ("notes", "README.md"), ("more.yml", ".a.yml")):
        (tmp_path / folder).mkdir()
        write_file(tmp_path / folder, name, "not for us")
    assert read_sources([str(tmp_path)]).workloads == [ONE, TWO]


NOTHING = "has no workloads; write [] for an empty list."
TAB = "is not valid YAML: found character that cannot start any token. YAML allows only spaces there, but the line has a tab."


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.yml", "accounts: []\n", "line 1: has no list under pod_identity_workloads or workloads."),
        (
            "a.yml",
            "x: 1\nworklods: []\n",
            "line 2: has no list under pod_identity_workloads or workloads. Did you mean 'workloads' instead of 'worklods'?",
        ),
        (
            "a.json",
            '{"pod_identity_workload": []}',
            "line 1: has no list under pod_identity_workloads or workloads. Did you mean 'pod_identity_workloads' instead of "
            "'pod_identity_workload'?",
        ),
        ("a.yml", "- a: 1\n  b:\n\t- c\n", f"line 3: {TAB}"),
        ("a.yml", "-\ta: 1\n-\tb: 2\n", f"line 1: {TAB}"),
        ("a.yml", "\nworkloads: some\n", "line 2: must be a list of workloads, one mapping each."),
        (
            "a.json",
            '{"x": 1,\n"workloads": "some"}',
            "line 2: must be a list of workloads, one mapping each.",
        ),
        ("a.json", "\n7", "line 2: must be a list of workloads, one mapping each."),
        # These files have no workloads.
        ("a.yml", "", f"line 1: {NOTHING}"),
        ("a.yml", "# none yet\n", f"line 1: {NOTHING}"),
        ("a.yml", "---\n", f"line 1: {NOTHING}"),
        ("a.yml", "---\nworkloads:\n", f"line 2: {NOTHING}"),
        ("a.json", "\n", f"line 1: {NOTHING}"),
        ("a.json", "null", f"line 1: {NOTHING}"),
        ("a.json", '{\n"workloads": null}', f"line 2: {NOTHING}"),
        # These files are not valid, for example because they are truncated.
        (
            "a.json",
            '[\n {"namespace": "default"},\n {"names',
            "line 3: is not valid YAML: found unexpected end of stream. Is the file cut off?",
        ),
        (
            "a.json",
            '[\n {"namespace": "default"}\n',
            "line 2: is not valid YAML: did not find expected ',' or ']'. Is the file cut off?",
        ),
        (
            "a.yml",
            "- namespace: default\n  service_account: {\n",
            "line 2: is not valid YAML: did not find expected node content. Is the file cut off?",
        ),
        ("a.yml", f"{YAML}---\n{YAML}", "line 3: is not valid YAML: but found another document."),
        # These files have duplicate keys, of which a YAML parser would silently use the last one.
        (
            "a.yml",
            f"workloads:\n{YAML}workloads:\n- {{}}\n",
            "line 4: key 'workloads' is a duplicate, first on line 1; keep one of them.",
        ),
        (
            "a.json",
            '{"workloads": [],\n "workloads": [{}]}',
            "line 2: key 'workloads' is a duplicate, first on line 1; keep one of them.",
        ),
        (
            "a.yml",
            "- namespace: default\n  tags: {a: {b: 1,\n    'b': 2}}\n",
            "line 3: key 'b' is a duplicate, first on line 2; keep one of them.",
        ),
        (
            "a.json",
            '[{"namespace": "default",\n "tags": [{"\\"a}": ":", "b": {"a": 1}},\n {"b": {"x": [],\n "\\u0078": 2}}]}]',
            "line 4: key 'x' is a duplicate, first on line 3; keep one of them.",
        ),
        (
            "a.yml",
            "x: {a: 1, a: 2}\nworkloads: []\n",
            "line 1: key 'a' is a duplicate, first on line 1; keep one of them.",
        ),
        (
            "a.yml",
            f"workloads:\n{YAML}pod_identity_workloads:\n{YAML}",
            "line 4: has workloads under pod_identity_workloads, and on line 1 under workloads; join them in one list.",
        ),
        (
            "a.json",
            '{"pod_identity_workloads": [],\n"workloads": []}',
            "line 2: has workloads under workloads, and on line 1 under pod_identity_workloads; join them in one list.",
        ),
        # For these values, PyYAML raises errors that have no line number.
        (
            "a.yml",
            "- namespace: default\n  role:\n    description: 2001-99-99\n",
            "line 3: is not valid YAML: '2001-99-99' is not a valid timestamp; quote it if it is text.",
        ),
        (
            "a.yml",
            "- namespace: default\n  role: {max_session_duration: !!int foo}\n",
            "line 2: is not valid YAML: 'foo' is not a valid int; quote it if it is text.",
        ),
        (
            "a.yml",
            "- namespace: default\n  role: {max_session_duration: !!bool foo}\n",
            "line 2: is not valid YAML: 'foo' is not a valid bool; quote it if it is text.",
        ),
        (
            "a.yml",
            "- a: !!int\n",
            "line 1: is not valid YAML: '' is not a valid int; quote it if it is text.",
        ),
        (
            "a.yml",
            "- a\n- {!!set b: 1}\n",
            "line 2: is not valid YAML: expected a mapping node, but found scalar.",
        ),
        ("a.yml", "- a: b\n- c: \x01\n", "line 2: is not valid YAML: control characters are not allowed."),
        (
            "a.yml",
            "- x\n- &a {role: *a}\n",
            "line 2: is not valid YAML: found unconstructable recursive node.",
        ),
        ("a.json", "[" * 100_000, "line 1: is not valid YAML: exceeded maximum nesting depth."),
    ],
)
def test_reports_the_line_of_an_invalid_file(tmp_path: Path, name: str, text: str, problem: str) -> None:
    path = write_file(tmp_path, name, text)
    with pytest.raises(InputError) as caught:
        read_sources([path])
    assert list(caught.value.problems) == [f"{path} {problem}"]


VAULT = "$ANSIBLE_VAULT;1.1;AES256\n6162\n"


@pytest.mark.parametrize("name", ["a.yml", "a.json"])
def test_vaulted_file_is_decrypted(tmp_path: Path, name: str) -> None:
    path = write_file(tmp_path, name, VAULT)
    decrypted: list[str] = []

    def decrypt(path: str) -> bytes:
        decrypted.append(path)
        return json.dumps([ONE, TWO], indent=1).encode()

    found = read_sources([path], decrypt=decrypt)
    assert (found.workloads, decrypted) == ([ONE, TWO], [path])
    assert found.places == [f"{path} line 2", f"{path} line 6"]


@pytest.mark.parametrize("tag", ["!vault", "!vault-encrypted"])
def test_reports_a_vaulted_value(tmp_path: Path, tag: str) -> None:
    path = write_file(
        tmp_path, "a.yml", f"- namespace: default\n  service_account: {tag} |\n    {VAULT[:-6]}\n"
    )
    with pytest.raises(InputError) as caught:
        read_sources([path])
    assert list(caught.value.problems) == [
        f"{path} line 2: is not valid YAML: could not determine a constructor for the tag '{tag}'. A value that is encrypted "
        "with ansible-vault is not read here; encrypt the whole file instead, or set pod_identity_workloads in a file that "
        "Ansible reads (-e @file, group_vars)."
    ]


def test_reports_too_many_levels(tmp_path: Path) -> None:
    path = write_file(tmp_path, "a.json", "[" * 900 + "]" * 900)
    with pytest.raises(InputError) as caught:
        read_sources([path])
    assert list(caught.value.problems) == [f"{path}: has too many levels of nested mappings and lists."]


def test_reports_every_unreadable_path(tmp_path: Path) -> None:
    missing, empty, link = str(tmp_path / "gone.yml"), tmp_path / "empty", tmp_path / "link"
    empty.mkdir()
    link.symlink_to(missing)
    os.mkfifo(tmp_path / "pipe")
    latin = tmp_path / "latin.json"
    latin.write_bytes(b'[\n{"namespace": "\xe9"}]')
    with pytest.raises(InputError) as caught:
        read_sources([missing, str(empty), str(latin), str(link), str(tmp_path / "pipe")])
    assert list(caught.value.problems) == [
        f"{missing}: there is no such file or folder.",
        f"{empty}: this folder has no file with a name that ends in .yml, .yaml, .json.",
        f"{link}: is a link to {missing}, which does not exist.",
        f"{tmp_path / 'pipe'}: is not a file or folder.",
        f"{latin} line 2: is not UTF-8 text (byte 0xe9); save it as UTF-8.",
    ]


def test_folder_with_unread_files_fails(tmp_path: Path) -> None:
    write_file(tmp_path, "a.yml", YAML)
    inner = tmp_path / "inner" / "most"
    inner.mkdir(parents=True)
    write_file(inner, "b.YML", YAML)
    (tmp_path / "c.yml").symlink_to(tmp_path / "gone.yml")
    with pytest.raises(InputError) as caught:
        read_sources([str(tmp_path)])
    assert list(caught.value.problems) == [
        f"{tmp_path}/c.yml: is a link to {tmp_path}/gone.yml, which does not exist. Repair or remove the link.",
        f"{tmp_path}/inner: this folder inside {tmp_path} contains input files ({inner}/b.YML), but nested "
        "folders are not read. List this folder as well, or move it elsewhere.",
    ]


def test_empty_list_of_files_is_an_error() -> None:
    with pytest.raises(InputError) as caught:
        read_sources([])
    assert list(caught.value.problems) == [
        "the list of files with workloads is empty; write workloads: [] for no workloads."
    ]


# Tests of relative paths


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Create and return two folders: the folder of the playbook, and the working directory."""
    found = tmp_path / "playbook", tmp_path / "work"
    for folder in found:
        folder.mkdir()
    return found


def test_ambiguous_relative_path_fails_unless_it_is_one_file(folders: tuple[Path, Path]) -> None:
    first, second = (write_file(folder, "a.yml", YAML) for folder in folders)
    with pytest.raises(InputError) as caught:
        locate(["a.yml"], str(folders[0]), str(folders[1]))
    assert list(caught.value.problems) == [
        f"a.yml: exists twice, next to the playbook ({first}) and in the working directory ({second}). Use the absolute "
        "path of the intended one."
    ]
    Path(second).unlink()
    Path(second).symlink_to("gone.yml")
    with pytest.raises(InputError, match="exists twice"):
        locate(["a.yml"], str(folders[0]), str(folders[1]))
    Path(second).unlink()
    Path(second).symlink_to(first)
    assert locate(["a.yml"], str(folders[0]), str(folders[1])) == [first]
    assert locate(["a.yml"], str(folders[0]), str(folders[0])) == [first]


def test_reports_both_places_of_a_missing_relative_path(folders: tuple[Path, Path]) -> None:
    with pytest.raises(InputError) as caught:
        locate(["gone/", ""], *map(str, folders))
    assert list(caught.value.problems) == [
        f"gone/: not found next to the playbook ({folders[0]}/gone) or in the working directory ({folders[1]}/gone).",
        "a path of a file or folder with workloads is empty; leave it out.",
    ]


DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
}
WITH_DOCUMENT = """
- namespace: default
  service_account: one
  policies:
    - {name: reports, document_file: FILE}
    - {arn: "arn:aws:iam::aws:policy/ReadOnlyAccess"}
"""


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("policies/reports.json", json.dumps(DOCUMENT)),
        ("policies/reports.yml", json.dumps(DOCUMENT, indent=2)),
        ("../shared.json", "\ufeff" + json.dumps(DOCUMENT)),
        # This policy document is next to the file with the workloads. It must not be read as workloads, although its name ends in
        # .json.
        ("reports.json", json.dumps(DOCUMENT)),
        ("reports.policy", json.dumps(DOCUMENT)),
    ],
)
def test_document_file_is_relative_to_the_file_with_the_workload(
    tmp_path: Path, file: str, text: str
) -> None:
    teams = tmp_path / "teams"
    (teams / "policies").mkdir(parents=True)
    write_file(teams, file, text)
    path = write_file(teams, "team.yml", WITH_DOCUMENT.replace("FILE", file))
    policies = [{"name": "reports", "document": DOCUMENT}, {"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}]
    for source in (path, str(teams)):
        assert read_sources([source]).workloads == [
            {"namespace": "default", "service_account": "one", "policies": policies}
        ]


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        (
            "none.json",
            "",
            "document_file {folder}/none.json: there is no such file or folder. A relative path starts in the folder of the "
            "file with the workload.",
        ),
        ("policies", "", "document_file {folder}/policies: is a folder. A relative path"),
        ("[a]", "", "document_file must be the path of a file, got ['a']."),
        (
            "list.txt",
            "[1]",
            "document_file {folder}/list.txt must contain a policy document, which is a mapping.",
        ),
        ("twice.txt, document: {}", "{}", "document and document_file are both set; leave one of them out."),
    ],
)
def test_unusable_document_file_is_reported_with_its_place(
    tmp_path: Path, file: str, text: str, problem: str
) -> None:
    (tmp_path / "policies").mkdir()
    if text:
        write_file(tmp_path, file.split(",")[0], text)
    path = write_file(tmp_path, "team.yml", WITH_DOCUMENT.replace("FILE", file))
    with pytest.raises(InputError) as refused:
        read_sources([path])
    (message,) = refused.value.problems
    assert message.startswith(f"{path} line 2, policies[0]: {problem.format(folder=tmp_path)}")
