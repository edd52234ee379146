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
      if (minutes < 0 || !/left|noch/.test(first)) return;
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

  // Uploads show how far they are; the answer says where to go, or what was wrong. Whatever comes, the form stays and
  // can be sent again; its words for what the server cannot say itself are in its data.
  all("form[data-upload]").forEach(function (form) {
    const bar = $("progress", form), told = $("[role=status]", form), button = $("button", form), words = form.dataset;
    const field = $("input[type=file]", form);
    function failed(said) {
      bar.hidden = true; button.disabled = false; told.hidden = false; told.textContent = said;
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", words.hint + " " + told.id);
      field.focus();
      delete words.sent;
    }
    function next(sending) {
      try { return sending.status === 200 ? JSON.parse(sending.responseText).to : ""; } catch (_error) { return ""; }
    }
    function refusal(page) {
      const said = $("#files .invalid-feedback:not([hidden])", page) || $("[role=alert]", page) || $("[data-said]", page);
      return said ? said.textContent.trim().replace(/\s+/g, " ") : "";
    }
    function signedOut(sending) {
      return sending.status === 401 || (sending.responseURL && new URL(sending.responseURL).pathname === "/sign-in");
    }
    function answered(sending, again) {
      const to = next(sending);
      if (to) { location.assign(to); return; }
      const page = new DOMParser().parseFromString(sending.responseText, "text/html");
      const token = $("[name=csrf_token]", form), fresh = $("[name=csrf_token]", page);
      const old = fresh && fresh.value !== token.value;  // signed in again meanwhile: the new session has its own
      if (old) token.value = fresh.value;
      if (sending.status === 400 && old && !again) { send(true); return; }
      failed(signedOut(sending) ? words.out : sending.status < 400 ? words.broken : refusal(page) || words.broken);
    }
    function send(again) {
      const sending = new XMLHttpRequest();
      sending.upload.onprogress = function (at) { if (at.lengthComputable) bar.value = 100 * at.loaded / at.total; };
      sending.onload = function () { answered(sending, again); };
      sending.onerror = sending.onabort = function () { failed(words.broken); };
      sending.open("POST", form.action);
      sending.setRequestHeader("X-Upload", "1");
      bar.value = 0; bar.hidden = false; told.hidden = true; button.disabled = true;
      field.removeAttribute("aria-invalid");
      sending.send(new FormData(form));
    }
    form.addEventListener("submit", function (event) {
      event.preventDefault();
      const files = all("input[type=file]", form).flatMap(function (field) { return Array.from(field.files); });
      if (files.reduce(function (sum, file) { return sum + file.size; }, 0) > +words.most) {
        event.stopPropagation();
        failed(words.large);
        return;
      }
      send(false);
    });
  });

  // Keys: which there are says the dialog behind "?", made from one table on the server. They never act while somebody
  // types, nor with a modifier, nor for who has turned them off.
  function items() { return all("[data-card], tr[data-row]").filter(function (n) { return n.offsetParent !== null; }); }
  function focus(node) {
    items().forEach(function (n) { n.classList.toggle("foc", n === node); });
    (node.matches("[data-card]") ? node : $("a[href]", node) || node).focus();
    node.scrollIntoView({ block: "nearest" });
  }
  function focused() {
    return items().find(function (n) { return n.contains(document.activeElement); }) || $("[data-card].foc, tr.foc");
  }
  function step(by) {
    const list = items();
    if (list.length) focus(list[Math.max(0, Math.min(list.length - 1, list.indexOf(focused()) + by))]);
  }
  function column(by) {
    const columns = all("[data-col]").filter(function (n) { return $("[data-card]", n); });
    const now = columns.findIndex(function (n) { return focused() && n.contains(focused()); });
    const next = columns[Math.max(0, Math.min(columns.length - 1, now + by))];
    if (next) focus($("[data-card]", next));
  }
  const does = {
    help: function () { if (dialog()) shown(), dialog().showModal(); },
    search: function () { const field = $('[data-key="/"]') || $(".t-bar [name=q]"); if (field) field.focus(); },
    next: function () { step(1); },
    previous: function () { step(-1); },
    left: function () { column(-1); },
    right: function () { column(1); },
    tick: function () { const box = focused() && $("td.chk input", focused()); if (box) box.click(); },
    accept: function () { const button = focused() && $('[data-key="a"]', focused()); if (button) button.click(); },
    decline: function () {
      const why = focused() && $("[data-key-open=d]", focused());
      if (why) { why.open = true; const chip = $(".chip", why); if (chip) chip.focus(); }
    },
    move: function () {
      const menu = focused() && $(".move", focused());
      if (menu) { menu.open = true; $("select", menu).focus(); }
    },
  };
  function dialog() { return $("#keys"); }
  function shown() {
    all("[data-where]", dialog()).forEach(function (n) {
      n.hidden = !document.querySelector(n.dataset.where);
    });
  }
  let waiting = "";
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") all("details.menu[open]").forEach(function (m) { m.open = false; const s = $("summary", m); if (s) s.focus(); });
    const typing = event.target.closest && event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.body.dataset.keys === "off" || !dialog() || dialog().open) return;
    const press = waiting ? waiting + " " + event.key : event.key;
    waiting = "";
    if (event.key === "Enter") {  // a link or button in focus does its own
      if (event.target.matches("[data-card]")) location.href = event.target.dataset.open;
      return;
    }
    const found = all("[data-press]", dialog()).find(function (n) { return n.dataset.press === press; });
    if (press === "g") { waiting = "g"; setTimeout(function () { waiting = ""; }, 1500); return; }
    if (!found) return;
    if (found.dataset.go) { location.href = found.dataset.go; return; }
    if (found.dataset.where && !document.querySelector(found.dataset.where)) return;
    event.preventDefault();
    does[found.dataset.do]();
  });
  all("[data-keys-open]").forEach(function (link) {
    link.addEventListener("click", function (event) {
      if (document.body.dataset.keys === "off") return;
      event.preventDefault();
      does.help();
    });
  });

  // The board: a card dropped on a column sends the same form as its Move button; what may not be, the server says.
  let dragged = null;
  document.addEventListener("dragstart", function (event) {
    dragged = event.target.closest && event.target.closest("[data-board] [data-card]");
    if (!dragged) return;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.id);
    dragged.classList.add("drag");
  });
  document.addEventListener("dragend", function () {
    all(".col.over").forEach(function (n) { n.classList.remove("over"); });
    if (dragged) dragged.classList.remove("drag");
    dragged = null;
  });
  document.addEventListener("dragover", function (event) {
    const over = dragged && event.target.closest("[data-col]");
    all(".col.over").forEach(function (n) { if (n !== over) n.classList.remove("over"); });
    if (over && !over.contains(dragged)) { event.preventDefault(); over.classList.add("over"); }
  });
  document.addEventListener("drop", function (event) {
    const to = dragged && event.target.closest("[data-col]"), form = dragged && $("form[data-move]", dragged);
    if (!to || !form) return;
    event.preventDefault();
    const select = $("select", form), stage = to.dataset.col;
    if (!all("option", select).some(function (o) { return o.value === stage; })) select.append(new Option(stage, stage));
    select.value = stage;
    form.requestSubmit();
  });

  // Tick all rows of a list at once.
  document.addEventListener("change", function (event) {
    if (!event.target.matches("[data-tick-all]")) return;
    all("td.chk input", event.target.closest("table")).forEach(function (box) { box.checked = event.target.checked; });
  });

  // Parts of a page that are fetched: busy while they come, and when they do not come, a message where they would stand.
  function place(event) { return event.detail.target && event.detail.target.isConnected ? event.detail.target : $("main"); }
  document.addEventListener("htmx:beforeRequest", function (event) {
    const there = place(event), old = $(".failed", there);
    there.setAttribute("aria-busy", "true");
    if (old) old.remove();
  });
  document.addEventListener("htmx:afterRequest", function (event) {
    place(event).removeAttribute("aria-busy");
    if (event.detail.elt.dataset) delete event.detail.elt.dataset.sent;
  });
  document.addEventListener("htmx:beforeSwap", function (event) {  // signed out meanwhile: the whole page, not a part
    const url = event.detail.xhr.responseURL;
    if (event.detail.xhr.getResponseHeader("X-Given-Back")) {  // a refused form, to be sent again from where the page was
      event.detail.shouldSwap = false; event.detail.isError = false;
      const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
      $("#main").replaceWith(document.adoptNode($("#main", page)));
      return;
    }
    if (url && new URL(url).pathname === "/sign-in") { event.detail.shouldSwap = false; location.href = url; }
  });
  document.addEventListener("htmx:afterSwap", function () { const first = $("#main [data-focus]"); if (first) first.focus(); });
  // What the server says of a request it refused, and the field it means.
  function refusal(xhr) {
    const page = new DOMParser().parseFromString(xhr.responseText, "text/html");
    const said = $("[data-said]", page) || $("[role=alert]", page);
    return said ? said.textContent.trim().replace(/\s+/g, " ") : "";
  }
  function failed(event, server) {
    const there = place(event), from = event.detail.elt, xhr = event.detail.xhr;
    const said = $("#failed").content.firstElementChild.cloneNode(true);
    const refused = server && xhr.status >= 400 && xhr.status < 500;
    all(refused ? "[data-net], [data-server]" : server ? "[data-net]" : "[data-server]", said).forEach(function (n) { n.remove(); });
    if (refused) {
      $("[data-refused]", said).textContent = refusal(xhr);
      const name = decodeURIComponent(xhr.getResponseHeader("X-Field") || "");
      const field = name && all("input, select", from).find(function (one) { return one.name === name; });
      if (field) {
        const menu = field.closest("details");
        if (menu) menu.open = true;
        $("button", said).remove();
        (field.closest(".pair") || field).before(said);
        field.setAttribute("aria-invalid", "true");
        field.focus();
        return;
      }
    }
    $("button", said).addEventListener("click", function () {
      if (from.matches("form")) from.requestSubmit(); else from.click();
    });
    there.prepend(said);
    said.focus();
  }
  document.addEventListener("htmx:responseError", function (event) { failed(event, true); });
  document.addEventListener("htmx:sendError", function (event) { failed(event, false); });
  document.addEventListener("htmx:timeout", function (event) { failed(event, false); });

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
