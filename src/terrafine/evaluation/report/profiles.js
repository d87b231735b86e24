"use strict";
// Profiles along a line that is chosen, drawn or typed, from the packed heights on the page.
async function unpack(pack) {
  const bytes = Uint8Array.from(atob(pack.data), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const size = pack.rows * pack.cols, heights = new Float32Array(size);
  for (let row = 0, i = 0; row < pack.rows; row++) {
    for (let col = 0, level = 0; col < pack.cols; col++, i++) {
      level = (level + planes[i] + 256 * planes[size + i]) & 65535;
      heights[i] = level === 65535 ? NaN : pack.base + level * pack.step;
    }
  }
  return { rows: pack.rows, cols: pack.cols, heights };
}

function sample(grid, line, count) {
  const { rows, cols, heights } = grid, out = new Array(count);
  const clamp = (v, top) => Math.min(Math.max(v, 0), top);
  for (let k = 0; k < count; k++) {
    const t = k / (count - 1);
    const x = clamp((line[0] + (line[2] - line[0]) * t) * cols - 0.5, cols - 1);
    const y = clamp((line[1] + (line[3] - line[1]) * t) * rows - 0.5, rows - 1);
    const c = Math.min(Math.floor(x), cols - 2), r = Math.min(Math.floor(y), rows - 2), u = x - c, v = y - r;
    const at = (dr, dc) => heights[(r + dr) * cols + c + dc];
    out[k] = (at(0, 0) * (1 - u) + at(0, 1) * u) * (1 - v) + (at(1, 0) * (1 - u) + at(1, 1) * u) * v;
  }
  return out;
}

function ticks(low, high, about) {
  const rough = (high - low) / about, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999), out = [];
  for (let k = Math.ceil(low / step); k <= high / step + 1e-9; k++) out.push(k * step);
  return out;
}

const text = (v) => String(+v.toPrecision(6)).replace("-", "\u2212");

// One framed chart; `top` is where it starts, so that two can share an SVG and an axis of distance.
function draw(curves, length, top, H, label, floor) {
  const [W, L, R, B] = [500, 58, 14, 46], T = top + 14, bottom = top + H - B;
  const seen = curves.flatMap((c) => c.heights).filter(Number.isFinite);
  if (!seen.length || !(length > 0)) return "";
  let low = Math.min(...seen), high = Math.max(...seen);
  const margin = Math.max((high - low) * 0.06, floor);
  low -= margin; high += margin;
  const X = (d) => L + (d / length) * (W - L - R), Y = (z) => T + (1 - (z - low) / (high - low)) * (bottom - T);
  let svg = "";
  for (const d of ticks(0, length, 6)) svg += `<line x1="${X(d)}" x2="${X(d)}" y1="${T}" y2="${bottom}" class="grid"/><text x="${X(d)}" y="${bottom + 16}" text-anchor="middle">${text(d)}</text>`;
  for (const z of ticks(low, high, 4)) svg += `<line x1="${L}" x2="${W - R}" y1="${Y(z)}" y2="${Y(z)}" class="grid"/><text x="${L - 7}" y="${Y(z) + 4}" text-anchor="end">${text(z)}</text>`;
  svg += `<rect x="${L}" y="${T}" width="${W - L - R}" height="${bottom - T}" class="frame"/><text x="${(W + L) / 2}" y="${bottom + 38}" text-anchor="middle">distance along the line, metres</text><text transform="translate(13 ${(T + bottom) / 2}) rotate(-90)" text-anchor="middle">${label}</text>`;
  for (const { heights, style } of curves) {
    let path = "", pen = "M";
    heights.forEach((z, k) => {
      if (!Number.isFinite(z)) { pen = "M"; return; }
      path += `${pen}${X((length * k) / (heights.length - 1)).toFixed(1)} ${Y(z).toFixed(1)}`;
      pen = "L";
    });
    svg += `<path d="${path}" fill="none" stroke="${style[0]}" stroke-dasharray="${style[1]}" stroke-width="${style[2]}" stroke-linejoin="round"/>`;
  }
  return svg;
}

function profiles() {
  const root = $("pick");
  if (!root || !("DecompressionStream" in window)) return;
  const [place, ready, chart, status] = ["pf-window", "pf-line", "pf-chart", "pf-status"].map($);
  const fields = ["pf-x0", "pf-y0", "pf-x1", "pf-y1"].map($);
  const ground = root.querySelector(".ground"), image = ground.querySelector("img");
  const lines = ground.querySelectorAll("line"), ends = ground.querySelectorAll("circle");
  const cache = {};
  let line = DATA.lines[0].at.slice(), turn = 0;
  async function update(aloud) {
    const key = place.value, mine = ++turn;
    fields.forEach((field, i) => { if (document.activeElement !== field) field.value = +(line[i] * 100).toFixed(1); });
    lines.forEach((l) => ["x1", "y1", "x2", "y2"].forEach((a, i) => l.setAttribute(a, line[i] * 100 + "%")));
    ends.forEach((c, i) => { c.setAttribute("cx", line[2 * i] * 100 + "%"); c.setAttribute("cy", line[2 * i + 1] * 100 + "%"); });
    cache[key] = cache[key] || Promise.all(DATA.grids[key].map((g) => unpack(g.pack)));
    const grids = await cache[key];
    if (mine !== turn) return;
    const size = DATA.size[key], length = Math.hypot((line[2] - line[0]) * size[0], (line[3] - line[1]) * size[1]);
    const curves = DATA.grids[key].map((g, i) => ({ name: g.name, style: g.style, heights: sample(grids[i], line, 320) }));
    const truth = curves[0].heights;
    const errors = curves.slice(1).map((c) => ({ ...c, heights: c.heights.map((z, k) => z - truth[k]) }));
    chart.querySelector("g").innerHTML = draw(curves, length, 0, 290, "elevation, metres", 0.05) +
      draw(errors, length, 290, 190, "error, metres", 0.01);
    const parts = errors.map(({ name, heights }) => {
      const square = heights.map((e) => e ** 2).filter(Number.isFinite);
      return `${name} ${Math.sqrt(square.reduce((a, b) => a + b, 0) / square.length).toPrecision(3)} m`;
    });
    chart.querySelector("title").textContent = `Profile of ${text(Math.round(length))} m`;
    if (aloud) status.textContent = `Line of ${Math.round(length)} m. RMSE along it: ${parts.join(", ")}.`;
  }
  const scene = () => {
    image.src = $(DATA.plates[place.value].reference.id).src;
    ground.style.aspectRatio = DATA.aspect[place.value];
    update(true);
  };
  place.addEventListener("change", scene);
  ready.addEventListener("change", () => { if (ready.value !== "own") { line = DATA.lines[+ready.value].at.slice(); update(true); } });
  const own = () => { ready.value = "own"; };
  fields.forEach((field, i) => field.addEventListener("input", () => {
    if (field.value === "" || Number.isNaN(+field.value)) return;
    line[i] = Math.min(1, Math.max(0, field.value / 100)); own(); update(true);
  }));
  const spot = (event) => {
    const box = ground.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((v) => Math.min(1, Math.max(0, v)));
  };
  let held = -1;
  ground.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    ground.setPointerCapture(event.pointerId);
    const at = spot(event), near = [0, 2].map((i) => Math.hypot(line[i] - at[0], line[i + 1] - at[1]));
    held = Math.min(...near) < 0.05 ? (near[0] < near[1] ? 0 : 2) : 2;
    if (Math.min(...near) >= 0.05) line = [...at, ...at];
    own(); update(false);
  });
  ground.addEventListener("pointermove", (event) => {
    if (held < 0) return;
    [line[held], line[held + 1]] = spot(event);
    update(false);
  });
  ["dragstart", "mousedown"].forEach((name) => ground.addEventListener(name, (event) => event.preventDefault()));
  ["pointerup", "pointercancel"].forEach((name) => ground.addEventListener(name, () => {
    if (held < 0) return;
    held = -1;
    update(true);
  }));
  scene();
}

profiles();
