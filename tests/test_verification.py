"""A finished run is whole and comes out again, or it is said what does not."""

import dataclasses
import json
import os
import pickle  # noqa: TID251  # written here, never read
import random
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from recsys_cli import config, experiment, integrity, runs, verification
from recsys_cli.errors import ConfigError, DataError, RecsysError
from recsys_cli.progress import Silent
from recsys_cli.tracking.run_folder import METRICS, SEALED, WEIGHTS, open_run
from recsys_cli.verification import check_files

SAID = ["data=demo", "data.events=1500", "tracking=none", "device=cpu"]
KINDS = {
    "mf": ["model=mf", "model.rank=4", "trainer.epochs=2"],
    "ease": ["model=ease"],
    "popularity": ["model=popularity"],
    "ratings": ["model=baseline", "evaluation=ratings"],
    "no validation": ["model=popularity", "split=k_fold", "split.valid_ratio=0"],
}
OTHER_SEED = [*KINDS["mf"], "seed=1"]


def train(folder, said):
    experiment.run(config.load([*SAID, *said]), run_dir=folder, progress=Silent())
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One run of each kind, trained when first asked for and only read."""
    root = tmp_path_factory.mktemp("runs")

    def get(kind):
        said = OTHER_SEED if kind == "other seed" else KINDS[kind]
        return root / kind if (root / kind).exists() else train(root / kind, said)

    return get


@pytest.fixture
def copy(trained, tmp_path):
    """A copy of a run, to be spoilt."""
    return lambda kind="mf": shutil.copytree(trained(kind), tmp_path / "run")


def verify(path, *, rerun=False):
    return verification.verify(str(path), path.parent, rerun=rerun, progress=Silent())


def verdicts(found):
    return {(check.kind, check.what): check.verdict for check in found.checks}


def test_a_run_that_left_the_test_part_alone_is_held_to_what_it_measured(tmp_path):
    said = config.load([*SAID, *KINDS["mf"]])
    experiment.run(said, run_dir=tmp_path / "run", progress=Silent(), tested=False)
    folder = open_run("run", tmp_path)
    assert folder.metrics["valid"]
    assert folder.metrics["test"] == {}
    assert len(folder.per_user("valid").users)
    with pytest.raises(DataError, match="was not measured on its test part"):
        folder.per_user("test")

    found = verdicts(verify(tmp_path / "run", rerun=True))

    assert found["measured again", "metrics"] == found["trained again", "metrics"] == "equal"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_is_whole_and_comes_out_again(trained, kind):
    path = trained(kind)
    before = {entry: (entry.read_bytes(), entry.stat().st_mtime_ns) for entry in path.iterdir()}
    found = verify(path, rerun=True)
    assert verdicts(found) == {
        **{("file", name): "intact" for name in (METRICS, *SEALED)},
        ("measured again", "metrics"): "equal",
        **{("trained again", what): "equal" for what in ("weights", "history", "metrics")},
    }
    assert found.to_json()["reproduced"] is True
    assert found.elsewhere == ""
    after = {entry: (entry.read_bytes(), entry.stat().st_mtime_ns) for entry in path.iterdir()}
    assert after == before, "nothing is written into the run's folder"


def test_a_run_is_found_by_name_and_id_too(copy, tmp_path):
    path = copy()
    rewrite(path, run_id="7" * 32)
    for named in ("run", "7" * 32):
        found = verification.verify(named, tmp_path, rerun=False, progress=Silent())
        assert found.folder == path
    with pytest.raises(DataError, match="no run 'ran'"):
        verification.verify("ran", tmp_path, rerun=False, progress=Silent())


def test_without_a_rerun_nothing_is_trained(trained, monkeypatch):
    monkeypatch.setattr(experiment, "run", None)
    assert ("trained again", "weights") not in verdicts(verify(trained("mf")))


def test_a_run_that_is_not_finished_and_no_run_are_refused(copy, tmp_path):
    path = copy()
    (path / "running.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"is not finished") as raised:
        verify(path)
    assert f"--resume={path}" in raised.value.line
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(DataError, match="not the folder of a run"):
        verify(tmp_path / "other")


def test_what_else_lies_in_the_folder_is_told_and_does_no_harm(copy):
    path = copy()
    (path / "notes.txt").touch()
    found = verify(path)
    assert verdicts(found)["file", "notes.txt"] == "not of the run"
    assert found.to_json()["intact"] is True


def rewrite(path, seal=True, **changes):
    """Edit a record as someone who knows the form would."""
    told = json.loads((path / METRICS).read_text()) | changes
    (path / METRICS).write_text(json.dumps(integrity.sealed(told) if seal else told))


def test_numbers_that_do_not_come_of_the_weights_are_found(copy):
    """Even where the record was sealed anew."""
    path = copy()
    metrics = json.loads((path / METRICS).read_text())["metrics"]
    metrics["test"]["ndcg_at_10"] += 1e-12
    rewrite(path, metrics=metrics)
    found = verify(path)
    assert found.damaged == []
    assert [check.kind for check in found.differing] == ["measured again"]
    assert "ndcg_at_10 by 1e-12" in found.differing[0].detail
    assert found.to_json()["reproduced"] is False


def test_weights_that_do_not_come_of_the_settings_are_found(trained, copy, tmp_path):
    """The weights and numbers of another seed under the settings of this one: only training again shows it."""
    path, other = copy(), trained("other seed")
    told = json.loads((other / METRICS).read_text())
    own = json.loads((path / METRICS).read_text())
    for name in (WEIGHTS, "per_user.parquet", "recommendations.parquet"):
        shutil.copy(other / name, path / name)
        own["files"][name] = told["files"][name]
    rewrite(
        path, files=own["files"], metrics=told["metrics"], weights_sha256=told["weights_sha256"]
    )
    assert verify(path).to_json()["reproduced"] is True
    found = verify(path, rerun=True)
    assert {check.what for check in found.differing} == {"weights", "metrics"}


def test_a_history_that_is_another_one_is_found(trained, copy):
    path = copy()
    shutil.copy(trained("other seed") / "history.jsonl", path / "history.jsonl")
    files = json.loads((path / METRICS).read_text())["files"]
    rewrite(path, files=files | {"history.jsonl": integrity.noted(path / "history.jsonl")})
    assert [check.what for check in verify(path, rerun=True).differing] == ["history"]


def elsewhere(path, **facts):
    """The same run, as if it had been made where these are other."""
    device = json.loads((path / METRICS).read_text())["device"]
    rewrite(path, device=device | facts)


def other_metric(path, by):
    metrics = json.loads((path / METRICS).read_text())["metrics"]
    metrics["test"]["ndcg_at_10"] += by
    rewrite(path, metrics=metrics)


def test_where_bits_are_not_promised_a_tolerance_decides(copy):
    path = copy()
    elsewhere(path, threads="7")
    other_metric(path, 5e-4)
    found = verify(path)
    assert found.elsewhere == "threads is 7 there and 1 here"
    assert verdicts(found)["measured again", "metrics"] == "close"
    assert found.to_json()["reproduced"] is True
    other_metric(path, 2e-3)
    assert verdicts(verify(path))["measured again", "metrics"] == "differs"


def test_a_run_that_went_on_elsewhere_may_train_to_other_bits(trained, copy):
    """Its evaluation is still held to the bit, its training is not."""
    path, other = copy(), json.loads((trained("other seed") / METRICS).read_text())
    rewrite(path, promise={"class": "statistical", "why": "threads"})
    again = verification.experiment.run

    def another(settings, **how):
        return dataclasses.replace(again(settings, **how), weights_sha256=other["weights_sha256"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "run", another)
        found = verify(path, rerun=True)
    assert verdicts(found)["trained again", "weights"] == "close"
    assert found.differing == []
    other_metric(path, 1e-9)
    assert verdicts(verify(path))["measured again", "metrics"] == "differs"


def spoilt(data, chance, *, flips, cuts):
    for _ in range(flips):
        bit = chance.randrange(len(data) * 8)
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)
    for _ in range(cuts):
        yield data[: chance.randrange(len(data))]


@pytest.mark.parametrize("name", [METRICS, *SEALED])
def test_no_flipped_bit_and_no_cut_is_silent(copy, name):
    path = copy()
    data, chance = (path / name).read_bytes(), random.Random(0)
    many = {"flips": 500, "cuts": 200} if name == WEIGHTS else {"flips": 60, "cuts": 30}
    wholes = 0
    for changed in spoilt(data, chance, **many):
        (path / name).write_bytes(changed)
        found = [check.what for check in check_files(path) if check.verdict == "damaged"]
        if found != [name]:
            assert name == METRICS, "only of JSON may a bit say nothing"
            assert json.loads(changed) == json.loads(data)
            wholes += 1
    assert wholes < 5


def in_place(make):
    def change(path):
        path.unlink()
        make(path)

    return change


def content(make):
    return lambda path: path.write_bytes(make(path.read_bytes()))


def tensors(make):
    return lambda path: save_file(make(load_file(path)), path)


def header(text, size=None):
    return lambda path: path.write_bytes(struct.pack("<Q", size or len(text)) + text)


def huge(path):
    os.truncate(path, 1 << 33)  # sparse: it takes no room


OVERSIZED = b'{"items":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}'
OVERLAP = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
WEIGHT_EDITS = {
    "missing": lambda path: path.unlink(),
    "empty": content(lambda data: b""),
    "a folder": in_place(lambda path: path.mkdir()),
    "a link to nothing": in_place(lambda path: path.symlink_to("/nowhere")),
    "a pipe": in_place(os.mkfifo),
    "a pickle": content(lambda data: pickle.dumps({"items": [1.0]})),
    "a pickle that calls": content(lambda data: b"\x80\x04cos\nsystem\n(S'touch canary'\ntR."),
    "a zip, as torch saves": lambda path: torch.save({"items": torch.ones(2)}, path),
    "JSON": content(lambda data: b"{}"),
    "a header of 2^62 bytes": header(b"{}", size=1 << 62),
    "a header that is no JSON": header(b"\xff" * 64),
    "a tensor of 4 TB": header(OVERSIZED),
    "overlapping tensors": header(OVERLAP),
    "8 GB": huge,
    "a byte more": content(lambda data: data + b"\0"),
    "a byte less in front": content(lambda data: data[1:]),
    "backwards": content(lambda data: data[::-1]),
    "zeros": content(lambda data: bytes(len(data))),
    "one number": tensors(lambda held: held | {"items": held["items"] + 1e-6}),
    "NaN": tensors(lambda held: held | {"items": held["items"] * float("nan")}),
    "another type": tensors(lambda held: held | {"items": held["items"].double()}),
    "half precision": tensors(lambda held: held | {"items": held["items"].half()}),
    "another shape": tensors(lambda held: held | {"items": held["items"].T.contiguous()}),
    "a row less": tensors(lambda held: held | {"items": held["items"][:-1].clone()}),
    "a tensor more": tensors(lambda held: held | {"more": torch.ones(1)}),
    "a tensor less": tensors(lambda held: {name: t for name, t in held.items() if name != "items"}),
    "no tensor": tensors(lambda held: {}),
    "users and items exchanged": tensors(lambda held: held | {"items": held["users"], "users": held["items"]}),
    "another name": tensors(lambda held: {f"{name}_": tensor for name, tensor in held.items()}),
    "the same with a note": lambda path: path.write_bytes(save(load_file(path), {"by": "me"})),
}  # fmt: skip
RECORD_EDITS = {
    "missing": lambda path: path.unlink(),
    "empty": content(lambda data: b""),
    "a folder": in_place(lambda path: path.mkdir()),
    "a list": content(lambda data: b"[1]"),
    "null": content(lambda data: b"null"),
    "no JSON": content(lambda data: b"\xff\xfe"),
    "deep": content(lambda data: b"[" * 200_000),
    "8 GB": huge,
    "a metric": content(lambda data: data.replace(b'"ndcg_at_10": 0', b'"ndcg_at_10": 1')),
    "no number": content(lambda data: data.replace(b'"ndcg_at_10": 0', b'"ndcg_at_10": NaN, "x": 0')),
    "another run": content(lambda data: data.replace(b'"model": "mf"', b'"model": "fm"')),
    "no seal": content(lambda data: data.replace(b'"seal"', b'"seel"')),
    "no files, sealed": lambda path: rewrite(path.parent, files={}),
    "a file more, sealed": lambda path: rewrite(path.parent, files={"../x": {"bytes": 1, "sha256": ""}}),
    "odd files, sealed": lambda path: rewrite(path.parent, files=dict.fromkeys(SEALED, 7)),
}  # fmt: skip
EDITS = [(WEIGHTS, how) for how in WEIGHT_EDITS] + [(METRICS, how) for how in RECORD_EDITS]


@pytest.mark.parametrize(("name", "how"), EDITS)
def test_no_edit_is_silent(copy, monkeypatch, name, how):
    path = copy()
    monkeypatch.chdir(path.parent)
    (WEIGHT_EDITS if name == WEIGHTS else RECORD_EDITS)[how](path / name)
    found = verify(path)
    assert [check.what for check in found.damaged] == [name]
    assert found.to_json()["intact"] is False
    assert not (path.parent / "canary").exists()
    with pytest.raises(RecsysError) as raised:
        reopen(path)
    missing = (name, how) in [(METRICS, "missing"), (METRICS, "a folder")]
    assert raised.value.exit_code == (2 if missing else 5), (
        "without its record it is no finished run"
    )


def reopen(path):
    """What `recsys evaluate` and `recsys recommend` begin with."""
    folder = open_run(str(path), path.parent)
    return runs.reopen(runs.read_settings(folder), folder, progress=Silent())


def test_the_weights_of_another_run_are_damage(trained, copy):
    path = copy()
    shutil.copy(trained("other seed") / WEIGHTS, path / WEIGHTS)
    assert [check.what for check in verify(path).damaged] == [WEIGHTS]


def test_every_damaged_file_is_told(copy):
    path = copy()
    for name in SEALED:
        (path / name).write_bytes(b"")
    assert [check.what for check in verify(path).damaged] == list(SEALED)
