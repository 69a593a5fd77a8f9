/* What the pages do beyond plain HTML: they change by themselves, and images can be scrolled.
   Without this file everything is there, after a reload. Nothing here knows a patient. */
"use strict";

(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  /* ---------------------------------------------------------------- live updates

     An element with data-topic shows one topic; inside it, data-field="x" shows the value x of it.
     data-state of the element follows the value "state": the style sheet shows what fits it. */

  const SVG = "http://www.w3.org/2000/svg";

  const drawMap = (svg, digits) => {
    if (svg.dataset.digits === digits) return;
    svg.dataset.digits = digits;
    svg.setAttribute("viewBox", `0 0 ${digits.length || 1} 1`);
    const cells = [];
    for (let first = 0; first < digits.length; ) {
      let end = first + 1;
      while (end < digits.length && digits[end] === digits[first]) end += 1;
      if (digits[first] !== "0") {
        const cell = document.createElementNS(SVG, "rect");
        cell.setAttribute("x", first);
        cell.setAttribute("width", end - first);
        cell.setAttribute("height", 1);
        cell.setAttribute("opacity", 0.25 + Number(digits[first]) / 12);
        cells.push(cell);
      }
      first = end;
    }
    svg.replaceChildren(...cells);
  };

  const fillRows = (body, rows) => {
    const columns = body.dataset.columns.split(" ");
    const labels = body.dataset.labels.split("|");
    body.replaceChildren(
      ...rows.map((row) => {
        const line = document.createElement("tr");
        columns.forEach((column, place) => {
          const cell = document.createElement(place ? "td" : "th");
          if (place) cell.dataset.label = labels[place];
          else cell.scope = "row";
          cell.textContent = row[column];
          line.append(cell);
        });
        return line;
      }),
    );
  };

  const show = (element, value) => {
    if (element.matches("progress")) {
      if (value === null) element.removeAttribute("value");
      else element.value = value;
    }
    else if (element.matches("svg")) drawMap(element, value);
    else if (element.matches("tbody")) fillRows(element, value);
    else if (element.textContent !== String(value)) element.textContent = value;
  };

  const BADGES = { fetching: "coming", complete: "here", paused: "paused", failed: "failed" };

  const apply = (topic, value) => {
    for (const holder of $$(`[data-topic="${CSS.escape(topic)}"]`)) {
      if (value.state) {
        if (holder.dataset.reloadWhen === value.state && holder.dataset.state !== value.state) reloadOnce();
        holder.dataset.state = value.state;
        holder.dataset.stat = value.stat;
        const badge = $("[data-field=badge]", holder);
        if (badge) badge.className = `badge ${BADGES[value.state] || ""}`;
      }
      for (const element of $$("[data-field]", holder)) {
        if (element.dataset.field in value) show(element, value[element.dataset.field]);
      }
      if (value.series) showSeries(holder, value);
      if ("done" in value && holder.dataset.done !== String(value.done)) drawAnew(holder, topic);
    }
    if (topic === "transfers") bringNew($("[data-transfers]"), "transfer-", "/transfers", value.shown);
    if (topic === "sent") {
      const list = $("[data-sent]");
      bringNew(list, "sent-", "/sent", value.shown);
      for (const gone of list ? $$("[data-topic]", list) : []) {
        if (!value.shown.includes(Number(gone.dataset.topic.slice("sent-".length)))) gone.remove();
      }
    }
  };

  /* What the page does not show yet comes as the server draws it. */
  const asked = new Set();
  const bringNew = async (list, topics, path, shown) => {
    if (!list) return;
    for (const one of shown) {
      const topic = topics + one;
      if (asked.has(topic) || $(`[data-topic="${topic}"]`, list)) continue;
      asked.add(topic);
      const answer = await fetch(`${path}/${one}/card`);
      if (!answer.ok) continue;
      const holder = document.createElement("template");
      holder.innerHTML = await answer.text();
      list.prepend(holder.content);
      $("[data-nothing]")?.remove();
    }
  };

  /* A study that is done folds, as the server draws it; not while somebody is at its buttons. */
  const drawAnew = async (holder, topic) => {
    if (holder.contains(document.activeElement) || holder.dataset.drawing) return;
    holder.dataset.drawing = "yes";
    const answer = await fetch(`/sent/${topic.slice("sent-".length)}/card`).catch(() => null);
    delete holder.dataset.drawing;
    if (!answer?.ok || holder.contains(document.activeElement)) return;
    const drawn = document.createElement("template");
    drawn.innerHTML = await answer.text();
    holder.replaceWith(drawn.content);
  };

  /* Images of a study as they come: counts, and pictures as soon as there is something to see. */
  const showSeries = (holder, value) => {
    for (const [series, words] of Object.entries(value.series)) {
      const count = $(`[data-series-count="${series}"]`, holder);
      if (!count) return void reloadOnce(); // a series that the page does not know yet
      count.textContent = words;
    }
    for (const picture of $$("img[data-number]", holder)) {
      const digit = value.levels[Number(picture.dataset.number) - 1] || "0";
      if (digit !== "0" && digit > (picture.dataset.level || "0")) {
        picture.dataset.level = digit;
        picture.src = `${picture.dataset.src}?level=${digit}`;
        picture.hidden = false;
      }
    }
  };

  const reloadOnce = () => {
    if (document.body.dataset.reloading || $("form :focus:not(button)")) return;
    document.body.dataset.reloading = "yes";
    location.reload();
  };

  const note = $("[data-connection]");
  let stream = null;
  const connect = () => {
    const source = document.body.querySelector("[data-live]");
    if (!source || stream || document.hidden) return;
    stream = new EventSource(source.dataset.live);
    stream.onopen = () => note && (note.hidden = true);
    stream.onerror = () => note && (note.hidden = false);
    stream.onmessage = (message) => apply(...JSON.parse(message.data));
    stream.addEventListener("over", disconnect);
  };
  const disconnect = () => {
    stream?.close();
    stream = null;
  };
  /* A page that nobody sees leaves its connection to others: browsers have six to one server. */
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
  addEventListener("pagehide", disconnect);
  connect();

  /* ---------------------------------------------------------------- forms

     A form with data-quiet is sent without leaving the page: what it changes comes live. */

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("[data-quiet]") || !stream) return;
    event.preventDefault();
    const button = event.submitter;
    if (button) button.disabled = true;
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch(form.action, { method: "POST", body });
      if (!answer.ok) throw new Error(answer.statusText);
      if (form.dataset.quiet === "reload") location.reload();
    } catch {
      form.removeAttribute("data-quiet");
      form.requestSubmit(); // the server says on a page of its own what is wrong
    } finally {
      if (button) button.disabled = false;
    }
  });

  /* ---------------------------------------------------------------- the stack of images */

  const stack = $("[data-stack]");
  if (!stack) return;
  const image = $("img", stack);
  const slider = $("input[type=range]", stack);
  const preset = $("select[name=window]", stack);
  const place = $("[data-place]", stack);
  const state = $("[data-image-state]", stack);
  const announced = $("[data-announced]", stack); // where scrolling rests, and not all on the way
  let images = stack.dataset.images.split(" ").filter(Boolean);
  let current = Number(stack.dataset.current) - 1;
  let turn = 0;
  const ready = new Map(); // picture → object URL, the last ones
  const KEPT = 64;

  const address = (index, kind) => {
    const [number, frame] = images[index].split(":");
    const options = new URLSearchParams({ frame });
    if (kind === "picture" && preset.value) options.set("window", preset.value);
    return `${stack.dataset.base}/${number}/${kind}?${options}`;
  };

  /* What it says comes with the page, in the language of its reader. */
  const words = (name) => stack.dataset[`words${name}`];
  const placed = () =>
    words("Place").replace("%(number)s", current + 1).replace("%(all)s", images.length);

  const load = async (url) => {
    if (ready.has(url)) return ready.get(url);
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(String(answer.status));
    const found = URL.createObjectURL(await answer.blob());
    ready.set(url, found);
    if (ready.size > KEPT) {
      const [oldest, drawn] = ready.entries().next().value;
      ready.delete(oldest);
      URL.revokeObjectURL(drawn);
    }
    return found;
  };

  const go = async (index, first = false) => {
    current = Math.max(0, Math.min(images.length - 1, index));
    const mine = ++turn;
    slider.value = current + 1;
    place.textContent = placed();
    const url = address(current, "picture");
    if (first) return; // the page came with this one
    if (!ready.has(url)) {
      state.textContent = words("Loading");
      load(address(current, "preview")).then(
        (drawn) => {
          if (mine !== turn || ready.has(url)) return;
          image.src = drawn;
          state.textContent = words("Coarse");
        },
        () => {},
      );
    }
    await new Promise((done) => setTimeout(done, 60)); // who scrolls on does not want this one
    if (mine !== turn) return;
    try {
      const drawn = await load(url);
      if (mine !== turn) return;
      image.src = drawn;
      state.textContent = "";
      announced.textContent = placed();
    } catch {
      if (mine === turn) announced.textContent = state.textContent = words("Failed");
      return;
    }
    for (const near of [1, -1, 2]) {
      if (mine === turn && images[current + near]) {
        await load(address(current + near, "picture")).catch(() => {});
      }
    }
  };

  slider.addEventListener("input", () => go(Number(slider.value) - 1));
  preset.addEventListener("change", () => go(current));
  $("form", stack)?.addEventListener("submit", (event) => event.preventDefault());
  for (const link of $$("a[data-step]", stack)) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      go(current + Number(link.dataset.step));
    });
  }
  $("figure", stack).addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      go(current + Math.sign(event.deltaY));
    },
    { passive: false },
  );
  const KEYS = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("select, input:not([type=range])") || event.ctrlKey || event.metaKey) return;
    if (event.key in KEYS) go(current + KEYS[event.key]);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(images.length - 1);
    else return;
    event.preventDefault();
  });
  let touched = null;
  $("figure", stack).addEventListener("touchstart", (event) => {
    touched = event.touches[0].clientY;
  }, { passive: true });
  $("figure", stack).addEventListener("touchmove", (event) => {
    const moved = event.touches[0].clientY - touched;
    if (Math.abs(moved) < 12) return;
    touched = event.touches[0].clientY;
    event.preventDefault();
    go(current + Math.sign(moved));
  }, { passive: false });

  /* While the study comes, there are more images. */
  if (stack.dataset.growing) {
    setInterval(async () => {
      const answer = await fetch(stack.dataset.list);
      if (!answer.ok) return;
      const found = (await answer.json()).images;
      if (found.length > images.length) {
        const here = images[current];
        images = found;
        slider.max = images.length;
        current = Math.max(0, images.indexOf(here));
        place.textContent = placed();
        slider.value = current + 1;
      }
    }, 3000);
  }
  go(current, true);
})();
