// A claim of the text under a slider: steps of gradient descent by α, softmax by temperature.

const shapes = {
  // y = w² − 3w, as in lesson 1, from w = 4.
  descent(alpha) {
    const x = (w) => 20 + (w + 1.5) * 47;
    const y = (w) => 165 - (w * w - 3 * w + 2.25) * 15;
    const curve = Array.from({ length: 61 }, (_, i) => -1.5 + i / 10).map((w) => `${x(w)},${y(w)}`);
    const path = [4];
    for (let step = 0; step < 8; step += 1) path.push(path.at(-1) - alpha * (2 * path.at(-1) - 3));
    const seen = path.map((w) => Math.max(-1.5, Math.min(4.5, w)));
    const dots = seen.map((w, i) => `<circle cx="${x(w)}" cy="${y(w)}" r="${i ? 3.5 : 5}"/>`).join("");
    return [
      `<polyline class="curve" points="${curve.join(" ")}"/><polyline class="path" points="${seen.map((w) => `${x(w)},${y(w)}`).join(" ")}"/>${dots}`,
      `α = ${alpha.toFixed(2)}   w: ${path.slice(0, 4).map((w) => w.toFixed(2)).join(" → ")} → … → ${path.at(-1).toFixed(2)}`,
    ];
  },
  // The scores of four words, as in the run cell of lesson 17.
  temperature(tau) {
    const scores = { on: 3, in: 1, mat: 0.5, the: -1 };
    const e = Object.values(scores).map((z) => Math.exp((z - 3) / tau));
    const p = e.map((value) => value / e.reduce((a, b) => a + b));
    const bars = Object.keys(scores).map((word, i) =>
      `<text x="40" y="${32 + 40 * i}" text-anchor="end">${word}</text><rect x="50" y="${16 + 40 * i}" width="${Math.max(1, 210 * p[i])}" height="24"/><text x="${58 + 210 * p[i]}" y="${33 + 40 * i}">${p[i].toFixed(3)}</text>`);
    return [bars.join(""), `τ = ${tau.toFixed(2)}`];
  },
};

for (const box of document.querySelectorAll("[data-slider]")) {
  const input = box.querySelector("input");
  const draw = () => {
    const [picture, said] = shapes[box.dataset.slider](Number(input.value));
    box.querySelector("svg").innerHTML = picture;
    box.querySelector("output").textContent = said;
  };
  input.oninput = draw;
  draw();
}
