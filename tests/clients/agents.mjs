// Ollama's client for JavaScript on Tinychat: an agent's loop until its answer.
import assert from "node:assert/strict";
import { TOOL } from "./shared.mjs";

export { connect } from "./ollama.mjs";

const SKIES = { Oslo: "rain", Rome: "sun" };
const weather = ({ city }) => JSON.stringify({ sky: SKIES[city] });

async function whole(client, messages) {
  return (await client.chat({ model: "tinychat", messages, tools: [TOOL], think: true })).message;
}

async function streamed(client, messages) {
  const ask = { model: "tinychat", messages, tools: [TOOL], think: true, stream: true };
  const message = { role: "assistant", thinking: "", content: "", tool_calls: [] };
  for await (const part of await client.chat(ask)) {
    message.thinking += part.message.thinking ?? "";
    message.content += part.message.content;
    message.tool_calls.push(...(part.message.tool_calls ?? []));
  }
  return message;
}

/** Asks and calls the tool until an answer comes; returns it and the cities that were looked up. */
async function loop(client, following, question) {
  const messages = [{ role: "user", content: question }];
  const cities = [];
  for (let turn = 0; turn < 4; turn += 1) {
    const message = await following(client, messages);
    messages.push(message);
    if (!message.tool_calls?.length) return { content: message.content, cities };
    for (const call of message.tool_calls) {
      cities.push(call.function.arguments.city);
      const content = weather(call.function.arguments);
      messages.push({ role: "tool", tool_name: call.function.name, content });
    }
  }
  assert.fail(JSON.stringify(messages));
}

async function tells(client, question, cities) {
  for (const following of [whole, streamed]) {
    const told = await loop(client, following, question);
    assert.deepEqual(told.cities, cities);
    for (const city of cities) assert.ok(told.content.includes(SKIES[city]), told.content);
  }
}

export async function one_call(client) {
  await tells(client, "What is the weather in Oslo?", ["Oslo"]);
}

export async function two_calls_at_once(client) {
  await tells(client, "What is the weather in Oslo and Rome?", ["Oslo", "Rome"]);
}
