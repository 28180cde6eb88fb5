// Translation of the texts of the page, and formatting of numbers.
export const DATA = JSON.parse(document.getElementById("data").textContent);
export const element = (id) => document.getElementById(id);
export const address = new URLSearchParams(location.hash.slice(1));
const LINES = dictionary(DATA.korean.lines);
const RULES = dictionary(DATA.korean.rules);
export let language = address.get("lang") ?? (navigator.language.startsWith("ko") ? "ko" : "en");

function literally(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function dictionary(whole) {
  const patterns = Object.entries(whole)
    .filter(([english]) => english.includes("{}"))
    .map(([english, korean]) => [new RegExp(`^${english.split("{}").map(literally).join("(.*)")}$`, "s"), korean]);
  return { whole: Object.assign(Object.create(null), whole), patterns };
}

// A line is looked up in the table, or matched by a pattern. In the inserted parts only the words of
// rules are translated, because other parts are names.
export function say(line) {
  return language === "ko" ? found(LINES, line) ?? rule(line) : line;
}

function found({ whole, patterns }, line) {
  return whole[line] ?? matched(patterns, line);
}

function matched(patterns, line) {
  for (const [pattern, korean] of patterns) {
    const parts = line.match(pattern)?.slice(1);
    let next = 0; // parts are in the order of the English line, or numbered: {1}
    if (parts) return korean.replace(/\{(\d?)\}/g, (_, number) => rule(parts[number || next++]));
  }
  return null;
}

// A rule, or a rule as one side of an equation: `ḡ added to the row of each id = 0.5 → …`.
function rule(text) {
  const exact = (side) => RULES.whole[side] ?? null;
  const pattern = (side) => matched(RULES.patterns, side);
  return exact(text) ?? bySide(text, exact) ?? bySide(text, pattern) ?? pattern(text) ?? text;
}

function bySide(text, translate) {
  for (const { 0: sign, index } of text.matchAll(/ = |: /g)) {
    const sides = [text.slice(0, index), text.slice(index + sign.length)];
    const known = sides.map(translate);
    if (known.some((side) => side !== null)) return known.map((side, i) => side ?? sides[i]).join(sign);
  }
  return null;
}

// The English texts of the elements that the HTML file contains.
const standing = [...document.querySelectorAll("[data-say]")].map((node) => [node, node.textContent]);
const labelled = ["title", "aria-label"].flatMap((name) =>
  [...document.querySelectorAll(`[${name}]`)].map((node) => [node, name, node.getAttribute(name)])
);

export function speak(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
  for (const [node, text] of standing) node.textContent = say(text);
  for (const [node, name, text] of labelled) node.setAttribute(name, say(text));
}

// Round to significant digits, half to even, as in Python.
function rounded(x, digits) {
  const [exact, power] = x.toExponential(60).split("e");
  const end = exact.indexOf(".") + digits;
  const isTie = /^50*$/.test(exact.slice(end)) && "02468".includes(exact[end - 1]);
  return (isTie ? `${exact.slice(0, end)}e${power}` : x.toExponential(digits - 1)).split("e");
}

// Four significant digits, as everywhere in autolm.
export function number(x) {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x < 0 ? "−inf" : "inf";
  if (x === 0) return Object.is(x, -0) ? "−0" : "0";
  const [digits, power] = rounded(x, 4);
  const exponent = Number(power);
  const plain = exponent >= -4 && exponent < 4;
  let text = plain ? Number(`${digits}e${power}`).toFixed(3 - exponent) : digits;
  if (text.includes(".")) text = text.replace(/\.?0+$/, "");
  if (!plain) text += `e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  return text.replaceAll("-", "−");
}

// Format a factor; negative numbers are in brackets.
export function factor(x) {
  const text = number(x);
  return text.startsWith("−") ? `(${text})` : text;
}

// Format the number of a cell, divided by the common power of ten of the matrix.
export function inCell(x, exponent) {
  const scaled = x / 10 ** exponent;
  const size = Math.abs(scaled);
  let text;
  if (Number.isNaN(x)) text = "nan";
  else if (!Number.isFinite(x)) text = x < 0 ? "-∞" : "∞";
  else if (size === 0) text = "0";
  else if (size >= 100) text = scaled.toFixed(0);
  else if (size >= 0.0995) text = scaled.toFixed(2);
  else if (size >= 0.00095) text = scaled.toFixed(3);
  else text = scaled.toExponential(0);
  return text.replaceAll("-", "−");
}

const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";
export function powerOfTen(exponent) {
  const digits = [...String(Math.abs(exponent))].map((digit) => RAISED[digit]).join("");
  return exponent ? `×10${exponent < 0 ? "⁻" : ""}${digits}` : "";
}

// JSON has no infinities and NaN; they are stored as text.
export const readNumber = (x) => (x === "inf" ? Infinity : x === "-inf" ? -Infinity : x === null ? null : Number(x));

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

export function item(line) {
  return make("li", { text: say(line) });
}
