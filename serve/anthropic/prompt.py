"""How many tokens a prompt has."""

from dataclasses import replace

from modelkit.serve.completion import Request
from modelkit.serve.prompt import Prompt
from modelkit.serve.types import Runner


class CountedPrompt:
    """A prompt that knows its number of tokens once it has been written; 0 before."""

    def __init__(self) -> None:
        self.tokens = 0

    def of(self, request: Request) -> Request:
        """The request, its prompt counted when the model gets it."""

        async def text(runner: Runner) -> Prompt:
            prompt = await request.text(runner)
            self.tokens = len(await runner.tokenize(prompt.text))
            return prompt

        return replace(request, text=text)
