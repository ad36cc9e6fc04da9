"""Each rule finds what it is for, rewrites it as it should, and leaves the code of 2.0 alone.

The cases stand in cases.yaml; all of them are scanned at once, each in a folder of its own.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from chatctl.services.code import astgrep, scanning
from chatctl.services.code.rules import own_rules

Case = dict[str, Any]
CASES: list[Case] = yaml.safe_load((Path(__file__).parent / "cases.yaml").read_text(encoding="utf-8"))
NUMBERED = list(enumerate(CASES))


def expected(case: Case) -> list[str]:
    return sorted(case.get("rules") or [case["rule"]]) if "before" in case else []


def named(numbered: tuple[int, Case]) -> str:
    number, case = numbered
    return f"{number}-{'+'.join(expected(case)) or 'fine'}-{case['file']}"


def write(folder: Path, key: str, *, missing: str | None = None) -> None:
    for number, case in NUMBERED:
        text = case.get(key, case.get(missing) if missing else None)
        if text is not None:
            (folder / f"case{number}").mkdir(parents=True)
            (folder / f"case{number}" / case["file"]).write_text(text)


def by_case(data: list[dict[str, Any]]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for item in data:
        number = int(item["where"].partition("/")[0].removeprefix("case"))
        found.setdefault(number, []).append(item["rule"])
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[str]]:
    folder = tmp_path_factory.mktemp("before")
    write(folder, "before", missing="after")
    return by_case(scanning.scan(folder).data["findings"])


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fixed")
    write(folder, "before", missing="after")
    scanning.scan(folder, fix=True)
    return folder


@pytest.mark.parametrize("numbered", NUMBERED, ids=named)
def test_what_is_old_is_found_and_what_is_new_is_not(numbered: tuple[int, Case], found: dict[int, list[str]]) -> None:
    number, case = numbered

    # A rule may find several places of one case.
    assert sorted(set(found.get(number, []))) == sorted(set(expected(case)))


@pytest.mark.parametrize("numbered", NUMBERED, ids=named)
def test_a_fix_writes_what_is_certain_and_nothing_else(numbered: tuple[int, Case], fixed: Path) -> None:
    number, case = numbered

    after = (fixed / f"case{number}" / case["file"]).read_text()

    assert after == case.get("after", case.get("before"))


def test_every_rule_has_a_case() -> None:
    tested = {rule for case in CASES for rule in expected(case)}

    assert tested == {rule["id"].rpartition(":")[0] for rule in own_rules()}


def test_after_a_fix_nothing_that_could_be_fixed_is_found_again(fixed: Path) -> None:
    again = by_case(scanning.scan(fixed).data["findings"])

    assert {number for number in again if "after" in CASES[number]} == set()


def test_rewritten_code_still_parses(fixed: Path) -> None:
    assert astgrep.broken_places(fixed) == 0
    for file in fixed.rglob("*.py"):
        # The guides' pieces of code await where no function is.
        compile(file.read_text(), str(file), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
    for file in fixed.rglob("*.sh"):
        subprocess.run(["bash", "-n", file], check=True)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_node_reads_the_rewritten_scripts(fixed: Path, tmp_path: Path) -> None:
    files = [file for file in fixed.rglob("*") if file.suffix in (".js", ".mjs", ".cjs")]
    assert files
    # Node's own check of an ES module goes by the file's name.
    for number, file in enumerate(files):
        suffix = ".cjs" if file.suffix == ".cjs" else ".mjs"
        shutil.copy(file, tmp_path / f"{number}{suffix}")
    for copy in tmp_path.iterdir():
        subprocess.run(["node", "--check", copy], check=True, capture_output=True)


def test_the_cases_cover_every_language() -> None:
    suffixes = Counter(Path(case["file"]).suffix for case in CASES)

    assert set(suffixes) >= {".py", ".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".sh", ".bash"}


def test_a_fix_that_would_break_a_file_is_not_made(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("id: breaker\nlanguage: Python\nmessage: m\nrule: {pattern: f()}\nfix: 'f(('\n")
    (tmp_path / "code").mkdir()
    file = tmp_path / "code/a.py"
    file.write_text("x = f()\n")

    result = scanning.scan(tmp_path / "code", (rules,), fix=True)

    assert file.read_text() == "x = f()\n"
    assert [item["rule"] for item in result.data["findings"]] == ["breaker"]
    assert result.data["fixed"] == []


Invoke = Callable[..., Any]


def test_the_command_shows_the_difference_and_exits_9_while_something_is_left(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "a.py").write_text("from config import settings\nfrom src import config, models\n")

    shown = invoke("code", "scan", "--fix", "--dry-run", "-o", "json")
    assert "+from apps.backend.core.config import settings" in shown.json["data"]["diff"]
    assert not shown.json["data"]["written"]
    assert "from config" in (tmp_path / "a.py").read_text()

    done = invoke("code", "scan", "--fix", "-o", "json")
    assert done.exit_code == 9
    assert [item["rule"] for item in done.json["data"]["findings"]] == ["settings-import-mixed"]
    assert done.json["data"]["fixed"][0]["where"] == "a.py:1"

    (tmp_path / "a.py").write_text("from apps.backend.core.config import settings\n")
    assert invoke("code", "scan").exit_code == 0


def test_rules_of_a_users_own_are_used_beside_ours(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "mine.yaml").write_text(
        "id: no-print\nlanguage: Python\nmessage: No print.\nrule: {pattern: print($$$A)}\n"
    )
    (tmp_path / "a.py").write_text("print(1)\n")

    answer = invoke("code", "scan", "a.py", "--rules", "mine.yaml", "-o", "json")

    assert [item["rule"] for item in answer.json["data"]["findings"]] == ["no-print"]


@pytest.mark.parametrize("text", ["{", "- 1", "id: x\nlanguage: Python\nmessage: m\nrule: {kind: no_such_kind}\n"])
def test_rules_that_cant_be_used_are_a_usage_error(tmp_path: Path, invoke: Invoke, text: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)

    assert invoke("code", "scan", "--rules", "mine.yaml").exit_code == 2


def test_files_keep_their_mode_and_their_line_ends(tmp_path: Path, invoke: Invoke) -> None:
    file = tmp_path / "a.py"
    file.write_bytes(b"# \xc3\xa9\r\nfrom config import settings\r\n")
    file.chmod(0o750)

    invoke("code", "scan", "--fix")

    assert file.read_bytes() == b"# \xc3\xa9\r\nfrom apps.backend.core.config import settings\r\n"
    assert file.stat().st_mode & 0o777 == 0o750
