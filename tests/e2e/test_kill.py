"""The kill −9 campaign, as many points of it as fit its minutes (decision 30); `./dev campaign kill` runs 1,000. And what it
has found, by name."""
import kill
from campaign import World, iso, send_columns
from harness import scratch

SECONDS, POINTS = 100, 100


def test_nothing_acknowledged_is_lost_or_doubled_by_kill(capsys):
    """P1–P4, P6–P8, P11, P12, P14 after kill −9 amid every kind of work."""
    with capsys.disabled():
        print()
        kill.run(POINTS, SECONDS)


def test_a_dry_run_of_a_new_plant_looks_back_over_its_empty_months_in_time():
    """A gap makes the substitution look back three months: of a plant without a past it asked hour by hour, for half a minute."""
    with scratch() as folder:
        world = World(folder, 1)
        try:
            chunk = world.chunk()
            send_columns(world.daemon, world, world.truth(chunk), lambda tag, at: tag not in ("FT-101", "AT-101") or at >= chunk[0] + 2000 * 1_000_000)
            period = world.story.period(iso(chunk[0]), iso(chunk[1]))
            status, answer, _ = world.daemon.request("GET", f"/v1/periods/{period}/dry-run", key=world.story.keys["operator"])
            assert status == 200 and answer["parts"][0]["kg"] > 0, answer
        finally:
            world.stop()
