"""How many tokens a prompt has."""

from collections.abc import Awaitable, Callable

from modelkit.serve.prompt import Prompt
from modelkit.serve.types import Runner


class CountedPrompt:
    """A prompt that knows its number of tokens once it has been written; 0 before."""

    def __init__(self, text: Callable[[Runner], Awaitable[Prompt]]) -> None:
        self._text = text
        self.tokens = 0

    async def __call__(self, runner: Runner) -> Prompt:
        """Write and count it, as a completion reads it."""
        prompt = await self._text(runner)
        self.tokens = len(await runner.tokenize(prompt.text))
        return prompt
