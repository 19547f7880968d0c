"""What `recsys sweep` prints."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from recsys_cli import experiment, preparation
from recsys_cli.cli.sweep import sweep
from recsys_cli.errors import ConfigError, DivergedError

OVERRIDES = ["model.rank=8,32", "trainer.lr=0.1234567,0.2"]


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Trials whose value is their rank and that diverge at a learning rate of 0.2 with a rank of 8."""

    def run(settings, *, run_dir, **_):
        run_dir.mkdir(parents=True)
        rank, lr = settings.tree["model"]["rank"], settings.tree["trainer"]["lr"]
        if (rank, lr) == (8, 0.2):
            raise DivergedError("the loss is nan")
        return SimpleNamespace(
            metrics={"valid": {"ndcg_at_10": rank / 100 + lr / 1000}}, run_id="r"
        )

    monkeypatch.setattr(experiment, "run", run)
    monkeypatch.setattr(preparation, "prepare", lambda *_, **__: SimpleNamespace(parts=["valid"]))
    monkeypatch.chdir(tmp_path)


def test_table_best_first_and_the_best_as_a_command(quick, capsys):
    sweep(model="mf", data="demo", tracking="none", seed=3, study="s", overrides=OVERRIDES)

    out, err = capsys.readouterr()
    lines = [line.split("\t") for line in out.splitlines()]
    assert lines[0] == ["trial", "valid_ndcg_at_10", "model.rank", "trainer.lr", "seconds"]
    assert [line[:4] for line in lines[1:5]] == [
        ["3", "0.320200", "32", "0.2"],
        ["2", "0.320123", "32", "0.1235"],
        ["0", "0.080123", "8", "0.1235"],
        ["1", "diverged", "8", "0.2"],
    ]
    assert lines[5] == [
        "best",
        "recsys train model=mf data=demo tracking=none seed=3 model.rank=32 trainer.lr=0.2",
    ]
    assert ["files", "runs/sweeps/s"] in lines
    assert ["page", "runs/sweeps/s/sweep.html"] in lines
    assert lines[6][0] == "importance"
    assert lines[6][1].startswith("not told: too few trials: 3 finished")
    assert "trial 4 of 4: ndcg_at_10 0.3202; model.rank=32 trainer.lr=0.2; " in err
    assert "trial-001 diverged: the loss is nan" in err


def test_json_is_one_object_and_alone_on_standard_output(quick, capsys):
    sweep(model="mf", data="demo", tracking="none", study="s", as_json=True, overrides=OVERRIDES)

    told = json.loads(capsys.readouterr().out)
    assert told["best"]["params"] == {"model.rank": 32, "trainer.lr": 0.2}
    assert [trial["number"] for trial in told["trials"]] == [3, 2, 0, 1]


def test_the_command_names_the_folders_and_packages_it_needs(quick, capsys, tmp_path):
    sweep(
        model="mf", data="demo", tracking="none", study="s", overrides=OVERRIDES,
        config_dir=[tmp_path], allow_package=["recsys_cli"], as_json=True,
    )  # fmt: skip

    command = json.loads(capsys.readouterr().out)["command"]
    assert command.startswith(
        f"recsys train --config-dir={tmp_path} --allow-package=recsys_cli model=mf "
    )


def test_options_can_be_searched_too(quick, capsys):
    with pytest.raises(ConfigError, match="no model called 'depp'"):
        sweep(model="mf,depp", data="demo", overrides=["model.rank=8,32"])


def test_the_page_goes_where_it_is_wanted_and_stays_with_the_sweep(quick, capsys, tmp_path):
    wanted = tmp_path / "my.html"
    for _ in range(2):
        sweep(
            model="mf", data="demo", tracking="none", study="s", overrides=OVERRIDES, page=wanted,
            as_json=True,
        )  # fmt: skip
        assert json.loads(capsys.readouterr().out)["page"] == str(wanted)
    kept = tmp_path / "runs/sweeps/s/sweep.html"
    assert wanted.read_text() == kept.read_text()
    assert "3 finished, 1 diverged" in kept.read_text()


def test_a_page_without_a_folder_is_refused_before_anything_runs(quick, tmp_path):
    with pytest.raises(ConfigError, match="is no folder"):
        sweep(model="mf", data="demo", overrides=OVERRIDES, page=tmp_path / "absent" / "a.html")
    assert not list(tmp_path.iterdir())


def test_importances_are_shown_greatest_first(quick, capsys):
    ranks = ["model.rank=range(8,28,4)", "trainer.lr=0.01,0.05"]
    sweep(model="mf", data="demo", tracking="none", study="s", overrides=ranks)

    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("importance")]
    assert line.startswith("importance\tmodel.rank ")
    assert line.endswith("(fANOVA over 10 finished trials)")


def test_what_only_a_ray_cluster_has_is_refused_elsewhere(recsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for said in ("--ray-address=auto", "--trial-cpus=2", "--trial-gpus=0"):
        ended = recsys("sweep", "--model=mf", "model.rank=2,4", said)
        assert ended.code == 2
        option = said.partition("=")[0]
        assert f"{option}: only a Ray cluster has that; add --launcher=ray" in ended.err
    assert list(tmp_path.iterdir()) == []
