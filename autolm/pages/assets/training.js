// The end of a training step: the update, the loss after it, and the next step.
const training = DATA.training;
const alpha = document.querySelector("input[data-alpha]");
const after = document.querySelector("[data-loss-after]");
let rate = 0;
let history = []; // the losses of the steps that were taken

if (training) {
  training.losses = training.losses.map(readNumber);
  for (const moved of training.moved) {
    for (const [name, { data, dataKind }] of Object.entries(moved.madeOf)) {
      moved.madeOf[name] = unpacked(data, dataKind);
    }
  }
  const largest = training.rates.at(-1);
  alpha.max = largest;
  alpha.step = program ? "any" : largest / (training.rates.length - 1);
  // To begin with, a fifth of what is too much: the loss falls, and the slider shows by how much.
  const start = Math.round((training.rates.length - 1) / 5);
  alpha.value = training.rates[start];
  rate = program ? Number(alpha.value) : training.rates[start];
}

function lossAfter() {
  if (program) return lossAt(rate, training.moved);
  return training.losses[nearest()];
}

const nearest = () => Math.round((rate / training.rates.at(-1)) * (training.rates.length - 1));
const lossBefore = () => (program ? numbers.data.at(-1) : training.losses[0]);

function drawTraining() {
  const panel = element("training");
  const isDone = scene.key === "" && position === scene.moments.length - 1;
  panel.hidden = !training || !isDone;
  if (!training) return;
  const value = lossAfter();
  alpha.setAttribute("aria-valuetext", `α ${number(rate)}, ${say("loss after")} ${number(value)}`);
  element("rule").textContent = `θ ← ${training.rule}`;
  element("rate").textContent = number(rate);
  element("before").textContent = number(lossBefore());
  after.textContent = number(value);
  after.dataset.lossAfter = String(value);
  panel.classList.toggle("worse", !(value <= lossBefore()));
  element("moved").replaceChildren(...movedLines().map(item));
  element("take").hidden = !program;
  element("losses").textContent = history.length ? `${say("losses")}: ${[...history, lossBefore()].map(number).join(" → ")}` : "";
}

function movedLines() {
  const shown = training.moved.slice(0, 8);
  const left = training.moved.length - shown.length;
  const rest = left > 0 ? [`… ${say(`${left} more`)}`] : [];
  if (program) {
    const lines = shown.map(({ node, called }) => {
      const [x, g] = [numbers.data[node], gradientOf(node) ?? 0];
      return `${called}: ${number(x)} − ${number(rate)} · ${factor(g)} = ${number(x - rate * g)}`;
    });
    return [...lines, ...rest];
  }
  const names = shown.map(({ called, matrix }) => `${called} ${matrices[matrix]?.shape.join("×") ?? ""}`);
  return [[...names, ...rest].join(", ")];
}

// Where one number of a parameter goes.
function updateOf(id, flat) {
  const moved = training?.moved.find(({ matrix }) => matrix === id);
  if (!moved || element("training").hidden) return [];
  const x = matrices[id].data[flat];
  const { d, ...made } = Object.fromEntries(
    Object.entries(moved.madeOf).map(([name, array]) => [name, array[flat]])
  );
  const step = d ?? matrices[id].grad[flat];
  const known = Object.entries(made).map(([name, value]) => `${name} = ${number(value)}`);
  const lines = known.length ? [`d = ${moved.formula} = ${number(step)}   (${known.join(", ")})`] : [];
  const letter = known.length ? "d" : "g";
  const result = number(x - rate * step);
  return [...lines, `θ − α·${letter} = ${number(x)} − ${number(rate)} · ${factor(step)} = ${result}`];
}

alpha.addEventListener("input", () => {
  rate = Number(alpha.value);
  if (!program) rate = training.rates[nearest()];
  drawTraining();
  tellCell();
});

// A program is computed anew from where the step has led: the lesson's loop, step by step.
element("take").addEventListener("click", () => {
  history.push(lossBefore());
  const changes = training.moved.map(({ node }) => [node, numbers.data[node] - rate * (gradientOf(node) ?? 0)]);
  change(changes);
  go(0);
});
