"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (selector) => document.querySelector(selector);
  const slider = find("#at"), shown = find("#now"), moved = find("#moved"), cursor = find("#cursor");
  const rows = data.steps.map((_, rank) => document.querySelectorAll(".r" + rank));
  const boxes = data.groups.map((ranks) => find(".dag .s" + ranks[0]));
  const home = new Map();
  data.groups.forEach((ranks, group) => ranks.forEach((rank) => home.set(rank, group)));
  const times = [...new Set([0, ...data.moves.map(([at]) => at), data.end])].sort((a, b) => a - b);
  const current = new Array(data.steps.length).fill(-1);

  const said = (seconds) => {
    const parts = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
    let rest = seconds;
    const out = [];
    for (const [size, unit] of parts) {
      const count = Math.floor(rest / size);
      rest -= count * size;
      if (count) out.push(count + unit);
    }
    return "+" + (out.slice(0, 2).join("") || "0s");
  };

  const paint = (element, phase) => {
    element.classList.remove(...data.phases);
    if (phase >= 0) element.classList.add(data.phases[phase]);
  };

  const show = (time) => {
    const phases = new Array(data.steps.length).fill(0);
    const attempts = new Array(data.steps.length).fill(0);
    const running = data.phases.indexOf("Running");
    const last = [];
    for (const [at, rank, phase] of data.moves) {
      if (at > time) break;
      if (phase === running && phases[rank] !== running) attempts[rank] += 1;
      phases[rank] = phase;
      if (at === time) last.push(data.steps[rank] + " " + data.phases[phase]);
    }
    const touched = new Set();
    phases.forEach((phase, rank) => {
      if (phase === current[rank]) return;
      current[rank] = phase;
      touched.add(home.get(rank));
      rows[rank].forEach((element) => {
        paint(element, phase);
        const state = element.querySelector(".state");
        if (state) {
          state.firstElementChild.textContent = data.signs[phase];
          state.lastElementChild.textContent = data.phases[phase];
        }
      });
    });
    touched.forEach((group) => {
      const ranks = data.groups[group], box = boxes[group];
      const kinds = new Set(ranks.map((rank) => phases[rank]));
      const one = kinds.size === 1 ? phases[ranks[0]] : -1;
      paint(box, one);
      box.querySelector(".sign").textContent = one >= 0 ? data.signs[one] : "◐";
      const most = Math.max(...ranks.map((rank) => attempts[rank]));
      const counts = data.phases.map((_, phase) => ranks.filter((rank) => phases[rank] === phase).length);
      const summary = data.phases.map((_, phase) => (counts[phase] ? counts[phase] + data.signs[phase] : "")).join(" ");
      box.querySelector(".badge").textContent = ranks.length > 1 ? summary.trim() : most > 1 ? "×" + most : "";
    });
    slider.value = time;
    shown.textContent = said(time) + (time >= data.end ? " (end)" : "");
    slider.setAttribute("aria-valuetext", shown.textContent);
    moved.textContent = last.slice(0, 3).join(", ") + (last.length > 3 ? " and " + (last.length - 3) + " more" : "");
    const axis = find(".axis"), frame = find(".bars");
    if (axis) {
      const left = axis.getBoundingClientRect().left - frame.getBoundingClientRect().left;
      cursor.style.left = left + (axis.clientWidth * time) / data.end + "px";
      cursor.style.display = "block";
    }
  };

  const now = () => Number(slider.value);
  const before = () => show(Math.max(0, ...times.filter((time) => time < now())));
  const after = () => show(Math.min(data.end, ...times.filter((time) => time > now())));
  slider.addEventListener("input", () => show(now()));
  find("#first").addEventListener("click", () => show(0));
  find("#before").addEventListener("click", before);
  find("#after").addEventListener("click", after);
  find("#last").addEventListener("click", () => show(data.end));
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input[type=search]") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "n") after();
    else if (event.key === "p") before();
  });
  window.addEventListener("resize", () => show(now()));

  const choose = (rank) => {
    document.querySelectorAll(".chosen").forEach((element) => element.classList.remove("chosen"));
    rows[rank].forEach((element) => element.classList.add("chosen"));
    const row = document.getElementById("step-" + rank);
    const details = row.querySelector("details");
    if (details) details.open = true;
    row.scrollIntoView({ block: "center" });
  };
  boxes.forEach((box, group) => {
    box.setAttribute("tabindex", "0");
    box.addEventListener("click", () => choose(data.groups[group][0]));
    box.addEventListener("keydown", (event) => {
      if (event.key === "Enter") choose(data.groups[group][0]);
    });
  });

  const filter = find("#filter");
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    document.querySelectorAll("tbody tr").forEach((row) => {
      row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
    });
  });
  const scroll = find(".scroll"), fit = find("#fit");
  fit.addEventListener("click", () => fit.setAttribute("aria-pressed", String(scroll.classList.toggle("fit"))));
  find("#search").hidden = false;
  find("#controls").hidden = false;
  // The first step may stand far down beside a wide fan-out.
  const first = boxes[0].querySelector(".shape").getBBox();
  scroll.scrollTop = first.y + first.height / 2 - scroll.clientHeight / 2;
  // `#t=90` opens the page at that second.
  const asked = /^#t=(\d+)$/.exec(location.hash);
  show(asked ? Math.min(Number(asked[1]), data.end) : data.end);
})();
