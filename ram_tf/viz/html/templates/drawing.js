// Draws one moment of a path: picture, patches, and what the model would predict.
(() => {
  const byId = (id) => document.getElementById(id);
  const MOST_BARS = 10;
  const STROKE = 'vector-effect="non-scaling-stroke"';  // Widths in screen pixels.

  const highest = (values) => values.indexOf(Math.max(...values));

  // Draws [H, W, C] in 0..255 on a canvas; `met` leaves pixels out where it is 0.
  const draw = (canvas, values, [height, width, channels], met) => {
    canvas.width = width;
    canvas.height = height;
    const image = new ImageData(width, height);
    for (let i = 0; i < height * width; i++) {
      for (let c = 0; c < 3; c++) {
        image.data[4 * i + c] = Math.round(values[i * channels + (c % channels)]);
      }
      image.data[4 * i + 3] = met && !met[i] ? 0 : 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  };

  // How far patches reach past the border, up to a share of the image.
  const margin = (record) => {
    const [height, width] = record.shape;
    let most = 1;
    for (let i = 0; i < record.count; i++) {
      for (const glimpse of record.at(i).corners) {
        glimpse.forEach(([top, left], k) => {
          const side = record.patch_size * 2 ** k;
          most = Math.max(most, -top, -left, top + side - height, left + side - width);
        });
      }
    }
    return Math.min(most, 0.12 * Math.max(height, width)) + 0.5;
  };

  const drawStage = (record, shown, now) => {
    const [height, width] = record.shape;
    const pad = record.margin;
    const extent = Math.max(height, width) + 2 * pad;
    const [x0, y0] = [(width - extent) / 2, (height - extent) / 2];
    const picture = byId("picture");
    draw(picture, shown.pixels, record.shape);
    const percent = (length) => `${(100 * length) / extent}%`;
    Object.assign(picture.style, {
      left: percent(-x0), top: percent(-y0), width: percent(width), height: percent(height),
    });
    const unit = extent / 100;
    const rect = (kind, [top, left], side) =>
      `<rect class="${kind}" ${STROKE} x="${left}" y="${top}" width="${side}" height="${side}"/>`;
    let marks = `<rect class="edge" ${STROKE} x="0" y="0" width="${width}" height="${height}"/>`;
    for (let t = 0; t < now; t++) {
      marks += rect("past", shown.corners[t][0], record.patch_size);
    }
    for (let k = record.num_scales - 1; k >= 0; k--) {
      const side = record.patch_size * 2 ** k;
      marks += rect("under", shown.corners[now][k], side);
      marks += rect(k ? "patch coarse" : "patch", shown.corners[now][k], side);
    }
    // The path is that of the finest patches: what was cut, not what was meant.
    const spots = shown.corners.slice(0, now + 1).map(([finest]) =>
      finest.map((first) => first + record.patch_size / 2));
    const line = spots.map(([y, x]) => `${x},${y}`).join(" ");
    marks += `<polyline class="under" ${STROKE} points="${line}"/>`;
    marks += `<polyline class="path" ${STROKE} points="${line}"/>`;
    shown.marks.slice(0, now + 1).forEach(([y, x], t) => {
      const radius = (t === now ? 3.3 : 2.5) * unit;
      marks += `<circle class="spot${t === now ? " now" : ""}" ${STROKE} cx="${x}" cy="${y}" r="${radius}"/>`;
      marks += `<text x="${x}" y="${y + 0.36 * 1.3 * radius}" font-size="${1.3 * radius}">${t + 1}</text>`;
    });
    const overlay = byId("overlay");
    overlay.setAttribute("viewBox", `${x0} ${y0} ${extent} ${extent}`);
    overlay.innerHTML = marks;
  };

  const drawPatches = (record, shown, now) => {
    const g = record.patch_size;
    const list = byId("patches");
    while (list.children.length > record.num_scales) list.lastChild.remove();
    while (list.children.length < record.num_scales) {
      const item = document.createElement("li");
      item.append(document.createElement("canvas"), document.createElement("span"));
      list.append(item);
    }
    [...list.children].forEach((item, k) => {
      const side = g * 2 ** k;
      const corner = shown.corners[now][k];
      const patch = RamReport.cutPatch(shown.pixels, record.shape, corner, side, g);
      const canvas = item.firstChild;
      draw(canvas, patch, [g, g, record.shape[2]]);
      const text = k ? `${side} px, averaged to ${g}` : `${side} px`;
      item.lastChild.textContent = text;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Patch of scale ${k + 1}: ${text}`);
    });
    const looked = shown.corners.slice(0, now + 1);
    const { seen, met } = RamReport.seenThrough(shown.pixels, record.shape, looked, g);
    draw(byId("seen"), seen, record.shape, met);
  };

  const percentText = (p) => {
    const value = 100 * p;
    return value > 0 && value < 1 ? "< 1 %" : `${Math.round(value)} %`;
  };

  // Of many classes, those that are likely at some glimpse, and the true one.
  const shownClasses = (record, shown) => {
    const all = record.class_names.map((_, i) => i);
    if (all.length <= MOST_BARS) return all;
    const best = (i) => Math.max(...shown.probabilities.map((p) => p[i]));
    const kept = all.filter((i) => i !== shown.label).sort((a, b) => best(b) - best(a));
    return [shown.label, ...kept.slice(0, MOST_BARS - 1)].sort((a, b) => a - b);
  };

  const drawBars = (record, shown, now) => {
    const probabilities = shown.probabilities[now];
    const predicted = highest(probabilities);
    const classes = shownClasses(record, shown);
    const list = byId("bars");
    if (list.children.length !== classes.length) {
      list.replaceChildren(...classes.map(() => {
        const item = document.createElement("li");
        item.innerHTML = '<span class="class"></span><span class="bar"><i></i></span><span class="value"></span>';
        return item;
      }));
    }
    const longest = Math.max(...classes.map((i) => record.class_names[i].length));
    list.style.setProperty("--names", `${Math.min(10, Math.max(1.5, 0.62 * longest))}em`);
    classes.forEach((i, place) => {
      const item = list.children[place];
      item.className = `${i === predicted ? "first" : ""} ${i === shown.label ? "true" : ""}`;
      item.children[0].textContent = record.class_names[i];
      if (i === shown.label) item.children[0].title = "the true class";
      else item.children[0].removeAttribute("title");
      item.children[1].firstChild.style.width = `${(100 * probabilities[i]).toFixed(1)}%`;
      item.children[2].textContent = percentText(probabilities[i]);
    });
    const name = record.class_names;
    const verdict = predicted === shown.label ? "right" : `wrong, it is ${name[shown.label]}`;
    byId("said").textContent =
      `Glimpse ${now + 1} of ${record.steps}: ` +
      `${name[predicted]} at ${percentText(probabilities[predicted])}, ${verdict}.`;
  };

  Object.assign(RamReport, { draw, drawBars, drawPatches, drawStage, highest, margin });
})();
