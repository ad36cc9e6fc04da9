"""toolboxai: the checks of its guide after the migration."""

from __future__ import annotations

from chatctl.services.smoke.steps import Sender, Step, require, require_keys

_TASK = {
    "agent_type": "content_generator",
    "task_type": "generate_content",
    "task_data": {"subject": "Test", "grade_level": 5},
}


def steps(smoke: Sender) -> list[Step]:
    """Three looks at health, a task for an agent, and the breakers."""

    def healthy(path: str) -> None:
        require_keys(smoke.send("GET", path), "status")

    def execute() -> None:
        answer = smoke.send("POST", "/api/v1/agents/execute", json=_TASK)
        require_keys(answer, "success", "task_id")
        queued = answer.get("status") == "queued" and "No available" in str(answer.get("message"))
        require(answer["success"] is True or queued, "a result, or a place in the queue")

    return [
        Step("health", lambda: healthy("/health")),
        Step("agents health", lambda: healthy("/health/agents")),
        Step("MCP health", lambda: healthy("/health/mcp")),
        Step("execute", execute),
        Step("circuit breakers", lambda: smoke.send("GET", "/api/v1/system/circuit-breakers") and None),
    ]
