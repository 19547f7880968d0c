"""Tuned models compared, with real trainings on a little data: interrupted and continued, and what is in the table."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from recsys_cli import experiment, preparation
from recsys_cli.comparisons.contest import Preset, make_contest
from recsys_cli.comparisons.models import TABLE, compare
from recsys_cli.errors import ConfigError
from recsys_cli.progress import Silent

SPACES = {
    "mf": ["model.rank=4,8"],
    "ials": ["model.rank=4,8"],
}
SAID = ["data=demo", "data.events=1000", "tracking=none"]
UNREPEATED = ("seconds", "run_id", "folder", "run_dir", "command", "logged_at", "page")


def contest(folder, **changed):
    preset = {"models": ["mf", "ials"], "spaces": SPACES, "trials": 2, "seeds": 2} | changed
    said = [*SAID, f"root={folder}"]
    return make_contest(Preset.model_validate(preset), said, name="c")


def steady(told):
    """What must come out the same each time."""
    if isinstance(told, dict):
        items = told.items()
        return {k: steady(v) for k, v in items if not any(part in k for part in UNREPEATED)}
    return [steady(each) for each in told] if isinstance(told, list) else told


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """One comparison, from begin to end."""
    folder = tmp_path_factory.mktemp("unbroken")
    lines = Lines()
    found = compare(
        contest(folder), progress=lines, draw_search=lambda search: f"page of {search.study}"
    )
    return found, folder, lines.notes


class Lines(Silent):
    """Keeps the notes."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def test_what_every_model_reads_is_told_once(unbroken):
    told = [note for note in unbroken[2] if note.startswith(("filter", "split"))]
    assert len(told) == len(set(told)) > 0


def test_what_needs_times_is_left_out_where_there_are_none_and_the_rest_goes_on(tmp_path):
    events = tmp_path / "events.csv"
    events.write_text("user,item\n" + "".join(f"{n % 30},{n * 7 % 23}\n" for n in range(600)))
    said = ["data=csv", f"data.path={events}", "data.time_column=null", "split=per_user_ratio"]
    preset = Preset(models=["mf"], spaces={"mf": ["model.rank=4,8"]}, trials=2, seeds=1)
    said += ["split.chronological=false", "tracking=none", "trainer.epochs=2", f"root={tmp_path}"]
    lines = Lines()
    found = compare(make_contest(preset, said, name="c"), progress=lines)
    assert {each.model for each in found.standings} == {"mf", "popularity", "ease"}
    assert "recent_popularity is not in the table: model=recent_popularity needs the times" in str(
        lines.notes
    )


def test_all_are_in_one_table_and_the_tuned_ones_have_a_verdict(unbroken):
    found, folder, _ = unbroken

    names = {each.model: each for each in found.standings}
    assert names.keys() == {"mf", "ials", "popularity", "recent_popularity", "ease"}
    assert [each.trials for each in (names["mf"], names["ease"])] == [2, 0]
    assert len(names["mf"].seed_values) == 2
    assert len(names["ease"].seed_values) == 1
    assert len(found.verdicts) == 1
    assert Path(names["mf"].search_page).read_text() == "page of c-mf"
    assert names["ease"].search_page == ""
    means = [found.row(each.model).mean for each in found.standings]
    assert means == sorted(means, reverse=True)
    assert found.row("mf").mean == pytest.approx(sum(names["mf"].seed_values) / 2)
    assert json.loads((folder / "comparisons" / "c" / TABLE).read_text())["name"] == "c"


def test_cut_off_and_continued_it_ends_with_the_same_table(unbroken, tmp_path, monkeypatch):
    run, begun = experiment.run, []

    def dying(*args, **kwargs):
        begun.append(kwargs["run_dir"])
        if len(begun) == 6:  # the second measured run of the first model
            raise KeyboardInterrupt
        return run(*args, **kwargs)

    monkeypatch.setattr(experiment, "run", dying)
    with pytest.raises(KeyboardInterrupt):
        compare(contest(tmp_path), progress=Silent())
    found = compare(contest(tmp_path), progress=Silent())

    assert steady(found.to_json()) == steady(unbroken[0].to_json())
    assert len(set(begun)) == 4 + 4 + 3  # each trial and each measured run has a folder of its own


def test_another_comparison_under_the_same_name_is_refused(unbroken):
    _, folder, _ = unbroken
    with pytest.raises(ConfigError, match="--name c was begun with other models"):
        compare(contest(folder, seeds=3), progress=Silent())


def test_a_split_without_validation_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    unvalidated = SimpleNamespace(parts={"test": ()}, split=SimpleNamespace(name="mine"))
    monkeypatch.setattr(preparation, "prepare", lambda *_, **__: unvalidated)
    with pytest.raises(ConfigError, match="split mine has no validation part"):
        compare(contest(tmp_path / "new"), progress=Silent())
    assert not (tmp_path / "new").exists()
