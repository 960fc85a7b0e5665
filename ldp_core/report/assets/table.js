// ---- The table of items: rows are made as they come into sight ----

const CHUNK = 40; // rows made at once: as many as a screen of 2160 pixels shows
const table = byId("table");
const listing = { order: items.map((_, n) => n), shown: [], made: 0, current: 0 };
const rowOf = new Map();

function makePictures(item) {
  const cell = make("td", "pictures");
  for (const file of item.thumbs) {
    const img = make("img");
    img.alt = `${titles[file.split("-thumb")[0]]} of ${labelOf(item)}`;
    img.loading = "lazy";
    img.decoding = "async";
    [img.width, img.height] = [72, 52];
    img.src = addressOf(item, file);
    cell.append(img);
  }
  if (!item.thumbs.length) cell.append(make("span", "note", "no pictures"));
  return cell;
}

function makeName(item) {
  const cell = make("th", "name");
  cell.scope = "row";
  const button = make("button", "open", labelOf(item));
  Object.assign(button, { type: "button", title: item.id, tabIndex: -1 });
  cell.append(button);
  if (routes[item.route]) cell.append(" ", make("span", "badge", routes[item.route]));
  return cell;
}

function makeCell(item, cell, k) {
  const first = cell.place === 0 ? "first" : "";
  const td = make("td", `g${cell.group} ${first} ${marks[item.marks[k]]}`, showValue(item.values[k], cell));
  const { label, detail, subjects } = cell.column;
  td.dataset.label = [label, detail, subjects[cell.place]].filter(Boolean).join(" ");
  td.hidden = !cell.column.shown;
  return td;
}

function makeRange(item, name) {
  const td = make("td", "range", item.maps[name]?.range);
  td.dataset.label = `${titles[name]}, 5–95 %`;
  return td;
}

function makeRow(n) {
  const item = items[n];
  const row = make("tr", "item");
  row.dataset.n = n;
  row.append(makePictures(item), makeName(item), make("td", "text status", item.status));
  row.append(...ranges.map((name) => makeRange(item, name)), ...cells.map((cell, k) => makeCell(item, cell, k)));
  return row;
}

function makeHeading({ conditions, count }) {
  const row = make("tr", "conditions");
  const cell = make("th", "", conditions);
  Object.assign(cell, { colSpan: 3 + ranges.length + cells.length, scope: "rowgroup" });
  cell.append(make("span", "note", `${countItems(count)}, ranked separately`));
  row.append(cell);
  return row;
}

// Rows up to a place in the order; they stay, so that going back costs nothing.
function makeRows(until) {
  const body = table.tBodies[0];
  for (const n of listing.shown.slice(listing.made, until)) {
    const before = listing.shown[listing.made - 1];
    const { group } = items[n];
    if (groups.length > 1 && (listing.made === 0 || items[before].group !== group)) body.append(makeHeading(groups[group]));
    if (!rowOf.has(n)) rowOf.set(n, makeRow(n));
    listing.made += 1;
    rowOf.get(n).ariaRowIndex = listing.made + 2;
    body.append(rowOf.get(n));
  }
}

// ---- Order, filter, columns ----

const keyOf = (n, key) => {
  const item = items[n];
  if (key.startsWith("map:")) return item.maps[key.slice(4)]?.reach ?? null;
  return key === "id" || key === "status" ? item[key] : item.values[key];
};

// By group, then by key; what has no number comes last, and equals keep their order.
const compareBy = (key, sign) => (a, b) => {
  const [x, y] = [keyOf(a, key), keyOf(b, key)];
  const apart = items[a].group - items[b].group || (x === null) - (y === null);
  if (apart || x === null) return apart;
  return sign * (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y);
};

function sortBy(heading) {
  const first = heading.dataset.worst;
  const other = first === "ascending" ? "descending" : "ascending";
  const direction = heading.getAttribute("aria-sort") === first ? other : first;
  byId("order").value = heading.dataset.sort;
  for (const each of all("th[aria-sort]", table)) each.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
  listing.order.sort(compareBy(heading.dataset.sort, direction === "ascending" ? 1 : -1));
  showRows();
}

function isWanted(n, words, chosen) {
  const { id, name, status, worse, route } = items[n];
  const text = `${id} ${name ?? ""} ${status} ${routes[route] ?? ""}`.toLowerCase();
  const unwanted = (byId("only-worse").checked && !worse) || (chosen.length && !chosen.includes(route));
  return !unwanted && words.every((word) => text.includes(word));
}

function showRows() {
  const words = byId("filter").value.trim().toLowerCase().split(/\s+/);
  const chosen = all(".only-route:checked").map((box) => box.value);
  listing.shown = listing.order.filter((n) => isWanted(n, words, chosen));
  listing.made = 0;
  table.tBodies[0].replaceChildren();
  makeRows(CHUNK);
  setCurrent(listing.shown[0]);
  const count = listing.shown.length;
  table.ariaRowCount = count + 2;
  byId("shown").textContent = count === items.length ? "" : `${count} of ${countItems(items.length)}`;
  table.parentElement.scrollTop = 0;
}

function toggleColumns(chip) {
  const column = columns[chip.dataset.group];
  column.shown = !column.shown;
  chip.setAttribute("aria-pressed", column.shown);
  const hide = (row) => { for (const cell of all(`.g${chip.dataset.group}`, row)) cell.hidden = !column.shown; };
  [table.tHead, ...rowOf.values()].forEach(hide);
}

// ---- One row at a time is reached by Tab; arrows move to the others ----

const buttonOf = (n) => rowOf.get(n)?.querySelector(".open");

function setCurrent(n) {
  const before = buttonOf(listing.current);
  if (before) before.tabIndex = -1;
  listing.current = n;
  if (buttonOf(n)) buttonOf(n).tabIndex = 0;
}

function focusRow(n) {
  makeRows(listing.shown.indexOf(n) + 1);
  setCurrent(n);
  buttonOf(n)?.focus();
}

function moveRow(event) {
  const at = listing.shown.indexOf(listing.current);
  const last = listing.shown.length - 1;
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 10, PageUp: at - 10, Home: 0, End: last }[event.key];
  if (to === undefined || !event.target.matches(".open")) return;
  event.preventDefault();
  focusRow(listing.shown[clamp(to, 0, last)]);
}

function startTable() {
  for (const heading of all("th[data-sort]", table)) heading.querySelector("button").addEventListener("click", () => sortBy(heading));
  byId("order").addEventListener("change", ({ target }) => sortBy(table.querySelector(`th[data-sort="${target.value}"]`)));
  for (const chip of all(".chip")) chip.addEventListener("click", () => toggleColumns(chip));
  byId("filter").addEventListener("input", showRows);
  byId("only-worse").addEventListener("change", showRows);
  for (const box of all(".only-route")) box.addEventListener("change", showRows);
  table.addEventListener("keydown", moveRow);
  table.addEventListener("click", (event) => {
    const row = event.target.closest("tr.item");
    if (row && !getSelection().toString()) openItem(Number(row.dataset.n));
  });
  const end = byId("table-end");
  const box = table.parentElement; // on a phone it does not scroll, the page does
  const watcher = new IntersectionObserver(([entry]) => {
    if (!entry.isIntersecting || listing.made >= listing.shown.length) return;
    makeRows(listing.made + CHUNK);
    watcher.unobserve(end);
    watcher.observe(end);
  }, { root: getComputedStyle(box).overflowY === "visible" ? null : box, rootMargin: "0px 0px 600px" }); // made about ten rows before they come into sight
  watcher.observe(end);
  addEventListener("beforeprint", () => makeRows(items.length));
  showRows();
}
