// Draws masks and zones on the kit's picture. Positions are fractions of the picture, origin top left.
"use strict";

const TEXTS = JSON.parse(document.getElementById("texts").textContent);
const AREAS_MAX = 16; // of each kind, and corners of each: as the agent takes them
const CORNERS_MAX = 64;
const LOOK_MS = 1000;
const POLL_MS = 1500; // between two questions whether what was saved is in force
const LATE_MS = 60000;
const GRIP_PX = 22; // half of what a finger hits
const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;

const at = (id) => document.getElementById(id);
const stage = at("stage");
const ink = at("ink");
const made = (name, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
};

let areas = []; // {kind, name, polygon, …keys of a zone}
let saved = "[]"; // the areas as they are in force, or on the way there
let digest = null; // of the drawing that is in force, or on the way there
let fixed = { mask: false, zone: false };
let chosen = -1;
let corner = -1;
let drawing = null; // the kind that is drawn next
let undo = [];
let waitingSince = 0;
let size = [16, 9];
let sharpest = 0;
let over = false;
let touched = true; // since the last look: a page that nobody touches ends

// --- asking ---------------------------------------------------------------------------------------------

async function ask(path, options = {}) {
  const answer = await fetch(path, { cache: "no-store", ...options });
  if (answer.status === 403) end(TEXTS.out);
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).why || TEXTS.no_picture);
  return answer;
}

function post(path, value) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(value) });
}

function end(text) {
  over = true;
  say(text, "");
  blank(text); // who comes by a forgotten page sees no stairwell on it
  for (const node of document.querySelectorAll("button, input, select")) node.disabled = true;
}

// --- the picture and its figures -------------------------------------------------------------------------

async function look() {
  if (over) return;
  if (!document.hidden) {
    try {
      const path = touched ? "/look?active" : "/look";
      touched = false;
      const answer = await ask(path);
      const jpeg = await answer.blob();
      if (!over) show(JSON.parse(answer.headers.get("X-Figures")), jpeg);
    } catch (error) {
      if (!over) blank(error instanceof TypeError ? TEXTS.away : error.message);
    }
  }
  setTimeout(look, LOOK_MS);
}

function show(figures, jpeg) {
  const still = at("still");
  const url = URL.createObjectURL(jpeg);
  URL.revokeObjectURL(still.src);
  still.src = url;
  still.hidden = false;
  at("blank").hidden = true;
  if (figures.width !== size[0] || figures.height !== size[1]) {
    size = [figures.width, figures.height];
    stage.style.setProperty("--ratio", size[0] / size[1]);
    paint();
  }
  sharpest = Math.max(sharpest, figures.sharpness);
  figure("light", figures.light_ok, `${Math.round((100 * figures.light) / 255)} % – ${figures.light_text}`);
  const tilt = figures.tilt == null ? "" : `${figures.tilt.toFixed(1)}° – `;
  figure("level", figures.level_ok, tilt + figures.level_text);
  figure("sharpness", null, `${figures.sharpness.toFixed(1)} (${TEXTS.best} ${sharpest.toFixed(1)})`);
  at("sharpness").querySelector("meter").value = sharpest ? figures.sharpness / sharpest : 0;
}

function figure(id, good, text) {
  at(id).className = good === null ? "" : good ? "good" : "bad";
  at(id).querySelector("dd").textContent = text;
}

function blank(text) {
  const still = at("still");
  URL.revokeObjectURL(still.src);
  still.removeAttribute("src");
  still.hidden = true;
  at("blank").hidden = false;
  at("blank").textContent = text;
  for (const id of ["light", "level", "sharpness"]) figure(id, null, "–"); // those of the last picture are old
}

// --- what is in force ------------------------------------------------------------------------------------

async function load() {
  try {
    const found = await (await ask("/drawn")).json();
    take(found);
    state();
  } catch (error) {
    if (over) return;
    say(error.message, "bad");
    setTimeout(load, POLL_MS);
  }
}

function take(found) {
  const of = (kind) => (area) => ({ kind, ...area });
  areas = [...found.draft.masks.map(of("mask")), ...found.draft.zones.map(of("zone"))];
  fixed = { mask: found.fixed.includes("masks"), zone: found.fixed.includes("zones") };
  at("add-mask").disabled = fixed.mask;
  at("add-zone").disabled = fixed.zone;
  digest = found.digest;
  saved = JSON.stringify(areas);
  problem(fixed.mask ? TEXTS.fixed_masks : fixed.zone ? TEXTS.fixed_zones : "");
  refresh();
}

async function follow() {
  if (over || !waitingSince) return;
  try {
    const found = await (await ask("/drawn")).json();
    if (found.digest === digest) waitingSince = 0;
  } catch {
    // the agent starts anew
  }
  state();
  if (waitingSince) setTimeout(follow, POLL_MS);
}

async function save() {
  if (!named()) return problem(TEXTS.bad_name);
  problem("");
  say(TEXTS.saving, "");
  at("save").disabled = true;
  const sent = JSON.stringify(areas);
  const bare = (kind) => areas.filter((area) => area.kind === kind).map(({ kind: _, ...rest }) => rest);
  const draft = { masks: bare("mask"), zones: bare("zone") };
  try {
    const verdict = await (await post("/save", { base: digest, draft })).json();
    saved = sent;
    digest = verdict.digest;
    if (verdict.changed) waitingSince = Date.now();
    follow();
  } catch (error) {
    problem(error instanceof TypeError ? TEXTS.away : error.message);
  }
  state();
}

async function finish() {
  if (unsaved() && !confirm(TEXTS.leave)) return;
  try {
    await post("/finish", {});
    saved = JSON.stringify(areas);
    end(TEXTS.done);
  } catch (error) {
    problem(error.message);
  }
}

const unsaved = () => JSON.stringify(areas) !== saved;
const named = () =>
  areas.every(
    (area, i) =>
      NAME.test(area.name) &&
      !areas.some((other, k) => k < i && other.kind === area.kind && other.name === area.name),
  );

function state() {
  if (over) return;
  at("save").disabled = !unsaved();
  at("undo").disabled = !undo.length;
  ink.classList.toggle("loose", unsaved() || waitingSince > 0);
  if (unsaved()) say(TEXTS.unsaved, "bad");
  else if (waitingSince && Date.now() - waitingSince > LATE_MS) say(TEXTS.late, "bad");
  else if (waitingSince) say(TEXTS.waiting, "bad");
  else say(TEXTS.in_force, "good");
}

function say(text, mood) {
  const node = at("state");
  if (node.textContent !== text) node.textContent = text;
  node.className = mood;
}

function problem(text) {
  at("problem").textContent = text;
}

// --- changing --------------------------------------------------------------------------------------------

function keep() {
  undo.push(JSON.stringify(areas));
  undo = undo.slice(-50);
}

function refresh() {
  if (chosen >= areas.length) choose(-1);
  paint();
  list();
  state();
}

function choose(index, point = -1) {
  chosen = index;
  corner = point;
  const free = index >= 0 && !fixed[areas[index].kind];
  at("remove").disabled = !free;
  at("remove-corner").disabled = !free || point < 0 || areas[index].polygon.length < 4;
}

function arm(kind) {
  drawing = drawing === kind ? null : kind;
  if (drawing && areas.filter((area) => area.kind === drawing).length >= AREAS_MAX) {
    drawing = null;
    problem(TEXTS.full);
  }
  for (const name of ["mask", "zone"]) at(`add-${name}`).setAttribute("aria-pressed", String(drawing === name));
  stage.classList.toggle("drawing", drawing !== null);
  at("hint").textContent = drawing ? TEXTS.draw : TEXTS.help;
}

function add([x1, y1], [x2, y2]) {
  const kind = drawing;
  let number = 1;
  while (areas.some((area) => area.kind === kind && area.name === `${kind}-${number}`)) number += 1;
  keep();
  const [left, right, top, bottom] = [Math.min(x1, x2), Math.max(x1, x2), Math.min(y1, y2), Math.max(y1, y2)];
  const polygon = [[left, top], [right, top], [right, bottom], [left, bottom]];
  areas.push({ kind, name: `${kind}-${number}`, polygon });
  choose(areas.length - 1);
  arm(kind);
  refresh();
}

function remove() {
  if (chosen < 0) return;
  keep();
  areas.splice(chosen, 1);
  choose(-1);
  refresh();
}

function removeCorner() {
  if (chosen < 0 || corner < 0 || areas[chosen].polygon.length < 4) return;
  keep();
  areas[chosen].polygon.splice(corner, 1);
  choose(chosen);
  refresh();
}

function takeBack() {
  if (!undo.length) return;
  areas = JSON.parse(undo.pop());
  choose(-1);
  refresh();
}

// --- pointers --------------------------------------------------------------------------------------------

const held = (value) => Math.round(10000 * Math.min(1, Math.max(0, value))) / 10000;

function place(event) {
  const box = ink.getBoundingClientRect();
  return [held((event.clientX - box.left) / box.width), held((event.clientY - box.top) / box.height)];
}

function drag(event, moved, done = () => {}) {
  event.preventDefault();
  const pointer = event.pointerId;
  ink.setPointerCapture(pointer);
  const move = (next) => next.pointerId === pointer && moved(place(next));
  const up = (next) => {
    if (next.pointerId !== pointer) return;
    for (const [name, what] of handlers) ink.removeEventListener(name, what);
    if (next.type === "pointerup") moved(place(next));
    done(place(next));
  };
  const handlers = [["pointermove", move], ["pointerup", up], ["pointercancel", up]];
  for (const [name, what] of handlers) ink.addEventListener(name, what);
}

// What is there, by geometry: what a finger was put on must not be painted anew under it.
function hit(from) {
  const far = ([x, y]) => Math.hypot((x - from[0]) * ink.clientWidth, (y - from[1]) * ink.clientHeight);
  const near = (points) => {
    const [best] = points.map((point, k) => [far(point), k]).sort((a, b) => a[0] - b[0]);
    return best && best[0] <= GRIP_PX ? best[1] : -1;
  };
  if (chosen >= 0 && !fixed[areas[chosen].kind]) {
    const polygon = areas[chosen].polygon;
    const point = near(polygon);
    if (point >= 0) return { area: chosen, corner: point };
    const middles = betweens(polygon);
    const middle = near(middles.map(({ place }) => place));
    if (middle >= 0) return { area: chosen, between: middles[middle].after };
    if (inside(polygon, from)) return { area: chosen };
  }
  return { area: areas.findLastIndex(({ polygon }) => inside(polygon, from)) };
}

function inside(polygon, [x, y]) {
  let odd = false;
  polygon.forEach(([ax, ay], k) => {
    const [bx, by] = polygon[(k + 1) % polygon.length];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  });
  return odd;
}

// The middles of edges that are long enough to be pulled out to a new corner.
function betweens(polygon) {
  if (polygon.length >= CORNERS_MAX) return [];
  return polygon.flatMap(([x, y], after) => {
    const [nx, ny] = polygon[(after + 1) % polygon.length];
    const length = Math.hypot((nx - x) * ink.clientWidth, (ny - y) * ink.clientHeight);
    return length > 4 * GRIP_PX ? [{ after, place: [(x + nx) / 2, (y + ny) / 2] }] : [];
  });
}

function pressed(event) {
  if (over || (event.pointerType === "mouse" && event.button !== 0)) return;
  const from = place(event);
  if (drawing) return band(event, from);
  const { area: index, corner: point = -1, between } = hit(from);
  choose(index, point);
  refresh();
  if (index < 0) return;
  if (fixed[areas[index].kind]) return;
  const before = JSON.stringify(areas);
  if (between !== undefined) {
    areas[index].polygon.splice(between + 1, 0, from);
    choose(index, between + 1);
  }
  const start = areas[index].polygon;
  drag(
    event,
    (to) => {
      if (corner >= 0) areas[index].polygon[corner] = to;
      else areas[index].polygon = shifted(start, to[0] - from[0], to[1] - from[1]);
      paint();
    },
    () => {
      if (JSON.stringify(areas) !== before) undo.push(before);
      refresh();
    },
  );
}

function shifted(polygon, dx, dy) {
  const [xs, ys] = [polygon.map(([x]) => x), polygon.map(([, y]) => y)];
  const x = Math.min(1 - Math.max(...xs), Math.max(-Math.min(...xs), dx));
  const y = Math.min(1 - Math.max(...ys), Math.max(-Math.min(...ys), dy));
  return polygon.map(([px, py]) => [held(px + x), held(py + y)]);
}

function band(event, from) {
  const rectangle = made("rect", { class: "band" });
  ink.append(rectangle);
  const span = (to) => ({
    x: Math.min(from[0], to[0]) * size[0],
    y: Math.min(from[1], to[1]) * size[1],
    width: Math.abs(from[0] - to[0]) * size[0],
    height: Math.abs(from[1] - to[1]) * size[1],
  });
  drag(
    event,
    (to) => {
      for (const [key, value] of Object.entries(span(to))) rectangle.setAttribute(key, value);
    },
    (to) => {
      rectangle.remove();
      const tapped = Math.abs(from[0] - to[0]) < 0.02 || Math.abs(from[1] - to[1]) < 0.02;
      if (!tapped) return add(from, to);
      add([held(from[0] - 0.1), held(from[1] - 0.1)], [held(from[0] + 0.1), held(from[1] + 0.1)]);
    },
  );
}

function key(event) {
  const { area, corner: point } = event.target.dataset;
  if (area === undefined || fixed[areas[Number(area)].kind]) return;
  const step = event.shiftKey ? 0.002 : 0.01;
  const ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  const index = Number(area);
  choose(index, point === undefined ? -1 : Number(point));
  if (event.key === "Delete" || event.key === "Backspace") {
    event.preventDefault();
    return corner >= 0 ? removeCorner() : remove();
  }
  const way = ways[event.key];
  if (!way) return;
  event.preventDefault();
  keep();
  const polygon = areas[index].polygon;
  if (corner >= 0) polygon[corner] = [held(polygon[corner][0] + way[0]), held(polygon[corner][1] + way[1])];
  else areas[index].polygon = shifted(polygon, ...way);
  refresh();
  const again = corner >= 0 ? `.grip[data-corner="${corner}"]` : ".area";
  ink.querySelector(`${again}[data-area="${index}"]`)?.focus();
}

// --- painting --------------------------------------------------------------------------------------------

function paint() {
  const [width, height] = size;
  const scale = width / (ink.clientWidth || width); // picture's pixels of one of the screen
  const there = ([x, y]) => [x * width, y * height];
  ink.setAttribute("viewBox", `0 0 ${width} ${height}`);
  ink.classList.toggle("plain", !at("outlines").checked);
  ink.replaceChildren();
  const order = areas.map((_, i) => i).sort((a, b) => (a === chosen) - (b === chosen));
  for (const i of order) {
    const { kind, name, polygon } = areas[i];
    const points = polygon.map((point) => there(point).join(",")).join(" ");
    const mood = `${kind}${i === chosen ? " chosen" : ""}`;
    const shape = made("polygon", { points, class: `area ${mood}`, "data-area": i });
    shape.setAttribute("aria-label", `${TEXTS[kind]} ${name}`);
    shape.setAttribute("role", "button");
    shape.setAttribute("tabindex", "0");
    ink.append(shape);
    if (at("outlines").checked) {
      const [x, y] = there(polygon.reduce((best, point) => (point[1] < best[1] ? point : best)));
      const label = made("text", { x, y: y + 18 * scale, class: "label", "font-size": 13 * scale });
      label.setAttribute("text-anchor", x > width / 2 ? "end" : "start");
      label.textContent = name;
      ink.append(label);
    }
    if (i === chosen && !fixed[kind]) grips(i, polygon, there, scale);
  }
}

function grips(i, polygon, there, scale) {
  const dot = (place, r, mood) => {
    const [cx, cy] = there(place);
    ink.append(made("circle", { cx, cy, r: r * scale, class: mood }));
    return { cx, cy };
  };
  for (const { place } of betweens(polygon)) dot(place, 5, "between");
  polygon.forEach((point, k) => {
    const centre = dot(point, 8, k === corner ? "corner chosen" : "corner");
    const grip = made("circle", { ...centre, r: GRIP_PX * scale, class: "grip", role: "button", tabindex: 0 });
    for (const [name, value] of [["data-area", i], ["data-corner", k], ["aria-label", `${TEXTS.corner} ${k + 1}`]])
      grip.setAttribute(name, value);
    ink.append(grip);
  });
}

function list() {
  const rows = areas.map((area, i) => {
    const row = document.createElement("li");
    row.className = `${area.kind}${i === chosen ? " chosen" : ""}`;
    row.append(field(TEXTS[area.kind], nameInput(area)));
    if (area.kind === "zone") for (const what of ["persons", "motion"]) row.append(field(TEXTS[what], choice(area, what)));
    if (fixed[area.kind]) for (const input of row.querySelectorAll("input, select")) input.disabled = true;
    row.addEventListener("focusin", () => {
      if (chosen === i) return;
      choose(i);
      paint();
      at("areas").querySelectorAll("li").forEach((other, k) => other.classList.toggle("chosen", k === i));
    });
    return row;
  });
  if (!rows.length) {
    const row = document.createElement("li");
    row.textContent = TEXTS.none;
    rows.push(row);
  }
  at("areas").replaceChildren(...rows);
}

function field(text, input) {
  const label = document.createElement("label");
  label.append(text, input);
  return label;
}

function nameInput(area) {
  const input = document.createElement("input");
  input.value = area.name;
  input.maxLength = 32;
  input.autocapitalize = "none";
  input.spellcheck = false;
  input.addEventListener("change", () => {
    keep();
    area.name = input.value.trim().toLowerCase().replace(/[\s_]+/g, "-");
    input.value = area.name;
    problem(named() ? "" : TEXTS.bad_name);
    paint();
    state();
  });
  return input;
}

function choice(area, what) {
  const select = document.createElement("select");
  for (const [value, text] of [["", TEXTS.anywhere], ["include", TEXTS.include], ["exclude", TEXTS.exclude]])
    select.add(new Option(text, value));
  select.value = area[what] || "";
  select.addEventListener("change", () => {
    keep();
    area[what] = select.value || null;
    state();
  });
  return select;
}

// --- begin -----------------------------------------------------------------------------------------------

ink.addEventListener("pointerdown", pressed);
ink.addEventListener(
  "touchstart",
  (event) => {
    if (drawing || hit(place(event.touches[0])).area >= 0) event.preventDefault(); // else the page is scrolled
  },
  { passive: false },
);
ink.addEventListener("keydown", key);
at("add-mask").addEventListener("click", () => arm("mask"));
at("add-zone").addEventListener("click", () => arm("zone"));
at("undo").addEventListener("click", takeBack);
at("remove").addEventListener("click", remove);
at("remove-corner").addEventListener("click", removeCorner);
at("outlines").addEventListener("change", paint);
at("save").addEventListener("click", save);
at("finish").addEventListener("click", finish);
for (const name of ["pointerdown", "keydown", "wheel"])
  addEventListener(name, () => (touched = true), { capture: true, passive: true });
addEventListener("resize", paint);
addEventListener("beforeunload", (event) => {
  if (unsaved()) event.preventDefault();
});
load();
look();
