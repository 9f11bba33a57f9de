"""Headless Chromium, and what it asked of the network."""

import contextlib
import json
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

_SWITCHES = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
--disable-background-networking --disable-component-update --disable-sync""".split()


@contextlib.contextmanager
def started(profile: pathlib.Path) -> Iterator[Any]:
    """Gives a browser that keeps logs; skips the test where there is none.

    Args:
      profile: an empty folder for what the browser keeps.
    """
    selenium = pytest.importorskip("selenium.webdriver")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("needs chromium and chromedriver")
    options = selenium.ChromeOptions()
    options.binary_location = program
    for switch in [*_SWITCHES, f"--user-data-dir={profile}"]:
        options.add_argument(switch)
    logs = {"browser": "ALL", "performance": "ALL"}
    options.set_capability("goog:loggingPrefs", logs)
    browser = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()


def addresses_asked(browser: Any) -> list[str]:
    """Returns the addresses of what pages loaded since the last call.

    What the browser loads from itself for its first, empty tab is left out.
    """
    entries = browser.get_log("performance")
    messages = [json.loads(entry["message"])["message"] for entry in entries]
    asked = (
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    )
    own = ("chrome:", "chrome-untrusted:")
    return [address for address in asked if not address.startswith(own)]
