// The grid of a rule set as a spreadsheet: arrows and Enter walk, ranges are copied and pasted, rows move, and every
// change is checked by the server that will save it. Without this file the grid is a plain form.
(function () {
  "use strict";
  const form = document.getElementById("sheet");
  if (!form) return;
  const table = form.querySelector(".grid");
  const reading = document.getElementById("reading");
  const said = document.getElementById("sheet-said");
  const strip = document.getElementById("sheet-examples");
  let readings = {}, before = "", typing = false, anchor = null, timer = 0, asked = 0, saved = !("unsaved" in form.dataset);
  form.classList.add("js");

  const bodies = () => Array.from(table.tBodies);
  const cells = (body) => Array.from(body.querySelectorAll("[data-c]"));
  const cell = (r, c) => { const row = bodies()[r]; return row ? cells(row)[c] : null; };
  function place(input) {
    const body = input.closest("tbody");
    return [bodies().indexOf(body), cells(body).indexOf(input)];
  }
  function go(r, c) {
    const to = cell(Math.max(0, Math.min(r, bodies().length - 1)), Math.max(0, c));
    if (to) { to.focus(); to.select(); }
    return to;
  }
  function closeMenus() { form.querySelectorAll("details[open]").forEach(function (d) { d.open = false; }); }

  // Ranges
  function range(to) {
    const [r1, c1] = anchor || to, [r2, c2] = to;
    return [Math.min(r1, r2), Math.min(c1, c2), Math.max(r1, r2), Math.max(c1, c2)];
  }
  function mark(to) {
    table.querySelectorAll("td.rng").forEach(function (td) { td.classList.remove("rng"); });
    if (!anchor) return;
    const [top, left, bottom, right] = range(to);
    for (let r = top; r <= bottom; r++) for (let c = left; c <= right; c++) cell(r, c).closest("td").classList.add("rng");
  }
  function chosen(input) { return anchor ? range(place(input)) : place(input).concat(place(input)); }
  function text(input) {
    const [top, left, bottom, right] = chosen(input), lines = [];
    for (let r = top; r <= bottom; r++) {
      const line = [];
      for (let c = left; c <= right; c++) line.push(quoted(cell(r, c).value));
      lines.push(line.join("\t"));
    }
    return lines.join("\n");
  }
  function quoted(value) { return /["\t\n]/.test(value) ? '"' + value.replace(/"/g, '""') + '"' : value; }
  function parsed(pasted) {  // what a spreadsheet puts on the clipboard: tabs, lines, quotes around cells that need them
    const rows = [[]];
    let value = "", inside = false, start = true;
    for (let i = 0; i < pasted.length; i++) {
      const sign = pasted[i];
      if (inside) {
        if (sign === '"' && pasted[i + 1] === '"') { value += '"'; i++; }
        else if (sign === '"') inside = false;
        else value += sign;
      } else if (sign === '"' && start) { inside = true; start = false; }
      else if (sign === "\t" || sign === "\n") {
        rows[rows.length - 1].push(value);
        value = ""; start = true;
        if (sign === "\n") rows.push([]);
      } else if (sign !== "\r") { value += sign; start = false; }
    }
    rows[rows.length - 1].push(value);
    if (rows.length > 1 && rows[rows.length - 1].join("") === "") rows.pop();
    return rows;
  }
  function fill(input, rows) {
    const [top, left] = chosen(input);
    rows.forEach(function (line, r) {
      while (!bodies()[top + r] || top + r >= bodies().length - 1) append();
      line.forEach(function (value, c) { const to = cell(top + r, left + c); if (to) to.value = value.trim().replace(/\n/g, " "); });
    });
    anchor = rows.length > 1 || rows[0].length > 1 ? [top, left] : null;
    const last = go(top + rows.length - 1, left + Math.max.apply(null, rows.map(function (l) { return l.length; })) - 1);
    if (last) mark(place(last));
    changed();
  }

  // Rows
  function fresh() {
    const all = bodies(), last = all[all.length - 1], made = last.cloneNode(true), old = last.dataset.r;
    const key = String(1 + Math.max.apply(null, all.map(function (b) { return Number(b.dataset.r) || 0; })));
    made.dataset.r = key;
    made.dataset.blank = "";
    made.querySelectorAll("[id]").forEach(function (n) { n.id = n.id.replace("-" + old, "-" + key); });
    made.querySelectorAll("[name]").forEach(function (n) {
      if (n.name === "row") n.value = key;
      else if (n.name === "do") n.value = n.value.split(":")[0] + ":" + key;
      else { n.name = key + n.name.slice(n.name.indexOf(".")); n.value = ""; }
    });
    made.querySelectorAll("[aria-describedby]").forEach(clean);
    made.querySelectorAll(".bad-c").forEach(function (n) { n.classList.remove("bad-c"); });
    made.querySelector(".e").hidden = true;
    made.querySelectorAll(".e td:last-child, .w td:last-child").forEach(function (n) { n.textContent = ""; });
    return made;
  }
  function clean(n) { n.removeAttribute("aria-describedby"); n.removeAttribute("aria-invalid"); }
  function append() { table.append(fresh()); number(); }
  function number() {
    const first = Number(form.elements.first.value);
    bodies().forEach(function (body, i) {
      const n = String(first + i + 1);
      body.querySelector(".n").textContent = n;
      body.querySelectorAll("[aria-label]").forEach(function (node) {
        node.setAttribute("aria-label", node.getAttribute("aria-label").replace(node.matches("summary") ? /\d+/ : /\d+$/, n));
      });
    });
  }
  function move(body, by) {
    const all = bodies(), at = all.indexOf(body), to = at + by;
    if (to < 0 || to >= all.length - 1 || at === all.length - 1) return;
    if (by < 0) all[to].before(body); else all[to].after(body);
    number();
    changed();
  }
  function tool(what, body) {
    const [r] = [bodies().indexOf(body)];
    if (what === "up" || what === "down") move(body, what === "up" ? -1 : 1);
    else if (what === "add") { body.after(fresh()); number(); go(r + 1, 0); }
    else if (what === "remove") {
      if (r < bodies().length - 1) body.remove();
      number(); changed(); go(Math.min(r, bodies().length - 1), 0);
    }
    closeMenus();
    if (what === "up" || what === "down") cells(body)[0].focus();
  }

  // Checking as it is typed
  function changed() {
    saved = false;
    const all = bodies(), last = all[all.length - 1];
    if (cells(last).some(function (input) { return input.value.trim(); })) append();
    bodies().forEach(function (body) {
      const empty = !cells(body).some(function (input) { return input.value.trim(); });
      if (empty) body.dataset.blank = ""; else delete body.dataset.blank;
    });
    clearTimeout(timer);
    timer = setTimeout(check, 300);
  }
  function check() {
    const turn = ++asked;
    fetch(form.dataset.check, { method: "POST", body: new FormData(form), credentials: "same-origin" })
      .then(function (answer) { if (!answer.ok) throw new Error(String(answer.status)); return answer.json(); })
      .then(function (answer) { if (turn === asked) show(answer); })
      .catch(function () { if (turn === asked) said.textContent = ""; });
  }
  function show(answer) {
    const wrong = {};
    answer.faults.forEach(function (f) { (wrong[f.row] = wrong[f.row] || []).push(f); });
    bodies().forEach(function (body) {
      const mine = wrong[body.dataset.r] || [], line = body.querySelector(".e"), box = line.lastElementChild;
      cells(body).forEach(function (input) {
        const bad = mine.some(function (f) { return f.column === input.dataset.c; });
        input.closest("td").classList.toggle("bad-c", bad);
        if (bad) { input.setAttribute("aria-invalid", "true"); input.setAttribute("aria-describedby", box.id); } else clean(input);
      });
      line.hidden = !mine.length;
      box.replaceChildren.apply(box, mine.map(function (f) { return told(body, f); }));
    });
    readings = answer.readings;
    said.textContent = answer.said;
    if (answer.sound) strip.innerHTML = answer.examples;
    follow();
  }
  function told(body, fault) {
    const span = document.createElement("span"), name = document.createElement("b");
    span.className = "err";
    name.textContent = fault.label + ":";
    span.append(name, " ", fault.message);
    if (fault.suggestion) {
      const take = document.createElement("button");
      take.type = "button";
      take.textContent = fault.suggestion;
      take.addEventListener("click", function () {
        const input = cells(body).find(function (one) { return one.dataset.c === fault.column; });
        input.value = fault.suggestion;
        input.focus();
        changed();
      });
      span.append(" ", take);
    }
    return span;
  }
  function follow() {
    const body = document.activeElement.closest && document.activeElement.closest("#sheet tbody");
    const html = body && readings[body.dataset.r];
    reading.hidden = !html;
    if (!html) return;
    reading.querySelector("[data-n]").textContent = body.querySelector("summary").getAttribute("aria-label").split(":")[0];
    reading.querySelector("p").innerHTML = html;
  }

  form.addEventListener("focusin", function (event) {
    if (!event.target.matches("[data-c]")) return;
    before = event.target.value;
    typing = false;
    follow();
  });
  form.addEventListener("input", function (event) {
    if (!event.target.matches("[data-c]")) return;
    typing = true;
    anchor = null;
    mark(null);
    changed();
  });
  form.addEventListener("mousedown", function (event) {
    if (event.target.matches("[data-c]") && !event.shiftKey) { anchor = null; mark(null); }
  });
  form.addEventListener("click", function (event) {
    const button = event.target.closest("button[name=do]");
    if (!button || button.value === "save") return;
    event.preventDefault();
    tool(button.value.split(":")[0], button.closest("tbody"));
  });
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  form.addEventListener("keydown", function (event) {
    const input = event.target;
    if (!input.matches("[data-c]")) return;
    const [r, c] = place(input), step = steps[event.key];
    if (event.key === "Enter") {
      event.preventDefault();
      go(r + (event.shiftKey ? -1 : 1), c);
    } else if (event.key === "F2") {
      event.preventDefault();
      typing = true;
      input.setSelectionRange(input.value.length, input.value.length);
    } else if (event.key === "Escape" && typing) {
      input.value = before;
      typing = false;
      input.select();
      changed();
    } else if (event.key === "Delete" && !typing) {
      event.preventDefault();
      const [top, left, bottom, right] = chosen(input);
      for (let y = top; y <= bottom; y++) for (let x = left; x <= right; x++) cell(y, x).value = "";
      changed();
    } else if (step && event.altKey && step[0]) {
      event.preventDefault();
      move(input.closest("tbody"), step[0]);
      input.focus();
    } else if (step && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      if (event.shiftKey) anchor = anchor || [r, c]; else anchor = null;
      const to = go(r + step[0], c + step[1]);
      if (to) mark(place(to));
    } else if (event.key === "Tab") { anchor = null; mark(null); }
  });
  form.addEventListener("copy", function (event) {
    if (!event.target.matches("[data-c]") || typing) return;
    event.preventDefault();
    event.clipboardData.setData("text/plain", text(event.target));
  });
  form.addEventListener("paste", function (event) {
    const pasted = event.clipboardData.getData("text/plain");
    if (!event.target.matches("[data-c]") || (typing && !/[\t\n]/.test(pasted))) return;
    event.preventDefault();
    fill(event.target, parsed(pasted));
  });
  form.addEventListener("submit", function () { saved = true; });
  window.addEventListener("beforeunload", function (event) { if (!saved) event.preventDefault(); });
  document.addEventListener("click", function (event) {
    if (!event.target.closest("#sheet details")) closeMenus();
  });
  check();
})();
