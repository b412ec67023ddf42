# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the page of the access report in a browser: its three questions, the keyboard, contrast, hostile names and large fleets.

Every test also fails if the page writes to the console or sends a request.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from selenium.webdriver.common.keys import Keys

from ..unit.plugins.plugin_utils.access_reports import make_report
from .conftest import Page

Show = Callable[..., Page]


def test_who_can_read_a_bucket(show: Show) -> None:
    page = show(make_report(), actions=NAMES)
    page.find("[data-action='s3:GetObject']").click()
    page.press("invoices")
    assert page.until("return document.querySelector('#who-status').innerText.includes('invoices')")
    assert (
        page.text("#who-status")
        == "s3:GetObject on arn:aws:s3:::invoices/*: 1 yes 0 part 0 depends 0 obtain 3 unknown 16 no"
    )
    assert "payments/api" in page.texts("#who-result .answer:first-of-type .answer-head")[0]
    page.find("#who-result .answer li summary").click()
    assert page.until("return document.querySelector('#who-result .statement')")
    assert "arn:aws:s3:::invoices/*" in page.text("#who-result .statement")
    page.keep_picture("who-can")


NAMES = {
    "s3": ["GetObject", "GetObjectAcl", "ListBucket", "PutObject"],
    "secretsmanager": ["GetSecretValue"],
    "sqs": ["ReceiveMessage", "SendMessage"],
}


@pytest.mark.parametrize(
    ("action", "note"),
    [
        ("s3:GetObjct", "s3:GetObjct is not an action that the collection knows; did you mean s3:GetObject?"),
        (
            "secretmanager:getSecretValue",
            "secretmanager:getSecretValue is not an action that the collection knows; did you mean"
            " secretsmanager:GetSecretValue?",
        ),
        ("sqs:Xyz", "sqs:Xyz is not an action that the collection knows."),
        ("s3:Gte*", "s3:Gte* matches no action that the collection knows."),
        ("S3:getobject", ""),
        ("s3:Get*", ""),
        ("s?s:Send*", ""),
        ("*", ""),
    ],
)
def test_misspelt_action_has_a_note(show: Show, action: str, note: str) -> None:
    page = show(make_report(), actions=NAMES)
    page.find("#who-action").send_keys(action, Keys.ENTER)
    assert page.until("return document.querySelector('#who-status').innerText.includes(' no')")
    if note:
        assert page.until("return document.querySelector('#who-status .warning')")
    assert page.texts("#who-status .warning") == ([note] if note else [])
    assert page.count("#who-status .quiet") == 0
    if "did you mean" in note:
        page.keep_picture("misspelt")
        page.find("#who-status .warning a").click()
        assert page.until("return !document.querySelector('#who-status .warning')")
        assert page.find("#who-action").get_attribute("value") == note.split()[-1].removesuffix("?")


def test_access_of_a_workload_and_its_reason(show: Show) -> None:
    page = show(make_report())
    page.find("#what-name").click()
    page.press("payments/api", Keys.ENTER)
    assert page.until("return document.querySelector('#why').open")
    assert page.text("#why-title") == "payments/api"
    assert "EKS Pod Identity → role payments-api" in page.text("#why-subtitle")
    summaries = page.texts("#why-body .rows summary")
    assert any("Amazon S3" in text and "write, tagging and read" in text for text in summaries)
    assert any("Amazon DynamoDB" in text and "depends: write and read" in text for text in summaries)
    page.find("#why-body .rows summary").click()
    assert page.until("return document.querySelector('#why-body details[open] .statement')")
    assert "ForAllValues:StringEquals dynamodb:LeadingKeys" in page.text("#why-body details[open]")
    page.keep_picture("workload")
    page.press(Keys.ESCAPE)
    assert not page.run("return document.querySelector('#why').open")


def test_risks(show: Show) -> None:
    page = show(make_report(60))
    page.find(".risk-links a").click()
    assert page.run("return location.hash") == "#risks-high"
    severities = page.texts("#risks h3 .severity")
    assert severities == ["high", "medium", "low"]
    kind = page.find("#risks details")
    assert kind.get_attribute("open")
    assert "Remedy:" in kind.text
    page.keep_picture("risks")
    kind.find_element("css selector", "li a").click()
    assert page.until("return document.querySelector('#why').open")


def test_keyboard(show: Show) -> None:
    page = show(make_report())
    page.run("document.querySelector('#collapse').focus()")
    page.press(Keys.TAB)
    while page.run("return !document.activeElement.closest('#matrix-body')"):
        page.press(Keys.TAB)
    assert page.focused.startswith("▾")
    page.press(Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert page.focused == "payments/api, Amazon DynamoDB: depends: write and read"
    page.keep_picture("focus")
    page.press(Keys.ENTER)
    assert page.text("#why-title") == "payments/api – Amazon DynamoDB"
    page.press(Keys.ESCAPE)
    assert page.focused == "payments/api, Amazon DynamoDB: depends: write and read"
    page.press(Keys.HOME, Keys.ARROW_UP, Keys.ENTER)
    assert page.run("return document.activeElement.getAttribute('aria-expanded')") == "false"
    page.press(Keys.ARROW_RIGHT)
    assert page.run("return document.activeElement.getAttribute('aria-expanded')") == "true"
    page.press(Keys.ARROW_LEFT, Keys.ARROW_RIGHT, Keys.CONTROL + Keys.END)
    assert page.focused.startswith("shop/cache, ")


def test_filters(show: Show) -> None:
    page = show(make_report(2000, 10))
    page.find("#filter").send_keys("cluster-3 payments/api")
    assert page.text("#matrix-count") == "1 of 2,000 workloads"
    assert page.texts("#matrix-body tr.workload th bdi") == ["api"]
    page.find("#clear").click()
    page.run(
        "const field = document.querySelector('#filter-level'); field.value = 'P';"
        "field.dispatchEvent(new Event('input'))"
    )
    assert 0 < int(page.text("#matrix-count").split()[0]) < 100
    page.find("#clear").click()
    page.find("#filter").send_keys("no such workload")
    assert page.text("#matrix-empty") == "No workload matches the filter."


@pytest.mark.parametrize("dark", [False, True])
def test_contrast(show: Show, dark: bool) -> None:
    page = show(make_report(60), dark)
    page.run("accessReport; document.querySelectorAll('details').forEach((node) => node.open = true)")
    page.find("[data-action='s3:GetObject']").click()
    assert page.until("return document.querySelector('#who-result li')")
    failures = page.run(
        """
        const channels = (text) => text.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b].map((value) => value / 255)
          .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
          .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
        const background = (node) => {
          for (; node; node = node.parentElement) {
            const color = channels(getComputedStyle(node).backgroundColor);
            if (color.length < 4 || color[3] === 1) return color;
          }
          return [255, 255, 255];
        };
        const found = new Set();
        for (const node of document.querySelectorAll("body *")) {
          if (node.closest("script, dialog:not([open])") || !node.getClientRects().length) continue;
          if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
          const [a, b] = [light(channels(getComputedStyle(node).color)), light(background(node))];
          const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          if (ratio < 4.5) found.add(`${node.tagName}.${node.className} ${ratio.toFixed(2)}`);
        }
        return [...found];
        """
    )
    assert failures == []
    page.keep_picture("dark" if dark else "light")


HOSTILE = (
    "</script><script>document.title = 'broken'</script>",
    '"><img src=x onerror="document.title=\'broken\'">',
    "api\u202egpj.exe\u200f",
    "<!--<script>",
    "{{ 7 * 7 }}' &amp; \\",
)


def test_hostile_names(show: Show) -> None:
    data = make_report(20)
    for place, name in enumerate(HOSTILE):
        data["workloads"][place] |= {
            "service_account": name,
            "namespace": f"n{name}",
            "name": f"n{name}/{name}",
        }
        data["roles"][place]["name"] = name
        data["policies"][place + 1]["short"] = name
        data["policies"][place + 1]["statements"][0]["Action"].append(f"s3:{name}")
        data["notes"].append(name)
        data["clusters"][0]["name"] = name
    page = show(data)
    assert page.run("return document.title").startswith("Access report: ")
    assert page.count("img") == 0
    assert page.count("script") == 3
    page.find("[data-action='s3:GetObject']").click()
    for place in range(len(HOSTILE)):
        page.run("location.hash = arguments[0]", f"#w{place}")
        assert page.until("return document.querySelector('#why').open")
        page.run("document.querySelectorAll('#why details').forEach((node) => node.open = true)")
        page.run("document.querySelector('#why').close()")
    text = page.run("return document.body.innerText")
    assert "\u202e" not in text
    assert "\\u202egpj.exe" in text


def test_page_without_script(show: Show) -> None:
    page = show(make_report(20))
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.driver.refresh()
        assert "need JavaScript" in page.find(".unscripted").text
        assert "payments/api" in page.find("#table").text
        assert not page.find("#matrix").is_displayed()
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
