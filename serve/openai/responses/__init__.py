"""OpenAI's Responses API: answers that are kept for a while, and can be continued by their id."""
