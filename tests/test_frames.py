"""Data frames and series: their numbers are read, and labels in different orders are refused."""

from __future__ import annotations

import numpy as np
import pytest

import ot_distances as ot

pandas = pytest.importorskip("pandas")

PEOPLE = pandas.DataFrame({"age": [20.0, 40.0, 60.0], "income": [1.0, 2.0, 4.0]})
OTHERS = PEOPLE + 1.0
SWAPPED = OTHERS[["income", "age"]]
WEIGHTS = pandas.Series([0.5, 0.25, 0.25])
SHUFFLED = WEIGHTS[[2, 0, 1]]
SHARES = pandas.Series({"red": 0.5, "blue": 0.3, "green": 0.2})
COST = pandas.DataFrame([[1.0, 2.0], [3.0, 4.0]], index=["u", "v"], columns=["s", "t"])

COLUMNS = {
    "wasserstein": lambda: ot.wasserstein(PEOPLE, SWAPPED),
    "solve": lambda: ot.solve(PEOPLE, SWAPPED),
    "verify": lambda: ot.verify((PEOPLE, SWAPPED), plan=np.eye(3) / 3),
    "sliced_wasserstein": lambda: ot.sliced_wasserstein(PEOPLE, SWAPPED),
    "two_sample_test": lambda: ot.two_sample_test(PEOPLE, SWAPPED),
    "confidence_interval": lambda: ot.confidence_interval(PEOPLE, SWAPPED),
    "kl_from_samples": lambda: ot.kl_from_samples(PEOPLE, SWAPPED),
    "pairwise": lambda: ot.pairwise([PEOPLE, OTHERS, SWAPPED]),
    "others": lambda: ot.pairwise([PEOPLE], [SWAPPED]),
    "js_distance": lambda: ot.js_distance(COST / 10, COST[["t", "s"]] / 10, normalize=True),
}
LABELS = {
    "a": lambda: ot.wasserstein(PEOPLE, OTHERS, SHUFFLED, WEIGHTS),
    "b": lambda: ot.solve(PEOPLE.age, OTHERS.age, WEIGHTS, SHUFFLED),
    "sliced": lambda: ot.sliced_wasserstein(PEOPLE, OTHERS, SHUFFLED, WEIGHTS),
    "a tuple": lambda: ot.pairwise([(PEOPLE, SHUFFLED), OTHERS]),
    "rows of a cost": lambda: ot.solve_cost(COST, pandas.Series({"v": 0.5, "u": 0.5})),
    "columns of a cost": lambda: ot.lp_primal(COST, [0.5, 0.5], pandas.Series({"t": 0.5, "s": 0.5})),
    "atoms": lambda: ot.kl_divergence(SHARES, SHARES.sort_values()),
    "atoms down the rows": lambda: ot.kl_divergence(SHARES.to_frame(), SHARES.sort_values().to_frame(), axis=0),
    "pairwise": lambda: ot.pairwise([SHARES, SHARES.sort_values()], distance="js_distance"),
}


@pytest.mark.parametrize("call", COLUMNS.values(), ids=COLUMNS)
def test_columns_in_another_order_are_refused(call):
    with pytest.raises(ValueError, match=r"must have their columns in one order, but number 0 .*\. Pass .*\[list\("):
        call()


@pytest.mark.parametrize("call", LABELS.values(), ids=LABELS)
def test_labels_in_another_order_are_refused(call):
    with pytest.raises(ValueError, match=r"must have their labels in one order, but number 0 is .*\.to_numpy\(\) if"):
        call()


def test_atoms_that_one_side_lacks_are_named():
    """What `value_counts` gives, of as many categories but not the same."""
    q = pandas.Series({"red": 0.5, "blue": 0.3, "black": 0.2})
    with pytest.raises(ValueError, match="must name the same atoms, but 'green' of p is not in q"):
        ot.total_variation(SHARES, q)
    atoms = ["red", "blue", "green", "black"]
    p, q = (side.reindex(atoms, fill_value=0) for side in (SHARES, q))
    assert ot.total_variation(p, q) == pytest.approx(0.2)


def test_labels_that_agree_or_that_have_nothing_in_common_go_by_position():
    expected = ot.wasserstein(PEOPLE.to_numpy(), OTHERS.to_numpy(), WEIGHTS.to_numpy(), WEIGHTS.to_numpy())
    renamed = OTHERS.rename(columns={"age": "years", "income": "pay"})
    elsewhere = WEIGHTS.set_axis([7, 8, 9])
    assert ot.wasserstein(PEOPLE, renamed, WEIGHTS, elsewhere) == expected
    assert ot.wasserstein(PEOPLE, OTHERS, WEIGHTS, SHUFFLED.sort_index()) == expected
    assert ot.total_variation(SHARES, SHARES.set_axis([1, 2, 3])) == 0


@pytest.mark.parametrize("dtype", ["Float64", "float64[pyarrow]", pandas.SparseDtype(float)], ids=str)
def test_numbers_of_every_kind_are_read(dtype):
    if "pyarrow" in str(dtype):
        pytest.importorskip("pyarrow")
    expected = ot.wasserstein(PEOPLE.to_numpy(), OTHERS.to_numpy())
    assert ot.wasserstein(PEOPLE.astype(dtype), OTHERS) == expected
    assert ot.js_distance(SHARES.astype(dtype), SHARES) == 0


def test_columns_of_several_kinds_are_read():
    x = PEOPLE.assign(old=PEOPLE.age > 30, rank=pandas.array([1, 2, 3], dtype="Int64"))
    assert ot.wasserstein(x, x.astype(float)) == 0
    with pytest.raises(ValueError, match=r"`x` must be finite, but x\[1, 0\] = nan"):
        ot.wasserstein(PEOPLE.astype("Float64").where(PEOPLE.age != 40), OTHERS)


def test_the_column_that_holds_no_numbers_is_named():
    with pytest.raises(TypeError, match=r"`y` must hold real numbers, but its column 'town' has dtype (str|object)"):
        ot.wasserstein(PEOPLE, OTHERS.assign(town="here"))


def test_a_frame_is_no_list_of_measures():
    with pytest.raises(TypeError, match=r"`measures` must be a sequence of measures, but it is a DataFrame\. Pass its"):
        ot.pairwise(PEOPLE)
