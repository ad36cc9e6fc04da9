"""The environment of the learning platform as 1.x has it, with comments, an odd order and a variable of its own."""

from __future__ import annotations

LEGACY = """\
# --- Core -------------------------------------------------
DATABASE_URL=postgresql://edu:edu-2023@localhost/platform   # moved in March
REDIS_URL=redis://localhost:6379
JWT_SECRET_KEY=your-secret-key-change-in-production

JWT_ALGORITHM=HS256
JWT_ACCESS_TOKEN_EXPIRE_MINUTES=30
export JWT_REFRESH_TOKEN_EXPIRE_DAYS=7

# --- Model ---
OPENAI_API_KEY=your-openai-api-key
OPENAI_MODEL=gpt-4
OPENAI_TEMPERATURE=0.7
MAX_TOKENS=2048

# sockets
WS_ENABLED=true
WS_MAX_CONNECTIONS=1000
WS_HEARTBEAT_INTERVAL=30

DEBUG=true  # for now
SKIP_AUTH=false
ROJO_ENABLED=true
ROJO_HOST=localhost
ROJO_PORT=34872
RATE_LIMIT_PER_MINUTE=60
WS_RATE_LIMIT_PER_MINUTE=100
OUR_OWN_SWITCH='a b'
"""

#: What a provider or a person gives before 2.0 runs, in the file and not on a command line.
GIVEN = {
    "JWT_SECRET_KEY": "kZ3v9QyW1xT7bN5mR8sL2pD6fG4hJ0aC_uE-iO",
    "OPENAI_API_KEY": "sk-4f7c1a9be02d",
    "PUSHER_APP_ID": "1742953",
    "PUSHER_KEY": "0f1e2d3c4b5a6978",
    "PUSHER_SECRET": "8d1f0b6a7c2e4953",
}


def fill_in(text: str, given: dict[str, str]) -> str:
    """The file `text` with the values `given`, as somebody with an editor puts them in."""
    lines = []
    for line in text.splitlines(keepends=True):
        key = line.removeprefix("export ").partition("=")[0]
        lines.append(f"{key}={given[key]}\n" if key in given else line)
    return "".join(lines)
