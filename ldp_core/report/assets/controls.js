// ---- The viewer by mouse, touch and keyboard ----

const PAN_SHARE = 0.1; // of what is shown, for each press of an arrow key
const actions = {
  in: () => zoomBy(1.5), out: () => zoomBy(1 / 1.5), fit, one: () => zoomBy(oneToOne() / scene.zoom),
  previous: () => step(-1), next: () => step(1), close: () => viewer.close(),
};
const keys = {
  "+": actions.in, "=": actions.in, "-": actions.out, "0": fit, "1": actions.one,
  ArrowLeft: actions.previous, ArrowRight: actions.next,
  "[": () => moveDivider(Number(divider.value) - 5), "]": () => moveDivider(Number(divider.value) + 5),
  g: () => setLayout(panes.dataset.layout === "grid" ? "focus" : "grid"),
};
const shiftKeys = {
  ArrowLeft: () => panByShare(-PAN_SHARE, 0), ArrowRight: () => panByShare(PAN_SHARE, 0),
  ArrowUp: () => panByShare(0, -PAN_SHARE), ArrowDown: () => panByShare(0, PAN_SHARE),
};

function onKey(event) {
  const action = (event.shiftKey && shiftKeys[event.key]) || keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  const native = event.target.matches("select, input") && event.key.startsWith("Arrow") && !event.shiftKey;
  if (!action || native || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  action();
}

// Where an event lies in the view it is in.
function placeIn(view, { clientX, clientY }) {
  const box = view.getBoundingClientRect();
  return [clientX - box.left, clientY - box.top];
}

function onWheel(event) {
  const view = event.target.closest(".view");
  if (!view) return;
  event.preventDefault();
  // One notch of a wheel is 100 and zooms by 1.2; a pinch on a touchpad arrives as small steps with ctrl.
  zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), view, ...placeIn(view, event));
}

function onDoubleClick(event) {
  const view = event.target.closest(".view");
  if (!view) return;
  if (Math.abs(scene.zoom - oneToOne()) < 1e-6) fit();
  else zoomBy(oneToOne() / scene.zoom, view, ...placeIn(view, event));
}

// Fingers or the mouse button that are down: one pans or moves the divider, two zoom.
const pointers = new Map();
let drag = null;

function onDown(event) {
  const view = event.target.closest(".view");
  if (!view || event.button !== 0) return;
  if (!pointers.size) drag = { view, dividing: event.target === byId("handle") };
  pointers.set(event.pointerId, placeIn(drag.view, event));
  view.setPointerCapture(event.pointerId);
}

function onMove(event) {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const [x, y] = placeIn(drag.view, event);
  const scale = fitOf(drag.view) * scene.zoom;
  if (pointers.size === 2) pinch(event.pointerId, [x, y]);
  else if (drag.dividing) moveDivider((x / drag.view.clientWidth) * 100);
  else panBy((before[0] - x) / scale, (before[1] - y) / scale);
  pointers.set(event.pointerId, [x, y]);
}

function pinch(moved, to) {
  const [, still] = [...pointers].find(([id]) => id !== moved);
  const apart = ([x, y]) => Math.max(Math.hypot(x - still[0], y - still[1]), 1);
  zoomBy(apart(to) / apart(pointers.get(moved)), drag.view, (to[0] + still[0]) / 2, (to[1] + still[1]) / 2);
}

function startControls() {
  for (const button of all("[data-do]", viewer)) button.addEventListener("click", actions[button.dataset.do]);
  for (const button of all("button[data-layout]", viewer)) button.addEventListener("click", () => setLayout(button.dataset.layout));
  for (const select of [under, over]) select.addEventListener("change", () => choose(select, select.value));
  divider.addEventListener("input", draw);
  viewer.addEventListener("keydown", onKey);
  viewer.addEventListener("wheel", onWheel, { passive: false });
  viewer.addEventListener("dblclick", onDoubleClick);
  viewer.addEventListener("pointerdown", onDown);
  viewer.addEventListener("pointermove", onMove);
  for (const type of ["pointerup", "pointercancel"]) viewer.addEventListener(type, (event) => pointers.delete(event.pointerId));
}
