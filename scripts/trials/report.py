"""What the trials found: a line a case, a table of verdicts, and the same as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One case of a trial.

    Attributes:
        trial: The trial that it belongs to.
        name: What was done.
        noted: What was seen, where nothing is wrong with it.
        faults: What is wrong; empty when it held.
    """

    trial: str
    name: str
    noted: str
    faults: list[str]


@dataclass(frozen=True)
class Verdict:
    """A trial as a whole.

    Attributes:
        trial: Its name.
        figure: What was reached, in numbers.
        faults: Number of cases in which something is wrong.
        seconds: How long it took.
        seed: Repeats it.
    """

    trial: str
    figure: str
    faults: int
    seconds: float
    seed: int


@dataclass
class Report:
    """Collects cases and verdicts, and prints them as they come.

    Attributes:
        cases: All cases so far.
        verdicts: The trials that have ended.
        untried: Trials that lack something on this machine.
    """

    cases: list[Case] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)

    def case(self, trial: str, name: str, faults: Sequence[str], noted: str = "") -> None:
        """Note a case."""
        case = Case(trial, name, noted, list(faults))
        self.cases.append(case)
        said = "; ".join(case.faults) or noted
        print(f"{'FAULT' if case.faults else 'ok   '} {trial}: {name}: {said}", flush=True)

    def verdict(self, trial: str, figure: str, *, since: float, seed: int) -> None:
        """Note the end of a trial that began at `since` on the monotonic clock."""
        faults = sum(case.trial == trial and bool(case.faults) for case in self.cases)
        self.verdicts.append(Verdict(trial, figure, faults, time.monotonic() - since, seed))

    @property
    def held(self) -> bool:
        """Whether nothing is wrong."""
        return not any(verdict.faults for verdict in self.verdicts) and not any(
            case.faults for case in self.cases
        )

    def table(self) -> str:
        """The verdicts, a line each."""
        lines = [("trial", "faults", "seconds", "seed", "figure")]
        lines += [
            (v.trial, str(v.faults), f"{v.seconds:.0f}", str(v.seed), v.figure)
            for v in self.verdicts
        ]
        widths = [max(len(line[column]) for line in lines) for column in range(4)]
        return "\n".join(
            "  ".join([*(cell.ljust(w) for cell, w in zip(line, widths, strict=False)), line[4]])
            for line in lines
        )

    def write(self, path: Path) -> None:
        """Keep all of it as JSON."""
        told = {
            "command": sys.argv[1:],
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "cases": [asdict(case) for case in self.cases],
        }
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
