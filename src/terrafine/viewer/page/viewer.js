// The map: two layers side by side under a swipe, 3D terrain, values under the pointer, and the view in the address.
import * as maplibregl from "./maplibre-gl.mjs";

const $ = (id) => document.getElementById(id);
const layers = await (await fetch("layers.json")).json();
const byKey = new Map(layers.map((layer) => [layer.key, layer]));
const stated = location.hash.includes("swipe=");
const state = read();
const maps = { left: make("left"), right: make("right") };
const bounds = together(layers);

function read() {
  const given = new URLSearchParams(location.hash.slice(1));
  const place = (given.get("map") || "").split("/").map(Number);
  const known = (name, other) => (given.has(name) && (given.get(name) === "" || byKey.has(given.get(name))) ? given.get(name) : other);
  const number = (name, other) => (given.has(name) && Number.isFinite(Number(given.get(name))) ? Number(given.get(name)) : other);
  return {
    place: place.length === 5 && place.every(Number.isFinite) ? place : null,
    left: known("left", layers[0].key) || layers[0].key,
    right: known("right", layers.length > 1 ? layers[1].key : ""),
    swipe: Math.min(100, Math.max(0, number("swipe", 50))),
    opacity: Math.min(100, Math.max(0, number("opacity", 100))),
    relief: given.get("3d") === "1",
    height: Math.min(10, Math.max(0.5, number("height", 1.5))),
  };
}

function write() {
  const map = maps.left;
  const c = map.getCenter();
  const place = [map.getZoom().toFixed(2), c.lat.toFixed(5), c.lng.toFixed(5), map.getBearing().toFixed(1), map.getPitch().toFixed(1)];
  const kept = { map: place.join("/"), left: state.left, right: state.right, swipe: state.swipe, opacity: state.opacity };
  if (state.relief) Object.assign(kept, { "3d": 1, height: state.height });
  history.replaceState(null, "", "#" + new URLSearchParams(kept).toString().replaceAll("%2F", "/"));
}

function together(all) {
  const ends = (i, pick) => pick(...all.map((layer) => layer.bounds[i]));
  return [[ends(0, Math.min), ends(1, Math.min)], [ends(2, Math.max), ends(3, Math.max)]];
}

function make(side) {
  const map = new maplibregl.Map({
    container: side,
    style: { version: 8, sources: {}, layers: [] },
    attributionControl: false,
    maxPitch: 75,
    canvasContextAttributes: { preserveDrawingBuffer: true },
  });
  map.on("error", (e) => { $("error").textContent = e.error?.message || "a tile could not be read"; });
  return map;
}

function follow(one, other) {
  let busy = false;
  const copy = (from, to) => () => {
    if (busy) return;
    busy = true;
    to.jumpTo({ center: from.getCenter(), zoom: from.getZoom(), bearing: from.getBearing(), pitch: from.getPitch() });
    busy = false;
  };
  one.on("move", copy(one, other));
  other.on("move", copy(other, one));
}

function show(side) {
  const map = maps[side];
  map.setTerrain(null);
  for (const id of ["shown"]) if (map.getLayer(id)) map.removeLayer(id);
  for (const id of ["shown", "heights"]) if (map.getSource(id)) map.removeSource(id);
  const layer = byKey.get(state[side]);
  if (!layer) return;
  const source = (what) => ({ tiles: [new URL(`${what}/${layer.key}/{z}/{x}/{y}.png`, location.href.split("#")[0]).href.replaceAll("%7B", "{").replaceAll("%7D", "}")],
    tileSize: 256, bounds: layer.bounds, maxzoom: layer.maxzoom });
  map.addSource("shown", { type: "raster", ...source("tiles") });
  map.addLayer({ id: "shown", type: "raster", source: "shown",
    paint: { "raster-opacity": side === "right" ? state.opacity / 100 : 1, "raster-fade-duration": 0,
      "raster-resampling": layer.kind === "classes" ? "nearest" : "linear" } });
  const relief = layer.kind === "elevation" ? layer : layers.find((other) => other.kind === "elevation");
  $("relief").disabled = !relief;
  if (state.relief && relief) {
    map.addSource("heights", { type: "raster-dem", encoding: "terrarium", ...source("heights"),
      tiles: source("heights").tiles.map((url) => url.replace(`/${layer.key}/`, `/${relief.key}/`)), bounds: relief.bounds, maxzoom: relief.maxzoom });
    map.setTerrain({ source: "heights", exaggeration: state.height });
  }
}

function legends() {
  const drawn = [...new Set([state.left, state.right])].map((key) => byKey.get(key)).filter((layer) => layer?.legend);
  $("legends").replaceChildren(...drawn.map((layer) => {
    const box = document.createElement("section");
    box.className = "legend";
    const head = document.createElement("h2");
    head.textContent = layer.label + (layer.legend.unit ? ` (${layer.legend.unit})` : "");
    box.append(head, ...(layer.legend.kind === "ramp" ? ramp(layer.legend) : [classes(layer.legend)]));
    return box;
  }));
}

function ramp(legend) {
  const bar = document.createElement("div");
  bar.className = "ramp";
  bar.style.background = `linear-gradient(to right, ${legend.colours.join(", ")})`;
  const ticks = document.createElement("div");
  ticks.className = "ticks";
  for (const value of legend.ticks) {
    const tick = document.createElement("span");
    tick.textContent = Number(value.toPrecision(6)).toLocaleString("en");
    tick.style.left = `${Math.min(96, Math.max(4, 100 * (value - legend.low) / Math.max(legend.high - legend.low, 1e-12)))}%`;
    ticks.append(tick);
  }
  return [bar, ticks];
}

function classes(legend) {
  const list = document.createElement("ul");
  list.className = "classes";
  for (const entry of legend.entries) {
    const item = document.createElement("li");
    const patch = document.createElement("i");
    patch.style.background = entry.colour;
    item.append(patch, entry.name);
    list.append(item);
  }
  return list;
}

let asked = 0;
async function values(at) {
  const mine = ++asked;
  const keys = [...new Set([state.left, state.right].filter(Boolean))];
  const query = new URLSearchParams([["lng", at.lng], ["lat", at.lat], ...keys.map((key) => ["layer", key])]);
  const found = await (await fetch(`values.json?${query}`)).json();
  if (mine !== asked) return;
  $("values").textContent = [`${at.lat.toFixed(5)}, ${at.lng.toFixed(5)}`, ...found.map((f) => `${f.label}: ${f.value}`)].join("\n");
}

function cut() {
  document.body.classList.toggle("single", !state.right);
  $("right").style.clipPath = `inset(0 0 0 ${state.swipe}%)`;
  $("seam").style.left = `${state.swipe}%`;
  maps.right.resize();
}

// The whole extent beside the panel, where the window is wide enough for both.
function fit() {
  const panel = document.querySelector("aside").getBoundingClientRect();
  const beside = innerWidth > 2.5 * panel.width ? panel.right : 0;
  maps.left.fitBounds(bounds, { padding: { top: 40, bottom: 40, right: 40, left: 40 + beside }, animate: false });
  return 100 * (beside + innerWidth) / 2 / innerWidth;
}

function lists() {
  const options = (none) => [...(none ? [new Option("none", "")] : []), ...layers.map((l) => new Option(l.date ? `${l.label} (${l.date})` : l.label, l.key))];
  $("left-layer").replaceChildren(...options(false));
  $("right-layer").replaceChildren(...options(true));
  $("left-layer").value = state.left;
  $("right-layer").value = state.right;
  $("swipe").value = state.swipe;
  $("opacity").value = state.opacity;
  $("relief").checked = state.relief;
  $("height").value = state.height;
}

function connect() {
  for (const side of ["left", "right"]) {
    $(`${side}-layer`).addEventListener("change", (e) => { state[side] = e.target.value; show(side); cut(); legends(); write(); });
  }
  $("swipe").addEventListener("input", (e) => { state.swipe = Number(e.target.value); cut(); write(); });
  $("opacity").addEventListener("input", (e) => {
    state.opacity = Number(e.target.value);
    if (maps.right.getLayer("shown")) maps.right.setPaintProperty("shown", "raster-opacity", state.opacity / 100);
    write();
  });
  const terrain = () => {
    state.relief = $("relief").checked;
    state.height = Math.min(10, Math.max(0.5, Number($("height").value) || 1.5));
    show("left");
    show("right");
    if (state.relief && maps.left.getPitch() < 10) maps.left.easeTo({ pitch: 55 });
    if (!state.relief) maps.left.easeTo({ pitch: 0 });
    write();
  };
  $("relief").addEventListener("change", terrain);
  $("height").addEventListener("change", terrain);
  $("whole").addEventListener("click", fit);
  $("read").addEventListener("click", () => values(maps.left.getCenter()));
  document.addEventListener("keydown", (e) => {
    if (e.key.toLowerCase() === "v" && !e.ctrlKey && !e.metaKey && !e.altKey && e.target.tagName !== "SELECT") values(maps.left.getCenter());
  });
  let waiting = 0;
  for (const map of Object.values(maps)) {
    map.on("mousemove", (e) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => values(e.lngLat), 60);
    });
    map.on("click", (e) => values(e.lngLat));
  }
  maps.left.on("moveend", write);
  maps.right.addControl(new maplibregl.NavigationControl({ visualizePitch: true }), "top-right");
  maps.left.addControl(new maplibregl.NavigationControl({ visualizePitch: true }), "top-right");
  maps.left.addControl(new maplibregl.ScaleControl({ maxWidth: 140 }), "bottom-right");
}

await Promise.all(Object.values(maps).map((map) => new Promise((done) => (map.loaded() ? done() : map.once("load", done)))));
lists();
follow(maps.left, maps.right);
if (state.place) {
  const [zoom, lat, lng, bearing, pitch] = state.place;
  maps.left.jumpTo({ zoom, center: [lng, lat], bearing, pitch });
} else {
  const middle = fit();
  if (!stated) $("swipe").value = state.swipe = Math.round(2 * middle) / 2;
}
show("left");
show("right");
cut();
legends();
connect();
write();
document.body.dataset.ready = "yes";
await Promise.all(Object.values(maps).map((map) => new Promise((done) => map.once("idle", done))));
document.body.dataset.drawn = "yes";
