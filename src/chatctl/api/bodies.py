"""Reads bodies: JSON of any content type, strictly, and refused with 400 where it is anything else."""

from __future__ import annotations

import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

import pydantic_core
from fastapi import Request
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from chatctl.api.problems import Problem, explain

M = TypeVar("M", bound="Body")

#: PostgreSQL keeps no NUL in a text.
TEXT_PATTERN = r"^[^\x00]*$"
Text = Annotated[str, StringConstraints(pattern=TEXT_PATTERN)]
Words = Annotated[str, StringConstraints(pattern=TEXT_PATTERN, min_length=1)]
Identifier = Annotated[str, StringConstraints(pattern=TEXT_PATTERN, min_length=1, max_length=255)]
Title = Annotated[str, StringConstraints(pattern=TEXT_PATTERN, max_length=255)]


def _integral(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: How many there are of something, as a column of 32 bits holds it. JSON knows one kind of number, and by JSON Schema
#: 5.0 is as whole as 5. The bounds come first: behind the validator the schema would not have them.
Count = Annotated[int, Field(ge=0, le=2**31 - 1), BeforeValidator(_integral)]


def _finite(value: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise ValueError("a number is too large") from None
    return value


JsonObject = Annotated[dict[str, Any], AfterValidator(_finite)]


class Body(BaseModel):
    """What every body shares: types are meant as they are written, and what nobody asked for is ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", populate_by_name=True)


async def body_of(request: Request, model: type[M]) -> M:
    """The request's body as `model`. Raises Problem 400."""
    return validated(await json_of(request), model)


async def json_of(request: Request) -> Any:
    """The request's body as JSON, whatever its content type says. Raises Problem 400."""
    try:
        return pydantic_core.from_json(await request.body(), allow_inf_nan=False)
    except ValueError as problem:
        raise Problem(400, f"The body is no JSON: {problem}") from None


def validated(value: Any, model: type[M]) -> M:
    """`value` as `model`. Raises Problem 400."""
    try:
        return model.model_validate(value)
    except ValidationError as problem:
        raise Problem(400, explain(problem.errors(include_url=False, include_input=False))) from None


async def form_of(request: Request) -> dict[str, Any]:
    """A form's fields, sent as multipart, urlencoded or JSON. Raises Problem 400."""
    kind = request.headers.get("content-type", "")
    raw = await request.body()
    if kind.startswith("multipart/form-data"):
        return _multipart(kind, raw)
    if kind.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))
    value = await json_of(request)
    if not isinstance(value, dict):
        raise Problem(400, "The body is no form.")
    return value


def _multipart(kind: str, raw: bytes) -> dict[str, Any]:
    message = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + kind.encode("latin-1", "replace") + b"\r\n\r\n" + raw
    )
    fields: dict[str, Any] = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields[name] = content.decode("utf-8", "replace")
    return fields


def reply(data: Any, status: int = 200) -> Response:
    """`data` as JSON."""
    return Response(pydantic_core.to_json(data), status, media_type="application/json")
