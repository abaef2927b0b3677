# A convenience: every target is one or two plain commands, which README.md shows for machines without make.
RECIPE ?= tinytown
PYTHON ?= python3
BIN = .venv/bin

.PHONY: run test chat lint check

run: .venv/ready     ## train every stage of a recipe, then chat with the result
	$(BIN)/python run_pretrain.py --recipe $(RECIPE) --resume
	$(BIN)/python run_sft.py --recipe $(RECIPE) --resume
	$(BIN)/python run_reward.py --recipe $(RECIPE) --resume
	$(BIN)/python run_ppo.py --recipe $(RECIPE) --resume
	$(BIN)/python run_chat.py --model trained_models/$(RECIPE)/ppo

test: .venv/ready    ## all tests
	$(BIN)/python -m pytest -n auto -rs

chat: .venv/ready    ## talk to the shipped Tinytown models at once
	$(BIN)/python run_chat.py --model trained_models/shipped/ppo

lint: .venv/ready    ## style, the import rule, types
	$(BIN)/ruff check . && $(BIN)/lint-imports && $(BIN)/mypy

check: lint          ## before a commit: lint and the fast tests
	$(BIN)/python -m pytest -n auto -m "not slow and not browser"

.venv/ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.txt --editable .
	touch .venv/ready
