// The end of a training step: the update, the loss after it, and the next step.
import { DATA, element, factor, item, number, readNumber, say } from "./words.js";
import { gradientOf, lossAt, numbers, program } from "./program.js";
import { view } from "./view.js";
import { matrices, unpacked } from "./arrays.js";
import { tellCell } from "./matrices.js";
import { change, go } from "./player.js";

const training = DATA.training;
export const alpha = document.querySelector("input[data-alpha]");
const after = document.querySelector("[data-loss-after]");
let rate = 0;
let history = []; // the losses before previous steps
let loop = null; // the timer of the training loop
let shownOfLoop = 0; // for Tensors, the number of precomputed steps that are shown
const LOOP_PACE = 350; // milliseconds
const MAX_LOOP = 200; // steps

if (training) {
  training.losses = training.losses.map(readNumber);
  for (const [at, losses] of Object.entries(training.loops)) training.loops[at] = losses.map(readNumber);
  for (const moved of training.moved) {
    for (const [name, { data, dataKind }] of Object.entries(moved.madeOf)) {
      moved.madeOf[name] = unpacked(data, dataKind);
    }
  }
  const largest = training.rates.at(-1);
  alpha.max = largest;
  alpha.step = program ? "any" : largest / (training.rates.length - 1);
  // The initial α is a fifth of the largest, so that the loss falls.
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

export function drawTraining() {
  const panel = element("training");
  panel.hidden = !training || view.scene.moments[view.position].phase !== "update";
  if (!training || panel.hidden) return stopLoop();
  const value = lossAfter();
  alpha.setAttribute("aria-valuetext", `α ${number(rate)}, ${say("loss after")} ${number(value)}`);
  element("rule").textContent = `θ ← ${training.rule}`;
  element("rate").textContent = number(rate);
  element("before").textContent = number(lossBefore());
  after.textContent = number(value);
  after.dataset.lossAfter = String(value);
  panel.classList.toggle("worse", !(value <= lossBefore()));
  element("moved").replaceChildren(...movedLines().map(item));
  writeMoved();
  element("take").hidden = !program;
  element("loop").hidden = !program && !loopOf();
  element("loop").setAttribute("aria-pressed", String(loop !== null));
  element("losses").setAttribute("aria-busy", String(loop !== null)); // announced at the end of the loop
  drawCourse(lossesSoFar());
}

// In a program, the boxes of the leaves show their new values.
function writeMoved() {
  if (!program) return;
  for (const { node } of training.moved) {
    const text = document.querySelector(`#n${node} text.value[data-row="data"]`);
    if (!text) continue;
    text.textContent = number(numbers.data[node] - rate * (gradientOf(node) ?? 0));
    text.classList.add("new");
    element(`n${node}`).classList.add("changed");
  }
}

// The precomputed losses of the training loop with the nearest α.
function loopOf() {
  const near = Object.keys(training.loops).map(Number);
  if (!near.length) return null;
  const at = near.reduce((best, i) => (Math.abs(i - nearest()) < Math.abs(best - nearest()) ? i : best));
  return { rate: training.rates[at], losses: training.loops[at] };
}

function lossesSoFar() {
  if (program) return history.length ? [...history, lossBefore()] : [];
  return shownOfLoop ? [lossBefore(), ...loopOf().losses.slice(0, shownOfLoop)] : [];
}

// The losses of all steps, as a line and as numbers.
function drawCourse(losses) {
  const known = losses.filter(Number.isFinite);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const [wide, tall] = [240, 48];
  const at = (loss, i) => [(i * wide) / (losses.length - 1), tall * (1 - (loss - low) / (high - low || 1))];
  const points = losses.map(at).filter((point) => point.every(Number.isFinite));
  element("course").toggleAttribute("hidden", points.length < 2);
  element("line").setAttribute("points", points.map((point) => point.join()).join(" "));
  const last = losses.length > 8 ? ["…", ...losses.slice(-7).map(number)] : losses.map(number);
  const which = program || !losses.length ? "" : ` (α = ${number(loopOf().rate)})`;
  const steps = losses.length ? say(`losses of ${losses.length - 1} steps`) : "";
  element("losses").textContent = losses.length ? `${steps}: ${last.join(" → ")}${which}` : "";
}

// A program is recomputed after each step; for Tensors the precomputed losses are shown.
function loopOn() {
  if (program) {
    takeStep();
    if (history.length >= MAX_LOOP || !Number.isFinite(lossBefore())) stopLoop();
  } else {
    shownOfLoop += 1;
    if (shownOfLoop >= loopOf().losses.length) stopLoop();
    drawTraining();
  }
}

function stopLoop() {
  clearInterval(loop);
  loop = null;
  element("loop").setAttribute("aria-pressed", "false");
  element("losses").setAttribute("aria-busy", "false");
}

element("loop").addEventListener("click", () => {
  if (loop !== null) return stopLoop();
  shownOfLoop = 0;
  loop = setInterval(loopOn, LOOP_PACE);
  loopOn();
});

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

// The update of one number of a parameter.
export function updateOf(id, flat) {
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
  shownOfLoop = 0;
  drawTraining();
  tellCell();
});

// Recompute the program from the updated leaves.
function takeStep() {
  history.push(lossBefore());
  change(training.moved.map(({ node }) => [node, numbers.data[node] - rate * (gradientOf(node) ?? 0)]));
}

element("take").addEventListener("click", () => {
  takeStep();
  go(0);
});
