"""The schema's history, for alembic: each version is a file in `versions/`, and none is ever changed once it was released."""
