"""How an answer is printed while it comes."""

import sys

import click


class AnswerPrinter:
    """Prints what is said to standard output; thoughts, unless hidden, to standard error."""

    def __init__(self, *, hidden: bool) -> None:
        self._hidden = hidden
        self._thinking = False

    def show(self, thought: str, said: str) -> None:
        """The next piece of an answer."""
        if thought and not self._hidden:
            begin = "" if self._thinking else "Thinking...\n"
            click.echo(begin + thought, nl=False, err=True)
            self._thinking = True
        if said and self._thinking:
            click.echo("\n...done thinking.\n", err=True)
            self._thinking = False
        click.echo(said, nl=False)
        sys.stdout.flush()
