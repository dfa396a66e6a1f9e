"""Values as Go's fmt prints them: a Printer holds the flags of one verb and the text so far."""

from dataclasses import dataclass, field

from modelkit.templates.go import numbers
from modelkit.templates.go.quoting import can_backquote, encode, quote
from modelkit.templates.go.values import INVALID, SLICES, Byte, Failure, is_printable, type_name

# Where Go would print an address.
_ADDRESS = 0xC000000000
MAX_TEXT = 16 << 20
_RADIX = {"v": "d", "d": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_FLOAT_PRECISION = {"f": 6, "F": 6, "e": 6, "E": 6}


@dataclass(slots=True)
class Printer:
    """One verb's flags, width and precision; `parts` collects what is printed."""

    parts: list[str] = field(default_factory=list)
    minus: bool = False
    plus: bool = False
    sharp: bool = False
    space: bool = False
    zero: bool = False
    plus_v: bool = False
    sharp_v: bool = False
    width: int | None = None
    precision: int | None = None
    failing: bool = False
    counted: int = 0
    size: int = 0

    def bound(self) -> None:
        """Raise Failure once the text is too long: widths and precisions go to ten million."""
        self.size += sum(map(len, self.parts[self.counted :]))
        self.counted = len(self.parts)
        if self.size > MAX_TEXT:
            raise Failure("the text is too long")

    def argument(self, value: object, verb: str) -> None:
        """Print an argument of print or printf."""
        if value is None or value is INVALID:
            if verb in "Tv":
                self._pad("<nil>")
            else:
                self._bad_verb(None, verb)
        elif verb == "T":
            self._string(type_name(value), "s")
        elif verb == "p":
            self._pointer(value)
        elif verb == "w" and isinstance(value, (dict, *SLICES)):
            self._bad_verb(value, verb)
        else:
            self.value(value, verb)

    def value(self, value: object, verb: str) -> None:
        """Print a value, maps and slices with all they hold."""
        match value:
            case str():
                self._string(value, verb)
            case bool():
                self._bool(value, verb)
            case int():
                self._integer(value, verb)
            case float():
                self._float(value, verb)
            case complex():
                self._complex(value, verb)
            case None:
                self.parts.append("interface {}(nil)" if self.sharp_v else "<nil>")
            case _ if is_printable(value) and self._calls_methods(verb):
                self._string(value.go_string(), verb)
            case dict():
                self._map(value, verb)
            case list() | tuple():
                self._slice(value, verb)
            case _:
                self._bad_verb(value, verb)

    def _calls_methods(self, verb: str) -> bool:
        return not self.failing and not self.sharp_v and verb in "vsxXq"

    def _map(self, value: "dict[str, object]", verb: str) -> None:
        opening, separator, closing = ("map[", " ", "]")
        if self.sharp_v:
            opening, separator, closing = (type_name(value) + "{", ", ", "}")
        self.parts.append(opening)
        for index, key in enumerate(sorted(value)):
            if index:
                self.parts.append(separator)
            self._string(key, verb)
            self.parts.append(":")
            self.value(value[key], verb)
            self.bound()
        self.parts.append(closing)

    def _slice(self, value: "list[object] | tuple[object, ...]", verb: str) -> None:
        opening, separator, closing = ("[", " ", "]")
        if self.sharp_v:
            opening, separator, closing = (type_name(value) + "{", ", ", "}")
        self.parts.append(opening)
        for index, item in enumerate(value):
            if index:
                self.parts.append(separator)
            self.value(item, verb)
            self.bound()
        self.parts.append(closing)

    def _bad_verb(self, value: object, verb: str) -> None:
        self.parts.append(f"%!{verb}(")
        if value is None:
            self.parts.append("<nil>")
        else:
            self.parts.append(f"{type_name(value)}=")
            self.failing = True
            if isinstance(value, str | int | float | complex | dict | list | tuple):
                self.value(value, "v")
            self.failing = False
        self.parts.append(")")

    def _pad(self, text: str, *, zero: bool | None = None) -> None:
        missing = (self.width or 0) - len(text)
        if missing <= 0:
            self.parts.append(text)
        elif self.minus:
            self.parts.append(text + " " * missing)
        else:
            fill = "0" if (self.zero if zero is None else zero) else " "
            self.parts.append(fill * missing + text)

    def _bool(self, value: bool, verb: str) -> None:
        if verb in "tv":
            self._pad("true" if value else "false")
        else:
            self._bad_verb(value, verb)

    # ---- Text ----

    def _string(self, value: str, verb: str) -> None:
        if verb == "s" or (verb == "v" and not self.sharp_v):
            self._pad(value[: self.precision])
        elif verb in "vq":
            self._quoted(value[: self.precision])
        elif verb in "xX":
            self._hex_dump(encode(value)[: self.precision], verb)
        else:
            self._bad_verb(value, verb)

    def _quoted(self, text: str) -> None:
        if self.sharp and can_backquote(text):
            self._pad(f"`{text}`")
        else:
            self._pad(quote(text, ascii_only=self.plus))

    def _hex_dump(self, data: bytes, verb: str) -> None:
        prefix = "0" + verb if self.sharp and data else ""
        text = data.hex(" ") if self.space else data.hex()
        text = text.upper() if verb == "X" else text
        if self.space and prefix:
            text = text.replace(" ", " " + prefix)
        self._pad(prefix + text)

    # ---- Numbers ----

    def _integer(self, value: int, verb: str) -> None:
        if verb in "cqU":
            self._character(value % (1 << 64), verb)
        elif verb == "v" and self.sharp_v and isinstance(value, Byte):
            self._pad(self._with_zeros(f"{value:x}", "0x"), zero=False)
        elif verb in _RADIX:
            self._pad_integer(value, verb)
        else:
            self._bad_verb(value, verb)

    def _pad_integer(self, value: int, verb: str) -> None:
        if self.precision == 0 and value == 0:
            self.parts.append(" " * (self.width or 0))
            return
        digits = format(abs(value), _RADIX[verb])
        sign = "-" if value < 0 else "+" if self.plus else " " if self.space else ""
        if self.precision is not None:
            digits = digits.rjust(self.precision, "0")
        elif self.zero and not self.minus and self.width:
            digits = digits.rjust(self.width - len(sign), "0")
        self._pad(sign + self._prefix(digits, verb) + digits, zero=False)

    def _prefix(self, digits: str, verb: str) -> str:
        if verb == "O":
            octal = "0" if self.sharp and not digits.startswith("0") else ""
            return "0o" + octal
        if not self.sharp:
            return ""
        if verb == "o":
            return "" if digits.startswith("0") else "0"
        return {"b": "0b", "x": "0x", "X": "0X"}.get(verb, "")

    def _with_zeros(self, digits: str, prefix: str) -> str:
        least = self.precision
        if least is None:
            least = self.width if self.zero and not self.minus and self.width else 0
            least -= 1 if least and (self.plus or self.space) else 0
        sign = "+" if self.plus else " " if self.space else ""
        return sign + prefix + digits.rjust(least, "0")

    def _character(self, code: int, verb: str) -> None:
        if verb == "U":
            self._code_point(code)
            return
        valid = code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF
        character = chr(code) if valid else "\ufffd"
        self._pad(character if verb == "c" else quote(character, "'", ascii_only=self.plus))

    def _code_point(self, code: int) -> None:
        text = "U+" + f"{code:X}".rjust(max(self.precision or 0, 4), "0")
        if self.sharp and code <= 0x10FFFF and chr(code).isprintable():
            text += f" '{chr(code)}'"
        self._pad(text, zero=False)

    def _float(self, value: float, verb: str) -> None:
        if verb not in "vbgGxXfFeE":
            self._bad_verb(value, verb)
            return
        precision = _FLOAT_PRECISION.get(verb) if self.precision is None else self.precision
        form = {"v": "g", "F": "f"}.get(verb, verb)
        text = numbers.format_float(value, form, precision)
        sign = text[0] if text[0] in "+-" else "+"
        body = text.lstrip("+-")
        if self.sharp and form != "b":
            body = _with_point(body, verb, precision)
        shown = sign if sign == "-" or self.plus else " " if self.space else ""
        if body[0] in "IN":
            visible = body[0] == "I" or self.plus
            self._pad((sign if visible and shown != " " else shown) + body, zero=False)
        elif self.zero and not self.minus and self.width:
            self.parts.append(shown + body.rjust(self.width - len(shown), "0"))
        else:
            self._pad(shown + body)

    def _complex(self, value: complex, verb: str) -> None:
        if verb not in "vbgGxXfFeE":
            self._bad_verb(value, verb)
            return
        plus = self.plus
        self.parts.append("(")
        self._float(value.real, verb)
        self.plus = True
        self._float(value.imag, verb)
        self.parts.append("i)")
        self.plus = plus

    def _pointer(self, value: object) -> None:
        if isinstance(value, (dict, *SLICES)):
            self.parts.append(f"{_ADDRESS:x}" if self.sharp else f"0x{_ADDRESS:x}")
        else:
            self._bad_verb(value, "p")


def _with_point(body: str, verb: str, precision: int | None) -> str:
    """A float's text under the # flag: always a point, and %g keeps its zeros."""
    mark = "p" if verb in "xX" else "e"
    at = body.lower().find(mark)
    mantissa, tail = (body, "") if at < 0 else (body[:at], body[at:])
    wanted = 0
    if verb in "vgGx":
        wanted = 6 if precision is None else precision
    digits = mantissa.replace(".", "")
    wanted -= 1 if digits == "0" and "." not in mantissa else len(digits.lstrip("0"))
    if "." not in mantissa:
        mantissa += "."
    return mantissa + "0" * max(wanted, 0) + tail
