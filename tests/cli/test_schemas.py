"""The schemas refuse what breaks their promise.

`Completed.json` holds every answer of every test to its own; test_contract.py lets every command answer.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from jsonschema import ValidationError
from tests.support import schemas
from tests.support.cli import Completed

Invoke = Callable[..., Completed]


@pytest.mark.parametrize("damage", [{"chatctl": 2}, {"status": "fine"}, {"data": {"ok": "yes"}}, {"more": 1}])
def test_a_schema_refuses_an_answer_that_breaks_its_promise(invoke: Invoke, damage: dict[str, object]) -> None:
    answer = invoke("config", "check", "--output", "json").json
    schemas.check("config check", answer)

    with pytest.raises(ValidationError):
        schemas.check("config check", answer | damage)


def test_an_answer_without_a_key_of_the_contract_is_refused(invoke: Invoke) -> None:
    answer = invoke("config", "check", "--output", "json").json

    for key in answer:
        with pytest.raises(ValidationError):
            schemas.check("config check", {name: value for name, value in answer.items() if name != key})
