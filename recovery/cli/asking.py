"""Answers to questions: from options, from a person at a terminal, or by default."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import typer

from recovery.cli.console import answered, err
from recovery.errors import OptionError

T = TypeVar("T")
Answers = Mapping[str, str]


@dataclass(frozen=True)
class Question:
    """What an option is asked for at a terminal. Without a default, an answer is needed."""

    option: str
    text: str
    default: Callable[[Answers], str | None] = lambda _: None
    check: Callable[[str, Answers], None] = lambda *_: None
    """Raises OptionError for an answer that cannot be used, given the answers before."""


def at_terminal() -> bool:
    """Whether a person can answer."""
    return sys.stdin.isatty()


class Asking:
    """The answers so far. A person at a terminal is asked again for what cannot be used."""

    def __init__(self, given: Mapping[str, str | None]) -> None:
        self._given = frozenset(option for option, value in given.items() if value is not None)
        self.answers = {option: value for option, value in given.items() if value is not None}
        self.terminal = at_terminal()

    def require(self, questions: Sequence[Question]) -> None:
        """Raises: OptionError if there is no terminal, with every option that is missing."""
        missing = [q.option for q in questions if q.option not in self.answers and q.default(self.answers) is None]
        if missing and not self.terminal:
            remedy = f"give {' and '.join(missing)}, or run the command at a terminal"
            raise OptionError(
                ", ".join(missing), "is missing, and no terminal is there to ask", remedy=remedy, code="bad-argument"
            )

    def settled(self, questions: Sequence[Question], result: Callable[[Answers], T]) -> T:
        """The result of the answers. Raises: OptionError, unless the person can give another answer."""
        while True:
            for question in questions:
                self._fill(question)
            try:
                return result(self.answers)
            except OptionError as error:
                if error.key not in {question.option for question in questions} or not self._may_ask(error.key):
                    raise
                self._again(error)

    def _fill(self, question: Question) -> None:
        while True:
            if question.option not in self.answers:
                self.answers[question.option] = self._answer(question)
            try:
                question.check(self.answers[question.option], self.answers)
            except OptionError as error:
                if not self._may_ask(question.option):
                    raise
                self._again(error)
            else:
                return

    def _answer(self, question: Question) -> str:
        default = question.default(self.answers)
        if not self.terminal:
            self.require([question])
            return default or ""
        with answered(stands="no node was changed"):
            answer: str = typer.prompt(question.text, default=default, show_default=bool(default), err=True)
        return answer.strip()

    def _may_ask(self, option: str) -> bool:
        return self.terminal and option not in self._given

    def _again(self, error: OptionError) -> None:
        err.print(f"{error.why}\n  {error.remedy}", style="red")
        self.answers.pop(error.key, None)
