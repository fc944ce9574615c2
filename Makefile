# make run and make test are the README's two commands; each makes the environment it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
FIRST  ?= 0
WORKERS ?= 2
export OMP_NUM_THREADS ?= 1

.PHONY: run test lint types imports docs bench clean accept-transition accept-identify accept-crystals accept-forward \
	accept-twin accept-faults accept-garbage

run: $(STAMP)
	$(BIN)/rocksalt run config/campaigns/kbr-transition.toml --station config/stations/simulated-dac.toml --simulate --speed 60 --twin-seed $(FIRST)

# STRICT=1: any skip fails; the list of skips is printed either way (-ra).
test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(if $(STRICT),--strict-skips) $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check src drivers tests benchmarks docs
	$(BIN)/ruff format --check src drivers tests benchmarks docs

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	$(BIN)/python -m sphinx -W -b html docs docs/_build/html

# Beside Bluesky's RunEngine, so it is installed first.
bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[bluesky]"
	$(BIN)/python -m benchmarks

accept-transition: $(STAMP)
	$(BIN)/python -m benchmarks.accept_transition --first $(FIRST) --n $(or $(N),20)

accept-identify: $(STAMP)
	$(BIN)/python -m benchmarks.accept_identify --first $(FIRST) --n $(or $(N),5)

# One real pattern and a rate: there are no seeds in it.
accept-forward: $(STAMP)
	$(BIN)/python -m benchmarks.accept_forward

# One step against 1,000, noise, speed, and frames beside a real one.
accept-twin: $(STAMP)
	$(BIN)/python -m benchmarks.accept_twin --first $(FIRST) --n $(or $(N),12)

accept-crystals: $(STAMP)
	$(BIN)/python -m benchmarks.accept_crystals --first $(FIRST) --n $(or $(N),10)

# N: interleavings of late replies; the table of faults and drivers is run whole.
accept-faults: $(STAMP)
	$(BIN)/python -m benchmarks.accept_faults --first $(FIRST) --n $(or $(N),10000)

# N: spoilt replies a driver.
accept-garbage: $(STAMP)
	$(BIN)/python -m benchmarks.accept_garbage --first $(FIRST) --n $(or $(N),100000)

# The environment: made anew when what it is made from changes. A half-made one is never taken for a whole one.
$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	@touch $@

clean:
	rm -rf $(VENV) out
