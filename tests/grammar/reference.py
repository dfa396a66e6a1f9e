"""The rules of a Modelfile once more, one character at a time and without a grammar.

It knows nothing of control characters, odd spaces, encodings and reserved names, where modelkit
differs from the reference on purpose; the strategies in strategies.py do not make those.
"""

BLANKS = " \t"
NEWLINES = "\r\n"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
NAME_CHARACTERS = LETTERS + "0123456789_"
SETTINGS = ["from", "license", "template", "system", "adapter", "draft"]
SETTINGS += ["renderer", "parser", "requires"]
COMMAND_ERROR = (
    'command must be one of "from", "license", "template", "system", "adapter", "draft",'
    ' "renderer", "parser", "parameter", "message", or "requires"'
)
ROLE_ERROR = 'message role must be one of "system", "user", or "assistant"'
END = "unexpected EOF"


class Refusal(Exception):
    """A refusal, with the whole text of its message."""


class Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.line = 1

    def next(self) -> str:
        """The next character, or an empty string at the end; a newline is counted at once."""
        if self.position == len(self.text):
            return ""
        character = self.text[self.position]
        self.position += 1
        self.line += character in NEWLINES
        return character

    def fail_on_line(self, message: str) -> Refusal:
        return Refusal(f"(line {self.line}): {message}")


def parse(text: str) -> list[tuple[str, str]]:
    """The (name, value) pairs of a Modelfile."""
    scanner = Scanner(text)
    commands = []
    while character := scanner.next():
        if character == "#":
            while character and character not in NEWLINES:
                character = scanner.next()
        elif character not in BLANKS + NEWLINES:
            commands.append(instruction(scanner, character))
    if "model" not in [name for name, _ in commands]:
        raise Refusal("no FROM line")
    return commands


def instruction(scanner: Scanner, word: str) -> tuple[str, str]:
    while (character := scanner.next()) and character in LETTERS:
        word += character
    if not character:
        raise Refusal(END)
    word = word.lower()
    if character not in BLANKS or word not in [*SETTINGS, "parameter", "message"]:
        raise scanner.fail_on_line(COMMAND_ERROR)
    if word == "parameter":
        return argument(scanner, NAME_CHARACTERS), value(scanner)
    if word == "message":
        role = argument(scanner, LETTERS)
        if role not in ("system", "user", "assistant"):
            raise scanner.fail_on_line(ROLE_ERROR)
        return "message", f"{role}: {value(scanner)}"
    return "model" if word == "from" else word, value(scanner)


def argument(scanner: Scanner, allowed: str) -> str:
    word = ""
    while (character := scanner.next()) and character in allowed:
        word += character
    if not character:
        raise Refusal(END)
    if character not in BLANKS:
        raise Refusal(f"{END}: {word}")
    return word


def value(scanner: Scanner) -> str:
    buffer = ""
    while True:
        character = scanner.next()
        if not character or character in NEWLINES:
            closed = unquote(buffer.strip(BLANKS + NEWLINES))
            if closed is not None:
                return closed
            if not character:
                raise Refusal(END)
        buffer += character


def unquote(trimmed: str) -> str | None:
    for quote in ('"""', '"'):
        if trimmed.startswith(quote):
            whole = len(trimmed) >= 2 * len(quote) and trimmed.endswith(quote)
            return trimmed[len(quote) : -len(quote)] if whole else None
    return trimmed
