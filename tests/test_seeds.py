"""Streams of random numbers."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli import seeds


def test_streams_are_repeatable_and_apart():
    assert seeds.derive(1, "order", 2) == seeds.derive(1, "order", 2)
    several = {
        seeds.derive(s, n, e) for s in (0, 1) for n in ("order", "negatives") for e in (1, 2)
    }
    assert len(several) == 8
    assert all(0 <= seed < 2**63 for seed in several)


def test_a_stream_has_the_same_value_on_every_machine():
    assert seeds.derive(0, "split") == 3769940940748469125


def test_isolation_seeds_the_block_and_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    with seeds.isolated(3, "init"):
        first = torch.rand(4)
    assert torch.equal(torch.random.get_rng_state(), before)
    with seeds.isolated(3, "init"):
        assert torch.equal(torch.rand(4), first)
    with seeds.isolated(4, "init"):
        assert not torch.equal(torch.rand(4), first)


STREAMS = st.lists(
    st.tuples(st.integers(0, 2**63 - 1), st.text("abc_", max_size=4), st.integers(0, 99)),
    min_size=2,
    max_size=9,
    unique=True,
)


@given(STREAMS)
def test_any_two_streams_are_apart(streams):
    derived = [seeds.derive(*stream) for stream in streams]
    assert len(set(derived)) == len(streams)
    assert all(0 <= seed < 2**63 for seed in derived)
    first, second = (seeds.generator(*stream) for stream in streams[:2])
    assert torch.rand(4, generator=first).tolist() != torch.rand(4, generator=second).tolist()
