"""A finished run is opened as it was, or not at all."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from recsys_cli import config, experiment, integrity, outcome, runs
from recsys_cli.errors import CheckpointError, ConfigError, DataError, RecsysError
from recsys_cli.evaluation.lists import evaluate_lists
from recsys_cli.progress import Silent
from recsys_cli.tracking.run_folder import SEALED, open_run

SMALL = ["tracking=none", "device=cpu", "device.threads=1"]
DEMO = ["data=demo", "data.events=1000"]
MODELS = {
    "mf": ["model.rank=4", "trainer.epochs=1"],
    "seq": ["model.dim=4", "model.hidden=4", "trainer.epochs=1"],
    "ease": [],
    "user_knn": [],
    "popularity": [],
}


def train(folder, *overrides):
    settings = config.load([*SMALL, *overrides])
    experiment.run(settings, run_dir=folder, progress=Silent())
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One run of each model, trained when first asked for."""
    root = tmp_path_factory.mktemp("runs")

    def get(model):
        if not (root / model).exists():
            train(root / model, *DEMO, f"model={model}", *MODELS[model])
        return root / model

    return get


@pytest.fixture
def copy(trained, tmp_path):
    """A copy of a run, to be spoilt."""
    return lambda model: shutil.copytree(trained(model), tmp_path / model)


def reopen(path):
    folder = open_run(str(path), path.parent)
    return folder, runs.reopen(runs.read_settings(folder), folder, progress=Silent())


def metrics_of(results):
    return {part: result.metrics for part, result in results.items()}


@pytest.mark.parametrize("model", MODELS)
def test_a_run_measured_again_has_the_same_numbers_bit_for_bit(trained, model):
    folder, ready = reopen(trained(model))
    results = runs.remeasure(ready, progress=Silent())
    assert runs.agreement(metrics_of(results), folder) == runs.Agreement(0.0, "", 0.0)
    for part, result in results.items():
        saved = folder.per_user(part)
        assert saved.users.tolist() == ready.interactions.user_ids.decode(result.users).tolist()
        for key, values in saved.values.items():
            assert values.tobytes() == result.per_user[key].tobytes()


@pytest.mark.parametrize("model", MODELS)
def test_the_lists_of_a_run_come_back_with_its_numbers_bit_for_bit(trained, model):
    from recsys_cli.data.list_file import read_lists

    folder = open_run(str(trained(model)), trained(model).parent)
    settings = runs.read_settings(folder)
    test = runs.read_split(settings, folder, progress=Silent()).test
    lists = read_lists(
        folder.path / "recommendations.parquet",
        user_ids=test.targets.user_ids,
        item_ids=test.targets.item_ids,
    )
    protocol = config.build(settings.tree["evaluation"], key="evaluation")
    found = evaluate_lists(lists, test, protocol).result.metrics
    recorded = folder.metrics["test"]
    assert found == {key: value for key, value in recorded.items() if not key.startswith("tied")}
    assert found["ndcg_at_10"] > 0


def test_a_difference_is_told_with_its_place(trained):
    folder, ready = reopen(trained("popularity"))
    metrics = metrics_of(runs.remeasure(ready, progress=Silent()))
    recorded = folder.recorded["metrics"]
    recorded["valid"]["hit_at_5"] += 0.25
    recorded["test"]["hit_at_5"] += 0.125
    recorded["test"]["ndcg_at_10"] -= 0.0625
    told = runs.agreement(metrics, folder)
    assert (told.largest, told.at) == (pytest.approx(0.25), "valid hit_at_5")
    assert told.primary == pytest.approx(0.0625)
    recorded["test"]["mrr_at_10"] = float("nan")
    assert runs.agreement(metrics, folder).largest == float("inf")
    del recorded["test"]["hit_at_5"]
    with pytest.raises(DataError, match="test hit_at_5 is not both"):
        runs.agreement(metrics, folder)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def seal_anew(path):
    """As someone would who knows the form of a record."""
    told = json.loads((path / "metrics.json").read_text())
    told["files"] = outcome.files(path)
    (path / "metrics.json").write_text(json.dumps(integrity.sealed(told)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rank: 4", "rank: 5", "is not as the run had it"),
        ("seed: 0", "seed: 1", "is not as the run had it"),
        ("recsys_cli.models.first_try.mf.MF", "os.system", "_target_"),
        ("rank: 4", "rank: -4", "model.rank=-4"),
    ],
)
def test_changed_settings_are_refused(copy, old, new, message):
    path = copy("mf")
    edit(path / "config.yaml", old, new)
    with pytest.raises(CheckpointError, match=r"config\.yaml: it (was changed|has .* bytes)"):
        reopen(path)
    seal_anew(path)
    with pytest.raises(ConfigError, match=message):
        reopen(path)


def test_a_changed_record_is_refused(copy):
    path = copy("mf")
    edit(path / "metrics.json", '"epochs": 1', '"epochs": 2')
    with pytest.raises(CheckpointError, match=r"metrics\.json: it was changed"):
        reopen(path)


@pytest.mark.parametrize(
    "files", [None, {}, {"config.yaml": {"bytes": 1, "sha256": ""}}, {name: {} for name in SEALED}]
)
def test_a_record_that_does_not_say_how_the_files_were_is_refused(copy, files):
    path = copy("mf")
    told = json.loads((path / "metrics.json").read_text()) | {"files": files}
    (path / "metrics.json").write_text(json.dumps(integrity.sealed(told)))
    with pytest.raises(CheckpointError, match="it lists other files"):
        reopen(path)


def test_another_device_is_no_change(trained):
    folder = open_run(str(trained("mf")), trained("mf").parent)
    assert runs.read_settings(folder, device="auto").hash == folder.recorded["config_hash"]
    with pytest.raises(ConfigError, match="no device called 'gpu'"):
        runs.read_settings(folder, device="gpu")


def test_other_data_is_refused(tmp_path):
    generator = np.random.default_rng(0)
    lines = [f"{u},{i},{t}" for t, (u, i) in enumerate(generator.integers(12, size=(400, 2)))]
    events = tmp_path / "events.csv"
    events.write_text("\n".join(["user,item,time", *lines]) + "\n")
    path = train(
        tmp_path / "run", "data=csv", f"data.path={events}", "data.user_column=user", "data.item_column=item",
        "data.time_column=time", "data.time_unit=s", "split=leave_last_out", "model=popularity",
    )  # fmt: skip
    reopen(path)
    edit(events, lines[200], "3,4,200" if lines[200] != "3,4,200" else "4,3,200")
    with pytest.raises(DataError, match="the data or its split is not what the run run had"):
        reopen(path)


def weights_of(path):
    return path / "model.safetensors"


def test_changed_weights_are_refused(copy):
    path = copy("mf")
    tensors = load_file(weights_of(path))
    tensors["items"][0, 0] += 1e-6
    save_file(tensors, weights_of(path))
    with pytest.raises(CheckpointError, match=r"model\.safetensors: it was changed") as caught:
        reopen(path)
    assert caught.value.exit_code == 5
    seal_anew(path)
    with pytest.raises(CheckpointError, match="the weights have SHA-256"):
        reopen(path)


def test_every_flipped_bit_and_every_cut_is_refused(trained, tmp_path):
    """One byte in every few, all over the file: header, names, offsets and numbers."""
    original = weights_of(trained("mf")).read_bytes()
    recorded = json.loads((trained("mf") / "metrics.json").read_text())["weights_sha256"]
    model = reopen(trained("mf"))[1].model
    generator = np.random.default_rng(0)
    spoilt = [original[:end] for end in generator.integers(len(original), size=50)]
    for at in [*range(200), *generator.integers(len(original), size=200)]:
        flipped = bytearray(original)
        flipped[at] ^= 1 << int(generator.integers(8))
        spoilt.append(bytes(flipped))
    harmless = 0
    for content in spoilt:
        (tmp_path / "w").write_bytes(content)
        try:
            runs.load_weights(model, tmp_path / "w", recorded)
        except CheckpointError:
            continue
        # a bit of the header that says nothing: the tensors must be the same
        assert outcome.weights_digest(model) == recorded
        harmless += 1
    assert harmless < 20


@pytest.mark.parametrize("how", ["missing", "pickle", "no tensors"])
def test_a_file_without_the_weights_is_refused(copy, how):
    path = copy("mf")
    weights_of(path).unlink()
    if how == "pickle":
        weights_of(path).write_bytes(b"\x80\x04\x95cos\nsystem\n(S'true'\ntR.")
    if how == "no tensors":
        save_file({}, weights_of(path))
    with pytest.raises(CheckpointError, match=r"model\.safetensors: it (is missing|has \d+ bytes)"):
        reopen(path)
    if how != "missing":
        seal_anew(path)
        with pytest.raises(CheckpointError):
            reopen(path)


def test_weights_of_another_shape_type_or_name_do_not_fit(trained, tmp_path):
    model = reopen(trained("mf"))[1].model
    good = load_file(weights_of(trained("mf")))
    others = [
        good | {"items": good["items"][:, :2].clone()},
        good | {"items": good["items"].double()},
        good | {"more": torch.zeros(1)},
        {name: tensor for name, tensor in good.items() if name != "items"},
    ]
    for tensors in others:
        save_file(tensors, tmp_path / "w")
        with pytest.raises(CheckpointError) as caught:
            runs.load_weights(model, tmp_path / "w", outcome.tensors_digest(tensors))
        assert caught.value.exit_code == 5
        assert isinstance(caught.value, RecsysError)
