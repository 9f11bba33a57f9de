"""Tests of what a run leaves for TensorBoard, read back from its files."""

import collections
import io
import types

import numpy as np
import pytest
import tensorflow as tf
from helpers.processes import ROOT
from PIL import Image
from tensorboard.plugins.hparams import plugin_data_pb2

from ram_tf.config import Config
from ram_tf.data.sources.base import ImageSet
from ram_tf.data.tasks import Task
from ram_tf.errors import RamError
from ram_tf.evaluation.policy_monitor import PolicyMonitor
from ram_tf.models.factory import build_model
from ram_tf.runs.checkpoints import CheckpointFolder
from ram_tf.training import callbacks
from ram_tf.training.callbacks import RunLogger
from ram_tf.training.event_files import cut_after, event_files
from ram_tf.training.trainer import Trainer

SETTINGS = {
    "patch_size": 3,
    "num_glimpses": 3,
    "core": "rnn",
    "core_units": 8,
    "glimpse_units": 8,
    "batch_size": 8,
    "train_steps": 12,
    "steps_per_call": 4,
    "eval_every": 4,
    "checkpoint_every": 2,
    "jit_compile": "off",
}


class Killed(BaseException):
    """Ends a run as kill -9 does."""


def run(folder, kill_after=None, **settings):
    """Trains a small model, which may be killed after a number of evaluations."""
    config = Config(**{**SETTINGS, **settings})
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (40, 8, 8, 1), np.uint8)
    image_set = ImageSet(images, numbers.integers(0, 3, 40).astype(np.int32))
    model = build_model(config, 3, (8, 8, 1))
    monitor = None
    if config.model == "ram":
        monitor = PolicyMonitor(model, image_set, Task())
    trainer = Trainer(
        config,
        model,
        image_set,
        Task(),
        lambda: 0.5,
        checkpoints=CheckpointFolder(folder / "checkpoints", keep=2),
        observe=monitor or dict,
    )
    logger = RunLogger(trainer, folder / "curve.csv", folder / "logs", monitor)
    if kill_after is not None:
        log = logger.on_epoch_end

        def die(epoch, logs=None):
            log(epoch, logs)
            if epoch + 1 == kill_after:
                raise Killed

        logger.on_epoch_end = die
    trainer.run([logger])
    return config


def events_of(folder):
    """Returns the values by tag and step, each a list of all that was written."""
    found = collections.defaultdict(list)
    for path in event_files(folder / "logs"):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                found[value.tag, event.step].append(value)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder)


def test_run_shows_paths_and_places_at_every_evaluation(whole):
    events = events_of(whole[0])
    for step in (4, 8, 12):
        (paths,) = events["glimpses/paths", step]
        assert paths.metadata.plugin_data.plugin_name == "images"
        width, height, *pictures = tf.make_ndarray(paths.tensor)
        assert len(pictures) == 8
        for picture in pictures:
            size = Image.open(io.BytesIO(picture)).size
            assert size == (int(width), int(height)) == (374, 236)
        (landing,) = events["glimpses/landing", step]
        assert len(tf.make_ndarray(landing.tensor)) == 3
        for name in ("glimpses/y", "glimpses/x"):
            (places,) = events[name, step]
            assert places.metadata.plugin_data.plugin_name == "histograms"
            # Rows of left, right, count: 40 images, two chosen glimpses each.
            assert tf.make_ndarray(places.tensor)[:, 2].sum() == 80
        ((entropy),) = events["policy/location_entropy", step]
        assert 0 <= tf.make_ndarray(entropy.tensor) <= 8
    written = sum(path.stat().st_size for path in event_files(whole[0] / "logs"))
    assert written / 3 < 200_000


def test_histograms_are_of_chosen_places_by_their_axis(tmp_path):
    locations = np.zeros([40, 2, 2], np.float32)
    locations[:, 1] = (-0.5, 0.75)
    picture = np.zeros([2, 2, 3], np.uint8)
    monitor = types.SimpleNamespace(
        draw_paths=lambda: picture[None],
        draw_landing=lambda: picture,
        predictions=types.SimpleNamespace(locations=locations),
    )
    writer = tf.summary.create_file_writer(str(tmp_path / "logs"))
    with writer.as_default(step=1):
        callbacks._write_glimpses(monitor)
    writer.close()
    events = events_of(tmp_path)
    for name, place in (("y", -0.5), ("x", 0.75)):
        (value,) = events[f"glimpses/{name}", 1]
        left, right, count = tf.make_ndarray(value.tensor).T
        held = count > 0
        assert count.sum() == 40
        assert np.all((left[held] <= place) & (place <= right[held])), name


def test_images_per_second_are_those_of_training_alone(tmp_path, monkeypatch):
    # It begins, the last step ends, the evaluation ends.
    times = iter([0.0, 2.0, 50.0, 50.0])
    clock = types.SimpleNamespace(monotonic=lambda: next(times))
    monkeypatch.setattr(callbacks, "time", clock)
    trainer = types.SimpleNamespace(config=Config(batch_size=8), step=0, curve=[])
    logger = RunLogger(trainer, tmp_path / "curve.csv", tmp_path / "logs")
    logger.on_train_begin()
    logger.on_train_batch_end(3)
    trainer.curve.append({"step": 4})
    logger.on_epoch_end(0)
    logger.on_train_end()
    (rate,) = events_of(tmp_path)["images_per_second", 4]
    assert tf.make_ndarray(rate.tensor) == 4 * 8 / 2


def test_metrics_page_explains_every_tag(whole):
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for tag, _ in events_of(whole[0]):
        # One line explains the norms of all terms and networks.
        if not tag.startswith(("gradient/", "_hparams_")) or tag == "gradient/norm":
            assert f"`{tag}`" in text, tag


def test_hyper_parameters_are_text_whatever_a_folder_is_called():
    found = callbacks._hyper_parameters(Config(dataset="folder:pets\udce9"))
    assert found["dataset"] == "folder:pets\\xe9"
    assert found["learning_rate"] == Config().learning_rate


def test_run_has_its_config_as_hyper_parameters(whole):
    folder, config = whole
    (value,) = events_of(folder)["_hparams_/session_start_info", 0]
    content = value.metadata.plugin_data.content
    data = plugin_data_pb2.HParamsPluginData.FromString(content)
    found = data.session_start_info.hparams
    expected = config.to_dict()
    assert set(found) == set(expected) - {"run_dir", "data_dir"}
    assert found["learning_rate"].number_value == config.learning_rate
    assert found["core"].string_value == "rnn"
    assert found["grayscale"].bool_value is False


@pytest.mark.parametrize("killed_after", [1, 2])
def test_killed_run_writes_nothing_twice(killed_after, whole, tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, killed_after)
    # The checkpoint of the step of an evaluation is saved before it.
    assert ("accuracy/validation", 4 * killed_after) in events_of(tmp_path)
    run(tmp_path)
    events, expected = events_of(tmp_path), events_of(whole[0])
    # The evaluation that the run begins with again comes after no step of it.
    again = {("images_per_second", 4 * killed_after)}
    assert set(events) == set(expected) - again
    for key, values in events.items():
        assert len(values) == 1, key
        if key[0] not in ("images_per_second", "_hparams_/session_start_info"):
            assert values == expected[key], key


def test_another_config_in_the_folder_begins_anew(tmp_path):
    # Killed before a checkpoint, a run has nothing to lose: any Config takes its place.
    with pytest.raises(Killed):
        run(tmp_path, 1, eval_every=1, checkpoint_every=12)
    for path in (tmp_path / "checkpoints").iterdir():
        path.unlink()
    run(tmp_path, model="fc", fc_units=4)
    events = events_of(tmp_path)
    assert {step for _, step in events} == {0, 4, 8, 12}
    (value,) = events["_hparams_/session_start_info", 0]
    content = value.metadata.plugin_data.content
    data = plugin_data_pb2.HParamsPluginData.FromString(content)
    assert data.session_start_info.hparams["model"].string_value == "fc"
    assert not [tag for tag, _ in events if tag.startswith(("glimpses", "policy"))]


def write_events(folder, steps):
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        for step in steps:
            tf.summary.scalar("x", float(step), step)
    writer.close()
    return event_files(folder)[0]


def test_a_full_disk_is_named_with_the_file(tmp_path, monkeypatch):
    path = write_events(tmp_path / "logs", [1, 2])

    def full(self, record):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.io.TFRecordWriter, "write", full)
    with pytest.raises(RamError, match="expected to write 1 events, found: No space"):
        cut_after(path, 1)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_cut_keeps_the_steps_before_and_a_whole_file(tmp_path):
    path = write_events(tmp_path / "logs", [1, 2, 3, 4])
    content = path.read_bytes()
    path.write_bytes(content[:-9])  # Killed while it wrote the last.
    cut_after(path, 2)
    assert set(events_of(tmp_path)) == {("x", 1), ("x", 2)}
    first = next(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    assert tf.compat.v1.Event.FromString(first).file_version
    cut_after(path, 0)
    assert event_files(tmp_path / "logs") == []
    assert list((tmp_path / "logs").iterdir()) == []
