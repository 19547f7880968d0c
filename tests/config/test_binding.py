"""What a `_target_` may name, and what its settings may be."""

import re
from pathlib import Path

import pytest

from recsys_cli import catalogue, config
from recsys_cli.errors import ConfigError

# What a malicious file would name: processes, code, pickles, networks, files, and ways around a list of names.
ELSEWHERE = [
    "os.system", "os.popen", "os.execv", "os.remove", "os.kill", "os.fork", "os.putenv", "posix.system", "posix.execv",
    "subprocess.run", "subprocess.call", "subprocess.Popen", "subprocess.check_output", "subprocess.getoutput", "asyncio.create_subprocess_shell",
    "builtins.eval", "builtins.exec", "builtins.open", "builtins.compile", "builtins.__import__", "builtins.getattr", "builtins.print",
    "importlib.import_module", "importlib.reload", "runpy.run_path", "runpy.run_module", "code.interact", "pty.spawn", "commands.getoutput",
    "pickle.loads", "pickle.load", "_pickle.loads", "cPickle.loads", "dill.load", "cloudpickle.load", "marshal.loads", "shelve.open", "joblib.load",
    "pandas.read_pickle", "pandas.eval", "numpy.load", "numpy.fromfile", "torch.load", "torch.hub.load", "torch.jit.load", "torch.ops.load_library",
    "mlflow.pyfunc.load_model", "mlflow.sklearn.load_model", "mlflow.artifacts.download_artifacts", "safetensors.torch.load_file",
    "yaml.unsafe_load", "yaml.load", "ctypes.CDLL", "ctypes.cdll.LoadLibrary", "cffi.FFI", "socket.socket", "socket.create_connection",
    "urllib.request.urlopen", "urllib.request.urlretrieve", "requests.get", "http.server.HTTPServer", "ftplib.FTP", "smtplib.SMTP", "webbrowser.open",
    "shutil.rmtree", "shutil.copytree", "shutil.unpack_archive", "pathlib.Path", "pathlib.Path.unlink", "tempfile.mkdtemp", "zipfile.ZipFile",
    "tarfile.open", "sqlite3.connect", "multiprocessing.Process", "threading.Thread", "signal.alarm", "sys.exit", "sys.settrace", "gc.get_objects",
    "pip.main", "pip._internal.main", "hydra.utils.instantiate", "hydra.utils.get_method", "omegaconf.OmegaConf.load",
    "logging.os.system", "logging.config.dictConfig", "logging.FileHandler", "collections.abc.sys.exit",
    "recsys_cli_evil.Model", "recsys_cli.errors.os", "recsys_cli.nowhere.Model", "recsys_cli.", ".recsys_cli", "recsys_cli",
]  # fmt: skip
# Names of this package that a model must not be either: re-exports, and functions that write, fetch, run or build.
OURS = [
    "recsys_cli.config.binding.os.system", "recsys_cli.config.binding.importlib.import_module", "recsys_cli.config.binding.sys.exit",
    "recsys_cli.config.binding.build", "recsys_cli.config.binding.locate", "recsys_cli.config.compose.compose",
    "recsys_cli.config.Config", "recsys_cli.config.settings.Path", "recsys_cli.models.first_try.mf.nn.Linear",
    "recsys_cli.models.first_try.mf.MF.__init__", "recsys_cli.models.first_try.mf.__builtins__",
    "recsys_cli.durable.write_whole", "recsys_cli.data.new_folder.new_folder", "recsys_cli.data.download.obtain",
    "recsys_cli.data.download._pip_download", "recsys_cli.data.download.subprocess.run", "recsys_cli.data.demo.demo",
    "recsys_cli.tracking.ui.serve_ui", "recsys_cli.tracking.ui._launch", "recsys_cli.tracking.mlflow.MlflowTracker",
    "recsys_cli.unfinished.clear", "recsys_cli.unfinished.shutil.rmtree", "recsys_cli.cli.program.run", "recsys_cli.cli.main",
    "recsys_cli.experiment.run", "recsys_cli.runs.load_weights", "recsys_cli.training.loop.GradientTrainer",
]  # fmt: skip


def test_the_lists_are_long_enough_to_mean_something():
    assert len(set(ELSEWHERE)) >= 67
    assert len(set(OURS)) >= 20


@pytest.mark.parametrize("target", [*ELSEWHERE, *OURS])
def test_a_target_that_is_not_for_a_model_is_refused_before_it_is_imported(target, monkeypatch):
    monkeypatch.setattr("importlib.import_module", lambda name: pytest.fail(f"imported {name}"))
    with pytest.raises(ConfigError, match="_target_") as caught:
        config.locate(target, key="model")
    assert repr(target) in caught.value.line


@pytest.mark.parametrize("target", ["os.system", "builtins.eval", "recsys_cli.durable.write_whole"])
def test_a_file_that_names_it_is_refused(own_folder, tmp_path, target):
    canary = tmp_path / "canary"
    folder = own_folder(f"# evil\n_target_: {target}\npath: {canary}\ndata: x\n")
    with pytest.raises(ConfigError, match="_target_"):
        config.load(["model=mine"], [folder])
    assert not canary.exists()


def test_every_built_in_target_is_found_for_its_own_group_only():
    for group in config.REQUIRED_GROUPS:
        assert catalogue.targets(group)
        for target in catalogue.targets(group):
            assert callable(config.locate(target, key=group))
            with pytest.raises(ConfigError):
                config.locate(target, key="preset")


@pytest.mark.parametrize("package", ["os", "subprocess", "builtins", "importlib.util", "sys", "pickle"])  # fmt: skip
def test_a_part_of_python_is_no_package_of_ones_own(monkeypatch, package):
    said = f"{package!r} is a part of Python; name a package of your own"
    with pytest.raises(ConfigError) as given:
        config.allow([package])
    assert given.value.line == f"--allow-package: {said}"
    monkeypatch.setenv("RECSYS_ALLOW", f"my_models {package}")
    with pytest.raises(ConfigError) as from_environment:
        config.locate(f"{package}.anything", key="model")
    assert from_environment.value.line == f"RECSYS_ALLOW: {said}"


@pytest.mark.parametrize("package", ["my_models", "MyModels", "_private", "lab2.Models.v_1"])
def test_a_package_of_ones_own_may_have_any_name(monkeypatch, package):
    monkeypatch.setenv("RECSYS_ALLOW", package)
    with pytest.raises(ConfigError, match=f"cannot import '{package}.Mine'"):
        config.locate(f"{package}.Mine", key="model")


@pytest.mark.parametrize("name", ["", "a-b", "../a", "a..b", "1a", "a b", "a;b", ".a"])
def test_what_is_no_name_is_no_package(name):
    with pytest.raises(ConfigError) as caught:
        config.allow([name])
    assert caught.value.line == (
        f"--allow-package: {name!r} is not the name of a Python package; like my_models"
    )


OWN_MODULE = """\
import os
from os import system
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from decimal import Decimal
number = 3
def odd(*, size: "Decimal"): ...
def even(*, size: int, n_items: int, rest: int = 2): return size, n_items, rest
"""
NOT_ITS_OWN = "{}: {!r} is not a class or function of these packages"
TURNED_DOWN = {
    "own_module.system": NOT_ITS_OWN,
    "own_module.number": NOT_ITS_OWN,
    "own_module.os.system": "{}: cannot import {!r}: No module named 'own_module.os'; 'own_module' is not a package; check the name",
    "own_module.nothing": "{}: cannot import {!r}: module 'own_module' has no attribute 'nothing'; check the name",
    "own_modules.odd": "{}: {!r} is none of ours for a model, and in none of the packages that you allow (lab, own_module); name your own package with --allow-package",
}  # fmt: skip


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module of the user's own, allowed beside another that is not there."""
    (tmp_path / "own_module.py").write_text(OWN_MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("RECSYS_ALLOW", "lab own_module")


@pytest.mark.parametrize("target", TURNED_DOWN)
def test_what_a_package_only_imports_is_not_its_own(own_module, target):
    with pytest.raises(ConfigError) as caught:
        config.locate(target, key="model")
    assert caught.value.line == TURNED_DOWN[target].format("model._target_", target)


BOUND = [
    ({"size": 8}, ""),
    ({"size": 8, "n_items": 3}, ""),
    ({"n_items": 3}, "no value for model.size; give it: model.size=..."),
    ({"size": 8, "sise": 3}, "model.sise is not a setting of even; did you mean 'size'? (there are: rest, size)"),
    ({"size": 8, "rset": 3}, "model.rset is not a setting of even; did you mean 'rest'? (there are: rest, size)"),
    ({"size": 8.5}, "model.size=8.5: input should be a valid integer, got a number with a fractional part; it takes a whole number"),
    ({"size": True}, "model.size=True: true and false are not values of it; it takes a whole number"),
    ({"size": '8'}, "model.size='8': text is not a value of it; it takes a whole number"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "told"), BOUND)
def test_a_node_is_bound_or_told_in_one_line(own_module, settings, told):
    assert complaint({"_target_": "own_module.even"} | settings, "model") == told


def test_what_the_program_supplies_gives_way_to_a_setting(own_module):
    node = {"_target_": "own_module.even", "size": 8}
    assert config.build(node, key="model", n_items=3, n_users=4) == (8, 3, 2)
    assert config.build(node | {"n_items": 5}, key="model", n_items=3) == (8, 5, 2)
    with pytest.raises(ConfigError) as caught:
        config.build(node, key="model", n_users=4)
    assert caught.value.line == "no value for model.n_items; give it: model.n_items=..."


def test_types_that_cannot_be_read_are_told(own_module):
    assert complaint({"_target_": "own_module.odd", "size": 1}, "model") == (
        "model._target_: the types of odd cannot be read: name 'Decimal' is not defined; "
        "import them at run time"
    )


@pytest.fixture
def own_folder(tmp_path):
    (tmp_path / "model").mkdir()

    def write(text: str) -> Path:
        (tmp_path / "model" / "mine.yaml").write_text(text)
        return tmp_path

    return write


def test_a_users_folder_adds_a_model_and_wins_over_ours(own_folder):
    folder = own_folder(
        "# mine\n_target_: recsys_cli.models.first_try.mf.MF\nrank: 3\nbiases: true\n"
        "loss: bpr\nnegatives: 1\nl2: 0\ninit_sd: 0.1\n"
    )
    (folder / "model" / "mf.yaml").write_text((folder / "model" / "mine.yaml").read_text())
    assert config.load(["model=mine"], [folder]).tree["model"]["rank"] == 3
    assert config.load(["model=mf"], [folder]).tree["model"]["rank"] == 3
    assert config.load(["model=mf"]).tree["model"]["rank"] == 64


def test_a_package_that_the_user_named_is_allowed(own_folder, tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text(
        "class Mine:\n    def __init__(self, *, n_items: int) -> None: ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = own_folder("# mine\n_target_: own_models.Mine\n")
    with pytest.raises(ConfigError) as caught:
        config.load(["model=mine"], [folder])
    assert "--allow-package" in caught.value.line
    config.allow(["own_models"])
    try:
        built = config.build(
            config.load(["model=mine"], [folder]).tree["model"], key="model", n_items=3
        )
    finally:
        config.allow([])
    assert type(built).__name__ == "Mine"


def test_a_nested_target_is_refused(own_folder):
    folder = own_folder(
        "# nested\n_target_: recsys_cli.models.baselines.popularity.Popularity\nextra:\n  _target_: os.system\n"
    )
    with pytest.raises(ConfigError):
        config.load(["model=mine"], [folder])


def test_building_gives_settings_and_runtime_arguments():
    node = config.load(["model.rank=5"]).tree["model"]
    model = config.build(node, key="model", n_users=4, n_items=6, seed=1)
    assert model.users.shape == (4, 5)
    assert model.items.shape == (6, 5)
    with pytest.raises(ConfigError, match=r"model\.n_items"):
        config.build(node, key="model", n_users=4)


FILES = [entry for group in config.REQUIRED_GROUPS for entry in catalogue.entries(group)]
RANGE = re.compile(r"(?P<left>[\[(])(?P<low>[-\d.einf]*), ?(?P<high>[-\d.einf]*)(?P<right>[\])])")


def wrong(key: catalogue.Key) -> list[object]:
    """Values that a setting cannot have, from the range that its file states."""
    values: list[object] = [float("nan"), float("inf"), {"a": 1}]
    if key.allowed.startswith("{"):
        return values if " a " in key.allowed else [*values, "no such choice", 3.5]
    if (match := RANGE.fullmatch(key.allowed)) is None:
        return values
    values += ["text", "8", True, [True]]
    low, high = (float(match[end] or "inf") for end in ("low", "high"))
    if abs(low) != float("inf"):
        values += [low - 1, *([low] if match["left"] == "(" else [])]
    if abs(high) != float("inf"):
        values += [high * 2 + 1, *([high] if match["right"] == ")" else [])]
    return values


def node_of(entry: catalogue.Entry) -> dict[str, object]:
    """The settings of a file, with days for what it leaves open."""
    open_keys = [key.name for key in catalogue.keys(entry.path) if key.default == "???"]
    given = [f"{entry.group}.{name}=2020-01-0{9 - n}" for n, name in enumerate(open_keys)]
    tree = config.compose_checked([f"{entry.group}={entry.name}", *given]).tree
    return dict(tree[entry.group])


def complaint(node: dict[str, object], group: str) -> str:
    """The one line with which settings are refused; empty where they are not."""
    try:
        config.bind(node, key=group)
    except ConfigError as error:
        return error.line
    return ""


@pytest.mark.parametrize("entry", FILES, ids=lambda entry: f"{entry.group}={entry.name}")
def test_no_setting_of_any_file_takes_what_its_range_excludes(entry):
    node = node_of(entry)
    for key in catalogue.keys(entry.path):
        for value in wrong(key):
            line = complaint(node | {key.name: value}, entry.group)
            assert f"{entry.group}.{key.name}" in line, f"{key.name} takes {value!r}"
            assert "; " in line
            assert "\n" not in line


@pytest.mark.parametrize("entry", FILES, ids=lambda entry: f"{entry.group}={entry.name}")
def test_a_mistyped_setting_of_any_file_is_answered_with_the_right_one(entry):
    node = node_of(entry)
    for key in catalogue.keys(entry.path):
        with pytest.raises(ConfigError, match=f"{key.name}x is not a setting") as caught:
            config.bind(node | {f"{key.name}x": 1}, key=entry.group)
        assert f"did you mean '{key.name}'" in caught.value.line


def test_a_range_is_said_with_its_key_and_value():
    with pytest.raises(ConfigError) as caught:
        config.load(["model.rank=0"])
    assert "model.rank=0" in caught.value.line
    assert "it takes a whole number in [1, 4096]" in caught.value.line
