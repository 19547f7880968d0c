"""Secrets planted wherever a user may have one: none comes out again, in files, databases, tables or messages."""

import base64
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.security.conftest import SMALL, Failing

PLACES = (
    "user", "password", "query", "note", "noted_url", "quoted", "nested", "yaml", "yaml_url", "source", "csv", "csv_query",
    "option", "option_space", "get", "database", "sweep", "env_password", "env_token", "env_key", "lists", "header",
)  # fmt: skip
CANARY = {place: f"CaNaRy{number:02d}{place.replace('_', '')}" for number, place in enumerate(PLACES)}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, with a configuration folder beside it and secrets in the environment."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", CANARY["env_token"])
    monkeypatch.setenv("PGPASSWORD", CANARY["env_password"])
    monkeypatch.setenv("MY_API_KEY", CANARY["env_key"])
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    own = tmp_path / "own"
    (own / "model").mkdir(parents=True)
    (own / "tracking").mkdir()
    target = "_target_: recsys_cli.models.baselines.popularity.Popularity\n"
    (own / "model" / "mine.yaml").write_text(f"# Mine\n{target}api_key: {CANARY['yaml']}\n")
    uri = f"http://me:{CANARY['yaml_url']}@127.0.0.1:9"
    text = "# Mine\n_target_: recsys_cli.tracking.mlflow.MlflowTracker\n"
    text += f"uri: {uri}\nroot: runs\nexperiment: x\nflush_seconds: 0\n"
    (own / "tracking" / "mine.yaml").write_text(text)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def leaks(content: bytes) -> list[str]:
    """The places whose secret is in there, plainly or as a header has it."""
    found = []
    for name, secret in CANARY.items():
        pair = base64.b64encode(f"{CANARY['user']}:{secret}".encode())
        if secret.encode() in content or pair in content:
            found.append(name)
    return found


def all_leaks(folder: Path, *texts: str) -> dict[str, list[str]]:
    """File or text -> the places whose secrets it has."""
    contents = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    contents |= {f"{text[:40]!r}...": text.encode() for text in texts}
    contents |= {f"name of {path}": str(path).encode() for path in folder.rglob("*")}
    return {name: found for name, content in contents.items() if (found := leaks(content))}


def test_there_are_at_least_twenty_places():
    assert len(set(CANARY.values())) == len(PLACES) >= 20


def test_a_finished_run_holds_none(place, recsys):
    notes = [
        f"+note=https://me:{CANARY['noted_url']}@host/page",
        f"+seen='https://host/?access_token={CANARY['query']}'",
        f"+said='password={CANARY['note']}'",
        f'+quoted=\'{{"secret": "{CANARY["quoted"]}"}}\'',
        f"+deep={{list: ['Authorization: Bearer {CANARY['header']}', '{CANARY['env_key']}']}}",
    ]
    ended = recsys("train", "--model=popularity", *SMALL, *notes, "--run-dir=run")
    assert ended.code == 0
    shown = recsys("train", "--model=popularity", *SMALL, *notes, "--dry-run")
    as_json = recsys("train", "--model=popularity", *SMALL, *notes, "--dry-run", "--json")
    again = recsys("evaluate", "run")
    assert [shown.code, as_json.code, again.code] == [0, 0, 0]
    texts = [text for end in (ended, shown, as_json, again) for text in (end.out, end.err)]
    assert all_leaks(Path.cwd(), *texts) == {}
    assert json.loads(as_json.out)["note"] == "https://***@host/page"
    for name in ("config.yaml", "events.jsonl"):
        assert stat.S_IMODE((Path("run") / name).stat().st_mode) == 0o600


def test_a_server_that_fails_is_told_of_without_its_credentials(
    place: Path, recsys: Callable, failing_server: Failing
) -> None:
    uri = f"http://{CANARY['user']}:{CANARY['password']}@127.0.0.1:{failing_server.port}"
    ended = recsys("train", "--model=popularity", *SMALL, f"tracking.uri={uri}", "--run-dir=run")
    assert failing_server.bodies  # it was asked
    sent = [body.decode() for body in failing_server.bodies]
    assert all_leaks(Path.cwd(), ended.out, ended.err, *sent) == {}


@pytest.mark.slow
def test_a_sweep_holds_none(place, recsys, failing_server):
    uri = f"http://{CANARY['user']}:{CANARY['sweep']}@127.0.0.1:{failing_server.port}"
    ended = recsys(
        "sweep", "--model=ease", *SMALL, "model.l2=1,2", f"tracking.uri={uri}", "--study=s",
        f"+note=https://host/?token={CANARY['nested']}",
    )  # fmt: skip
    assert all_leaks(Path.cwd(), ended.out, ended.err) == {}


REFUSED = {
    "a note": ["train", f"+password={CANARY['note']}"],
    "a nested note": ["train", f"+a={{api_key: {CANARY['nested']}}}"],
    "a setting of a file": ["train", "--model=mine", "--config-dir=../own"],
    "a misspelt setting": ["train", f"model.password={CANARY['note']}"],
    "a broken override": ["train", f"+token={CANARY['note']}]"],
    "a source": ["train", f"data.source=https://me:{CANARY['source']}@host/x.zip"],
    "a path": ["train", "--data=csv", f"data.path=https://me:{CANARY['csv']}@h/x.csv?sig_token={CANARY['csv_query']}"],
    "an import": ["data", "import", f"https://me:{CANARY['csv']}@h/x.csv?token={CANARY['csv_query']}", "--name=x"],
    "an option": ["train", f"--password={CANARY['option']}"],
    "an option and its value": ["train", "--api-token", CANARY["option_space"]],
    "an address": ["data", "get", "ml-1m", f"--source=https://me:{CANARY['get']}@127.0.0.1:9/x.zip"],
    "a database": ["ui", f"--uri=mysqlx://me:{CANARY['database']}@host/db"],
    "a server": ["ui", f"--uri=http://me:{CANARY['database']}@host"],
    "lists": ["evaluate", f"--recommendations=https://me:{CANARY['lists']}@h/x.csv", "--against=run"],
    "a run": ["evaluate", f"https://me:{CANARY['lists']}@h/run"],
    "a folder of settings": ["train", f"--config-dir=https://me:{CANARY['yaml_url']}@h/x"],
    "two of a kind": ["train", f"+note=https://me:{CANARY['note']}@h", "+note=x"],
    "several values": ["train", f"+note=https://me:{CANARY['note']}@h,b"],
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_repeats_none(place, recsys, monkeypatch, name):
    monkeypatch.setenv("RECSYS_CACHE", str(place / "cache"))
    ended = recsys(*REFUSED[name])
    assert ended.code == 2
    assert ended.err.startswith("recsys: error: ")
    assert all_leaks(Path.cwd(), ended.out, ended.err) == {}
    assert list(Path.cwd().iterdir()) == []


def test_an_address_in_a_file_of_settings_is_used_and_not_told(place, recsys):
    ended = recsys("train", "--model=popularity", *SMALL, "--tracking=mine", "--config-dir=../own")
    shown = recsys("train", "--dry-run", "--tracking=mine", "--config-dir=../own")
    assert "http://***@127.0.0.1:9" in shown.out
    assert all_leaks(Path.cwd(), ended.out, ended.err, shown.out) == {}
