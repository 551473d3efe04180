# c2vl_kit: make demo · make test · make lab · make table · make clean
# The environment .venv is made once and refreshed when settings.ini or constraints.txt change.
SHELL := /bin/bash
BIN := .venv/bin
DATA ?= simulated
ROOT ?=
ARGS ?=
STEPS ?=

.PHONY: help demo test lab table readme clean
help:
	@echo 'make demo                                  the whole path on simulated motions, ends with a table and a report'
	@echo 'make demo DATA=nw-ucla ROOT=path/nw_ucla   the same on real recordings (also DATA=utd-mhad)'
	@echo 'make lab                                   JupyterLab on the notebooks'
	@echo 'make test [STEPS="pages ruff"]              everything that checks the project, or only the steps named'
	@echo 'make table DATA=nw-ucla ROOT=path/nw_ucla  the rows of the README table'
	@echo 'make readme                                README.md from nbs/index.ipynb'
	@echo 'make clean                                 removes builds and caches (runs/ and .venv stay)'

.venv/.installed: settings.ini constraints.txt setup.py pyproject.toml tools/venv.sh
	@bash tools/venv.sh demo,dev $@

.venv/.lab: .venv/.installed
	@bash tools/venv.sh demo,dev,lab $@

# what the checks use beside: video, servers, two local workers, a browser
.venv/.checks: .venv/.installed
	@bash tools/venv.sh demo,dev,video,server,scale,lab,browser $@

demo: .venv/.installed
	@$(BIN)/c2vl demo --data '$(DATA)' $(if $(ROOT),--root '$(ROOT)') $(ARGS)

test: .venv/.checks
	@$(BIN)/python tools/check.py $(STEPS)

lab: .venv/.lab
	@$(BIN)/jupyter lab $(ARGS) nbs

table: .venv/.installed
	@$(BIN)/python bench/spine.py --data '$(DATA)' $(if $(ROOT),--root '$(ROOT)') $(ARGS)

readme: .venv/.installed
	@$(BIN)/python tools/readme.py

clean:
	@rm -rf build dist .pytest_cache .ruff_cache _docs _proc
	@find . -path ./.venv -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf
	@find . -path ./.venv -prune -o -path ./runs -prune -o -name '*.tmp-*' -print0 | xargs -0 rm -rf
