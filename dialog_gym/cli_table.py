"""The table of `dialog-gym play`: what a dialogue looks like, and what a person types."""

import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any, Final

from dialog_gym.acts import format_acts
from dialog_gym.cli_output import printable
from dialog_gym.core import DialogueAct, Turn

COMMANDS: Final = (
    "/rules the shop's rules   /hint [BEGINNING] acts you can use   /state hidden state   /quit leave"
)
AT_ONCE: Final = 30
"""As many acts are listed with their slots."""
ENDS: Final = {
    "accepted": "the customer took what was offered",
    "declined": "the customer decided against it",
    "resolved": "everything that the customer came for is done",
    "refused": "not eligible, and the customer understood why",
    "handed_over": "passed to a human colleague",
    "agent_ended": "the agent said goodbye with the matter unfinished",
    "user_hung_up": "the customer lost patience",
    "not_reached": "nobody answered the call",
    "max_turns": "out of turns",
    "error": "the simulator failed: the dialogue is void",
}


class Table:
    """Where a dialogue takes place: shows it, and reads what the human says."""

    def __init__(self, env: Any, episode: Any, reveal: bool, out: Any) -> None:
        """Sits down.

        Args:
            env: The environment, for its act inventory.
            episode: A fresh episode.
            reveal: Whether hidden things are shown.
            out: The stream to write to; colours only on a terminal.
        """
        self.env, self.episode, self.reveal, self.out = env, episode, reveal, out
        self.shown = 0
        self.desk: Any = None
        self.typed = ""
        """What the human typed last, which a terminal shows already."""
        self.console: Any = None
        if out.isatty():
            from rich.console import Console

            self.console = Console(file=out, highlight=False)

    # -- showing

    def line(self, text: str = "", style: str = "", label: str = "") -> None:
        """A line, or a labelled paragraph."""
        if self.console is None:
            print(printable(f"{label}: {text}" if label else text), file=self.out, flush=True)
            return
        from rich.table import Table as Grid
        from rich.text import Text

        grid = Grid.grid(padding=(0, 2))
        if label:
            grid.add_column(width=8, justify="right")
        grid.add_column(overflow="fold")
        grid.add_row(
            *([Text(label, style=f"bold {style}")] if label else []), Text(printable(text), style=style)
        )
        self.console.print(grid)

    def open(self, human: bool, repeat: str, seed: int) -> None:
        """Who the customer is, and what was said before the first turn."""
        task = self.episode.task
        self.line(f"{task.scenario}, level {task.level}, task {task.id}", "bold")
        self.line(f"the same again: dialog-gym play {repeat} --seed {seed}", "dim")
        width = max(map(len, task.profile.attributes))
        for name, value in task.profile.attributes.items():
            self.line(f"  {name.ljust(width)}  {'-' if value is None else value}")
        if human:
            self.line(COMMANDS, "dim")
        self.line()
        self._turns()

    def _turns(self) -> None:
        for said, meant in zip(
            self.episode.turns[self.shown :], self.episode.record[self.shown :], strict=True
        ):
            self._turn(said, meant.acts)
        self.shown = len(self.episode.turns)

    def _turn(self, said: Turn, acts: Sequence[DialogueAct]) -> None:
        if said.role == "user":
            self.line(said.text, "cyan", "customer")
            if self.reveal:
                self.line(f"          meant: {format_acts(acts) or '-'}", "dim")
            return
        if said.text != self.typed:
            self.line(said.text, "green", "agent")
        if said.thought:
            self.line(f"          thought: {said.thought}", "dim")
        self.line(f"          read as: {format_acts(acts) or 'nothing in particular'}", "dim")

    def _after(self) -> None:
        """Everything that one assistant turn led to."""
        fresh = self.episode.turns[self.shown :]
        self._turn(fresh[0], self.episode.record[self.shown].acts)
        self.shown += 1
        if broken := ", ".join(self.episode.costs[-1]):
            self.line(f"          rule broken: {broken}", "red")
        self._turns()
        if self.reveal:
            rewards = {name: value for name, value in self.episode.rewards[-1].items() if value}
            self.line(f"          rewards: {_figures(rewards)}", "dim")
            self.line(f"          hidden: {self._mood()}", "dim")

    def _mood(self) -> str:
        return _figures({k: v for k, v in self.episode.dialogue.hidden().items() if isinstance(v, float)})

    def close(self) -> None:
        """How it ended and what it was worth."""
        outcome, end = self.episode.dialogue.outcome(), self.episode.ended_by
        self.line()
        style = "bold green" if outcome.get("success") else "bold yellow"
        self.line(f"{end}: {self.episode.failure or ENDS[end]}", style)
        totals: dict[str, float] = {}
        for rewards in self.episode.rewards:
            for name, value in rewards.items():
                totals[name] = totals.get(name, 0.0) + value
        facts = {name: outcome[name] for name in ("tse", "satisfaction", "turns") if name in outcome}
        self.line(f"{_figures(facts)}, rules broken: {outcome.get('violations') or 'none'}")
        self.line(f"rewards: {_figures(totals)}")

    # -- playing

    def watch(self, service: Any) -> bool:
        """Let an agent play to the end."""
        from dialog_gym.rollout import agent_seed, speak

        session = service.start(agent_seed(self.episode.task.id, self.episode.seed))
        while self.episode.ended_by is None:
            error = speak(self.episode, session, service)
            if error:
                self.line(f"action_error: {error}", "red")
            self._after()
        return True

    def human(self) -> bool:
        """Let the human play; False when they left."""
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")
        if hasattr(self.env.domain, "desk"):
            self.desk = self.env.domain.desk(self.episode.task.profile.attributes)
        self._look_up()
        while self.episode.ended_by is None:
            typed = self._typed()
            if typed is None or typed.strip() == "/quit":
                self.line("left before the end")
                return False
            if not typed.strip() or self._command(typed.strip()):
                continue
            said = self.episode.understand(typed)
            if said.error:  # a person may try again; an agent's turn would be lost
                self.line(f"action_error: {said.error}", "red")
                continue
            self.episode.assistant(said)
            self._after()
            self._look_up()
        return True

    def _look_up(self) -> None:
        """What the desk's systems say now: a person cannot search them as a program can."""
        if self.desk is None or self.episode.ended_by is not None:
            return
        if note := self.desk.note(self.episode.turns):
            self.line(note, "magenta", "desk")

    def _typed(self) -> str | None:
        if sys.stdin.isatty() and self.console is not None:
            import readline  # noqa: F401 - line editing and history for input()

            try:
                self.typed = input("you> ").strip()
                return self.typed
            except EOFError:
                print(file=self.out)
                return None
        return sys.stdin.readline() or None

    def _command(self, typed: str) -> bool:
        """Carry out a /command; False when it is something to say."""
        if not typed.startswith("/"):
            return False
        command, _, beginning = typed.partition(" ")
        if typed == "/rules":
            self.line(self.episode.task.guidelines)
        elif command == "/hint":
            self.line("\n".join(_inventory(self.env.domain, beginning.strip())))
        elif typed == "/state":
            self.line("\n".join(f"  {name}: {_listed(value)}" for name, value in self._hidden().items()))
        else:
            self.line(f"unknown command {typed[:20]!r}; {COMMANDS}", "red")
        return True

    def _hidden(self) -> dict[str, Any]:
        goal = self.episode.task.goal
        wants = {
            "need": goal.need,
            **goal.constraints,
            "wants to know": ", ".join(goal.requests) or "nothing",
        }
        return wants | dict(self.episode.dialogue.hidden())


def _figures(values: dict[str, Any]) -> str:
    shown = (f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items())
    return ", ".join(shown) or "none"


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        value = [f"{name} {item}" for name, item in value.items()]
    return (", ".join(value) or "none") if isinstance(value, list) else value


def _inventory(domain: Any, beginning: str) -> list[str]:
    """The acts of an agent whose names begin so, in notation; a ``?`` marks slots that may be left out."""
    acts = {name: slots for name, slots in domain.assistant_acts.items() if name.startswith(beginning)}
    if not acts:
        return [f"no act begins with {beginning!r}; /hint lists all"]
    if len(acts) > AT_ONCE:
        return [f"  {', '.join(acts)}", f"/hint {next(iter(acts))} shows an act with its slots"]
    lines = []
    for intent, slots in acts.items():
        parts = []
        for slot in slots:
            choices = domain.choices.get(slot.rstrip("?"))
            parts.append(f"{slot}={'|'.join(choices) if choices else '...'}")
        lines.append(f"  {intent}({', '.join(parts)})")
    return lines
