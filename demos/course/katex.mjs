// Formulas to HTML, one a line: a JSON list [formula, isDisplayed] in, a JSON object out.
// Started once for a build, by mathematics.py, from the folder in which node_modules stands.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const katex = createRequire(process.cwd() + "/")("katex");

for await (const line of createInterface({ input: process.stdin })) {
  const [formula, displayMode] = JSON.parse(line);
  let answer;
  try {
    answer = { html: katex.renderToString(formula, { displayMode, strict: false }) };
  } catch (error) {
    answer = { error: error.message };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
