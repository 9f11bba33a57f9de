// Steps through glimpse paths, and shows the row that is chosen.
(() => {
  const look = document.getElementById("look");
  if (!look) return;
  const byId = (id) => document.getElementById(id);
  const viewer = byId("viewer");
  const PLAY_MS = 1100;
  const state = { key: "", picture: 0, glimpse: 0, timer: 0, record: null };

  const drawControls = (record, shown) => {
    const row = byId("steps");
    while (row.children.length > record.steps) row.lastChild.remove();
    while (row.children.length < record.steps) {
      const t = row.children.length;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = t + 1;
      button.setAttribute("aria-label", `Glimpse ${t + 1}`);
      button.addEventListener("click", () => go({ glimpse: t }));
      row.append(button);
    }
    [...row.children].forEach((button, t) => {
      if (t === state.glimpse) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    });
    // Not disabled at the ends: a button that loses its place loses the focus too.
    byId("back").setAttribute("aria-disabled", state.glimpse === 0);
    byId("on").setAttribute("aria-disabled", state.glimpse === record.steps - 1);
    byId("play").textContent = state.timer ? "Pause" : "Play";
    byId("stage").setAttribute("aria-label",
      `Test image ${state.picture + 1} of ${record.count}, true class ` +
      `${record.class_names[shown.label]}, with ${state.glimpse + 1} of ${record.steps} ` +
      "glimpses outlined and joined by a path; select for the next glimpse");
  };

  const drawThumbs = (record) => {
    const strip = byId("thumbs");
    if (strip.dataset.key !== state.key) {
      strip.dataset.key = state.key;
      strip.replaceChildren(...Array.from({ length: record.count }, (_, i) => {
        const shown = record.at(i);
        const predicted = RamReport.highest(shown.probabilities[record.steps - 1]);
        const names = record.class_names;
        const button = document.createElement("button");
        button.type = "button";
        const text = predicted === shown.label
          ? `${names[shown.label]}, predicted right`
          : `${names[shown.label]}, taken for ${names[predicted]}`;
        button.setAttribute("aria-label", `Image ${i + 1}: ${text}`);
        button.title = text;
        if (predicted !== shown.label) button.className = "wrong";
        const canvas = document.createElement("canvas");
        RamReport.draw(canvas, shown.pixels, record.shape);
        button.append(canvas);
        button.addEventListener("click", () => go({ picture: i }));
        return button;
      }));
    }
    [...strip.children].forEach((button, i) => {
      button.setAttribute("aria-pressed", i === state.picture);
      button.tabIndex = i === state.picture ? 0 : -1;
    });
  };

  const show = () => {
    const { record } = state;
    const shown = record.at(state.picture);
    RamReport.drawStage(record, shown, state.glimpse);
    RamReport.drawPatches(record, shown, state.glimpse);
    RamReport.drawBars(record, shown, state.glimpse);
    drawControls(record, shown);
    drawThumbs(record);
  };

  const stop = () => {
    clearInterval(state.timer);
    state.timer = 0;
  };

  // Goes to a glimpse or a picture; what a person does ends playing.
  const go = ({ glimpse = state.glimpse, picture = state.picture, playing = false }) => {
    if (!playing) stop();
    const { record } = state;
    state.glimpse = Math.min(Math.max(glimpse, 0), record.steps - 1);
    state.picture = (picture + record.count) % record.count;
    show();
  };

  const play = () => {
    if (state.timer) {
      stop();
      show();
      return;
    }
    state.timer = setInterval(() => {
      if (state.glimpse + 1 >= state.record.steps - 1) stop();
      go({ glimpse: state.glimpse + 1, playing: true });
    }, PLAY_MS);
    const atEnd = state.glimpse === state.record.steps - 1;
    go({ glimpse: atEnd ? 0 : state.glimpse, playing: true });
  };

  const choose = async (key) => {
    stop();
    state.key = key;
    byId("picker").value = key;
    for (const detail of look.querySelectorAll(".detail")) {
      detail.classList.toggle("chosen", detail.id === key);
    }
    viewer.hidden = true;
    if (!RamReport.hasPaths(key)) return;
    const record = await RamReport.openPaths(key);
    if (state.key !== key) return;  // Another row was chosen meanwhile.
    record.margin = RamReport.margin(record);
    state.record = record;
    byId(key).querySelector(".viewer-place").append(viewer);
    viewer.hidden = false;
    go({ glimpse: record.steps - 1, picture: Math.min(state.picture, record.count - 1) });
    look.dataset.ready = key;
  };

  const KEYS = {
    ArrowLeft: () => ({ glimpse: state.glimpse - 1 }),
    ArrowRight: () => ({ glimpse: state.glimpse + 1 }),
    ArrowUp: () => ({ picture: state.picture - 1 }),
    ArrowDown: () => ({ picture: state.picture + 1 }),
    Home: () => ({ glimpse: 0 }),
    End: () => ({ glimpse: state.record.steps - 1 }),
  };
  const next = () => go({ glimpse: (state.glimpse + 1) % state.record.steps });
  byId("stage").addEventListener("click", next);
  byId("stage").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    next();
  });
  viewer.addEventListener("keydown", (event) => {
    const move = KEYS[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    go(move());
    const thumbs = byId("thumbs");
    if (thumbs.contains(document.activeElement)) thumbs.children[state.picture].focus();
  });
  byId("back").addEventListener("click", () => go({ glimpse: state.glimpse - 1 }));
  byId("on").addEventListener("click", () => go({ glimpse: state.glimpse + 1 }));
  byId("play").addEventListener("click", play);
  byId("picker").addEventListener("change", (event) => choose(event.target.value));

  const chosenByAddress = () => {
    const key = decodeURIComponent(location.hash.slice(1));
    const detail = key && document.getElementById(key);
    return detail && detail.classList.contains("detail") ? key : "";
  };
  addEventListener("hashchange", async () => {
    const key = chosenByAddress();
    if (!key) return;
    await choose(key);
    byId(key).scrollIntoView();
  });
  choose(chosenByAddress() || look.dataset.first);
})();
