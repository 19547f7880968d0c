"""What is promised of a repeat, and what that hangs on."""

import pytest

from recsys_cli.devices import Device, environment
from recsys_cli.promises import CONDITIONS, conditions, promise

HERE = environment(Device("cpu", 2))


def test_every_condition_is_known_of_a_device():
    assert set(conditions(HERE)) == set(CONDITIONS) - {"engine"}, (
        "which is of a model and its trainer"
    )
    assert conditions(HERE | {"engine": "torch"})["engine"] == "torch"
    assert HERE["version"]
    assert conditions(HERE)["device"] == "cpu", "its threads have a line of their own"
    assert {"torch", "numpy", "scipy", "threads", "cpu_capability"} <= set(CONDITIONS)


def test_a_cpu_promises_bits_and_names_what_they_hang_on():
    made = promise(HERE)
    assert made["class"] == "bit-for-bit"
    for name in ("torch", "numpy", "scipy", "version", "device_hardware", "cpu_capability"):
        assert HERE[name] in made["why"]
    assert "2 threads" in made["why"]
    assert "1 thread," in promise(HERE | {"threads": "1"})["why"]


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_an_accelerator_promises_none(device):
    made = promise(HERE | {"device": device})
    assert made == {"class": "statistical", "why": f"{device} adds numbers up in no fixed order"}


def test_training_that_went_on_elsewhere_promises_none():
    made = promise(HERE, ["threads is 1 there and 2 here", "torch is 3 there and 4 here"])
    assert made["class"] == "statistical"
    assert "threads is 1 there and 2 here; then torch is 3" in made["why"]
