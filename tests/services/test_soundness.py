"""``patchmgr db check`` on a database in which somebody changed a row by hand."""

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from patchmgr.cli import main
from patchmgr.cli.app import App


@pytest.fixture
def check(fleet, tmp_path):
    """Return what the command says: exit code, and its lines."""

    def check():
        app = App({"PATCHMGR_HOME": str(tmp_path), "PATCHMGR_DATABASE_URL": fleet.db.url})
        result = CliRunner().invoke(main, ["db", "check"], obj=app, catch_exceptions=False)
        return result.exit_code, result.output

    return check


@pytest.fixture
def damage(fleet):
    """Change rows behind the service's back, past what the database itself would refuse."""

    def damage(statement):
        with fleet.db.engine.connect() as connection:
            if fleet.db.is_sqlite:
                raw = connection.connection.driver_connection
                raw.rollback()  # the setting has no effect within a transaction
                raw.execute("PRAGMA foreign_keys=OFF")
                for trigger in ("audit_entry_stays", "audit_entry_keeps"):
                    raw.execute(f"DROP TRIGGER {trigger}")
                changed = raw.execute(statement).rowcount
                raw.execute("PRAGMA foreign_keys=ON")
                raw.execute("BEGIN")
            else:
                connection.execute(text("SET session_replication_role = replica"))
                changed = connection.execute(text(statement)).rowcount
                connection.commit()
                connection.execute(text("SET session_replication_role = origin"))
        assert changed > 0

    return damage


ONE = "WHERE id = (SELECT min(id) FROM {0})"
DAMAGES = {  # statement -> what is said of it
    "UPDATE package_version SET version = '0' " + ONE.format("package_version"): "package version",
    "UPDATE package_set SET size = size + 1": "package set",
    "UPDATE package_set SET digest = (SELECT digest FROM package_version LIMIT 1)": "package set",
    "UPDATE host SET package_set_id = NULL " + ONE.format("host"): "the history of host",
    "DELETE FROM host_package_set " + ONE.format("host_package_set"): "the history of host",
    "UPDATE host_package_set SET until = since, since = since + 1": "ends before it begins",
    "UPDATE version_count SET hosts = hosts + 1": "patchmgr db recount",
    "DELETE FROM software WHERE name = 'curl'": "patchmgr db recount",
    "UPDATE host_count SET open_findings = open_findings + 1": "open findings, not",
    "UPDATE host_count SET high = high - 1": "high, not",
    "DELETE FROM host_count": "patchmgr scan --full",
    "DELETE FROM exposure": "patchmgr scan --full",
    "UPDATE judgement SET status = 'undetermined'": "patchmgr scan --full",
    "UPDATE advisory SET title = 'x' " + ONE.format("advisory"): "was changed after it came",
    "UPDATE fix SET fixed = '0' " + ONE.format("fix"): "was changed after it came",
    "DELETE FROM fix " + ONE.format("fix"): "refers to a missing fix",
    "UPDATE plan_change SET to_version = '9' " + ONE.format("plan_change"): "the content of plan",
    "DELETE FROM plan_item " + ONE.format("plan_item"): "the content of plan",
    "UPDATE plan SET approvals_needed = 0": "the content of plan",
    "UPDATE plan SET content_hash = 'x'": "the content of plan",
    "UPDATE audit_entry SET actor = 'nobody' " + ONE.format("audit_entry"): "the audit log",
    "DELETE FROM audit_entry " + ONE.format("audit_entry"): "the audit log",
    "DELETE FROM host " + ONE.format("host"): "refers to a missing host",
    "DELETE FROM package_set " + ONE.format("package_set"): "refers to a missing package_set",
    "DELETE FROM advisory " + ONE.format("advisory"): "refers to a missing advisory",
}


def test_what_the_service_wrote_is_sound(fleet, check):
    plan = fleet.started()
    fleet.report(plan, "c1", "c2")
    fleet.tick()
    fleet.do("cancel", fleet.create(), reason="not now")

    assert check() == (0, "the database is sound: schema, data, counts, audit log\n")


@pytest.mark.parametrize(("statement", "said"), DAMAGES.items())
def test_a_row_that_was_changed_by_hand_is_named_with_what_to_do(
    fleet, check, damage, statement, said
):
    fleet.create()

    damage(statement)

    code, output = check()
    assert code == 1
    assert said in output
    assert all(line.startswith("patchmgr: ") for line in output.splitlines())
