"""The whole schema of the first version."""

from alembic import op

from scheduler.store.migration import execute_file

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    for part in ("tables", "triggers", "access", "functions", "worker_protocol", "views", "alerts"):
        execute_file(op.get_bind(), f"{revision}_{part}.sql")
    op.create_table_comment("scheduler_version", "The revision that these tables are at. Kept by `scheduler migrate`.")
    op.execute("COMMENT ON COLUMN scheduler_version.version_num IS 'Four digits, as in the names of the migrations.'")


def downgrade() -> None:
    execute_file(op.get_bind(), f"{revision}_drop.sql")
