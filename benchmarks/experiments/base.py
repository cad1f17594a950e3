"""What an experiment is: parts that a seed runs, criteria on what they found, and claims that hang on the criteria."""

from __future__ import annotations

import base64
import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

GALLERY = Path(__file__).parents[2] / "docs" / "gallery"

Array = np.ndarray[Any, Any]
Record = dict[str, Any]
Results = Mapping[str, Sequence[Record]]  # part -> what each of its seeds found
Table = tuple[list[str], list[list[Any]]]

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "≤": operator.le,
    ">": operator.gt,
    "≥": operator.ge,
    "=": operator.eq,
}


@dataclass(frozen=True)
class Part:
    """What one seed runs.

    Attributes
    ----------
    name : str
        As ring/primal: the results lie in ring.jsonl, where several experiments read them.
    run : callable
        seed to numbers that JSON holds. Where it is a `functools.partial`, its arguments are the settings: a result
        that was found with others does not count.
    seeds, quick : int
        How many, in the full and in the quick set.
    ready : callable
        Whether this machine has what it needs.
    """

    name: str
    run: Callable[..., Record]
    seeds: int = 10
    quick: int = 3
    ready: Callable[[], bool] = lambda: True

    @property
    def settings(self) -> str:
        return repr(self.run.keywords) if isinstance(self.run, partial) else ""


@dataclass(frozen=True)
class Criterion:
    """A number that the results must keep on the right side of a limit; fixed before the final run.

    Attributes
    ----------
    says : str
        What the number is.
    value : callable
        Of all results: the number of the worst seed.
    """

    says: str
    value: Callable[[Results], float]
    sign: str
    limit: float

    def holds(self, results: Results) -> bool:
        return OPERATORS[self.sign](self.value(results), self.limit)


@dataclass(frozen=True)
class Claim:
    """A statement of a text, and what it comes to: `verdict` if all criteria hold, else `otherwise`; and why."""

    source: str
    text: str
    criteria: tuple[Criterion, ...]
    verdict: str
    why: str = ""
    otherwise: str = "not reproduced here"
    why_otherwise: str = ""


@dataclass(frozen=True)
class Experiment:
    """A page of the gallery.

    Attributes
    ----------
    name : str
        Of the page, as e05-vanishing-gradient.
    method : str
        What was run, and what was measured.
    tables : callable
        Results to captions and tables.
    figures : mapping
        Caption to (width, height, draw), with draw(results, figure).
    """

    name: str
    title: str
    method: str
    parts: tuple[Part, ...]
    claims: tuple[Claim, ...]
    tables: Callable[[Results], Iterator[tuple[str, Table]]]
    figures: Mapping[str, tuple[float, float, Callable[[Results, Any], None]]] = field(default_factory=dict)
    cheap: bool = False  # runs in the test suite


class NotRun(LookupError):
    """A part has no results yet."""


class Found(dict[str, list[Record]]):
    """Results by part, which say so of a part that they lack."""

    def __missing__(self, name: str) -> list[Record]:
        raise NotRun(name)


def store(part: Part) -> Path:
    """The file that holds the results of a part."""
    return GALLERY / "results" / f"{part.name.partition('/')[0]}.jsonl"


def read(parts: Sequence[Part]) -> Found:
    """The results of these parts, by seed. Found with other settings they do not count; a part without is left out."""
    settings = {part.name: part.settings for part in parts}
    found: dict[str, dict[int, Record]] = {part.name: {} for part in parts}
    for path in sorted({store(part) for part in parts}):
        for line in path.read_text("utf-8").splitlines() if path.exists() else []:
            row = json.loads(line)
            if settings.get(row["part"]) == row["settings"]:
                found[row["part"]][row["seed"]] = row["result"]
    return Found({name: [by_seed[seed] for seed in sorted(by_seed)] for name, by_seed in found.items() if by_seed})


def write(part: Part, seed: int, seconds: float, result: Record) -> None:
    """Append a result: what is finished is not lost with the rest."""
    store(part).parent.mkdir(parents=True, exist_ok=True)
    row = {"part": part.name, "seed": seed, "settings": part.settings, "seconds": round(seconds, 2), "result": result}
    with open(store(part), "a", encoding="utf-8") as lines:
        lines.write(json.dumps(row, ensure_ascii=False) + "\n")


def finished(part: Part) -> set[int]:
    """The seeds whose results are there."""
    lines = store(part).read_text("utf-8").splitlines() if store(part).exists() else []
    rows = [json.loads(line) for line in lines]
    return {row["seed"] for row in rows if (row["part"], row["settings"]) == (part.name, part.settings)}


def pack(points: Array) -> Record:
    """Points in one byte a coordinate: enough for a picture."""
    low, high = float(points.min()), float(points.max())
    grey = np.round((points - low) / (high - low or 1.0) * 255).astype(np.uint8)
    return {"shape": list(points.shape), "range": [low, high], "data": base64.b64encode(grey.tobytes()).decode()}


def unpack(packed: Record) -> Array:
    """The points that `pack` was given, to 1 part in 255."""
    low, high = packed["range"]
    grey = np.frombuffer(base64.b64decode(packed["data"]), dtype=np.uint8).reshape(packed["shape"])
    return low + (high - low) * grey / 255


def at_end(parts: Mapping[str, Part], name: str, measure: str) -> Callable[[Results], list[float]]:
    """What a run of that name measures at its end, one number of each seed."""
    return lambda results: column(results[parts[name].name], "summary", measure)


def column(records: Sequence[Record], *keys: Any) -> list[float]:
    """One number of each seed, found by keys from the outside in."""
    values = []
    for record in records:
        value: Any = record
        for key in keys:
            value = value[key]
        values.append(float(value))
    return values


def spread(values: Sequence[float], digits: int = 3) -> str:
    """The median of the seeds, and their range where they differ."""
    low, middle, high = (
        f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.{digits}g}"
        for value in (min(values), float(np.median(values)), max(values))
    )
    return middle if low == high else f"{middle} ({low} … {high})"
