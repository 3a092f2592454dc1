/** What leads from one state of a call to the next. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { isInCall, stateAfter, type CallState, type Signal } from "../src/client/states.ts";

function after(...signals: Signal[]): CallState {
  return signals.reduce(stateAfter, "idle" as CallState);
}

test("a call goes from the microphone over the network to life, and ends", () => {
  assert.equal(after("start"), "asking");
  assert.equal(after("start", "microphone_ready"), "connecting");
  assert.equal(after("start", "microphone_ready", "connected"), "live");
  assert.equal(after("start", "microphone_ready", "connected", "ended"), "ended");
});

test("a lost call comes back to life or fails, and is a call all the while", () => {
  const lost = after("start", "microphone_ready", "connected", "lost");

  assert.equal(lost, "reconnecting");
  assert.ok(isInCall(lost));
  assert.equal(stateAfter(lost, "connected"), "live");
  assert.equal(stateAfter(lost, "failed"), "failed");
});

test("giving up before the microphone was allowed leaves no ended call behind", () => {
  assert.equal(after("start", "ended"), "idle");
});

test("what comes too late changes nothing", () => {
  assert.equal(stateAfter("ended", "connected"), "ended");
  assert.equal(stateAfter("idle", "lost"), "idle");
  assert.equal(stateAfter("reconnecting", "lost"), "reconnecting");
});

test("after an end and after a failure one can call again", () => {
  assert.equal(stateAfter("ended", "start"), "asking");
  assert.equal(stateAfter("failed", "start"), "asking");
});
