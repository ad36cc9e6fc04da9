"""What the OpenAPI document says of each endpoint: its body, every status that it answers, and its token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from chatctl import __version__

_MEANINGS = {
    400: "The request is not valid.",
    401: "The token is missing, or not valid.",
    403: "Not for this user.",
    404: "No such thing.",
    409: "Another request got in between.",
    413: "The body is too large.",
    429: "Too many requests; Retry-After says when to come again.",
    500: "Something went wrong here.",
    503: "A server behind this one is away; Retry-After says when to come again.",
}
_ANY_OBJECT = {"application/json": {"schema": {"type": "object"}}}

#: Answers that any endpoint may give.
EVERY = tuple(_MEANINGS)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Those of the common answers, all of them where none is named."""
    return {status: {"description": _MEANINGS[status], "content": _ANY_OBJECT} for status in statuses or EVERY}


def takes(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """The part of an operation that describes its body. Models nest no others."""
    schema = model.model_json_schema(by_alias=True)
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def takes_form(model: type[BaseModel]) -> dict[str, Any]:
    """The same for a form."""
    schema = model.model_json_schema(by_alias=True)
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def leads_to(status: int, value: str, *operations: tuple[str, str]) -> dict[int | str, dict[str, Any]]:
    """An answer that holds an ID at `value` (a runtime expression), which is a parameter of these operations."""
    links = {name: {"operationId": name, "parameters": {parameter: value}} for name, parameter in operations}
    return {status: {"description": "Done.", "content": _ANY_OBJECT, "links": links}}


PUBLIC: dict[str, Any] = {"security": []}
#: Served without a token too, as somebody unknown.
OPTIONAL: dict[str, Any] = {"security": [{"bearer": []}, {}]}


def describe(app: FastAPI, *, auth: bool) -> Callable[[], dict[str, Any]]:
    """What makes the app's OpenAPI document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title="chatctl", version=__version__, routes=app.routes)
            if auth:
                scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
                made.setdefault("components", {})["securitySchemes"] = {"bearer": scheme}
                made["security"] = [{"bearer": []}]
            else:
                for operations in made["paths"].values():
                    for operation in operations.values():
                        operation.pop("security", None)
            for operations in made["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
            app.openapi_schema = made
        return app.openapi_schema

    return document
