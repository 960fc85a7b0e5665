// ---- What all parts share ----

const byId = (id) => document.getElementById(id);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const make = (tag, className = "", text = "") => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
};

const { titles, ranges, routes, columns, groups, items, embedded = {} } = JSON.parse(byId("viewer-items").textContent);
const numberOf = new Map(items.map((item, n) => [item.id, n]));
// A report in one file has its pictures inside, by their addresses.
const addressOf = (item, file) => embedded[item.at + file] ?? item.at + file;
const labelOf = (item) => item.name ?? item.id;
const countItems = (n) => `${n} item${n === 1 ? "" : "s"}`;
const marks = { p: "", b: "better", w: "worse", t: "best" };

// All columns in a row: which group each is of, and its place in it.
const cells = columns.flatMap((column, group) => column.subjects.map((_, place) => ({ column, group, place })));

function showValue(value, { column, place }) {
  if (value === null) return "";
  const sign = column.gains[place] && value >= 0 ? "+" : "";
  return (sign + value.toFixed(column.digits)).replace("-", "−");
}
