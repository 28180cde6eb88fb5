// Programs run in the page, exercises and predictions marked. Python (Pyodide's core) runs in a
// worker, started at the first press and kept; Stop ends the worker, whatever the program does.
// Programs, answers and right verdicts are kept in this browser, by page.

import { numberOf } from "./numbers.js";

const korean = document.documentElement.lang === "ko";
const words = korean
  ? { starting: "파이썬을 준비하는 중…", running: "실행 중…", solved: "맞힌 문제 {} / {}", erase: "저장된 프로그램과 답을 모두 지울까요?", stopped: "■ 멈췄습니다", right: "정답입니다", wrong: "다시 생각해 보세요",
      number: "숫자를 입력하세요", exact: "계산된 값", more: "… {}줄 더", at: "{}번째 줄: ",
      missing: "이 페이지의 파이썬에는 표준 라이브러리와 Value만 있습니다. NumPy와 Tensor는 노트북을 내려받아 쓰세요", disk: "이 셀은 웹 주소에서 열었을 때만 실행됩니다: python -m http.server" }
  : { starting: "Python is starting…", running: "running…", solved: "{} of {} exercises solved", erase: "Erase all stored programs and answers?", stopped: "■ stopped", right: "right", wrong: "not yet: think again",
      number: "type a number", exact: "computed", more: "… {} more lines", at: "line {}: ",
      missing: "Python in this page has its standard library and Values; for NumPy and Tensors, download the notebook", disk: "this runs when the page comes from a server: python -m http.server" };

const STORE = "autolm course";
const page = location.pathname.split("/").at(-1);

function stored() {
  try {
    return JSON.parse(localStorage.getItem(STORE)) ?? {};
  } catch {
    return {}; // a browser that keeps nothing: answers live as long as the page
  }
}

function keep(name, value) {
  const all = stored();
  all[page] = { ...all[page], [name]: value };
  try {
    localStorage.setItem(STORE, JSON.stringify(all));
  } catch {
    // as above
  }
}

const recall = (name) => stored()[page]?.[name];

let worker = null;
let ready = false; // whether Python has started
let running = null; // the cell whose program runs

function start(root) {
  ready = false;
  worker = new Worker(new URL(root + "shared/worker.js", location.href), { type: "module" });
  worker.onmessage = ({ data }) => {
    const cell = running;
    if (data.ready) ready = true;
    if (data.ready && cell?.querySelector(".out").dataset.waiting) cell.querySelector(".out").textContent = words.running;
    if (!cell || data.ready) return;
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
  if (verdict === "right") keep(`✓ ${cell.dataset.exercise}`, true);
  cell.querySelector(".out").textContent += (verdict === "right" ? "✓ " : "✗ ") + words[verdict] + "\n" + why + "\n";
  const kept = document.querySelector(`template[data-solution-of="${cell.dataset.exercise}"]`);
  if (kept) kept.replaceWith(kept.content);
}

function stop(cell) {
  worker.terminate();
  worker = null;
  const out = cell.querySelector(".out");
  if (out.dataset.waiting) out.textContent = "";
  delete out.dataset.waiting;
  out.textContent += words.stopped;
  rest(cell);
}

for (const [number, cell] of document.querySelectorAll(".cell-to-run").entries()) {
  const text = cell.querySelector("textarea");
  const name = `${cell.dataset.exercise ?? "program"} ${number} ${korean ? "ko" : "en"}`;
  const button = cell.querySelector("[data-run]");
  const given = text.value;
  text.value = recall(name) ?? given;
  if (recall(`✓ ${cell.dataset.exercise}`)) {
    cell.dataset.verdict = "right";
    cell.querySelector(".out").textContent = `✓ ${words.right}\n`;
  }
  text.oninput = () => keep(name, text.value);
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
    out.textContent = ready ? words.running : words.starting;
    out.dataset.waiting = "1";
    const asked = { source: text.value, language: document.documentElement.lang };
    worker.postMessage(cell.dataset.exercise ? { ...asked, exercise: given, tests: cell.dataset.tests } : asked);
  };
  // Python takes seconds to start: it begins when somebody comes near.
  cell.onpointerenter = cell.onfocusin = () => {
    if (!worker && location.protocol !== "file:") start(cell.dataset.root);
  };
  cell.querySelector("[data-reset]").onclick = () => {
    if (running === cell) stop(cell);
    text.value = given;
    keep(name, undefined);
    cell.querySelector(".out").textContent = "";
    delete cell.dataset.verdict;
    text.focus();
  };
  let leaving = false; // Tab indents until Esc is pressed, for whoever moves by keyboard
  text.onfocus = () => (leaving = false);
  text.onkeydown = (event) => {
    if (event.key === "Escape") leaving = true;
    if (event.key === "Tab" && !event.shiftKey && !leaving) {
      event.preventDefault();
      text.setRangeText("    ", text.selectionStart, text.selectionEnd, "end");
      keep(name, text.value);
    }
    if (event.key === "Enter" && (event.shiftKey || event.ctrlKey)) {
      event.preventDefault();
      if (running !== cell) button.click();
    }
  };
}

for (const [number, form] of document.querySelectorAll("form.predict").entries()) {
  const helps = [...form.parentElement.querySelectorAll(".help")];
  form.querySelector("input").value = recall(`number ${number}`) ?? "";
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
    keep(`number ${number}`, form.querySelector("input").value);
    if (right) keep(`✓ number ${number}`, true);
    const shown = String(Number(truth.toPrecision(12))).replace("-", "−");
    const exactly = `(${words.exact} ${shown.length > 12 ? Number(truth.toPrecision(6)) : shown})`;
    if (!right) wrong += 1;
    for (const help of helps.slice(0, right ? helps.length : wrong - 1)) help.classList.add("open");
    const told = right || wrong > 2 ? ` ${exactly}` : "";
    said.textContent = (right ? `✓ ${words.right}` : `✗ ${words.wrong}`) + told;
  };
}

// Answers to choose from: opening the right one counts as solved.
for (const [number, box] of document.querySelectorAll(".choose").entries()) {
  for (const choice of box.querySelectorAll("[data-choice]")) {
    choice.ontoggle = () => {
      if (choice.open && choice.dataset.choice === "right") keep(`✓ choice ${number}`, true);
    };
  }
}

for (const [number, area] of document.querySelectorAll("textarea.write").entries()) {
  area.value = recall(`words ${number}`) ?? "";
  area.oninput = () => keep(`words ${number}`, area.value);
}

// How many exercises are solved; all that is kept as one text to hand in; and a reset.
for (const box of document.querySelectorAll(".progress")) {
  const show = () => {
    const solved = Object.values(stored()).flatMap(Object.keys).filter((name) => name.startsWith("✓"));
    box.querySelector("progress").value = solved.length;
    box.querySelector("output").textContent = words.solved.replace("{}", solved.length).replace("{}", box.dataset.total);
  };
  box.querySelector("[data-download]").onclick = () => {
    const text = Object.entries(stored()).sort().map(([name, kept]) =>
      [`# ${name}`, ...Object.entries(kept).map(([key, value]) => (value === true ? key : `## ${key}\n${value}`))].join("\n\n"));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text.join("\n\n") + "\n"], { type: "text/plain" }));
    link.download = "autolm-course.txt";
    link.click();
    URL.revokeObjectURL(link.href);
  };
  box.querySelector("[data-erase]").onclick = () => {
    if (confirm(words.erase)) localStorage.removeItem(STORE);
    show();
  };
  show();
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
