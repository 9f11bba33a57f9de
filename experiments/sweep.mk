# A grid of settings on top of a flagfile; docs/sweep.md. Included by Makefile.

FLAGFILE ?= experiments/demo.cfg
GRID ?=
SWEEP_DIR ?= sweeps/$(patsubst experiments/%,%,$(basename $(FLAGFILE)))

# The default of the tables would hide a --seed of the flagfile.
GIVEN_SEEDS = $(if $(filter-out file,$(origin SEEDS)),--seeds=$(SEEDS))

.PHONY: sweep

sweep: $(INSTALLED)  ## A grid: make sweep FLAGFILE=... GRID="learning_rate=1e-3,3e-3".
	$(PY) -m ram_tf.sweep '--flagfile=$(FLAGFILE)' --grid='$(GRID)' $(GIVEN_SEEDS) \
		--jobs=$(JOBS) $(IN_DATA_DIR) '--out_dir=$(SWEEP_DIR)'
