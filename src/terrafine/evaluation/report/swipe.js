"use strict";
// Swipe between two plates. Everything is on the page; nothing is fetched. DATA and $ serve profiles.js as well.
document.documentElement.classList.add("js");
const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);

// ---- swipe ------------------------------------------------------------------------------------------------------
function swipe() {
  const root = $("swipe");
  if (!root) return;
  const [place, left, right, slider] = ["sw-window", "sw-left", "sw-right", "sw-at"].map($);
  const [under, over] = root.querySelectorAll(".ground img");
  const ground = root.querySelector(".ground"), seam = root.querySelector(".seam");
  const show = () => {
    const plates = DATA.plates[place.value];
    [[left, under, ".tag.l"], [right, over, ".tag.r"]].forEach(([select, img, tag]) => {
      const plate = plates[select.value] || plates.reference;
      img.src = $(plate.id).src;
      img.alt = plate.alt;
      root.querySelector(tag).textContent = plate.name;
    });
    error(plates);
    [root, $("sw-error")].filter(Boolean).forEach((part) => {
      part.querySelector(".ground").style.aspectRatio = DATA.aspect[place.value];
      // The page holds one scale bar for each window; the shown one is copied with the plate.
      const bar = $("bar-" + place.value).cloneNode(true);
      bar.removeAttribute("id");
      part.querySelector(".bar").replaceWith(bar);
    });
  };
  const error = (plates) => {
    const figure = $("sw-error");
    if (!figure) return;
    const img = figure.querySelector("img"), plate = plates[img.dataset.key];
    img.src = $(plate.id).src;
    img.alt = plate.alt;
    const [low, high] = figure.querySelectorAll(".ramp span");
    low.textContent = DATA.limit[place.value] + " m too low";
    high.textContent = DATA.limit[place.value] + " m too high";
  };
  const move = (share) => {
    const at = Math.round(Math.min(1, Math.max(0, share)) * 100);
    const words = at + " % " + right.selectedOptions[0].textContent.trim() + " hidden";
    slider.value = at;
    root.style.setProperty("--at", at + "%");
    seam.setAttribute("aria-valuenow", at);
    [slider, seam].forEach((e) => e.setAttribute("aria-valuetext", words));
  };
  [place, left, right].forEach((e) => e.addEventListener("change", () => { show(); move(slider.value / 100); }));
  slider.addEventListener("input", () => move(slider.value / 100));
  seam.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 10 : 1, at = +slider.value;
    const to = { ArrowLeft: at - step, ArrowDown: at - step, ArrowRight: at + step, ArrowUp: at + step,
      PageDown: at - 10, PageUp: at + 10, Home: 0, End: 100 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(to / 100);
  });
  // A finger that scrolls the page up or down passes over the map: the seam follows only what moves sideways, or a tap.
  let held = null;
  const follow = (event) => {
    const box = ground.getBoundingClientRect();
    move((event.clientX - box.left) / box.width);
  };
  ["dragstart", "mousedown"].forEach((name) => ground.addEventListener(name, (event) => event.preventDefault()));
  ground.addEventListener("pointerdown", (event) => {
    if (event.button || held) return;
    held = { id: event.pointerId, x: event.clientX, moved: event.pointerType === "mouse" };
    ground.setPointerCapture(event.pointerId);
    seam.focus({ preventScroll: true });
    if (held.moved) follow(event);
  });
  ground.addEventListener("pointermove", (event) => {
    if (!held || event.pointerId !== held.id) return;
    held.moved = held.moved || Math.abs(event.clientX - held.x) > 3;
    if (held.moved) follow(event);
  });
  ground.addEventListener("pointerup", (event) => {
    if (held && event.pointerId === held.id) follow(event);
    held = null;
  });
  ["pointercancel", "lostpointercapture"].forEach((name) => ground.addEventListener(name, () => { held = null; }));
  show();
  move(0.5);
}

swipe();
