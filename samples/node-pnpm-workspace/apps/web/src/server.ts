import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { html } from "hono/html";
import { moonAt } from "@tides/moon";

const app = new Hono();

app.get("/", (context) => {
  const moon = moonAt(new Date());
  return context.html(html`<!doctype html>
    <html lang="en">
      <title>Tides</title>
      <h1>${moon.name}</h1>
      <p>${Math.round(moon.lit * 100)} % of the moon is lit, ${moon.age.toFixed(1)} days after the new moon.</p>
      <footer>Hono on Node.js ${process.versions.node}, @tides/moon from the workspace</footer>
    </html>`);
});
app.get("/api/moon", (context) => context.json(moonAt(new Date(context.req.query("at") ?? Date.now()))));

const server = serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000) }, ({ port }) => {
  console.log(`listening on port ${port}`);
});
process.on("SIGTERM", () => server.close(() => process.exit(0)));
