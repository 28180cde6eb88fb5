// Matrices as tables of coloured cells, and the arithmetic of a cell.
import { element, factor, inCell, item, language, make, number, powerOfTen, say } from "./words.js";
import { lead, view } from "./view.js";
import {
  called, factors, KINDS, label, leadKind, line, matrices, offset, operandNumber, operandPlace,
  ravelled, repeatedPlace, sizeOf, unravelled,
} from "./arrays.js";
import { updateOf } from "./training.js";
import { canOpen, zoomInto } from "./zooming.js";
import { chooseToken, drawSentence } from "./player.js";

const NUMBER_WIDTH = 46; // pixels of a cell with its number
const MIN_WIDTH = 5; // pixels of a cell without its number
const MAX_VISIBLE = 64; // rows and columns in view at a time
const MAX_TERMS = 6; // that are listed
// Operations whose result is one of their operands' numbers.
const PICKING = ["astype", "clamp_max", "clamp_min", "concatenate", "masked_fill", "ordered", "stack", "where"];
export const printing = matchMedia("print");

// Korean and Chinese characters are two columns wide.
const WIDE_SIGN = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60\uffe0-\uffe6]/;
const columnsOf = (text) => [...text].reduce((sum, sign) => sum + (WIDE_SIGN.test(sign) ? 2 : 1), 0);
const MAX_LABEL = 6; // columns of a horizontal label above a cell with its number

// Tables

// Cells that are created at once, in a step and in a part from the address; other tables are filled
// when they are scrolled into view.
const EAGER = { step: 6000, part: 60000 };
const tables = new Map(); // "12 grad": { id, matrix, isGrad, figure, fill }
const windows = new Map(); // the visible part of each large array
const tableKey = (id, isGrad) => `${id}${isGrad ? " grad" : ""}`;
export const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const sight = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) if (isIntersecting) fillTable(target);
}, { rootMargin: "400px" });

function figureOf(id, isGrad, width) {
  const matrix = matrices[id];
  const key = tableKey(id, isGrad);
  const figure = make("figure", { "data-table": key });
  const numbers = isGrad ? matrix.grad : matrix.data;
  const title = make("b", { text: isGrad ? `∂L/∂${matrix.name}` : matrix.name });
  const caption = make("figcaption", {}, title);
  const formula = isGrad ? "" : matrix.made?.formula ?? "";
  if (formula) caption.append(" ", make("span", { text: formula }));
  figure.append(caption);
  tables.set(key, { id, matrix, isGrad, figure, fill: null });
  if (!numbers?.length) {
    const why = numbers ? "empty" : "too large for this page";
    figure.append(make("p", { text: say(`${matrix.shape.join("×")}: ${why}`) }));
    return figure;
  }
  const exponent = isGrad ? matrix.gradExponent : matrix.dataExponent;
  caption.append(" ", make("span", { class: "power", text: powerOfTen(exponent) }));
  const rank = matrix.shape.length;
  const [rows, columns] = [rank > 1 ? matrix.shape[rank - 2] : 1, matrix.shape[rank - 1]];
  const [top, left] = windows.get(key) ?? [0, 0];
  const shownRows = Math.min(rows - top, MAX_VISIBLE);
  const shownColumns = Math.min(columns - left, MAX_VISIBLE);
  if (rows > MAX_VISIBLE || columns > MAX_VISIBLE) caption.append(" ", ...windowOf(key, rows, columns));
  const sums = isGrad ? matrix.gradSums : matrix.sums;
  const names = Array.from({ length: shownRows }, (_, i) => (rank > 1 ? label(matrix, rank - 2, top + i) : ""));
  const room = width - 8 * Math.max(0, ...names.map(columnsOf)) - 16 - (sums ? 60 : 0);
  const hasNumbers = shownColumns * NUMBER_WIDTH <= room;
  const cellWidth = hasNumbers
    ? NUMBER_WIDTH
    : Math.max(MIN_WIDTH, Math.min(shownColumns > 16 ? 11 : 18, Math.floor(room / shownColumns)));
  const table = make("table", {
    "data-matrix": isGrad ? `grad-${matrix.key}` : matrix.key,
    "data-scope": matrix.scope,
    class: hasNumbers ? null : "narrow",
    style: `--cell: ${cellWidth}px; min-height: ${shownRows * (hasNumbers ? 24 : 12)}px`,
  });
  figure.append(make("div", { class: "scroll" }, table));
  const largest = (isGrad ? matrix.gradLargest : matrix.dataLargest) || 1;
  const first = offset(matrix);
  const isWhole = numbers.every(Number.isInteger);
  const written = hasNumbers ? (x) => (isWhole ? number(x) : inCell(x, exponent)) : null;
  const cellAt = (i, j) => {
    const flat = first + (top + i) * columns + left + j;
    return cellOf(numbers[flat], flat, Boolean(matrix.hidden?.[flat]), largest, written);
  };
  const sumOf = (i) => {
    let sum = 0;
    for (let j = 0; j < columns; j += 1) sum += numbers[first + (top + i) * columns + j];
    const isNothing = Math.abs(sum) < 1e-5 * largest * columns;
    return `<td class="sum">Σ ${isNothing ? "0" : number(Number(sum.toPrecision(4)))}</td>`;
  };
  const rowOf = (i) => {
    const cells = Array.from({ length: shownColumns }, (_, j) => cellAt(i, j)).join("");
    const token = tokenAt(matrix, rank - 2, top + i);
    return `<tr><th scope="row"${token}>${escaped(names[i])}</th>${cells}${sums ? sumOf(i) : ""}</tr>`;
  };
  tables.get(key).size = shownRows * shownColumns;
  tables.get(key).fill = () => {
    const body = Array.from({ length: shownRows }, (_, i) => rowOf(i)).join("");
    table.innerHTML = head(matrix, left, shownColumns, hasNumbers, cellWidth) + `<tbody>${body}</tbody>`;
    table.querySelector("td[data-at]").tabIndex = 0; // Tab enters a table, arrow keys move in it
  };
  return figure;
}

function fillTable(figure) {
  const entry = tables.get(figure.dataset.table);
  sight.unobserve(figure);
  if (entry?.figure !== figure || !entry.fill) return;
  entry.fill();
  entry.fill = null;
  markToken(figure);
}

function head(matrix, left, count, hasNumbers, cellWidth) {
  const axis = matrix.shape.length - 1;
  const every = hasNumbers || matrix.axes[axis][0] ? 1 : Math.ceil(20 / cellWidth);
  const names = Array.from({ length: count }, (_, j) => (j % every ? "" : label(matrix, axis, left + j)));
  const cells = names.map(
    (name, j) => `<th scope="col"${tokenAt(matrix, axis, left + j)}><span>${escaped(name)}</span></th>`
  );
  const isLong = names.some((name) => columnsOf(name) > (hasNumbers ? MAX_LABEL : 1));
  return `<thead${isLong ? ' class="long"' : ""}><tr><td class="corner"></td>${cells.join("")}</tr></thead>`;
}

const tokenAt = (matrix, axis, i) => (matrix.axes[axis]?.[0] === "tokens" ? ` data-token="${i}"` : "");

function cellOf(x, flat, isHidden, largest, written) {
  const share = Number.isFinite(x) ? Math.abs(x) / largest : 0;
  const sign = x < 0 && share > 0.04 ? ' class="negative"' : "";
  const tint = `--share:${(72 * share).toFixed(1)}%;--tint:var(--${x < 0 ? "gradient" : "leaf_line"})`;
  const look = isHidden ? " data-masked" : ` style="${tint}"`;
  const said = written ? "" : ` title="${number(x)}"`;
  return `<td data-at="${flat}" data-value="${x}" tabindex="-1"${sign}${look}${said}>${written?.(x) ?? ""}</td>`;
}

function windowOf(key, rows, columns) {
  const [top, left] = windows.get(key) ?? [0, 0];
  const by = (down, right) => {
    const inside = (at, n) => Math.max(0, Math.min(at, n - MAX_VISIBLE));
    windows.set(key, [inside(top + down, rows), inside(left + right, columns)]);
    drawMatrices(true);
  };
  const arrow = (text, name, down, right) => {
    const button = make("button", { text, "aria-label": say(name) });
    button.addEventListener("click", () => by(down, right));
    return button;
  };
  const buttons = [make("span", { text: `${top + 1}–${Math.min(top + MAX_VISIBLE, rows)} / ${rows}, ${left + 1}–${Math.min(left + MAX_VISIBLE, columns)} / ${columns}` })];
  if (columns > MAX_VISIBLE) buttons.push(arrow("‹", "earlier columns", 0, -MAX_VISIBLE), arrow("›", "later columns", 0, MAX_VISIBLE));
  if (rows > MAX_VISIBLE) buttons.push(arrow("ˆ", "earlier rows", -MAX_VISIBLE, 0), arrow("ˇ", "later rows", MAX_VISIBLE, 0));
  return buttons;
}

// The visible matrices: those of the step, or of the part from the address

const WHOLE_PART = 40; // matrices of an expanded part that are all visible
let drawn = "";

export const isWithin = (scope, outer) => scope === outer || scope.startsWith(`${outer}.`);

function inView() {
  if (view.pinned !== null) {
    return [...matrices.keys()].filter((id) => isWithin(matrices[id].scope, view.pinned));
  }
  const inPart = view.scene.known.map(([id]) => id).filter((id) => isWithin(matrices[id].scope, view.scene.key));
  if (view.scene.key && inPart.length && inPart.length <= WHOLE_PART) return inPart;
  return view.scene.moments[view.position].matrices;
}

export function knownAt(id) {
  const [, data, grad] = view.scene.known.find(([known]) => known === id) ?? [id, null, null];
  return { data: data !== null && data <= view.position, grad: grad !== null && grad <= view.position };
}

export function drawMatrices(again = false) {
  // Results first, then the parameters.
  const ids = (matrices.length ? inView() : []).sort((i, j) => matrices[i].isLeaf - matrices[j].isLeaf || i - j);
  const width = element("matrices").clientWidth - 24;
  const now = JSON.stringify([ids, lead, width, language, view.pinned]);
  if (now !== drawn || again) {
    drawn = now;
    tables.clear();
    sight.disconnect();
    element("choosers").replaceChildren(...choosers(ids));
    const figures = ids.flatMap((id) => [
      figureOf(id, false, width),
      ...(matrices[id].grad ? [figureOf(id, true, width)] : []),
    ]);
    element("tables").replaceChildren(...figures);
  }
  const current = view.scene.moments[view.position].matrices;
  const isBackward = view.scene.moments[view.position].phase === "backward";
  let room = view.pinned === null ? EAGER.step : EAGER.part;
  for (const { id, isGrad, figure, fill, size } of tables.values()) {
    figure.hidden = !knownAt(id)[isGrad ? "grad" : "data"];
    figure.classList.toggle("now", ids.length > current.length && current.includes(id) && isGrad === isBackward);
    // A part from the address is shown completely.
    if (!fill || (figure.hidden && view.pinned === null)) continue;
    room -= size;
    if (room >= 0 || printing.matches) fillTable(figure);
    else sight.observe(figure);
  }
  element("empty").hidden = [...tables.values()].some(({ figure }) => !figure.hidden);
  markToken();
}

function choosers(ids) {
  const counts = new Map();
  for (const id of ids) {
    const matrix = matrices[id];
    for (let axis = 0; axis < matrix.shape.length - 2; axis += 1) {
      const kind = leadKind(matrix, axis);
      counts.set(kind, Math.max(counts.get(kind) ?? 0, matrix.shape[axis]));
    }
  }
  return [...counts].map(([kind, count]) => {
    const select = make("select", { "data-lead": kind });
    for (let i = 0; i < count; i += 1) select.append(new Option(String(i), String(i)));
    select.value = String(lead[kind] ?? 0);
    select.addEventListener("change", () => {
      lead[kind] = Number(select.value);
      drawMatrices();
      if (kind === "batch") drawSentence();
    });
    return make("label", { text: `${say(KINDS[kind] ?? kind)} ` }, select);
  });
}

// Mark the selected token in all rows and columns.
export function markToken(within = element("tables")) {
  for (const name of within.querySelectorAll("th[data-token]")) {
    name.classList.toggle("chosen", Number(name.dataset.token) === view.token);
  }
}

// The arithmetic of a cell: lines of text, and the operands' cells

function madeOf(id, flat) {
  const matrix = matrices[id];
  const { made } = matrix;
  const value = number(matrix.data[flat]);
  const from = [];
  if (!made) return { lines: [`${called(matrix, flat)} = ${value}`], from };
  const index = unravelled(flat, matrix.shape);
  const take = (k, place) => {
    const operand = made.operands[k];
    if (operand.matrix !== undefined) from.push([operand.matrix, false, operandPlace(operand, place)]);
    return operandNumber(operand, place);
  };
  const written = (x) => (x === null ? "…" : factor(x));
  let text = made.formula;
  if (made.kind === "moved") {
    const source = made.operands[0].matrix;
    from.push([source, false, made.places[flat]]);
    text = called(matrices[source], made.places[flat]);
  } else if (made.kind === "each") {
    if (matrix.hidden?.[flat] && matrix.data[flat] === -Infinity) text = say("hidden by the mask");
    else {
      const numbers = made.operands.map((operand, k) => take(k, repeatedPlace(index, operand.shape)));
      text = made.cell.replace(/\x01(\d+)\x02/g, (_, k) => written(numbers[k]));
    }
  } else if (made.kind === "matmul") {
    const pairs = factors(made, index).map(([a, b]) => `${written(take(0, a))}·${written(take(1, b))}`);
    text = shortened(pairs);
  } else if (made.kind === "along") {
    const numbers = line(made, index).map((place) => take(0, place));
    text = alongText(made.op, numbers, operandNumber(made.operands[0], repeatedPlace(index, made.operands[0].shape)));
  }
  return { lines: [`${called(matrix, flat)} = ${text} = ${value}`], from };
}

function shortened(terms, sign = " + ") {
  if (terms.length <= MAX_TERMS) return terms.join(sign);
  const left = say(`${terms.length - MAX_TERMS + 1} more`);
  return [...terms.slice(0, MAX_TERMS - 1), `… ${left}`].join(sign);
}

function alongText(op, numbers, own) {
  const seen = numbers.filter((x) => x !== -Infinity);
  const exponentials = shortened(seen.map((x) => `e^${factor(x)}`));
  if (op === "softmax") return own === -Infinity ? "e^(−∞)" : `e^${factor(own)} / (${exponentials})`;
  if (op === "log_softmax") return `${factor(own)} − ln(${exponentials})`;
  if (op === "logsumexp") return `ln(${exponentials})`;
  const terms = shortened(numbers.map(factor));
  if (op === "sum") return terms;
  if (op === "mean") return `(${terms}) / ${numbers.length}`;
  return `${op}(${shortened(numbers.map(number), ", ")})`;
}

// For a gradient: the contribution of each use, and the numbers that it comes from.
function gradientMadeOf(id, flat) {
  const matrix = matrices[id];
  const from = [];
  const sent = matrix.uses.map((use) => {
    const value = use.data ? use.data[flat] : matrix.grad[flat];
    const user = matrices[use.by];
    let terms = "";
    if (user?.grad && user.made) {
      const places = usedAt(user.made, use.operand, id, flat, user.shape);
      from.push(...places.map(({ at }) => [use.by, true, at]));
      if (user.made.kind === "matmul" && places.length) {
        const other = user.made.operands[1 - use.operand];
        from.push(...places.filter(() => other.matrix !== undefined).map(({ by }) => [other.matrix, false, operandPlace(other, by)]));
        const products = places.map(({ at, by }) => {
          const pair = [factor(user.grad[at]), factor(operandNumber(other, by) ?? NaN)];
          return pair.join("·");
        });
        terms = `${shortened(products)} = `;
      }
    }
    return { value, text: `${terms}${number(value)}   ${say(`from ${use.called}`)}` };
  });
  const name = `∂L/∂${called(matrix, flat)}`;
  const total = number(matrix.grad[flat]);
  if (sent.length === 1) return { lines: [`${name} = ${sent[0].text}`], from };
  const lines = [`${name} = ${total}${sent.length ? say(", the sum of") : ""}`];
  return { lines: [...lines, ...sent.map(({ text }) => `  ${text}`)], from };
}

// The places of a result to whose gradient one place of an operand owes its own; with it, of a
// product of matrices, the place of the other factor.
function usedAt(made, k, id, flat, shape) {
  const operand = made.operands[k];
  const place = operand.places ? operand.places.indexOf(flat) : flat;
  if (place < 0 || operand.matrix !== id) return [];
  const index = unravelled(place, operand.shape);
  if (made.kind === "moved") {
    const places = [...made.places.keys()].filter((at) => made.places[at] === flat);
    return places.map((at) => ({ at }));
  }
  if (made.kind === "matmul" && made.operands.every((each) => each.shape.length > 1)) {
    const before = shape.slice(0, -2).map((_, axis) => index[axis - shape.length + operand.shape.length] ?? 0);
    const other = made.operands[1 - k].shape;
    const count = k ? shape.at(-2) : shape.at(-1);
    return Array.from({ length: count }, (_, n) => {
      const here = k ? [n, index.at(-1)] : [index.at(-2), n];
      const there = k ? [n, index.at(-2)] : [index.at(-1), n];
      return { at: ravelled([...before, ...here], shape), by: repeatedPlace([...before, ...there], other) };
    });
  }
  if (made.kind === "each" || made.kind === "along") {
    const all = Array.from({ length: sizeOf(shape) }, (_, at) => at);
    const isReached = (at) => {
      const result = unravelled(at, shape);
      if (made.kind === "along") return line(made, result).includes(place);
      return repeatedPlace(result, operand.shape) === place;
    };
    return all.length > 20000 ? [] : all.filter(isReached).map((at) => ({ at }));
  }
  return [];
}

const cellIn = (id, isGrad, flat) =>
  tables.get(tableKey(id, isGrad))?.figure.querySelector(`td[data-at="${flat}"]`);

function touch(cell) {
  const entry = tables.get(cell.closest("figure").dataset.table);
  view.touched = { id: entry.id, isGrad: entry.isGrad, flat: Number(cell.dataset.at) };
  tellCell();
}

export function tellCell() {
  for (const old of element("tables").querySelectorAll(".self, .part")) old.classList.remove("self", "part");
  const box = element("cell");
  box.hidden = !view.touched || !tables.has(tableKey(view.touched.id, view.touched.isGrad));
  if (box.hidden) return;
  const { id, isGrad, flat } = view.touched;
  const { lines, from } = isGrad ? gradientMadeOf(id, flat) : madeOf(id, flat);
  const known = from.filter(([source, isOfGrad]) => knownAt(source)[isOfGrad ? "grad" : "data"]);
  for (const [source, isOfGrad, at] of known) {
    cellIn(source, isOfGrad, at)?.classList.add("part");
  }
  cellIn(id, isGrad, flat)?.classList.add("self");
  const update = isGrad ? [] : updateOf(id, flat);
  const place = unravelled(flat, matrices[id].shape).join(",");
  const isOpening = !isGrad && canOpen(id, flat);
  const made = isGrad || isOpening ? null : matrices[id].made;
  const isPicked = made && (made.kind === "moved" || PICKING.includes(made.op));
  const closed = isPicked ? "picked, not computed: there is nothing to open" : `as single numbers: zoom ${place}, at its step in the debugger`;
  const debug = made ? [closed] : [];
  const said = [...lines, ...update, ...debug];
  const hasButton = isOpening && view.scene.zoomed?.join() !== [id, flat].join();
  const now = JSON.stringify([said, hasButton, language]);
  if (box.dataset.said === now) return; // so that it is not announced again
  box.dataset.said = now;
  box.replaceChildren(...said.map(item));
  if (hasButton) {
    const button = make("button", { text: say("Open as single numbers (z)") });
    button.addEventListener("click", zoomIntoTouched);
    box.append(make("li", {}, button));
  }
}

export function zoomIntoTouched() {
  if (view.touched && !element("cell").hidden) zoomInto(view.touched.id, view.touched.flat);
}

element("tables").addEventListener("mouseover", (event) => {
  const cell = event.target.closest("td[data-at]");
  if (cell && !view.isHeld) touch(cell);
});
element("tables").addEventListener("click", (event) => {
  const cell = event.target.closest("td[data-at]");
  view.isHeld = Boolean(cell) && !(view.isHeld && cell.classList.contains("self"));
  if (!cell) return;
  cell.focus();
  touch(cell);
  const name = cell.parentElement.querySelector("th[data-token]");
  if (name) chooseToken(Number(name.dataset.token));
});
element("tables").addEventListener("dblclick", zoomIntoTouched);
element("tables").addEventListener("focusin", (event) => {
  const cell = event.target.closest("td[data-at]");
  if (!cell) return;
  for (const other of cell.closest("table").querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
  cell.tabIndex = 0;
  touch(cell);
});

// Inside a table the arrow keys go from cell to cell.
export function moveInTable(cell, key) {
  const row = cell.parentElement;
  const column = [...row.children].indexOf(cell);
  const next = {
    ArrowRight: cell.nextElementSibling,
    ArrowLeft: cell.previousElementSibling,
    ArrowDown: row.nextElementSibling?.children[column],
    ArrowUp: row.previousElementSibling?.children[column],
  }[key];
  if (next === undefined) return false;
  if (next?.matches("td[data-at]")) next.focus();
  return true;
}
