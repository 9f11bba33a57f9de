# Several workers, as on several machines; docs/multi_worker.md. Included by Makefile.

WORKERS ?= 2
WORKERS_RUN := runs/multi_worker

.PHONY: multi-worker-demo

multi-worker-demo: $(INSTALLED)  ## Train on two worker processes of this machine.
	$(PY) experiments/local_workers.py $(WORKERS) --flagfile=experiments/demo.cfg \
		--train_steps=500 --eval_every=250 --run_dir=$(WORKERS_RUN)
	$(PY) -m ram_tf.evaluate --run_dir=$(WORKERS_RUN)
