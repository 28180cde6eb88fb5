// Reads a number as people write it: 1/3, √12.5, 84,934,656, 8493만 4656, 2·10^3, 50 %, 25걸음, ln 5.

const UNITS = { 만: 1e4, 억: 1e8, 조: 1e12 };

// Return the number and how exactly it was given: 8493만 is meant to the nearest 만.
export function numberOf(text) {
  let exact = 0;
  let written = text.trim().replace(/[−–]/g, "-").replace(/[×·]/g, "*").replace(/÷/g, "/");
  written = written.replace(/(\d)\s+(?=\d{3}(?!\d))/g, "$1"); // 84 934 656
  if (/^[^(]*[1-9]\d{0,2}(,\d{3})+(?!\d)/.test(written)) written = written.replace(/,(?=\d{3}(?!\d))/g, "");
  written = written.replace(/,/g, ".");
  const grouped = [...written.matchAll(/(\d+(?:\.\d+)?)\s*([만억조])\s*/g)];
  if (grouped.length) {
    const rest = written.replace(/(\d+(?:\.\d+)?)\s*[만억조]\s*/g, "").match(/^(-?)\s*(\d*)/);
    const sum = grouped.reduce((total, [, count, unit]) => total + count * UNITS[unit], Number(rest[2]));
    exact = rest[2] ? 0 : UNITS[grouped.at(-1)[2]] / 2;
    return { value: rest[1] ? -sum : sum, exact };
  }
  written = written.replace(/\s*[가-힣]+$/, "").replace(/sqrt/gi, "√");
  const parts = written.match(/\d+\.?\d*(?:e-?\d+)?|\.\d+|ln|π|[-+*/^√()%]|\S/gi) ?? [];
  const value = sum(parts);
  return { value: parts.length ? NaN : value, exact };
}

function sum(parts) {
  let value = product(parts);
  while (parts[0] === "+" || parts[0] === "-") value += (parts.shift() === "+" ? 1 : -1) * product(parts);
  return value;
}

function product(parts) {
  let value = power(parts);
  for (;;) {
    if (parts[0] === "*") parts.shift(), (value *= power(parts));
    else if (parts[0] === "/") parts.shift(), (value /= power(parts));
    else if (/^(√|π|ln|\()/.test(parts[0] ?? "")) value *= power(parts); // 2√3
    else return value;
  }
}

function power(parts) {
  if (parts[0] === "-") return parts.shift(), -power(parts);
  let value = atom(parts);
  if (parts[0] === "%") parts.shift(), (value /= 100);
  if (parts[0] === "^") parts.shift(), (value **= power(parts));
  return value;
}

function atom(parts) {
  const part = parts.shift() ?? "";
  if (part === "√") return Math.sqrt(atom(parts));
  if (part.toLowerCase() === "ln") return Math.log(atom(parts));
  if (part === "π") return Math.PI;
  if (part === "e") return Math.E;
  if (part === "(") {
    const value = sum(parts);
    return parts.shift() === ")" ? value : NaN;
  }
  return part === "" ? NaN : Number(part);
}
