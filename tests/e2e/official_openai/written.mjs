// OpenAI's own client for Node on Parley's written routes; prints what it got as one JSON object.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: "acme", maxRetries: 0 });
const messages = [{ role: "user", content: "Hello?" }];
const weather = { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } };
const got = {};

async function failure(work) {
  try {
    await work();
  } catch (error) {
    return { kind: error.constructor.name, status: error.status, code: error.code, param: error.param, requestID: error.requestID };
  }
}

got.models = [];
for await (const model of client.models.list()) got.models.push(model.id);

const reply = await client.chat.completions.create({ model: "fake", messages });
got.chat = { text: reply.choices[0].message.content, total: reply.usage.total_tokens, requestID: reply._request_id };

const streamed = client.chat.completions.stream({
  model: "fake",
  messages: [{ role: "user", content: "weather" }],
  tools: [{ type: "function", function: weather }],
  stream_options: { include_usage: true },
});
const final = await streamed.finalChatCompletion();
got.stream = {
  finish: final.choices[0].finish_reason,
  calls: final.choices[0].message.tool_calls.map((call) => [call.id, JSON.parse(call.function.arguments)]),
  total: final.usage.total_tokens,
};

const ran = await client.chat.completions
  .runTools({
    model: "fake",
    messages: [{ role: "user", content: "weather" }],
    tools: [{ type: "function", function: { ...weather, parse: JSON.parse, function: ({ city }) => `sun in ${city}` } }],
  })
  .finalContent();
got.ranTools = ran;

const response = await client.responses.create({ model: "fake", input: "Hello?" });
const next = await client.responses.create({ model: "fake", input: "And?", previous_response_id: response.id });
got.response = { text: response.output_text, status: response.status, next: next.output_text };

const events = [];
const live = client.responses.stream({ model: "fake", input: "weather", tools: [{ type: "function", strict: false, ...weather }] });
for await (const event of live) events.push(event.type);
got.events = events;
got.called = (await live.finalResponse()).output.map((item) => item.type);

got.noModel = await failure(() => client.chat.completions.create({ model: "gpt-9", messages }));
got.badField = await failure(() => client.chat.completions.create({ model: "fake", messages, temperature: 9 }));
got.late = await failure(async () => {
  const stream = await client.chat.completions.create({ model: "fake", messages: [{ role: "user", content: "break" }], stream: true });
  for await (const _ of stream);
});

const endless = await client.chat.completions.create({ model: "fake", messages: [{ role: "user", content: "endless" }], stream: true });
for await (const _ of endless) break;
got.done = true;

console.log(JSON.stringify(got));
