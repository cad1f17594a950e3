"""Side by side with the peers: `families` are problems, `peers` solvers, `run` the clock, `report` the pages."""
