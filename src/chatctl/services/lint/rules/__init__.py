"""Our own rules, one module each: check, fix and page of the docs together."""

from __future__ import annotations

from chatctl.services.lint import squawk
from chatctl.services.lint.rules import (
    batch_copy,
    blocking_lock,
    charset_conversion,
    check_on_new_column,
    check_validated,
    column_order,
    drop_in_use,
    foreign_key_validated,
    instant_lost,
    not_null_check,
    not_null_without_default,
    primary_key_change,
    refused_algorithm,
    rename_in_use,
    rewriting_command,
    serial_column,
    several_alters,
    table_copy,
    table_rebuild,
    unknown_column,
    varchar_growth,
)
from chatctl.services.lint.rules.base import Rule

RULES: tuple[Rule, ...] = tuple(
    module.RULE
    for module in (
        table_copy,
        table_rebuild,
        blocking_lock,
        column_order,
        primary_key_change,
        foreign_key_validated,
        check_validated,
        charset_conversion,
        varchar_growth,
        not_null_without_default,
        drop_in_use,
        rename_in_use,
        instant_lost,
        unknown_column,
        batch_copy,
        serial_column,
        check_on_new_column,
        not_null_check,
        rewriting_command,
        several_alters,
        refused_algorithm,
    )
)


def rule_names() -> frozenset[str]:
    """Every name that an allowance may give: ours and those of squawk's rules that count."""
    return frozenset({rule.name for rule in RULES} | squawk.RULES.keys())
