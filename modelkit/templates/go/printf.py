"""Go's fmt.Sprintf: flags, widths, argument numbers, and what it prints for each mistake."""

from modelkit.templates.go.printing import Printer
from modelkit.templates.go.quoting import joined
from modelkit.templates.go.values import type_name

_LARGEST = 1_000_000
_FLAGS = {"#": "sharp", "0": "zero", "+": "plus", "-": "minus", " ": "space"}


def sprintf(template: str, *values: object) -> str:
    """The text of `template` with `values`; a mistake in it prints as `%!…`, as in Go."""
    return _Formatter(template, values).run()


class _Formatter:
    def __init__(self, template: str, values: "tuple[object, ...]") -> None:
        self.template = template
        self.values = values
        self.position = 0
        self.next = 0
        self.reordered = False
        self.good_number = True
        self.out = Printer()

    def run(self) -> str:
        parts = self.out.parts
        while True:
            percent = self.template.find("%", self.position)
            if percent < 0:
                parts.append(self.template[self.position :])
                break
            parts.append(self.template[self.position : percent])
            self.position = percent + 1
            self._verb()
            self.out.bound()
        if not self.reordered and self.next < len(self.values):
            self._extra()
        return joined(parts)

    def _verb(self) -> None:
        out = self.out = Printer(self.out.parts, counted=self.out.counted, size=self.out.size)
        self.good_number = True
        while (flag := _FLAGS.get(self._peek())) is not None:
            setattr(out, flag, True)
            self.position += 1
        after_number = self._width(self._argument_number())
        if self._peek() == "." and self.position + 1 < len(self.template):
            self.position += 1
            after_number = self._precision(after_number)
        if not after_number:
            self._argument_number()
        verb = self._peek()
        if not verb:
            out.parts.append("%!(NOVERB)")
            return
        self.position += 1
        self._print(verb)

    def _print(self, verb: str) -> None:
        out = self.out
        if verb == "%":
            out.parts.append("%")
        elif not self.good_number:
            out.parts.append(f"%!{verb}(BADINDEX)")
        elif self.next >= len(self.values):
            out.parts.append(f"%!{verb}(MISSING)")
        else:
            if verb in "vw":
                out.sharp_v, out.sharp = out.sharp, False
                out.plus_v, out.plus = out.plus, False
            value = self.values[self.next]
            self.next += 1
            out.argument(value, verb)

    def _width(self, after_number: bool) -> bool:
        """Read a width; tells whether an argument number still stands for the verb."""
        out = self.out
        if self._peek() == "*":
            self.position += 1
            out.width = self._integer_argument()
            if out.width is None:
                out.parts.append("%!(BADWIDTH)")
            elif out.width < 0:
                out.width, out.minus, out.zero = -out.width, True, False
            return False
        out.width = self._number()
        if after_number and out.width is not None:
            self.good_number = False
        return after_number

    def _precision(self, after_number: bool) -> bool:
        out = self.out
        if after_number:
            self.good_number = False
        after_number = self._argument_number()
        if self._peek() == "*":
            self.position += 1
            given = self._integer_argument()
            out.precision = given if given is not None and given >= 0 else None
            if out.precision is None:
                out.parts.append("%!(BADPREC)")
            return False
        out.precision = self._number() or 0
        return after_number

    def _integer_argument(self) -> int | None:
        if self.next >= len(self.values):
            return None
        value = self.values[self.next]
        self.next += 1
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST:
            return int(value)
        return None

    def _number(self) -> int | None:
        """Digits at the position; a number far too large swallows the rest, as in Go."""
        number: int | None = None
        while "0" <= (digit := self._peek()) <= "9":
            if (number or 0) > _LARGEST:
                self.position = len(self.template)
                return None
            number = (number or 0) * 10 + int(digit)
            self.position += 1
        return number

    def _argument_number(self) -> bool:
        """Read `[3]`, if it is there; tells whether it was and is well formed."""
        if self._peek() != "[":
            return False
        self.reordered = True
        closing = self.template.find("]", self.position)
        if closing < 0 or len(self.template) - self.position < 3:
            self.position += 1
            self.good_number = False
            return False
        digits = self.template[self.position + 1 : closing]
        self.position = closing + 1
        if not (digits.isascii() and digits.isdigit()):
            self.good_number = False
            return False
        number = int(digits) if len(digits) <= len(str(_LARGEST)) else 0
        if 1 <= number <= len(self.values):
            self.next = number - 1
        else:
            self.good_number = False
        return True

    def _extra(self) -> None:
        out = self.out = Printer(self.out.parts)
        out.parts.append("%!(EXTRA ")
        for index, value in enumerate(self.values[self.next :]):
            if index:
                out.parts.append(", ")
            if value is not None:
                out.parts.append(type_name(value) + "=")
            out.argument(value, "v")
        out.parts.append(")")

    def _peek(self) -> str:
        return self.template[self.position : self.position + 1]
