"""toolboxai: agents that carry out tasks from a queue in SQL. A task is never lost: what was accepted is a row."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from chatctl.errors import ChatctlError, NotFoundError
from chatctl.services.chatting.answering import Answering
from chatctl.stores.sql.serving.agents import AgentRows
from chatctl.stores.sql.serving.gateway import Gateway

log = logging.getLogger(__name__)

CHANNEL = "content-generation"
NO_AGENT = "No available agents; the task waits in the queue."

#: An agent that has not signed for so long is taken for dead, and its task goes back into the queue.
SILENCE = timedelta(seconds=30)
_SIGN_SECONDS = 5.0
#: How often an idle agent looks for tasks that another process has queued.
_LOOK_SECONDS = 1.0

Handler = Callable[[Answering, Mapping[str, Any]], dict[str, Any]]


class Publisher(Protocol):
    """Who tells clients what happens."""

    def publish(self, channel: str, name: str, data: Mapping[str, Any], user: str | None) -> None:
        """Tells the user's listeners."""


def generate_content(answering: Answering, data: Mapping[str, Any]) -> dict[str, Any]:
    """Writes teaching material on a subject for a grade."""
    subject, grade = data.get("subject"), data.get("grade_level")
    objectives = (
        [str(item) for item in data.get("objectives") or ()] if isinstance(data.get("objectives"), list) else []
    )
    prompt = f"Write teaching material on {subject or 'a subject of your choice'}"
    prompt += f" for grade {grade}" if grade is not None else ""
    prompt += f". Objectives: {'; '.join(objectives)}." if objectives else "."
    answer = answering.reply(prompt)
    return {
        "content": answer.text,
        "subject": subject,
        "grade_level": grade,
        "objectives": objectives,
        "model": answer.model,
        "usage": answer.usage,
    }


#: What agents there are, and what each can do.
REGISTRY: dict[str, dict[str, Handler]] = {"content_generator": {"generate_content": generate_content}}


class Agents:
    """`each` agents of every type in `registry`, each a thread of this process and a row of the application's."""

    def __init__(
        self,
        gateway: Gateway,
        rows: AgentRows,
        answering: Answering,
        publisher: Publisher,
        each: int,
        registry: Mapping[str, Mapping[str, Handler]] = REGISTRY,
    ) -> None:
        self._gateway = gateway
        self._rows = rows
        self._answering = answering
        self._publisher = publisher
        self._registry = registry
        self._agents = [(uuid.uuid4().hex, kind) for kind in registry for _ in range(each)]
        self._wake = threading.Condition()
        self._stopping = False
        self._busy: dict[str, int] = dict.fromkeys(registry, 0)
        self._each = each
        self._waiting: dict[str, Future[dict[str, Any]]] = {}
        self._here: set[str] = set()
        self._threads: list[threading.Thread] = []

    # --- life -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Registers the agents and lets them work."""
        now = datetime.now(UTC)
        self._gateway.write(lambda connection: self._rows.add_agents(connection, self._agents, now))
        for agent, kind in self._agents:
            self._threads.append(threading.Thread(target=self._work, args=(agent, kind), daemon=True))
        self._threads.append(threading.Thread(target=self._sign, daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Lets the agents finish what they are at; what they don't finish in time goes back into the queue."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        ids, now = [agent for agent, _ in self._agents], datetime.now(UTC)
        self._gateway.write(lambda connection: self._rows.end(connection, ids, now))

    # --- tasks ----------------------------------------------------------------------------------------------

    def submit(
        self, user: str, agent_type: str, task_type: str, data: Mapping[str, Any]
    ) -> tuple[str, Future[Any] | None]:
        """Puts a task into the queue. A future of its outcome where an agent is idle, None where it has to wait.

        Raises NotFoundError for an agent or a task that nobody knows.
        """
        if agent_type not in self._registry:
            raise NotFoundError(f"There is no agent '{agent_type}'.")
        if task_type not in self._registry[agent_type]:
            raise NotFoundError(f"The agent '{agent_type}' has no task '{task_type}'.")
        task, now = uuid.uuid4().hex, datetime.now(UTC)
        values: dict[str, Any] = {"id": task, "agent_type": agent_type, "task_type": task_type, "user_id": user}
        values |= {"task_data": dict(data), "created_at": now}
        future: Future[Any] | None = None
        with self._wake:
            if self._busy[agent_type] < self._each and not self._stopping:
                self._busy[agent_type] += 1
                future = self._waiting[task] = Future()
                # Whoever gives up waiting must not take it from the agent.
                future.set_running_or_notify_cancel()
        try:
            self._gateway.write(lambda connection: self._rows.add_task(connection, values))
        except BaseException:
            if future is not None:
                self._forget(task, agent_type)
            raise
        with self._wake:
            self._wake.notify_all()
        return task, future

    def task(self, user: str | None, task: str) -> dict[str, Any]:
        """One of the user's tasks, as the wire has it. Raises NotFoundError."""
        found = self._gateway.read(lambda connection: self._rows.task(connection, user, task))
        if found is None:
            raise NotFoundError("Task not found")
        return outcome(found)

    def cancel(self, user: str, task: str) -> bool:
        """Cancels one of the user's tasks; False where there is none that could be."""
        now = datetime.now(UTC)
        return self._gateway.write(lambda connection: self._rows.cancel(connection, user, task, now))

    def health(self) -> dict[str, Any]:
        """The living agents by status, and the queue's length."""
        counts, queued = self._gateway.read(lambda c: (self._rows.counts(c), self._rows.queued(c)))
        return {"agents": {"total": sum(counts.values()), **counts}, "queued": queued, "types": sorted(self._registry)}

    # --- what the threads do --------------------------------------------------------------------------------

    def _work(self, agent: str, kind: str) -> None:
        while not self._stopping:
            try:
                now = datetime.now(UTC)
                task = self._claim(agent, kind, now)
                if task is not None:
                    self._carry_out(agent, task)
                    continue
            except ChatctlError as problem:
                log.warning("An agent can't reach its queue: %s", problem.message)
            with self._wake:
                if not self._stopping:
                    self._wake.wait(_LOOK_SECONDS)

    def _claim(self, agent: str, kind: str, now: datetime) -> dict[str, Any] | None:
        # Looking costs no write.
        if not self._gateway.read(lambda connection: self._rows.waits(connection, agent)):
            return None
        return self._gateway.write(lambda connection: self._rows.claim(connection, agent, kind, now))

    def _carry_out(self, agent: str, task: dict[str, Any]) -> None:
        kind = task["agent_type"]
        with self._wake:
            # One that nobody waits for takes its place now; one that somebody waits for has it already.
            if task["id"] not in self._waiting:
                self._busy[kind] += 1
            self._here.add(task["id"])
        user = task["user_id"]
        self._tell("generation-started", task, {})
        self._tell("agent-status-update", task, {"agent_id": agent, "status": "busy"})
        started = time.monotonic()
        values: dict[str, Any] = {"status": "completed", "result": None, "error": None}
        try:
            handler = self._registry[kind][task["task_type"]]
            values["result"] = handler(self._answering, task["task_data"] or {})
        except ChatctlError as problem:
            values |= {"status": "failed", "error": problem.message}
        except Exception as problem:
            log.exception("Task %s failed", task["id"])
            values |= {"status": "failed", "error": type(problem).__name__}
        values["execution_seconds"] = time.monotonic() - started
        self._settle(agent, task, values)
        self._publisher.publish(CHANNEL, "content-generated", {"task_id": task["id"], "status": values["status"]}, user)
        self._tell("agent-status-update", task, {"agent_id": agent, "status": "idle"})

    def _settle(self, agent: str, task: dict[str, Any], values: dict[str, Any]) -> None:
        future = self._waiting.get(task["id"])
        try:
            now = datetime.now(UTC)
            done = self._gateway.write(lambda c: self._rows.finish(c, agent, task["id"], values, now))
            kept = None if done else self._gateway.read(lambda c: self._rows.task(c, None, task["id"]))
        except ChatctlError as problem:
            # The row still says running, by this agent: it does the task again once it can.
            if future is not None:
                future.set_exception(problem)
            raise
        else:
            if future is not None:
                future.set_result(outcome({**task, **values} if done else kept or {**task, "status": "cancelled"}))
        finally:
            self._forget(task["id"], task["agent_type"])

    def _forget(self, task: str, kind: str) -> None:
        with self._wake:
            self._waiting.pop(task, None)
            self._here.discard(task)
            self._busy[kind] = max(0, self._busy[kind] - 1)

    def _look_elsewhere(self) -> None:
        """Tells those who wait for a task that was cancelled, or that another server's agent has carried out."""
        with self._wake:
            elsewhere = [task for task in self._waiting if task not in self._here]
        if not elsewhere:
            return
        for task in self._gateway.read(lambda connection: self._rows.settled(connection, elsewhere)):
            with self._wake:
                future = self._waiting.get(task["id"]) if task["id"] not in self._here else None
            if future is not None:
                future.set_result(outcome(task))
                self._forget(task["id"], task["agent_type"])

    def _tell(self, event: str, task: Mapping[str, Any], more: Mapping[str, Any]) -> None:
        data = {"task_id": task["id"], "agent_type": task["agent_type"], "task_type": task["task_type"], **more}
        self._publisher.publish(CHANNEL, event, data, task["user_id"])

    def _sign(self) -> None:
        ids = [agent for agent, _ in self._agents]
        while not self._stopping:
            try:
                self._sign_once(ids, datetime.now(UTC))
                self._look_elsewhere()
            except ChatctlError as problem:
                log.warning("The agents can't sign: %s", problem.message)
            with self._wake:
                if not self._stopping:
                    self._wake.wait_for(lambda: self._stopping, _SIGN_SECONDS)

    def _sign_once(self, own: Sequence[str], now: datetime) -> None:
        """Signs, and gives the tasks of agents that no longer do back to the queue."""
        self._gateway.write(lambda connection: self._rows.sign(connection, own, now))
        silent = self._gateway.read(lambda connection: self._rows.silent(connection, now - SILENCE))
        dead = [agent for agent in silent if agent not in own]
        if dead:
            self._gateway.write(lambda connection: self._rows.end(connection, dead, now))


def outcome(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task as the wire has it."""
    status = task["status"]
    message = {"queued": NO_AGENT, "failed": task.get("error"), "cancelled": "The task was cancelled."}.get(status)
    return {
        "success": status == "completed",
        "task_id": task["id"],
        "status": status,
        "result": task.get("result"),
        "execution_time": task.get("execution_seconds"),
        **({"message": message} if message else {}),
    }
