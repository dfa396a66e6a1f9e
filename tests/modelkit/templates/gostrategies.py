"""Go templates and data for them: from the grammar, and then damaged a little."""

from typing import Any

from hypothesis import strategies as st

FIELDS = ["a", "b", "n", "f", "s", "t", "u", "l", "m", "Role", "é"]
VARIABLES = ["$x", "$y", "$i", "$é"]
TEXTS = ["a", "", " \n", "\t x ", "user", "<b>&'\"", "}}", "{", "日本", "\r\n", "-", "<|im_start|>"]
STRINGS = [
    '"a"', '""', '"user"', '"s"', '"m"', '"<&>=\'"', "`raw \\n`", '"\\"q\\" \\\\ \\t\\x41\\101\\u00e9"',
    '"\\xff\\xc3"', '"\\U0001F600"', "`a\r\nb`", '"é日本"', '"a b/c?d=e&f"', '"\\a\\b\\v\\u2028\\x00\\x7f"',
    '"Zz"', '"\\q"', '"\\400"', '"\\ud800"', "\"\\'\"",
]  # fmt: skip
NUMBERS = [
    "0", "1", "2", "3", "-1", "+2", "007", "0x1F", "0b101", "0o17", "1_000", "0x_ff", "1.5", "-2.5e3",
    "1e6", "1e20", "1e21", "1e-5", ".5", "3.", "0x1p4", "123456789.0", "1000000.0", "0.0001", "'a'", "'é'",
    "'\\n'", "'\\''", "'\\x41'", "2i", "1+2i", "-0", "-0.0", "9223372036854775807",
    "9223372036854775808", "18446744073709551616", "-9223372036854775808", "1e400", "0xE", "-0xE",
    "08", "1__0", "_1", "0x", "'ab'", "''", "1e-400", "5e-324", "1.7976931348623157e308", "0x1.8p-3",
]  # fmt: skip
BLANKS = ["", " ", " ", " ", "  ", "\n", "\t "]
VERBS = list("vvvdsqxXfegtTcUboEGOp") + ["z", "w", "!", "é", ""]
FRAGMENTS = [
    "{{", "}}", "{{-", "-}}", " -}}", "{{- ", "{{end}}", "{{else}}", "end", "|", "(", ")", ".", "$x", ":=", "=",
    ",", '"', "`", "'", "/*", "*/", "{{/* c */}}", "{{if .a}}", "{{range .l}}", "{{break}}", "{{continue}}",
    " ", "\n", "1", ".a", "nil", "{{define `z`}}", "{{else if .b}}", "{{else with .m}}", "template", "{{}}",
    "\\", "%", "#", "²", "\u2028", "\x00", "@", "true", "not ", "_", "e", "+", "{",
]  # fmt: skip

pick = st.sampled_from


@st.composite
def formats(draw: st.DrawFn) -> str:
    """A format for printf, in quotes."""
    parts = []
    for _ in range(draw(st.integers(0, 3))):
        flags = draw(pick(["", "", "", "+", "-", "#", " ", "0", "+#", "-0", "# ", "+ ", "0 ", "0+", "0-"]))
        number = draw(pick(["", "", "", "", "[1]", "[2]", "[5]", "[", "[x]", "[0]"]))
        width = draw(pick(["", "", "", "5", "12", "1", "*", "99999999"]))
        precision = draw(pick(["", "", "", ".2", ".", ".0", ".*", ".9", "."]))
        verb = draw(pick(VERBS))
        text = draw(pick(["", " ", "x", "%%", "é"]))
        parts.append(f"%{flags}{number}{width}{precision}{verb}{text}")
    return '"' + "".join(parts) + '"'


class Writer:
    """Draws one template; `draw` is hypothesis's."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.variables = ["$"]
        self.names = 0

    def one(self, *choices: Any) -> Any:
        return self.draw(pick(choices))

    def chance(self, percent: int) -> bool:
        return self.draw(st.integers(0, 99)) < percent

    def blank(self) -> str:
        return str(self.draw(pick(BLANKS)))

    def fields(self) -> str:
        return "".join("." + self.draw(pick(FIELDS)) for _ in range(self.one(1, 1, 1, 2, 3)))

    def operand(self, depth: int) -> str:
        kind = self.draw(st.integers(0, 19))
        if kind < 7:
            return self.fields()
        if kind < 9:
            return "."
        if kind < 12:
            name = self.one(*self.variables) if self.chance(95) else self.one(*VARIABLES)
            return str(name) + (self.fields() if self.chance(30) else "")
        if kind < 14:
            return str(self.draw(pick(STRINGS)))
        if kind < 16:
            return str(self.draw(pick(NUMBERS)))
        if kind < 17:
            return str(self.one("true", "false", "nil", "print", "currentDate", "nil.a", "true.b"))
        if depth > 0:
            chained = self.fields() if self.chance(30) else ""
            return f"({self.blank()}{self.pipeline(depth - 1)}{self.blank()}){chained}"
        return str(self.one(".a", ".n", ".s", "1", '"x"'))

    def arguments(self, count: int, depth: int) -> str:
        return "".join(f" {self.operand(depth)}" for _ in range(count))

    def number(self) -> str:
        return str(self.one("0", "1", "2", "-1", ".n", "3", "1.5", '"a"', "nil"))

    def call(self, depth: int, piped: bool) -> str:
        kind = self.draw(st.integers(0, 9))
        less = int(piped)
        if kind < 3:
            name = self.one("eq", "ne", "lt", "le", "gt", "ge", "eq", "ne")
            return f"{name}{self.arguments(self.one(2, 2, 2, 2, 1, 3) - less, depth)}"
        if kind < 4:
            return f"{self.one('and', 'or')}{self.arguments(self.one(1, 2, 2, 3) - less, depth)}"
        if kind < 6:
            return f"printf {self.draw(formats())}{self.arguments(self.one(0, 1, 1, 2, 3), depth)}"
        if kind < 7:
            name = self.one("print", "println", "html", "js", "urlquery")
            return f"{name}{self.arguments(self.one(0, 1, 1, 2, 3), depth)}"
        if kind < 8:
            name = self.one("len", "not", "json", "toTypeScriptType", "call", "currentDate")
            return f"{name}{self.arguments(self.one(1, 1, 1, 1, 0, 2) - less, depth)}"
        target = self.one(".l", ".m", ".s", ".l", ".m", ".", '"héllo"', self.operand(depth))
        if kind < 9:
            keys = [self.one(self.number(), '"a"', ".s", '"é"') for _ in range(self.one(0, 1, 1, 1, 2))]
            return " ".join(["index", target, *keys])
        numbers = [self.number() for _ in range(self.one(0, 1, 2, 2, 3, 4))]
        return " ".join(["slice", target, *numbers])

    def pipeline(self, depth: int) -> str:
        first = self.call(depth, False) if self.chance(45) else self.operand(depth)
        stages = [first]
        for _ in range(self.one(0, 0, 0, 0, 1, 1, 2)):
            stages.append(self.call(depth, True) if self.chance(90) else self.operand(depth))
        text = f"{self.blank()}|{self.blank()}".join(stages)
        return text + " |" if self.chance(1) else text

    def declared(self, depth: int) -> str:
        """A pipeline that may set a variable."""
        value = self.pipeline(depth)
        if not self.chance(20):
            return value
        sign = self.one(":=", ":=", "=")
        name = self.one(*VARIABLES[:3]) if sign == ":=" or self.chance(10) else self.one(*self.variables)
        self.variables.append(name)
        return f"{name}{self.blank()}{sign}{self.blank()}{value}"

    def action(self, inside: str) -> str:
        left = self.one("", "", "", "", "- ", "-\n")
        right = self.one("", "", "", "", " -", "\n-")
        return "{{" + left + self.blank() + inside + self.blank() + right + "}}"

    def ranged(self, depth: int) -> str:
        over = self.one(".l", ".m", ".l", ".m", ".n", "3", "$", ".", self.pipeline(depth), ".u", ".q")
        style = self.draw(st.integers(0, 9))
        if style < 5:
            return f"range {over}"
        sign = self.one(":=", ":=", ":=", "=")
        first, second = self.one(*VARIABLES), self.one(*VARIABLES)
        if style < 7:
            self.variables.append(first)
            return f"range {first} {sign} {over}"
        self.variables += [first, second]
        return f"range {first},{self.blank()}{second} {sign} {over}" if style < 9 else f"range {first}, {over}"

    def block(self, depth: int) -> str:
        kind, mark = self.draw(st.integers(0, 5)), len(self.variables)
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
        kind = self.draw(st.integers(0, 3))
        if kind == 0:
            name, self.names = f'"t{self.names}"', self.names + 1
            outer, self.variables = self.variables, ["$"]
            body = self.items(depth - 1)
            self.variables = outer
            return self.action(f"block {name} {self.pipeline(0)}") + body + self.action("end")
        name = self.one('"d0"', '"d1"', "`d0`", '"missing"')
        argument = self.one("", " .", " .m", f" {self.pipeline(0)}", ".l")
        return self.action(f"template {name}{argument}")

    def item(self, depth: int) -> str:
        kind = self.draw(st.integers(0, 19))
        if kind < 6:
            return str(self.draw(pick(TEXTS)))
        if kind < 12 or depth <= 0:
            return self.action(self.declared(1))
        if kind < 17:
            return self.block(depth)
        if kind < 19:
            return self.template(depth)
        return str(self.one("{{/* c */}}", "{{- /* c */ -}}", "{{/**/ -}}"))

    def items(self, depth: int) -> str:
        return "".join(self.item(depth) for _ in range(self.draw(st.integers(0, 3))))

    def definitions(self) -> str:
        text = ""
        for number in range(self.one(0, 0, 1, 2)):
            self.variables = ["$"]
            text += self.action(f'define "d{number}"') + self.items(1) + self.action("end")
        self.variables = ["$"]
        return text

    def damaged(self, text: str) -> str:
        for _ in range(self.one(1, 1, 2, 3)):
            start = self.draw(st.integers(0, len(text)))
            end = start + self.one(0, 0, 1, 1, 2, 5)
            text = text[:start] + self.one("", self.draw(pick(FRAGMENTS))) + text[end:]
        return text


@st.composite
def templates(draw: st.DrawFn) -> str:
    """A template; one in five is damaged."""
    writer = Writer(draw)
    text = writer.definitions() + writer.items(2) + writer.items(2) + writer.item(2)
    return writer.damaged(text) if writer.chance(20) else text


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | pick([1000000, 9007199254740993, -9223372036854775808, 9223372036854775807])
    | pick([0.0, 1.5, -2.5, 1e6, 1e20, 1e21, 1e-7, 0.1, 123456.789, 100000.0, 5e-324])
    | pick(["", "a", "user", "é日本", "<b>&\u2028'\"", "line\nbreak\t", "a\x00b\x7f", "s", "😀", "\ufeff\u200d`"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(pick(FIELDS), inner, max_size=3),
    max_leaves=5,
)
DATA = st.fixed_dictionaries(
    {
        "n": st.integers(-2, 5),
        "f": pick([0.5, 2.0, -1e7, 1e-9]),
        "s": pick(["", "user", "é日本x", "<i>", "a"]),
        "t": st.booleans(),
        "u": st.none(),
        "l": st.lists(VALUES, max_size=4),
        "m": st.dictionaries(pick(FIELDS), VALUES, max_size=4),
    },
    optional={"a": VALUES, "b": VALUES, "Role": pick(["user", "system"]), "é": SCALARS},
)
