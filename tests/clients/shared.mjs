// What both clients ask, and how they look at the server from outside.
import assert from "node:assert/strict";
import { z } from "zod";

export const FRANCE = [{ role: "user", content: "What is the capital of France?" }];
export const PARIS = "The capital of France is Paris.";
export const SUM = [{ role: "user", content: "What is 27 + 48?" }];
export const MARIA = [
  {
    role: "user",
    content: "Answer with JSON with the keys name and age: Maria is 34 years old.",
  },
];
export const Person = z.object({ name: z.string(), age: z.int() });
export const TOOL = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Get the weather in a city",
    parameters: {
      type: "object",
      properties: { city: { type: "string", description: "The city" } },
      required: ["city"],
    },
  },
};
export const RAIN = "It rains in Oslo.";

/** All items of a stream. */
export async function all(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** Two texts of one meaning, and one of another: the first two must be nearer to each other. */
export const TEXTS = ["A dog runs.", "The dog is running.", "Interest rates rose."];
export function assertNearness([dog, running, rates]) {
  assert.equal(dog.length, 384);
  const near = (a, b) => a.reduce((sum, value, index) => sum + value * b[index], 0);
  assert.ok(Math.abs(near(dog, dog) - 1) < 1e-3);
  assert.ok(near(dog, running) > 0.7);
  assert.ok(near(dog, rates) < 0.3);
}

/** How many tokens of answers that came to their end the server counts for a model. */
export async function generated(url, model) {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith("modelkit_generated_tokens_total{"));
  const line = lines.find((line) => line.includes(`"${model}`));
  return line === undefined ? 0 : Number(line.split(" ").at(-1));
}

/**
 * `leave` aborts an endless answer, `ask` wants 3 tokens. The model answers one at a time: that the
 * second answer comes, and no token of the first is counted, shows that the first was stopped.
 */
// The last tokens of tiny_llama's vocabulary end an answer: without them it goes on for ever.
export const NEVER_ENDING = Object.fromEntries(
  Array.from({ length: 16 }, (_, place) => [String(496 + place), -100]),
);

export async function assertLeavingStops(url, leave, ask) {
  const before = await generated(url, "endless");
  await leave();
  await ask();
  assert.equal(await generated(url, "endless"), before + 3);
}
