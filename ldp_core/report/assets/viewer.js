// ---- What the viewer shows of an item ----

const under = byId("under");
const over = byId("over");
const nameOf = (file) => file.replace(/\.[^.]*$/, "");

function makeLegend({ scale, low, high, range }) {
  const legend = make("span", "legend");
  legend.append(make("span", "", low), make("i", `scale-${scale}`), make("span", "", high));
  legend.title = `5–95 % of pixels: ${range}`;
  return legend;
}

function makePane(item, file) {
  const name = nameOf(file);
  const pane = make("figure", "pane");
  const caption = make("figcaption");
  const button = make("button", "", titles[name]);
  Object.assign(button, { type: "button", title: `Show ${titles[name]} right of the divider` });
  button.addEventListener("click", () => choose(over, name));
  caption.append(button);
  if (item.maps[name]) caption.append(makeLegend(item.maps[name]));
  const view = make("div", "view");
  const img = make("img");
  Object.assign(img, { src: addressOf(item, file), alt: `${titles[name]} of ${labelOf(item)}`, decoding: "async" });
  view.append(img);
  pane.append(caption, view);
  return pane;
}

// Scores of metrics that have the same subjects stand in one table.
function makeScores(item) {
  const tables = new Map();
  for (const [group, column] of columns.entries()) {
    const key = column.subjects.join("\n");
    if (!tables.has(key)) tables.set(key, makeScoreTable(column.subjects));
    const line = tables.get(key).insertRow();
    const heading = make("th", "", column.unit ? `${column.label} ${column.unit}` : column.label);
    heading.scope = "row";
    if (column.detail) heading.append(make("span", "note", ` ${column.detail}`));
    line.append(heading);
    for (const [k, cell] of cells.entries()) {
      if (cell.group === group) line.append(make("td", marks[item.marks[k]], showValue(item.values[k], cell)));
    }
  }
  return [...tables.values()];
}

function makeScoreTable(subjects) {
  const made = make("table");
  const head = made.createTHead().insertRow();
  head.append(make("td", "", ""));
  for (const text of subjects) {
    const heading = make("th", "number", text);
    heading.scope = "col";
    head.append(heading);
  }
  made.createTBody();
  return made;
}

function choose(select, name) {
  select.value = name;
  scene.wanted = [under.value, over.value];
  drawComparison();
}

function drawComparison() {
  const item = items[scene.n];
  for (const [select, img] of [[under, byId("under-picture")], [over, byId("over-picture")]]) {
    const file = item.files.find((each) => nameOf(each) === select.value);
    if (file) img.src = addressOf(item, file);
    else img.removeAttribute("src");
    img.alt = file ? `${titles[select.value]} of ${labelOf(item)}` : "";
  }
  draw();
}

function fillChoice(select, files, wanted) {
  const names = files.map(nameOf);
  select.replaceChildren(...names.map((name) => new Option(titles[name], name)));
  select.value = names.includes(wanted) ? wanted : names[0];
}

function showItem(n) {
  const item = items[n];
  scene.n = n;
  byId("viewer-title").textContent = labelOf(item);
  const place = `${listing.shown.indexOf(n) + 1} of ${listing.shown.length}`;
  byId("viewer-place").textContent = `${place} · ${item.status}${routes[item.route] ? ` · ${routes[item.route]}` : ""} · ${groups[item.group].conditions}`;
  byId("strip").replaceChildren(...item.files.map((file) => makePane(item, file)));
  stage.classList.toggle("bare", item.files.length === 0);
  byId("scores").replaceChildren(...makeScores(item));
  fillChoice(under, item.files, scene.wanted[0]);
  fillChoice(over, item.files, scene.wanted[1]);
  drawComparison();
  arrange();
  location.replace(`#item=${encodeURIComponent(item.id)}`);
}

function openItem(n) {
  if (!viewer.open) viewer.showModal();
  showItem(n);
  fit();
}

function step(by) {
  const to = listing.shown.indexOf(scene.n) + by;
  if (to >= 0 && to < listing.shown.length) showItem(listing.shown[to]);
}
