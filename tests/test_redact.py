"""No secret survives, nothing else is lost, and what is shown cannot steer a terminal."""

import unicodedata
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.redact import HIDDEN, SHORTEST_VALUE, is_secret, printable, redact, redact_all

HIDDEN_IN = [
    ("http://user:word@host:1/x", "http://***@host:1/x"),
    ("http://user:p@ss@host/x", "http://***@host/x"),
    ("see https://token@host (http://host/a@b)", "see https://***@host (http://host/a@b)"),
    ("postgresql+psycopg://u:word@host/runs", "postgresql+psycopg://***@host/runs"),
    ("https:/me:word@h/x: no such file", "https:/***@h/x: no such file"),
    ("https://h/p?api_key=abc&page=2&Access-Token=x#y", "https://h/p?api_key=***&page=2&Access-Token=***#y"),
    ("+password=hunter2 model.rank=3", "+password=*** model.rank=3"),
    ("'+password=a b'", "'+password=*** b'"),
    ("+password='a b' +tag=x", "+password=*** +tag=x"),
    ("?key=values&api_key=value", "?key=***&api_key=***"),
    ("--token abc --json", "--token *** --json"),
    ("PGPASSWORD=abc psql", "PGPASSWORD=*** psql"),
    ("aws_secret_access_key = abc", "aws_secret_access_key = ***"),
    ("Authorization: Bearer abc.def", "Authorization: ***"),
    ("{'Authorization': 'Basic dTpw'}", "{'Authorization': ***}"),
    ("Proxy-Authorization: Basic dTpw", "Proxy-Authorization: ***"),
    ("X-Api-Key: abc end", "X-Api-Key: *** end"),
    ('{"password": "a\\"b", "n": 1}', '{"password": ***, "n": 1}'),
    ("uri: x\npassword: abc\nn: 1", "uri: x\npassword: ***\nn: 1"),
    ("machine h login u password abc", "machine h login u password ***"),
]  # fmt: skip
LEFT_ALONE = [
    "/a/path", "http://host:5000/a@b", "data.user_column=key", "data.item_column=token", "KEYBOARD=1",
    "tokenizer=bpe", "author=me", "has keys: 4", "neither an option nor key=value; quote it: 'key=value'", "a.csv:3:2: rating 'x'", "/data/my_token.csv: cannot be read: no such file",
    "no setting called 'model.key' here", "the first key: 3", "password is wrong", "",
]  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), HIDDEN_IN)
def test_a_secret_is_hidden_and_the_rest_stays(text, shown):
    assert redact(text) == shown


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


WORD = st.text(alphabet=st.characters(categories=["L", "N"]), min_size=8).map("Secret".__add__)


@given(WORD, st.text("ab:@%?", max_size=5))
def test_no_password_of_an_address_survives(secret, more):
    assert secret not in redact(f"cannot reach http://user{more}:{secret}@host:5000/path")


@given(
    WORD, st.sampled_from(["password", "API_TOKEN", "x.secret", "auth-key"]), st.text(max_size=9)
)
def test_no_value_behind_a_secret_s_name_survives(secret, name, around):
    assert secret not in redact(f"{around} {name}={secret} {around}")


@given(WORD, st.text(max_size=20), st.sampled_from(["MLFLOW_TRACKING_PASSWORD", "API_TOKEN"]))
def test_no_value_of_a_secret_variable_survives(secret, around, name):
    with mock.patch.dict("os.environ", {name: secret}):
        assert secret not in redact(f"{around}{secret}{around}")


@given(st.text())
def test_what_is_hidden_stays_hidden_and_hides_no_more(text):
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "name", ["PWD", "OLDPWD", "PATH", "KEYBOARD", "XAUTHORITY", "GIT_AUTHOR_NAME", "rank"]
)
def test_an_everyday_name_is_no_secret(name, monkeypatch):
    monkeypatch.setenv(name, "/everyday/value")
    assert not is_secret(name)
    assert redact("in /everyday/value") == "in /everyday/value"


@pytest.mark.parametrize(
    "name", ["password", "DB_PWD", "apiKey", "api_keys", "SecretToken", "AUTH", "credentials"]
)
def test_a_secret_s_name_is_known(name):
    assert is_secret(name)


def test_a_short_value_of_a_variable_is_also_a_word(monkeypatch):
    monkeypatch.setenv("API_TOKEN", "true")
    assert redact("it is true") == "it is true"


@pytest.mark.parametrize(
    ("value", "shown"), [("x" * SHORTEST_VALUE, HIDDEN), ("x" * (SHORTEST_VALUE - 1), None)]
)
def test_the_shortest_value_of_a_variable_that_is_hidden(value, shown, monkeypatch):
    monkeypatch.setenv("API_TOKEN", value)
    assert redact(f"it is {value}") == f"it is {shown or value}"


def test_of_two_secrets_the_longer_is_hidden_first(monkeypatch):
    for number, value in enumerate(["abcdef", "abcdefgh-rest", "abcdefgh", "bcdefgh"]):
        monkeypatch.setenv(f"API_TOKEN_{number}", value)
    assert redact("it is abcdefgh-rest") == f"it is {HIDDEN}"  # and no end of it is left over


def test_everything_inside_is_hidden():
    tree = {
        "uri": "http://u:word@h",
        "list": ["+token=abc", 3],
        "password": "abc",
        "key": None,
        "t": ("a",),
    }
    assert redact_all(tree) == {
        "uri": "http://***@h",
        "list": [f"+token={HIDDEN}", 3],
        "password": HIDDEN,
        "key": None,
        "t": ["a"],
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred", r"a\x1b[31mred"),
        ("a\x07\x7f\x9b", r"a\x07\x7f\x9b"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("a\rb\u2028c\u2029", r"a\x0db\u2028c\u2029"),
        ("\ud800", r"\ud800"),
        ("line\n\tÜnïcode 日本 🎬", "line\n\tÜnïcode 日本 🎬"),
    ],
)
def test_what_steers_a_terminal_is_written_out(text, shown):
    assert printable(text) == shown


@given(st.text())
def test_nothing_printable_steers_a_terminal(text):
    shown = printable(text)
    assert not {unicodedata.category(c) for c in shown if c not in "\n\t"} & {
        "Cc",
        "Cf",
        "Cs",
        "Zl",
        "Zp",
    }
    assert printable(shown) == shown
