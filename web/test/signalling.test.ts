/** Keys: asked for once, kept for the tab, asked for again when refused. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { ServerProblem, Signalling } from "../src/client/signalling.ts";

const kept = new Map<string, string>();
let rightKey = "";
let seen: (string | undefined)[] = [];

Object.defineProperty(globalThis, "sessionStorage", {
  value: {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => void kept.set(name, value),
  },
});

globalThis.fetch = async (_path, init) => {
  const given = (init?.headers as Record<string, string>)["Authorization"];
  seen.push(given);
  if (rightKey && given !== `Bearer ${rightKey}`) {
    return Response.json({ error: { code: "invalid_api_key", message: "No." } }, { status: 401 });
  }
  return Response.json({ agents: [], iceServers: [] });
};

beforeEach(() => {
  kept.clear();
  rightKey = "";
  seen = [];
});

test("without a demand no key is asked for or sent", async () => {
  await new Signalling(() => assert.fail("asked")).agents();

  assert.deepEqual(seen, [undefined]);
});

test("requests that need a key at the same time ask once", async () => {
  rightKey = "k";
  let asked = 0;
  const signalling = new Signalling(async () => ((asked += 1), "k"));

  await Promise.all([signalling.agents(), signalling.iceServers()]);
  await signalling.agents();

  assert.equal(asked, 1);
  assert.equal(seen.at(-1), "Bearer k");
});

test("a refused key is asked for again, and told to be refused", async () => {
  rightKey = "right";
  const asked: boolean[] = [];
  const answers = ["wrong", "right"];
  const signalling = new Signalling(async (wasRefused) => (asked.push(wasRefused), answers.shift()));

  await signalling.agents();

  assert.deepEqual(asked, [false, true]);
});

test("who gives no key gets the server's refusal", async () => {
  rightKey = "k";

  await assert.rejects(
    new Signalling(async () => undefined).agents(),
    (error: unknown) => error instanceof ServerProblem && error.status === 401,
  );
});
