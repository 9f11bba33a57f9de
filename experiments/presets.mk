# The presets that come with the package; docs/presets.md. Included by Makefile.

.PHONY: presets

presets: $(INSTALLED)  ## Make the package's presets again from the runs in RUNS_DIR.
	$(PY) -m ram_tf.presets --shipped --runs_dir=$(RUNS_DIR) \
		--results_dir=$(RESULTS_DIR) $(if $(DATA_DIR),--data_dir=$(DATA_DIR))
