"""Draws a moment of a look as HTML: the image with its glimpses, and the classes."""

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ram_tf.evaluation.palette import glimpse_colours, ink_on
from ram_tf.playground.looks import PolicyPrediction
from ram_tf.serving.predictor import Path, Predictor
from ram_tf.viz.geometry import centre_px, cut_patches, moved_apart_px, top_left_px

MAX_CLASSES = 10  # Bars; of more classes the most likely are shown.

CSS = """
.ram-scene { display: grid; grid-template-columns: minmax(240px, 1.15fr) 1fr;
  gap: 28px; align-items: start; color: var(--body-text-color); }
.ram-scene h3 { margin: 0 0 2px; font-size: 30px; line-height: 1.2; }
.ram-scene small { font-size: 20px; font-weight: 400; }
.ram-scene p { margin: 0 0 10px; color: var(--body-text-color-subdued); }
.ram-picture { width: 100%; display: block; border-radius: 10px; background: #3a4654; }
.ram-tiles { display: grid; gap: 8px 5px; margin: 6px 0 18px;
  grid-template-columns: repeat(8, minmax(0, 52px)); }
.ram-tiles figure { margin: 0; }
.ram-tiles figcaption { text-align: center; font-size: 11px; line-height: 1.35;
  white-space: nowrap; color: var(--body-text-color-subdued); }
.ram-tiles b { display: block; font-size: 14px; overflow: hidden;
  text-overflow: ellipsis; color: var(--body-text-color); }
.ram-tile { border: 3px solid; border-radius: 6px; overflow: hidden; }
.ram-tile.ram-to-come { border-style: dashed; opacity: .35; }
.ram-tile img { display: block; width: 100%; aspect-ratio: 1;
  image-rendering: pixelated; }
.ram-tile.ram-to-come div { aspect-ratio: 1; }
.ram-bars { display: grid; grid-template-columns: max-content 1fr 4.5em;
  gap: 6px 10px; align-items: center; font-variant-numeric: tabular-nums; }
.ram-bars span:nth-child(3n) { text-align: right; white-space: nowrap; }
.ram-name { max-width: 11em; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }
.ram-bar { height: 16px; border-radius: 8px; overflow: hidden;
  background: var(--border-color-primary); }
.ram-bar i { display: block; height: 100%; background: #8a97a3; border-radius: 8px; }
.ram-bars .ram-best { font-weight: 700; }
.ram-best + .ram-bar i { background: #2f6fde; }
.ram-message { padding: 16px 18px; border-radius: 10px; font-size: 16px;
  border: 1px solid var(--border-color-primary); color: var(--body-text-color); }
.ram-message[role=alert] { border-color: #d1495b; }
.ram-policies, .ram-policies tr, .ram-policies thead { border: 0 !important; }
.ram-policies { border-collapse: collapse; width: 100%; }
.ram-policies th, .ram-policies td { text-align: left !important;
  border: 0 !important; padding: 8px 10px 8px 2px !important;
  border-bottom: 1px solid var(--border-color-primary) !important; }
@media (max-width: 1279px) {  /* What is written below eight tiles would touch. */
  .ram-tiles { grid-template-columns: repeat(4, minmax(0, 52px)); }
}
@media (max-width: 760px) { .ram-scene { grid-template-columns: 1fr; } }
"""


def scene(image: np.ndarray, path: Path, step: int, model: Predictor, said: str) -> str:
    """Returns the HTML of what is known after a glimpse.

    Args:
      image: uint8 [H, W, C], as the model sees it.
      path: of R rollouts; the first is drawn, of the others their lines.
      step: the glimpse, from 0.
      model: that looks.
      said: how the image was made.
    """
    probabilities = path.probabilities[:, step].mean(0)
    label = int(probabilities.argmax())
    count = len(path.probabilities)
    mean = f", mean of {count} rollouts" if count > 1 else ""
    percent = 100 * probabilities[label]
    ended = " data-ended" if step + 1 == model.num_glimpses else ""
    return f"""<div class="ram-scene" data-step="{step + 1}"
 data-label="{html.escape(model.class_names[label])}"{ended}>
<div>{_picture(image, path.locations, step, model)}
<p style="margin-top:8px">{html.escape(said)}</p></div>
<div><h3>{html.escape(model.class_names[label])} <small>({percent:.0f} %)</small></h3>
<p aria-live="polite">after glimpse {step + 1} of {model.num_glimpses}{mean}</p>
<p>Glimpses, and the prediction after each:</p>
<div class="ram-tiles">{_tiles(image, path, step, model)}</div>
<div class="ram-bars">{_bars(path.probabilities.mean(0), step, model)}</div>
</div></div>"""


def message(text: str, is_error: bool = False) -> str:
    """Returns a line for the place of the scene."""
    role = ' role="alert"' if is_error else ""
    return f'<div class="ram-message"{role}>{html.escape(text)}</div>'


def policy_table(
    predictions: Sequence[PolicyPrediction], class_names: Sequence[str]
) -> str:
    """Returns what the policies predict."""
    rows = []
    for prediction in predictions:
        agree = round(prediction.share * prediction.num_paths)
        rows.append(
            f"<tr><td>{prediction.policy}</td>"
            f"<td><b>{html.escape(class_names[prediction.label])}</b></td>"
            f"<td>{100 * prediction.probability:.0f}\N{NO-BREAK SPACE}%</td>"
            f"<td>{agree} of {prediction.num_paths}</td></tr>"
        )
    titles = ("policy", "prediction", "mean probability", "paths that agree")
    head = "".join(f"<th>{title}</th>" for title in titles)
    return (
        f'<table class="ram-policies"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _picture(
    image: np.ndarray, locations: np.ndarray, step: int, model: Predictor
) -> str:
    height, width = image.shape[:2]
    margin = model.patch_size / 2
    paint = glimpse_colours(model.num_glimpses)
    unit = max(height, width) / 28  # Lines look alike on images of all sizes.
    parts = [
        f'<image href="{_png(image)}" x="0" y="0" width="{width}" height="{height}" '
        'preserveAspectRatio="none" style="image-rendering:pixelated"/>'
    ]
    for index, path in reversed(list(enumerate(locations[:, : step + 1]))):
        points = centre_px(path, (height, width)) + 0.5
        line = " ".join(f"{x:.2f},{y:.2f}" for y, x in points)
        faint = 0.85 if index == 0 else 0.3
        # White on black: seen on bright and on dark pixels.
        for colour, wide, opacity in (("black", 0.5, 0.6), ("white", 0.22, 1)):
            parts.append(
                f'<polyline points="{line}" fill="none" stroke="{colour}" '
                f'stroke-width="{wide * unit:.2f}" '
                f'stroke-opacity="{faint * opacity:.2f}"/>'
            )
    path = locations[0]
    for at in range(step + 1):
        now = at == step
        for k in range(model.num_scales):
            side = model.patch_size * 2**k
            top, left = top_left_px(path[at], (height, width), side)
            wide = (0.5 if now else 0.25) * unit * (1 if k == 0 else 0.6)
            opacity = (1.0 if now else 0.55) * (1 if k == 0 else 0.6)
            parts.append(
                f'<rect x="{left}" y="{top}" width="{side}" height="{side}" '
                f'fill="none" stroke="{paint[at]}" stroke-width="{wide:.2f}" '
                f'stroke-opacity="{opacity:.2f}" rx="{0.3 * unit:.2f}"/>'
            )
    centres = centre_px(path, (height, width))
    marks = moved_apart_px(centres, 1.8 * unit, (height, width))
    for at in range(step + 1):
        (y, x), radius = marks[at] + 0.5, (1.05 if at == step else 0.8) * unit
        ink = ink_on(paint[at])
        parts.append(
            f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{radius:.2f}" fill="{paint[at]}" '
            f'stroke="white" stroke-width="{0.12 * unit:.2f}"/>'
            f'<text x="{x:.2f}" y="{y + 0.36 * radius:.2f}" text-anchor="middle" '
            f'font-size="{1.1 * radius:.2f}" font-weight="700" fill="{ink}">'
            f"{at + 1}</text>"
        )
    box = f"{-margin} {-margin} {width + 2 * margin} {height + 2 * margin}"
    return (
        f'<svg class="ram-picture" viewBox="{box}" role="img" '
        f'aria-label="the image with {step + 1} glimpses">{"".join(parts)}</svg>'
    )


def _tiles(image: np.ndarray, path: Path, step: int, model: Predictor) -> str:
    """What each glimpse of the first rollout saw, and the prediction after it.

    Scales lie below each other. Glimpses that are to come have an empty place.
    """
    mean = path.probabilities.mean(0)
    tiles = []
    for at, colour in enumerate(glimpse_colours(model.num_glimpses)):
        border = f'style="border-color:{colour}"'
        if at > step:
            empty = "<div></div>" * model.num_scales
            tiles.append(f'<div class="ram-tile ram-to-come" {border}>{empty}</div>')
            continue
        location = path.locations[0, at]
        patches = cut_patches(image, location, model.patch_size, model.num_scales)
        seen = "".join(
            f'<img src="{_png(patch.round().astype(np.uint8))}" '
            f'alt="glimpse {at + 1}, scale {k + 1}">'
            for k, patch in enumerate(patches)
        )
        label = int(mean[at].argmax())
        name = html.escape(model.class_names[label])
        tiles.append(
            f'<figure><div class="ram-tile" {border}>{seen}</div>'
            f'<figcaption title="{name}"><b>{name}</b>{100 * mean[at, label]:.0f} %'
            "</figcaption></figure>"
        )
    return "".join(tiles)


def _bars(probabilities: np.ndarray, step: int, model: Predictor) -> str:
    """Bars of the classes; of many, those that were ever the most likely."""
    now = probabilities[step]
    likely = probabilities.max(0)
    likely[now.argmax()] = np.inf
    shown = np.argsort(-likely, kind="stable")[:MAX_CLASSES]
    rows = []
    for label in sorted(int(label) for label in shown):
        name = html.escape(model.class_names[label])
        best = " ram-best" if label == now.argmax() else ""
        percent = 100 * now[label]
        rows.append(
            f'<span class="ram-name{best}">{name}</span>'
            f'<span class="ram-bar"><i style="width:{percent:.1f}%"></i></span>'
            f'<span class="{best.strip()}">{percent:.1f} %</span>'
        )
    return "".join(rows)


def _png(image: np.ndarray) -> str:
    """Returns uint8 [h, w, 1 or 3] as the address of a PNG."""
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
