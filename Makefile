# c2vl_kit: make demo · make test · make fast · make lab · make docs · make table · make clean
# The environment .venv is made once and refreshed when settings.ini or constraints.txt change.
SHELL := /bin/bash
BIN := .venv/bin
DATA ?= simulated
ROOT ?=
ARGS ?=
STEPS ?=

.PHONY: help demo test fast lab docs table readme hooks clean
help:
	@echo 'make demo                                  the whole path on simulated motions, ends with a table and a report'
	@echo 'make demo DATA=nw-ucla ROOT=path/nw_ucla   the same on real recordings (also DATA=utd-mhad)'
	@echo 'make lab                                   JupyterLab on the notebooks'
	@echo 'make test [STEPS="pages ruff"]              everything that checks the project, or only the steps named'
	@echo 'make fast                                  what is checked before each commit: lint, types, the quick tests (a minute)'
	@echo 'make docs                                  the notebooks as a website in _docs/, with no network and nothing executed'
	@echo 'make hooks                                 git checks each commit (clean notebooks, package in step, ruff)'
	@echo 'make table DATA=nw-ucla ROOT=path/nw_ucla  the rows of the README table'
	@echo 'make readme                                README.md from nbs/index.ipynb'
	@echo 'make clean                                 removes builds and caches (runs/ and .venv stay)'

.venv/.installed: settings.ini constraints.txt setup.py pyproject.toml tools/venv.sh
	@bash tools/venv.sh demo,dev $@

.venv/.lab: .venv/.installed
	@bash tools/venv.sh demo,dev,lab $@

.venv/.docs: .venv/.installed
	@bash tools/venv.sh demo,dev,docs $@

# what the checks use beside: video, servers, two local workers, a browser, the website, ONNX, trackers
.venv/.checks: settings.ini constraints.txt setup.py pyproject.toml tools/venv.sh
	@bash tools/venv.sh demo,dev,docs,video,server,scale,lab,browser,export,hub,track $@
	@touch .venv/.installed

demo: .venv/.installed
	@$(BIN)/c2vl demo --data '$(DATA)' $(if $(ROOT),--root '$(ROOT)') $(ARGS)

test: .venv/.checks
	@$(BIN)/python tools/check.py $(STEPS)

fast: .venv/.installed
	@$(BIN)/python tools/check.py --fast

docs: .venv/.docs
	@$(BIN)/python tools/docs.py $(ARGS)

hooks: .venv/.installed
	@$(BIN)/pre-commit install

lab: .venv/.lab
	@$(BIN)/jupyter lab $(ARGS) nbs

table: .venv/.installed
	@$(BIN)/python bench/spine.py --data '$(DATA)' $(if $(ROOT),--root '$(ROOT)') $(ARGS)

readme: .venv/.installed
	@$(BIN)/python tools/readme.py

clean:
	@rm -rf build dist .pytest_cache .ruff_cache .coverage _docs _proc
	@find . -path ./.venv -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf
	@find . -path ./.venv -prune -o -path ./runs -prune -o -name '*.tmp-*' -print0 | xargs -0 rm -rf
