"""Backups know no back end (issue 6, items 6 and 7; P14): a backup of MongoDB under load is restored to SQLite at a random position and
from there to MongoDB again, with the state, roots and lines that the original had; a store is moved between them, also killed in
between, and nothing forks."""
import random
import signal
import subprocess

from harness import CARBOND, TOP, Daemon, mongo_server, scratch, wait_until
from story import Story
from test_restore import SEED, journal, restore, restored, same_as_there, world

SQLITE = {"store.uri": "sqlite:"}
assert world  # the fixture


def databases():
    names = "import sys, pymongo; print(*pymongo.MongoClient(sys.argv[1]).list_database_names())"
    run = subprocess.run([TOP / ".deps/venv/bin/python", "-c", names, mongo_server().new_uri()], capture_output=True, text=True, check=True)
    return run.stdout.split()


def transfer(world, daemon, folder):
    story = Story(daemon, folder)
    story.keys = world.keys
    return story.post("/v1/transfers", {"to_org_id": world.orgs["globex"], "batch": world.issued["number"], "kg": 1}, key="trader")


def goes_on(daemon, lines, more):
    """Its journal is these lines, and so many behind them."""
    found = journal(daemon)[1]
    assert found[:len(lines)] == lines and len(found) == len(lines) + more, (len(lines), found[len(lines):])


def test_from_mongodb_to_sqlite_and_back_at_a_random_position(world):
    chosen = random.Random(SEED).randrange(world.issued["position"], world.issued["position"] + 60)
    with restored(world, "--position", chosen, "--reason", "across", settings=SQLITE) as (daemon, said, folder):
        assert said["position"] <= chosen and said["lost_events"] > 0, (SEED, said)
        same_as_there(world, daemon, said, folder)
        transfer(world, daemon, folder)
        daemon.ctl("backup", "--socket", daemon.data / "admin.sock", folder / "again", "--with-keys")
        head, lines = journal(daemon)
        other = Daemon(folder / "other")
        again = restore(other, folder / "again")
        other.key, other.first = daemon.key, daemon.first
        other.start()
        try:
            assert (again["position"], again["lost_events"]) == (lines[-1][0], 0)
            goes_on(other, lines, 2)  # it was restored, and took the lead
            assert transfer(world, other, folder)["position"] > again["record"]
        finally:
            assert other.stop() == 0, other.process.text()[-3000:]


def test_the_drill_on_mongodb_measures_and_leaves_nothing(world):
    run = subprocess.run([str(CARBOND), "restore", str(world.backup), *world.daemon.flags(), "--drill"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "lead to the roots of the last checkpoint" in run.stdout and "RTO" in run.stdout
    assert not [name for name in databases() if name.endswith("_drill")]
    assert world.daemon.ready()  # it ran beside the live one


def migrate(daemon, source, target):
    return [str(CARBOND), "migrate-store", *daemon.flags(), source, target, "--json"]


def test_a_store_moves_killed_in_between_and_nothing_forks(world):
    with restored(world, settings=SQLITE) as (daemon, _, folder):
        before = journal(daemon)
        assert daemon.stop() == 0
        there = mongo_server().new_uri()
        refused = subprocess.run(migrate(world.daemon, world.daemon.settings["store.uri"], there), capture_output=True, text=True)
        assert refused.returncode == 1 and "stop it first" in refused.stderr, refused.stderr
        child = subprocess.Popen(migrate(daemon, "sqlite:", there), stdout=subprocess.DEVNULL)
        wait_until(lambda: there.split("/")[-1].split("?")[0] in databases(), "it has begun")
        child.send_signal(signal.SIGKILL)
        child.wait(30)
        run = subprocess.run(migrate(daemon, "sqlite:", there), capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        for file in daemon.data.glob("*.db*"):
            file.unlink()
        daemon.settings["store.uri"] = there
        daemon.start()
        goes_on(daemon, before[1], 1)  # it took the lead
        moved = transfer(world, daemon, folder)
        assert moved["position"] > before[1][-1][0]
        assert daemon.stop() == 0
        run = subprocess.run(migrate(daemon, there, "sqlite:"), capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        daemon.settings["store.uri"] = "sqlite:"
        daemon.start()
        goes_on(daemon, before[1], 2)  # the lead there, and the transfer
        assert transfer(world, daemon, folder)["position"] > moved["position"]
