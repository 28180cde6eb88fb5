// A trained TinyLM in the page, in plain arrays: it predicts each letter of a text that the reader
// types, and continues it. Sliders set how many letters it sees, and the temperature.

const EPSILON = 1e-5;

// Decode the JSON of typed_text.py.
export function modelOf(content) {
  const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const arrays = Object.entries(content.parameters).map(([name, text]) => [name, new Float32Array(bytes(text).buffer)]);
  return { ...content, parameters: Object.fromEntries(arrays) };
}

function product(rows, matrix, columns) {
  return rows.map((row) => {
    const sums = new Float64Array(columns);
    row.forEach((x, i) => {
      for (let j = 0; j < columns; j += 1) sums[j] += x * matrix[i * columns + j];
    });
    return sums;
  });
}

function normalized(rows, gain, bias) {
  return rows.map((row) => {
    const mean = row.reduce((a, b) => a + b) / row.length;
    const variance = row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / row.length;
    return row.map((x, i) => (gain[i] * (x - mean)) / Math.sqrt(variance + EPSILON) + bias[i]);
  });
}

const sum = (a, b) => a.map((row, t) => row.map((x, i) => x + b[t][i]));

export function softmax(scores, temperature = 1) {
  const largest = Math.max(...scores);
  const powers = Array.from(scores, (z) => Math.exp((z - largest) / temperature));
  const total = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / total);
}

function attention(queries, keys, values, heads) {
  const size = queries[0].length / heads;
  const weights = queries.map(() => new Float64Array(queries.length));
  const joined = queries.map((query, t) => {
    const row = new Float64Array(query.length);
    for (let first = 0; first < query.length; first += size) {
      const scores = [];
      for (let s = 0; s <= t; s += 1) {
        let score = 0;
        for (let i = first; i < first + size; i += 1) score += query[i] * keys[s][i];
        scores.push(score / Math.sqrt(size));
      }
      softmax(scores).forEach((weight, s) => {
        weights[t][s] += weight / heads;
        for (let i = first; i < first + size; i += 1) row[i] += weight * values[s][i];
      });
    }
    return row;
  });
  return { joined, weights };
}

// Return the logits after each token, and the attention weights of the last block, as a mean over its heads.
export function forward(model, ids) {
  const { width, heads, layers, vocabulary, parameters: p } = model;
  const positions = ids.map((_, t) => Array.from({ length: width }, (_, i) => (i % 2 ? Math.cos : Math.sin)(t / 10000 ** ((i - (i % 2)) / width))));
  const embedded = ids.map((id) => Float64Array.from(p.embedding.subarray(id * width, (id + 1) * width)));
  let x = sum(embedded, positions);
  let weights = [];
  for (let layer = 0; layer < layers; layer += 1) {
    const of = (name) => p[`blocks.${layer}.${name}`];
    const n = normalized(x, of("norm_1.gain"), of("norm_1.bias"));
    const [q, k, v] = ["Q", "K", "V"].map((name) => product(n, of(`attention.W_${name}`), width));
    const head = attention(q, k, v, heads);
    weights = head.weights;
    x = sum(x, product(head.joined, of("attention.W_O"), width));
    const hidden = of("feed_forward.W_1").length / width;
    const wide = product(normalized(x, of("norm_2.gain"), of("norm_2.bias")), of("feed_forward.W_1"), hidden);
    x = sum(x, product(wide.map((row) => row.map((a) => Math.max(a, 0))), of("feed_forward.W_2"), width));
  }
  return { logits: product(normalized(x, p["norm.gain"], p["norm.bias"]), p.W_out, vocabulary.length), weights };
}

// Return −ln p of each token after the first; each is predicted from at most `context` tokens.
export function surprises(model, ids, context) {
  const whole = forward(model, ids.slice(0, context)).logits;
  return ids.slice(1).map((id, t) => {
    const logits = t < context ? whole[t] : forward(model, ids.slice(t + 1 - context, t + 1)).logits.at(-1);
    return -Math.log(softmax(logits)[id]);
  });
}

const shown = (letter) => ({ "\n": "⏎", " ": "␣" })[letter] ?? letter;
const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

function connect(box, model) {
  const words = box.dataset;
  const text = box.querySelector("[data-text]");
  const [context, temperature] = box.querySelectorAll("[type=range]");
  context.max = model.context;
  context.value = model.context;
  const table = box.querySelector("table");
  const bars = box.querySelector("svg");
  const idsOf = (typed) => [..."\n" + typed].map((letter) => model.vocabulary.indexOf(letter));

  const draw = () => {
    const width = Number(context.value);
    const tau = Number(temperature.value);
    const letters = [..."\n" + text.value];
    const unknown = new Set(letters.filter((letter) => !model.vocabulary.includes(letter)));
    box.querySelector("[data-context]").textContent = width;
    box.querySelector("[data-temperature]").textContent = tau.toFixed(2);
    const said = box.querySelector(".mean output");
    box.querySelector("[data-more]").disabled = unknown.size > 0;
    if (unknown.size) {
      said.textContent = `${words.unknown}: ${[...unknown].map(shown).join(" ")}`;
      return;
    }
    const ids = idsOf(text.value);
    const nats = surprises(model, ids, width);
    const mean = nats.reduce((a, b) => a + b, 0) / nats.length;
    said.textContent = nats.length ? `${words.loss} ${mean.toFixed(3)}   PPL ${Math.exp(mean).toFixed(2)}` : "";
    const { logits, weights } = forward(model, ids.slice(-width));
    const seen = [...Array(Math.max(0, ids.length - width)).fill(null), ...weights.at(-1)];
    const shade = (share) => `style="background: rgb(59 125 216 / ${share.toFixed(2)})"`;
    const row = (name, cells) => `<tr><th scope="row">${name}</th>${cells.join("")}</tr>`;
    table.innerHTML =
      row(words.letter, letters.map((letter) => `<td>${escaped(shown(letter))}</td>`)) +
      row("−ln p", letters.map((_, t) => (t ? `<td ${shade(Math.min(nats[t - 1] / 8, 1))}>${nats[t - 1].toFixed(2)}</td>` : "<td></td>"))) +
      row(words.weight, seen.map((w) => (w === null ? "<td>–</td>" : `<td ${shade(w)}>${w.toFixed(2)}</td>`)));
    const p = softmax(logits.at(-1), tau);
    const best = p.map((_, id) => id).sort((a, b) => p[b] - p[a]).slice(0, 6);
    bars.innerHTML = best.map((id, i) =>
      `<text x="24" y="${20 + 28 * i}" text-anchor="end">${escaped(shown(model.vocabulary[id]))}</text><rect x="32" y="${6 + 28 * i}" width="${Math.max(1, 220 * p[id])}" height="18"/><text x="${40 + 220 * p[id]}" y="${20 + 28 * i}">${p[id].toFixed(3)}</text>`).join("");
  };

  box.querySelector("[data-more]").onclick = () => {
    const width = Number(context.value);
    let next = "";
    for (let count = 0; count < 12 && next !== "\n"; count += 1) {
      const p = softmax(forward(model, idsOf(text.value).slice(-width)).logits.at(-1), Number(temperature.value));
      let draw = Math.random();
      next = model.vocabulary[p.findIndex((share) => (draw -= share) < 0)] ?? "\n";
      if (next !== "\n") text.value += next;
    }
    draw();
  };
  box.querySelector("[data-reset]").onclick = () => {
    text.value = text.defaultValue;
    draw();
  };
  text.oninput = context.oninput = temperature.oninput = draw;
  draw();
}

for (const box of globalThis.document?.querySelectorAll("[data-typed]") ?? []) {
  fetch(box.dataset.typed)
    .then((answer) => answer.json())
    .then((content) => connect(box, modelOf(content)))
    .catch(() => (box.querySelector(".mean output").textContent = box.dataset.disk));
}
