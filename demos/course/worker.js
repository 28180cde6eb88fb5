// Python in the page: Pyodide's core from the build itself, with autolm's engine and the marking.
import { loadPyodide } from "./pyodide/pyodide.mjs";

// A page that is sent a million lines answers nobody, not even who presses Stop.
const MOST_LINES = 1000;
const MOST_SIGNS = 10000; // of a line
let lines = 0;
let begun = ""; // a line that has no end yet
const decoder = new TextDecoder();

function write(bytes) {
  const whole = (begun + decoder.decode(bytes, { stream: true })).split("\n");
  begun = whole.pop();
  whole.forEach(tell);
  return bytes.length;
}

function tell(line) {
  lines += 1;
  if (lines <= MOST_LINES) postMessage({ line: line.length > MOST_SIGNS ? line.slice(0, MOST_SIGNS) + "…" : line });
}

function tellTheRest(python) {
  python.runPython("import sys; sys.stdout.flush()");
  if (begun) tell(begun);
  begun = "";
  if (lines > MOST_LINES) postMessage({ more: lines - MOST_LINES });
}

const ready = (async () => {
  const python = await loadPyodide({
    indexURL: new URL("pyodide/", import.meta.url).href,
  });
  python.setStdout({ write, isatty: true });
  python.setStderr({ write, isatty: true });
  const archive = await (await fetch(new URL("autolm.zip", import.meta.url))).arrayBuffer();
  python.unpackArchive(archive, "zip", { extractDir: "/lib/course" });
  python.runPython("import sys; sys.path.insert(0, '/lib/course')");
  postMessage({ ready: true });
  return python;
})();

onmessage = async ({ data }) => {
  const python = await ready;
  const say = (text) => {
    const { speak, say } = python.pyimport("autolm.outside.language");
    speak(data.language);
    return say(text);
  };
  lines = 0;
  const globals = python.toPy({ __name__: "__main__" });
  try {
    if (data.exercise) {
      const { mark, mark_building } = python.pyimport("marking");
      const marked = data.tests ? mark_building(data.source, data.tests, data.language) : mark(data.source, data.exercise, data.language);
      const [right, why] = marked.toJs();
      tellTheRest(python);
      postMessage({ verdict: right ? "right" : "wrong", why: say(why) });
    } else {
      await python.runPythonAsync(data.source, { globals });
      tellTheRest(python);
    }
  } catch (error) {
    tellTheRest(python);
    const told = String(error.message).trim().split("\n");
    const line = told.findLast((each) => each.includes('"<exec>", line'))?.match(/line (\d+)/)[1];
    const missing = told.find((each) => each.includes("ModuleNotFoundError"));
    postMessage({ error: say(missing ?? told.at(-1)), at: line, missing: Boolean(missing) });
  } finally {
    postMessage({ done: true });
  }
};
