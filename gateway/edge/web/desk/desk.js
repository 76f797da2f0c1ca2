// Lists by keyboard: take (t) and finish (f) the line that is chosen; a choice of team shows at once.
"use strict";
(() => {
  document.documentElement.classList.add("js");
  const row = () => document.querySelector("tr[data-at][data-item]");
  const list = document.querySelector("table.work");
  document.querySelectorAll("[data-row]").forEach((b) => {
    if (!list) return;
    const show = () => { b.hidden = !row(); }; // with a line that is chosen by keys
    show();
    new MutationObserver(show).observe(list, { attributes: true, attributeFilter: ["data-at"], subtree: true });
    b.addEventListener("click", () => {
      const r = row();
      if (!r) return;
      const item = "/item/" + encodeURIComponent(r.dataset.item);
      if (b.dataset.row === "finish") {
        location.href = item + "/finish?next=" + encodeURIComponent(location.pathname + location.search);
        return;
      }
      const f = document.getElementById("row-take");
      f.action = item + "/act";
      f.elements.version.value = r.dataset.version;
      f.requestSubmit();
    });
  });
  document.querySelectorAll("select[data-submit]").forEach((s) => s.addEventListener("change", () => s.form.requestSubmit()));
})();
