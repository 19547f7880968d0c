"""Progress of several runs of the same thing."""

from recsys_cli.progress import NotesOnce, Silent


class Kept(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def test_a_note_is_told_once():
    kept = Kept()
    progress = NotesOnce(kept)
    for text in ("split a", "fold 0", "split a", "fold 1"):
        progress.note(text)
    assert kept.lines == ["split a", "fold 0", "fold 1"]
    with progress.bar("fit", 1, "step") as bar:
        bar.advance()


def test_rows_go_to_the_terminal_of_all_runs() -> None:
    class Tables(Silent):
        def table(self, heads: object, rows: object) -> None:
            shown.append(rows)

    shown: list[object] = []
    NotesOnce(Tables()).table(("trial",), [("0",)])
    assert shown == [[("0",)]]
