const assert = require("node:assert");
const test = require("node:test");
const request = require("supertest");
const { create } = require("../lib/app");

test("an entry is shown, escaped", async () => {
  const app = create();
  await request(app).post("/").type("form").send({ name: "Ada", text: "<b>hello</b>" }).expect(303);
  const answer = await request(app).get("/").expect(200);
  assert.match(answer.text, /Ada/);
  assert.doesNotMatch(answer.text, /<b>hello/);
});
