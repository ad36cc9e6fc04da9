"""JSON and YAML: the whole envelope, nothing left out."""

from __future__ import annotations

import json

from chatctl.render.envelope import Envelope


def as_json(envelope: Envelope) -> str:
    """The envelope as indented JSON with a newline at its end."""
    return json.dumps(envelope.as_dict(), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def as_yaml(envelope: Envelope) -> str:
    """The envelope as one YAML document."""
    import yaml

    return yaml.safe_dump(envelope.as_dict(), sort_keys=False, allow_unicode=True, width=10_000)
