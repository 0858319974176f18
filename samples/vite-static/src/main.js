import "./style.css";
import { litPath, nameOf, phase } from "./moon.js";

const DAY = 86_400_000;
const app = document.querySelector("#app");

/** The day that the address names, such as /2026-11-21; today without one. */
function dayOfAddress() {
  const day = Date.parse(`${location.pathname.slice(1)}T12:00Z`);
  return Number.isNaN(day) ? Math.floor(Date.now() / DAY) * DAY + DAY / 2 : day;
}

function show() {
  const day = dayOfAddress();
  const now = phase(day);
  const date = new Date(day).toLocaleDateString("en", { dateStyle: "long", timeZone: "UTC" });
  app.innerHTML = `
    <h1>${nameOf(now)}</h1>
    <svg viewBox="-1.05 -1.05 2.1 2.1" role="img" aria-label="${nameOf(now)}">
      <circle r="1" /><path d="${litPath(now)}" />
    </svg>
    <p>${date}</p>
    <nav>${link(day - DAY, "← the day before")}${link(day + DAY, "the day after →")}</nav>`;
}

function link(day, text) {
  return `<a href="/${new Date(day).toISOString().slice(0, 10)}">${text}</a>`;
}

addEventListener("click", (event) => {
  const target = event.target.closest("nav a");
  if (target && !event.metaKey && !event.ctrlKey) {
    event.preventDefault();
    history.pushState(null, "", target.href);
    show();
  }
});
addEventListener("popstate", show);
show();
