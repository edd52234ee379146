// Improves pages that already work without it: ticking clocks, keys, menus, appearance. No page needs this file.
(function () {
  "use strict";
  const $ = (selector, root) => (root || document).querySelector(selector);
  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));

  // Clocks: same words as the server's, only the numbers move. Times are UTC instants; the page's own clock is skewed
  // by at most what the reader's device is, so the server's text stands until the first whole minute has passed.
  const opened = Date.now();
  const clocks = new WeakMap();
  function tick() {
    all("time[data-until]").forEach(function (node) {
      if (!clocks.has(node)) clocks.set(node, node.textContent);
      const first = clocks.get(node);
      const found = first.match(/(?:(\d+) h)? ?(?:(\d+) min)/) || first.match(/(\d+) h()/);
      if (!found) return;
      const minutes = 60 * (+found[1] || 0) + (+found[2] || 0) - Math.floor((Date.now() - opened) / 60000);
      if (minutes < 0 || !/left|übrig/.test(first)) return;
      const h = Math.floor(minutes / 60), m = minutes % 60;
      node.textContent = first.replace(found[0].trim(), h ? h + " h" + (m ? " " + m + " min" : "") : m + " min");
    });
  }
  setInterval(tick, 15000);

  // Menus close on Escape and on a click elsewhere; only one is open.
  document.addEventListener("click", function (event) {
    all("details.menu[open]").forEach(function (menu) { if (!menu.contains(event.target)) menu.open = false; });
  });

  // Appearance changes in place; the form's own answer sets the same cookie.
  all("[data-theme-form] button").forEach(function (button) {
    button.addEventListener("click", function (event) {
      event.preventDefault();
      document.documentElement.setAttribute("data-bs-theme", button.value);
      all("[data-theme-form] button").forEach(function (other) { other.setAttribute("aria-pressed", String(other === button)); });
      const form = button.form, body = new URLSearchParams(new FormData(form));
      body.set("theme", button.value);
      fetch(form.action, { method: "POST", body: body, redirect: "manual" });
    });
  });

  // Sticky answer bar on phones once the waybill's buttons have left the screen.
  const from = $("[data-stick-from]"), bar = $("[data-stick]");
  if (from && bar && bar.children.length && "IntersectionObserver" in window) {
    new IntersectionObserver(function (seen) { bar.classList.toggle("show", !seen[0].isIntersecting); }).observe(from);
  }

  const summary = $("[data-focus]");
  if (summary) summary.focus();
  all("[data-js]").forEach(function (node) { node.hidden = false; });

  // Keys. They never act while somebody types, nor with a modifier.
  function items() { return all("[data-card], tr[data-row]"); }
  function step(by) {
    const list = items();
    if (!list.length) return;
    const now = list.findIndex(function (n) { return n.classList.contains("foc") || n.contains(document.activeElement); });
    const next = list[Math.max(0, Math.min(list.length - 1, now + by))];
    list.forEach(function (n) { n.classList.toggle("foc", n === next); });
    const link = next.matches("[data-card]") ? next : $("a[href]", next) || next;
    link.focus();
    next.scrollIntoView({ block: "nearest" });
  }
  function focused() { return $("[data-card].foc") || (document.activeElement && document.activeElement.closest("[data-card]")); }
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") all("details.menu[open]").forEach(function (m) { m.open = false; const s = $("summary", m); if (s) s.focus(); });
    const busy = event.target.closest && event.target.closest("input, textarea, select, [contenteditable]");
    if (busy || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const dialog = $("#keys");
    if (dialog && dialog.open) return;
    if (event.key === "/") { const find = $('[data-key="/"]'); if (find) { event.preventDefault(); find.focus(); } }
    else if (event.key === "?" && dialog) { event.preventDefault(); dialog.showModal(); }
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "Enter" && event.target.matches("[data-card]")) { location.href = event.target.dataset.open; }
    else if (event.key === "a" && focused()) { const button = $('[data-key="a"]', focused()); if (button) button.click(); }
    else if (event.key === "d" && focused()) {
      const why = $("[data-key-open=d]", focused());
      if (why) { why.open = true; const chip = $(".chip", why); if (chip) chip.focus(); }
    }
  });

  // One submit per form: a second click does nothing while the first is on its way.
  document.addEventListener("submit", function (event) {
    const form = event.target;
    if (form.method !== "post" || form.dataset.sent) { if (form.dataset.sent) event.preventDefault(); return; }
    form.dataset.sent = "1";
    window.addEventListener("pageshow", function () { delete form.dataset.sent; }, { once: true });
  });

  // Pins and rows mark each other.
  all("[data-pin-row]").forEach(function (row) {
    const pin = all("[data-pin]").find(function (p) { return p.dataset.pin === row.dataset.pinRow; });
    if (!pin) return;
    row.addEventListener("mouseenter", function () { pin.classList.add("hot"); });
    row.addEventListener("mouseleave", function () { pin.classList.remove("hot"); });
  });
})();
