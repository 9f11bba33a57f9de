# A grid of settings on top of a flagfile; docs/sweep.md. Included by Makefile.

FLAGFILE ?= experiments/demo.cfg
GRID ?=
SWEEP_DIR ?= sweeps/$(basename $(notdir $(FLAGFILE)))

.PHONY: sweep

sweep: $(INSTALLED)  ## A grid: make sweep FLAGFILE=... GRID="learning_rate=1e-3,3e-3".
	$(PY) -m ram_tf.sweep --flagfile=$(FLAGFILE) --grid='$(GRID)' --seeds=$(SEEDS) \
		--jobs=$(JOBS) $(if $(DATA_DIR),--data_dir=$(DATA_DIR)) --out_dir=$(SWEEP_DIR)
