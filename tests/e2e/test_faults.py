"""Decision 9 from outside: seeded faults inside the running daemon, and a file system that is really full."""
import os
import subprocess
import threading

import pytest

import faults
from harness import scratch, wait_until

POINTS, SECONDS = 22, 20
DISK_MB = 96


def test_nothing_acknowledged_is_lost_or_doubled_by_a_failed_call(capsys):
    with capsys.disabled():
        print()
        faults.run(POINTS, SECONDS)


@pytest.fixture
def small_disk():
    """A file system of its own, which a test can fill."""
    with scratch() as folder:
        disk = folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "carbond-test", str(disk)], capture_output=True, text=True)
        if mounted.returncode:
            pytest.skip(f"NOT RUN, a full file system was not tried: {mounted.stderr.strip()}")
        try:
            yield folder, disk
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=True)


class Filler:
    """Takes every byte that is free, and those that become free, until it is told to give them back."""

    def __init__(self, path):
        self.path, self.stopping = path, threading.Event()
        self.thread = threading.Thread(target=self.fill)

    def fill(self):
        with open(self.path, "wb", buffering=0) as file:
            while not self.stopping.is_set():
                try:
                    file.write(bytes(1 << 16))
                except OSError:  # full
                    try:
                        file.write(bytes(1 << 12))
                    except OSError:
                        self.stopping.wait(0.005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        self.path.unlink()


def test_a_full_file_system_refuses_and_goes_on(small_disk):
    """507, no PUBACK and not ready while there is no space, wherever a write met the end of it; everything is taken afterwards,
    once."""
    folder, disk = small_disk
    load = faults.Load(folder, days=1, settings={"data_dir": disk / "data", "store.low_water_mb": 1})
    daemon = load.daemon
    try:
        for full_first in (False, True):
            load.refusals.clear()
            refused = daemon.metric("carbond_mqtt_refused_batches_total")
            with Filler(disk / "filler"):
                if full_first:
                    wait_until(lambda: daemon.request("GET", "/readyz")[0] == 503, "it is not ready")
                load.round()
                wait_until(lambda: daemon.request("GET", "/readyz")[0] == 503, "it is not ready")
                assert "space" in str(daemon.request("GET", "/readyz")[1])
                assert os.statvfs(disk).f_bavail < 256
                if full_first:
                    status, answer = load.attempt("POST", "/v1/readings?unit=sweep", load.readings(0))
                    assert status == 507 and answer["type"].endswith("no-space")
                    assert load.refusals[(507, "no-space")] >= load.POSTS + load.TRANSFERS
                    wait_until(lambda: daemon.metric("carbond_mqtt_refused_batches_total") > refused, "the batch is held")
                    assert load.stored(1) == []
                assert {refusal[1] for refusal in load.refusals} <= faults.FULL, load.refusals
                assert daemon.process.alive()
            wait_until(daemon.ready, "it is ready again")
            load.settle()
        assert daemon.stop() == 0
        load.start()  # and it is all there from what lies on the disk
        load.round()
        load.settle()
    finally:
        load.end()
