"""Search spaces from files."""

from __future__ import annotations

import pytest

from recsys_cli.errors import ConfigError
from recsys_cli.sweeps.plan import make_plan
from recsys_cli.sweeps.ready import with_ready


def space(folder, text):
    (folder / "sweep").mkdir()
    (folder / "sweep" / "mine.yaml").write_text(text)
    return [folder]


def test_what_the_overrides_give_is_left_to_them(tmp_path):
    folders = space(tmp_path, "# mine\nmodel.rank: 4,8\nmodel.l2: 0.1,0.2\n")

    assert with_ready(["model=mf", "model.rank=16"], "mine", folders) == [
        "model=mf", "model.rank=16", "model.l2=0.1,0.2",
    ]  # fmt: skip
    assert with_ready(["++model.l2=1"], "mine", folders) == ["++model.l2=1", "model.rank=4,8"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# empty\n", "it searches nothing"),
        ("- model.rank\n", "it searches nothing"),
        ("model.rank: [4, 8]\n", "model.rank: expected the values to try, as on the command line"),
        ("model.rnak: 4,8\n", "model.rnak"),
        ("model.rank: 4,0\n", "model.rank"),
        ("model.rank: '4,'\n", "cannot read 'model.rank=4,'"),
    ],
)
def test_a_space_that_is_none_is_refused(tmp_path, text, words):
    folders = space(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        make_plan(["model=mf", "data=demo"], config_dirs=folders, ready="mine", trials=2)
    assert words in caught.value.line


def test_a_space_of_another_model_is_refused():
    with pytest.raises(ConfigError, match=r"model\.dim"):
        make_plan(["model=mf", "data=demo"], ready="deep", trials=2)


def test_a_space_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="no sweep called 'mff'"):
        make_plan(["model=mf", "data=demo"], ready="mff", trials=2)
