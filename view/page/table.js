"use strict";
// A table of journeys with filters, sorting, pages and distributions. A journey is unpacked when it is opened.
(() => {
  const PAGE = 100;
  const BINS = 24;
  const SVG = "http://www.w3.org/2000/svg";
  const byId = (id) => document.getElementById(id);
  const table = JSON.parse(byId("table").textContent);
  const { columns } = table;
  const state = { sort: -1, down: false, page: 0, filters: columns.map(() => null), search: "" };
  const places = new Map(table.ids.map((id, place) => [id, place]));
  const number = (value) => value.toLocaleString("en");
  let view = [];
  let haystacks = [];

  function make(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === true) made.setAttribute(key, "");
      else if (value !== false && value !== null) made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  }

  // --- which rows, in which order

  const haystack = (row) => columns.map((c, i) => (c.kind === "text" ? row[i] : "")).join("\n").toLowerCase();

  function passes(row, at, but = -1) {
    if (state.search && !haystacks[at].includes(state.search)) return false;
    return state.filters.every((wanted, i) => {
      if (!wanted || i === but) return true;
      if (columns[i].kind === "choice") return row[i] === wanted.is;
      return (wanted.from === null || row[i] >= wanted.from) && (wanted.to === null || row[i] <= wanted.to);
    });
  }

  function compare(a, b) {
    const x = table.rows[a][state.sort];
    const y = table.rows[b][state.sort];
    const by = typeof x === "number" ? x - y : x.localeCompare(y, "en", { numeric: true });
    return (state.down ? -by : by) || a - b;
  }

  function select() {
    view = [];
    table.rows.forEach((row, at) => passes(row, at) && view.push(at));
    if (state.sort >= 0) view.sort(compare);
    state.page = Math.min(state.page, Math.max(0, Math.ceil(view.length / PAGE) - 1));
    draw();
  }

  // --- the table

  function heads() {
    byId("rows").tHead.rows[0].replaceChildren(
      ...columns.map((column, i) => {
        const button = make("button", { type: "button", class: "sort" }, column.title);
        button.addEventListener("click", () => {
          state.down = state.sort === i ? !state.down : column.kind === "number";
          state.sort = i;
          state.page = 0;
          select();
        });
        const head = make("th", { scope: "col", class: classes(column) }, button);
        return head;
      }),
    );
  }

  const link = (hash) => [...byId("rows").querySelectorAll("tbody a")].find((anchor) => anchor.hash === hash);
  const classes = (column) => `${column.kind === "number" ? "n" : ""} ${column.gold ? "gold" : ""}`.trim() || null;

  function draw() {
    [...byId("rows").tHead.rows[0].cells].forEach((cell, i) => {
      const sorted = state.sort === i ? (state.down ? "descending" : "ascending") : null;
      if (sorted) cell.setAttribute("aria-sort", sorted);
      else cell.removeAttribute("aria-sort");
    });
    const start = state.page * PAGE;
    const body = byId("rows").tBodies[0];
    const held = body.contains(document.activeElement) ? document.activeElement.hash : null;
    body.replaceChildren(...view.slice(start, start + PAGE).map(line));
    if (held) link(held)?.focus({ preventScroll: true }); // a new row does not take the focus away
    const all = table.rows.length;
    byId("count").textContent = `${number(view.length)} of ${number(all)} ${table.noun}${all === 1 ? "" : "s"}`;
    byId("clear").disabled = !state.search && state.filters.every((filter) => !filter);
    pager();
    plots();
  }

  function line(at) {
    const row = table.rows[at];
    return make("tr", {}, ...columns.map((column, i) => cell(column, row[i], i === 0 ? table.ids[at] : null)));
  }

  function cell(column, value, id) {
    const text = typeof value === "number" ? number(value) : value;
    if (id !== null) return make("th", { scope: "row" }, make("a", { href: `#trace=${encodeURIComponent(id)}` }, text));
    const shown = column.gold && column.kind === "choice" ? make("span", { class: `v ${value.replaceAll(" ", "-")}` }, text) : text;
    return make("td", { class: classes(column), dir: column.kind === "text" ? "auto" : null }, shown);
  }

  function pager() {
    const pages = Math.ceil(view.length / PAGE);
    const step = (by, name) => {
      const button = make("button", { type: "button", disabled: !(state.page + by in [...Array(pages).keys()]) }, name);
      button.addEventListener("click", () => {
        state.page += by;
        draw();
        byId("rows").closest(".scroll").focus();
      });
      return button;
    };
    const start = state.page * PAGE;
    const where = `${number(start + 1)} to ${number(Math.min(start + PAGE, view.length))}`;
    byId("pager").replaceChildren(...(pages > 1 ? [step(-1, "← Previous"), make("span", {}, where), step(1, "Next →")] : []));
  }

  // --- filters

  const values = (i) => [...new Set(table.rows.map((row) => row[i]))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));

  function labelled(text, gold, ...fields) {
    return make("label", { class: gold ? "gold" : null }, make("span", {}, text), ...fields);
  }

  function choice(column, i) {
    const field = make("select", { name: column.title });
    field.addEventListener("change", () => {
      state.filters[i] = field.value ? { is: field.value } : null;
      state.page = 0;
      select();
    });
    return labelled(column.title, column.gold, field);
  }

  function choices() {
    columns.forEach((column, i) => {
      if (column.kind !== "choice") return;
      const field = byId("filters").elements[column.title];
      const wanted = field.value;
      field.replaceChildren(make("option", { value: "" }, "all"), ...values(i).map((value) => make("option", { value }, value)));
      field.value = wanted;
    });
  }

  function range(column, i) {
    const ends = ["from", "to"].map((end) => {
      const field = make("input", { type: "number", step: "any", name: `${column.title} ${end}`, "aria-label": `${column.title} ${end}`, placeholder: end });
      field.addEventListener("input", () => {
        const [from, to] = ends.map((end) => (end.value === "" ? null : Number(end.value)));
        state.filters[i] = from === null && to === null ? null : { from, to };
        state.page = 0;
        select();
      });
      return field;
    });
    return make("fieldset", { class: column.gold ? "gold" : null }, make("legend", {}, column.title), ...ends);
  }

  function filters() {
    const search = make("input", { type: "search", name: "search", placeholder: "case or answer" });
    search.addEventListener("input", () => {
      state.search = search.value.trim().toLowerCase();
      state.page = 0;
      select();
    });
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("filters").replaceChildren(
      labelled("Search", false, search),
      ...columns.flatMap((c, i) => (c.kind === "choice" ? [choice(c, i)] : c.kind === "number" && c.plot ? [range(c, i)] : [])),
    );
    choices();
    byId("clear").addEventListener("click", () => {
      byId("filters").reset();
      state.search = "";
      state.filters.fill(null);
      state.page = 0;
      select();
      search.focus();
    });
  }

  // --- distributions: of all rows as outlines, of the filtered rows as filled bars

  function bins(i) {
    const all = table.rows.map((row) => row[i]);
    if (columns[i].kind === "choice") {
      const names = values(i);
      return { names, of: (value) => names.indexOf(value) };
    }
    const low = all.reduce((a, b) => Math.min(a, b), Infinity);
    const high = all.reduce((a, b) => Math.max(a, b), -Infinity);
    const whole = all.every(Number.isInteger) && high - low < BINS;
    const count = whole ? high - low + 1 : BINS;
    const width = whole ? 1 : (high - low) / BINS || 1;
    const short = (value) => (Math.abs(value) >= 10000 ? `${number(Math.round(value / 100) / 10)}k` : number(Math.round(value * 10) / 10));
    const names = Array.from({ length: count }, (_, k) => (whole ? String(low + k) : `${short(low + k * width)} to ${short(low + (k + 1) * width)}`));
    return { names, of: (value) => Math.min(count - 1, Math.floor((value - low) / width)), ends: [short(low), short(high)] };
  }

  let kinds = [];
  function prepare() {
    haystacks = table.rows.map(haystack);
    kinds = columns.map((column, i) => (column.plot && table.rows.length ? bins(i) : null));
    kinds.forEach((kind, i) => {
      if (kind) kind.all = counted(table.rows.keys(), kind, i);
    });
  }

  function counted(places, kind, i) {
    const counts = new Array(kind.names.length).fill(0);
    for (const at of places) counts[kind.of(table.rows[at][i])] += 1;
    return counts;
  }

  function plots() {
    byId("plots").replaceChildren(
      ...columns.flatMap((column, i) => (kinds[i] ? [columns[i].kind === "choice" ? shares(column, kinds[i], i) : histogram(column, kinds[i], i)] : [])),
    );
  }

  function figure(column, words, ...inner) {
    return make("figure", { class: column.gold ? "gold" : null }, make("figcaption", {}, column.title), ...inner);
  }

  function shares(column, kind, i) {
    const now = counted(view, kind, i);
    const most = Math.max(1, ...kind.all);
    const rows = kind.names.map((name, k) => {
      const meter = svg(100, 10, [bar("rail", 0, 0, (100 * kind.all[k]) / most, 10), bar("fill", 0, 0, (100 * now[k]) / most, 10)]);
      return make("tr", {}, make("th", { scope: "row" }, name), make("td", { class: "n" }, number(now[k])), make("td", {}, meter));
    });
    return figure(column, "", make("table", { class: "shares" }, make("tbody", {}, ...rows)));
  }

  function histogram(column, kind, i) {
    const now = counted(view, kind, i);
    const most = Math.max(1, ...kind.all);
    const wide = 240 / kind.names.length;
    const high = (count) => (count ? Math.max(1, (70 * count) / most) : 0);
    const bars = kind.names.flatMap((_, k) => [
      bar("rail", k * wide, 70 - high(kind.all[k]), Math.max(1, wide - 1), high(kind.all[k])),
      bar("fill", k * wide, 70 - high(now[k]), Math.max(1, wide - 1), high(now[k])),
    ]);
    const drawn = svg(240, 70, bars);
    drawn.setAttribute("role", "img");
    drawn.removeAttribute("aria-hidden");
    const sum = view.reduce((total, at) => total + table.rows[at][i], 0);
    const mean = view.length ? number(Math.round((10 * sum) / view.length) / 10) : "–";
    drawn.setAttribute("aria-label", `${column.title}: ${kind.names.map((name, k) => [name, now[k]]).filter(([, count]) => count).map(([name, count]) => `${name}: ${count}`).join("; ")}`);
    const [low, top] = kind.ends ?? [kind.names[0], kind.names[kind.names.length - 1]];
    return figure(column, "", drawn, make("p", { class: "ends" }, make("span", {}, low), make("span", {}, `mean ${mean}`), make("span", {}, top)));
  }

  function svg(width, height, inside) {
    const drawn = document.createElementNS(SVG, "svg");
    for (const [key, value] of [["viewBox", `0 0 ${width} ${height}`], ["width", width], ["height", height], ["aria-hidden", "true"]]) drawn.setAttribute(key, value);
    drawn.append(...inside);
    return drawn;
  }

  function bar(name, x, y, width, height) {
    const made = document.createElementNS(SVG, "rect");
    for (const [key, value] of [["class", name], ["x", x], ["y", y], ["width", width], ["height", height]]) made.setAttribute(key, value);
    return made;
  }

  // --- one journey

  const waiting = new Map();
  globalThis.ddxBlock = (block, text) => waiting.get(block)?.(text);

  function block(at) {
    const inert = byId(`block-${at}`);
    if (inert) return Promise.resolve(inert.textContent);
    return new Promise((resolve, reject) => {
      waiting.set(at, resolve);
      const script = make("script", { src: `blocks/${at}.js` });
      script.addEventListener("error", () => reject(new Error(`blocks/${at}.js is missing beside this page`)));
      document.head.append(script);
    });
  }

  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(plain).text());
  }

  let held = { block: -1, journeys: [] };
  async function journey(id) {
    if (table.live) {
      const answer = await fetch(`journey/${encodeURIComponent(id)}`);
      if (!answer.ok) throw new Error(`the server says: ${(await answer.text()).slice(0, 200)}`);
      return answer.text();
    }
    const [where, place] = table.at[places.get(id)];
    if (held.block !== where) held = { block: where, journeys: await unpacked(await block(where)) };
    return held.journeys[place];
  }

  function around(id) {
    const at = view.indexOf(places.get(id));
    const link = (place, name) => (place in view ? [make("a", { href: `#trace=${encodeURIComponent(table.ids[view[place]])}` }, name)] : []);
    return make("nav", { class: "around", "aria-label": `Other ${table.noun}s` }, make("a", { href: "#" }, `All ${table.noun}s`), ...link(at - 1, "← Previous"), ...(at >= 0 ? link(at + 1, "Next →") : []));
  }

  async function open(id) {
    const host = byId("open");
    try {
      const markup = await journey(id);
      if (asked() !== id) return;
      const inner = make("div");
      inner.innerHTML = markup; // from our own template, with every value escaped; the policy of the page runs no script in it
      if (byId("list").classList.contains("blind")) inner.querySelectorAll(".journey:not(.blind) button.hide").forEach((button) => {
        button.closest(".journey").classList.add("blind");
        button.setAttribute("aria-pressed", "true");
        button.textContent = "Show the gold answer";
      });
      host.replaceChildren(around(id), inner);
    } catch (error) {
      host.replaceChildren(around(id), make("p", { class: "alarm" }, `This ${table.noun} cannot be shown: ${error.message}`));
    }
    byId("list").hidden = true;
    host.hidden = false;
    scrollTo(0, 0);
    host.focus({ preventScroll: true });
  }

  function asked() {
    try {
      return location.hash.startsWith("#trace=") ? decodeURIComponent(location.hash.slice(7)) : null;
    } catch {
      return null; // a truncated address
    }
  }

  let from = null;
  function route() {
    const id = asked();
    if (id !== null && places.has(id)) {
      from = id;
      open(id);
      return;
    }
    byId("open").hidden = true;
    byId("open").replaceChildren();
    byId("list").hidden = false;
    if (from) link(`#trace=${encodeURIComponent(from)}`)?.focus();
    from = null;
  }

  // --- a run that grows

  const EVERY_MS = 1500;
  let seen = table.seen ?? 0;
  async function follow() {
    try {
      const answer = await fetch(`rows?after=${seen}`);
      if (!answer.ok) throw new Error((await answer.text()).slice(0, 200));
      const fresh = await answer.json();
      if (fresh.rows.length) take(fresh);
      seen = fresh.seen;
      byId("live").textContent = fresh.status;
    } catch (error) {
      byId("live").textContent = `The server does not answer (${error.message}). The table shows its last state.`;
    }
    setTimeout(follow, EVERY_MS);
  }

  function take(fresh) {
    fresh.ids.forEach((id, k) => {
      if (!places.has(id)) {
        places.set(id, table.ids.length);
        table.ids.push(id);
        table.rows.push(fresh.rows[k]);
      } else table.rows[places.get(id)] = fresh.rows[k];
    });
    prepare();
    choices();
    select();
  }

  prepare();
  heads();
  filters();
  select();
  route();
  addEventListener("hashchange", route);
  if (table.live) {
    byId("count").after(make("span", { id: "live", class: "quiet" }));
    setTimeout(follow, EVERY_MS);
  }
})();
