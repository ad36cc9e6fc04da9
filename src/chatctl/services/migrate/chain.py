"""Reads a folder of Alembic revisions as text and tells what is wrong with their chain.

Nothing is imported or run, so that what Alembic itself can't load is told too, with the names of the files.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chatctl.errors import BrokenChainError

#: What Alembic takes for a revision file.
_REVISION_FILE = re.compile(r"(?!\.\#|__init__)(.*\.py)")


@dataclass(frozen=True)
class ChainProblem:
    """One thing that is wrong: its rule, a sentence, and the files that it is about."""

    rule: str
    message: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class RevisionFile:
    """A revision as its file declares it. `labels` are its branch labels, `requires` what it depends on besides."""

    id: str
    parents: tuple[str, ...]
    requires: tuple[str, ...]
    labels: tuple[str, ...]
    path: Path


def chain_problems(folders: Iterable[Path]) -> list[ChainProblem]:
    """Everything that keeps the revisions in `folders` from being one chain, or branches that are labelled as such."""
    revisions: list[RevisionFile] = []
    problems: list[ChainProblem] = []
    for path in _files(folders):
        try:
            revisions.append(_read(path))
        except (SyntaxError, ValueError, UnicodeDecodeError) as problem:
            problems.append(ChainProblem("chain-unreadable", f"{path.name} can't be read: {problem}.", (path,)))
    return [*problems, *_repeated(revisions), *_orphans(revisions), *_cycles(revisions), *_branches(revisions)]


def require_sound_chain(folders: Iterable[Path]) -> None:
    """Raises BrokenChainError, with a sentence for each problem, unless the chain is sound."""
    problems = chain_problems(folders)
    if problems:
        raise BrokenChainError("The chain of revisions is broken: " + " ".join(item.message for item in problems))


def ordered_revisions(folders: Iterable[Path]) -> list[RevisionFile]:
    """The revisions of a sound chain, each behind those that it follows or depends on.

    Raises ValueError or SyntaxError where one can't be read, which `chain_problems` tells.
    """
    waiting = {revision.id: revision for revision in map(_read, _files(folders))}
    ordered: list[RevisionFile] = []
    while waiting:
        free = [item for item in waiting.values() if not ({*item.parents, *item.requires} & waiting.keys())]
        if not free:
            raise ValueError("the revisions follow each other in a circle")
        ordered += free
        for revision in free:
            del waiting[revision.id]
    return ordered


def before_and_itself(names: Iterable[str], revisions: Sequence[RevisionFile]) -> set[str]:
    """The IDs of the revisions called `names`, and of all that they follow or depend on."""
    by_id = {item.id: item for item in revisions}
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found and name in by_id:
            found.add(name)
            waiting += [*by_id[name].parents, *by_id[name].requires]
    return found


def _files(folders: Iterable[Path]) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.glob("*.py")) if _REVISION_FILE.fullmatch(path.name)]


def _read(path: Path) -> RevisionFile:
    values: dict[str, tuple[str, ...]] = {}
    wanted = ("revision", "down_revision", "depends_on", "branch_labels")
    for name, node in _assignments(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if name in wanted:
            values[name] = _names(name, node)
    if len(values.get("revision", ())) != 1:
        raise ValueError("it names no revision")
    return RevisionFile(
        values["revision"][0],
        values.get("down_revision", ()),
        values.get("depends_on", ()),
        values.get("branch_labels", ()),
        path,
    )


def _assignments(module: ast.Module) -> Iterator[tuple[str, ast.expr | None]]:
    """The module's own variables and what is assigned to them."""
    for node in module.body:
        if isinstance(node, ast.Assign):
            yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.value


def _names(variable: str, node: ast.expr | None) -> tuple[str, ...]:
    """A string, a sequence of strings or None, as Alembic takes them."""
    try:
        value = ast.literal_eval(node) if node is not None else None
    except ValueError:
        raise ValueError(f"{variable} is computed, and only a literal can be read") from None
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(item) for item in value)


def _listed(files: Sequence[Path]) -> str:
    names = [path.name for path in files]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _repeated(revisions: Sequence[RevisionFile]) -> Iterator[ChainProblem]:
    for name, count in Counter(revision.id for revision in revisions).items():
        if count > 1:
            files = tuple(revision.path for revision in revisions if revision.id == name)
            yield ChainProblem("chain-repeated-id", f"{_listed(files)} all call themselves {name}.", files)


def _orphans(revisions: Sequence[RevisionFile]) -> Iterator[ChainProblem]:
    known = {revision.id for revision in revisions} | {label for revision in revisions for label in revision.labels}
    for revision in revisions:
        for name in (*revision.parents, *revision.requires):
            if name not in known:
                message = f"{revision.path.name} follows {name}, which no file declares."
                yield ChainProblem("chain-missing-parent", message, (revision.path,))


def _cycles(revisions: Sequence[RevisionFile]) -> Iterator[ChainProblem]:
    parents = {revision.id: set(revision.parents) for revision in revisions}
    remaining = {name: found & parents.keys() for name, found in parents.items()}
    while free := {name for name, found in remaining.items() if not found}:
        remaining = {name: found - free for name, found in remaining.items() if name not in free}
    # What only follows a cycle is no part of it: nothing that is left has it as a parent.
    while remaining:
        followed = set().union(*remaining.values())
        if followed.issuperset(remaining):
            break
        remaining = {name: found for name, found in remaining.items() if name in followed}
    if remaining:
        files = tuple(revision.path for revision in revisions if revision.id in remaining)
        yield ChainProblem("chain-cycle", f"{_listed(files)} follow each other in a circle.", files)


def _branches(revisions: Sequence[RevisionFile]) -> Iterator[ChainProblem]:
    """Several heads, told by where they part; heads that have labels of their own are meant to be."""
    heads = _heads(revisions)
    unlabelled = [head for head in heads if not _labels(head, revisions)]
    if len(heads) < 2 or not unlabelled:
        return
    children: dict[str, list[RevisionFile]] = {}
    for revision in revisions:
        for parent in revision.parents:
            children.setdefault(parent, []).append(revision)
    forks = {parent: found for parent, found in children.items() if len(found) > 1 and _stays_apart(found, revisions)}
    for parent, found in forks.items():
        files = tuple(child.path for child in found)
        yield ChainProblem("chain-branch", f"{_listed(files)} all follow {parent}, and nothing merges them.", files)
    if not forks:
        files = tuple(head.path for head in heads)
        yield ChainProblem(
            "chain-several-heads", f"Nothing follows {_listed(files)}: there are {len(heads)} heads.", files
        )


def _heads(revisions: Sequence[RevisionFile]) -> list[RevisionFile]:
    followed = {parent for revision in revisions for parent in revision.parents}
    return [revision for revision in revisions if revision.id not in followed]


def _labels(revision: RevisionFile, revisions: Sequence[RevisionFile]) -> set[str]:
    """The labels of a revision's branch: its own, and those of everything before it."""
    before = before_and_itself([revision.id], revisions)
    return {label for item in revisions if item.id in before for label in item.labels}


def _stays_apart(children: Sequence[RevisionFile], revisions: Sequence[RevisionFile]) -> bool:
    """Whether the children lead to different heads."""
    heads = {head.id: before_and_itself([head.id], revisions) for head in _heads(revisions)}
    reached = [{head for head, before in heads.items() if child.id in before} for child in children]
    return not set.intersection(*reached)
