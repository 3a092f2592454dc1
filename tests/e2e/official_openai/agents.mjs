// OpenAI's Agents SDK talks over its WebSocket transport; prints what came of it as JSON.
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from "@openai/agents-realtime";
import { z } from "zod";
import { Log, Microphone, sentence } from "./voice.mjs";

const log = new Log();
const errors = [];
const asked = [];
const weather = tool({
  name: "weather",
  description: "Says what the weather is like in a city.",
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    asked.push(city);
    return `sun in ${city}`;
  },
});
const agent = new RealtimeAgent({ name: "Forecaster", instructions: "You tell the weather.", tools: [weather] });
const transport = new OpenAIRealtimeWebSocket({ url: process.env.SOCKET_URL });
const session = new RealtimeSession(agent, { transport, model: "gpt-realtime", tracingDisabled: true });

let sounded = 0;
session.on("audio", (event) => {
  sounded += event.data.byteLength;
  log.note({ type: "audio" });
});
session.on("audio_interrupted", () => log.note({ type: "audio_interrupted" }));
session.on("error", (error) => errors.push(error));
session.on("transport_event", (event) => log.note(event));

await session.connect({ apiKey: "any" });
const updated = await log.until("session.updated");
const microphone = new Microphone((packet) =>
  session.sendAudio(packet.buffer.slice(packet.byteOffset, packet.byteOffset + packet.length)),
);
// The model asks for the tool, gets its answer, and speaks of it.
microphone.say(sentence("QUESTION"));
await log.until("response.done", 2);
const answered = { sounded, transcript: log.all("response.output_audio_transcript.done").at(-1)?.transcript };

microphone.say(sentence("QUESTION"));
const before = log.all("audio").length;
await log.until("response.created", 3);
await log.until("audio", before + 8);
microphone.say(sentence("INTERRUPTION"));
await log.until("audio_interrupted");
await log.until("response.done", 4);
session.sendMessage("And in Rome?");
await log.until("response.done", 5);
microphone.stop();
const history = session.history.map((item) => ({
  type: item.type,
  role: item.role,
  name: item.name,
  output: item.output,
  text: (item.content ?? []).map((part) => part.transcript ?? part.text).join(" "),
}));
session.close();

console.log(
  JSON.stringify({
    tools: updated.session.tools.map((each) => each.name),
    instructions: updated.session.instructions,
    detection: updated.session.audio.input.turn_detection?.type,
    asked,
    answered,
    statuses: log.all("response.done").map((event) => event.response.status),
    truncated: log.all("conversation.item.truncated").length,
    history,
    errors: errors.map((error) => JSON.stringify(error.error ?? error)),
  }),
);
// Its timers would keep Node alive.
process.exit(0);
