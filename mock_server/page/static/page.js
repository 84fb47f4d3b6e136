// What needs a script: polling that rests while nobody looks, clocks that go on between two polls, copying. The page is whole without it.
"use strict";

const root = document.documentElement;
root.classList.add("scripted");

// Between two polls the server sends nothing while nothing changes, so the times go on here.
let shown = 0, since = 0;

function readClock() {
  const clock = document.querySelector("#status time[data-now]");
  const now = clock ? Number(clock.dataset.now) : 0;
  if (now === shown) return;
  shown = now;
  since = performance.now();
}

function span(ms) {
  if (Math.abs(ms) < 10000) return (ms / 1000).toFixed(1) + " s";
  let rest = Math.abs(ms);
  const parts = [];
  for (const [unit, factor] of [["d", 86400000], ["h", 3600000], ["m", 60000], ["s", 1000]]) {
    if (rest >= factor || parts.length) {
      parts.push(Math.floor(rest / factor) + " " + unit);
      rest %= factor;
    }
  }
  return (ms < 0 ? "-" : "") + parts.slice(0, 2).join(" ");
}

function tick() {
  if (!shown || document.hidden) return;
  const now = shown + performance.now() - since;
  for (const each of document.querySelectorAll("time[data-now]")) each.textContent = new Date(now).toISOString().slice(11, 23);
  for (const each of document.querySelectorAll("#live time[data-at]")) each.textContent = span(now - Number(each.dataset.at));
  for (const each of document.querySelectorAll("#live time[data-until]")) each.textContent = span(Math.max(0, Number(each.dataset.until) - now));
}

// A server that went away, or answers something else, is told of in its place; what was shown last stays.
function lost(text) {
  const line = document.getElementById("lost");
  if (line.hidden === !text && line.dataset.text === text) return;
  line.dataset.text = text;
  line.hidden = !text;
  line.textContent = text && text + " What stands here is of " + new Date().toLocaleTimeString() + ". Trying again every 2 s.";
}

document.addEventListener("htmx:before:request", (event) => {
  if (document.hidden) event.preventDefault();
});
document.addEventListener("htmx:after:request", (event) => {
  const status = event.detail.ctx.response.status;
  if (status < 400) lost("");
  else lost("klingkit answers HTTP " + status + (status === 403 ? ": it wants its token, reload the page." : "."));
});
document.addEventListener("htmx:error", () => lost("klingkit does not answer."));
document.addEventListener("htmx:after:swap", readClock);
document.addEventListener("visibilitychange", () => {
  const live = document.querySelector("#live[hx-get]");
  if (!document.hidden && live) htmx.trigger(live, "seen");
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  button.textContent = "Copied";
});

// The answer to a form stands at the address of the screen that it was sent from, so that reloading does not send it again.
const outcome = document.querySelector(".outcome");
if (outcome) history.replaceState(null, "", outcome.dataset.address + location.hash);

readClock();
setInterval(tick, 1000);
