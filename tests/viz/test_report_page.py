"""The report in headless Chromium: what a reader sees and does."""

import json
import pathlib

import numpy as np
import pytest
from helpers.chromium import addresses_asked
from helpers.report_files import write_all

from ram_tf.report import make_report
from ram_tf.viz.geometry import moved_apart_px, top_left_px

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> pathlib.Path:
    root = tmp_path_factory.mktemp("report")
    experiments, results = write_all(root)
    return make_report(results, root / "out", experiments)[0]


@pytest.fixture
def page(chromium, report):
    """The page, freshly opened on the row of 3 scales in colour."""
    show(chromium, report, "table5-ram_colour")
    return chromium


def show(browser, report, key="", width=1280, **features):
    """Opens the page at a width, with media features, on a row.

    Without motion, unless asked for: a click does not wait for smooth scrolling.
    """
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1}
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {**metrics, "mobile": width < 500}
    )
    media = [
        {"name": name.replace("_", "-"), "value": value}
        for name, value in {"prefers_reduced_motion": "reduce", **features}.items()
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)  # What came before is not this page's.
    browser.get(report.as_uri() + (f"#{key}" if key else ""))
    wait(browser, "return 'ready' in document.getElementById('look').dataset")


def wait(browser, script):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 10).until(lambda _: browser.execute_script(script))


def find(page, selector):
    return page.find_element("css selector", selector)


def picture(page):
    """What the viewer shows: marks, patches, probabilities, and where it is."""
    return page.execute_script("""
      const data = (canvas) => canvas.toDataURL();
      return {
        image: data(document.getElementById("picture")),
        marks: document.getElementById("overlay").innerHTML,
        patches: [...document.querySelectorAll("#patches canvas")].map(data),
        seen: data(document.getElementById("seen")),
        bars: [...document.querySelectorAll("#bars i")].map((bar) => bar.style.width),
        said: document.getElementById("said").textContent,
        step: document.querySelector("#steps [aria-current]").textContent,
      };""")


def point_at(page, element):
    from selenium.webdriver import ActionChains

    page.execute_script("arguments[0].scrollIntoView({ block: 'center' })", element)
    ActionChains(page).move_to_element(element).perform()


def press(page, key, element=None):
    from selenium.webdriver.common.keys import Keys

    (element or page.switch_to.active_element).send_keys(getattr(Keys, key))


def test_page_loads_without_console_errors_or_requests(chromium, report):
    show(chromium, report)
    find(chromium, "#play").click()
    assert chromium.get_log("browser") == []
    asked = addresses_asked(chromium)
    outside = {url for url in asked if not url.startswith(("data:", "blob:"))}
    assert outside <= {report.as_uri()}


def test_stepping_by_click_changes_the_picture(page):
    find(page, "#steps button:first-child").click()
    first = picture(page)
    find(page, "#on").click()
    second = picture(page)
    assert (first["step"], second["step"]) == ("1", "2")
    for part in ("marks", "patches", "seen", "bars", "said"):
        assert first[part] != second[part], part
    assert first["image"] == second["image"]
    find(page, "#back").click()
    assert picture(page) == first
    find(page, "#stage").click()
    assert picture(page) == second


def test_stepping_by_key_changes_the_picture(page):
    stage = find(page, "#stage")
    press(page, "HOME", stage)
    first = picture(page)
    press(page, "ARROW_RIGHT")
    second = picture(page)
    assert (first["step"], second["step"]) == ("1", "2")
    assert first["patches"] != second["patches"]
    press(page, "ARROW_LEFT")
    assert picture(page) == first
    press(page, "END")
    assert picture(page)["step"] == "3"
    press(page, "ARROW_RIGHT")  # The end is the end.
    assert picture(page)["step"] == "3"
    press(page, "ARROW_DOWN")
    assert picture(page)["image"] != first["image"]
    press(page, "ARROW_UP")
    assert picture(page)["image"] == first["image"]


def test_focus_is_seen_when_it_comes_by_key(page):
    page.execute_script("document.getElementById('picker').focus()")
    press(page, "TAB")
    focus = page.execute_script("""
      const element = document.activeElement;
      return [element.id, getComputedStyle(element).outlineStyle,
              parseFloat(getComputedStyle(element).outlineWidth)];""")
    while focus[0] != "stage":
        press(page, "TAB")
        focus = page.execute_script("""
          const element = document.activeElement;
          return [element.id, getComputedStyle(element).outlineStyle,
                  parseFloat(getComputedStyle(element).outlineWidth)];""")
    assert focus[1] == "solid" and focus[2] >= 2


def test_all_scales_are_outlined_and_shown(page):
    find(page, "#steps button:nth-child(2)").click()
    sides = page.execute_script(
        "return [...document.querySelectorAll('#overlay .patch')]"
        ".map((rect) => Number(rect.getAttribute('width')))"
    )
    assert sorted(sides) == [6, 12, 24]
    assert len(page.find_elements("css selector", "#patches canvas")) == 3
    assert len(page.find_elements("css selector", "#overlay .spot")) == 2


def test_play_goes_through_all_glimpses_and_ends(page):
    press(page, "HOME", find(page, "#stage"))
    find(page, "#play").click()
    wait(page, "return document.getElementById('play').textContent === 'Play'")
    assert picture(page)["step"] == "3"


@pytest.mark.parametrize("key", ["table1-ram", "table5-ram_colour"])
def test_a_row_is_chosen_by_its_link_in_the_table(chromium, report, key):
    show(chromium, report)
    chromium.execute_script(
        f"document.querySelector('tbody a[href=\"#{key}\"]').click()"
    )
    wait(chromium, f"return document.getElementById('look').dataset.ready === '{key}'")
    shown = chromium.execute_script(
        "return [...document.querySelectorAll('.detail')]"
        ".filter((detail) => detail.offsetParent).map((detail) => detail.id)"
    )
    assert shown == [key]
    assert find(chromium, "#picker").get_attribute("value") == key


def test_a_baseline_is_shown_without_a_viewer(chromium, report):
    show(chromium, report)
    chromium.execute_script("""
      const picker = document.getElementById("picker");
      picker.value = "table1-fc";
      picker.dispatchEvent(new Event("change"));""")
    assert find(chromium, "#table1-fc").is_displayed()
    assert not find(chromium, "#viewer").is_displayed()


def test_paths_arrive_as_they_were_written(page, report):
    path = report.parent.parent / "results/table5/ram_colour/seed0.examples.npz"
    found = page.execute_async_script("""
      const done = arguments[0];
      RamReport.openPaths("table5-ram_colour").then((record) => {
        const shown = record.at(7);
        done([[...shown.pixels], shown.label, shown.corners, shown.probabilities,
          shown.marks]);
      });""")
    with np.load(path) as arrays:
        np.testing.assert_array_equal(found[0], arrays["images"][7].ravel())
        assert found[1] == arrays["labels"][7]
        locations = arrays["locations"][7]
        probabilities = arrays["probabilities"][7]
    sides = (6, 12, 24)
    corners = [top_left_px(locations, (32, 32), side) for side in sides]
    np.testing.assert_array_equal(found[2], np.stack(corners, axis=1))
    np.testing.assert_allclose(found[3], probabilities, atol=1e-5)
    middles = corners[0] + 3
    marks = moved_apart_px(middles, 0.06 * 32, (33, 33))
    np.testing.assert_allclose(found[4], marks, atol=1 / 64)


def test_tables_sort_by_any_heading_and_keep_unmeasured_rows_last(page):
    def order():
        rows = page.find_elements("css selector", "#table1 tbody tr")
        return [row.get_attribute("id") for row in rows]

    before = order()
    heading = page.find_elements("css selector", "#table1 thead th")[2]
    button = heading.find_element("tag name", "button")
    page.execute_script("arguments[0].click()", button)
    assert heading.get_attribute("aria-sort") == "descending"
    fc, ram, later = "table1-fc-row", "table1-ram-row", "table1-later-row"
    assert order() == [fc, ram, later] and before == [fc, ram, later]
    page.execute_script("arguments[0].click()", button)
    assert heading.get_attribute("aria-sort") == "ascending"
    assert order() == [ram, fc, later]
    name = page.find_elements("css selector", "#table1 thead th button")[0]
    page.execute_script("arguments[0].click()", name)
    assert order() == [fc, ram, later]
    assert heading.get_attribute("aria-sort") is None


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_page_is_as_wide_as_the_screen(chromium, report, width):
    show(chromium, report, "table5-ram_colour", width=width)
    assert chromium.execute_script(
        "return document.documentElement.scrollWidth <= window.innerWidth"
    )
    assert chromium.execute_script("return window.innerWidth") == width


def test_page_is_dark_where_that_is_preferred(chromium, report):
    script = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g)"
    show(chromium, report, prefers_color_scheme="light")
    light = chromium.execute_script(script)
    show(chromium, report, prefers_color_scheme="dark")
    dark = chromium.execute_script(script)
    assert min(map(int, light)) > 200 and max(map(int, dark)) < 50


def test_nothing_moves_where_less_motion_is_preferred(chromium, report):
    script = (
        "return getComputedStyle(document.querySelector('#bars i')).transitionDuration"
    )
    show(chromium, report, prefers_reduced_motion="no-preference")
    assert chromium.execute_script(script) == "0.16s"
    show(chromium, report, prefers_reduced_motion="reduce")
    assert chromium.execute_script(script) == "0s"


@pytest.fixture(scope="module")
def stopping(tmp_path_factory) -> pathlib.Path:
    """A report with two rows of a table that were measured stopping early."""
    root = tmp_path_factory.mktemp("stopping")
    experiments, results = write_all(root)
    for name in ("mnist_none", "mnist_noise"):
        path = results / "ablation" / name / "seed0.json"
        found = json.loads(path.read_text())
        found["evaluation"]["policies"]["learned"]["by_threshold"] = [
            {"threshold": 0.5, "accuracy": 0.4, "mean_glimpses": 1.5},
            {"threshold": 0.9, "accuracy": 0.6, "mean_glimpses": 2.5},
        ]
        path.write_text(json.dumps(found))
    return make_report(results, root / "out", experiments)[0]


def test_a_row_that_is_pointed_at_stands_out_in_the_chart_of_stopping(
    chromium, stopping
):
    def opacities():
        return chromium.execute_script(
            "return ['A', 'B'].map((name) => getComputedStyle("
            "document.querySelector(`.stopping g[data-line=${name}]`)).opacity)"
        )

    show(chromium, stopping)
    assert opacities() == ["1", "1"]
    for selector, expected in (
        ("#ablation-mnist_noise-stopping td", ["0.16", "1"]),
        ("#glimpses-title", ["1", "1"]),
        ("#ablation-mnist_none-stopping td", ["1", "0.16"]),
    ):
        point_at(chromium, find(chromium, selector))
        assert opacities() == expected, selector


@pytest.mark.parametrize("width", [390, 1280])
def test_page_with_stopping_is_as_wide_as_the_screen(chromium, stopping, width):
    show(chromium, stopping, width=width)
    boxes = chromium.execute_script(
        "return ['figure', '.scroll'].map((part) => {"
        "  const box = document.querySelector(`.stopping ${part}`);"
        "  const { left, right, top } = box.getBoundingClientRect();"
        "  return [left, right, top]; })"
    )
    assert all(0 <= left < right <= width for left, right, _ in boxes)
    beside = boxes[0][2] == boxes[1][2]
    assert beside == (width > 960)
    assert chromium.execute_script(
        "return document.documentElement.scrollWidth <= window.innerWidth"
    )
