"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, className = "", text = "") => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text) element.textContent = text;
    return element;
  };
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const { titles, items } = JSON.parse(byId("viewer-items").textContent);
  const table = byId("table");
  if (!table) return;

  // ---- The table: sort, filter, columns ----

  const rows = () => all("tr.item", table);
  const rowOf = (n) => table.querySelector(`tr[data-n="${n}"]`);
  const shownRows = () => rows().filter((row) => !row.hidden);

  // Index of a heading's cell in the rows: headings span two lines, so it is counted, not read.
  const sortable = all("th[data-sort]", table);
  const columnOf = (heading) => sortable.indexOf(heading) + 1;

  const keyOf = (row, column, kind) => {
    const cell = row.cells[column];
    if (kind === "text") return cell.textContent.trim();
    return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
  };

  const compareBy = (column, kind, sign) => (a, b) => {
    const [x, y] = [keyOf(a, column, kind), keyOf(b, column, kind)];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (kind === "text" ? x.localeCompare(y, "en", { numeric: true }) : x - y);
  };

  function sortBy(heading) {
    const first = heading.dataset.worst || (heading.dataset.sort === "text" ? "ascending" : "descending");
    const other = first === "ascending" ? "descending" : "ascending";
    const order = heading.getAttribute("aria-sort") === first ? other : first;
    for (const each of sortable) each.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    const compare = compareBy(columnOf(heading), heading.dataset.sort, order === "ascending" ? 1 : -1);
    for (const body of table.tBodies) body.append(...all("tr.item", body).sort(compare));
  }

  function filterRows() {
    const wanted = byId("filter").value.trim().toLowerCase().split(/\s+/);
    const onlyWorse = byId("only-worse").checked;
    let count = 0;
    for (const row of rows()) {
      const text = `${row.cells[1].textContent} ${row.cells[2].textContent}`.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word)) || (onlyWorse && !("worse" in row.dataset));
      count += !row.hidden;
    }
    byId("shown").textContent = count === items.length ? "" : `${count} of ${items.length} items`;
  }

  function toggleColumns(chip) {
    const show = chip.getAttribute("aria-pressed") !== "true";
    chip.setAttribute("aria-pressed", show);
    for (const cell of all(`.g${chip.dataset.group}`, table)) cell.hidden = !show;
  }

  for (const heading of sortable) heading.querySelector("button").addEventListener("click", () => sortBy(heading));
  for (const chip of all(".chip")) chip.addEventListener("click", () => toggleColumns(chip));
  byId("filter").addEventListener("input", filterRows);
  byId("only-worse").addEventListener("change", filterRows);
  table.addEventListener("click", (event) => {
    const row = event.target.closest("tr.item");
    if (row && !getSelection().toString()) openItem(Number(row.dataset.n));
  });

  // ---- The viewer: one view of the scene, shared by all panes ----

  const viewer = byId("viewer");
  const panes = byId("panes");
  const stage = byId("stage").querySelector(".view");
  const wipe = byId("wipe");
  const under = byId("under");
  const over = byId("over");
  const scene = { n: -1, width: 1, height: 1, x: 0.5, y: 0.5, zoom: 1, wanted: ["input", "restored"] };

  const views = () => all(".view", viewer);
  const fitOf = (view) => Math.min(view.clientWidth / scene.width, view.clientHeight / scene.height);
  const oneToOne = () => 1 / (fitOf(stage) * devicePixelRatio);

  // Zoom is relative to the fit of each pane, so that all panes show the same part of the scene.
  function draw() {
    for (const view of views()) {
      const scale = fitOf(view) * scene.zoom;
      const left = view.clientWidth / 2 - scene.x * scene.width * scale;
      const top = view.clientHeight / 2 - scene.y * scene.height * scale;
      view.classList.toggle("coarse", scale * devicePixelRatio >= 2);
      for (const img of all("img", view)) img.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
    }
    byId("zoom").textContent = `${Math.round((scene.zoom / oneToOne()) * 100)} %`;
    byId("curtain").style.clipPath = `inset(0 0 0 ${wipe.value}%)`;
    byId("handle").style.left = `${wipe.value}%`;
  }

  // Zoom by a factor, keeping the point of a view that lies under (px, py) where it is.
  function zoomBy(factor, view = stage, px = view.clientWidth / 2, py = view.clientHeight / 2) {
    const before = fitOf(view) * scene.zoom;
    scene.zoom = clamp(scene.zoom * factor, Math.min(1, oneToOne()), 64);
    const after = fitOf(view) * scene.zoom;
    panBy((px - view.clientWidth / 2) * (1 / before - 1 / after), (py - view.clientHeight / 2) * (1 / before - 1 / after));
  }

  // Move the centre by picture pixels.
  function panBy(dx, dy) {
    scene.x = clamp(scene.x + dx / scene.width, 0, 1);
    scene.y = clamp(scene.y + dy / scene.height, 0, 1);
    draw();
  }

  function fit() {
    Object.assign(scene, { x: 0.5, y: 0.5, zoom: 1 });
    draw();
  }

  function setWipe(percent) {
    wipe.value = clamp(percent, 0, 100);
    draw();
  }

  function setLayout(layout) {
    panes.dataset.layout = layout;
    for (const button of all("[data-layout]", viewer.querySelector("header"))) {
      button.setAttribute("aria-pressed", button.dataset.layout === layout);
    }
    draw();
  }

  // ---- The viewer: what it shows ----

  function makeLegend(blur) {
    const legend = make("span", "legend");
    legend.append(make("span", "", blur.low), make("i", `scale-${blur.kind}`), make("span", "", blur.high));
    legend.title = `5–95 % of pixels: ${blur.range}`;
    return legend;
  }

  function makePane([name, address], blur) {
    const title = titles[name];
    const pane = make("figure", "pane");
    const caption = make("figcaption");
    const button = make("button", "", title);
    button.type = "button";
    button.title = `Show ${title} right of the wipe`;
    button.addEventListener("click", () => choose(over, name));
    caption.append(button);
    if (name === "blur_map" && blur) caption.append(makeLegend(blur));
    const view = make("div", "view");
    const img = make("img");
    img.src = address;
    img.alt = title;
    img.decoding = "async";
    view.append(img);
    pane.append(caption, view);
    return pane;
  }

  // The scores of a row, read from the table; metrics of the same subjects share one.
  function makeScores(row) {
    const tables = new Map();
    for (const group of all("th.group", table)) {
      const among = (root, kind) => all(`${kind}.g${group.dataset.group}`, root);
      const subjects = among(table.tHead, "th:not(.group)").map((heading) => heading.textContent);
      const key = subjects.join("\n");
      if (!tables.has(key)) {
        tables.set(key, make("table"));
        const head = tables.get(key).insertRow();
        for (const text of ["", ...subjects]) head.append(make("th", "number", text));
      }
      const line = tables.get(key).insertRow();
      line.append(make("th", "", group.textContent));
      line.title = group.title;
      for (const cell of among(row, "td")) line.append(make("td", cell.className, cell.textContent));
    }
    return [...tables.values()];
  }

  function choose(select, name) {
    select.value = name;
    scene.wanted = [under.value, over.value];
    drawWipe();
  }

  function drawWipe() {
    const pictures = items[scene.n].pictures;
    for (const [select, img] of [[under, byId("under-picture")], [over, byId("over-picture")]]) {
      const [name, address] = pictures.find(([each]) => each === select.value) || ["", ""];
      if (address) img.src = address;
      else img.removeAttribute("src");
      img.alt = titles[name] || "";
    }
    draw();
  }

  function fillChoice(select, pictures, wanted) {
    select.replaceChildren(...pictures.map(([name]) => new Option(titles[name], name)));
    const names = pictures.map(([name]) => name);
    select.value = names.includes(wanted) ? wanted : names[0];
  }

  function showItem(n) {
    const item = items[n];
    const order = shownRows().map((row) => Number(row.dataset.n));
    scene.n = n;
    byId("viewer-title").textContent = item.id;
    byId("viewer-place").textContent = `${order.indexOf(n) + 1} of ${order.length} · ${item.status} · ${item.conditions}`;
    byId("strip").replaceChildren(...item.pictures.map((picture) => makePane(picture, item.blur)));
    stage.classList.toggle("bare", item.pictures.length === 0);
    byId("scores").replaceChildren(...makeScores(rowOf(n)));
    fillChoice(under, item.pictures, scene.wanted[0]);
    fillChoice(over, item.pictures, scene.wanted[1]);
    drawWipe();
    location.replace(`#item=${encodeURIComponent(item.id)}`);
  }

  function openItem(n) {
    if (!viewer.open) viewer.showModal();
    showItem(n);
    fit();
  }

  function step(by) {
    const order = shownRows().map((row) => Number(row.dataset.n));
    const at = order.indexOf(scene.n) + by;
    if (at >= 0 && at < order.length) showItem(order[at]);
  }

  // Pictures of an item are of one size; the first that arrives tells it.
  viewer.addEventListener("load", (event) => {
    const { naturalWidth: width, naturalHeight: height } = event.target;
    if (!width || (width === scene.width && height === scene.height)) return;
    Object.assign(scene, { width, height });
    draw();
  }, true);

  // ---- The viewer: mouse and keyboard ----

  const actions = {
    in: () => zoomBy(1.5), out: () => zoomBy(1 / 1.5), fit, one: () => zoomBy(oneToOne() / scene.zoom),
    previous: () => step(-1), next: () => step(1), close: () => viewer.close(),
  };
  const keys = {
    "+": actions.in, "=": actions.in, "-": actions.out, "0": fit, "1": actions.one,
    ArrowLeft: actions.previous, ArrowRight: actions.next,
    "[": () => setWipe(Number(wipe.value) - 5), "]": () => setWipe(Number(wipe.value) + 5),
    g: () => setLayout(panes.dataset.layout === "grid" ? "focus" : "grid"),
  };

  viewer.addEventListener("keydown", (event) => {
    const typing = event.target.matches("select, input") && event.key.startsWith("Arrow");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  for (const button of all("[data-do]", viewer)) button.addEventListener("click", actions[button.dataset.do]);
  for (const button of all("button[data-layout]", viewer)) button.addEventListener("click", () => setLayout(button.dataset.layout));
  for (const select of [under, over]) select.addEventListener("change", () => choose(select, select.value));
  wipe.addEventListener("input", draw);

  viewer.addEventListener("wheel", (event) => {
    const view = event.target.closest(".view");
    if (!view) return;
    event.preventDefault();
    const box = view.getBoundingClientRect();
    zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), view, event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });

  let drag = null;
  viewer.addEventListener("pointerdown", (event) => {
    const view = event.target.closest(".view");
    if (!view || event.button !== 0) return;
    drag = { view, wiping: event.target === byId("handle"), x: event.clientX, y: event.clientY };
    view.setPointerCapture(event.pointerId);
  });
  viewer.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const box = drag.view.getBoundingClientRect();
    const scale = fitOf(drag.view) * scene.zoom;
    if (drag.wiping) setWipe(((event.clientX - box.left) / box.width) * 100);
    else panBy((drag.x - event.clientX) / scale, (drag.y - event.clientY) / scale);
    Object.assign(drag, { x: event.clientX, y: event.clientY });
  });
  for (const type of ["pointerup", "pointercancel"]) viewer.addEventListener(type, () => { drag = null; });
  viewer.addEventListener("dblclick", (event) => {
    const view = event.target.closest(".view");
    if (!view) return;
    const box = view.getBoundingClientRect();
    if (Math.abs(scene.zoom - oneToOne()) < 1e-6) fit();
    else zoomBy(oneToOne() / scene.zoom, view, event.clientX - box.left, event.clientY - box.top);
  });
  viewer.addEventListener("close", () => {
    location.replace("#items");
    rowOf(scene.n).querySelector(".open").focus();
  });
  new ResizeObserver(draw).observe(panes);

  // ---- A link to an item opens it ----

  function openLinked() {
    const id = location.hash.startsWith("#item=") ? decodeURIComponent(location.hash.slice(6)) : null;
    const n = items.findIndex((item) => item.id === id);
    if (n >= 0 && n !== scene.n) openItem(n);
  }
  addEventListener("hashchange", openLinked);
  openLinked();
})();
