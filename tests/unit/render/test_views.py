"""Pages: a view where a command has one, else one made from its data's shape."""

from __future__ import annotations

from chatctl.render.blocks import Facts, Rows
from chatctl.render.csvtext import as_csv
from chatctl.render.views import View, page_by_shape, view_of


def test_a_command_without_a_view_gets_a_page_by_its_datas_shape() -> None:
    data = {"state": "before", "heads": ["a", "b"], "pending": [{"id": 1, "title": "x"}], "counts": {"rows": 3}}

    assert list(page_by_shape(data)) == [
        Facts((("state", "before"), ("heads", ["a", "b"]))),
        Rows(("id", "title"), ((1, "x"),), "pending"),
        Facts((("rows", 3),), "counts"),
    ]


def test_a_view_is_found_by_its_commands_first_word() -> None:
    assert view_of("config show").principal == "settings"
    assert view_of("no such command") == View()


def test_a_declared_principal_list_has_its_header_even_when_it_is_empty() -> None:
    view = View(principal="pending", columns=("revision", "title"))

    assert as_csv(view, {"others": [{"a": 1}], "pending": []}) == "revision,title\r\n"


def test_data_without_a_list_is_one_row() -> None:
    assert as_csv(View(), {"id": "x", "ok": True, "parts": {"a": 1}}) == "id,ok\r\nx,true\r\n"


def test_a_principal_list_of_plain_values_is_one_column() -> None:
    view = View(principal="applied")

    assert as_csv(view, {"applied": ["a", "b"]}) == "applied\r\na\r\nb\r\n"
    assert as_csv(view, {"applied": []}) == "applied\r\n"
