# Two commands are everything: `make demo` and `make test`. Both set up .venv first.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OUT ?= runs/digits
JOBS ?= 2

.PHONY: demo test lint bench screenshots clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch -e '.[dev]'
	touch $(READY)

demo: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/whence study run digits --out $(OUT) --jobs $(JOBS)

test: $(READY) lint
	$(BIN)/pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# All rows but the race, which takes hours: `make bench ROWS=race-a`; its finished rows are kept in WHENCE_BENCH_CACHE.
bench: $(READY)
	$(BIN)/python -m bench.run $(ROWS)

screenshots: $(READY)
	test -e $(OUT)/report.json || $(MAKE) demo
	$(BIN)/python -m tools.screenshots $(OUT)

clean:
	rm -rf $(VENV) runs build dist
