// OpenAI's own Realtime client for Node has a spoken conversation; prints what it got as JSON.
import { writeFileSync } from "node:fs";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { Log, Loudspeaker, Microphone, sentence } from "./voice.mjs";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: "any" });
const call = new OpenAIRealtimeWS({ model: "agent:receptionist" }, client);
const log = new Log();
const loudspeaker = new Loudspeaker();
const errors = [];

call.on("error", (error) => errors.push({ code: error.error?.code, message: error.message }));
call.on("event", (event) => {
  if (event.type === "response.output_audio.delta") {
    loudspeaker.play(event.item_id, Buffer.from(event.delta, "base64"));
  } else if (event.type === "input_audio_buffer.speech_started") {
    const cut = loudspeaker.stop();
    if (cut) call.send({ type: "conversation.item.truncate", content_index: 0, ...cut });
  }
  log.note(event);
});

const created = await log.until("session.created");
call.send({
  type: "session.update",
  session: { type: "realtime", audio: { input: { transcription: { model: "whisper-1" } } } },
});
const updated = await log.until("session.updated");
await log.until("response.done");

const microphone = new Microphone((packet) =>
  call.send({ type: "input_audio_buffer.append", audio: packet.toString("base64") }),
);
microphone.say(sentence("QUESTION"));
const understood = await log.until("conversation.item.input_audio_transcription.completed");
const answer = (await log.until("response.done", 2)).response;
writeFileSync(process.env.ANSWER, Buffer.concat(loudspeaker.heard.get(answer.output[0].id)));

microphone.say(sentence("QUESTION"));
await log.until("response.created", 3);
await log.until("response.output_audio_transcript.delta", log.all("response.output_audio_transcript.delta").length + 2);
microphone.say(sentence("INTERRUPTION"));
const truncated = await log.until("conversation.item.truncated");
await log.until("response.done", 4);

call.send({ type: "conversation.item.retrieve", item_id: truncated.item_id });
const retrieved = (await log.until("conversation.item.retrieved")).item;
call.send({ type: "conversation.item.retrieve", item_id: "item_none", event_id: "mine" });
const error = (await log.until("error")).error;
microphone.stop();
const closed = new Promise((resolve) => call.socket.on("close", (code) => resolve(code)));
call.close();

console.log(
  JSON.stringify({
    protocol: call.socket.protocol,
    format: created.session.audio.output.format,
    transcription: updated.session.audio.input.transcription,
    understood: understood.transcript,
    answer,
    statuses: log.all("response.done").map((event) => event.response.status),
    said: log.all("response.done").map((event) => event.response.output.map((item) => item.content[0].transcript).join(" ")),
    truncated,
    retrieved,
    error,
    errors,
    closed: await closed,
  }),
);
