# The report and its picture in the README.

REPORT_DIR ?= $(if $(QUICK),quick/report,report)
CHROMIUM ?= chromium

.PHONY: report screenshot

report: $(INSTALLED)  ## Make the report, one HTML page of all results.
	$(PY) -m ram_tf.report '--results_dir=$(RESULTS_DIR)' '--out_dir=$(REPORT_DIR)' \
		$(if $(QUICK),--quick)

screenshot: report  ## Take docs/report.png, the picture of the report that the README links to.
	mkdir -p docs
	$(CHROMIUM) --headless --no-sandbox --disable-gpu --no-first-run \
		--disable-background-networking --disable-component-update --disable-sync \
		--hide-scrollbars --virtual-time-budget=20000 --window-size=1280,1400 \
		--screenshot=docs/report.png file://$(abspath $(REPORT_DIR))/index.html
