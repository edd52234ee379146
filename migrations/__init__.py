"""Database migrations (Alembic); `portal.bootstrap` runs them under an advisory lock."""
