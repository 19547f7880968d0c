import pytest

from recsys_cli.cli import output


@pytest.fixture
def terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> pytest.CaptureFixture[str]:
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    return capsys


ROWS = [("ndcg_at_10", "0.1234"), ("[bold]x[/]", "7")]


def test_a_table_in_a_pipe_is_tab_separated(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("metric", "test"), ROWS, numbers=True)
    assert capsys.readouterr().out == "metric\ttest\nndcg_at_10\t0.1234\n[bold]x[/]\t7\n"


def test_a_table_on_a_terminal_is_aligned(terminal: pytest.CaptureFixture[str]) -> None:
    output.table(("metric", "test"), ROWS, numbers=True)
    out = terminal.readouterr().out
    lines = [line.rstrip() for line in out.splitlines() if line.strip()]
    assert "\t" not in out
    assert lines[0].split() == ["metric", "test"]
    assert [line.split() for line in lines[-2:]] == [list(row) for row in ROWS]
    assert len(lines[-1]) == len(lines[-2]), "numbers stand flush right"


def test_the_first_column_is_never_cut(terminal: pytest.CaptureFixture[str]) -> None:
    name = "model." + "x" * 30
    output.table(("setting", "meaning"), [(name, "many words " * 20)])
    assert name in terminal.readouterr().out


def test_facts_in_a_pipe_are_tab_separated(capsys: pytest.CaptureFixture[str]) -> None:
    output.facts([("split", "global_time"), ("why", ""), ("leaks", "nothing")])
    assert capsys.readouterr().out == "split\tglobal_time\nleaks\tnothing\n"


def test_facts_on_a_terminal_are_aligned(terminal: pytest.CaptureFixture[str]) -> None:
    output.facts([("split", "global_time"), ("at", "here")])
    assert terminal.readouterr().out == "split  global_time\nat     here\n"


def test_sentences_on_a_terminal_are_broken_between_words(
    terminal: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "32")
    output.facts([("at", "a"), ("meaning", "one two three four five six seven")], wrap=True)
    assert terminal.readouterr().out == (
        "at       a\nmeaning  one two three four five\n         six seven\n"
    )


def test_text_ends_with_one_newline(capsys: pytest.CaptureFixture[str]) -> None:
    output.write("a: 1\n")
    output.write("b: 2")
    assert capsys.readouterr().out == "a: 1\nb: 2\n"
