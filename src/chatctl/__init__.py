"""chatctl: carries a chat system from its legacy shape to chats, sessions and counters."""

__version__ = "0.1.0"
