// The app without a port, so that tests can ask it directly.
const path = require("node:path");
const compression = require("compression");
const express = require("express");

const escape = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

// The size of this process; empty in a sandbox without /proc, which Node.js reads it from.
function memory() {
  try {
    return `${Math.round(process.memoryUsage.rss() / 2 ** 20)} MB, `;
  } catch {
    return "";
  }
}

function page(entries) {
  const list = entries.map(({ name, text }) => `<li><b>${escape(name)}</b> ${escape(text)}</li>`).join("\n");
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Guest book</title>
<link rel="stylesheet" href="/style.css">
<h1>Guest book</h1>
<form method="post"><input name="name" placeholder="name" required><input name="text" placeholder="message" required>
<button>Sign</button></form>
<ul>${list}</ul>
<footer>Express ${require("express/package.json").version} on Node.js ${process.versions.node},
NODE_ENV=${process.env.NODE_ENV ?? ""}, ${memory()}process ${process.pid}</footer>
</html>`;
}

function create() {
  const app = express();
  const entries = [];
  app.use(compression());
  app.use(express.static(path.join(__dirname, "..", "public"), { maxAge: "1h" }));
  app.use(express.urlencoded({ extended: false }));
  app.get("/", (request, response) => response.send(page(entries)));
  app.post("/", (request, response) => {
    const { name = "", text = "" } = request.body ?? {};
    if (name && text) entries.unshift({ name: String(name).slice(0, 80), text: String(text).slice(0, 500) });
    entries.length = Math.min(entries.length, 50);
    response.redirect(303, "/");
  });
  app.get("/health", (request, response) => response.json({ ok: true }));
  return app;
}

module.exports = { create };
