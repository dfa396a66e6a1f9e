"""Go templates and data for them: written by the rules of the language, some then damaged."""

from random import Random
from typing import Any

from tests.modelkit.templates.gowords import (
    BLANKS,
    FIELDS,
    FRAGMENTS,
    NUMBERS,
    ODD,
    SCALARS,
    STRINGS,
    TEXTS,
    VARIABLES,
    VERBS,
)


class Writer:
    """Writes templates and data; the same seed writes the same."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.variables = ["$"]
        self.names = 0
        self.defined: list[str] = []
        # A tame template mostly fits its data; a wild one mostly fails.
        self.tame = self.chance(75)
        self.rooted = True

    def one(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def blank(self) -> str:
        return self.random.choice(BLANKS)

    def format(self) -> str:
        """A format for printf, in quotes."""
        parts = []
        for _ in range(self.one(0, 1, 1, 2, 3)):
            flags = self.one(
                "", "", "", "+", "-", "#", " ", "0", "+#", "-0", "# ", "+ ", "0 ", "0+", "0-"
            )
            number = self.one("", "", "", "", "", "[1]", "[2]", "[5]", "[", "[x]", "[0]")
            width = self.one("", "", "", "5", "12", "1", "*", "99999999")
            precision = self.one("", "", "", ".2", ".", ".0", ".*", ".9", ".")
            verb, text = self.one(*VERBS), self.one("", " ", "x", "%%", "é")
            parts.append(f"%{flags}{number}{width}{precision}{verb}{text}")
        return '"' + "".join(parts) + '"'

    def fields(self) -> str:
        return "".join("." + self.one(*FIELDS) for _ in range(self.one(1, 1, 1, 2, 3)))

    def integer(self) -> str:
        return str(
            self.one("$.n" if self.rooted else "4", "1", "0", "-7", "0x1F", "'é'", '(len "é")')
        )

    def text(self) -> str:
        return str(self.one("$.s" if self.rooted else '"s"', *STRINGS))

    def safe(self, depth: int) -> str:
        """An operand that cannot fail, if the data is as expected."""
        fields = [
            "$.a",
            "$.b",
            "$.n",
            "$.f",
            "$.s",
            "$.t",
            "$.u",
            "$.l",
            "$.m",
            "$.é",
            "$.q",
            "$.Role",
        ]
        kind = self.random.randrange(8)
        if kind < 3 and self.rooted:
            return str(self.one(*fields)) + (self.one(".a", ".b.a") if self.chance(3) else "")
        if kind < 5 and depth > 0:
            return f"({self.blank()}{self.pipeline(depth - 1)}{self.blank()})"
        return str(
            self.one(".", self.text(), self.integer(), *NUMBERS, *self.variables, *self.variables)
        )

    def operand(self, depth: int) -> str:
        if self.tame and self.chance(98):
            return self.safe(depth)
        kind = self.random.randrange(20)
        if kind < 7:
            return self.fields()
        if kind < 9:
            return "."
        if kind < 12:
            name = self.one(*self.variables)
            return str(name) + (self.fields() if self.chance(30) else "")
        if kind < 14:
            return str(self.one(*STRINGS))
        if kind < 16:
            return str(self.one(*NUMBERS))
        if kind < 17:
            return str(
                self.one(*ODD) if self.chance(8) else self.one("true", "false", "nil", "print")
            )
        if depth > 0:
            chained = self.fields() if self.chance(30) else ""
            return f"({self.blank()}{self.pipeline(depth - 1)}{self.blank()}){chained}"
        return str(self.one(".a", ".n", ".s", "1", '"x"'))

    def arguments(self, count: int, depth: int) -> str:
        return "".join(f" {self.operand(depth)}" for _ in range(count))

    def number(self) -> str:
        return str(self.one("0", "1", "2", "-1", ".n", "3", "1.5", '"a"', "nil"))

    def fitting_call(self, depth: int) -> str:
        """A call with arguments of the right types; nothing is piped into it."""
        kind = self.random.randrange(8)
        if kind < 3:
            make = self.one(self.integer, self.text, self.text)
            name = self.one("eq", "eq", "ne", "lt", "le", "gt", "ge")
            return f"{name} {make()} {make()}"
        if kind < 4:
            return f"len {self.one(self.text(), *(('$.l', '$.m') if self.rooted else ('print',)))}"
        if kind < 5 and self.rooted:
            return str(
                self.one(
                    'index $.m "a"',
                    "index $.m $.s",
                    "index $.l 0",
                    "slice $.l 0",
                    'index "héé" $.n',
                )
            )
        if kind < 6:
            bounds = self.one("", "0", "1", "1 3", "2 3", "0 6", "3 3")
            return f"slice {self.one('`héllo`', '`日本`')} {bounds}"
        return f"printf {self.format()}{self.arguments(self.one(1, 1, 2, 3), depth)}"

    def call(self, depth: int, piped: bool) -> str:
        kind = self.random.randrange(10)
        if self.tame and self.chance(95):
            if not piped and self.chance(60):
                return self.fitting_call(depth)
            kind = self.one(3, 5, 6, 6)
        less = int(piped)
        if kind < 3:
            name = self.one("eq", "ne", "lt", "le", "gt", "ge", "eq", "ne")
            return f"{name}{self.arguments(self.one(2, 2, 2, 2, 1, 3) - less, depth)}"
        if kind < 4:
            return f"{self.one('and', 'or')}{self.arguments(self.one(1, 2, 2, 3) - less, depth)}"
        if kind < 6:
            return f"printf {self.format()}{self.arguments(self.one(0, 1, 1, 2, 3), depth)}"
        if kind < 7:
            name = self.one("print", "println", "html", "js", "urlquery")
            return f"{name}{self.arguments(self.one(0, 1, 1, 2, 3), depth)}"
        if kind < 8:
            name = self.one("len", "not", "json", "toTypeScriptType", "call", "currentDate")
            return f"{name}{self.arguments(self.one(1, 1, 1, 1, 0, 2) - less, depth)}"
        target = self.one(".l", ".m", ".s", ".l", ".m", ".", '"héllo"', self.operand(depth))
        if kind < 9:
            keys = [
                self.one(self.number(), '"a"', ".s", '"é"') for _ in range(self.one(0, 1, 1, 1, 2))
            ]
            return " ".join(["index", target, *keys])
        numbers = [self.number() for _ in range(self.one(0, 1, 2, 2, 3, 4))]
        return " ".join(["slice", target, *numbers])

    def pipeline(self, depth: int) -> str:
        first = self.call(depth, False) if self.chance(45) else self.operand(depth)
        stages = [first]
        stages += [
            self.call(depth, True) if self.chance(98) else self.operand(depth)
            for _ in range(self.one(0, 0, 0, 0, 1, 1, 2))
        ]
        text = f"{self.blank()}|{self.blank()}".join(stages)
        return text + " |" if self.chance(1) else text

    def declared(self, depth: int) -> str:
        """A pipeline that may set a variable."""
        value = self.pipeline(depth)
        if not self.chance(20):
            return value
        sign = self.one(":=", ":=", "=")
        name = (
            self.one(*VARIABLES) if sign == ":=" or self.chance(10) else self.one(*self.variables)
        )
        self.variables.append(name)
        return (
            f"{name} {sign}{self.blank()}{value}"
            if sign == "="
            else f"{name}{self.blank()}{sign} {value}"
        )

    def action(self, inside: str) -> str:
        left = self.one("", "", "", "", "- ", "-\n")
        right = self.one("", "", "", "", " -", "\n-")
        return f"{{{{{left}{self.blank()}{inside}{self.blank()}{right}}}}}"

    def ranged(self, depth: int) -> str:
        wild = [".l", ".m", ".l", ".m", ".n", "3", "$", ".", self.pipeline(depth), ".u", ".q"]
        tame = ["$.l", "$.l", "$.m", "$.m", "$.u", "$.q", "$"] if self.rooted else ["2"]
        over = self.one(*tame) if self.tame and self.chance(95) else self.one(*wild)
        style = self.random.randrange(10)
        if style < 5:
            return f"range {over}"
        sign = self.one(":=", ":=", ":=", "=")
        first, second = self.one(*VARIABLES), self.one(*VARIABLES)
        if style < 7:
            self.variables.append(first)
            return f"range {first} {sign} {over}"
        self.variables += [first, second]
        if style < 9 or self.chance(80):
            return f"range {first},{self.blank()}{second} {sign} {over}"
        return f"range {first}, {self.one(over, *self.variables)}"

    def block(self, depth: int) -> str:
        kind, mark = self.random.randrange(6), len(self.variables)
        otherwise = self.action("else") + self.items(depth - 1) if self.chance(40) else ""
        if kind < 3:
            word = self.one("if", "if", "with")
            head = self.action(f"{word} {self.declared(depth)}")
            middle = self.items(depth - 1)
            if self.chance(25):
                middle += self.action(f"else {word} {self.declared(depth)}") + self.items(depth - 1)
        else:
            head = self.action(self.ranged(depth))
            middle = self.items(depth - 1)
            if self.chance(25):
                jump = self.action(self.one("break", "continue"))
                middle += self.action(f"if {self.pipeline(0)}") + jump + self.action("end")
                middle += self.items(0)
        del self.variables[mark:]
        return head + middle + otherwise + self.action("end")

    def template(self, depth: int) -> str:
        if self.chance(25) or (self.tame and not self.defined):
            name, self.names = f'"t{self.names}"', self.names + 1
            outer, self.variables, self.rooted = (self.variables, self.rooted), ["$"], False
            body = self.items(depth - 1)
            self.variables, self.rooted = outer
            return self.action(f"block {name} {self.pipeline(0)}") + body + self.action("end")
        names = self.defined if self.tame else ['"d0"', '"d1"', "`d0`", '"missing"']
        name = self.one(*names)
        argument = self.one("", " .", " .m", f" {self.pipeline(0)}", ".l")
        return self.action(f"template {name}{argument}")

    def item(self, depth: int) -> str:
        kind = self.random.randrange(20)
        if kind < 6:
            return str(self.one(*TEXTS))
        if kind < 12 or depth <= 0:
            return self.action(self.declared(1))
        if kind < 17:
            return self.block(depth)
        if kind < 19:
            return self.template(depth)
        return str(self.one("{{/* c */}}", "{{- /* c */ -}}", "{{/**/ -}}"))

    def items(self, depth: int) -> str:
        return "".join(self.item(depth) for _ in range(self.random.randrange(4)))

    def definitions(self) -> str:
        text = ""
        for number in range(self.one(0, 0, 1, 2)):
            self.variables, self.rooted = ["$"], False
            text += self.action(f'define "d{number}"') + self.items(1) + self.action("end")
            self.defined.append(f'"d{number}"')
        self.variables, self.rooted = ["$"], True
        return text

    def damaged(self, text: str) -> str:
        for _ in range(self.one(1, 1, 2, 3)):
            start = self.random.randint(0, len(text))
            end = start + self.one(0, 0, 1, 1, 2, 5)
            text = text[:start] + self.one("", self.one(*FRAGMENTS)) + text[end:]
        return text

    def template_text(self) -> str:
        """A whole template; one in six is damaged."""
        text = self.definitions() + self.items(2) + self.items(2) + self.item(2)
        return self.damaged(text) if self.chance(16) else text

    def scalar(self) -> object:
        return self.one(*SCALARS) if self.chance(70) else self.random.randint(-3, 12)

    def value(self, depth: int) -> object:
        kind = self.random.randrange(10)
        if kind < 6 or depth == 0:
            return self.scalar()
        return self.list(depth) if kind < 8 else self.map(depth)

    def list(self, depth: int) -> list[object]:
        return [self.value(depth - 1) for _ in range(self.random.randrange(4))]

    def map(self, depth: int) -> dict[str, object]:
        return {self.one(*FIELDS): self.value(depth - 1) for _ in range(self.random.randrange(4))}

    def data(self) -> dict[str, object]:
        """What the template is rendered with: some fields always have the same type."""
        data: dict[str, object] = {
            "n": self.random.randint(-2, 5),
            "f": self.one(0.5, 2.0, -1e7, 1e-9),
            "s": self.one("", "user", "é日本x", "<i>", "a"),
            "t": self.chance(50),
            "u": None,
            "l": self.list(3),
            "m": self.map(3),
        }
        for name in ("a", "b", "Role", "é"):
            if self.chance(80):
                data[name] = self.value(2)
        return data
