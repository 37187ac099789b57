# make demo · make test · make check · make bench: each sets up what it needs first, in .venv, nothing global.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := sof_case buf_case suf_cura cpr_custody digital_post email simulator
STAMP := $(VENV)/.installed
PROJECTS := pyproject.toml $(foreach p,$(PLUGINS),plugins/$(p)/pyproject.toml)
ARGS ?=

.PHONY: help install demo letters read test check bench chaos soak fuzz former lock clean

help:
	@echo "make demo    run the whole town, then serve its pages   (ARGS='--no-serve --json')"
	@echo "make letters ten letters to look at, as PDF and PNG, in data/letters"
	@echo "make read    check those letters with tools that read PDFs aloud (PDF/UA-1, WCAG 2.2)"
	@echo "make test    check + tests   (CI=1: the slow ones too)"
	@echo "make check   formatting, types, import rules"
	@echo "make bench   speed, as ratios against something run beside it"
	@echo "make chaos   pull every plug, and see that nothing is lost or doubled   (ARGS='--short')"
	@echo "make soak    does any process grow? (ARGS='--minutes 60')"
	@echo "make fuzz    feed each parser what nobody has sent yet   (ARGS='--seconds 600'; Linux)"
	@echo "make lock    make requirements.lock again"

install: $(STAMP)

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tovholder needs Python 3.11 or newer; $(PYTHON) is older. Say: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv is missing. On Debian and Ubuntu: apt-get install python3-venv, then again."; exit 1; }

$(STAMP): $(BIN)/pip requirements.lock $(PROJECTS)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . $(foreach p,$(PLUGINS),-e plugins/$(p))
	@touch $@

demo: install
	$(BIN)/tovholder demo $(ARGS)

letters: install
	$(BIN)/python -m hub.letters.gallery data/letters

# In a venv of its own: outloud needs PyMuPDF (AGPL), which is no part of the product and of what it is tested with.
read: letters
	$(PYTHON) -m venv $(VENV)/read
	$(VENV)/read/bin/pip install --quiet --disable-pip-version-check --require-hashes -r pdf.lock
	$(VENV)/read/bin/outloud --quiet data/letters/*.pdf
	set -e; for letter in data/letters/*.pdf; do $(VENV)/read/bin/pdfua check $$letter; done

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Slow tests (killed workers, whole towns) run where CI is set: make test CI=1. Those of minutes each: make test LONG=1
test: check
	$(BIN)/pytest -n 2 --dist loadfile $(if $(LONG),,-m "$(if $(CI),,not slow and )not long") $(ARGS)

bench: install
	$(BIN)/python -m bench $(ARGS)

chaos: install
	$(BIN)/python -u -m tests.chaos $(ARGS)

soak: install
	$(BIN)/python -u -m tests.chaos.soak $(ARGS)

# Atheris has wheels for Linux alone, so it is no part of the lock that all share.
fuzz: install
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r fuzz.lock
	set -e; for parser in sof buf suf cpr receipts; do $(BIN)/python -m tests.fuzz $$parser $(ARGS); done

# At each release: what the next one's tests run beside it.
former:
	rm -f tests/former/*.zip
	git archive --format=zip -9 HEAD hub templates plugins -o tests/former/$$($(BIN)/python -c "from importlib.metadata import version; print(version('tovholder'))").zip

lock: $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
	  --group dev pyproject.toml $(foreach p,$(PLUGINS),plugins/$(p)/pyproject.toml) build.in \
	  --no-emit-package tovholder $(foreach p,$(subst _,-,$(PLUGINS)),--no-emit-package tovholder-$(p)) -o requirements.lock
	printf 'outloud\npdfua\n' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade - -o pdf.lock
	echo atheris | $(BIN)/uv pip compile --quiet --generate-hashes --no-header --upgrade - -o fuzz.lock

clean:
	rm -rf $(VENV) data
