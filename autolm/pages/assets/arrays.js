// The arrays of the page, and the indices of the operands of each number.
import { DATA, readNumber, say } from "./words.js";
import { lead } from "./view.js";

export const KINDS = { batch: "text", heads: "head" };

const ARRAY_TYPES = { f4: Float32Array, f8: Float64Array, i4: Int32Array, u1: Uint8Array };
export const unpacked = (text, kind) =>
  new ARRAY_TYPES[kind](Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer);

export const matrices = DATA.matrices;
document.body.classList.toggle("arrays", matrices.length > 0);
for (const matrix of matrices) {
  matrix.key = matrix.name;
  const lazy = (name, kind) => {
    const packed = matrix[name];
    if (packed === undefined) return;
    let numbers = null;
    Object.defineProperty(matrix, name, { get: () => (numbers ??= unpacked(packed, kind)) });
  };
  lazy("data", matrix.dataKind);
  lazy("grad", matrix.gradKind);
  lazy("hidden", "u1");
  for (const operand of matrix.made?.operands ?? []) {
    if (operand.places !== undefined) operand.places = unpacked(operand.places, "i4");
    if (operand.constant !== undefined) operand.constant = unpacked(operand.constant, "f8");
  }
  if (matrix.made?.places !== undefined) matrix.made.places = unpacked(matrix.made.places, "i4");
  for (const use of matrix.uses) if (use.data !== undefined) use.data = unpacked(use.data, use.dataKind);
}

// Indices

export const sizeOf = (shape) => shape.reduce((product, n) => product * n, 1);

export function unravelled(flat, shape) {
  const index = Array(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    index[axis] = flat % shape[axis];
    flat = Math.floor(flat / shape[axis]);
  }
  return index;
}

export const ravelled = (index, shape) => index.reduce((flat, i, axis) => flat * shape[axis] + i, 0);

// The flat index in an operand that was broadcast to the shape of the result.
export function repeatedPlace(index, shape) {
  return ravelled(shape.map((n, axis) => (n === 1 ? 0 : index[index.length - shape.length + axis])), shape);
}

export function operandPlace(operand, flat) {
  return operand.places ? operand.places[flat] : flat;
}

export function operandNumber(operand, flat) {
  if (operand.number !== undefined) return readNumber(operand.number);
  if (operand.constant !== undefined) return operand.constant[flat];
  return operand.matrix === undefined ? null : matrices[operand.matrix].data?.[operandPlace(operand, flat)] ?? null;
}

// The key in `lead` of an axis before the last two.
export const leadKind = (matrix, axis) => matrix.axes[axis][0] || `axis ${axis}`;

export function offset(matrix) {
  const index = matrix.shape.map((n, axis) =>
    axis < matrix.shape.length - 2 ? Math.min(lead[leadKind(matrix, axis)] ?? 0, n - 1) : 0
  );
  return ravelled(index, matrix.shape);
}

// Labels

export function label(matrix, axis, i) {
  const [, labels] = matrix.axes[axis];
  if (labels === "tokens") return DATA.sentence?.rows[lead.batch ?? 0]?.[i] ?? String(i);
  if (labels === "vocabulary") return DATA.vocabulary?.[i] ?? String(i);
  return labels[i] ?? String(i);
}

export function called(matrix, flat) {
  const index = unravelled(flat, matrix.shape);
  const places = index.map((i, axis) => {
    const kind = matrix.axes[axis][0];
    return KINDS[kind] ? `${say(KINDS[kind])} ${i}` : label(matrix, axis, i);
  });
  return `${matrix.name}[${places.join(", ")}]`;
}

// Pairs of flat indices of the factors of one number of a matrix product; a vector is a row on the
// left of a product, and a column on the right.
export function factors(made, index) {
  let [a, b] = made.operands.map((operand) => operand.shape);
  if (b.length === 1) [b, index] = [[...b, 1], [...index, 0]];
  if (a.length === 1) [a, index] = [[1, ...a], [...index.slice(0, -1), 0, index.at(-1)]];
  const before = index.slice(0, -2);
  const at = (shape, row, column) => repeatedPlace([...before, row, column], shape);
  return Array.from({ length: a.at(-1) }, (_, k) => [at(a, index.at(-2), k), at(b, k, index.at(-1))]);
}

// The flat indices that are reduced or normalised together.
export function line(made, index) {
  const { shape } = made.operands[0];
  const full = [...index];
  if (!made.keeps) for (const axis of made.axes) full.splice(axis, 0, 0);
  let places = [full];
  for (const axis of made.axes) {
    places = places.flatMap((place) =>
      Array.from({ length: shape[axis] }, (_, i) => place.map((k, other) => (other === axis ? i : k)))
    );
  }
  return places.map((place) => ravelled(place, shape));
}
