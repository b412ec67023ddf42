# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What the Kubernetes API answered when it refused, out of the text that kubernetes.core makes of it. Pure.

The text holds headers, a Status object and a traceback; people need the status code and one sentence.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from ...._findings.text import visible_sentence

_MESSAGE = re.compile(r'"message":\s*("(?:[^"\\]|\\.)*")')
_STATUS = re.compile(r"Exception '(\d{3})\b|^\((\d{3})\)|\"code\":\s*(\d{3})\b")
# The one error that the API server answers in plain text.
_BUSY = re.compile(r"\bToo many requests, please try again later\b")
_BODY = re.compile(r"^HTTP response body: (.+)$", re.MULTILINE)
_WRAPPED = re.compile(r"Exception '(.*)' raised while trying to get resource using .*", re.DOTALL)
_RETRY_AFTER = re.compile(r'"retryAfterSeconds":\s*(\d+)|[Rr]etry-[Aa]fter\W+(\d+)')
_PREFIX = re.compile(r"^(?:Task failed: |Module failed: )+")


@dataclass(frozen=True, slots=True)
class ApiError:
    """``status`` is the HTTP status code, 0 when nothing answered; ``text`` what the API or the client says,
    in one line and with all of it visible. ``retry_after`` is how many seconds the API wants to be left alone.
    """

    status: int
    text: str
    retry_after: int = 0


def parse_api_error(text: str) -> ApiError:
    """The error within the text of kubernetes.core or of the Kubernetes client."""
    match = _STATUS.search(text)
    plain_status = 429 if _BUSY.search(text) else 0
    status = int(next(group for group in match.groups() if group)) if match else plain_status
    if message := _MESSAGE.search(text):
        reason = _decoded(message.group(1))
    elif body := _BODY.search(text):
        reason = body.group(1)
    else:
        plain = _WRAPPED.sub(r"\1", _PREFIX.sub("", text.strip()))
        reason = next((line for line in reversed(plain.splitlines()) if line.strip()), "no reason given")
    after = _RETRY_AFTER.search(text)
    seconds = int(next(group for group in after.groups() if group)) if after else 0
    return ApiError(status, visible_sentence(_PREFIX.sub("", reason.strip())), seconds)


def _decoded(text: str) -> str:
    """JSON text; as it is written when something on its way here took it apart."""
    try:
        return str(json.loads(text, strict=False))
    except ValueError:
        return text
