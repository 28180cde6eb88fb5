// Programs run in the page, exercises and predictions marked. Python (Pyodide's core) runs in a
// worker, started at the first press and kept; Stop ends the worker, whatever the program does.

import { numberOf } from "./numbers.js";

const korean = document.documentElement.lang === "ko";
const words = korean
  ? { starting: "파이썬을 준비하는 중…", stopped: "■ 멈췄습니다", right: "정답입니다", wrong: "다시 생각해 보세요",
      number: "숫자를 입력하세요", exact: "계산된 값", more: "… {}줄 더", at: "{}번째 줄: ",
      missing: "이 페이지의 파이썬에는 표준 라이브러리와 Value만 있습니다. NumPy와 Tensor는 노트북을 내려받아 쓰세요", disk: "이 셀은 웹 주소에서 열었을 때만 실행됩니다: python -m http.server" }
  : { starting: "Python is starting…", stopped: "■ stopped", right: "right", wrong: "not yet: think again",
      number: "type a number", exact: "computed", more: "… {} more lines", at: "line {}: ",
      missing: "Python in this page has its standard library and Values; for NumPy and Tensors, download the notebook", disk: "this runs when the page comes from a server: python -m http.server" };

let worker = null;
let running = null; // the cell whose program runs

function start(root) {
  worker = new Worker(new URL(root + "shared/worker.js", location.href), { type: "module" });
  worker.onmessage = ({ data }) => {
    const cell = running;
    if (!cell) return;
    const out = cell.querySelector(".out");
    if (out.dataset.waiting) {
      delete out.dataset.waiting;
      out.textContent = "";
    }
    if (data.line !== undefined) out.textContent += data.line + "\n";
    if (data.verdict) judge(cell, data.verdict, data.why);
    if (data.error) out.textContent += (data.at ? words.at.replace("{}", data.at) : "") + data.error + "\n";
    if (data.missing) out.textContent += words.missing + "\n";
    if (data.more) out.textContent += words.more.replace("{}", data.more) + "\n";
    if (data.done) rest(cell);
  };
  worker.onerror = () => {
    if (running) {
      running.querySelector(".out").textContent = words.disk;
      rest(running);
    }
    worker = null;
  };
}

function rest(cell) {
  running = null;
  const button = cell.querySelector("[data-run]");
  button.textContent = button.dataset.label;
}

function judge(cell, verdict, why) {
  cell.dataset.verdict = verdict;
  cell.querySelector(".out").textContent += (verdict === "right" ? "✓ " : "✗ ") + words[verdict] + "\n" + why + "\n";
  const kept = document.querySelector(`template[data-solution-of="${cell.dataset.exercise}"]`);
  if (kept) kept.replaceWith(kept.content);
}

function stop(cell) {
  worker.terminate();
  worker = null;
  const out = cell.querySelector(".out");
  delete out.dataset.waiting;
  out.textContent += words.stopped;
  rest(cell);
}

for (const cell of document.querySelectorAll(".cell-to-run")) {
  const text = cell.querySelector("textarea");
  const button = cell.querySelector("[data-run]");
  const given = text.value;
  button.dataset.label = button.textContent;
  button.onclick = () => {
    if (running === cell) return stop(cell);
    if (running) stop(running);
    if (location.protocol === "file:") {
      cell.querySelector(".out").textContent = words.disk;
      return;
    }
    if (!worker) start(cell.dataset.root);
    running = cell;
    delete cell.dataset.verdict;
    button.textContent = cell.dataset.stop;
    const out = cell.querySelector(".out");
    out.textContent = words.starting;
    out.dataset.waiting = "1";
    const asked = { source: text.value, language: document.documentElement.lang };
    worker.postMessage(cell.dataset.exercise ? { ...asked, exercise: given } : asked);
  };
  // Python takes seconds to start: it begins when somebody comes near.
  cell.onpointerenter = cell.onfocusin = () => {
    if (!worker && location.protocol !== "file:") start(cell.dataset.root);
  };
  cell.querySelector("[data-reset]").onclick = () => {
    text.value = given;
    text.focus();
  };
  text.onkeydown = (event) => {
    if (event.key === "Enter" && (event.shiftKey || event.ctrlKey)) {
      event.preventDefault();
      if (running !== cell) button.click();
    }
  };
}

for (const form of document.querySelectorAll("form.predict")) {
  const helps = [...form.parentElement.querySelectorAll(".help")];
  let wrong = 0;
  form.onsubmit = (event) => {
    event.preventDefault();
    const said = form.querySelector("output");
    const { value, exact } = numberOf(form.querySelector("input").value);
    if (!Number.isFinite(value)) {
      said.textContent = words.number;
      return;
    }
    const truth = Number(form.dataset.predict);
    const tolerance = Number(form.dataset.within) * Math.max(1, Math.abs(truth));
    const right = Math.abs(value - truth) <= Math.max(tolerance, exact) * (1 + 1e-9);
    form.dataset.verdict = right ? "right" : "wrong";
    const shown = String(Number(truth.toPrecision(12))).replace("-", "−");
    const exactly = `(${words.exact} ${shown.length > 12 ? Number(truth.toPrecision(6)) : shown})`;
    if (!right) wrong += 1;
    for (const help of helps.slice(0, right ? helps.length : wrong - 1)) help.classList.add("open");
    const told = right || wrong > helps.length ? ` ${exactly}` : "";
    said.textContent = (right ? `✓ ${words.right}` : `✗ ${words.wrong}`) + told;
  };
}

for (const [number, area] of document.querySelectorAll("textarea.write").entries()) {
  const key = `autolm ${location.pathname.split("/").at(-1)} ${number}`;
  try {
    area.value = localStorage.getItem(key) ?? "";
    area.oninput = () => localStorage.setItem(key, area.value);
  } catch {
    // a browser that keeps nothing: the words live as long as the page
  }
}

// A player and the buttons of its moments: they move it, and the one where it stands is marked.
for (const walk of document.querySelectorAll(".walk")) {
  const player = walk.querySelector("iframe");
  const moments = [...walk.querySelectorAll("[data-step]")];
  const mark = (step) => {
    for (const moment of moments) moment.ariaPressed = String(Number(moment.dataset.step) === step);
  };
  for (const moment of moments) {
    moment.onclick = () => {
      const step = Number(moment.dataset.step);
      player.contentWindow.postMessage({ autolm: { step } }, "*");
      mark(step);
    };
  }
  addEventListener("message", ({ data, source }) => {
    if (source === player.contentWindow && Number.isInteger(data?.autolm?.step)) mark(data.autolm.step);
  });
}
