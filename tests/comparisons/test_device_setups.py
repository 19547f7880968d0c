from recsys_cli.comparisons.device_setups import Setup, kernel_setup, setups
from recsys_cli.devices import Device
from recsys_cli.models.first_try.mf import MF
from tests.comparisons.stand_ins import mf_settings
from tests.training.test_loop import trainer

ONE, GPU = Device("cpu", 1), Device("cuda", 2)
BY_EVENT = {"batch_size": None, "optimiser": "sgd"}


def test_a_label_says_what_is_unusual():
    assert Setup(ONE).label == "cpu:1"
    assert Setup(GPU, "bf16", True).label == "cuda bf16 compiled"
    assert Setup(ONE, engine="kernel").label == "cpu:1 kernel"
    assert [Setup(ONE).plain, Setup(ONE, "bf16").plain, Setup(ONE, compiled=True).plain] == [True, False, False]  # fmt: skip
    assert not Setup(ONE, engine="kernel").plain


def test_all_of_the_grid_devices_first():
    labels = [setup.label for setup in setups([ONE, GPU], ["fp32", "bf16"], [False])]
    assert labels == ["cpu:1", "cuda", "cpu:1 bf16", "cuda bf16"]


def test_the_kernel_has_a_row_where_it_would_train_and_a_cpu_is_compared():
    model = MF(**mf_settings())
    assert kernel_setup(model, trainer(**BY_EVENT), [GPU, ONE]) == [Setup(ONE, engine="kernel")]
    assert kernel_setup(model, trainer(**BY_EVENT), [GPU]) == []
    assert kernel_setup(model, trainer(**BY_EVENT, engine="torch"), [ONE]) == []
    assert kernel_setup(model, trainer(batch_size=64), [ONE]) == []


def test_the_trainer_is_as_the_setup_wants_it():
    wanted = Setup(ONE, "bf16", True).trainer(trainer(lr=0.3))
    assert (wanted.engine, wanted.precision, wanted.compile, wanted.lr) == ("torch", "bf16", True, 0.3)  # fmt: skip
