# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What the readers of YAML and JSON share: which list of a file is meant, and how they say what is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from ...model.errors import InputError
from ..fields import shown

CUT_OFF = " Is the file cut off?"
# The answer of a survey has spaces or lines, which a value that Ansible cut at its first space has not.
ANSWER_CUT_OFF = " Is it cut off?"
CUT_AT_A_SPACE = (
    " Is it cut off? Ansible ends what is given as -e name=value at its first space; give it as "
    """-e '{"name": value}'."""
)
_ADVICE = "a list of workloads needs less. Write it plainly, or in several files."
_VAULT_ADVICE = (
    "files with workloads are read as they are. Decrypt it, or give the workloads as pod_identity_workloads in a file that "
    "Ansible decrypts (-e @file, group_vars)."
)
VAULT = "$ANSIBLE_VAULT;"
KEYS = ("pod_identity_workloads", "workloads")


def list_key(path: str, lines: Mapping[str, int]) -> str:
    """Which of a file's keys has the workloads, given the line of each key."""
    keys = [key for key in lines if key in KEYS]
    if not keys:
        pairs = [(key, near) for key in lines for near in difflib.get_close_matches(key, KEYS, 1, 0.75)]
        place, hint = "line 1", ""
        if pairs:
            key, near = pairs[0]
            place, hint = f"line {lines[key]}", f" '{shown(key)}' is no such key; did you mean '{near}'?"
        raise InputError([f"{path} {place}: has no list under {' or '.join(KEYS)}.{hint}"])
    if len(keys) > 1:
        raise InputError(
            [
                f"{path} line {lines[keys[1]]}: has workloads under {keys[1]}, and on line "
                f"{lines[keys[0]]} under {keys[0]}; join them in one list."
            ]
        )
    return keys[0]


def no_list(path: str, line: int) -> InputError:
    return InputError([f"{path} line {line}: must be a list of workloads, one mapping each."])


def no_workloads(path: str, line: int = 1) -> InputError:
    """A file that was cut off to nothing must not count as an empty list."""
    return InputError([f"{path} line {line}: holds no workloads; write [] for an empty list."])


def vaulted_file(path: str) -> InputError:
    return InputError([f"{path}: is encrypted with ansible-vault, and {_VAULT_ADVICE}"])


def describe_vaulted(path: str, line: int) -> str:
    return (
        f"{path} line {line}: has a value that is encrypted with ansible-vault (!vault), and {_VAULT_ADVICE}"
    )


def beyond_bounds(path: str, line: int, rule: str) -> InputError:
    """``rule`` is the bound that is broken ("is nested more than 64 levels deep")."""
    return InputError([f"{path} line {line}: {rule}; {_ADVICE}"])


def describe_repeated(path: str, key: object, line: int, first: int) -> str:
    return f"{path} line {line}: key '{key}' is given twice, first on line {first}; keep one of them."
