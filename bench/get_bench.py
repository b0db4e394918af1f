"""Starts carbond with one unit and its usual log, and lets get_bench read that unit."""
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/e2e"))
from harness import BUILD, Daemon, scratch  # noqa: E402
from say import say  # noqa: E402

THREADS = 2
UNIT = {"slug": "dac-1", "code": "DAC1", "name": "Bench", "country": "IS", "nameplate_kg_per_hour": 1000}


def main():
    with scratch() as folder:
        daemon = Daemon(folder, settings={"http.threads": THREADS, "http.key_rate": 1000000, "http.key_burst": 1000000000}).init().start()
        try:
            status, unit, _ = daemon.request("POST", "/v1/units", UNIT)
            assert status == 201, unit
            subprocess.run([BUILD / "bench/get_bench", str(daemon.port), str(daemon.process.pid), f"/v1/units/{unit['id']}", daemon.key, str(THREADS)], check=True)
            say("limits", "a request's line in the log, its answer's five headers, the key's hash; see docs/BENCHMARKS.md")
        finally:
            daemon.stop()


if __name__ == "__main__":
    main()
