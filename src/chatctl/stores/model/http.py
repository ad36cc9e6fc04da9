"""A model behind HTTP, as OpenAI's protocol speaks to it: POST {url}/chat/completions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from chatctl.domain.prompts import Answer, Message, tokens_of
from chatctl.errors import ModelError
from chatctl.settings.serving import ModelSettings

_ATTEMPTS = 3
#: What may pass on another try.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class HttpModel:
    """The model that `settings` name. Safe for use by many threads."""

    configured = True

    def __init__(self, settings: ModelSettings) -> None:
        assert settings.url is not None
        self._settings = settings
        self.name = settings.name
        address = httpx.URL(settings.url)
        self.where = f"model '{settings.name}' at {address.host}"
        headers = {"Authorization": f"Bearer {settings.key.reveal()}"} if settings.key else {}
        self._client = httpx.Client(
            base_url=settings.url.rstrip("/") + "/",
            headers=headers,
            timeout=httpx.Timeout(settings.timeout_seconds, connect=min(5.0, settings.timeout_seconds)),
        )

    def reply(self, messages: Sequence[Message]) -> Answer:
        """The model's answer; raises ModelError where there is none after some tries."""
        tries = Retrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.05, max=1.0),
            reraise=True,
        )
        try:
            body = tries(self._ask, messages)
            return self._read(body, messages)
        except httpx.HTTPError as problem:
            raise ModelError(f"{self.where}: {_reason(problem)}") from problem

    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        """The answer piece by piece, as the model writes it. Raises ModelError."""
        payload = {**self._payload(messages), "stream": True}
        try:
            with self._client.stream("POST", "chat/completions", json=payload) as answer:
                answer.raise_for_status()
                for line in answer.iter_lines():
                    if (piece := _piece(line)) is not None:
                        yield piece
        except (httpx.HTTPError, ValueError) as problem:
            raise ModelError(f"{self.where}: {_reason(problem)}") from problem

    def check(self) -> None:
        """Raises ModelError where nobody answers at the URL."""
        try:
            self._client.get("models", timeout=2.0)
        except httpx.HTTPError as problem:
            raise ModelError(f"{self.where}: {_reason(problem)}") from problem

    def close(self) -> None:
        """Gives the connections back."""
        self._client.close()

    def _payload(self, messages: Sequence[Message]) -> dict[str, Any]:
        return {
            "model": self._settings.name,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "temperature": self._settings.temperature,
            "max_tokens": self._settings.max_tokens,
        }

    def _ask(self, messages: Sequence[Message]) -> Any:
        answer = self._client.post("chat/completions", json=self._payload(messages))
        answer.raise_for_status()
        try:
            return answer.json()
        except ValueError:
            raise ModelError(f"{self.where}: the answer is no JSON.") from None

    def _read(self, body: Any, messages: Sequence[Message]) -> Answer:
        try:
            text = str(body["choices"][0]["message"]["content"] or "")
        except (LookupError, TypeError):
            raise ModelError(f"{self.where}: the answer holds no message.") from None
        usage = body.get("usage") or {}
        prompt = sum(tokens_of(message.content) for message in messages)
        return Answer(
            text,
            str(body.get("model") or self.name),
            _number(usage, "prompt_tokens", prompt),
            _number(usage, "completion_tokens", tokens_of(text)),
        )


def _number(usage: Any, name: str, otherwise: int) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) else otherwise


def _piece(line: str) -> str | None:
    if not line.startswith("data:") or line.strip() == "data: [DONE]":
        return None
    delta = json.loads(line.removeprefix("data:"))["choices"][0].get("delta", {})
    content = delta.get("content")
    return content if isinstance(content, str) and content else None


def _may_pass(problem: BaseException) -> bool:
    if isinstance(problem, httpx.HTTPStatusError):
        return problem.response.status_code in _PASSING
    return isinstance(problem, httpx.TransportError)


def _reason(problem: Exception) -> str:
    if isinstance(problem, httpx.HTTPStatusError):
        return f"it answered {problem.response.status_code}"
    return type(problem).__name__
