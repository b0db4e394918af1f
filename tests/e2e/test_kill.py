"""The kill −9 campaign, as many points of it as fit its minutes (decision 30); `./dev campaign kill` runs 1,000."""
import kill

SECONDS, POINTS = 100, 100


def test_nothing_acknowledged_is_lost_or_doubled_by_kill(capsys):
    """P1–P4, P6–P8, P11, P12, P14 after kill −9 amid every kind of work."""
    with capsys.disabled():
        print()
        kill.run(POINTS, SECONDS)
