# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What IAM, STS and Kubernetes take of texts and sizes, so that they refuse none of it halfway. Pure.

Sources: IAM API Reference (roleDescriptionType, Tag), Kubernetes "Annotations" and its validation of object metadata.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

# Bytes, of all keys and values together.
ANNOTATIONS_SIZE = 256 * 1024
DESCRIPTION = re.compile(r"[\t\n\r\x20-\x7e\xa1-\xff]*")
DESCRIPTION_RULE = "text of letters, digits and punctuation of Latin-1, as IAM takes it"
TAG_RULE = "letters, digits, spaces and _.:/=+-@, as IAM takes them"


def is_tag_text(text: str) -> bool:
    return all(sign in "_.:/=+-@" or unicodedata.category(sign)[0] in "LNZ" for sign in text)


def find_same_but_for_case(names: Iterable[str]) -> tuple[str, str] | None:
    """Two tag keys that IAM takes for one."""
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(name.lower(), name)
        if first != name:
            return first, name
    return None


def annotations_size(annotations: Mapping[str, str]) -> int:
    return sum(len(text.encode()) for pair in annotations.items() for text in pair)
