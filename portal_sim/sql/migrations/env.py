"""Run by alembic: it migrates over the connection that `portal_sim.sql.schema` hands in, all steps in one transaction."""

from alembic import context

from portal_sim.sql.tables import metadata

# SQLite's DDL is transactional too, once the driver begins no transactions of its own.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
