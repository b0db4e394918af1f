"""How long carbond takes from its start to the first 200 of /readyz: empty, over a journal of a million records, and over the
same with a snapshot. Each data directory was started and stopped once before, so that nothing but the start is measured."""
import http.client
import pathlib
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/e2e"))
from harness import BUILD, CARBOND, Daemon, Process, scratch, wait_until  # noqa: E402
from say import say  # noqa: E402

EVENTS, ROUNDS = 1000000, 3


def start_s(daemon):
    """One start and stop; seconds until it was ready, and of processor time until then."""
    begin = time.monotonic()
    daemon.process = Process([CARBOND, "run", *daemon.flags()], daemon.folder / "log")
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                break
        except OSError:
            assert daemon.process.alive(), daemon.process.text()[-3000:]
            time.sleep(0.001)
        finally:
            connection.close()
    taken_s = time.monotonic() - begin
    fields = pathlib.Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    assert daemon.stop() == 0, daemon.process.text()[-3000:]
    return taken_s, (int(fields[11]) + int(fields[12])) / 100


def median(daemon):
    return sorted(start_s(daemon) for _ in range(ROUNDS))[ROUNDS // 2]


def settle(daemon, until=lambda: True):
    daemon.start()
    wait_until(until, "the daemon has settled", 300)
    daemon.stop()


def main():
    with scratch() as folder:
        daemon = Daemon(folder, settings={"engine.snapshot_events": 100 * EVENTS}).init()
        settle(daemon)
        empty = median(daemon)
        subprocess.run([BUILD / "bench/engine_bench", "fill", daemon.data, daemon.first["registry"], str(EVENTS)], check=True, stdout=subprocess.DEVNULL)
        head = lambda: daemon.metric("carbond_engine_position") >= EVENTS  # noqa: E731
        settle(daemon, head)
        journal = median(daemon)
        daemon.settings["engine.snapshot_events"] = EVENTS // 2
        settle(daemon, lambda: daemon.metric("carbond_engine_snapshots_total") >= 1)
        snapshot = median(daemon)
    say("what", "from the start of the process to the first 200 of /readyz")
    say("how", f"the real daemon without a broker; medians of {ROUNDS} starts; processor time of the process until then")
    say("measured", f"empty {1000 * empty[0]:.0f} ms ({1000 * empty[1]:.0f} ms); {EVENTS:,} journal records {1000 * journal[0]:.0f} ms "
                    f"({1000 * journal[1]:.0f} ms), with a snapshot {1000 * snapshot[0]:.0f} ms ({1000 * snapshot[1]:.0f} ms)")
    verdict = [f"{most} ms: {'met' if 1000 * got[0] < most else 'missed'}" for got, most in ((empty, 100), (journal, 2000), (snapshot, 500))]
    say("target", f"empty in less than {verdict[0]}; without a snapshot {verdict[1]}; with one {verdict[2]}")
    say("limits", "decoding, checking and applying every record; see docs/BENCHMARKS.md")


if __name__ == "__main__":
    main()
