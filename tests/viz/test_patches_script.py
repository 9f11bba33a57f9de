"""The script of patches, in node.js, against the sensor and against a drawn example."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from helpers.processes import ROOT

from ram_tf.viz.geometry import top_left_px

SCRIPT = "ram_tf/viz/html/templates/patches.js"


def run_script(expression, *arguments):
    """Returns the value of a JavaScript function of the arguments."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node.js")
    with open(f"{ROOT}/{SCRIPT}", encoding="utf-8") as file:
        given = ", ".join(map(json.dumps, arguments))
        text = f"console.log(JSON.stringify(({expression})({given})));"
        program = file.read() + text
    found = subprocess.run(
        [node, "-"], input=program, capture_output=True, text=True, check=True
    )
    return json.loads(found.stdout)


@pytest.mark.parametrize(
    ("patch_size", "num_scales", "shape"),
    [
        (8, 1, (28, 28, 1)),
        (12, 3, (60, 60, 1)),
        (5, 2, (21, 34, 3)),
        (7, 1, (30, 30, 3)),
    ],
)
def test_patches_are_what_the_sensor_cuts(patch_size, num_scales, shape):
    from ram_tf.layers import GlimpseSensor

    rng = np.random.default_rng(patch_size)
    image = rng.integers(0, 256, shape)
    locations = rng.uniform(-1, 1, (60, 2)).astype(np.float32)
    locations[:5] = [[-1, -1], [1, 1], [0, 0], [-1, 1], [1, 0]]
    images = np.repeat(image[None], len(locations), 0).astype(np.float32)
    expected = np.asarray(GlimpseSensor(patch_size, num_scales)(images, locations))
    sides = [patch_size * 2**k for k in range(num_scales)]
    corners = np.stack([top_left_px(locations, shape[:2], s) for s in sides], axis=1)
    found = run_script(
        """(pixels, shape, corners, g) => corners.map((glimpse) =>
          glimpse.map((corner, k) => [
            ...RamReport.cutPatch(pixels, shape, corner, g * 2 ** k, g)]))""",
        image.ravel().tolist(),
        list(shape),
        corners.tolist(),
        patch_size,
    )
    found = np.reshape(found, (60, num_scales, patch_size, patch_size, shape[2]))
    found = np.moveaxis(found, 1, 3).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, atol=1e-3)  # Of 0..255.


def test_what_was_seen_is_the_finest_of_all_patches():
    # One glimpse in the middle of 8 x 8, patches of 2 and 4 pixels, the rest unseen.
    image = np.arange(64).reshape(8, 8)
    seen, met = run_script(
        """(pixels) => {
          const corners = [[[3, 3], [2, 2]]];
          const { seen, met } = RamReport.seenThrough(pixels, [8, 8, 1], corners, 2);
          return [[...seen], [...met]];
        }""",
        image.ravel().tolist(),
    )
    expected = np.zeros((8, 8))
    blocks = image[2:6, 2:6].reshape(2, 2, 2, 2).mean((1, 3))
    expected[2:6, 2:6] = blocks.repeat(2, 0).repeat(2, 1)
    expected[3:5, 3:5] = image[3:5, 3:5]
    np.testing.assert_allclose(np.reshape(seen, (8, 8)), expected)
    np.testing.assert_array_equal(np.reshape(met, (8, 8)), expected > 0)
