// OpenAI's client for JavaScript.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import {
  FRANCE, MARIA, NEVER_ENDING, PARIS, Person, RAIN, SUM, TEXTS, TOOL, all, assertLeavingStops, assertNearness,
} from "./shared.mjs";

export const connect = (url) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });

const OSLO = [{ role: "user", content: "How is Oslo?" }];
const agent = { model: "agent", messages: OSLO, tools: [TOOL] };

export async function chat(client) {
  const answer = await client.chat.completions.create({ model: "tinychat", messages: FRANCE });
  const [choice] = answer.choices;
  assert.equal(choice.message.content, PARIS);
  assert.equal(choice.finish_reason, "stop");
  const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
  assert.ok(completion_tokens > 0);
  assert.equal(total_tokens, prompt_tokens + completion_tokens);
}

export async function chat_streams(client) {
  const ask = { model: "tinychat", messages: FRANCE };
  const stream = { stream: true, stream_options: { include_usage: true } };
  const chunks = await all(await client.chat.completions.create({ ...ask, ...stream }));
  const choices = chunks.flatMap((chunk) => chunk.choices);
  assert.equal(choices.map((choice) => choice.delta.content ?? "").join(""), PARIS);
  assert.equal(choices.at(-1).finish_reason, "stop");
  assert.ok(chunks.at(-1).usage.completion_tokens > 0);
}

export async function thinking(client) {
  const ask = { model: "tinychat", messages: SUM, reasoning_effort: "high" };
  const { message } = (await client.chat.completions.create(ask)).choices[0];
  assert.match(message.reasoning, /7 \+ 8 = 15/);
  assert.match(message.content, /75/);
}

export async function completions(client) {
  const ask = { model: "tinychat", prompt: "def add(a, b):\n    return ", suffix: "\n" };
  assert.equal((await client.completions.create(ask)).choices[0].text, "a + b");
  const chunks = await all(await client.completions.create({ ...ask, stream: true }));
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? "").join(""), "a + b");
}

export async function a_zod_schema(client) {
  const answer = await client.chat.completions.parse({
    model: "tinychat",
    messages: MARIA,
    reasoning_effort: "none",
    response_format: zodResponseFormat(Person, "person"),
  });
  assert.deepEqual(answer.choices[0].message.parsed, { name: "Maria", age: 34 });
}

export async function an_agent(client) {
  const { message, finish_reason } = (await client.chat.completions.create(agent)).choices[0];
  assert.equal(finish_reason, "tool_calls");
  const [call] = message.tool_calls;
  assert.equal(call.function.name, "get_weather");
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "Oslo" });
  const messages = [...OSLO, message, { role: "tool", tool_call_id: call.id, content: "rain" }];
  const told = await client.chat.completions.create({ ...agent, messages });
  assert.equal(told.choices[0].message.content, RAIN);
}

export async function an_agent_streams(client) {
  const stream = client.chat.completions.stream(agent);
  const { message } = (await stream.finalChatCompletion()).choices[0];
  assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city: "Oslo" });
}

export async function runs_tools_by_itself(client) {
  const cities = [];
  const weather = {
    ...TOOL.function,
    parse: JSON.parse,
    function: ({ city }) => {
      cities.push(city);
      return "rain";
    },
  };
  const tools = [{ type: "function", function: weather }];
  const runner = client.chat.completions.runTools({ ...agent, tools });
  assert.equal(await runner.finalContent(), RAIN);
  assert.deepEqual(cities, ["Oslo"]);
}

export async function embeddings(client) {
  // Without a format named, the client asks for base64 and decodes it.
  for (const format of [{}, { encoding_format: "float" }]) {
    const answer = await client.embeddings.create({ model: "all-minilm", input: TEXTS, ...format });
    assertNearness(answer.data.map((item) => item.embedding));
  }
}

export async function models(client) {
  const names = (await all(client.models.list())).map((model) => model.id);
  assert.ok(names.includes("tinychat:latest") || names.includes("tinychat"));
  assert.equal((await client.models.retrieve("all-minilm")).object, "model");
  await assert.rejects(client.models.retrieve("nobody"), OpenAI.NotFoundError);
}

export async function responses(client) {
  const ask = { model: "tinychat", input: FRANCE[0].content };
  const answer = await client.responses.create(ask);
  assert.equal(answer.status, "completed");
  assert.equal(answer.output_text, PARIS);
}

export async function responses_stream(client) {
  const ask = { model: "tinychat", input: FRANCE[0].content, stream: true };
  const events = await all(await client.responses.create(ask));
  assert.equal(events[0].type, "response.created");
  const deltas = events.filter((event) => event.type === "response.output_text.delta");
  assert.equal(deltas.map((event) => event.delta).join(""), PARIS);
  const end = events.at(-1);
  assert.equal(end.type, "response.completed");
  assert.equal(end.response.status, "completed");
}

export async function responses_remember(client) {
  const first = await client.responses.create({ model: "tinychat", input: "My name is Alice." });
  const ask = { model: "tinychat", input: "What is my name?", previous_response_id: first.id };
  assert.equal((await client.responses.create(ask)).output_text, "Your name is Alice.");
}

export async function a_response_is_parsed(client) {
  const answer = await client.responses.parse({
    model: "tinychat",
    input: MARIA,
    reasoning: { effort: "none" },
    text: { format: zodTextFormat(Person, "person") },
  });
  assert.deepEqual(answer.output_parsed, { name: "Maria", age: 34 });
}

export async function leaving_stops_the_model(client, url) {
  const ask = { model: "endless", messages: FRANCE, logit_bias: NEVER_ENDING };
  const leave = async () => {
    const stream = await client.chat.completions.create({ ...ask, stream: true });
    for await (const _ of stream) break;
    stream.controller.abort();
  };
  const few = { ...ask, max_completion_tokens: 3 };
  await assertLeavingStops(url, leave, () => client.chat.completions.create(few));
}
