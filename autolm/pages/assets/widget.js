// The notebook widget: the page in a frame, with the messages that any embedding page can use.
function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.title = "backprop player";
  frame.style.cssText = "border:0;width:100%;height:680px";
  frame.setAttribute("sandbox", "allow-scripts");
  const tell = () => frame.contentWindow?.postMessage({ autolm: { step: model.get("step") } }, "*");
  const hear = (event) => {
    const step = event.data?.autolm?.step;
    if (event.source !== frame.contentWindow || !Number.isInteger(step)) return;
    if (step === model.get("step")) return;
    model.set("step", step);
    model.save_changes();
  };
  frame.addEventListener("load", tell);
  addEventListener("message", hear);
  model.on("change:step", tell);
  frame.srcdoc = model.get("html");
  el.append(frame);
  return () => {
    removeEventListener("message", hear);
    model.off("change:step", tell);
  };
}

export default { render };
