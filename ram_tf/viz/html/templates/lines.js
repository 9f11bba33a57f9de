// A row or a line that is pointed at stands out in the chart of stopping early.
(() => {
  for (const view of document.querySelectorAll(".stopping")) {
    const pick = (name) => {
      view.classList.toggle("picked", name !== undefined);
      for (const element of view.querySelectorAll("[data-line]")) {
        element.classList.toggle("picked", element.dataset.line === name);
      }
    };
    for (const event of ["pointerover", "focusin"]) {
      view.addEventListener(event, ({ target }) => {
        pick(target.closest("[data-line]")?.dataset.line);
      });
    }
    for (const event of ["pointerleave", "focusout"]) {
      view.addEventListener(event, () => pick(undefined));
    }
  }
})();
