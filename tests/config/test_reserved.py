"""What no setting may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.config.reserved import refuse_reserved, refuse_resolvers
from recsys_cli.errors import ConfigError

WORDS = st.text(alphabet="abc", min_size=1, max_size=5)


def around(leaf: st.SearchStrategy) -> st.SearchStrategy:
    """A value anywhere inside mappings and lists."""
    return st.recursive(leaf, lambda inner: st.lists(inner, min_size=1, max_size=2) | st.dictionaries(WORDS, inner, min_size=1, max_size=2), max_leaves=4)  # fmt: skip


@given(around(st.sampled_from(["${oc.env:HOME}", "a${oc.decode:1}b", "${a.${oc.env:B}}"])))
def test_a_resolver_is_found_wherever_it_stands(tree):
    with pytest.raises(ConfigError, match="calls a resolver"):
        refuse_resolvers({"key": tree})


@given(
    around(
        st.sampled_from(["_target_", "_partial_", "_args_", "_convert_"]).map(
            lambda key: {key: "os.system"}
        )
    )
)
def test_a_reserved_key_is_found_wherever_it_stands(tree):
    with pytest.raises(ConfigError, match="is not a setting"):
        refuse_reserved({"key": tree}, targets=["model"])


@given(around(st.sampled_from(["password", "api_key", "AUTH_TOKEN"]).map(lambda key: {key: "x"})))
def test_a_secret_is_found_wherever_it_stands(tree):
    with pytest.raises(ConfigError, match="looks like a secret"):
        refuse_reserved({"key": tree}, targets=[])


@given(around(st.just("a\0b")))
def test_a_nul_character_is_found_wherever_it_stands(tree):
    with pytest.raises(ConfigError, match="NUL"):
        refuse_reserved({"note": tree}, targets=[])


@given(around(st.sampled_from(["${root}/x", "plain", 3, None, "$5: ok", "a:b"])))
def test_everything_else_is_left_alone(tree):
    refuse_resolvers({"note": tree})
    refuse_reserved({"note": tree, "model": {"_target_": "x"}}, targets=["model"])


def test_a_number_or_nothing_under_a_secret_s_name_is_none():
    refuse_reserved({"model": {"key": 64, "tokens": None, "auth": ""}}, targets=[])
