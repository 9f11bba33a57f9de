"""Tests of what a result says it was made with."""

import subprocess

import pytest

from ram_tf.runs import provenance


def git(folder, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    found = subprocess.run(
        ["git", *identity, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Makes a repository with the module at a place in it; returns its commit."""

    def make(place, tracked=True):
        module = tmp_path / place
        module.parent.mkdir(parents=True)
        module.write_text("")
        (tmp_path / "README").write_text("")
        git(tmp_path, "init", "--quiet")
        git(tmp_path, "add", "." if tracked else "README")
        git(tmp_path, "commit", "--quiet", "--no-verify", "--message=first")
        monkeypatch.setattr(provenance, "__file__", str(module))
        return git(tmp_path, "rev-parse", "HEAD")

    return make


def test_commit_is_that_of_the_packages_own_repository(repository):
    commit = repository("ram_tf/runs/provenance.py")
    assert len(commit) == 40
    assert provenance.commit() == commit


@pytest.mark.parametrize(
    ("place", "tracked"),
    [
        (
            ".venv/lib/python3.13/site-packages/ram_tf/runs/provenance.py",
            False,
        ),
        (".venv/lib/python3.13/site-packages/ram_tf/runs/provenance.py", True),
        ("ram_tf/runs/provenance.py", False),
    ],
)
def test_commit_in_a_repository_of_somebody_else_is_none(repository, place, tracked):
    repository(place, tracked)
    assert provenance.commit() is None


def test_commit_outside_a_repository_or_without_git_is_none(tmp_path, monkeypatch):
    (tmp_path / "ram_tf").mkdir()
    monkeypatch.setattr(
        provenance, "__file__", str(tmp_path / "ram_tf" / "provenance.py")
    )
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit() is None
    monkeypatch.setenv("PATH", "")
    assert provenance.commit() is None


def test_commit_says_that_there_are_changes(repository, tmp_path):
    commit = repository("ram_tf/runs/provenance.py")
    (tmp_path / "new").write_text("not held by the repository")
    assert provenance.commit() == commit
    (tmp_path / "README").write_text("changed")
    assert provenance.commit() == f"{commit}-dirty"


def test_changed_results_are_no_changes_of_the_code(repository, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "seed0.json").write_text("1")
    commit = repository("ram_tf/runs/provenance.py")
    (tmp_path / "results" / "seed0.json").write_text("2")
    assert provenance.commit() == commit
