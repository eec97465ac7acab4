"""${message}"""

from alembic import op

from scheduler.store.migration import execute_file

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}

# A new revision is a number of four digits (alembic revision --rev-id 0002 -m "..."), two files in migrations/sql, the
# same change in scheduler/store/schema.py, HEAD in scheduler/store/revision.py, and schema.sql written anew.


def upgrade() -> None:
    execute_file(op.get_bind(), f"{revision}_up.sql")


def downgrade() -> None:
    execute_file(op.get_bind(), f"{revision}_down.sql")
