# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Policy documents as text: reading what IAM and people hand over, writing what is sent to AWS.

IAM returns documents URL-encoded (RFC 3986) from its API; boto3 decodes some of them, not all.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from urllib.parse import unquote

from .elements import PolicyError, kind_of

# IAM takes documents of at most 131,072 characters, but some of AWS's own policies are longer.
MAX_CHARACTERS = 1_000_000
# A policy is at most Statement > Condition > operator > key > values deep.
MAX_DEPTH = 32
# Python does not convert longer integers to text (4,300 digits).
MAX_BITS = 14_000


class Document(dict[str, object]):
    """A document that ``load`` has read, or that was made here, so that reading it costs nothing."""


def load(document: object) -> Document:
    """The document as a dict with text keys.

    :raises PolicyError: not JSON, not an object, too large, too deep, or a key given twice.
    """
    if isinstance(document, Document):
        return document
    if isinstance(document, str):
        content = _from_text(document)
    elif isinstance(document, Mapping):
        content = document
    else:
        raise PolicyError(f"a policy document must be a mapping or JSON text, got {kind_of(document)}")
    if not isinstance(content, Mapping):
        raise PolicyError(f"a policy document must be a JSON object, got {kind_of(content)}")
    _validate_bounds(content)
    return Document(content)


def to_json(document: object) -> str:
    """The author's document as compact JSON text: same elements, same order, no white space.

    :raises PolicyError: as ``load``.
    """
    return json.dumps(load(document), separators=(",", ":"), ensure_ascii=False, default=_jsonable)


def policy_size(document: object) -> int:
    """Characters that count against IAM's size limits, which leave out white space between tokens.

    Source: IAM User Guide, "IAM and AWS STS quotas", IAM and STS character limits.
    """
    return len(to_json(document))


def _from_text(text: str) -> object:
    if len(text) > 3 * MAX_CHARACTERS:
        raise PolicyError(_too_large(len(text)))
    stripped = text.strip()
    if not stripped:
        raise PolicyError("the policy document is empty")
    if stripped[0] != "{" and "%" in stripped:
        stripped = unquote(stripped).strip()
    if len(stripped) > MAX_CHARACTERS:
        raise PolicyError(_too_large(len(stripped)))
    try:
        return json.loads(stripped, object_pairs_hook=_unique, parse_constant=_no_constant)
    except PolicyError:
        raise
    except json.JSONDecodeError as error:
        raise PolicyError(f"not JSON: {error.msg} at line {error.lineno} column {error.colno}") from error
    except RecursionError as error:
        raise PolicyError(f"nested more than {MAX_DEPTH} levels deep") from error
    except ValueError as error:
        # Only left: an integer with more digits than Python converts.
        raise PolicyError(f"not a policy document: {error}") from error


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content: dict[str, object] = {}
    for key, value in pairs:
        if key in content:
            sid = next((v for k, v in pairs if k == "Sid" and isinstance(v, str)), None)
            place = f" in the statement with Sid {sid[:64]!r}" if sid else ""
            raise PolicyError(f"the key {key[:64]!r} is given twice in one object{place}")
        content[key] = value
    return content


def _no_constant(name: str) -> object:
    raise PolicyError(f"not JSON: {name} is not a JSON value")


def _validate_bounds(document: Mapping[object, object]) -> None:
    """Bound the size and depth of a dict before anything walks it (it may even be cyclic)."""
    left = MAX_CHARACTERS
    stack: list[tuple[object, int]] = [(document, 1)]
    while stack:
        value, depth = stack.pop()
        if isinstance(value, str):
            left -= len(value)
        elif isinstance(value, Mapping):
            left -= len(value)
            for key, item in value.items():
                if not isinstance(key, str):
                    raise PolicyError(f"the key {key!r:.64} must be text")
                left -= len(key)
                stack.append((item, depth + 1))
        elif isinstance(value, list | tuple):
            left -= len(value)
            stack.extend((item, depth + 1) for item in value)
        else:
            left -= 1
            if isinstance(value, int) and value.bit_length() > MAX_BITS:
                raise PolicyError("a number has more than 4,000 digits")
        if left < 0:
            raise PolicyError(_too_large(None))
        if depth > MAX_DEPTH:
            raise PolicyError(f"nested more than {MAX_DEPTH} levels deep")


def _jsonable(value: object) -> str:
    # YAML reads an unquoted 2012-10-17 as a date.
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise PolicyError(f"{kind_of(value)} cannot be part of a policy document")


def _too_large(size: int | None) -> str:
    given = "too many" if size is None else f"{size:,}"
    return f"the document has {given} characters; at most {MAX_CHARACTERS:,} are read"
