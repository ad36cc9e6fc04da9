"""An application's Alembic project, as `alembic init` makes one: twenty revisions, data migrations among them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

_INI = """
[alembic]
script_location = %(here)s/migrations
sqlalchemy.url = driver://user:pass@localhost/dbname

[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = generic
[logger_root]
level = INFO
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stdout,)
[formatter_generic]
format = %(message)s
"""

_ENV = """
from logging.config import fileConfig

from alembic import context
from sqlalchemy import engine_from_config, pool

config = context.config
if config.config_file_name is not None:
    fileConfig(config.config_file_name)
print("env.py of the application")


def run_migrations_online():
    connectable = engine_from_config(
        config.get_section(config.config_ini_section, {}), prefix="sqlalchemy.", poolclass=pool.NullPool
    )
    with connectable.connect() as connection:
        context.configure(connection=connection, target_metadata=None, version_table="shop_version")
        with context.begin_transaction():
            context.run_migrations()


def run_migrations_offline():
    context.configure(url=config.get_main_option("sqlalchemy.url"), literal_binds=True, version_table="shop_version")
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
"""

#: Upgrade and downgrade of each revision, in order.
_REVISIONS: list[tuple[str, str]] = [
    (
        'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(80)))',
        'op.drop_table("users")',
    ),
    (
        """
        users = sa.table("users", sa.column("id", sa.Integer), sa.column("name", sa.String))
        op.bulk_insert(users, [{"id": n, "name": f"First{n} Last{n}"} for n in range(1, 6)])
        """,
        'op.execute("DELETE FROM users")',
    ),
    ('op.add_column("users", sa.Column("email", sa.String(120)))', 'drop("users", "email")'),
    ('op.execute("UPDATE users SET email = LOWER(name)")', 'op.execute("UPDATE users SET email = NULL")'),
    ('op.create_index("users_email", "users", ["email"])', 'op.drop_index("users_email", "users")'),
    (
        """
        op.add_column("users", sa.Column("first", sa.String(40)))
        op.add_column("users", sa.Column("last", sa.String(40)))
        bind = op.get_bind()
        for id, name in bind.execute(sa.text("SELECT id, name FROM users WHERE last IS NULL ORDER BY id")).all():
            first, _, last = name.partition(" ")
            values = {"f": first, "l": last, "i": id}
            bind.execute(sa.text("UPDATE users SET first = :f, last = :l WHERE id = :i"), values)
        drop("users", "name")
        """,
        """
        op.add_column("users", sa.Column("name", sa.String(80)))
        bind = op.get_bind()
        for row in bind.execute(sa.text("SELECT id, first, last FROM users ORDER BY id")).mappings().all():
            values = {"n": f"{row['first']} {row['last']}", "i": row["id"]}
            bind.execute(sa.text("UPDATE users SET name = :n WHERE id = :i"), values)
        drop("users", "last")
        drop("users", "first")
        """,
    ),
    (
        """
        op.create_table(
            "orders",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id", name="orders_user"), nullable=False),
            sa.Column("total", sa.Numeric(10, 2), nullable=False),
            sa.Column("placed", sa.DateTime),
        )
        """,
        'op.drop_table("orders")',
    ),
    (
        """
        bind = op.get_bind()
        count = bind.scalar(sa.text("SELECT COUNT(*) FROM users"))
        for number in range(count * 2):
            values = {"i": number + 1, "u": number % count + 1, "t": number * 10}
            bind.execute(sa.text("INSERT INTO orders (id, user_id, total) VALUES (:i, :u, :t)"), values)
        """,
        'op.execute("DELETE FROM orders")',
    ),
    ('op.create_index("orders_user_total", "orders", ["user_id", "total"])', "pass"),
    (
        """
        with op.batch_alter_table("users") as batch:
            batch.alter_column("email", existing_type=sa.String(120), nullable=False)
        """,
        """
        with op.batch_alter_table("users") as batch:
            batch.alter_column("email", existing_type=sa.String(120), nullable=True)
        """,
    ),
    (
        """
        if "active" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("users")}:
            op.add_column("users", sa.Column("active", sa.Boolean, server_default=sa.true()))
            op.create_index("users_active", "users", ["active"])
        """,
        """
        op.drop_index("users_active", "users")
        drop("users", "active")
        """,
    ),
    (
        """
        owner, total = sa.Column("user_id", sa.Integer, primary_key=True), sa.Column("total", sa.Numeric(12, 2))
        op.create_table("totals", owner, total)
        op.execute("INSERT INTO totals (user_id, total) SELECT user_id, SUM(total) FROM orders GROUP BY user_id")
        """,
        'op.drop_table("totals")',
    ),
    (
        'op.execute("UPDATE totals SET total = total + 1")',
        'op.execute("UPDATE totals SET total = total - 1")',
    ),
    ('op.rename_table("totals", "user_totals")', 'op.rename_table("user_totals", "totals")'),
    (
        """
        op.add_column("orders", sa.Column("note", sa.Text))
        op.execute("UPDATE orders SET note = 'migrated' WHERE total > 20")
        op.add_column("orders", sa.Column("flag", sa.Integer))
        op.execute("UPDATE orders SET flag = 1 WHERE note IS NOT NULL")
        """,
        """
        drop("orders", "flag")
        drop("orders", "note")
        """,
    ),
    (
        """
        with op.batch_alter_table("orders") as batch:
            batch.alter_column("note", existing_type=sa.Text(), type_=sa.String(40), new_column_name="remark")
        """,
        """
        with op.batch_alter_table("orders") as batch:
            batch.alter_column("remark", existing_type=sa.String(40), type_=sa.Text(), new_column_name="note")
        """,
    ),
    ('op.execute(sa.text("DELETE FROM orders WHERE total = :t").bindparams(t=10))', "pass"),
    (
        """
        from sqlalchemy.orm import Session, declarative_base
        Base = declarative_base()
        class Total(Base):
            __tablename__ = "user_totals"
            user_id = sa.Column(sa.Integer, primary_key=True)
            total = sa.Column(sa.Numeric(12, 2))
        session = Session(bind=op.get_bind())
        for found in session.query(Total).order_by(Total.user_id):
            found.total = found.total * 2
        session.flush()
        op.add_column("user_totals", sa.Column("doubled", sa.Integer))
        op.execute("UPDATE user_totals SET doubled = 1")
        """,
        'drop("user_totals", "doubled")',
    ),
    ('op.drop_index("users_email", "users")', 'op.create_index("users_email", "users", ["email"])'),
    (
        'op.create_table("settings", sa.Column("k", sa.String(40), primary_key=True), sa.Column("v", sa.JSON))',
        'op.drop_table("settings")',
    ),
]  # fmt: skip

COUNT = len(_REVISIONS)

_FILE = '''"""Change number {number}."""
import sqlalchemy as sa
from alembic import op

revision = "{id}"
down_revision = {previous}
branch_labels = None
depends_on = None


def drop(table, column):
    with op.batch_alter_table(table) as batch:
        batch.drop_column(column)


def upgrade():
{upgrade}


def downgrade():
{downgrade}
'''


def revision_id(number: int) -> str:
    """The ID of revision `number`, counted from 1."""
    return f"shop{number:02d}"


def make_project(folder: Path, count: int = COUNT) -> Path:
    """Writes the project's first `count` revisions into `folder`; the script location."""
    location = folder / "migrations"
    (location / "versions").mkdir(parents=True)
    (folder / "alembic.ini").write_text(_INI)
    (location / "env.py").write_text(_ENV)
    for number, (upgrade, downgrade) in enumerate(_REVISIONS[:count], start=1):
        write_revision(location, number, upgrade, downgrade)
    return location


def write_revision(location: Path, number: int, upgrade: str, downgrade: str) -> None:
    """Writes revision `number`, made of the code of its two ways, behind the one before it."""
    previous = f'"{revision_id(number - 1)}"' if number > 1 else "None"
    body = _FILE.format(
        number=number, id=revision_id(number), previous=previous, upgrade=_body(upgrade), downgrade=_body(downgrade)
    )
    (location / "versions" / f"{revision_id(number)}_change.py").write_text(body)


def _body(code: str) -> str:
    return indent(dedent(code).strip(), "    ")
