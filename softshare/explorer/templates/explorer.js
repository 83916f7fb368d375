// Selects frames; every number and every drawing in them was made by Python.
(() => {
  const unpack = (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(plain).json();
  };
  const start = async (root) => {
    root.dataset.ready = "";
    const packed = root.querySelector('script[type="application/gzip"]').textContent;
    const { parts, epochs, pieces } = await unpack(packed);
    const stage = root.querySelector('[data-of="stage"]');
    const epoch = root.querySelector('[data-of="epoch"]');
    const range = root.querySelector("input");
    const show = () => {
      const { names, values, frames } = epochs[epoch.value];
      const name = names[range.value];
      root.querySelector("output").textContent = name;
      range.setAttribute("aria-valuetext", name);
      const { style } = root.querySelector(".panel");
      style.setProperty("--t", values[range.value]);
      style.setProperty("--step", range.value / Math.max(1, range.max));
      frames[stage.value][range.value].forEach((piece, i) => {
        const place = root.querySelector(`[data-part="${parts[i]}"]`);
        if (place.dataset.piece === String(piece)) return;
        place.innerHTML = pieces[piece];
        place.dataset.piece = piece;
      });
    };
    let at = Number(root.dataset.epoch);
    range.addEventListener("input", show);
    stage.addEventListener("change", show);
    epoch.addEventListener("change", () => {
      const before = epochs[at].values[range.value];
      const gaps = epochs[epoch.value].values.map((value) => Math.abs(value - before));
      range.max = gaps.length - 1;
      range.value = gaps.indexOf(Math.min(...gaps));
      at = epoch.value;
      show();
    });
    root.querySelector(".controls").hidden = false;
    root.querySelector("details").open = false;
    show();
  };
  if (!window.DecompressionStream) return; // before 2023: the picture and the table stand
  document.querySelectorAll(".softshare-explorer:not([data-ready])").forEach(start);
})();
