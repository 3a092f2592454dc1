// OpenAI's own client for Node on Parley's audio routes; prints what it got as one JSON object.
import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import OpenAI, { toFile } from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: "any", maxRetries: 0 });
const said = { model: "tts-1", voice: "alloy", input: process.env.SENTENCE };
const question = () => createReadStream(process.env.QUESTION);
const got = {};

async function failure(work) {
  try {
    await work();
  } catch (error) {
    return { kind: error.constructor.name, code: error.code, param: error.param, message: error.message, requestID: error.requestID };
  }
}

got.spoken = {};
for (const response_format of ["mp3", "opus", "aac", "flac", "wav", "pcm"]) {
  const speech = await client.audio.speech.create({ ...said, response_format });
  const file = `${process.env.FOLDER}/speech.${response_format}`;
  writeFileSync(file, Buffer.from(await speech.arrayBuffer()));
  got.spoken[response_format] = { file, type: speech.headers.get("content-type") };
}

const events = await client.audio.speech.create({ ...said, stream_format: "sse", response_format: "pcm" });
const told = (await events.text()).split("\n\n").filter(Boolean).map((event) => JSON.parse(event.slice("data: ".length)));
got.events = { first: told[0].type, last: told.at(-1) };

const model = "whisper-1";
got.json = await client.audio.transcriptions.create({ model, file: question() });
got.text = await client.audio.transcriptions.create({ model, file: question(), response_format: "text" });
got.srt = await client.audio.transcriptions.create({ model, file: question(), response_format: "srt" });
got.vtt = await client.audio.transcriptions.create({ model, file: question(), response_format: "vtt" });
got.verbose = await client.audio.transcriptions.create({ model, file: question(), response_format: "verbose_json" });
got.streamed = [];
const stream = await client.audio.transcriptions.create({ model, file: question(), stream: true });
for await (const event of stream) got.streamed.push(event.type);
const bytes = readFileSync(process.env.QUESTION);
got.upload = (await client.audio.transcriptions.create({ model, file: await toFile(bytes, "upload") })).text;

got.noWords = await failure(() =>
  client.audio.transcriptions.create({
    model,
    file: question(),
    response_format: "verbose_json",
    timestamp_granularities: ["word"],
  }),
);
got.noTranslation = await failure(() => client.audio.translations.create({ model, file: question() }));
got.noSound = await failure(async () => client.audio.transcriptions.create({ model, file: await toFile(Buffer.from("text"), "a.wav") }));
got.noVoice = await failure(() => client.audio.speech.create({ ...said, voice: "nobody" }));
got.noModel = await failure(() => client.audio.speech.create({ ...said, model: "nobody" }));
got.tooFast = await failure(() => client.audio.speech.create({ ...said, speed: 9 }));

const stop = new AbortController();
const long = await client.audio.speech.create({ ...said, input: `${said.input} `.repeat(60) }, { signal: stop.signal });
const reader = long.body.getReader();
got.begun = (await reader.read()).value.length;
stop.abort();
got.cut = await failure(async () => {
  while (!(await reader.read()).done);
});

const secret = await client.realtime.clientSecrets.create({ session: { type: "realtime", model: "agent:receptionist" } });
got.secret = { prefix: secret.value.slice(0, 3), type: secret.session.type };
got.retrieved = (await client.models.retrieve("agent:receptionist")).id;

console.log(JSON.stringify(got));
