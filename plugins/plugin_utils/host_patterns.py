# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a pattern of hosts, as a play has it, is meant for a host.

Ansible's own lookup goes through the whole inventory for each pattern, once for each host.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Collection, Iterable

from ansible.inventory.manager import PATTERN_WITH_SUBSCRIPT, order_patterns, split_host_pattern
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError


def matches(pattern: str, names: Collection[str]) -> bool:
    """``names`` are the host's own, those of its groups, and "all". InputError for what depends on the order of hosts."""
    terms = order_patterns(split_host_pattern(pattern))
    for term in terms:
        if not term.startswith("~") and PATTERN_WITH_SUBSCRIPT.match(term):
            raise InputError(
                [
                    f"hosts '{pattern}': {term} takes hosts by their number, which changes with the inventory; name a group."
                ]
            )
    included = [term for term in terms if term[0] not in "!&"]
    return (
        any(_is_one_of(term, names) for term in included)
        and all(_is_one_of(term[1:], names) for term in terms if term[0] == "&")
        and not any(_is_one_of(term[1:], names) for term in terms if term[0] == "!")
    )


def find_unknown(patterns: Iterable[str], names: Collection[str]) -> list[str]:
    """A sentence for each part of a pattern that fits nothing of the inventory. ``names`` are those of all hosts and groups.

    It is no error: a slice of a job has not all hosts, nor must each group have hosts.
    """
    sentences = []
    for pattern in dict.fromkeys(patterns):
        for term in split_host_pattern(pattern):
            name = term[1:] if term[0] in "!&" else term
            if name in names or _is_one_of(name, names):
                continue
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            sentences.append(
                f"hosts '{pattern}': no host and no group of the inventory is called {name}{hint}"
            )
    return sentences


def _is_one_of(term: str, names: Collection[str]) -> bool:
    if term.startswith("~"):
        try:
            return any(re.match(term[1:], name) for name in names)
        except re.error as error:
            raise InputError([f"hosts '{term}' is no regular expression: {error}."]) from error
    return any(fnmatch.fnmatchcase(name, term) for name in names)
