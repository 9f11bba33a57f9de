"use strict";
// The glimpse sensor of ram_tf/layers/sensor.py, rounded to float32 where it is.
const RamReport = {};

// First row and column of the patch of `side` pixels around (y, x) in [-1, 1].
RamReport.topLeft = (location, size, side) =>
  [0, 1].map((axis) => {
    const half = Math.fround(Math.fround(location[axis] + 1) / 2);
    const centre = Math.fround(half * (size[axis] - 1));
    return side % 2
      ? Math.floor(Math.fround(centre + 0.5)) - (side - 1) / 2
      : Math.floor(centre) - side / 2 + 1;
  });

// The patch, zero outside the image, averaged to g x g: [g, g, C] in the image's units.
RamReport.cutPatch = (pixels, [height, width, channels], location, side, g) => {
  const [top, left] = RamReport.topLeft(location, [height, width], side);
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
// [H, W, C], and which pixels were met, [H, W].
RamReport.seenThrough = (pixels, shape, locations, g, numScales) => {
  const [height, width, channels] = shape;
  const seen = new Float32Array(height * width * channels);
  const met = new Uint8Array(height * width);
  for (let scale = numScales - 1; scale >= 0; scale--) {
    const block = 2 ** scale;
    const side = g * block;
    for (const location of locations) {
      const patch = RamReport.cutPatch(pixels, shape, location, side, g);
      const [top, left] = RamReport.topLeft(location, [height, width], side);
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
