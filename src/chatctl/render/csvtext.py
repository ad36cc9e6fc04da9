"""CSV by RFC 4180: a header, the command's principal list, and nothing else."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from chatctl.render.cells import for_machines
from chatctl.render.views import View


def as_csv(view: View, data: Mapping[str, Any]) -> str:
    """The list that the view calls principal; else the first list of objects; else one row of the plain values."""
    items, columns = _principal(view, data)
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([for_machines(item.get(column)) for column in columns] for item in items)
    return target.getvalue()


def _principal(view: View, data: Mapping[str, Any]) -> tuple[Sequence[Mapping[str, Any]], Sequence[str]]:
    key = view.principal or _first_list_of_objects(data)
    if key is None:
        items: Sequence[Mapping[str, Any]] = [
            {name: value for name, value in data.items() if not isinstance(value, list | dict)}
        ]
    else:
        items = [item if isinstance(item, Mapping) else {key: item} for item in data.get(key) or ()]
    columns = view.columns or tuple(dict.fromkeys(name for item in items for name in item)) or (key or "",)
    return items, columns


def _first_list_of_objects(data: Mapping[str, Any]) -> str | None:
    lists = ((key, value) for key, value in data.items() if isinstance(value, list) and value)
    return next((key for key, value in lists if all(isinstance(item, Mapping) for item in value)), None)
