// The paths that stand in the page as packed arrays.
RamReport.openPaths = (() => {
  const { pictures, paths } = JSON.parse(document.getElementById("data-of-report").textContent);
  const ARRAYS = { uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array };

  const unpack = async (packed) => {
    const bytes = Uint8Array.from(atob(packed.data), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream();
    const plain = stream.pipeThrough(new DecompressionStream("deflate"));
    const buffer = await new Response(plain).arrayBuffer();
    return { values: new ARRAYS[packed.type](buffer), shape: packed.shape };
  };
  const opened = new Map();
  const open = (packed) => {
    if (!opened.has(packed)) opened.set(packed, unpack(packed));
    return opened.get(packed);
  };

  // One row's paths: `at(i)` gives picture i, its class, its patches' corners by
  // glimpse and scale, where the numbers of glimpses stand, and the probabilities
  // after each glimpse.
  const openPaths = async (key) => {
    const path = paths[key];
    const [images, corners, marks, predictions] = await Promise.all(
      [pictures[path.pictures], path.corners, path.marks, path.probabilities].map(open));
    const shape = images.shape.slice(1);
    const size = shape[0] * shape[1] * shape[2];
    const [, steps, scales] = corners.shape;
    const corner = (at) => [corners.values[2 * at], corners.values[2 * at + 1]];
    const classes = path.class_names.length;
    const at = (i) => ({
      pixels: images.values.subarray(i * size, (i + 1) * size),
      label: path.labels[i],
      corners: Array.from({ length: steps }, (_, t) =>
        Array.from({ length: scales }, (_, k) => corner((i * steps + t) * scales + k))),
      marks: Array.from({ length: steps }, (_, t) =>
        [0, 1].map((axis) => marks.values[2 * (i * steps + t) + axis] / 64)),
      probabilities: Array.from({ length: steps }, (_, t) => {
        const start = (i * steps + t) * classes;
        return [...predictions.values.subarray(start, start + classes)].map((p) => p / 65535);
      }),
    });
    return { ...path, shape, steps, count: images.shape[0], at };
  };

  RamReport.hasPaths = (key) => Object.hasOwn(paths, key);
  return openPaths;
})();
