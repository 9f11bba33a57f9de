"""Which runs the presets of the package are made from: a line each."""

# The name, and the run's folder in RUNS_DIR. What a card says of other seeds is from
# RESULTS_DIR, where the run's experiment has its results.
CATALOGUE = {
    "demo": "demo",
    "mnist_6g": "best/mnist_6g_credit/seed0",
    "translated_8g": "best/translated_8g/seed0",
    "cluttered60_8g": "best/cluttered60_8g/seed0",
    # The paper's own model.
    "cifar10_inception_4g": "best/cifar10_inception_4g/seed0",
}
LICENSE = "Apache-2.0"  # Of the weights, as of the package.
