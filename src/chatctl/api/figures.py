"""What Prometheus is told: requests, their time, the model's tokens, and the runs of the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from chatctl.domain.prompts import Answer

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Runs = Callable[[], Iterable[tuple[str, str, int, float | None]]]


class Figures:
    """The figures of one server. `runs` gives (kind, status, count, last end in seconds since 1970)."""

    def __init__(self, runs: Runs) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "route")
        self._seconds = Histogram(
            "chatctl_request_seconds", "Time to answer.", labels, buckets=_BUCKETS, registry=self._registry
        )
        self._requests = Counter("chatctl_requests", "Requests answered.", (*labels, "status"), registry=self._registry)
        self._tokens = Counter("chatctl_model_tokens", "Tokens by kind.", ("model", "kind"), registry=self._registry)
        self.in_flight = Gauge("chatctl_requests_in_flight", "Requests being answered.", registry=self._registry)
        self._children: dict[tuple[str, str, int], tuple[Any, Any]] = {}
        self._registry.register(_Runs(runs))

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts an answered request."""
        key = (method, route, status)
        children = self._children.get(key)
        if children is None:
            children = self._seconds.labels(method, route), self._requests.labels(method, route, str(status))
            self._children[key] = children
        children[0].observe(seconds)
        children[1].inc()

    def answer(self, answer: Answer) -> None:
        """Counts the tokens of a model's answer."""
        self._tokens.labels(answer.model, "prompt").inc(answer.prompt_tokens)
        self._tokens.labels(answer.model, "completion").inc(answer.completion_tokens)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


class _Runs(Collector):
    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The journal's runs by kind and status, and when the last of each ended."""
        counted = GaugeMetricFamily("chatctl_runs", "Runs in the journal.", labels=("kind", "status"))
        ended = GaugeMetricFamily("chatctl_run_last_end_seconds", "When the last one ended.", labels=("kind", "status"))
        for kind, status, count, end in self._runs():
            counted.add_metric((kind, status), count)
            if end is not None:
                ended.add_metric((kind, status), end)
        yield from (counted, ended)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing is asked for before it is scraped."""
        return ()
