"""The app: its command, and the page in headless Chromium."""

import asyncio
import math
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import PIL.Image
import PIL.ImageDraw
import pytest
from helpers.chromium import addresses_asked

from ram_tf import app

ROOT = pathlib.Path(__file__).parents[2]
SECONDS = 120  # For anything on a busy machine.


def test_port_in_use_is_one_line(capsys):
    pytest.importorskip("gradio")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert app.main([f"--port={port}"]) == 1
    found = capsys.readouterr()
    assert found.out == "" and found.err.count("\n") == 1
    assert f"--port={port}: expected a free port, found: Address already" in found.err


@pytest.mark.parametrize(
    ("flag", "line"),
    [
        ("--port=99999", "--port=99999: expected at most 65535"),
        ("--model=preset:none", "none"),
        ("--model=no/folder", "--model=no/folder: expected a folder of ram_tf.export"),
    ],
)
def test_flags_that_cannot_be_are_one_line(flag, line, capsys):
    pytest.importorskip("gradio")
    assert app.main(["--port=0", flag]) == 1
    found = capsys.readouterr()
    assert found.out == "" and found.err.count("\n") == 1 and line in found.err


def test_missing_gradio_is_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert app.main([]) == 1
    line = "error: gradio is not installed: pip install 'ram-tf[app]'\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:80", None, 200),
        ("127.0.0.1:80", "http://127.0.0.1:80", 200),
        ("localhost:9", "http://localhost:9", 200),  # Through a tunnel.
        ("127.0.0.1:80", "http://evil.example", 403),
        ("127.0.0.1:80", "http://127.0.0.1:81", 403),
        ("127.0.0.1:80", "null", 403),
        ("evil.example", "http://evil.example", 403),  # A name made to lead here.
        ("", None, 403),
        ("[", None, 403),
        ("127.0.0.1:80", "http://[", 403),
    ],
)
def test_requests_of_other_pages_are_refused(host, origin, status):
    own_page = pytest.importorskip("ram_tf.playground.own_page")
    from starlette.responses import PlainTextResponse

    headers = {"host": host, **({} if origin is None else {"origin": origin})}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": raw}
    served = own_page.OwnPageOnly(PlainTextResponse("yes"))
    asyncio.run(served(scope, None, send))
    assert sent[0]["status"] == status


def test_help_imports_neither_tensorflow_nor_gradio():
    script = (
        "import sys\nfrom ram_tf import app\nassert app.main(['--help']) == 0\n"
        "assert not {'tensorflow', 'gradio', 'numpy', 'PIL'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    pytest.importorskip("gradio")
    folder = tmp_path_factory.mktemp("app")
    log, temporary = folder / "log", folder / "tmp"
    temporary.mkdir()
    with open(log, "w") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "ram_tf.app", "--port=0"],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TMPDIR": str(temporary),
                # Nothing of the page goes through a proxy; here there is none.
                "http_proxy": "http://127.0.0.1:9",
            },
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        found = wait_for(lambda: re.search(r"http://127.0.0.1:\d+", log.read_text()))
        yield found[0]
    finally:
        server.send_signal(signal.SIGINT)
        status = server.wait(SECONDS)
    assert status == 0, log.read_text()
    # No traceback and no other line, whatever was sent to it.
    assert len(log.read_text().splitlines()) == 1, log.read_text()
    # What was drawn and uploaded is gone.
    assert [path for path in temporary.rglob("*") if path.is_file()] == []


@pytest.fixture(scope="module")
def opened(chromium, address):
    chromium.set_window_size(1280, 1000)
    chromium.get(address)
    # The page takes the brush when it is there.
    wait_for(lambda: find(chromium, "#pad button[aria-label=Brush].highlight"))
    return chromium


@pytest.fixture
def page(opened, address):
    """The page with an empty pad; after the test nothing must have gone wrong."""
    tab(opened, "Draw")
    (clear,) = find(opened, "#pad button[aria-label='Clear canvas']")
    clear.click()
    time.sleep(1)
    assert find(opened, "#pad button[aria-label=Brush].highlight"), "it can be drawn on"
    yield opened
    errors = [
        entry for entry in opened.get_log("browser") if entry["level"] == "SEVERE"
    ]
    assert errors == []
    asked = addresses_asked(opened)
    assert any(url.startswith(address) for url in asked)
    own = (address, "data:", "blob:", "about:")
    assert [url for url in asked if not url.startswith(own)] == []


def wait_for(look):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.2)
    raise AssertionError("it did not come")


def find(page, selector):
    return page.find_elements("css selector", selector)


def draw(page, points):
    """Draws a line through points, in pixels from the middle of the pad."""
    from selenium.webdriver.common.action_chains import ActionChains

    pad = find(page, "#pad canvas")[0]  # The palette has one of its own.
    actions = ActionChains(page, duration=30)
    actions.move_to_element_with_offset(pad, *points[0]).click_and_hold()
    for point in points[1:]:
        actions.move_to_element_with_offset(pad, *point)
    actions.release().perform()
    time.sleep(3)  # The pad tells the page a moment later.


def tab(page, name):
    (found,) = [b for b in find(page, "button[role=tab]") if b.text == name]
    found.click()


def choose_image(page):
    """Goes to an empty field for an image."""
    tab(page, "Image")
    for clear in find(page, "#upload button[aria-label=Clear]"):
        clear.click()
    wait_for(lambda: find(page, "#upload input[type=file]"))


def upload(page, path):
    choose_image(page)
    (field,) = wait_for(lambda: find(page, "#upload input[type=file]"))
    field.send_keys(str(path))


def look(page):
    """Presses Look and returns what the model predicts in the end, or the message."""
    old = ".ram-scene, #scene [role=alert]"
    script = f"for (const e of document.querySelectorAll('{old}')) e.dataset.old = 1"
    page.execute_script(script)  # Of the look before: it goes when the new one comes.
    find(page, "#look")[0].click()
    fresh = (
        ".ram-scene[data-ended]:not([data-old]), #scene [role=alert]:not([data-old])"
    )
    found = wait_for(lambda: find(page, fresh))[0]
    return found.get_attribute("data-label") or found.text


SEVEN = [(-50, -70), (50, -70), (45, -50), (20, 0), (0, 40), (-10, 80)]
TURNS = [2 * math.pi * turn / 12 for turn in range(13)]
ZERO = [(int(55 * math.sin(turn)), int(-80 * math.cos(turn))) for turn in TURNS]


@pytest.mark.browser
@pytest.mark.parametrize(("points", "digit"), [(SEVEN, "7"), (ZERO, "0")])
def test_drawn_digit_is_named(page, points, digit):
    draw(page, points)
    assert look(page) == digit


@pytest.mark.browser
def test_other_policies_are_asked_on_the_same_drawing(page):
    draw(page, SEVEN)
    find(page, "#compare")[0].click()
    (table,) = wait_for(lambda: find(page, "#policies table"))
    policies = [
        row.text.split()[0] for row in table.find_elements("css selector", "tr")
    ]
    assert policies == ["policy", "learned", "random", "center"]


def post_file(address, origin):
    """Returns the status of an upload that a page of an origin sends."""
    lines = [
        "--x",
        'Content-Disposition: form-data; name="files"; filename="a.png"',
        "",
        "content",
        "--x--",
        "",
    ]
    request = urllib.request.Request(
        f"{address}/gradio_api/upload",
        "\r\n".join(lines).encode(),
        {"Content-Type": "multipart/form-data; boundary=x", "Origin": origin},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.browser
def test_pages_of_other_sites_upload_nothing(address):
    assert post_file(address, address) == 200
    assert post_file(address, "http://evil.example") == 403


@pytest.mark.browser
def test_photo_is_named(page, tmp_path):
    """A grey 7 on uneven paper, of a camera's size."""
    photo = PIL.Image.new("RGB", (1600, 1200), (205, 200, 190))
    line = [(800 + 6 * x, 600 + 5 * y) for x, y in SEVEN]
    PIL.ImageDraw.Draw(photo).line(line, (60, 60, 80), 70, joint="curve")
    photo.save(tmp_path / "photo.jpg")
    upload(page, tmp_path / "photo.jpg")
    wait_for(lambda: "photo" in find(page, "#upload")[0].text)
    assert look(page) == "7"
    assert "inverted because its border is bright" in find(page, "#scene")[0].text


@pytest.mark.browser
def test_what_cannot_be_looked_at_is_told_in_a_line(page, tmp_path):
    assert look(page) == "Draw something first."
    choose_image(page)
    assert look(page) == "Choose an image first."
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    upload(page, broken)
    wait_for(lambda: "broken" in find(page, "#upload")[0].text)
    assert look(page).startswith("broken.png: expected an image")
    large = tmp_path / "large.png"
    with open(large, "wb") as file:
        file.truncate(20_000_001)
    upload(page, large)
    wait_for(lambda: "maximum" in find(page, "body")[0].text)
