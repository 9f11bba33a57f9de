"""Serves the page of the app to this machine alone."""

import contextlib
import importlib
import os
import socket
import tempfile
import threading
from collections.abc import Callable

from ram_tf.errors import RamError, one_line

HOST = "127.0.0.1"
# Of gradio and what it imports, before the import: nothing is counted or looked up.
_OFFLINE = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
# Gradio asks its own page whether it is there, which must not go through a proxy.
_NO_PROXY = ("no_proxy", "NO_PROXY")  # Of both, programs read the first.


def serve(
    model: str,
    port: int,
    browser: bool = False,
    on_start: Callable[[str], None] = lambda address: None,
) -> None:
    """Serves the page until Ctrl-C.

    Args:
      model: as of `load_predictor`; empty offers the presets.
      port: where; 0 takes a free one.
      browser: whether it is opened in a browser.
      on_start: called with the address when the page is there.

    Raises:
      RamError: when gradio is missing, the model cannot be loaded, or the port is
        taken.
    """
    os.environ.update(_OFFLINE)
    others = [os.environ[name] for name in _NO_PROXY if os.environ.get(name)]
    os.environ.update(dict.fromkeys(_NO_PROXY, ",".join([*others[:1], HOST])))
    try:
        importlib.import_module("gradio")
    except ImportError:
        raise RamError("gradio is not installed: pip install 'ram-tf[app]'") from None
    from starlette.middleware import Middleware

    from ram_tf.playground.inputs import MAX_BYTES
    from ram_tf.playground.own_page import OwnPageOnly
    from ram_tf.playground.page import LOOK_OF_PAGE, make_page

    port = _free_port(port)
    with tempfile.TemporaryDirectory(prefix="ram_tf_app_") as uploads:
        # Else what people drop and draw stays in the machine's temporary folder. Every
        # part of the page notes the folder when it is made.
        os.environ["GRADIO_TEMP_DIR"] = uploads
        page = make_page(model)
        try:
            page.launch(
                server_name=HOST,
                server_port=port,
                share=False,
                inbrowser=browser,
                quiet=True,
                prevent_thread_lock=True,
                max_file_size=MAX_BYTES,
                footer_links=[],
                ssr_mode=False,
                enable_monitoring=False,
                app_kwargs={"middleware": [Middleware(OwnPageOnly)]},
                **LOOK_OF_PAGE,
            )
        except Exception as error:  # Those of its HTTP client too.
            raise RamError(
                f"--port={port}: expected to serve, found: {one_line(error)}"
            ) from None
        try:
            on_start(f"http://{HOST}:{port}")
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
        finally:
            page.close(verbose=False)


def _free_port(port: int) -> int:
    """Returns a port that can be bound: this one, or any if it is 0.

    Raises:
      RamError: when it is taken or not allowed.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise RamError(
                f"--port={port}: expected a free port, found: {error.strerror}; "
                "--port=0 takes one"
            ) from None
        return int(probe.getsockname()[1])
