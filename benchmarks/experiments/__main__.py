"""`python -m benchmarks.experiments [quick|full|pages] [NAME ...]`: run what is not finished, then write the pages."""

from __future__ import annotations

import argparse
import os

from . import EXPERIMENTS
from .page import write_pages
from .schedule import missing, run_all  # a file of its own: a spawned process never imports this one


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.experiments", description=__doc__)
    parser.add_argument("preset", nargs="?", default="quick", choices=["quick", "full", "pages"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments whose name begins so, as e07")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="how many run at a time")
    given = parser.parse_args()
    chosen = [one for one in EXPERIMENTS if not given.names or one.name.startswith(tuple(given.names))]
    if not chosen:
        parser.error(f"no experiment begins so; there are: {', '.join(one.name for one in EXPERIMENTS)}")
    if given.preset != "pages" and (pairs := missing(chosen, given.preset == "full")):
        run_all(pairs, given.processes)
    for path in write_pages(chosen):
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
