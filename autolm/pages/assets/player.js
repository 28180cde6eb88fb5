// The player: shows one moment of one scene, and goes from moment to moment.
// A scene is a picture with its moments; a part that opens is a scene of its own.
"use strict";

const { scenes } = JSON.parse(document.getElementById("data").textContent);
const byKey = new Map(scenes.map((scene) => [scene.key, scene]));
const element = (id) => document.getElementById(id);
const HINT = "Choose a node: its step, and how its gradient adds up.";
const HINT_OF_PARTS = "Choose a box to go to its step; a closed part opens.";
const PACE = 900; // milliseconds from moment to moment while playing

let scene = scenes[0];
let position = 0;
let chosen = null; // the key of a box
let timer = null;
const positions = new Map(); // where each scene was left
const breakpoints = new Set(); // "scene/box"
let everyOperation = "";

function show(key, at) {
  positions.set(scene.key, position);
  scene = byKey.get(key);
  chosen = null;
  element("stage").innerHTML = scene.svg;
  document.body.classList.toggle("wide", scene.isWide);
  element("note").textContent = scene.notes.join(" · ");
  fit(element("stage").firstElementChild);
  prepare();
  element("slider").max = scene.moments.length - 1;
  const turn = scene.moments.findIndex((moment) => moment.phase === "backward");
  element("turn").hidden = turn < 0;
  element("turn").style.left = `calc(8px + (100% - 16px) * ${turn / (scene.moments.length - 1)})`;
  element("crumbs").replaceChildren(...crumbs());
  element("hint").textContent = scene.isWide ? HINT : HINT_OF_PARTS;
  operations();
  go(at ?? positions.get(key) ?? 0);
}

function prepare() {
  for (const node of element("stage").querySelectorAll("g.node")) {
    const box = scene.boxes[node.id];
    if (!box) continue;
    node.classList.add(box.kind);
    const texts = [...node.querySelectorAll("text")];
    box.rows.forEach((row, i) => {
      const value = texts[texts.length - 2 * (box.rows.length - i) + 1];
      value.dataset.row = row;
      value.classList.add("value");
    });
    if (box.kind === "more") continue;
    widest(node, "stroke").classList.add("border");
    widest(node, "fill").classList.add("ground");
    node.setAttribute("tabindex", "0");
    node.setAttribute("role", "button");
    node.setAttribute("aria-label", box.title + (box.opens ? ", opens" : ""));
    node.addEventListener("click", () => (box.opens ? open(node.id) : choose(node.id)));
  }
}

// The outermost line of a box, or its ground; the badges inside have lines and grounds of their own.
function widest(node, paint) {
  const forms = [...node.querySelectorAll("path, ellipse, polygon")];
  const isDrawn = (form) => !["none", "transparent"].includes(form.getAttribute(paint));
  const width = (form) => (isDrawn(form) ? form.getBBox().width : 0);
  return forms.reduce((most, form) => (width(form) > width(most) ? form : most));
}

// A picture that is a little too wide shrinks; one that is much too wide is scrolled.
function fit(svg) {
  const [, , width] = svg.getAttribute("viewBox").split(" ").map(Number);
  const natural = (width * 4) / 3;
  svg.removeAttribute("height");
  svg.removeAttribute("width");
  svg.style.width = `clamp(${natural * 0.85}px, 100%, ${natural}px)`;
}

function crumbs() {
  const path = [];
  for (let at = scene; at; at = at.around === null ? null : byKey.get(at.around)) path.unshift(at);
  return path.flatMap((at, i) => {
    const last = at === scene;
    const crumb = document.createElement(last ? "b" : "button");
    crumb.textContent = at.title;
    if (!last) crumb.addEventListener("click", () => show(at.key));
    const gap = document.createElement("span");
    gap.textContent = " › ";
    return i ? [gap, crumb] : [crumb];
  });
}

function operations() {
  const names = new Set();
  for (const box of Object.values(scene.boxes)) {
    if (box.kind === "operation" || box.kind === "rolled") names.add(box.title);
  }
  const none = new Option("–", "");
  element("operation").replaceChildren(none, ...[...names].sort().map((name) => new Option(name)));
  everyOperation = names.has(everyOperation) ? everyOperation : "";
  element("operation").value = everyOperation;
}

function go(at) {
  position = Math.max(0, Math.min(at, scene.moments.length - 1));
  const moment = scene.moments[position];
  document.body.classList.toggle("back", moment.phase === "backward");
  element("slider").value = position;
  element("slider").setAttribute("aria-valuetext", moment.title);
  element("position").textContent = `${position} / ${scene.moments.length - 1}`;
  element("phase").textContent = moment.phase === "start" ? "" : moment.phase;
  element("what").textContent = moment.title;
  element("arithmetic").replaceChildren(...moment.lines.map(item));
  write(moment);
  light(moment);
  tell();
}

function item(line) {
  const entry = document.createElement("li");
  entry.textContent = line;
  return entry;
}

function write(moment) {
  const known = {};
  const alarms = new Set();
  for (const past of scene.moments.slice(0, position + 1)) {
    past.alarms.forEach((key) => alarms.add(key));
    for (const [key, rows] of Object.entries(past.writes)) {
      known[key] = { ...known[key], ...rows };
    }
  }
  for (const [key, box] of Object.entries(scene.boxes)) {
    const node = element(key);
    const values = known[key] ?? {};
    const result = scene.boxes[key.replace(/op$/, "")] ? key.replace(/op$/, "") : key;
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
  for (const key of Object.keys(scene.boxes)) {
    if (breakpoints.has(`${scene.key}/${key}`)) mark(element(key));
  }
}

// Scroll to what is lit, together with what is written where there is room for both.
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

function choose(key) {
  pause();
  chosen = key;
  const backward = scene.moments[position].phase === "backward";
  const stepOf = (phase) =>
    scene.moments.findIndex(
      (moment) => moment.phase === phase && [key, `${key}op`].includes(moment.box) && moment.lines.length
    );
  const step = stepOf(backward ? "backward" : "forward");
  go(step < 0 ? position : step);
}

function tell() {
  const box = scene.boxes[chosen];
  element("chosen").hidden = !box;
  element("hint").hidden = Boolean(box);
  for (const node of element("stage").querySelectorAll("g.node")) {
    node.classList.toggle("chosen", node.id === chosen);
  }
  const key = stopKey();
  element("break").disabled = !key;
  element("break").setAttribute("aria-pressed", breakpoints.has(`${scene.key}/${key}`));
  if (!box) return;
  element("name").textContent = box.title;
  element("told").replaceChildren(...box.told.map(item));
  element("open").hidden = !box.opens;
}

// A result has its steps at its operation; a breakpoint on either is one.
function stopKey() {
  const key = chosen || scene.moments[position].box;
  return scene.boxes[`${key}op`] ? `${key}op` : key;
}

function toggleBreak() {
  const key = stopKey();
  if (!key) return;
  const name = `${scene.key}/${key}`;
  if (!breakpoints.delete(name)) breakpoints.add(name);
  go(position);
}

function isStop(at) {
  const { box } = scene.moments[at];
  if (!box) return false;
  return breakpoints.has(`${scene.key}/${box}`) || (everyOperation !== "" && scene.boxes[box].title === everyOperation);
}

function open(key) {
  const part = scene.boxes[key]?.opens;
  if (part === null || part === undefined || part === "") return;
  pause();
  const backward = scene.moments[position].phase === "backward";
  const inside = byKey.get(part);
  const at = inside.moments.findIndex((moment) => moment.phase === (backward ? "backward" : "forward"));
  show(part, Math.max(0, at));
}

function close() {
  if (scene.around === null) return;
  const inside = scene.key;
  show(scene.around);
  chosen = Object.keys(scene.boxes).find((key) => scene.boxes[key].opens === inside) ?? null;
  tell();
}

function play() {
  if (timer) return pause();
  if (position === scene.moments.length - 1) go(0);
  document.body.classList.add("playing");
  element("play").setAttribute("aria-label", "Pause");
  timer = setInterval(() => {
    go(position + 1);
    if (isStop(position) || position === scene.moments.length - 1) pause();
  }, PACE);
}

function pause() {
  clearInterval(timer);
  timer = null;
  document.body.classList.remove("playing");
  element("play").setAttribute("aria-label", "Play");
}

function toBreakpoint() {
  let at = position + 1;
  while (at < scene.moments.length - 1 && !isStop(at)) at += 1;
  go(at);
}

const onClick = (id, act) => element(id).addEventListener("click", act);
const byHand = (act) => () => { pause(); act(); };
onClick("first", byHand(() => go(0)));
onClick("previous", byHand(() => go(position - 1)));
onClick("play", play);
onClick("next", byHand(() => go(position + 1)));
onClick("continue", byHand(toBreakpoint));
onClick("open", () => open(chosen));
onClick("break", toggleBreak);
element("slider").addEventListener("input", byHand(() => go(Number(element("slider").value))));
element("operation").addEventListener("change", (event) => { everyOperation = event.target.value; });

const keys = {
  ArrowRight: byHand(() => go(position + 1)),
  ArrowLeft: byHand(() => go(position - 1)),
  Home: byHand(() => go(0)),
  End: byHand(() => go(scene.moments.length - 1)),
  " ": play,
  c: byHand(toBreakpoint),
  b: toggleBreak,
  Enter: () => open(chosen ?? scene.moments[position].box),
  Escape: close,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
  const node = event.target.closest("g.node");
  if (node && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    if (event.key === "Enter" && scene.boxes[node.id].opens) open(node.id);
    else choose(node.id);
    return;
  }
  if (event.target.matches("button") && (event.key === "Enter" || event.key === " ")) return;
  if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
});

// player.html#8 opens at step 8.
show(scenes[0].key, Number(location.hash.slice(1)) || 0);
