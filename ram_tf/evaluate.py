"""Measures a finished run: python -m ram_tf.evaluate --run_dir=runs/x."""

import dataclasses
import sys

from ram_tf.entry_point import entry_point, say
from ram_tf.files import to_json, write_atomic
from ram_tf.flags import Arguments, Setting, config_settings
from ram_tf.runs.directory import RunDirectory
from ram_tf.runtime.quiet_import import import_tensorflow

USAGE = """Measures the chosen weights of a finished run.

  python -m ram_tf.evaluate --run_dir=runs/x [--split=test] [--policy=random]

Prints for each policy the accuracy of one rollout per image with its 95 % interval
(Wilson), the mean over several rollouts, and their ensemble: the prediction of their
mean probabilities. Writes them to evaluation.json in run_dir. results.json keeps what
train measured on test."""

SETTINGS = [
    *config_settings(["run_dir", "data_dir", "jit_compile"]),
    Setting(
        "split",
        "validation",
        "Which images.",
        choices=("train", "validation", "test"),
    ),
    Setting(
        "policy",
        "all",
        "Which policy; all is the run's own, random and center beside a learned one.",
        choices=("all", "learned", "random", "center"),
    ),
    Setting("eval_rollouts", 0, "Rollouts per image; 0 is the run's own.", low=0),
    Setting(
        "eval_locations",
        "run",
        "Look at the means or at samples; run is the run's own.",
        choices=("run", "mean", "sample"),
    ),
]


def _command(arguments: Arguments) -> None:
    RunDirectory(arguments.run_dir).read_finished_config()  # Or an error, at once.
    import_tensorflow()
    from ram_tf.evaluation.final_results import evaluate
    from ram_tf.evaluation.metrics import summary_lines
    from ram_tf.runs.setup import load_run
    from ram_tf.runtime.devices import use_jit
    from ram_tf.runtime.progress import CallbackBar

    experiment = load_run(arguments.run_dir, arguments.data_dir)
    locations = arguments.eval_locations
    with CallbackBar("batches", arguments.split) as bar:
        found, _ = evaluate(
            experiment,
            arguments.split,
            # It sums over no devices, whatever the training did.
            use_jit(
                dataclasses.replace(
                    arguments.config(experiment.config), distribution="one"
                )
            ),
            () if arguments.policy == "all" else (arguments.policy,),
            arguments.eval_rollouts or None,
            None if locations == "run" else locations,
            on_batch=bar,
        )
    (num_images,) = {each["num_images"] for each in found["policies"].values()}
    say(
        f"{experiment.config.experiment or 'run'} on {arguments.split}, {num_images:,} "
        "images"
    )
    warnings = RunDirectory(arguments.run_dir).read_warnings()
    say("\n".join([*summary_lines(found), *warnings]))
    # Last: somebody else's run may not be writable, and the figures are there.
    write_atomic(RunDirectory(arguments.run_dir).evaluation, to_json(found))


main = entry_point(_command, SETTINGS, USAGE)


if __name__ == "__main__":
    sys.exit(main())
