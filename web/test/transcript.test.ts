/** How events become the conversation. */
import assert from "node:assert/strict";
import { test } from "node:test";

import type { ParleyEvent } from "../src/client/events.ts";
import {
  charsHeard,
  join,
  textOf,
  Transcript,
  type AgentEntry,
  type Entry,
  type UserEntry,
} from "../src/page/transcript.ts";

type Loose = { event: string; [field: string]: unknown };

function conversation(...events: Loose[]): Transcript {
  const transcript = new Transcript();
  for (const event of events) transcript.apply(event as unknown as ParleyEvent);
  return transcript;
}

const speaks = { event: "user_speech_started" };
const partly = (text: string) => ({ event: "user_transcript", text, final: false });
const finally_ = (text: string) => ({ event: "user_transcript", text, final: true });
const agent = (text: string) => ({ event: "agent_text", text });
const ended = (heard: string, interrupted = false, stages = {}) => ({
  event: "turn_ended", stages, interrupted, heard,
});

function texts(transcript: Transcript): string[] {
  return transcript.entries.map((entry: Entry) => (entry.kind === "agent" ? textOf(entry) : entry.text));
}

test("partial text is replaced until it is final", () => {
  const { entries } = conversation(speaks, partly("when"), partly("when are you"), finally_("When are you open?"));

  assert.deepEqual(entries.map((entry) => (entry as UserEntry).text), ["When are you open?"]);
  assert.ok((entries[0] as UserEntry).isFinal);
});

test("each turn of the caller has a line of its own", () => {
  const transcript = conversation(
    speaks, finally_("Hello"), agent("Hi."), ended("Hi."), speaks, partly("book"), finally_("book me in"),
  );

  assert.deepEqual(texts(transcript), ["Hello", "Hi.", "book me in"]);
});

test("a transcript that comes after the reply began stays with its turn", () => {
  const transcript = conversation(speaks, partly("what time"), agent("It is noon."), finally_("What time is it?"));

  assert.deepEqual(texts(transcript), ["What time is it?", "It is noon."]);
});

test("silence that was taken for speech leaves no empty line", () => {
  assert.deepEqual(texts(conversation(speaks, partly(""), finally_(""))), []);
});

test("the pieces of a reply are one line, with the spaces that a reader expects", () => {
  const transcript = conversation(agent("One"), agent(" moment."), agent("You are booked."));

  assert.deepEqual(texts(transcript), ["One moment. You are booked."]);
});

test("an interrupted reply knows what was heard, and the next one is another line", () => {
  const transcript = conversation(
    agent("We are open until six. We close on Sunday."),
    speaks,
    ended("We are open until six.", true),
    finally_("Thank you"),
    agent("Goodbye."),
  );
  const reply = transcript.entries[0] as AgentEntry;

  assert.ok(reply.isInterrupted);
  assert.equal(textOf(reply).slice(0, reply.heardChars), "We are open until six.");
  assert.deepEqual(texts(transcript).slice(1), ["Thank you", "Goodbye."]);
});

test("a turn's times stay with its reply", () => {
  const transcript = conversation(agent("A."), ended("A.", false, { reply_ms: 640 }), agent("B."), ended("B."));

  assert.deepEqual((transcript.entries[0] as AgentEntry).stages, { reply_ms: 640 });
  assert.deepEqual((transcript.entries[1] as AgentEntry).stages, {});
});

test("a tool stands where the reply used it and tells how it ended", () => {
  const { entries } = conversation(
    agent("One moment."),
    { event: "tool_started", tool: "book", tool_call_id: "t1", arguments: {} },
    agent("Done."),
    { event: "tool_ended", tool: "book", tool_call_id: "t1", after_ms: 40, error: "" },
  );
  const [before, tool, after] = (entries[0] as AgentEntry).parts;

  assert.deepEqual([before, after], [{ text: "One moment." }, { text: "Done." }]);
  assert.equal((tool as { tool: { state: string } }).tool.state, "done");
});

test("typed text is shown at once and not a second time when the server tells of it", () => {
  const transcript = new Transcript();
  const typed = transcript.typed("Book me in");
  transcript.apply(finally_("Book me in") as unknown as ParleyEvent);

  assert.equal(transcript.entries.length, 1);
  assert.ok(!typed.isWaiting);
});

test("typing the same twice makes two lines, and saying it makes a third", () => {
  const transcript = new Transcript();
  for (const _ of [1, 2]) transcript.typed("yes");
  for (const _ of [1, 2, 3]) transcript.apply(finally_("yes") as unknown as ParleyEvent);

  assert.deepEqual(texts(transcript), ["yes", "yes", "yes"]);
});

test("what is still open when the call ends is closed", () => {
  const transcript = conversation(agent("Goodb"), speaks, partly("wai"));

  assert.equal(transcript.close().length, 2);
  assert.equal(transcript.close().length, 0);
});

test("sentences get a space between them and a model's own pieces don't", () => {
  assert.equal(join("Good morning.", "How are you?"), "Good morning. How are you?");
  assert.equal(join("recep", "tion"), "reception");
  assert.equal(join("at 3.", "5 percent"), "at 3.5 percent");
  assert.equal(join("He said", "."), "He said.");
});

test("what was heard is found in spite of other spacing", () => {
  assert.equal(charsHeard("One.  Two. Three.", "One. Two."), 10);
  assert.equal(charsHeard("One. Two.", ""), 0);
  assert.equal(charsHeard("12 o’clock", "twelve o’clock"), "12 o’clock".length);
});
