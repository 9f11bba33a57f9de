// The paths that stand in the page as packed arrays.
RamReport.openPaths = (() => {
  const { pictures, paths } = JSON.parse(document.getElementById("data").textContent);
  const ARRAYS = { uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array };

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

  // One row's paths: `at(i)` gives picture i, its class, locations and probabilities.
  const openPaths = async (key) => {
    const path = paths[key];
    const [images, places, answers] = await Promise.all(
      [pictures[path.pictures], path.locations, path.probabilities].map(open));
    const shape = images.shape.slice(1);
    const size = shape[0] * shape[1] * shape[2];
    const steps = places.shape[1];
    const classes = path.class_names.length;
    const at = (i) => ({
      pixels: images.values.subarray(i * size, (i + 1) * size),
      label: path.labels[i],
      locations: Array.from({ length: steps }, (_, t) =>
        [...places.values.subarray((i * steps + t) * 2, (i * steps + t + 1) * 2)]),
      probabilities: Array.from({ length: steps }, (_, t) => {
        const start = (i * steps + t) * classes;
        return [...answers.values.subarray(start, start + classes)].map((p) => p / 65535);
      }),
    });
    return { ...path, shape, steps, count: images.shape[0], at };
  };

  RamReport.hasPaths = (key) => Object.hasOwn(paths, key);
  return openPaths;
})();
