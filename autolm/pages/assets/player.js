// The player: shows one moment of a scene, and moves between moments.
// A scene is a picture with its moments; each part that can be expanded has its own scene.
import { address, DATA, element, item, language, make, say, speak } from "./words.js";
import { blamedPlaces, filled, numbers, program, recompute } from "./program.js";
import { byKey, lead, view } from "./view.js";
import { matrices } from "./arrays.js";
import {
  drawMatrices, isWithin, markToken, moveInTable, printing, tellCell, zoomIntoTouched,
} from "./matrices.js";
import { alpha, drawTraining } from "./training.js";
import { opensAsGraph, zoomInto } from "./zooming.js";

const HINT = "Choose a node: its step, and how its gradient adds up.";
const HINT_OF_PARTS = "Choose a box to go to its step; a closed part opens.";
const PACE = 900; // milliseconds from moment to moment while playing

let timer = null;
let zoom = 1; // factor on the width of the picture
const positions = new Map(); // the last position in each scene
const breakpoints = new Set(); // "scene/box"
let everyOperation = "";

export function show(key, at) {
  positions.set(view.scene.key, view.position);
  view.scene = byKey.get(key);
  view.chosen = null;
  element("stage").innerHTML = view.scene.svg;
  const [, , width, height] = viewBox();
  document.body.classList.toggle("wide", view.scene.isWide || width > WIDE_PICTURE * height);
  element("note").textContent = view.scene.notes.map(say).join(" · ");
  zoom = 1;
  fit();
  prepare();
  element("slider").max = view.scene.moments.length - 1;
  const turn = view.scene.moments.findIndex((moment) => moment.phase === "backward");
  element("turn").hidden = turn < 0;
  element("turn").style.left = `calc(8px + (100% - 16px) * ${turn / (view.scene.moments.length - 1)})`;
  element("crumbs").replaceChildren(...crumbs());
  element("hint").textContent = say(view.scene.isExact ? HINT : HINT_OF_PARTS);
  operations();
  go(at ?? positions.get(key) ?? 0);
}

// Texts of boxes that are translated; names and numbers are not.
const IN_WORDS = /^\s*(\+|(leaf|const)\s)|\sparameters:/; // \s also matches a no-break space

// Replace a text by its translation, compressed to the width that Graphviz reserved.
function translate(text) {
  const room = text.getComputedTextLength();
  text.textContent = say(text.textContent.replaceAll("\u00a0", " ").trim());
  if (text.getComputedTextLength() <= room) return;
  text.setAttribute("textLength", room);
  text.setAttribute("lengthAdjust", "spacingAndGlyphs");
}

function prepare() {
  for (const title of element("stage").querySelectorAll("title")) {
    // A line of one word is a name, which is not translated.
    const lines = title.textContent.split("\n").map((line) => (line.includes(" ") ? say(line) : line));
    title.textContent = lines.join("\n");
  }
  for (const node of element("stage").querySelectorAll("g.node")) {
    const box = view.scene.boxes[node.id];
    if (!box) continue;
    node.classList.add(box.kind);
    const texts = [...node.querySelectorAll("text")];
    box.rows.forEach((row, i) => {
      const value = texts[texts.length - 2 * (box.rows.length - i) + 1];
      value.dataset.row = row;
      value.classList.add("value");
      translate(texts[texts.length - 2 * (box.rows.length - i)]);
    });
    for (const text of texts) {
      if (box.kind === "more" || IN_WORDS.test(text.textContent)) translate(text);
    }
    if (box.kind === "more") continue;
    widest(node, "stroke").classList.add("border");
    widest(node, "fill").classList.add("ground");
    node.setAttribute("tabindex", "0");
    node.setAttribute("role", "button");
    node.setAttribute("aria-label", box.title + (box.opens ? ", opens" : ""));
    node.addEventListener("click", () => (box.opens ? open(node.id) : choose(node.id)));
  }
}

// The outline or the background of a box, which is wider than those of the badges inside.
function widest(node, paint) {
  const forms = [...node.querySelectorAll("path, ellipse, polygon")];
  const isDrawn = (form) => !["none", "transparent"].includes(form.getAttribute(paint));
  const width = (form) => (isDrawn(form) ? form.getBBox().width : 0);
  return forms.reduce((most, form) => (width(form) > width(most) ? form : most));
}

// The picture fits the width of the window, and a small graph also its height, as long as it is
// readable; a larger picture can be scrolled or dragged.
const MIN_SCALE = 0.65;
const WIDE_PICTURE = 1.4; // width / height; a wider picture is above the texts, not next to them
const viewBox = () =>
  element("stage").firstElementChild.getAttribute("viewBox").split(" ").map((x) => (Number(x) * 4) / 3);

function fit() {
  const stage = element("stage");
  const svg = stage.firstElementChild;
  const [, , width, height] = viewBox();
  svg.removeAttribute("height");
  svg.removeAttribute("width");
  const isFitted = view.scene.isExact || document.body.classList.contains("wide");
  const high = isFitted ? Math.max(MIN_SCALE, (stage.clientHeight - 24) / height) : 1;
  svg.style.width = `${Math.min(width, stage.clientWidth - 24, width * high) * zoom}px`;
}

function zoomBy(times) {
  zoom = times ? Math.max(0.5, Math.min(zoom * times, 8)) : 1;
  fit();
  light(view.scene.moments[view.position]);
}

function crumbs() {
  const path = [];
  for (let at = view.scene; at; at = at.around === null ? null : byKey.get(at.around)) path.unshift(at);
  return path.flatMap((at, i) => {
    const last = at === view.scene;
    const crumb = document.createElement(last ? "b" : "button");
    crumb.textContent = at.key === "" ? say(at.title) : at.title;
    if (!last) crumb.addEventListener("click", () => (view.scene.zoomed && at.key === view.scene.around ? close() : show(at.key)));
    const gap = document.createElement("span");
    gap.textContent = " › ";
    return i ? [gap, crumb] : [crumb];
  });
}

function operations() {
  const names = new Set();
  for (const box of Object.values(view.scene.boxes)) {
    if (box.kind === "operation" || box.kind === "rolled") names.add(box.title);
  }
  const none = new Option("–", "");
  element("operation").replaceChildren(none, ...[...names].sort().map((name) => new Option(name)));
  everyOperation = names.has(everyOperation) ? everyOperation : "";
  element("operation").value = everyOperation;
}

export function go(at) {
  view.position = Math.max(0, Math.min(at, view.scene.moments.length - 1));
  const moment = view.scene.moments[view.position];
  document.body.classList.toggle("back", moment.phase === "backward");
  document.body.classList.toggle("update", moment.phase === "update");
  element("slider").value = view.position;
  element("position").textContent = `${view.position} / ${view.scene.moments.length - 1}`;
  element("slider").setAttribute("aria-valuetext", element("position").textContent);
  announce(moment);
  write(moment);
  light(moment);
  tell();
  drawMatrices();
  tellCell();
  drawSentence();
  drawTraining();
  note();
}

// Screen readers announce these elements, so they change only if their texts do.
let announced = "";
function announce({ phase, title, lines }) {
  const now = [phase === "start" ? "" : say(phase), say(title), ...lines.map(say)];
  if (announced === now.join("\n")) return;
  announced = now.join("\n");
  [element("phase").textContent, element("what").textContent] = now;
  element("arithmetic").replaceChildren(...lines.map(item));
}

// Write the position into the address, for reloads, and send it to the embedding page.
let lastAddress = null;
function note() {
  const place = new URLSearchParams();
  if (view.position || view.scene.key === "") place.set("step", view.position);
  if (view.scene.zoomed) place.set("zoom", view.scene.zoomed.join());
  else if (view.pinned !== null || view.scene.key) place.set("open", view.pinned ?? view.scene.key);
  if (address.has("lang")) place.set("lang", language);
  const now = `#${place.toString().replaceAll("%2C", ",").replaceAll("%23", "#")}`;
  if (lastAddress !== null && now !== lastAddress) {
    // The address of a page in a frame (about:srcdoc) cannot change.
    if (location.protocol !== "about:") window.history.replaceState(null, "", now);
    if (view.scene.key === "" && window.parent !== window) {
      window.parent.postMessage({ autolm: { step: view.position } }, "*");
    }
  }
  lastAddress = now;
}

function write(moment) {
  const known = {};
  const alarms = new Set();
  for (const past of view.scene.moments.slice(0, view.position + 1)) {
    past.alarms.forEach((key) => alarms.add(key));
    for (const [key, rows] of Object.entries(past.writes)) {
      known[key] = { ...known[key], ...rows };
    }
  }
  for (const [key, box] of Object.entries(view.scene.boxes)) {
    const node = element(key);
    const values = known[key] ?? {};
    const result = view.scene.boxes[key.replace(/op$/, "")] ? key.replace(/op$/, "") : key;
    const isKnown = box.kind === "more" || (known[result] ?? {}).data !== undefined;
    node.classList.toggle("waiting", !isKnown);
    node.classList.toggle("changed", key in moment.writes);
    node.classList.toggle("alarm", alarms.has(key));
    for (const text of node.querySelectorAll("text.value")) {
      text.textContent = values[text.dataset.row] ?? "–";
      text.classList.toggle("new", text.dataset.row in (moment.writes[key] ?? {}));
    }
  }
}

function light(moment) {
  for (const lit of element("stage").querySelectorAll(".lit")) lit.classList.remove("lit");
  for (const key of [moment.box, ...moment.arrows]) element(key)?.classList.add("lit");
  const written = Object.keys(moment.writes).map(element);
  if (moment.box) intoView(element(moment.box), written);
  for (const stop of element("stage").querySelectorAll(".stop")) stop.remove();
  for (const key of Object.keys(view.scene.boxes)) {
    if (breakpoints.has(`${view.scene.key}/${key}`)) mark(element(key));
  }
}

// Scroll to the highlighted box, and to the changed boxes if all of them fit.
function intoView(node, written) {
  const stage = element("stage");
  const outer = stage.getBoundingClientRect();
  const margin = 24;
  const all = around([node, ...written]);
  const width = all.right - all.left + 2 * margin;
  const height = all.bottom - all.top + 2 * margin;
  const inner = width < outer.width && height < outer.height ? all : around([node]);
  if (inner.left < outer.left + margin || inner.right > outer.right - margin) {
    stage.scrollLeft += (inner.left + inner.right - outer.left - outer.right) / 2;
  }
  if (inner.top < outer.top + margin || inner.bottom > outer.bottom - margin) {
    stage.scrollTop += (inner.top + inner.bottom - outer.top - outer.bottom) / 2;
  }
}

function around(nodes) {
  const boxes = nodes.map((node) => node.getBoundingClientRect());
  return {
    left: Math.min(...boxes.map((box) => box.left)),
    right: Math.max(...boxes.map((box) => box.right)),
    top: Math.min(...boxes.map((box) => box.top)),
    bottom: Math.max(...boxes.map((box) => box.bottom)),
  };
}

function mark(node) {
  const box = node.getBBox();
  const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  dot.setAttribute("class", "stop");
  dot.setAttribute("cx", box.x + 3);
  dot.setAttribute("cy", box.y + 3);
  dot.setAttribute("r", 5.5);
  node.append(dot);
}

const isBehindTheTurn = () => ["backward", "update"].includes(view.scene.moments[view.position].phase);

function choose(key) {
  pause();
  view.chosen = key;
  const backward = isBehindTheTurn();
  const stepOf = (phase) =>
    view.scene.moments.findIndex(
      (moment) => moment.phase === phase && [key, `${key}op`].includes(moment.box) && moment.lines.length
    );
  const step = stepOf(backward ? "backward" : "forward");
  go(step < 0 ? view.position : step);
}

function tell() {
  const box = view.scene.boxes[view.chosen];
  element("chosen").hidden = !box;
  element("hint").hidden = Boolean(box);
  for (const node of element("stage").querySelectorAll("g.node")) {
    node.classList.toggle("chosen", node.id === view.chosen);
  }
  const key = stopKey();
  element("break").disabled = !key;
  element("break").setAttribute("aria-pressed", breakpoints.has(`${view.scene.key}/${key}`));
  if (!box) return;
  element("name").textContent = box.title;
  const arrived = box.told.arrived.filter(([at]) => at <= view.position).map(([, line]) => line);
  const shown = arrived.slice(0, MAX_CONTRIBUTIONS);
  if (arrived.length > MAX_CONTRIBUTIONS) shown.push(`  … ${say(`${arrived.length - MAX_CONTRIBUTIONS} more`)}`);
  if (arrived.length) shown.unshift(`grad = ${gradientNow(view.chosen)}, the sum of`);
  element("told").replaceChildren(...[...box.told.lines, ...shown].map(item));
  element("open").hidden = !box.opens;
  const place = freePlace(view.chosen);
  element("edit").hidden = place === null;
  if (place !== null && document.activeElement !== element("value")) {
    element("value").value = String(numbers.data[place]);
  }
}

const MAX_CONTRIBUTIONS = 6; // that are listed

// The gradient of a node at the current moment.
function gradientNow(key) {
  const node = key.replace(/op$/, "");
  let text = "–";
  for (const past of view.scene.moments.slice(0, view.position + 1)) text = past.writes[node]?.grad ?? text;
  return text;
}

// The index in the program of a leaf that can be changed, or null.
function freePlace(key) {
  const place = program && view.scene.templates && /^n\d+$/.test(key) ? Number(key.slice(1)) : null;
  return place !== null && program.isFree[place] ? place : null;
}

// Recompute the program with new numbers in some leaves, and update all texts.
export function change(changes) {
  recompute(changes);
  const blamed = blamedPlaces(program, numbers.data);
  const isAlarming = (key, row, text) => (row === "data" ? blamed.has(Number(key.slice(1))) : /inf|nan/.test(text));
  view.scene.templates.moments.forEach((template, i) => {
    const moment = view.scene.moments[i];
    moment.title = filled(template.title);
    moment.lines = template.lines.map((line) => filled(line));
    moment.alarms = [];
    for (const [key, rows] of Object.entries(template.writes)) {
      moment.writes[key] = Object.fromEntries(Object.entries(rows).map(([row, text]) => [row, filled(text)]));
      if (Object.entries(moment.writes[key]).some(([row, text]) => isAlarming(key, row, text))) moment.alarms.push(key);
    }
  });
  for (const [key, arrived] of Object.entries(view.scene.templates.told)) {
    if (key in view.scene.boxes) view.scene.boxes[key].told.arrived = arrived.map(([at, line]) => [at, filled(line)]);
  }
  go(view.position);
}

// The breakpoints of a result are those of its operation.
function stopKey() {
  const key = view.chosen || view.scene.moments[view.position].box;
  return view.scene.boxes[`${key}op`] ? `${key}op` : key;
}

function toggleBreak() {
  const key = stopKey();
  if (!key) return;
  const name = `${view.scene.key}/${key}`;
  if (!breakpoints.delete(name)) breakpoints.add(name);
  go(view.position);
}

function isStop(at) {
  const { box } = view.scene.moments[at];
  if (!box) return false;
  return breakpoints.has(`${view.scene.key}/${box}`) || (everyOperation !== "" && view.scene.boxes[box].title === everyOperation);
}

function open(key) {
  const part = view.scene.boxes[key]?.opens;
  if (part === null || part === undefined || part === "") return;
  pause();
  view.pinned = null;
  const backward = isBehindTheTurn();
  const inside = byKey.get(part);
  const at = inside.moments.findIndex((moment) => moment.phase === (backward ? "backward" : "forward"));
  show(part, Math.max(0, at));
}

function close() {
  if (view.pinned !== null) {
    view.pinned = null;
    go(view.position);
    return;
  }
  if (view.scene.around === null) return;
  const inside = view.scene.key;
  view.pinned = view.scene.pinned ?? null;
  show(view.scene.around);
  view.chosen = Object.keys(view.scene.boxes).find((key) => view.scene.boxes[key].opens === inside) ?? null;
  tell();
}

function play() {
  if (timer) return pause();
  if (view.position === view.scene.moments.length - 1) go(0);
  document.body.classList.add("playing");
  element("play").setAttribute("aria-label", say("Pause"));
  timer = setInterval(() => {
    go(view.position + 1);
    if (isStop(view.position) || view.position === view.scene.moments.length - 1) pause();
  }, PACE);
}

export function pause() {
  clearInterval(timer);
  timer = null;
  document.body.classList.remove("playing");
  element("play").setAttribute("aria-label", say("Play"));
}

function toBreakpoint() {
  let at = view.position + 1;
  while (at < view.scene.moments.length - 1 && !isStop(at)) at += 1;
  go(at);
}

const onClick = (id, act) => element(id).addEventListener("click", act);
const byHand = (act) => () => { pause(); act(); };
onClick("first", byHand(() => go(0)));
onClick("previous", byHand(() => go(view.position - 1)));
onClick("play", play);
onClick("next", byHand(() => go(view.position + 1)));
onClick("continue", byHand(toBreakpoint));
onClick("open", () => open(view.chosen));
onClick("break", toggleBreak);
element("slider").addEventListener("input", byHand(() => go(Number(element("slider").value))));
element("operation").addEventListener("change", (event) => { everyOperation = event.target.value; });

const keys = {
  ArrowRight: byHand(() => go(view.position + 1)),
  ArrowLeft: byHand(() => go(view.position - 1)),
  Home: byHand(() => go(0)),
  End: byHand(() => go(view.scene.moments.length - 1)),
  " ": play,
  c: byHand(toBreakpoint),
  b: toggleBreak,
  z: zoomIntoTouched,
  Enter: () => open(view.chosen ?? view.scene.moments[view.position].box),
  Escape: close,
  "+": () => zoomBy(1.4),
  "-": () => zoomBy(1 / 1.4),
  0: () => zoomBy(0),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, #value")) return;
  const cell = event.target.closest("td[data-at]");
  if (cell && (moveInTable(cell, event.key) || (event.key === "Enter" && (zoomIntoTouched(), true)))) {
    event.preventDefault();
    return;
  }
  if (event.target === alpha && event.key.startsWith("Arrow")) return;
  const node = event.target.closest("g.node");
  if (node && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    if (event.key === "Enter" && view.scene.boxes[node.id].opens) open(node.id);
    else choose(node.id);
    return;
  }
  if (event.target.matches("button") && (event.key === "Enter" || event.key === " ")) return;
  if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
});

// The picture can be dragged.
element("stage").addEventListener("pointerdown", (down) => {
  if (down.pointerType !== "mouse" || down.target.closest("g.node")) return;
  const stage = element("stage");
  const start = [stage.scrollLeft + down.clientX, stage.scrollTop + down.clientY];
  const drag = (move) => {
    stage.scrollLeft = start[0] - move.clientX;
    stage.scrollTop = start[1] - move.clientY;
  };
  addEventListener("pointermove", drag);
  addEventListener("pointerup", () => removeEventListener("pointermove", drag), { once: true });
});

// The sentence

export function chooseToken(place) {
  view.token = place;
  drawSentence();
  markToken();
}

export function drawSentence() {
  const box = element("sentence");
  box.hidden = !DATA.sentence;
  if (!DATA.sentence) return;
  const { rows, targets, likeliest, logits } = DATA.sentence;
  const batch = lead.batch ?? 0;
  const words = rows[batch].map((text, i) => {
    const word = make("button", { text, "aria-pressed": String(i === view.token), title: `${say("position")} ${i}` });
    word.addEventListener("click", () => chooseToken(i));
    return word;
  });
  const target = targets[batch]?.[view.token] ?? "";
  element("tokens").replaceChildren(...words);
  if (target && view.token === words.length - 1) element("tokens").append(make("span", { class: "target", text: `[${target}]` }));
  element("asked").textContent = target ? `${say("next")}: ${target}` : "";
  const whole = byKey.get("");
  const at = view.scene.key === "" ? view.position : positions.get("") ?? 0;
  const [, dataAt] = whole.known.find(([id]) => id === logits) ?? [];
  const isKnown = dataAt !== undefined && dataAt !== null && dataAt <= at;
  const bars = isKnown ? likeliest[batch][view.token] : [];
  element("likeliest").hidden = !bars.length;
  element("likeliest").replaceChildren(
    ...bars.map(([text, share]) =>
      make("li", { class: text === target ? "right" : null },
        make("span", { text }),
        make("i", { style: `--share: ${(100 * share).toFixed(1)}%` }),
        make("span", { text: `${(100 * share).toFixed(1)} %` })
      )
    )
  );
}

// Changing a leaf

element("value").addEventListener("change", () => {
  const place = freePlace(view.chosen);
  const text = element("value").value.trim().replace("−", "-");
  if (place !== null && text !== "" && !Number.isNaN(Number(text))) change([[place, Number(text)]]);
});

onClick("larger", () => zoomBy(1.4));
onClick("smaller", () => zoomBy(1 / 1.4));
onClick("whole", () => zoomBy(0));
onClick("language", () => {
  speak(language === "ko" ? "en" : "ko");
  address.set("lang", language);
  show(view.scene.key, view.position);
});

addEventListener("resize", () => drawMatrices());
printing.addEventListener("change", () => drawMatrices());
new ResizeObserver(() => fit()).observe(element("stage"));
addEventListener("message", (event) => {
  const step = event.data?.autolm?.step;
  if (!Number.isInteger(step) || event.source !== window.parent) return;
  if (view.scene.key !== "" && byKey.has("")) show("");
  if (step !== view.position) go(step);
});
addEventListener("hashchange", () => {
  const place = new URLSearchParams(location.hash.slice(1));
  if (location.hash !== lastAddress) visit(place);
});

// Show the position in the address: player.html#step=8, #open=blocks.0.attention, or both.
function visit(place) {
  const scope = place.get("open");
  const step = place.get("step") ?? (/^\d+$/.test([...place.keys()][0] ?? "") ? [...place.keys()][0] : null);
  const part = byKey.has(scope) ? scope : "";
  view.pinned = scope;
  const [id, flat] = (place.get("zoom") ?? "").split(",").map(Number);
  if (opensAsGraph(id) && flat in matrices[id].data) {
    show(part, Infinity); // the last moment
    zoomInto(id, flat);
    go(Number(step) || 0);
  } else show(part, step === null ? lastOf(part, scope) : Number(step) || 0);
}

// The last forward moment inside a part.
function lastOf(part, scope) {
  if (scope === null) return undefined;
  const { moments, known } = byKey.get(part);
  if (part) return moments.findLastIndex((moment) => moment.phase === "forward");
  const inside = known.filter(([id]) => isWithin(matrices[id].scope, scope)).map(([, dataAt]) => dataAt ?? 0);
  return Math.max(0, ...inside);
}

speak(language);
visit(address);
