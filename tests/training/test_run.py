"""Tests of one run from its Config to its results: what is asked of its parts."""

import types

import numpy as np
import pytest
from helpers.data_files import write_images

from ram_tf.config import Config
from ram_tf.evaluation import policy_monitor
from ram_tf.evaluation.evaluator import Evaluator
from ram_tf.training.run import train
from ram_tf.training.trainer import Trainer

STEPS, BATCH, SECONDS = 2, 8, 4.0


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two evaluations, 0.9 and then 0.1, and what it asked and drew."""
    folder = tmp_path_factory.mktemp("run")
    for seed, name in enumerate(("cat", "dog")):
        write_images(folder / "pets" / name, 20, (8, 8, 1), seed)
    config = Config(
        dataset=f"folder:{folder / 'pets'}",
        run_dir=str(folder / "run"),
        patch_size=3,
        num_glimpses=2,
        core="rnn",
        core_units=8,
        glimpse_units=8,
        batch_size=BATCH,
        train_steps=STEPS,
        eval_every=1,
        eval_rollouts=1,
        eval_locations="sample",
        select="final",
        jit_compile="off",
    )
    accuracies, asked, titles = iter([0.9, 0.1]), [], []
    run = Trainer.run

    def accuracy(self, sample=False):
        asked.append(sample)
        return next(accuracies)

    def draw_path(image, corners, patches, title, right):
        titles.append(title)
        return np.zeros([2, 2, 3], np.uint8)

    def take_seconds(self, callbacks):
        run(self, callbacks)
        self.wall_seconds = SECONDS

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Evaluator, "accuracy", accuracy)
        patch.setattr(policy_monitor, "draw_path", draw_path)
        patch.setattr(Trainer, "run", take_seconds)
        results = train(config)
    return types.SimpleNamespace(results=results, asked=asked, titles=titles)


def test_run_validates_at_the_locations_of_its_config(finished):
    assert finished.asked == [True, True]


def test_run_reports_the_validation_of_the_weights_that_it_selects(finished):
    assert finished.results["validation_accuracy"] == 0.1


def test_run_counts_every_image_of_a_batch_as_trained(finished):
    assert finished.results["images_per_second"] == STEPS * BATCH / SECONDS


def test_run_names_the_classes_of_the_glimpses_that_it_draws(finished):
    assert finished.titles
    for title in finished.titles:
        assert title.startswith(("predicts cat (", "predicts dog ("))
