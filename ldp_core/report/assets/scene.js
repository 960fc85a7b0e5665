// ---- One view of the scene, shared by all panes ----

const viewer = byId("viewer");
const panes = byId("panes");
const stage = byId("stage").querySelector(".view");
const divider = byId("divider");
const scene = { n: -1, width: 3, height: 2, x: 0.5, y: 0.5, zoom: 1, fitted: true, wanted: ["input", "restored"] };
const MOST_ZOOM = 8; // screen pixels for each of the picture: more shows nothing new

const fitOf = (view) => Math.min(view.clientWidth / scene.width, view.clientHeight / scene.height);
const oneToOne = () => 1 / (fitOf(stage) * devicePixelRatio);
const wholeZoom = () => Math.min(1, oneToOne()); // the whole picture, never enlarged

// Zoom is relative to the fit of each pane, so that all panes show the same part of the scene.
function draw() {
  for (const view of all(".view", viewer)) {
    const scale = fitOf(view) * scene.zoom;
    const left = view.clientWidth / 2 - scene.x * scene.width * scale;
    const top = view.clientHeight / 2 - scene.y * scene.height * scale;
    view.classList.toggle("coarse", scale * devicePixelRatio >= 2);
    for (const img of all("img", view)) img.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
  }
  byId("zoom").textContent = `${Math.round((scene.zoom / oneToOne()) * 100)} %`;
  byId("overlay").style.clipPath = `inset(0 0 0 ${divider.value}%)`;
  byId("handle").style.left = `${divider.value}%`;
}

// Zoom by a factor, keeping the point of a view that lies under (px, py) where it is.
function zoomBy(factor, view = stage, px = view.clientWidth / 2, py = view.clientHeight / 2) {
  const before = fitOf(view) * scene.zoom;
  scene.zoom = clamp(scene.zoom * factor, wholeZoom(), MOST_ZOOM * oneToOne());
  scene.fitted = false;
  const after = fitOf(view) * scene.zoom;
  panBy((px - view.clientWidth / 2) * (1 / before - 1 / after), (py - view.clientHeight / 2) * (1 / before - 1 / after));
}

// Move the centre by picture pixels.
function panBy(dx, dy) {
  scene.x = clamp(scene.x + dx / scene.width, 0, 1);
  scene.y = clamp(scene.y + dy / scene.height, 0, 1);
  draw();
}

// Move the centre by a share of what the stage shows.
function panByShare(dx, dy) {
  const scale = fitOf(stage) * scene.zoom;
  panBy((dx * stage.clientWidth) / scale, (dy * stage.clientHeight) / scale);
}

function fit() {
  Object.assign(scene, { x: 0.5, y: 0.5, zoom: wholeZoom(), fitted: true });
  draw();
}

function moveDivider(percent) {
  divider.value = clamp(percent, 0, 100);
  draw();
}

// ---- How the panes share the room ----

// The number of columns in which `count` pictures of the scene's shape come out largest.
function bestColumns(count, width, height) {
  const caption = 28;
  const sizeIn = (n) => Math.min(width / n / scene.width, (height / Math.ceil(count / n) - caption) / scene.height);
  const choices = Array.from({ length: count }, (_, n) => n + 1);
  return choices.reduce((best, n) => (sizeIn(n) > sizeIn(best) ? n : best), 1);
}

function arrange() {
  const grid = panes.dataset.layout === "grid";
  const box = grid ? panes : byId("strip");
  const count = byId("strip").childElementCount + (grid ? 1 : 0);
  const columns = bestColumns(count, box.clientWidth, box.clientHeight);
  panes.style.setProperty("--columns", Math.max(columns, 1));
  if (scene.fitted) fit();
  else draw();
}

function setLayout(layout) {
  panes.dataset.layout = layout;
  for (const button of all("button[data-layout]", viewer)) {
    button.setAttribute("aria-pressed", button.dataset.layout === layout);
  }
  arrange();
}
