/** What the server, the browser and the network say, and what the page makes of it. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { troubleOf } from "../src/client/microphone.ts";
import { problemOf } from "../src/client/problems.ts";
import { eventIn, parse } from "../src/client/rtvi.ts";
import { problemIn, Unreachable } from "../src/client/signalling.ts";
import { clock, median, seconds, slicesOf } from "../src/page/latency.ts";
import { advice } from "../src/page/words.ts";

const envelope = (code: string, message: string) => ({ error: { message, type: "server_error", param: null, code } });

function browserError(name: string, message = ""): Error {
  return Object.assign(new Error(message), { name });
}

test("a full house is friendly and says when to try again", () => {
  const found = problemOf(problemIn(503, envelope("call_limit_reached", "4 of 4 calls."), "20"));
  const told = advice(found);

  assert.equal(found.code, "busy");
  assert.match(told.text, /20 seconds/);
  assert.doesNotMatch(told.text, /4 of 4/);
  assert.ok(told.isCalm);
});

test("a refusal is shown with the server's own reason", () => {
  const told = advice(problemOf(problemIn(404, envelope("not_found", "There is no agent “bob”."), null)));

  assert.equal(told.text, "There is no agent “bob”.");
});

test("an answer that is no envelope is still a problem with a name", () => {
  assert.equal(problemOf(problemIn(502, undefined, null)).code, "server_failed");
  assert.equal(problemOf(problemIn(503, "<html>", null)).code, "busy");
  assert.equal(problemOf(problemIn(503, envelope("draining", ""), null)).code, "draining");
  assert.equal(problemOf(new Unreachable("")).code, "unreachable");
  assert.equal(problemOf(new TypeError("x")).code, "unknown");
});

test("each microphone trouble is told apart", () => {
  assert.equal(troubleOf(browserError("NotAllowedError"), "denied"), "blocked");
  assert.equal(troubleOf(browserError("NotAllowedError"), "prompt"), "dismissed");
  assert.equal(troubleOf(browserError("NotAllowedError", "Permission dismissed"), "unknown"), "dismissed");
  assert.equal(
    troubleOf(browserError("NotAllowedError", "Permission denied by system"), "granted"),
    "blocked_by_system",
  );
  assert.equal(troubleOf(browserError("NotFoundError"), "granted"), "missing");
  assert.equal(troubleOf(browserError("NotReadableError"), "granted"), "in_use");
  assert.equal(troubleOf(new Error("?"), "granted"), "broken");
});

test("only RTVI messages are read, and only server messages carry events", () => {
  const event = { event: "agent_text", call_id: "c", at_s: 1, text: "Hi" };
  const carrier = parse(JSON.stringify({ label: "rtvi-ai", type: "server-message", data: { parley: event } }));

  assert.deepEqual(eventIn(carrier!), event);
  assert.equal(parse("ping"), undefined);
  assert.equal(parse(JSON.stringify({ type: "signalling" })), undefined);
  assert.equal(eventIn({ label: "rtvi-ai", type: "bot-ready", data: {} }), undefined);
});

test("the slices of a reply follow one another and leave nothing out", () => {
  const slices = slicesOf({
    endpointing_ms: 420, silence_ms: 200, stt_ms: 96, llm_ms: 3, tts_ms: 41, reply_ms: 464,
  });

  assert.deepEqual(slices.map(({ name, ms }) => [name, ms]), [
    ["silence", 200], ["endpointing", 220], ["llm", 3], ["tts", 41],
  ]);
  assert.equal(slices.reduce((sum, { ms }) => sum + ms, 0), 464);
});

test("times are written as people read them", () => {
  assert.equal(seconds(644), "0.64 s");
  assert.equal(seconds(12_300), "12 s");
  assert.equal(clock(92.8), "1:32");
  assert.equal(clock(3725), "1:02:05");
  assert.equal(median([3, 1, 2, 10]), 2.5);
});
