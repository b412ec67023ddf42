# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Render the access report as a single HTML page, which needs no network and no other file."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..module_utils._findings.text import (
    visible,
    visible_values,
)
from ..module_utils._identity.access.output import permission_cells

TEMPLATES = Path(__file__).resolve().parent / "templates"

# The letter of each access level in the page, the highest level first.
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
# Texts of the script, by the values in the report.
LABELS = {
    "kinds": {
        "pod_identity": "EKS Pod Identity",
        "irsa": "IRSA",
        "web_identity": "Web identity in a Pod template",
        "keys": "Access keys in a Pod template",
        "container": "Endpoint for credentials in a Pod template",
    },
    "policies": {
        "aws": "AWS managed policy",
        "customer": "customer managed policy",
        "inline": "inline policy",
        "session": "session policy",
    },
    "usable": {
        "yes": "The trust policy allows it.",
        "no": "The trust policy does not allow it.",
        "depends": "The trust policy allows it under conditions.",
        "unknown": "The trust policy was not read.",
    },
    "pods": {
        "pod_identity": "Pod Identity",
        "irsa": "IRSA",
        "other": "other credentials",
        "none": "no credentials",
    },
}
# The words for an access level in a sentence, if they differ from its name.
LEVEL_WORDS = {"Unknown": "access of unknown level"}
# The maximum number of suggested actions, and of suggested resources.
MAX_SUGGESTIONS = 300
# The maximum number of links to workloads for one risk in the list of risks.
MAX_LINKS = 30
# The maximum number of services that the table lists one by one for a workload. With more services, services with the same access
# levels form a group, which shows at most MAX_NAMES of their names.
MAX_SERVICES = 30
MAX_NAMES = 8
# The number of table rows in a group. A browser lays out a group only when it is near the visible part of the page.
ROWS_TOGETHER = 50


def render_page(data: Mapping[str, Any], actions: Mapping[str, Sequence[str]] | None = None) -> str:
    """Render the access report.

    The Content-Security-Policy of the page allows only its own style and its own script, by their hashes, and no requests.

    :arg data: the report, as in its JSON file.
    :arg actions: the names of all actions by the prefix of their service, to find misspelt actions that a user enters; None if
        they are not known.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("audit.css", "audit.js"))
    security_policy = {
        "default-src": "'none'",
        "style-src": _source_hash(style),
        "script-src": _source_hash(script),
        # The page has an empty icon, because a browser would otherwise request favicon.ico.
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    page = environment.get_template("audit.html.j2").render(
        title=", ".join(cluster["name"] for cluster in data["clusters"][:4]),
        time=datetime.fromisoformat(data["time"]).astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        clusters=[{"error": "", **cluster} for cluster in data["clusters"]],
        accounts=list(
            dict.fromkeys(cluster["account"] for cluster in data["clusters"] if cluster["account"])
        ),
        only=data["only"],
        summary=data["summary"],
        sources=[
            (name, count)
            for key, name in SOURCES.items()
            if (count := data["summary"]["by_source"].get(key, 0))
        ],
        severities=[(name, data["summary"]["risks"].get(name, 0)) for name in SEVERITIES],
        kinds=_risk_kinds(data),
        suggested={name: _suggestions(data, name) for name in ("Action", "Resource")},
        questions=[_question(data, row) for row in data["questions"]],
        rows=list(_table_rows(data)),
        rows_together=ROWS_TOGETHER,
        max_services=MAX_SERVICES,
        unknown_levels=any(
            "Unknown" in cell["levels"] for profile in data["profiles"] for cell in profile["cells"]
        ),
        blocked=any(workload["access"] == "blocked" for workload in data["workloads"]),
        notes=data["notes"],
        catalogue=data["catalogue"],
        security_policy="; ".join(f"{name} {value}" for name, value in security_policy.items()),
        style=Markup(style),
        script=Markup(script),
        data=Markup(_packed(_page_data(data))),
        actions=Markup("null" if actions is None else _packed(actions)),
    )
    return f"{page.strip()}\n"


def _shown(value: object) -> object:
    """Escape the unprintable characters of a value, for example marks for text direction, which could reorder the page."""
    return value if isinstance(value, Markup) else visible(str(value))


def _page_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data for the script: the report without its questions, which the script answers itself, and labels."""
    shown = visible_values(
        {name: value for name, value in data.items() if name not in ("questions", "rules")}
    )
    levels = [(name, letter, LEVEL_WORDS.get(name, name.lower())) for name, letter in LETTERS.items()]
    return {
        **cast("dict[str, Any]", shown),
        "rules": data["rules"],
        "labels": {**LABELS, "levels": levels, "sources": SOURCES},
    }


def _suggestions(data: Mapping[str, Any], element: str) -> list[str]:
    """Return the values of an element of statements, to suggest them in a field of the page."""
    lists = [row.get(element, []) for policy in data["policies"] for row in policy["statements"]]
    found = {value for entry in lists for value in ([entry] if isinstance(entry, str) else entry)}
    return [value for value in sorted(found) if value != "*" and "$" not in value][:MAX_SUGGESTIONS]


def _packed(data: Mapping[str, Any]) -> str:
    """Serialise data to a JSON string: base64 of the JSON, compressed with gzip, because large reports have several megabytes."""
    text = json.dumps(data, separators=(",", ":"))
    return json.dumps(base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode())


def _source_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


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


def _question(data: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a question with its answers, and with links to the workloads of each answer except "no"."""
    groups = []
    for name in row["counts"]:
        answers = [entry for entry in row["answers"] if entry["answer"] == name != "no"]
        links = [
            {
                "index": entry["workload"],
                "name": data["workloads"][entry["workload"]]["name"],
                "depends_on": ", ".join(entry.get("keys", ())),
            }
            for entry in answers[:MAX_LINKS]
        ]
        groups += [{"answer": name, "links": links, "further": len(answers) - len(links)}] if answers else []
    return {**row, "query": urlencode({name: row[name] for name in ("action", "resource")}), "groups": groups}


def _linked_text(data: Mapping[str, Any], risk: Mapping[str, Any]) -> dict[str, Any]:
    """Return the text of a risk with links to its workloads.

    If the text contains the name of its only workload, ``link`` replaces the name, and ``rest`` has the text after it.
    Otherwise the links follow the text.
    """
    indexes = risk["workloads"][:MAX_LINKS]
    links = [{"index": index, "name": data["workloads"][index]["name"]} for index in indexes]
    text = risk["text"]
    if len(links) == 1 and links[0]["name"] in text:
        first, _name, rest = text.partition(links[0]["name"])
        return {"text": first, "link": links[0], "rest": rest, "workloads": [], "further": 0}
    further = len(risk["workloads"]) - len(links)
    return {"text": text, "link": None, "rest": "", "workloads": links, "further": further}


def _table_rows(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table that shows the access of each workload as text."""
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
        is_read = workload["access"] in ("known", "partial")
        access = _access_texts(permission_cells(data, workload) if is_read else (), certain)
        note = "unknown: role of the node" if workload["source"] == "node" else notes[workload["access"]]
        yield {
            "index": index,
            "name": workload["name"],
            "source": SOURCES.get(workload["source"], workload["source"]),
            "roles": roles,
            "access": access,
            "note": "nothing" if not access and certain else note,
        }


def _access_texts(cells: Sequence[Mapping[str, Any]], certain: bool) -> list[tuple[str, str]]:
    """Return pairs of a service and the letters of its access levels.

    With more than MAX_SERVICES services, each pair is for all services with the same letters.
    """
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
    more = {letters: len(services) - MAX_NAMES for letters, services in groups.items()}
    return [
        (
            " ".join(services[:MAX_NAMES]) + (f" and {more[letters]} more" if more[letters] > 0 else ""),
            letters,
        )
        for letters, services in sorted(groups.items(), key=lambda group: len(group[1]))
    ]


def _letters(levels: Mapping[str, str], certain: bool) -> str:
    """Return the letters of access levels, such as "LRW?".

    A level has a question mark if it depends on conditions, or if ``certain`` is false because policies could not be read.
    """
    return "".join(
        letter if levels[level] == "yes" and certain else f"{letter}?"
        for level, letter in reversed(LETTERS.items())
        if level in levels
    )
