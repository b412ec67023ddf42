# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What Kubernetes takes as a label or annotation, so that it refuses none after AWS has been changed. Pure.

Source: Kubernetes, "Labels and Selectors", "Annotations", "Object Names and IDs".
"""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII)
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.ASCII)
_LONGEST_DOMAIN = 253

_NAME_RULE = "letters, digits, -, _ and ., with a letter or digit at both ends"
VALUE_RULE = f"at most 63 {_NAME_RULE}, or nothing"
OWNER_RULE = f"a Kubernetes label value, for it labels the service accounts (1 to 63 {_NAME_RULE})"
KEY_RULE = f"1 to 63 {_NAME_RULE}; before it at most a lower-case DNS name and /"


def is_label_value(text: str) -> bool:
    return not text or bool(_NAME.fullmatch(text))


def is_key(text: str) -> bool:
    """Of a label or an annotation: a name, at most with a domain before it."""
    domain, slash, name = text.rpartition("/")
    if slash and not (len(domain) <= _LONGEST_DOMAIN and _DOMAIN.fullmatch(domain)):
        return False
    return bool(_NAME.fullmatch(name))


def is_owner(text: str) -> bool:
    return bool(text) and is_label_value(text)
