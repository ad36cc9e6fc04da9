"""A broken chain of revisions is told from its files, before anything is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chatctl.errors import BrokenChainError
from chatctl.services.migrate.chain import (
    ChainProblem,
    before_and_itself,
    chain_problems,
    ordered_revisions,
    require_sound_chain,
)
from chatctl.stores.sql.versions import migrations_folder

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write("b", "a")` writes b.py, a revision b that follows a."""

    def write(name: str, parent: str | tuple[str, ...] | None = None, *, id: str | None = None, more: str = "") -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(f"revision = {id or name!r}\ndown_revision = {parent!r}\n{more}\n")
        return path

    return write


def problems(folder: Path) -> list[tuple[str, list[str]]]:
    return [(item.rule, [path.name for path in item.files]) for item in chain_problems([folder])]


def test_a_straight_chain_has_no_problem(write: Write, tmp_path: Path) -> None:
    write("a")
    write("b", "a")
    write("c", "b")
    (tmp_path / "__init__.py").write_text("")

    assert problems(tmp_path) == []


def test_a_parent_that_no_file_declares_is_named(write: Write, tmp_path: Path) -> None:
    write("a")
    write("b", "a")
    write("c", "lost")

    found = chain_problems([tmp_path])
    assert [item.rule for item in found] == ["chain-missing-parent", "chain-several-heads"]
    assert found[0].message == "c.py follows lost, which no file declares."


def test_two_children_of_one_parent_are_named(write: Write, tmp_path: Path) -> None:
    write("a")
    write("b", "a")
    write("c", "a")
    write("d", "c")

    found = chain_problems([tmp_path])
    assert problems(tmp_path) == [("chain-branch", ["b.py", "c.py"])]
    assert found[0].message == "b.py and c.py all follow a, and nothing merges them."


def test_a_branch_that_is_merged_again_is_no_problem(write: Write, tmp_path: Path) -> None:
    write("a")
    write("b", "a")
    write("c", "a")
    write("d", ("b", "c"))

    assert problems(tmp_path) == []


def test_branches_with_labels_are_meant_to_be(write: Write, tmp_path: Path) -> None:
    write("a", more="branch_labels = ('left',)")
    write("b", more="branch_labels = ('right',)")
    write("c", "b", more="depends_on = 'left'")

    assert problems(tmp_path) == []


def test_two_heads_without_a_common_parent_are_told(write: Write, tmp_path: Path) -> None:
    write("a")
    write("b")

    assert problems(tmp_path) == [("chain-several-heads", ["a.py", "b.py"])]


def test_a_circle_is_told_and_what_only_hangs_on_it_is_left_out(write: Write, tmp_path: Path) -> None:
    write("a", "c")
    write("b", "a")
    write("c", "b")
    write("d", "c")
    write("e", "d")

    assert problems(tmp_path) == [("chain-cycle", ["a.py", "b.py", "c.py"])]


def test_an_id_that_two_files_claim_is_told(write: Write, tmp_path: Path) -> None:
    write("a")
    write("b", "a")
    write("copy", "a", id="b")

    assert ("chain-repeated-id", ["b.py", "copy.py"]) in problems(tmp_path)


def test_a_file_that_python_cannot_read_or_that_names_no_revision_is_told(write: Write, tmp_path: Path) -> None:
    write("a")
    (tmp_path / "broken.py").write_text("def upgrade(:\n")
    (tmp_path / "computed.py").write_text("revision = make_id()\n")
    (tmp_path / "empty.py").write_text("x = 1\n")

    found: list[ChainProblem] = chain_problems([tmp_path])
    assert [(item.rule, item.files[0].name) for item in found] == [
        ("chain-unreadable", "broken.py"), ("chain-unreadable", "computed.py"), ("chain-unreadable", "empty.py"),
    ]  # fmt: skip


def test_annotated_variables_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("revision: str = 'a'\ndown_revision: str | None = None\n")
    (tmp_path / "b.py").write_text("revision: str = 'b'\ndown_revision: str | None = 'a'\n")

    assert problems(tmp_path) == []


def test_our_own_chains_are_sound() -> None:
    folders = [path for path in (migrations_folder() / "versions").iterdir() if path.is_dir()]

    assert chain_problems(folders) == []


def test_our_own_files_are_named_after_their_revisions() -> None:
    """Which revision a database has is told from the names alone."""
    files = sorted((migrations_folder() / "versions").glob("*/[0-9]*_*.py"))
    assert len(files) > 20
    for file in files:
        name = f"{file.parent.name}_{file.name.partition('_')[0]}"
        assert f'revision = "{name}"' in file.read_text().replace("revision: str", "revision"), file


def test_a_broken_chain_is_refused_with_all_of_its_problems(write: Write, tmp_path: Path) -> None:
    write("a")
    write("b", "lost")

    with pytest.raises(BrokenChainError, match=r"b\.py follows lost.*2 heads"):
        require_sound_chain([tmp_path])


def test_revisions_are_put_behind_what_they_follow_or_depend_on(write: Write, tmp_path: Path) -> None:
    write("a", "z", more="depends_on = 'm'")
    write("z")
    write("m", "z")
    write("b", ("a", "m"))

    ordered = [revision.id for revision in ordered_revisions([tmp_path])]

    assert ordered == ["z", "m", "a", "b"]
    assert before_and_itself(["a"], ordered_revisions([tmp_path])) == {"a", "z", "m"}
    assert before_and_itself(["unknown"], ordered_revisions([tmp_path])) == set()


def test_a_circle_cannot_be_put_in_order(write: Write, tmp_path: Path) -> None:
    write("a", "b")
    write("b", "a")

    with pytest.raises(ValueError, match="circle"):
        ordered_revisions([tmp_path])
