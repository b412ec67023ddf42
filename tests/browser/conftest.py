# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a headless Chromium, which records the console and all requests of a page."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils._audit_page import render_page
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement


class Page:
    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0]).innerText", selector))

    def texts(self, selector: str) -> list[str]:
        return list(
            self.run(
                "return [...document.querySelectorAll(arguments[0])].map((node) => node.innerText.trim())",
                selector,
            )
        )

    def count(self, selector: str) -> int:
        return int(self.run("return document.querySelectorAll(arguments[0]).length", selector))

    def press(self, *keys: str) -> None:
        """Press keys one after the other. To hold Control, write ``Keys.CONTROL`` and the other key as one string."""
        for key in keys:
            chain = ActionChains(self.driver)
            if key.startswith(Keys.CONTROL):
                chain = chain.key_down(Keys.CONTROL).send_keys(key[1:]).key_up(Keys.CONTROL)
            else:
                chain = chain.send_keys(key)
            chain.perform()

    def until(self, script: str, *arguments: object, seconds: float = 10) -> Any:
        """Wait until a script returns a true value, but at most ``seconds``. Return the last value of the script."""
        return self.driver.execute_async_script(
            f"""
            const done = arguments[arguments.length - 1], inner = [...arguments].slice(1, -1);
            const end = Date.now() + arguments[0] * 1000;
            const test = function () {{ {script} }};
            const poll = () => {{
              const value = test(...inner);
              if (value || Date.now() > end) done(value);
              else setTimeout(poll, 20);
            }};
            poll();
            """,
            seconds,
            *arguments,
        )

    @property
    def focused(self) -> str:
        """Return the accessible name or the text of the element with the focus."""
        script = "const node = document.activeElement; return node.getAttribute('aria-label') || node.innerText || node.id"
        return str(self.run(script)).strip()

    def metrics(self) -> dict[str, float]:
        """Return the counters of the browser, such as the number of layouts and the seconds that they took."""
        self.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        found = self.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return {metric["name"]: metric["value"] for metric in found}

    def console(self) -> list[str]:
        return [f"{entry['level']}: {entry['message']}" for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return the URLs that the page has requested, except its own file, data URLs and internal pages of the browser."""
        messages = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        found = [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        return [
            address
            for address in found
            if not address.startswith(("file:", "data:", "about:", "chrome:", "chrome-untrusted:"))
        ]

    def keep_picture(self, name: str) -> None:
        """Save a screenshot in the folder that the environment variable SCREENSHOTS names. Without the variable, do nothing."""
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = Options()
    profile = tmp_path_factory.mktemp("chromium")
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--window-size=1400,1000",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    assert binary, "Chromium is missing. Debian: apt-get install chromium chromium-driver."
    options.binary_location = binary
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    browser.set_script_timeout(30)
    # Measure the CPU time of the thread, without the time in which it waits.
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    yield browser
    browser.quit()


@pytest.fixture
def show(driver: webdriver.Chrome, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Yield a function that opens a report in the browser. The test fails if the page wrote to the console or sent a request."""

    def open_report(
        data: Mapping[str, Any],
        dark: bool = False,
        fragment: str = "",
        actions: Mapping[str, Sequence[str]] | None = None,
    ) -> Page:
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
        file = tmp_path / "audit.html"
        file.write_text(render_page(data, actions), encoding="utf-8")
        driver.get("about:blank")
        driver.get(f"{file.as_uri()}{fragment}")
        page = Page(driver)
        assert page.until("return document.documentElement.classList.contains('script')")
        return page

    yield open_report
    page = Page(driver)
    assert page.console() == []
    assert page.requests() == []
