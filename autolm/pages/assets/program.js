// Recomputation of a graph of Values: the operations with their rules.
import { DATA, factor, number, readNumber } from "./words.js";

const SQRT_PI = Math.sqrt(Math.PI);
const along = (grad, slope) => (grad === 0 ? 0 : grad * slope);
const power = (a, b) =>
  a === 1 || b === 0 || (a === -1 && Math.abs(b) === Infinity) ? 1 : Math.pow(a, b);

function erf(a) {
  if (!(Math.abs(a) < 6)) return Number.isNaN(a) ? a : Math.sign(a);
  let term = (2 / SQRT_PI) * a * Math.exp(-a * a);
  let sum = term;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n += 1) {
    term *= (2 * a * a) / (2 * n + 1);
    sum += term;
  }
  return sum;
}

// A continued fraction, where 1 − erf would lose digits.
function erfc(a) {
  if (!(a > 2)) return 1 - erf(a);
  let fraction = a;
  for (let n = 64; n > 0; n -= 1) fraction = a + n / (2 * fraction);
  return Math.exp(-a * a) / (SQRT_PI * fraction);
}

const unary = (result, slope) => ([a]) => {
  const y = result(a);
  return [y, (grad) => [along(grad, slope(a, y))]];
};
const choice = (isChosen) => ([a, b]) => [
  isChosen(a, b) || Number.isNaN(a) ? a : b,
  (grad) => {
    const shared = a === b ? grad / 2 : grad;
    return [isChosen(b, a) ? 0 : shared, isChosen(a, b) ? 0 : shared];
  },
];
export const added = (numbers) => numbers.reduce((sum, x) => sum + x, 0);

const OPERATIONS = {
  add: ([a, b]) => [a + b, (grad) => [grad, grad]],
  sub: ([a, b]) => [a - b, (grad) => [grad, -grad]],
  mul: ([a, b]) => [a * b, (grad) => [grad * b, grad * a]],
  div: ([a, b]) => {
    const y = a / b;
    return [y, (grad) => (grad === 0 ? [0, 0] : [grad / b, -(grad * y) / b])];
  },
  pow: ([a, b]) => {
    const y = power(a, b);
    const toA = (grad) => (b !== 0 && grad !== 0 ? grad * b * power(a, b - 1) : 0);
    const toB = (grad) => (grad !== 0 && !(a === 0 && b >= 0) ? grad * y * Math.log(a) : 0);
    return [y, (grad) => [toA(grad), toB(grad)]];
  },
  maximum: choice((a, b) => a > b),
  minimum: choice((a, b) => a < b),
  neg: unary((a) => -a, () => -1),
  abs: unary(Math.abs, (a) => Math.sign(a) || 0),
  relu: unary((a) => (a < 0 ? 0 : a), (a) => Number(!(a <= 0))),
  exp: unary(Math.exp, (a, y) => y),
  log: unary(Math.log, (a) => 1 / a),
  sqrt: unary(Math.sqrt, (a, y) => 0.5 / y),
  sin: unary(Math.sin, (a) => Math.cos(a)),
  cos: unary(Math.cos, (a) => -Math.sin(a)),
  tanh: unary(Math.tanh, (a, y) => 1 - y * y),
  sigmoid: unary((a) => 1 / (1 + Math.exp(-a)), (a, y) => y * (1 - y)),
  softplus: unary((a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a))), (a) => 1 / (1 + Math.exp(-a))),
  erf: unary(erf, (a) => (2 / SQRT_PI) * Math.exp(-a * a)),
  erfc: unary(erfc, (a) => (-2 / SQRT_PI) * Math.exp(-a * a)),
  sum: (numbers) => [added(numbers), (grad) => numbers.map(() => grad)],
  dot: (numbers) => {
    const xs = numbers.slice(0, numbers.length / 2);
    const ys = numbers.slice(numbers.length / 2);
    return [added(xs.map((x, i) => x * ys[i])), (grad) => [...ys, ...xs].map((x) => grad * x)];
  },
};

// Compute every result from the leaves in `data`, in place; return the rules.
export function forward(program, data) {
  return program.operations.map((name, i) => {
    if (!name) return null;
    const [y, rule] = OPERATIONS[name](program.operands[i].map((k) => data[k]));
    data[i] = y;
    return rule;
  });
}

// Do the steps of the backward pass in the order of the engine.
export function backward(program, rules, seed = 1) {
  const sums = [];
  sums[program.operations.length - 1] = seed;
  return program.steps.map(({ node }) => {
    const upstream = sums[node];
    const values = rules[node](upstream);
    const locals = rules[node](1);
    const sent = program.operands[node].map((k, i) => {
      const before = sums[k] ?? null;
      if (program.takesGradient[k]) sums[k] = before === null ? values[i] : before + values[i];
      return [locals[i], values[i], before, program.takesGradient[k] ? sums[k] : null];
    });
    return { node, upstream, sent };
  });
}

// The current numbers: those of the engine until a leaf changes.
export const program = DATA.program;
export let numbers = null;
if (program) {
  for (const step of program.steps) {
    step.upstream = readNumber(step.upstream);
    step.sent = step.sent.map((sent) => sent.map(readNumber));
  }
  numbers = { data: program.data.map(readNumber), steps: program.steps };
}

export function recompute(changes) {
  const data = [...numbers.data];
  for (const [place, x] of changes) data[place] = x;
  const steps = backward(program, forward(program, data));
  numbers = { data, steps };
}

// The indices of the nodes that caused non-finite numbers, as `blamed_nodes` returns them.
export function blamedPlaces(program, data) {
  const root = data.length - 1;
  const stack = [...data.keys()].filter((i) => Number.isNaN(data[i]) && program.takesGradient[i]);
  if (!Number.isFinite(data[root])) stack.push(root);
  const blamed = new Set(stack);
  while (stack.length) {
    const operands = program.operands[stack.pop()].filter((i) => !Number.isFinite(data[i]));
    const undefinedOnes = operands.filter((i) => Number.isNaN(data[i]));
    for (const i of undefinedOnes.length ? undefinedOnes : operands) {
      if (!blamed.has(i)) stack.push(i);
      blamed.add(i);
    }
  }
  return blamed;
}

export function gradientOf(place) {
  if (place === program.operations.length - 1) return 1;
  let sum = null;
  for (const { node, sent } of numbers.steps) {
    program.operands[node].forEach((k, i) => {
      if (k === place && sent[i][3] !== null) sum = sent[i][3];
    });
  }
  return sum;
}

export function lossAt(rate, moved) {
  const data = [...numbers.data];
  for (const { node } of moved) data[node] -= rate * (gradientOf(node) ?? 0);
  forward(program, data);
  return data.at(-1);
}

// Put numbers into the slots of a text.
export function filled(text, { data, steps } = numbers) {
  return text.replace(/\x01([^\x02]*)\x02/g, (_, slot) => {
    const [what, i, operand] = slot.split(":");
    if (what === "data") return number(data[i]);
    if (what === "factor") return factor(data[i]);
    if (what === "upstream") return number(steps[i].upstream);
    const x = steps[i].sent[operand][["local", "value", "before", "after"].indexOf(what)];
    return x === null ? "–" : number(x);
  });
}
