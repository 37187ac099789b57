"""Run by alembic. The connection is given by hub.store.schema: there is no alembic.ini and no second way in."""

from alembic import context

from hub.store.tables import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
