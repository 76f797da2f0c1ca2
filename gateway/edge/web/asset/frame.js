// What pages do beyond HTML: keys, live pieces, no double sending. Every page works without it.
"use strict";
(() => {
  const $ = (s, from = document) => from.querySelector(s);
  const all = (s, from = document) => [...from.querySelectorAll(s)];

  // A form is sent once. The button says so and recovers when the page comes back from the history.
  addEventListener("submit", (e) => {
    const f = e.target;
    if (f.method !== "post" || e.defaultPrevented) return;
    if (f.dataset.sent) { e.preventDefault(); return; }
    f.dataset.sent = "1";
    setTimeout(() => all("button", f).forEach((b) => (b.disabled = true)), 0);
  });
  addEventListener("pageshow", () => all("form[data-sent]").forEach((f) => {
    delete f.dataset.sent;
    all("button", f).forEach((b) => (b.disabled = false));
  }));

  // A field in error says so to screen readers, and the first one has the focus.
  all(".wrong").forEach((w, i) => {
    const field = document.getElementsByName(w.id.replace(/-wrong$/, ""))[0];
    if (!field) return;
    field.setAttribute("aria-invalid", "true");
    if (i === 0) field.focus();
  });

  // Menus close by Escape and by a click elsewhere.
  addEventListener("click", (e) => all("details.you[open]").forEach((d) => { if (!d.contains(e.target)) d.open = false; }));

  // Keys: those of the page (data-key), of the rooms (g and data-go), and of lists. They can be switched off.
  const off = () => localStorage.getItem("keys") === "off";
  const rows = () => all("table.list tbody tr").filter((r) => $("td.main > a", r));
  const move = (by) => {
    const list = rows();
    if (!list.length) return;
    const at = list.findIndex((r) => r.hasAttribute("data-at"));
    const to = list[Math.max(0, Math.min(list.length - 1, at < 0 ? 0 : at + by))];
    list.forEach((r) => r.removeAttribute("data-at"));
    to.setAttribute("data-at", "");
    $("td.main > a", to).focus({ preventScroll: true });
    to.scrollIntoView({ block: "nearest" });
  };
  const help = () => {
    let d = $("#keys");
    if (!d) {
      d = document.createElement("dialog");
      d.id = "keys";
      d.setAttribute("aria-labelledby", "keys-title");
      const h = document.createElement("h2");
      h.id = "keys-title";
      h.textContent = "Keys on this page";
      const ul = document.createElement("ul");
      ul.className = "keys";
      const line = (key, words) => {
        const li = document.createElement("li");
        const k = document.createElement("kbd");
        k.textContent = key;
        li.append(k, " " + words);
        ul.append(li);
      };
      all("[data-key]").forEach((b) => line(b.dataset.key, b.getAttribute("aria-label") || b.textContent.trim()));
      if (rows().length) { line("j", "next line"); line("k", "line before"); line("Enter", "open"); }
      if ($("#seek")) line("/", "find");
      all("[data-go]").forEach((a) => line("g " + a.dataset.go, a.querySelector(".wide-only").textContent));
      line("?", "these keys");
      const label = document.createElement("label");
      label.className = "check";
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = !off();
      box.addEventListener("change", () => localStorage.setItem("keys", box.checked ? "on" : "off"));
      label.append(box, " Single keys act (this browser)");
      const p = document.createElement("form");
      p.method = "dialog";
      p.className = "buttons";
      const b = document.createElement("button");
      b.className = "primary";
      b.textContent = "Close";
      p.append(b);
      d.append(h, ul, label, p);
      d.addEventListener("close", () => { if (d.contains(document.activeElement)) document.activeElement.blur(); }); // else keys go on into it
      document.body.append(d);
    }
    d.showModal();
  };
  let going = 0;
  addEventListener("keydown", (e) => {
    if (e.key === "Escape") { all("details.you[open]").forEach((d) => (d.open = false)); return; }
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing || $("dialog[open]")) return;
    const field = e.target.closest("input, textarea, select, [contenteditable]");
    if (field && !field.closest("dialog:not([open])")) return; // a list of keys that has just closed still has the focus
    if (e.key === "?") { help(); e.preventDefault(); return; }
    if (off()) return;
    if (going && Date.now() - going < 1500) {
      going = 0;
      const to = all("[data-go]").find((a) => a.dataset.go === e.key);
      if (to) { to.click(); e.preventDefault(); }
      return;
    }
    if (e.key === "g") { going = Date.now(); return; }
    if (e.key === "j" || e.key === "k") { move(e.key === "j" ? 1 : -1); e.preventDefault(); return; }
    if (e.key === "/" && $("#seek")) { $("#seek").focus(); e.preventDefault(); return; }
    const b = all("[data-key]").find((x) => x.dataset.key === e.key && !x.disabled && x.offsetParent !== null);
    if (b) { e.preventDefault(); if (b.matches("input, textarea, select")) b.focus(); else b.click(); }
  });

  // Live pieces: an element with data-stream listens; "replace" puts new HTML in place of an element by id.
  // What a person is typing in is left alone.
  all("[data-stream]").forEach((el) => {
    const from = new EventSource(el.dataset.stream);
    from.addEventListener("replace", (e) => {
      const m = JSON.parse(e.data);
      const old = document.getElementById(m.id);
      if (!old || (old.contains(document.activeElement) && document.activeElement.matches("input, textarea, select"))) return;
      const focus = old.contains(document.activeElement) ? document.activeElement.id || document.activeElement.getAttribute("href") : null;
      const t = document.createElement("template");
      t.innerHTML = m.html;
      const fresh = t.content.firstElementChild;
      if (!fresh) return;
      fresh.setAttribute("data-fresh", "");
      old.replaceWith(fresh);
      if (focus) { const f = all("a, button", fresh).find((x) => x.id === focus || x.getAttribute("href") === focus); if (f) f.focus({ preventScroll: true }); }
    });
    from.addEventListener("title", (e) => { document.title = JSON.parse(e.data); });
    from.addEventListener("over", () => { from.close(); location.reload(); });
    addEventListener("pagehide", () => from.close());
  });

  // Print buttons need script; without it they are not shown.
  all("[data-print]").forEach((b) => { b.hidden = false; b.addEventListener("click", () => print()); });
})();
