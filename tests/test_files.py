"""Tests of what is written whole or not at all."""

import os
import pathlib

import pytest

from ram_tf.errors import RamError
from ram_tf.files import new_folder, require_absent, write_atomic, written_beside


class Broken(Exception):
    pass


def below(folder):
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_file_takes_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "file"
    with written_beside(path) as beside:
        beside.write_text("half")
        assert beside.parent == path.parent and not path.exists()
        beside.write_text("whole")
    assert below(path.parent) == {"file": "whole"}


def test_file_that_is_not_finished_leaves_the_old_one(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(Broken), written_beside(path) as beside:
        beside.write_text("half")
        raise Broken
    assert below(tmp_path) == {"file": "old"}


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomic(path, "old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RamError) as caught:
        write_atomic(path, "new")
    assert str(caught.value) == (
        f"{path}: expected to write 3 bytes, found: No space left on device"
    )
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_link_stays_one_and_its_file_is_replaced(tmp_path):
    link, file = tmp_path / "link", tmp_path / "folder" / "file"
    file.parent.mkdir()
    file.write_text("old")
    link.symlink_to(file)
    write_atomic(link, "new")
    assert link.is_symlink() and file.read_text() == "new"
    assert os.listdir(file.parent) == ["file"]


def test_pipe_is_written_to_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomic(pipe, "text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)
    assert pipe.is_fifo() and os.listdir(tmp_path) == ["pipe"]


def test_folder_that_cannot_be_made_is_told_before_work_begins(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RamError, match="^--out=x: .* found: Not a directory$"):
        require_absent(tmp_path / "file" / "below" / "x", "--out=x")
    require_absent(tmp_path / "new" / "x")
    assert os.listdir(tmp_path) == ["file"]


def test_folder_takes_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "model"
    with new_folder(path) as folder:
        (folder / "a").write_text("1")
        assert folder.parent == path.parent and not path.exists()
    assert below(tmp_path / "new") == {"model": None, "model/a": "1"}


@pytest.mark.parametrize("replace", [False, True])
def test_folder_that_is_not_finished_leaves_nothing(replace, tmp_path):
    path = tmp_path / "model"
    if replace:
        path.mkdir()
        (path / "old").write_text("0")
    before = below(tmp_path)
    with pytest.raises(Broken), new_folder(path, replace=replace) as folder:
        (folder / "a").write_text("1")
        raise Broken
    assert below(tmp_path) == before


def test_folder_that_exists_is_refused_before_the_work(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    for refuse in (require_absent, lambda *words: new_folder(*words).__enter__()):
        with pytest.raises(RamError) as caught:
            refuse(path, f"--out={path}")
        line = f"--out={path}: it exists; remove it or name another"
        assert str(caught.value) == line
    assert below(tmp_path) == {"model": None}
    require_absent(tmp_path / "other")


def test_folder_is_replaced_with_all_that_was_in_it(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").write_text("0")
    with new_folder(path, replace=True) as folder:
        (folder / "a").write_text("1")
        assert (path / "old").exists()
    assert below(tmp_path) == {"model": None, "model/a": "1"}


def test_folder_begins_without_what_a_killed_process_left(tmp_path):
    with pytest.raises(Broken), new_folder(tmp_path / "model") as folder:
        left = folder
        raise Broken
    left.mkdir()
    (left / "half").write_text("")
    with new_folder(tmp_path / "model"):
        pass
    assert below(tmp_path) == {"model": None}


def test_folder_that_another_process_writes_is_left_to_it(tmp_path):
    path = tmp_path / "model"
    with new_folder(path) as folder:
        (folder / "a").write_text("1")
        with pytest.raises(RamError) as caught, new_folder(path):
            raise AssertionError("two write one folder")
        line = f"{path}: expected no other command that writes it, found one"
        assert str(caught.value) == line
    assert below(tmp_path) == {"model": None, "model/a": "1"}


def test_folder_that_cannot_take_its_name_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").write_text("0")
    rename = pathlib.Path.rename

    def refuse(self, target):
        if self.name == ".model.tmp":
            raise OSError(39, "Directory not empty")
        return rename(self, target)

    monkeypatch.setattr(pathlib.Path, "rename", refuse)
    with pytest.raises(RamError, match="Directory not empty"):
        with new_folder(path, replace=True) as folder:
            (folder / "a").write_text("1")
    assert below(tmp_path) == {"model": None, "model/old": "0"}


def test_folder_that_comes_in_the_meantime_is_not_replaced(tmp_path):
    path = tmp_path / "model"
    with pytest.raises(RamError, match="expected a folder to write to, found: Dir"):
        with new_folder(path) as folder:
            (folder / "a").write_text("1")
            path.mkdir()
            (path / "other").write_text("2")
    assert below(tmp_path) == {"model": None, "model/other": "2"}


def test_folder_of_a_process_killed_while_it_replaced_comes_back(tmp_path):
    path = tmp_path / "model"
    (tmp_path / ".model.old").mkdir()
    (tmp_path / ".model.old" / "old").write_text("0")
    with pytest.raises(Broken), new_folder(path, replace=True):
        raise Broken
    assert below(tmp_path) == {"model": None, "model/old": "0"}


@pytest.mark.parametrize("name", [".", "/", "a\0b"])
def test_file_of_an_impossible_name_is_one_line(name):
    with pytest.raises(RamError, match="expected to write 1 bytes, found: "):
        write_atomic(pathlib.Path(name), "1")


def test_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "model"
    with pytest.raises(RamError) as caught, new_folder(path):
        raise AssertionError("there is nothing to write to")
    line = f"{path}: expected a folder to write to, found: Not a directory"
    assert str(caught.value) == line


def test_folder_names_faults_of_another_library(tmp_path):
    path = tmp_path / "model"
    name = f"--out={path}"
    with pytest.raises(RamError) as caught, new_folder(path, name, faults=(Broken,)):
        raise Broken("the disk\nis full")
    line = f"{name}: expected a folder to write to, found: the disk is full"
    assert str(caught.value) == line
    assert below(tmp_path) == {}
