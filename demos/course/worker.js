// Python in the page: Pyodide's core from the build itself, with autolm's engine and the marking.
import { loadPyodide } from "./pyodide/pyodide.mjs";

const ready = (async () => {
  const python = await loadPyodide({
    indexURL: new URL("pyodide/", import.meta.url).href,
    stdout: (line) => postMessage({ line }),
    stderr: (line) => postMessage({ line }),
  });
  const archive = await (await fetch(new URL("autolm.zip", import.meta.url))).arrayBuffer();
  python.unpackArchive(archive, "zip", { extractDir: "/lib/course" });
  python.runPython("import sys; sys.path.insert(0, '/lib/course')");
  return python;
})();

onmessage = async ({ data }) => {
  const python = await ready;
  const globals = python.toPy({ __name__: "__main__" });
  try {
    if (data.exercise) {
      const { mark } = python.pyimport("marking");
      const [right, why] = mark(data.source, data.exercise, data.language).toJs();
      postMessage({ verdict: right ? "right" : "wrong", why });
    } else {
      await python.runPythonAsync(data.source, { globals });
    }
  } catch (error) {
    postMessage({ line: String(error.message).trim().split("\n").slice(-2).join("\n") });
  }
  postMessage({ done: true });
};
