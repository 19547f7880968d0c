"""No winner is called that chance may have made, and no runs are compared that answered different questions."""

import json
import math

import numpy as np
import pytest

from recsys_cli.comparisons.runs import Entry, Row, compare, entries, to_json
from recsys_cli.errors import DataError
from recsys_cli.evaluation.significance import Difference, Interval
from recsys_cli.tracking.run_folder import PerUser, open_run, save_per_user

USERS = np.arange(400)
EASE = np.random.default_rng(0).random(400)


def entry(name, **values):
    return Entry(
        name, PerUser(USERS, {key: np.asarray(v, dtype=float) for key, v in values.items()})
    )


def hits(seed, chance):
    return (np.random.default_rng(seed).random(400) < chance * EASE).astype(float)


BASE, ALIKE, BETTER = (
    entry("base", hit_at_10=hits(1, 0.4)),
    entry("alike", hit_at_10=hits(2, 0.4)),
    entry("better", hit_at_10=hits(3, 0.9)),
)


def test_a_winner_is_called_where_chance_is_ruled_out():
    base, alike, better = compare([BASE, ALIKE, BETTER], ["hit_at_10"])
    assert (base.name, base.difference, base.p_holm) == ("base", None, None)
    assert base.interval.low < base.mean < base.interval.high
    assert not alike.told_apart
    assert alike.difference.interval.contains_zero
    assert alike.sentence.startswith("cannot be told apart from base: ")
    d = alike.difference
    assert f"{d.mean:+.4f} [{d.interval.low:+.4f}, {d.interval.high:+.4f}]" in alike.sentence
    assert better.told_apart
    assert better.sentence.startswith("better than base: +")
    assert better.mean - base.mean == pytest.approx(better.difference.mean)


def test_the_reference_can_be_any_of_them():
    rows = compare([BASE, ALIKE, BETTER], ["hit_at_10"], reference=2)
    assert [row.name for row in rows] == ["better", "base", "alike"]
    assert rows[1].sentence.startswith("worse than better: -")


def test_one_may_be_set_against_another_than_the_reference():
    rows = compare([BASE, ALIKE, BETTER], ["hit_at_10"], against={"better": "alike"})
    assert [row.against for row in rows] == ["", "base", "alike"]
    assert rows[2].sentence.startswith("better than alike: +")
    assert rows[2].difference.mean == pytest.approx(rows[2].mean - rows[1].mean)
    assert [row["against"] for row in to_json(rows)] == ["", "base", "alike"]


def test_p_values_are_corrected_over_all_rivals_and_metrics():
    both = [entry(e.name, a=e.per_user.values["hit_at_10"], b=e.per_user.values["hit_at_10"]) for e in (BASE, BETTER)]  # fmt: skip
    (alone,) = (row for row in compare(both, ["a"]) if row.difference)
    pair = [row for row in compare(both, ["a", "b"]) if row.difference]
    assert alone.p_holm == alone.difference.p
    assert [row.p_holm for row in pair] == [2 * alone.p_holm] * 2


def test_an_interval_without_0_is_not_enough_among_many():
    """18 users gain and 6 lose: alone that is p = .02, among four comparisons it is nothing."""
    values = np.full(400, 0.5)
    values[:18], values[18:24] = 1.0, 0.0
    base, lucky = entry("base", x=np.full(400, 0.5)), entry("lucky", x=values)
    alone = compare([base, lucky], ["x"])[1]
    assert alone.told_apart
    others = [entry(name, x=np.full(400, 0.5)) for name in "abc"]
    row = compare([base, lucky, *others], ["x"])[1]
    assert not row.difference.interval.contains_zero
    assert row.p_holm == pytest.approx(4 * alone.p_holm)
    assert not row.told_apart
    assert row.sentence.startswith("cannot be told apart from base: ")
    assert "among 4 comparisons" in row.sentence


@pytest.mark.parametrize(
    ("metric", "sign", "words"),
    [
        ("ndcg_at_10", 1, "better than"),
        ("ndcg_at_10", -1, "worse than"),
        ("tied_at_10", 1, "worse than"),
        ("tied_at_10", -1, "better than"),
        ("popularity_at_10", 1, "has more than"),
        ("novelty_at_10", -1, "has less than"),
        ("a_metric_of_yours", 1, "has more than"),
    ],
)
def test_the_words_fit_the_metric(metric, sign, words):
    values = EASE if sign > 0 else -EASE
    rows = compare(
        [entry("a", **{metric: np.zeros(400)}), entry("b", **{metric: values})], [metric]
    )
    assert rows[1].sentence.startswith(f"{words} a: ")


def test_users_without_a_value_are_left_out_of_the_pair():
    first, second = EASE.copy(), EASE + 0.5
    first[:10], second[5:20] = math.nan, math.nan
    rows = compare([entry("a", x=first), entry("b", x=second)], ["x"])
    assert (rows[0].n_users, rows[1].n_users) == (390, 380)
    assert rows[1].difference.mean == pytest.approx(0.5)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DataError, match="no value per user of 'hit_at_5'") as caught:
        compare([BASE, ALIKE], ["hit_at_5"])
    assert "hit_at_10" in caught.value.line
    others = Entry("others", PerUser(USERS + 1, BASE.per_user.values))
    with pytest.raises(DataError, match="different users"):
        compare([BASE, others], ["hit_at_10"])


def test_plain_values_are_json_without_infinity():
    rows = compare([entry("a", x=np.zeros(400)), entry("b", x=np.full(400, 0.5)), BASE_X], ["x"])
    told = json.loads(json.dumps(to_json(rows), allow_nan=False))
    assert told[0]["difference"] is None
    assert told[1]["difference"]["effect_size"] is None
    assert told[1]["difference"]["told_apart"] is True
    assert told[2]["difference"]["share_higher"] == pytest.approx((hits(1, 0.4) > 0).mean())
    assert told[2]["sentence"] == rows[2].sentence


BASE_X = entry("c", x=hits(1, 0.4))


@pytest.fixture
def folder(tmp_path):
    def make(name, *, split="s1", exclude_seen="true", cutoffs="[10]"):
        path = tmp_path / name
        path.mkdir(parents=True)
        (path / "config.yaml").write_text(
            f"evaluation:\n  cutoffs: {cutoffs}\n  exclude_seen: {exclude_seen}\n  primary: hit_at_10\n"
        )
        told = dict.fromkeys(("run_id", "config_hash", "weights_sha256"), "x")
        told |= {"split_hash": split, "choices": {"model": "mf", "data": "demo"}}
        values = BASE.per_user.values
        mean = float(values["hit_at_10"].mean())
        told["metrics"] = {"valid": {}, "test": {"hit_at_10": mean}}
        (path / "metrics.json").write_text(json.dumps(told))
        save_per_user(path, {"test": (USERS, values)})
        return open_run(str(path), tmp_path)

    return make


def test_runs_of_one_question_are_read(folder):
    read = entries([folder("a"), folder("b", cutoffs="[5, 10]"), folder("other/a")])
    assert read[1].name == "b"
    assert read[0].name != read[2].name
    assert read[0].name.endswith("a")
    assert read[2].per_user.values["hit_at_10"].tolist() == hits(1, 0.4).tolist()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"split": "s2"}, "different questions: split s1 and s2"),
        ({"exclude_seen": "false"}, "evaluation.exclude_seen is True and False"),
    ],
)
def test_runs_of_different_questions_are_not_compared(folder, other, message):
    with pytest.raises(DataError, match=message):
        entries([folder("a"), folder("b", **other)])


def test_a_run_is_not_compared_with_itself(folder):
    run = folder("a")
    with pytest.raises(DataError, match="given twice"):
        entries([run, run])


@pytest.mark.parametrize(
    ("low", "p_holm", "told"), [(0.1, 0.01, True), (0.1, 0.05, False), (-0.1, 0.01, False), (0.0, 0.01, False)]
)  # fmt: skip
def test_interval_and_test_must_agree(low, p_holm, told):
    gain = Difference(0.2, Interval(low, 0.3), 0.5, p_holm, 0.6, 0.2)
    row = Row("a", "x", 0.5, Interval(0.4, 0.6), 100, gain, p_holm, "")
    assert row.told_apart is told
