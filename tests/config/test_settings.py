"""Settings as plain values: how they are walked, hashed and shown."""

from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.config.settings import Config, flatten, walk

TREE = {
    "seed": 0,
    "model": {"rank": 3, "widths": [8, {"a": 1}]},
    "trainer": {"checkpoint_seconds": 60, "lr": 0.1},
    "tracking": {"uri": "http://me:word@host"},
    "note": ["token=abc", {}],
}


def test_flat_keys_are_dotted_and_a_list_is_a_value():
    assert dict(flatten(TREE))["model.widths"] == [8, {"a": 1}]
    assert dict(flatten({"a": {}})) == {"a": {}}


def test_a_walk_goes_into_lists_from_the_outside_in():
    assert list(walk({"a": [1, {"b": 2}]})) == [
        ("", {"a": [1, {"b": 2}]}),
        ("a", [1, {"b": 2}]),
        ("a.0", 1),
        ("a.1", {"b": 2}),
        ("a.1.b", 2),
    ]


def test_only_what_moves_a_metric_is_measured():
    config = Config(TREE, {})
    assert set(config.measured) == {"seed", "model.rank", "model.widths", "trainer.lr"}


def test_what_is_shown_has_no_credentials_and_what_is_used_has():
    config = Config(TREE, {})
    assert config.shown["tracking"] == {"uri": "http://***@host"}
    assert config.shown["note"] == ["token=***", {}]
    assert "word" not in config.yaml()
    assert config.tree["tracking"]["uri"] == "http://me:word@host"


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["a", "b c", "7", "true", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(PLAIN)
def test_what_holds_no_secret_is_shown_as_it_is(value):
    assert Config({"note": value}, {}).shown == {"note": value}


def test_a_setting_that_came_later_moves_the_hash_only_where_it_moves_the_run():
    before = Config({"trainer": {"lr": 0.1}, "data": {"low": None}}, {})
    as_before = Config(
        {"trainer": {"lr": 0.1, "precision": "fp32", "compile": False}, "data": {"low": None}}, {}
    )
    other = Config({"trainer": {"lr": 0.1, "precision": "bf16", "compile": False}}, {})
    assert as_before.hash == before.hash != other.hash


def test_a_setting_that_some_models_had_from_the_first_stays_in_their_hash():
    def hashed(model, context):
        settings = {"_target_": f"recsys_cli.models.{model}", "dim": 8} | context
        return Config({"model": settings}, {}).hash

    assert hashed("sasrec.SASRec", {"context": []}) == hashed("sasrec.SASRec", {})
    assert hashed("sasrec.SASRec", {"context": ["hour"]}) != hashed("sasrec.SASRec", {})
    assert hashed("seq.Seq", {"context": []}) != hashed("seq.Seq", {})
