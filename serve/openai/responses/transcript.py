"""From items to the messages of a conversation that a model's template knows."""

from collections.abc import Sequence

from modelkit.serve.openai.messages import image_data
from modelkit.serve.openai.responses.parts import Part
from modelkit.serve.openai.responses.store import Item
from modelkit.serve.output.calls import decode_object
from modelkit.serve.prompt import Message
from modelkit.templates.messages import Function, ToolCall


def messages_of(items: Sequence[Item], instructions: str) -> list[Message]:
    """The conversation, `instructions` first."""
    transcript = _Transcript()
    if instructions:
        transcript.messages.append(Message(role="system", content=instructions))
    for item in items:
        transcript.add(item)
    transcript.end_thoughts()
    return transcript.messages


class _Transcript:
    """Messages so far; an assistant's thoughts, text and calls are items that join into one."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._thoughts = ""
        self._names: dict[str, str] = {}
        # Calls that have no output yet, with the message that holds them.
        self._open: dict[str, Message] = {}

    def add(self, item: Item) -> None:
        """Take the next item."""
        match item["type"]:
            case "message" if item["role"] == "assistant":
                self._say(_text(item["content"]))
            case "message":
                self._hear(item)
            case "function_call":
                self._call(item)
            case "function_call_output":
                self._answer(item)
            case "reasoning":
                self._thoughts = _joined(self._thoughts, _thinking(item))

    def end_thoughts(self) -> None:
        """Thoughts that led to nothing become a message, or part of the one that waits."""
        if self._thoughts:
            self._think(self._waiting() or self._new())

    def _hear(self, item: Item) -> None:
        self.end_thoughts()
        self._open.clear()
        # Templates do not know developers, who are what system messages were.
        role = "system" if item["role"] == "developer" else item["role"]
        content = item["content"]
        self.messages.append(Message(role=role, content=_text(content), images=_images(content)))

    def _say(self, text: str) -> None:
        # What is said between a call and its output belongs to the message with the call.
        message = self._waiting() or self._new()
        message.content = _joined(message.content, text)
        self._think(message)

    def _call(self, item: Item) -> None:
        last = self.messages[-1] if self.messages else None
        message = last if last and last.role == "assistant" else self._new()
        self._think(message)
        arguments = decode_object(item["arguments"] or "{}") or {}
        function = Function(index=len(message.tool_calls), name=item["name"], arguments=arguments)
        message.tool_calls = [*message.tool_calls, ToolCall(id=item["call_id"], function=function)]
        self._names[item["call_id"]] = item["name"]
        self._open[item["call_id"]] = message

    def _answer(self, item: Item) -> None:
        self.end_thoughts()
        output, call = item["output"], item["call_id"]
        parts = [{"type": "input_text", "text": output}] if isinstance(output, str) else output
        self._open.pop(call, None)
        self.messages.append(
            Message(
                role="tool",
                content=_text(parts),
                images=_images(parts),
                tool_call_id=call,
                tool_name=self._names.get(call, ""),
            )
        )

    def _waiting(self) -> Message | None:
        """The message with the last call that has no output yet."""
        return next(reversed(self._open.values()), None)

    def _new(self) -> Message:
        message = Message(role="assistant")
        self.messages.append(message)
        return message

    def _think(self, message: Message) -> None:
        message.thinking = _joined(message.thinking, self._thoughts)
        self._thoughts = ""


def _joined(before: str, after: str) -> str:
    return "\n".join(text for text in (before, after) if text)


def _text(parts: Sequence[Part]) -> str:
    return "".join(part.get("text") or part.get("refusal") or "" for part in parts)


def _images(parts: Sequence[Part]) -> list[str]:
    return [
        image_data(part["image_url"], "input") for part in parts if part["type"] == "input_image"
    ]


def _thinking(item: Item) -> str:
    """What was thought: our own `encrypted_content` is the plain text."""
    if text := item.get("encrypted_content"):
        return str(text)
    return "\n".join(part["text"] for part in item.get("content") or item["summary"])
