"""Alembic's migrations, run by `tovholder migrate` (hub.store.schema)."""
