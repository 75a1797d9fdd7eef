// Draws the page anew every few seconds, in place: focus, selection and scroll positions stay.
"use strict";

const main = document.querySelector("main");
const said = document.getElementById("said");
const pause = document.getElementById("pause");
let paused = false;
let news = main.dataset.news;

function follow(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  const alike = old.nodeType === Node.ELEMENT_NODE && old.nodeName === fresh.nodeName
    && old.childNodes.length === fresh.childNodes.length;
  if (!alike) { old.replaceWith(fresh); return; }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const children = [...fresh.childNodes];
  [...old.childNodes].forEach((child, index) => follow(child, children[index]));
}

async function look() {
  if (paused || document.hidden) return;
  try {
    const answer = await fetch(location.href, { cache: "no-store", redirect: "error" });
    if (answer.status === 401) { location.reload(); return; }
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    if (paused) return;
    follow(main, fresh);
    if (main.dataset.news !== news) said.textContent = news = main.dataset.news;
    else if (said.dataset.trouble) said.textContent = "";
    delete said.dataset.trouble;
  } catch (error) {
    if (!said.dataset.trouble) said.textContent = `Not up to date: ${error.message}`;
    said.dataset.trouble = "yes";
  }
}

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  if (!paused) look();
});
setInterval(look, 1000 * Number(main.dataset.live));
document.addEventListener("visibilitychange", look);
