# Everything happens in one environment, .venv, which each target makes if it is missing.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# The kernels in C++ are built where a compiler and Python's headers are; an error in them then stops the installation,
# and `make check` insists on them. Elsewhere their numpy reference runs.
CAN_BUILD := $(shell (command -v $(CXX) || command -v c++ || command -v clang++) > /dev/null && $(PYTHON) -c \
  'import os, sysconfig; print("yes" if os.path.exists(sysconfig.get_path("include") + "/Python.h") else "")')
KERNELS := $(wildcard src/reticent/kernels/native/*.[ch]pp) src/reticent/kernels/native/CMakeLists.txt

.PHONY: demo test check docs soak reproduce bench clean

demo: $(STAMP)
	$(BIN)/python examples/demo.py

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not soak and not reproduce"

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	RETICENT_KERNELS=$(if $(CAN_BUILD),native,auto) $(BIN)/python -c "from reticent import kernels; print(kernels.describe())"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/docs -m "not soak and not reproduce"

docs: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/docs

soak: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m soak

reproduce: $(STAMP)
	$(BIN)/python -m pytest -s -m reproduce tests/reproduce

bench: $(STAMP)
	$(BIN)/python bench/run.py

$(STAMP): pyproject.toml constraints.txt $(KERNELS)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	RETICENT_REQUIRE_NATIVE=$(if $(CAN_BUILD),1,) \
	  $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[develop]'
	touch $(STAMP)

clean:
	rm -rf .venv build
	-git clean -fqX src/reticent/kernels
