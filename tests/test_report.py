"""The page of `compare --report`: whole, self-contained, readable on light and dark, in a browser and without one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ot_distances.__main__ import main
from ot_distances.commands.report import INK, NOT_JUDGED, PAPER

VOID = {"meta", "image", "use", "path", "br"}


class Page(HTMLParser):
    """The tags in order, their attributes, and the texts by the tag that holds them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(path.read_text("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data.strip()))

    def of(self, *tags: str) -> list[str]:
        return [text for tag, text in self.texts if tag in tags]


def written(folder: Path, d: int, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[Path, dict[str, Any]]:
    """The page on two clouds, and what --json says of them."""
    rng = np.random.default_rng(d)
    for name, shift in (("x", 0.0), ("y", 2.0)):
        np.save(folder / f"{name} <b>&.npy", rng.normal(size=(30, d)) + shift)
    files = [str(folder / f"{name} <b>&.npy") for name in "xy"]
    out = folder / "page.html"
    assert main(["compare", *files, "--report", str(out), "--json", *options]) == 0
    return out, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_page_holds_what_the_command_says(d: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, report = written(tmp_path, d, capsys)
    assert report["report"] == str(out)
    page = Page(out)
    assert page.open == []
    assert page.of("h1") == ["x <b>&.npy against y <b>&.npy"]
    assert page.of("h2") == ["Distances", "Pictures", "Certificates", "Made with"]
    cells = page.of("td", "th")
    for row in report["wasserstein"]:
        assert f"{row['value']:.10g}" in cells
        assert row["method"] in cells
    assert cells.count("optimal") == len(report["wasserstein"])
    assert np.__version__ in cells
    assert f"{report['gaussian_wasserstein']['value']:.6g}" in cells
    captions = page.of("figcaption")
    assert captions[0] == "The optimal plan of W_2"
    assert len(captions) == (1 if d == 3 else 4)
    labels = [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"]
    assert labels == captions


def test_page_needs_nothing_but_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No address at all; every image is inlined, every reference leads to the one element of that name."""
    out, _ = written(tmp_path, 2, capsys)
    text = out.read_text("utf-8")
    assert "//" not in re.sub(r"data:image/png;base64,[A-Za-z0-9+/=\s]+", "", text)
    page = Page(out)
    assert not {"script", "link", "iframe", "img", "object"} & {tag for tag, _ in page.tags}
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))
    for _, attributes in page.tags:
        for name in ("href", "xlink:href", "src"):
            link = attributes.get(name, "#")
            assert link.startswith(("#", "data:image/png;base64,"))
            assert link in ("#", "") or not link.startswith("#") or link[1:] in names
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(names)
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")


def test_pictures_take_ink_and_paper_from_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = plt.get_fignums()
    out, _ = written(tmp_path, 1, capsys)
    text = out.read_text("utf-8")
    pictures = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert "currentColor" in pictures
    assert INK not in pictures
    assert PAPER not in pictures
    assert "#ffffff" not in pictures
    assert "#000000" not in pictures
    assert "prefers-color-scheme: dark" in text
    assert plt.get_fignums() == before


@pytest.mark.parametrize(("option", "order"), [(["--p", "inf"], "inf"), (["--p", "3"], "3"), ([], "2")])
def test_page_draws_the_highest_order(
    option: list[str], order: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = written(tmp_path, 2, capsys, *option)
    assert Page(out).of("figcaption")[0] == f"The optimal plan of W_{order}"


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_page_is_written_in_any_unit(scale: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the cost itself, a square, is beyond the largest float, the page says so."""
    np.save(tmp_path / "x.npy", scale * np.arange(5.0))
    np.save(tmp_path / "y.npy", scale * (np.arange(4.0) + 0.5))
    assert (
        main(["compare", *(str(tmp_path / f"{name}.npy") for name in "xy"), "--report", str(tmp_path / "p.html")]) == 0
    )
    cells = Page(tmp_path / "p.html").of("td")
    assert cells.count("optimal") == (2 if scale < 1 else 1)
    assert cells.count(NOT_JUDGED) == (0 if scale < 1 else 1)


def test_large_clouds_make_a_page_of_bearable_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "xy":
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(ord(name)).normal(size=(1500, 2)))
    out = tmp_path / "large.html"
    assert main(["compare", str(tmp_path / "x.npy"), str(tmp_path / "y.npy"), "--report", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"report: {out}"
    assert out.stat().st_size < 3e6


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("page.txt", "`--report` must end in .html, but it is 'page.txt'. Add the ending."),
        ("no/such/page.html", "`--report` must lie in a folder, but no/such is none. Make it first."),
    ],
)
def test_pages_that_cannot_be_written_are_refused_first(
    name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "gone.npy", "gone.npy", "--report", name]) == 2
    assert capsys.readouterr().err == f"ot-distances: error: {said}\n"


@pytest.mark.parametrize(("scheme", "setting", "paper"), [("light", "1", 255), ("dark", "0", 0x16)])
def test_page_opens_in_a_browser(
    scheme: str, setting: str, paper: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its paper is that of the scheme, and pictures in our blue stand on it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("chromium is not installed")
    out, _ = written(tmp_path, 2, capsys)
    page = out.rename(tmp_path / "plain.html")
    picture = tmp_path / "page.png"
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    options += [f"--blink-settings=preferredColorScheme={setting}", "--window-size=1000,1800", "--hide-scrollbars"]
    options += [f"--screenshot={picture}", "--virtual-time-budget=2000", "--enable-logging=stderr"]
    home = os.environ | {"HOME": str(tmp_path)}
    run = subprocess.run([browser, *options, page.as_uri()], capture_output=True, text=True, timeout=240, env=home)
    assert picture.is_file(), run.stderr
    assert "CONSOLE" not in run.stderr  # nothing refused by the policy, nothing broken
    seen = plt.imread(picture)[..., :3]
    assert np.round(255 * seen[5, 5]).tolist() == [paper] * 3
    blue = np.abs(255 * seen - [0x00, 0x72, 0xB2]).max(axis=2) < 30
    assert blue.sum() > 1000
    written_over = np.abs(seen - seen[5, 5]).max(axis=2) > 0.5  # text and axes in the ink of the scheme
    assert written_over.sum() > 5000
