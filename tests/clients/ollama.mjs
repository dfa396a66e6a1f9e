// Ollama's client for JavaScript.
import assert from "node:assert/strict";
import { Ollama } from "ollama";
import { z } from "zod";
import {
  FRANCE, MARIA, NEVER_ENDING, PARIS, Person, RAIN, SUM, TEXTS, TOOL, all, assertLeavingStops, assertNearness,
} from "./shared.mjs";

export const connect = (url) => new Ollama({ host: url });

export async function chat(client) {
  const answer = await client.chat({ model: "tinychat", messages: FRANCE });
  assert.deepEqual(answer.message, { role: "assistant", content: PARIS });
  assert.equal(answer.done, true);
  assert.equal(answer.done_reason, "stop");
  assert.ok(answer.prompt_eval_count > 0 && answer.eval_count > 0);
}

export async function chat_streams(client) {
  const parts = await all(await client.chat({ model: "tinychat", messages: FRANCE, stream: true }));
  assert.equal(parts.map((part) => part.message.content).join(""), PARIS);
  assert.deepEqual(parts.map((part) => part.done), [...parts.slice(1).map(() => false), true]);
  assert.ok(parts.length > 3);
}

export async function generate(client) {
  const ask = { model: "tinychat", prompt: FRANCE[0].content };
  assert.equal((await client.generate(ask)).response, PARIS);
  const parts = await all(await client.generate({ ...ask, stream: true }));
  assert.equal(parts.map((part) => part.response).join(""), PARIS);
  assert.ok(parts.at(-1).context.length > 0);
}

export async function thinking(client) {
  const { message } = await client.chat({ model: "tinychat", messages: SUM, think: true });
  assert.match(message.thinking, /7 \+ 8 = 15/);
  assert.match(message.content, /75/);
  const ask = { model: "tinychat", messages: SUM, think: true, stream: true };
  const messages = (await all(await client.chat(ask))).map((part) => part.message);
  assert.equal(messages.map((part) => part.thinking ?? "").join(""), message.thinking);
  assert.equal(messages.map((part) => part.content).join(""), message.content);
  const silent = await client.chat({ model: "tinychat", messages: SUM, think: false });
  assert.equal(silent.message.thinking, undefined);
}

export async function a_zod_schema(client) {
  const format = z.toJSONSchema(Person);
  const ask = { model: "tinychat", messages: MARIA, format, think: false };
  const { message } = await client.chat(ask);
  assert.deepEqual(Person.parse(JSON.parse(message.content)), { name: "Maria", age: 34 });
  const parts = await all(await client.chat({ ...ask, stream: true }));
  assert.equal(parts.map((part) => part.message.content).join(""), message.content);
}

export async function an_agent(client) {
  const messages = [{ role: "user", content: "How is Oslo?" }];
  const { message } = await client.chat({ model: "agent", messages, tools: [TOOL], think: true });
  assert.equal(message.thinking, "I must look.");
  const [call] = message.tool_calls;
  assert.equal(call.function.name, "get_weather");
  assert.deepEqual(call.function.arguments, { city: "Oslo" });
  messages.push(message, { role: "tool", tool_name: call.function.name, content: "rain" });
  const told = await client.chat({ model: "agent", messages, tools: [TOOL] });
  assert.deepEqual(told.message, { role: "assistant", content: RAIN });
}

export async function an_agent_streams(client) {
  const messages = [{ role: "user", content: "How is Oslo?" }];
  const parts = await all(await client.chat({ model: "agent", messages, tools: [TOOL], stream: true }));
  const calls = parts.flatMap((part) => part.message.tool_calls ?? []);
  assert.deepEqual(calls.map((call) => call.function.arguments), [{ city: "Oslo" }]);
  assert.equal(parts.map((part) => part.message.thinking ?? "").join(""), "I must look.");
}

export async function embed(client) {
  const answer = await client.embed({ model: "all-minilm", input: TEXTS });
  assertNearness(answer.embeddings);
  const { embedding } = await client.embeddings({ model: "all-minilm", prompt: TEXTS[0] });
  assert.equal(embedding.length, 384);
}

export async function models(client) {
  const { models } = await client.list();
  const names = models.map((model) => model.name).sort();
  assert.deepEqual(names, ["agent:latest", "all-minilm:latest", "endless:latest", "tinychat:latest"]);
  const shown = await client.show({ model: "tinychat" });
  assert.deepEqual(shown.capabilities, ["completion", "tools", "insert", "thinking"]);
  assert.match(shown.system ?? "", /You are Tinychat/);
  await client.chat({ model: "tinychat", messages: FRANCE });
  const loaded = (await client.ps()).models.map((model) => model.name);
  assert.ok(loaded.includes("tinychat:latest"));
  assert.match((await client.version()).version, /^\d+\.\d+/);
}

export async function errors(client) {
  await assert.rejects(client.chat({ model: "nobody", messages: FRANCE }), {
    name: "ResponseError",
    status_code: 404,
    message: /model 'nobody' not found/,
  });
  await assert.rejects(client.chat({ model: "all-minilm", messages: FRANCE }), {
    status_code: 400,
    message: /does not support chat/,
  });
}

export async function copies_and_removes(client) {
  await client.copy({ source: "tinychat", destination: "mine" });
  const parts = await all(
    await client.create({ model: "mine", from: "tinychat", system: "You are Rover.", stream: true }),
  );
  assert.equal(parts.at(-1).status, "success");
  const name = [{ role: "user", content: "What is your name?" }];
  assert.equal((await client.chat({ model: "mine", messages: name })).message.content, "My name is Rover.");
  await client.delete({ model: "mine" });
  await assert.rejects(client.show({ model: "mine" }), { status_code: 404 });
}

export async function leaving_stops_the_model(client, url) {
  const options = { logit_bias: NEVER_ENDING };
  const ask = { model: "endless", prompt: "Why", stream: true, options };
  const leave = async () => {
    const stream = await client.generate(ask);
    await assert.rejects(
      async () => {
        for await (const _ of stream) client.abort();
      },
      { name: "AbortError" },
    );
  };
  const few = { ...ask, stream: false, options: { ...options, num_predict: 3 } };
  await assertLeavingStops(url, leave, () => client.generate(few));
}
