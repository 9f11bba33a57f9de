"""Serves a page to draw a digit on: python -m ram_tf.app."""

import sys

from ram_tf.entry_point import entry_point
from ram_tf.errors import RamError
from ram_tf.flags import Arguments, Setting
from ram_tf.runtime.quiet_import import import_tensorflow
from ram_tf.runtime.stop_signals import ended_by_signal
from ram_tf.serving.model_folder import check_model

USAGE = """Serves a page where you draw a digit and watch where a model looks.

  python -m ram_tf.app [--model=exported/x] [--port=7860] [--browser]

The glimpses move one by one while the probabilities change. The page is served to this
machine alone, 127.0.0.1, and makes no request to others. Ctrl-C ends it, with status 0
once the address was printed, and 130 before. Needs gradio, the extra `app`."""

SETTINGS = [
    Setting(
        "model",
        "",
        "Folder that ram_tf.export wrote, preset:NAME, or the folder of a preset; "
        "empty offers the presets of the package.",
    ),
    Setting("port", 7860, "Port to serve on; 0 takes a free one.", low=0),
    Setting("browser", False, "Open the page in a browser."),
]


def _command(arguments: Arguments) -> None:
    if arguments.port > 65535:
        raise RamError(f"--port={arguments.port}: expected at most 65535")
    if arguments.model:
        check_model(arguments.model)
    import_tensorflow()
    from ram_tf.playground.server import serve

    with ended_by_signal():  # What people uploaded is deleted then, too.
        serve(
            arguments.model,
            arguments.port,
            arguments.browser,
            on_start=lambda address: print(f"{address}  (Ctrl-C ends it)", flush=True),
        )


main = entry_point(_command, SETTINGS, USAGE)


if __name__ == "__main__":
    sys.exit(main())
