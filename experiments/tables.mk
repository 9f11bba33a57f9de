# The tables of the papers. A row is trained only where RESULTS_DIR has no current result
# of it: a stopped or failed `make table1` goes on where it was. Included by Makefile.
#
#   make table1 SEEDS=0,1,2          three seeds per row
#   make table1 RESULTS_DIR=again    from nothing, beside results/
#   make tables QUICK=1              every row with a tiny budget, in quick/
#   make row ROW=table1/fc           one row, or several by comma

SEEDS ?= 0
QUICK ?=
DATA_DIR ?=
JOBS ?= $(if $(QUICK),2,1)
RESULTS_DIR ?= $(if $(QUICK),quick/results,results)
# Beside the usual results, else inside: other results are then of other runs.
RUNS_DIR ?= $(if $(filter results quick/results,$(RESULTS_DIR)),$(RESULTS_DIR:results=runs),$(RESULTS_DIR)/runs)

IN_DATA_DIR = $(if $(DATA_DIR),'--data_dir=$(DATA_DIR)')

PAPER_TABLES := table1 table2 table3 table4 table5 text
TABLES := $(PAPER_TABLES) mnih best policy ablation public_code

empty :=
space := $(empty) $(empty)
comma := ,
REPRODUCE = $(PY) -m ram_tf.reproduce --seeds=$(SEEDS) '--results_dir=$(RESULTS_DIR)' \
	'--runs_dir=$(RUNS_DIR)' --jobs=$(JOBS) $(IN_DATA_DIR) $(if $(QUICK),--quick)

.PHONY: $(TABLES) tables row headers

table1: $(INSTALLED)  ## MNIST: train what has no result, print the table.
table2: $(INSTALLED)  ## Translated MNIST.
table3: $(INSTALLED)  ## Cluttered MNIST.
table4: $(INSTALLED)  ## CIFAR-10 in gray.
table5: $(INSTALLED)  ## CIFAR-10 in colour.
text: $(INSTALLED)  ## Rows for figures in the paper's text, outside its tables.
mnih: $(INSTALLED)  ## The tables of Mnih et al. 2014.
best: $(INSTALLED)  ## Our recipes.
policy: $(INSTALLED)  ## What a policy is worth where glimpses leave something unseen.
ablation: $(INSTALLED)  ## What each fault of the authors' public code and each of our readings costs.
public_code: $(INSTALLED)  ## Rows trained as in the authors' public code, as far as flags allow.
$(TABLES):
	$(REPRODUCE) --tables=$@

tables: $(INSTALLED)  ## table1 to table5 and text; QUICK=1 is a tiny budget.
	$(REPRODUCE) --tables=$(subst $(space),$(comma),$(PAPER_TABLES))

row: $(INSTALLED)  ## One row: make row ROW=table1/fc.
	$(REPRODUCE) --experiments=$(ROW)

headers: $(INSTALLED)  ## Fill results into flagfile headers, results/tables.md, README and docs.
	$(PY) -m ram_tf.tables.headers
