"""Tests of command lines: flags, flagfiles, help and errors."""

import dataclasses
import os
import pathlib

import pytest

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.flags import Setting, config_settings, flag, help_text, parse
from ram_tf.runs.directory import RunDirectory

CONFIG = config_settings()


def refusal(argv, settings=CONFIG, **options) -> str:
    with pytest.raises(RamError) as caught:
        parse(settings, argv, **options)
    return str(caught.value)


def test_parse_gives_defaults_and_what_was_given():
    found = parse(CONFIG, ["--batch_size=20", "--core", "rnn", "-seed=3"])
    assert (found.batch_size, found.core, found.seed) == (20, "rnn", 3)
    assert found.given == {"batch_size", "core", "seed"}
    assert found.train_steps == Config().train_steps
    assert found.config() == Config(batch_size=20, core="rnn", seed=3)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("--grayscale", True),
        ("--nograyscale", False),
        ("--grayscale=true", True),
        ("--grayscale=false", False),
        ("--grayscale=0", False),
    ],
)
def test_parse_reads_truth_values(word, value):
    assert parse(CONFIG, [word]).grayscale is value


def test_parse_takes_the_last_value():
    assert parse(CONFIG, ["--seed=1", "--seed=2"]).seed == 2


def test_parse_keeps_values_with_signs_and_equals():
    found = parse(CONFIG, ["--dataset=folder:a=b", "--validation_size", "-1"])
    assert found.dataset == "folder:a=b"
    assert found.validation_size == -1


def test_flag_is_what_parse_reads():
    values = {"grayscale": True, "redraw": False, "seed": 3, "discount": 0.5}
    words = [flag(name, value) for name, value in values.items()]
    assert words == [
        "--grayscale=true",
        "--redraw=false",
        "--seed=3",
        "--discount=0.5",
    ]
    parsed = parse(config_settings(), words)
    assert {name: parsed.values[name] for name in values} == values


def test_config_settings_selects_fields_by_name():
    names = [setting.name for setting in config_settings(["seed", "run_dir"])]
    assert sorted(names) == ["run_dir", "seed"]
    everything = [field.name for field in dataclasses.fields(Config)]
    assert [setting.name for setting in CONFIG] == everything


def test_arguments_change_only_the_given_fields_of_a_config():
    base = Config(seed=5, batch_size=7)
    found = parse(CONFIG, ["--seed=6"]).config(base)
    assert found == Config(seed=6, batch_size=7)


def test_arguments_have_no_other_attributes():
    with pytest.raises(AttributeError, match="nothing"):
        _ = parse(CONFIG, []).nothing


def test_setting_is_checked_like_a_field():
    settings = [
        Setting("rollouts", 0, "How many.", low=0),
        Setting("split", "test", "Which.", choices=("train", "test")),
    ]
    assert parse(settings, ["--rollouts=3"]).rollouts == 3
    assert refusal(["--rollouts=-1"], settings) == (
        "--rollouts=-1: expected an integer of at least 0, found -1"
    )
    assert "expected one of train, test" in refusal(["--split=dev"], settings)


@pytest.mark.parametrize("argv", [["--sed=1"], ["--sed", "1"], ["--nosed"]])
def test_unknown_flag_is_named(argv):
    message = refusal(argv)
    assert "sed" in message
    assert "--help" in message


def test_unknown_flag_names_the_nearest_and_the_line_of_its_file(tmp_path):
    expected = (
        "--batch_sise: unknown flag, did you mean --batch_size? "
        "(--help lists the flags)"
    )
    assert refusal(["--batch_sise=3"]) == expected
    path = tmp_path / "a.cfg"
    path.write_text("--batch_sise=3\n")
    assert refusal([f"--flagfile={path}"]) == f"{path}:1: {expected}"
    # What absl lets pass is unknown here.
    assert "--undefok: unknown flag" in refusal(["--undefok=seed", "--seed=1"])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--batch_size=0"],
            "--batch_size=0: expected an integer of at least 1, found 0",
        ),
        (
            ["--batch_size", "many"],
            "--batch_size=many: expected an integer of at least 1, found 'many'",
        ),
        (
            ["--core=gru"],
            "--core=gru: expected one of rnn, lstm, conv_lstm, none, found 'gru'",
        ),
        (
            ["--grayscale=maybe"],
            "--grayscale=maybe: expected true or false, found 'maybe'",
        ),
    ],
)
def test_bad_value_is_named_with_what_was_expected(argv, message):
    assert refusal(argv) == message


def test_flag_without_its_value_is_named(tmp_path):
    expected = "--seed: a value is required, as --seed=..."
    assert refusal(["--seed"]) == expected
    path = tmp_path / "a.cfg"
    path.write_text("--seed\n--core=rnn\n")
    assert refusal([f"--flagfile={path}"]) == f"{path}:1: {expected}"
    # As of an empty variable of the shell.
    assert refusal(["--run_dir", "--train_steps=5"]) == (
        "--run_dir: a value is required, found the flag --train_steps=5"
    )
    assert parse(CONFIG, ["--run_dir=--x"]).run_dir == "--x"


def test_words_that_are_no_flags_are_refused_unless_wanted():
    assert "'image.png'" in refusal(["image.png"])
    found = parse(CONFIG, ["a.png", "--seed=1", "b.png"], positional=True)
    assert found.positional == ("a.png", "b.png")
    assert found.seed == 1


def test_two_dashes_end_the_flags():
    found = parse(CONFIG, ["--seed=3", "--", "-x.png", "--seed=4"], positional=True)
    assert found.seed == 3 and found.positional == ("-x.png", "--seed=4")


@pytest.mark.parametrize("word", ["--grayscale", "--nograyscale"])
def test_truth_value_as_a_word_of_its_own_is_refused(word):
    with pytest.raises(RamError, match="grayscale false: expected --grayscale=false"):
        parse(CONFIG, [word, "false"], positional=True)


def test_comment_behind_a_flag_is_refused_unless_quoted(tmp_path):
    path = tmp_path / "flags.cfg"
    path.write_text("--run_dir=runs/x  # mine\n")
    with pytest.raises(RamError, match=r"flags.cfg:1: expected a comment on a line of"):
        parse(CONFIG, [f"--flagfile={path}"])
    path.write_text('--run_dir="runs/x # mine"\n')
    assert parse(CONFIG, [f"--flagfile={path}"]).run_dir == "runs/x # mine"


def test_flagfile_is_read_with_comments_and_later_words_win(tmp_path):
    path = tmp_path / "a.cfg"
    path.write_text("# A comment.\n\n  --seed=1\n// Another.\n--core=rnn\n")
    found = parse(CONFIG, [f"--flagfile={path}", "--seed=2"])
    assert (found.seed, found.core) == (2, "rnn")
    assert found.flagfile == path
    assert parse(CONFIG, ["--seed=2", "--flagfile", str(path)]).seed == 1


def test_flagfiles_nest_relative_to_the_file_that_names_them(tmp_path, monkeypatch):
    (tmp_path / "shared").mkdir()
    (tmp_path / "table").mkdir()
    (tmp_path / "shared" / "base.cfg").write_text("--seed=1\n--core=rnn\n")
    (tmp_path / "shared" / "more.cfg").write_text("--flagfile=base.cfg\n--seed=2\n")
    row = tmp_path / "table" / "row.cfg"
    row.write_text("--flagfile=../shared/more.cfg\n--batch_size=9\n")
    for folder, name in [
        (tmp_path, "table/row.cfg"),
        (tmp_path / "table", "row.cfg"),
        (tmp_path / "shared", "../table/row.cfg"),
        (os.sep, str(row)),
    ]:
        monkeypatch.chdir(folder)
        config = parse(CONFIG, [f"--flagfile={name}"]).config()
        assert config == Config(seed=2, core="rnn", batch_size=9)


def test_flagfile_property_is_the_last_on_the_command_line(tmp_path):
    inner, first, last = (tmp_path / f"{name}.cfg" for name in "abc")
    inner.write_text("")
    first.write_text("--flagfile=a.cfg\n")
    last.write_text("")
    argv = [f"--flagfile={last}", "--flagfile", str(first), "--seed=1"]
    assert parse(CONFIG, argv).flagfile == first
    assert parse(CONFIG, ["--seed=1"]).flagfile is None


def test_flagfile_error_names_file_and_line(tmp_path):
    path = tmp_path / "a.cfg"
    path.write_text("--seed=1\n--batch_size=none\n")
    assert refusal([f"--flagfile={path}"]).startswith(f"{path}:2: --batch_size=none: ")
    path.write_text("--seed=1\n\n--sed=1\n")
    assert refusal([f"--flagfile={path}"]).startswith(f"{path}:3: ")
    path.write_text("seed=1\n")
    assert refusal([f"--flagfile={path}"]) == (
        f"{path}:1: expected --name=value or a # comment, found 'seed=1'"
    )


def test_flagfile_error_names_the_inner_file(tmp_path):
    (tmp_path / "inner.cfg").write_text("--core=gru\n")
    outer = tmp_path / "outer.cfg"
    outer.write_text("--flagfile=inner.cfg\n")
    message = refusal([f"--flagfile={outer}"])
    assert message.startswith(f"{tmp_path / 'inner.cfg'}:1: --core=gru: ")


def test_flagfile_that_cannot_be_read_is_named(tmp_path):
    missing = tmp_path / "missing.cfg"
    assert refusal([f"--flagfile={missing}"]) == (
        f"--flagfile={missing}: expected a text file of flags, found: "
        "No such file or directory"
    )
    relative = refusal(["--flagfile=missing.cfg"])
    place = pathlib.Path.cwd() / "missing.cfg"
    assert f"expected a text file of flags at {place}, found: " in relative
    assert "directory" in refusal([f"--flagfile={tmp_path}"])
    binary = tmp_path / "binary.cfg"
    binary.write_bytes(b"\xff\xfe\x00--seed=1")
    assert refusal([f"--flagfile={binary}"]).endswith("found: not a text file")


def test_flagfile_that_is_missing_in_a_flagfile_is_named_with_its_place(tmp_path):
    outer = tmp_path / "outer.cfg"
    outer.write_text("# A copy in another folder.\n--flagfile=shared/more.cfg\n")
    assert refusal([f"--flagfile={outer}"]) == (
        f"{outer}:2: --flagfile=shared/more.cfg: expected a text file of flags at "
        f"{tmp_path / 'shared' / 'more.cfg'}, found: No such file or directory"
    )


def test_flagfiles_that_include_each_other_are_refused(tmp_path):
    (tmp_path / "a.cfg").write_text("--flagfile=b.cfg\n")
    (tmp_path / "b.cfg").write_text("--flagfile=a.cfg\n")
    message = refusal([f"--flagfile={tmp_path / 'a.cfg'}"])
    assert "include each other" in message


def test_flags_file_of_a_run_quotes_what_looks_like_a_comment(tmp_path):
    config = Config(dataset="folder:my #1", experiment="'x'", run_dir=str(tmp_path))
    RunDirectory(tmp_path).begin(config, ["a", "b"], None)
    found = parse(CONFIG, [f"--flagfile={tmp_path / 'flags.cfg'}"])
    assert found.config() == config


@pytest.mark.parametrize("name", ["my pets ", " pets", "a\x0cb", "a\u2028b", "a\rb"])
def test_flags_file_of_a_run_keeps_space_around_and_in_a_name(tmp_path, name):
    config = Config(dataset=f"folder:{name}", experiment=name, run_dir=str(tmp_path))
    RunDirectory(tmp_path).begin(config, ["a", "b"], None)
    found = parse(CONFIG, [f"--flagfile={tmp_path / 'flags.cfg'}"])
    assert found.config() == config


def test_flags_file_has_no_value_of_two_lines(tmp_path):
    config = Config(dataset="folder:a\nb", run_dir=str(tmp_path))
    with pytest.raises(RamError, match="--dataset='folder:a.*': expected one line"):
        RunDirectory(tmp_path).begin(config, ["a", "b"], None)
    assert not list(tmp_path.iterdir())


def test_flags_file_of_a_run_leaves_other_flags_their_meaning(tmp_path):
    """A longer run, or one of another core, decays and is as wide as without it."""
    config = Config(train_steps=200, lr_schedule="cosine", core="rnn")
    RunDirectory(tmp_path).begin(config, ["a", "b"], None)
    flagfile = f"--flagfile={tmp_path / 'flags.cfg'}"
    assert parse(CONFIG, [flagfile]).config() == config
    longer = parse(CONFIG, [flagfile, "--train_steps=300"]).config()
    assert longer.decay_steps == 300
    words = ["--core=conv_lstm", "--glimpse_network=inception"]
    maps = parse(CONFIG, [flagfile, *words, "--location_hidden_units=0"]).config()
    assert (maps.core_units, maps.glimpse_units) == (24, 24)


@pytest.mark.parametrize(
    "fields",
    [
        {"core_units": 7, "glimpse_units": 9, "decay_steps": 3},
        {"lr_schedule": "exponential", "train_steps": 50, "decay_steps": 50},
        {"core": "conv_lstm", "glimpse_network": "inception"},
    ],
)
def test_fields_as_given_are_the_same_config(fields):
    config = Config(**fields)
    assert Config(**config.as_given()) == config


def test_flags_file_of_a_run_gives_its_config_back(tmp_path):
    config = Config(
        core="rnn",
        grayscale=True,
        learning_rate=1.25e-7,
        validation_size=-1,
        dataset="folder:/a b",
        run_dir=str(tmp_path),
    )
    directory = RunDirectory(tmp_path)
    directory.begin(config, ["a", "b"])
    assert parse(CONFIG, [f"--flagfile={directory.flags}"]).config() == config


def test_help_fits_80_columns_but_for_its_examples():
    example = f"  python -m an.example {'--flag=value ' * 9}".rstrip()
    lines = help_text(f"{'word ' * 40}\n\n{example}", CONFIG).splitlines()
    assert example in lines
    lines = [line for line in lines if line != example]
    # No break would be good in what one flag alone writes.
    assert max(len(line) for line in lines if not line.startswith("  --")) <= 80


def test_help_lists_every_flag_with_default_and_range():
    text = help_text("Usage.", CONFIG)
    assert text.startswith("Usage.\n")
    assert "--flagfile=PATH" in text
    for setting in CONFIG:
        assert f"--{setting.name}={setting.default}\n" in text
    assert "(one of ram, fc, conv)" in text


def test_help_of_a_command_that_trains_has_sections():
    text = help_text("Usage.", CONFIG)
    start = text.index("\nThe policy:\n")
    assert start < text.index("--location_stddev=") < text.index("\nCredit: ")
    # A command with a few of the flags needs none.
    assert "The policy:" not in help_text("Usage.", CONFIG[:3])


def test_help_of_a_command_that_trains_lists_its_own_flags_first():
    own = Setting("grid", "", "Own.")
    text = help_text("Usage.", [*CONFIG, own])
    before, after = text.split("\n\nFlags of every run, as of ram_tf.train:\n")
    assert "  --grid=\n      Own. (text)" in before and "--model=" not in before
    assert "--grid" not in after and after.count("\n  --") == len(CONFIG)
    for settings in (CONFIG, [*CONFIG[:2], own]):
        assert "Flags of every run" not in help_text("Usage.", settings)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\xef\xbb\xbf--seed=3\n", {"seed": 3}),
        (b"--core=\"rnn\"\n--seed='4'\n", {"core": "rnn", "seed": 4}),
        (b'--dataset="folder:a b"\r\n', {"dataset": "folder:a b"}),
        (b"--dataset=\"it's\n", {"dataset": "\"it's"}),
        (b'--dataset="\n', {"dataset": '"'}),
    ],
)
def test_flagfile_with_a_byte_order_mark_or_quotes(content, found, tmp_path):
    path = tmp_path / "flags.cfg"
    path.write_bytes(content)
    values = parse(CONFIG, [f"--flagfile={path}"])
    assert {name: values.values[name] for name in found} == found


@pytest.mark.parametrize("name", ["red", "#12345", "", "#gggggg", "WHITE"])
def test_background_is_white_black_gray_or_hexadecimal(name):
    Config(background="#12aBef")
    with pytest.raises(RamError, match=f"--background={name}: expected white, black"):
        Config(background=name)


def test_a_default_background_keeps_the_digest():
    assert "background" not in Config().identity()
    assert Config(background="black").digest() != Config().digest()
