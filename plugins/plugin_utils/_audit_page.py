# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Render the access report as a single HTML page, which needs no network and no other file."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).resolve().parent / "templates"

# The letters of the access levels, highest level first.
LETTERS = {
    "Permissions management": "P",
    "Write": "W",
    "Tagging": "T",
    "Read": "R",
    "List": "L",
    "Unknown": "U",
}
SEVERITIES = ("high", "medium", "low")
SOURCES = {
    "pod_identity": "Pod Identity",
    "irsa": "IRSA",
    "web_identity": "web identity",
    "keys": "access keys",
    "container": "container endpoint",
    "node": "node role",
}
CHANGES = {
    "gained": "More access",
    "risk_new": "New risks",
    "trust": "Trust policies",
    "role": "Roles",
    "source": "Credentials",
    "new": "New workloads",
    "resources": "Other resources",
    "lost": "Less access",
    "risk_gone": "Solved risks",
    "gone": "Removed workloads",
    "cluster": "Clusters",
}
# The length of the JSON from which it is compressed. The JSON of 2,000 workloads has several megabytes.
MAX_PLAIN = 1_000_000
# The number of workloads that the list of risks links for one risk. The page has all of them in its data.
MAX_LINKS = 30
# The number of services that the table lists one by one for a workload, and the number of names in a group of services.
MAX_SERVICES = 30
MAX_NAMES = 8


def render_page(data: Mapping[str, Any]) -> str:
    """Render the access report.

    The Content-Security-Policy of the page allows only its own style and its own script, by their hashes, and no request.

    :arg data: the report, as in its JSON file.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("audit.css", "audit.js"))
    kinds = _risk_kinds(data)
    page = environment.get_template("audit.html.j2").render(
        title=", ".join(cluster["name"] for cluster in data["clusters"][:4]),
        time=_time(data["time"]),
        clusters=[{"error": "", **cluster} for cluster in data["clusters"]],
        accounts=list(
            dict.fromkeys(cluster["account"] for cluster in data["clusters"] if cluster["account"])
        ),
        namespaces=data["namespaces"],
        summary=data["summary"],
        sources=[
            (name, count)
            for key, name in SOURCES.items()
            if (count := data["summary"]["by_source"].get(key, 0))
        ],
        severities=[(name, data["summary"]["risks"].get(name, 0)) for name in SEVERITIES],
        kinds=kinds,
        changes=_changes(data["changes"]),
        rows=list(_table_rows(data)),
        max_services=MAX_SERVICES,
        unknown_levels=any(
            "Unknown" in cell["levels"] for profile in data["profiles"] for cell in profile["cells"]
        ),
        blocked=any(workload["access"] == "blocked" for workload in data["workloads"]),
        notes=data["notes"],
        catalogue=data["catalogue"],
        security_policy=_security_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        data=Markup(_embedded_json(data)),
    )
    return page.lstrip()


def _shown(value: object) -> object:
    """Escape the unprintable characters of a value, so that marks for text direction cannot reorder the page."""
    return value if isinstance(value, Markup) else visible(str(value))


def _embedded_json(data: Mapping[str, Any]) -> str:
    """Serialise data for a script element: without non-ASCII characters, and without characters that end the element.

    Data of more than MAX_PLAIN characters becomes a JSON string: base64 of the JSON, compressed with gzip.
    """
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    if len(text) > MAX_PLAIN:
        packed = gzip.compress(text.encode(), mtime=0)
        return json.dumps(base64.b64encode(packed).decode())
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _security_policy(style: str, script: str) -> str:
    rules = {
        "default-src": "'none'",
        "style-src": _source_hash(style),
        "script-src": _source_hash(script),
        # The empty icon, without which a browser requests favicon.ico.
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _source_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _time(text: str) -> str:
    """Convert a time in ISO format to "2026-11-29 10:00 UTC". Another text is returned unchanged."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return text
    return parsed.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _workload_name(data: Mapping[str, Any], index: int) -> str:
    workload = data["workloads"][index]
    cluster = f"{data['clusters'][workload['cluster']]['key']} " if len(data["clusters"]) > 1 else ""
    return f"{cluster}{workload['namespace']}/{workload['service_account']}"


def _risk_kinds(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each kind of risk with its risks, the most severe kinds first.

    A kind whose risks differ in severity has a row for each severity.
    """
    kinds: dict[tuple[str, str], dict[str, Any]] = {}
    for index, risk in enumerate(data["risks"]):
        kind = data["risk_kinds"][risk["code"]]
        row = kinds.setdefault(
            (risk["severity"], risk["code"]),
            {
                "code": risk["code"],
                "severity": risk["severity"],
                "order": SEVERITIES.index(risk["severity"]),
                "title": kind["title"],
                "why": kind["why"],
                "remedy": kind["remedy"],
                "rows": [],
            },
        )
        row["rows"].append({"index": index, "certain": risk["certain"], **_linked_text(data, risk)})
    return sorted(kinds.values(), key=lambda row: row["order"])


def _linked_text(data: Mapping[str, Any], risk: Mapping[str, Any]) -> dict[str, Any]:
    """Return the text of a risk with links to its workloads.

    If the text contains the name of its only workload, ``link`` replaces the name, and ``rest`` has the text after it.
    Otherwise the links follow the text.
    """
    indexes = risk["workloads"][:MAX_LINKS]
    links = [{"index": index, "name": _workload_name(data, index)} for index in indexes]
    text = risk["text"]
    if len(links) == 1 and links[0]["name"] in text:
        first, _name, rest = text.partition(links[0]["name"])
        return {"text": first, "link": links[0], "rest": rest, "workloads": [], "further": 0}
    further = len(risk["workloads"]) - len(links)
    return {"text": text, "link": None, "rest": "", "workloads": links, "further": further}


def _changes(changes: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Group the changes since the previous report by their kind."""
    if changes is None:
        return None
    groups: dict[str, list[dict[str, Any]]] = {title: [] for title in CHANGES.values()}
    for row in changes["rows"]:
        title = CHANGES.get(row["kind"], "Other changes")
        groups.setdefault(title, []).append({"text": row["text"], "workload": row.get("workload")})
    return {
        "since": _time(changes["since"]),
        "notes": changes["notes"],
        "groups": [(title, rows) for title, rows in groups.items() if rows],
    }


def _table_rows(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Generate the rows of the table that shows the matrix as text."""
    notes = {
        "known": "",
        "partial": "partly read: ",
        "unknown": "unknown",
        "none": "none: the role does not exist",
        "blocked": "none: the role cannot be used",
    }
    for index, workload in enumerate(data["workloads"]):
        used: Mapping[str, Any] = next((item for item in workload.get("credentials", ()) if item["wins"]), {})
        roles = [
            data["roles"][used[name]]["name"] for name in ("role", "target") if used.get(name) is not None
        ]
        certain = workload["access"] == "known"
        profile = workload.get("profile")
        access = []
        if profile is not None and workload["access"] in ("known", "partial"):
            access = _access_texts(data["profiles"][profile]["cells"], certain)
        note = notes[workload["access"]]
        if workload["source"] == "node":
            note = "unknown: role of the node"
        yield {
            "name": _workload_name(data, index),
            "source": SOURCES.get(workload["source"], workload["source"]),
            "roles": roles,
            "access": access,
            "note": "nothing" if not access and certain else note,
        }


def _access_texts(cells: Sequence[Mapping[str, Any]], certain: bool) -> list[tuple[str, str]]:
    """Return pairs of services and their letters. Of many services, those with the same letters are one pair."""
    access = [
        (cell["service"] if cell["service"] != "*" else "every other service", letters)
        for cell in cells
        if (letters := _letters(cell["levels"], certain))
    ]
    if len(access) <= MAX_SERVICES:
        return access
    groups: dict[str, list[str]] = {}
    for service, letters in access:
        groups.setdefault(letters, []).append(service)
    texts = []
    for letters, services in sorted(groups.items(), key=lambda group: len(group[1])):
        more = len(services) - MAX_NAMES
        names = " ".join(services[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
        texts.append((names, letters))
    return texts


def _letters(levels: Mapping[str, str], certain: bool) -> str:
    """Return the letters of access levels, such as "LRW?". A level that is not certain has a question mark."""
    order: Sequence[str] = list(reversed(LETTERS))
    states = [(LETTERS[level], levels[level]) for level in order if level in levels]
    return "".join(letter if state == "yes" and certain else f"{letter}?" for letter, state in states)
