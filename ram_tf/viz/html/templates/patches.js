"use strict";
// What patches show. Their corners, first row and column, come with the page's data:
// ram_tf/viz/geometry.py computes them as the glimpse sensor does.
const RamReport = {};

// The patch of `side` pixels from `corner` on, zero outside the image, averaged to
// g x g: [g, g, C] in the image's units.
RamReport.cutPatch = (pixels, [height, width, channels], [top, left], side, g) => {
  const block = side / g;
  const patch = new Float32Array(g * g * channels);
  for (let row = 0; row < side; row++) {
    const y = top + row;
    if (y < 0 || y >= height) continue;
    for (let column = 0; column < side; column++) {
      const x = left + column;
      if (x < 0 || x >= width) continue;
      const cell = Math.floor(row / block) * g + Math.floor(column / block);
      for (let c = 0; c < channels; c++) {
        patch[cell * channels + c] += pixels[(y * width + x) * channels + c];
      }
    }
  }
  return patch.map((sum) => sum / (block * block));
};

// What several glimpses showed of an image, each pixel at the finest scale that met it:
// [H, W, C], and which pixels were met, [H, W]. `corners` has a list for each glimpse,
// with one corner for each scale.
RamReport.seenThrough = (pixels, shape, corners, g) => {
  const [height, width, channels] = shape;
  const seen = new Float32Array(height * width * channels);
  const met = new Uint8Array(height * width);
  for (let scale = corners[0].length - 1; scale >= 0; scale--) {
    const block = 2 ** scale;
    const side = g * block;
    for (const glimpse of corners) {
      const [top, left] = glimpse[scale];
      const patch = RamReport.cutPatch(pixels, shape, [top, left], side, g);
      for (let row = Math.max(0, -top); row < side && top + row < height; row++) {
        for (let column = Math.max(0, -left); column < side && left + column < width; column++) {
          const at = (top + row) * width + left + column;
          const cell = Math.floor(row / block) * g + Math.floor(column / block);
          met[at] = 1;
          for (let c = 0; c < channels; c++) {
            seen[at * channels + c] = patch[cell * channels + c];
          }
        }
      }
    }
  }
  return { seen, met };
};
