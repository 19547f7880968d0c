"""One thing that was looked at, and what is to be done about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

State = Literal["ok", "note", "mend"]


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        section: What it belongs to: `program`, `machine`, `store`, `runs` or `cache`.
        what: What was looked at.
        text: How it is.
        state: `ok`; `note` = worth knowing; `mend` = in the way of the next run.
        command: What to type or do; empty where nothing is to be done.
    """

    section: str
    what: str
    text: str
    state: State = "ok"
    command: str = ""

    def to_json(self) -> dict[str, str]:
        """Plain values."""
        return asdict(self)
