"""Tells what happens, for people: one line per step, colour on a terminal, silence for --json."""

import os
import sys
import textwrap

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
}
_WIDTH = 100


class Narrator:
    """`narrated` adds the prose of a demonstration. `stream` None keeps quiet."""

    def __init__(self, stream=sys.stdout, narrated=False, verbose=False):
        self._stream = stream
        self._narrated = narrated
        self.verbose = verbose
        self._colour = (
            stream is not None
            and not os.environ.get("NO_COLOR")
            and (stream.isatty() or bool(os.environ.get("CLICOLOR_FORCE")))
        )

    def _paint(self, text, *styles):
        if not self._colour:
            return text
        codes = ";".join(_CODES[style] for style in styles)
        return f"\033[{codes}m{text}\033[0m"

    def _line(self, text=""):
        if self._stream is not None:
            print(text, file=self._stream, flush=True)

    def _wrapped(self, lead, text, *styles):
        room = _WIDTH - len(lead)
        for line in textwrap.wrap(text, room) or [""]:
            self._line(lead + (self._paint(line, *styles) if styles else line))
            lead = " " * len(lead)

    def title(self, number, name, summary):
        self._line()
        self._line(self._paint(f"Incident {number}: {name}", "bold"))
        self._wrapped("  ", summary, "dim")

    def half(self, guarded):
        self._line()
        head = "with Gavel" if guarded else "without Gavel"
        self._line("  " + self._paint(head, "bold", "cyan" if guarded else "yellow"))

    def tell(self, text):
        """Prose: only in a demonstration."""
        if self._narrated:
            self._wrapped("    ", text, "dim")

    def step(self, text):
        self._wrapped("    · ", text)

    def quote(self, who, text):
        """What a program said, shortened."""
        text = " ".join(text.split())
        if len(text) > 330:
            text = text[:327] + "..."
        self._wrapped(f"      {who}: ", text, "dim")

    def damage(self, text):
        self._mark("✗", text, "red")

    def proven(self, text):
        self._mark("✓", text, "green")

    def _mark(self, mark, text, colour):
        lines = textwrap.wrap(text, _WIDTH - 6)
        self._line(f"    {self._paint(mark, colour, 'bold')} {self._paint(lines[0], colour)}")
        for line in lines[1:]:
            self._line(f"      {self._paint(line, colour)}")

    def failed(self, text):
        self._line("    " + self._paint("FAILED", "red", "bold") + " " + text)

    def ended(self, passed, seconds):
        word = (
            self._paint("passed", "green", "bold")
            if passed
            else self._paint("FAILED", "red", "bold")
        )
        self._line()
        self._line(f"  {word} in {seconds:.1f} s")

    def detail(self, text):
        if self.verbose:
            for line in text.splitlines():
                self._line("      " + self._paint(line, "dim"))

    def summary(self, results):
        good = sum(1 for result in results if result["passed"])
        bad = len(results) - good
        self._line()
        self._line(f"incidents: {good} passed, {bad} failed")
