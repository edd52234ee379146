"""A partner may add the document of a certification that it proposes, for the vendor and nobody else."""

from alembic import op

from migrations.narrowing import INSERTS, MINE

revision = "0008"
down_revision = "0007"

WAS = INSERTS["texts"][1]
PROOF = (
    f"{MINE} and kind = 'file' and subject_type = 'proposal' and app.may_tell(audience) and exists (select 1"
    " from proposals p where p.id = texts.subject_id and p.company_id = (select app.company())"
    " and p.kind = 'certification' and p.state = 'open')"
)


def upgrade() -> None:
    """Files were added to leads alone."""
    op.execute(f"alter policy app_insert on texts with check (({WAS}) or ({PROOF}))")


def downgrade() -> None:
    """Documents that are there stay: they are read by audience, as all files are."""
    op.execute(f"alter policy app_insert on texts with check ({WAS})")
