# The presets that come with the package; docs/presets.md. Included by Makefile.

.PHONY: presets measure-presets

presets: $(INSTALLED)  ## Make the package's presets again from the runs in RUNS_DIR.
	$(PY) -m ram_tf.presets --shipped '--runs_dir=$(RUNS_DIR)' \
		'--results_dir=$(RESULTS_DIR)' $(IN_DATA_DIR)

measure-presets: $(INSTALLED)  ## Measure the package's presets again on DATA_DIR, without runs.
	$(PY) -m ram_tf.presets --measure=shipped \
		'--results_dir=$(RESULTS_DIR)' $(IN_DATA_DIR)
