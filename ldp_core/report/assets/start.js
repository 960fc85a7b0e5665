// ---- Bringing it together ----

// Pictures of an item are of one size; the first that arrives tells it.
function learnSize({ target: { naturalWidth: width, naturalHeight: height } }) {
  if (!width || (width === scene.width && height === scene.height)) return;
  Object.assign(scene, { width, height });
  arrange();
}

// A link to an item, and a mark of it in a chart, open it.
function openLinked() {
  const id = location.hash.startsWith("#item=") ? decodeURIComponent(location.hash.slice(6)) : null;
  const n = numberOf.get(id);
  if (n !== undefined && n !== scene.n) openItem(n);
}

function openMarked(event) {
  const n = numberOf.get(event.target.dataset?.item);
  if (n !== undefined) openItem(n);
}

function leaveItem() {
  location.replace("#items");
  if (listing.shown.includes(scene.n)) focusRow(scene.n);
  scene.n = -1;
}

// Marks in charts name their item by its id, the table by the name that its source has for it.
function nameMarks() {
  for (const mark of document.querySelectorAll("[data-item]")) {
    const { id, name } = items[numberOf.get(mark.dataset.item)] ?? {};
    const title = mark.querySelector("title");
    if (name && title) title.textContent = title.textContent.replace(id, name);
  }
}

if (table) {
  nameMarks();
  startTable();
  startControls();
  viewer.addEventListener("load", learnSize, true);
  viewer.addEventListener("close", leaveItem);
  new ResizeObserver(arrange).observe(panes);
  document.querySelector("main").addEventListener("click", openMarked);
  addEventListener("hashchange", openLinked);
  openLinked();
}
