"""The page of the app: a pad, some sliders, and the look of a model."""

import functools
import time
from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np

from ram_tf.data import picture
from ram_tf.errors import RamError
from ram_tf.models.preset_files import PRESET
from ram_tf.models.recurrent_attention import RecurrentAttentionModel
from ram_tf.playground import inputs, looks, scene
from ram_tf.serving.predictor import Predictor, load_predictor
from ram_tf.serving.prepare import prepare

_CANVAS = 280  # Pixels of a side of the pad.
_BRUSH = 16  # As thick, when the digit has shrunk, as the pens of MNIST.
_STEP_SECONDS = 0.55  # Between two glimpses.
_WELCOME = "Draw a digit, or choose an image, and press Look."
_INTRODUCTION = """# Where does it look?
A recurrent attention model never sees the whole image. It takes a few small
**glimpses**, one after the other, chooses by itself where the next one goes, and then
names the class.
Draw a digit and watch."""
_NO_COMPARISON = (
    "An exported model holds only its learned policy. To compare it with random and "
    "central glimpses, start the app with a preset."
)
# The pad begins with no tool in the hand; its buttons are there a moment later.
_TAKE_THE_BRUSH = """() => {
  const take = () => {
    const brush = document.querySelector('#pad button[aria-label="Brush"]');
    if (brush) brush.click(); else setTimeout(take, 100);
  };
  take();
}"""

# The pad is of one size and its ink of one colour; what is not needed is not shown.
# The label of an upload leaves room for the button that takes it away.
_CSS = """
#pad button[aria-label="Pan"], #pad button[aria-label="Color"],
#pad button[aria-label^="Zoom"], #pad .zoom-number, #pad .separator { display: none; }
#upload label { padding-right: 36px; }
"""
_PLAIN_TITLES = {
    f"block_title_{name}{mode}": value
    for name, value in [
        ("background_fill", "none"),
        ("text_color", "*body_text_color"),
        ("border_width", "0px"),
    ]
    for mode in ("", "_dark")
}
# Arguments of launch: fonts of the system, as pages of other machines are not asked.
LOOK_OF_PAGE: dict[str, Any] = {
    "theme": gr.themes.Soft(
        primary_hue="blue",
        neutral_hue="slate",
        font=[gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")],
        font_mono=[gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")],
    ).set(
        block_title_padding="0px",
        # Gradio's own is too pale on white: a contrast of 2.6:1.
        body_text_color_subdued="*neutral_500",
        block_info_text_color="*neutral_500",
        **_PLAIN_TITLES,
    ),
    "css": scene.CSS + _CSS,
}


def make_page(model: str = "") -> gr.Blocks:
    """Returns the page.

    Args:
      model: as of `load_predictor`; empty offers the presets.

    Raises:
      RamError: when the model cannot be loaded, or cannot tell where it looks.
    """
    load = functools.cache(load_predictor)
    names = [model] if model else _presets()
    first = load(names[0])
    first.check_path()
    # The first look takes seconds, because TensorFlow traces it: not in front of users.
    looks.look(first, np.zeros(first.image_shape, np.uint8), (0.0, 0.0), 1)
    can_compare = first.model is not None
    can_start = not first.stays_at_centre

    def image_of(
        source: str,
        drawing: dict[str, Any] | None,
        upload: str | None,
        name: str,
        noise: float,
    ) -> tuple[Predictor, np.ndarray, str]:
        """The model, the image as it sees it, and how that was made."""
        predictor = load(name)
        if source == "image":
            if not upload:
                raise RamError("Choose an image first.")
            pixels = inputs.read_upload(upload, predictor.background)
        else:
            pixels = _drawn(drawing)
        found = prepare(pixels, predictor.metadata)
        return predictor, inputs.add_noise(found.image, noise), found.said

    def watch(
        y: float, x: float, rollouts: int, *given: Any
    ) -> Iterator[tuple[str, str]]:
        try:
            predictor, image, said = image_of(*given)
            path = looks.look(predictor, image, (y, x), int(rollouts))
        except RamError as error:
            yield scene.message(str(error), is_error=True), ""
            return
        for step in range(predictor.num_glimpses):
            yield scene.scene(image, path, step, predictor, said), ""
            time.sleep(_STEP_SECONDS)

    def compare(y: float, x: float, *given: Any) -> str:
        try:
            predictor, image, _ = image_of(*given)
            predictions = looks.compare_policies(predictor, image, (y, x))
        except RamError as error:
            return scene.message(str(error), is_error=True)
        return scene.policy_table(predictions, predictor.class_names)

    with gr.Blocks(title="ram_tf: where does it look?", fill_width=False) as page:
        gr.Markdown(_INTRODUCTION)
        source = gr.State("draw")
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                with gr.Tab("Draw") as draw_tab:
                    drawing = gr.Sketchpad(
                        show_label=False,
                        image_mode="RGBA",
                        canvas_size=(_CANVAS, _CANVAS),
                        fixed_canvas=True,
                        layers=False,
                        transforms=(),
                        buttons=[],
                        brush=gr.Brush(
                            default_size=_BRUSH, colors=["#000000"], color_mode="fixed"
                        ),
                        elem_id="pad",
                    )
                with gr.Tab("Image") as image_tab:
                    upload = gr.File(
                        label="PNG, JPEG, GIF, BMP, WebP, TIFF or PNM, up to 20 MB",
                        type="filepath",
                        elem_id="upload",
                    )
                button = gr.Button("Look", variant="primary", elem_id="look")
                preset = gr.Dropdown(
                    names,
                    value=names[0],
                    label="Model",
                    interactive=len(names) > 1,
                    elem_id="model",
                )
            with gr.Column(scale=4, min_width=320):
                shown = gr.HTML(scene.message(_WELCOME), elem_id="scene")
                if can_compare:
                    compared = gr.Button(
                        "What would other policies predict?", elem_id="compare"
                    )
                else:
                    gr.Markdown(_NO_COMPARISON)
                table = gr.HTML(elem_id="policies")
        with gr.Row():
            y = gr.Slider(
                -1,
                1,
                0,
                step=0.05,
                label="First glimpse, y",
                interactive=can_start,
                info="The centre is 0, the top -1, the bottom 1.",
            )
            x = gr.Slider(
                -1,
                1,
                0,
                step=0.05,
                label="First glimpse, x",
                interactive=can_start,
                info="The centre is 0, the left -1, the right 1.",
            )
            rollouts = gr.Slider(
                1,
                10,
                1,
                step=1,
                label="Rollouts",
                interactive=can_start,
                info="Paths from other places. Their mean is the prediction.",
            )
            noise = gr.Slider(
                0,
                120,
                0,
                step=5,
                label="Noise on the pixels",
                info="Its standard deviation, in grey levels of 255.",
            )
        page.load(None, js=_TAKE_THE_BRUSH)
        drawing.clear(None, js=_TAKE_THE_BRUSH)  # The pad puts it down when cleared.
        draw_tab.select(lambda: "draw", None, source)
        image_tab.select(lambda: "image", None, source)
        given = [source, drawing, upload, preset, noise]
        button.click(
            watch, [y, x, rollouts, *given], [shown, table], show_progress="hidden"
        )
        if can_compare:
            compared.click(compare, [y, x, *given], table, show_progress="minimal")
    return page


def _presets() -> list[str]:
    names = [f"{PRESET}{name}" for name in RecurrentAttentionModel.presets]
    # Drawings fit the model of plain digits best.
    return sorted(names, key=lambda name: (name != f"{PRESET}demo", name))


def _drawn(drawing: dict[str, Any] | None) -> np.ndarray:
    """Returns what is on the pad, uint8 [h, w, 3], on white."""
    pixels = None if drawing is None else drawing["composite"]
    if pixels is None or not np.asarray(pixels)[..., -1].any():
        raise RamError("Draw something first.")
    return picture.over_if_transparent(np.asarray(pixels), (255, 255, 255))
