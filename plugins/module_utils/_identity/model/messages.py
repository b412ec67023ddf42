# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Errors as people read them: what, where, why, what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..._findings.options import with_option_names
from ..._findings.text import visible
from .aws_errors import AwsError
from .errors import InputError

# Of the places that have one problem.
SHOWN_PLACES = 3
# Of what a purge would remove: enough to see which team's list is not complete.
SHOWN_UNLISTED = 30


def sentence(text: str) -> str:
    """A text that another sentence can follow; AWS and Kubernetes often leave the full stop out."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def as_clause(remedy: str) -> str:
    """A remedy behind a colon. Remedies begin with a verb, so nothing is lost with its capital letter."""
    return remedy[:1].lower() + remedy[1:]


def listed(names: Iterable[str], shown: int = 3) -> str:
    """Like "a, b, c and 4 more"."""
    texts = list(names)
    more = f" and {len(texts) - shown} more" if len(texts) > shown else ""
    return ", ".join(texts[:shown]) + more


def input_message(error: InputError) -> str:
    """Nothing has been changed when this is shown; it says so."""
    problems = [visible(problem) for problem in error.problems]
    if len(problems) == 1:
        return f"{sentence(problems[0])} Nothing was changed."
    lines = [f"{len(problems)} problems in the input; nothing was changed:"]
    lines += [f"- {problem}" for problem in _grouped(problems)]
    return "\n".join(lines)


def _grouped(problems: Iterable[str]) -> list[str]:
    """Return problems in their order, those of one cause in many places as one."""
    places: dict[str, list[str]] = {}
    parts = [problem.partition(": ") for problem in problems]
    for place, _colon, text in parts:
        places.setdefault(text, []).append(place)
    many = {text: names for text, names in places.items() if text and len(names) > SHOWN_PLACES}
    lines = (
        f"{listed(many[text], SHOWN_PLACES)}: {text}" if text in many else f"{place}{colon}{text}"
        for place, colon, text in parts
    )
    return list(dict.fromkeys(lines))


def aws_message(error: AwsError, region: str | None) -> str:
    """An error that concerns the whole run, met before anything was changed."""
    place = f" (region {region})" if region and region not in error.text else ""
    return (
        f"{error.operation}{place}: {error.code}: {sentence(error.text)} {error.remedy} Nothing was changed."
    )


def aws_failure(error: AwsError, region: str | None, prefix: str = "") -> dict[str, object]:
    """The same as the arguments of fail_json. ``prefix`` is what the caller's options begin with."""
    texts = {"msg": aws_message(error, region), "error_code": error.code, "remedy": error.remedy}
    return {name: with_option_names(text, prefix) for name, text in texts.items()}
