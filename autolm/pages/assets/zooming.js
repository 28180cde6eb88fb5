// A scene with the computation of one cell of a matrix, as a graph of Values.
import { DATA, element, number, readNumber, say } from "./words.js";
import { added, backward, filled, forward } from "./program.js";
import { byKey, view } from "./view.js";
import {
  called, factors, label, line, matrices, operandNumber, operandPlace, repeatedPlace, unravelled,
} from "./arrays.js";
import { escaped, knownAt } from "./matrices.js";
import { pause, show } from "./player.js";

const EXPONENTIALS = ["softmax", "log_softmax", "logsumexp"];
const MAX_NAME = 16; // characters of a name in a box

export const opensAsGraph = (id) => Boolean(matrices[id]?.made?.zoom && matrices[id].data?.length);

// The operands of a cell: for each, lists of numbers and names.
function termsOf(made, index) {
  const at = (k, place) => {
    const operand = made.operands[k];
    const cell = operand.matrix === undefined ? "" : shortCalled(operand.matrix, operandPlace(operand, place));
    const x = operandNumber(operand, place);
    return { x, name: cell || number(x), k, place };
  };
  if (made.kind === "each") return made.operands.map((operand, k) => [at(k, repeatedPlace(index, operand.shape))]);
  if (made.kind === "matmul") {
    const pairs = factors(made, index);
    return [0, 1].map((k) => pairs.map((places) => at(k, places[k])));
  }
  let places = line(made, index);
  if (made.keeps) {
    // The number itself is first, and masked numbers are last.
    const own = repeatedPlace(index, made.operands[0].shape);
    const rank = (place) => (place === own ? 0 : operandNumber(made.operands[0], place) === -Infinity ? 2 : 1);
    places = places.map((place, i) => [rank(place), i, place]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((each) => each[2]);
  }
  return [places.map((place) => at(0, place))];
}

function shortCalled(id, flat) {
  const matrix = matrices[id];
  const index = unravelled(flat, matrix.shape);
  const places = index.map((i, axis) => label(matrix, axis, i)).slice(-2);
  return `${matrix.name}[${places.join(", ")}]`;
}

// The terms that are not drawn are combined to one number.
const FOLDS = {
  prod: (xs) => xs.reduce((product, x) => product * x, 1),
  max: (xs) => Math.max(...xs),
  min: (xs) => Math.min(...xs),
};
function restOf(made, terms, drawn) {
  const left = terms[0].slice(drawn).map(({ x }, i) => {
    if (made.op === "matmul") return x * terms[1][drawn + i].x;
    if (made.op === "norm") return made.ord === 1 ? Math.abs(x) : x * x;
    return EXPONENTIALS.includes(made.op) ? Math.exp(x) : x;
  });
  return { x: (FOLDS[made.op] ?? added)(left), name: `… ${say(`${left.length} more`)}` };
}

// Compute the graph of a cell: numbers and names of the leaves, and steps with this upstream.
function graphOf(id, flat, seed) {
  const matrix = matrices[id];
  const { program, leaves } = DATA.zooms[matrix.made.zoom];
  const terms = termsOf(matrix.made, unravelled(flat, matrix.shape));
  const count = Math.max(...leaves.map(([, , term]) => term)) + 1;
  const names = { r: shortCalled(id, flat) };
  const data = program.data.map(readNumber);
  const from = []; // the operand and the index of each leaf
  leaves.forEach(([place, operand, term], i) => {
    const leaf = operand < 0 ? restOf(matrix.made, terms, count) : terms[operand][term];
    data[place] = leaf.x;
    names[i] = leaf.name;
    if (operand >= 0) from.push([place, leaf.k, leaf.place]);
  });
  return { data, names, from, steps: backward(program, forward(program, data), seed) };
}

// There is no graph if its numbers would differ: an exponential overflows without the shift of the
// softmax, several maxima share a gradient, and the norm of zeros has no derivative.
export function canOpen(id, flat) {
  if (!opensAsGraph(id)) return false;
  const { data, made, shape } = matrices[id];
  if (made.op === "norm" && data[flat] === 0) return false;
  if (["max", "min"].includes(made.op)) {
    const [terms] = termsOf(made, unravelled(flat, shape));
    if (terms.filter(({ x }) => x === data[flat]).length > 1) return false;
  }
  return Number.isFinite(graphOf(id, flat, 1).data.at(-1)) === Number.isFinite(data[flat]);
}

export function zoomInto(id, flat) {
  if (!canOpen(id, flat)) return;
  const matrix = matrices[id];
  const drawn = DATA.zooms[matrix.made.zoom].scene;
  const hasGradient = matrix.grad?.length && knownAt(id).grad;
  const { data, names, steps } = graphOf(id, flat, hasGradient ? matrix.grad[flat] : 1);
  const cut = (name) => {
    const [, first, places] = name.match(/^(.*?)(\[.*)?$/s);
    return name.length > MAX_NAME ? `${first.slice(0, Math.max(1, MAX_NAME - 1 - (places ?? "").length))}…${places ?? ""}` : name;
  };
  const named = (text) => text.replace(/‹(\w+)›n*/g, (_, i) => names[i]);
  const written = (text) => named(filled(text, { data, steps }));
  const inSight = [...new Set([...matrix.made.operands.map((operand) => operand.matrix), id])].filter((each) => each !== undefined);
  const known = inSight.map((each) => [each, knownAt(each)]).map(([each, now]) => [each, now.data ? 0 : null, now.grad ? 0 : null]);
  const moments = drawn.templates.moments
    .filter(({ phase }) => hasGradient || phase !== "backward")
    .map((moment) => ({
      ...moment,
      title: written(moment.title),
      lines: moment.lines.map(written),
      writes: Object.fromEntries(Object.entries(moment.writes).map(([key, rows]) => [
        key,
        Object.fromEntries(Object.entries(rows).map(([row, text]) => [row, written(text)])),
      ])),
      matrices: inSight,
    }));
  const boxes = Object.fromEntries(Object.entries(drawn.boxes).map(([key, box]) => {
    const arrived = (drawn.templates.told[key] ?? []).map(([at, line]) => [at, written(line)]);
    return [key, { ...box, title: named(box.title), told: { lines: box.told.lines.map(named), arrived } }];
  }));
  const outer = view.scene.zoomed
    ? { around: view.scene.around, pinned: view.scene.pinned }
    : { around: view.scene.key, pinned: view.pinned };
  byKey.set("zoom", {
    ...drawn,
    ...outer,
    title: called(matrix, flat),
    zoomed: [id, flat],
    svg: drawn.svg.replace(/‹(\w+)›n*/g, (_, i) => escaped(cut(names[i]))),
    notes: hasGradient ? ["gradients here: what this one number sends back"] : [],
    moments,
    boxes,
    known,
  });
  pause();
  view.pinned = null;
  view.touched = { id, isGrad: false, flat };
  view.isHeld = true;
  element("matrices").scrollTop = 0;
  show("zoom", 0);
}
