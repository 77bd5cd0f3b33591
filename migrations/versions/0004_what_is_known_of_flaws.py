"""What catalogues say of CVEs, and what judgements make of it.

A judgement names the class of its advisory's flaws, so that due dates can depend on whether they
are exploited; None is "nothing is known", which is true of all judgements made before.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

WORDS = ("kev", "ransomware", "exploitation", "automatable", "impact")
SCORES = ("cvss", "epss")


def word() -> sa.types.TypeEngine[str]:
    return sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "flaw_note",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("cve", word(), nullable=False),
        sa.Column("said", sa.JSON(), nullable=False),
        sa.Column("since_revision_id", sa.Integer(), nullable=False),
        sa.Column("until_revision_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_flaw_note_feed_id_feed")),
        sa.ForeignKeyConstraint(
            ["since_revision_id"],
            ["feed_revision.id"],
            name=op.f("fk_flaw_note_since_revision_id_feed_revision"),
        ),
        sa.ForeignKeyConstraint(
            ["until_revision_id"],
            ["feed_revision.id"],
            name=op.f("fk_flaw_note_until_revision_id_feed_revision"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flaw_note")),
    )
    op.create_index("ix_flaw_note_cve", "flaw_note", ["cve", "until_revision_id"])
    op.create_index("ix_flaw_note_feed", "flaw_note", ["feed_id", "until_revision_id"])
    op.create_index("ix_flaw_note_since_revision", "flaw_note", ["since_revision_id"])
    op.create_index("ix_flaw_note_until_revision", "flaw_note", ["until_revision_id"])
    op.create_table(
        "urgency_class",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, word(), nullable=False) for name in WORDS),
        *(sa.Column(name, sa.SmallInteger(), nullable=False) for name in SCORES),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_urgency_class")),
    )
    op.create_index("uq_urgency_class", "urgency_class", [*WORDS, *SCORES], unique=True)
    with op.batch_alter_table("judgement") as judgement:
        judgement.add_column(sa.Column("class_id", sa.Integer(), nullable=True))
        judgement.create_foreign_key(
            op.f("fk_judgement_class_id_urgency_class"), "urgency_class", ["class_id"], ["id"]
        )
        judgement.create_index("ix_judgement_class", ["class_id", "until"])


def downgrade() -> None:
    with op.batch_alter_table("judgement") as judgement:
        judgement.drop_index("ix_judgement_class")
        judgement.drop_constraint(op.f("fk_judgement_class_id_urgency_class"), type_="foreignkey")
        judgement.drop_column("class_id")
    op.drop_table("urgency_class")
    op.drop_table("flaw_note")
