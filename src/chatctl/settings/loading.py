"""Puts the sources of settings in order: flag, CHATCTL_*, the applications' variables, files, default."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatctl.domain.result import Notice
from chatctl.errors import ConfigurationError
from chatctl.settings import locations, schema, secrets, sources
from chatctl.settings.flags import Flags
from chatctl.settings.model import DEFAULT_SOURCE, Setting, Settings
from chatctl.settings.serving import SERVE_DEFAULTS
from chatctl.settings.sources import Layer
from chatctl.yamlfile import YamlDocument


@dataclass(frozen=True)
class _File:
    document: YamlDocument
    content: schema.ConfigurationFile
    base: Path


@dataclass(frozen=True)
class _Choice:
    """The context's name and who chose it."""

    name: str
    source: str


def load_settings(flags: Flags, environ: Mapping[str, str], cwd: Path) -> Settings:
    """The settings of the chosen context.

    Each value comes from the first of: its flag, its CHATCTL_* variable, the application's own variable
    (DATABASE_URL …), ./chatctl.yaml or the file that --config names, the user's own configuration, a default.
    Secrets are not followed yet. Raises ConfigurationError, naming file and line, for a wrong key, type or URL,
    and for a context that no file defines.
    """
    files = [*_project_file(flags, environ, cwd), *_user_file(environ)]
    choice = _choose(flags, environ, files)
    names = list(dict.fromkeys(name for file in files for name in file.content.contexts))
    if choice.name not in names and choice.name != schema.DEFAULT_CONTEXT:
        raise _unknown_context(choice, names)
    return _settings(flags, environ, cwd, files, choice.name)


def initial_settings(flags: Flags, environ: Mapping[str, str], cwd: Path) -> Settings:
    """The settings as they are before there is a chatctl.yaml: it isn't read, and the context need not exist."""
    files = _user_file(environ)
    return _settings(flags, environ, cwd, files, _choose(flags, environ, files).name)


def project_file(flags: Flags, environ: Mapping[str, str], cwd: Path) -> Path:
    """The file that is read as chatctl.yaml, whether it exists or not."""
    return cwd / (flags.config or environ.get(sources.CONFIG_VARIABLE) or locations.PROJECT_FILE)


def _project_file(flags: Flags, environ: Mapping[str, str], cwd: Path) -> list[_File]:
    named = flags.config or environ.get(sources.CONFIG_VARIABLE)
    path = project_file(flags, environ, cwd)
    if not named and not locations.is_there(path):
        return []
    return [_read(path, named or locations.PROJECT_FILE)]


def _user_file(environ: Mapping[str, str]) -> list[_File]:
    path = locations.user_config_file(environ)
    return [_read(path, str(path))] if locations.is_there(path) else []


def _read(path: Path, label: str) -> _File:
    document = YamlDocument.read(path, label=label)
    return _File(document, document.validate(schema.ConfigurationFile), path.absolute().parent)


def _choose(flags: Flags, environ: Mapping[str, str], files: Sequence[_File]) -> _Choice:
    if flags.context:
        return _Choice(flags.context, "flag --context")
    if environ.get(sources.CONTEXT_VARIABLE):
        return _Choice(environ[sources.CONTEXT_VARIABLE], sources.CONTEXT_VARIABLE)
    for file in files:
        if file.content.context:
            return _Choice(file.content.context, file.document.where(("context",)))
    return _Choice(schema.DEFAULT_CONTEXT, DEFAULT_SOURCE)


def _unknown_context(choice: _Choice, names: Sequence[str]) -> ConfigurationError:
    close = difflib.get_close_matches(choice.name, names, n=1)
    known = f"There is: {', '.join(names)}." if names else "No configuration file defines one."
    return ConfigurationError(
        f"{choice.source}: no context is called '{choice.name}'.",
        hint=f"Did you mean '{close[0]}'? {known}" if close else known,
    )


def _settings(flags: Flags, environ: Mapping[str, str], cwd: Path, files: Sequence[_File], context: str) -> Settings:
    layers = [sources.flag_layer(flags, cwd), sources.variable_layer(environ, cwd)]
    decided = [key for layer in layers for key in layer.values]
    layers.append(sources.application_layer(environ, cwd, without=decided))
    layers += [sources.file_layer(file.document, file.content, context, file.base) for file in files]
    data_dir = locations.data_dir(environ)
    defaults = _defaults(data_dir)
    entries = {key: _entry(key, layers, environ, defaults.get(key)) for key in schema.dotted_keys()}
    names = list(dict.fromkeys(name for file in files for name in file.content.contexts))
    return Settings(
        context_name=context,
        contexts=tuple(names),
        files=tuple(file.document.source for file in files),
        data_dir=data_dir,
        entries=entries,
        warnings=tuple(_warnings(flags, environ, context, names, entries)),
    )


def _entry(key: str, layers: Sequence[Layer], environ: Mapping[str, str], default: Any) -> Setting:
    for layer in layers:
        if key in layer.values:
            place = layer.place(key)
            return Setting(key, _bound(layer.values[key], key, place, layer.base, environ), place)
    return Setting(key, default)


def _bound(value: Any, key: str, place: str, base: Path, environ: Mapping[str, str]) -> Any:
    if isinstance(value, secrets.Written):
        return value.bind(f"{place}: {key}", base, environ)
    if (key == "layout" and is_file(value)) or key in ("purge.archive_folder", "purge.metrics_file"):
        return str(locations.placed(value, base))
    # Alembic also takes `package:folder`, which is no path.
    if key == "migrations.script_location" and ":" not in value:
        return str(locations.placed(value, base))
    return value


def is_file(layout: str) -> bool:
    """Whether a layout is named by its file, as `load_layout` tells it."""
    return "/" in layout or layout.endswith((".yaml", ".yml"))


def _defaults(data_dir: Path) -> dict[str, Any]:
    file = str(data_dir / "chatctl.db").replace("%", "%25").replace("?", "%3F")
    return {
        "layout": "native",
        "database": secrets.Secret(f"sqlite:///{file}", secrets.DATABASE),
        "redis.url": secrets.Secret("embedded", secrets.REDIS),
        "backup.store": secrets.Secret(str(data_dir / "backups"), secrets.STORE),
        "purge.retention_days": 30,
        "purge.minimum_days": 1,
        "purge.archive": "file",
        "purge.price_per_gb_month": 0.20,
        "purge.unattended": False,
        "protected": False,
        **SERVE_DEFAULTS,
    }


def _warnings(
    flags: Flags, environ: Mapping[str, str], context: str, names: Sequence[str], entries: Mapping[str, Setting]
) -> list[Notice]:
    notices = sources.passwords_in_flags(flags) + sources.misspelt_variables(environ)
    missing = sources.incomplete_tpms(environ)
    if missing and entries["permissions.database"].is_default:
        notices.append(
            Notice(
                "incomplete_variables",
                f"MYSQL_* name a permission database, but {', '.join(missing)} is missing: none is used.",
                "Set it, or CHATCTL_PERMISSIONS_DATABASE.",
            )
        )
    if names and context not in names and entries["database"].is_default:
        notices.append(
            Notice(
                "no_context_chosen",
                f"No context is chosen, and none is called '{context}': the embedded database is used.",
                f"Choose one with --context or 'context:'. There is: {', '.join(names)}.",
            )
        )
    return notices
