"use strict";
// The colours a reader chose, kept for the next visit; applied before anything is drawn.
(() => {
  const KEY = "ldp-report-colours";
  const root = document.documentElement;

  // A browser may forbid a page opened from disk to keep anything; then the choice lasts as long as the page.
  const recall = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const keep = (choice) => { try { localStorage.setItem(KEY, choice); } catch { /* not kept */ } };

  const apply = (choice) => {
    if (choice === "light" || choice === "dark") root.dataset.theme = choice;
    else delete root.dataset.theme;
  };

  apply(recall());
  addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.value = root.dataset.theme ?? "system";
    select.addEventListener("change", () => { apply(select.value); keep(select.value); });
  });
})();
