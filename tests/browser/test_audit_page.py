# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the page of the access report in a browser: its three questions, the keyboard, contrast, hostile names and large fleets.

Every test also fails if the page writes to the console or sends a request.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path

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


def test_who_can_names_clusters_that_could_not_be_read(show: Show) -> None:
    report = make_report()
    report["clusters"].append(
        {"key": "red", "name": "red", "arn": "", "account": "", "region": "", "error": "Denied."}
    )
    page = show(report, actions=NAMES)
    page.find("#who-action").send_keys("s3:GetObject", Keys.ENTER)
    assert page.until("return document.querySelector('#who-result .warning')")
    assert (
        page.text("#who-result .warning")
        == "Unknown for the service accounts of 1 cluster that could not be read: red."
    )


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


def test_page_without_names_of_actions_cannot_check_them(show: Show) -> None:
    page = show(make_report())
    page.find("#who-action").send_keys("s3:GetObjct", Keys.ENTER)
    assert page.until("return document.querySelector('#who-status .quiet')")
    assert page.texts("#who-status .quiet") == [
        "This page cannot check the name of the action, because the names of all actions were not known when it was written."
    ]


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


def test_cell_shows_the_reason(show: Show) -> None:
    page = show(make_report())
    cell = page.find('#matrix-body td[aria-label^="payments/api, Amazon S3"]')
    page.run("arguments[0].scrollIntoView({block: 'center'})", cell)
    cell.click()
    assert page.text("#why-title") == "payments/api – Amazon S3"
    text = page.text("#why-body")
    for part in ("Write, tagging and read.", "Statement 1 of write-bucket", "Trust policy: 1 statement"):
        assert part in text
    page.keep_picture("cell")


def test_boundary_and_unread_policies_are_reasons(show: Show) -> None:
    page = show(make_report(60))
    rows = page.run("return accessReport.answer('iam:PassRole', '').rows.map((row) => row.reason)")
    assert any("Not allowed by the permissions boundary workload-boundary" in reason for reason in rows)
    assert any("Not read: arn:aws:iam" in reason for reason in rows)


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


def test_keyboard_reaches_every_row_of_a_large_fleet(show: Show) -> None:
    page = show(make_report(2000, 10))
    page.find("#expand").click()
    rows = int(page.find("#matrix-table").get_attribute("aria-rowcount") or 0) - 1
    assert rows == 2000 + 200 + 10
    page.run("document.querySelector('#matrix-body th').focus()")
    page.press(*[Keys.PAGE_DOWN] * 5)
    script = "return Number(document.activeElement.closest('tr').getAttribute('aria-rowindex'))"
    assert page.run(script) > 50
    page.press(Keys.CONTROL + Keys.END)
    assert page.run(script) == rows + 1
    assert page.count("#matrix-body tr") < 120


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


def test_many_services_share_a_column(show: Show) -> None:
    data = make_report(20)
    for place in range(100):
        data["services"][f"service{place}"] = f"Service {place}"
    cells = [
        {"service": f"service{place}", "levels": {"Read": "yes"}, "statements": [], "resources": ["*"]}
        for place in range(100)
    ]
    data["profiles"][0]["cells"] += cells
    page = show(data)
    headings = page.texts("#matrix-head th")
    assert len(headings) == 1 + 12 + 1
    assert headings[-1] == "100 more"
    assert "s3" in headings
    script = (
        "return document.querySelector('#matrix-body tr.workload td:last-child').getAttribute('aria-label')"
    )
    assert page.run(script) == "payments/api, 100 further services: read"
    page.run("document.querySelector('#matrix-body tr.workload td:last-child').click()")
    assert page.text("#why-title") == "payments/api"
    assert page.texts("#why-body .rows + button.more") == ["Show 25 more of 77"]
    page.press(Keys.ESCAPE)
    page.find("#all-services").click()
    assert page.count("#matrix-head th") == 1 + 112


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
        data["workloads"][place]["service_account"] = name
        data["workloads"][place]["namespace"] = f"n{name}"
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


# Scroll the matrix, one step in a frame, and count the rows that the script draws.
SCROLL = """
const [step, steps, done] = arguments, scroller = document.querySelector("#matrix-scroll");
const body = document.querySelector("#matrix-body"), found = {drawings: 0, drawn: 0, most: 0};
const observer = new MutationObserver((changes) => {
  const added = changes.reduce((sum, change) => sum + change.addedNodes.length, 0);
  found.drawings += added ? 1 : 0;
  found.drawn += added;
  found.most = Math.max(found.most, body.children.length);
});
observer.observe(body, {childList: true});
let left = steps;
const move = () => {
  scroller.scrollTop += step;
  if (--left) requestAnimationFrame(move);
  else requestAnimationFrame(() => requestAnimationFrame(() => {
    observer.disconnect();
    done({...found, top: scroller.scrollTop});
  }));
};
requestAnimationFrame(move);
"""
ROW = 30


def test_scrolling_a_large_fleet_draws_few_rows(show: Show) -> None:
    """Check that the work depends only on the rows in the view. Only print the times, because they depend on the machine."""
    step, steps = 60, 60
    objects, elements, thread = {}, {}, {}
    for count, clusters in ((20, 1), (2000, 10)):
        page = show(make_report(count, clusters))
        page.find("#expand").click()
        page.run("document.querySelector('#matrix').scrollIntoView()")
        earlier = page.metrics()
        found = page.driver.execute_async_script(SCROLL, step, steps)
        later = page.metrics()
        objects[count] = later["LayoutObjects"]
        elements[count] = page.count("#matrix-body *")
        thread[count] = later["TaskDuration"] - earlier["TaskDuration"]
        times = ", ".join(
            f"{name} {1000 * (later[key] - earlier[key]) / steps:.2f} ms"
            for name, key in (
                ("layout", "LayoutDuration"),
                ("style", "RecalcStyleDuration"),
                ("script", "ScriptDuration"),
                ("thread", "TaskDuration"),
            )
        )
        print(f"{count} workloads, for each of {steps} steps of {step} pixels: {times}; {found}")
    rows = step * steps / ROW
    assert found["top"] == step * steps
    # The script draws in advance, so that it has nothing to do in most frames.
    assert found["drawings"] <= rows / 10
    assert found["drawn"] <= rows + 30
    assert found["most"] <= 100
    # The large fleet has 100 times as many workloads.
    assert elements[2000] < 5 * elements[20]
    start = page.run(
        "const [entry] = performance.getEntriesByType('navigation'); return entry.domContentLoadedEventEnd"
    )
    question = page.run(
        "const start = performance.now(); accessReport.answer('s3:GetObject', 'invoices'); return performance.now() - start"
    )
    ratios = [f"{values[2000] / values[20]:.1f}" for values in (thread, objects)]
    print(f"2000 compared with 20 workloads: thread {ratios[0]} times, layout objects {ratios[1]} times")
    print(f"load {start:.0f} ms, question {question:.0f} ms")
    page.keep_picture("fleet")


def test_open_lists_are_laid_out_near_the_view(show: Show) -> None:
    page = show(make_report(2000, 10))
    page.run("document.querySelectorAll('details').forEach((node) => node.open = true)")
    page.run("document.querySelector('#table').scrollIntoView()")
    for rows, total in (("#table tbody tr", 2000), ("#risks li > :last-child", 763)):
        assert page.count(rows) == total
        script = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".filter((node) => node.checkVisibility({contentVisibilityAuto: true})).length"
        )
        assert page.run(script, rows) < 300
    page.run("document.querySelector('#w1999').scrollIntoView()")
    assert page.run("return document.querySelector('#w1999').getBoundingClientRect().top < innerHeight")


def test_print(show: Show) -> None:
    page = show(make_report(20))
    pdf = base64.b64decode(
        page.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"]
    )
    assert pdf.startswith(b"%PDF")
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        (Path(folder) / "page.pdf").write_bytes(pdf)


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
