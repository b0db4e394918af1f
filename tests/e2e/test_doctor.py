"""`carbonctl doctor` names what is wrong and says what to do: each row seeds one fault into a real daemon, broker or data
directory, and names the check, the verdict and a word of the finding. A sound installation has none of them."""
import contextlib
import datetime
import json
import os
import socket
import sqlite3
import subprocess

import pytest

from harness import CARBONCTL, TOP, Broker, Daemon, scratch, wait_until
from machine import PRIVATE

NOW = datetime.datetime.now(datetime.timezone.utc)
COUNTED = []


def iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def environment(daemon, **more):
    keys = {f"CARBOND_{name.upper().replace('.', '_')}": str(value) for name, value in daemon.settings.items()}
    return {**os.environ, **keys, "CARBOND_URL": f"http://127.0.0.1:{daemon.port}", "CARBOND_API_KEY": daemon.key or "", **more}


def doctor(daemon, prefix=(), **more):
    """check -> finding"""
    run = subprocess.run([*prefix, str(CARBONCTL), "doctor", "--json"], capture_output=True, text=True, env=environment(daemon, **more))
    assert run.stdout, run.stderr
    rows = json.loads(run.stdout)
    assert run.returncode == (1 if any(row["verdict"] == "bad" for row in rows) else 0), rows
    return {row["check"]: row for row in rows}


def named(found, check, verdict, word):
    row = found[check]
    assert row["verdict"] == verdict and word in row["detail"] and row["todo"], row
    COUNTED.append((check, word))


@pytest.fixture(scope="module")
def plant():
    """A daemon with a plant of one sensor, and what has gone wrong with both."""
    with scratch() as folder:
        broker = Broker(folder / "broker")
        daemon = Daemon(folder / "carbond", broker, {"ingest.quarantine_rows": 100, "engine.snapshot_events": 5, "store.low_water_mb": 1}).init().start()
        try:
            yield daemon, broker
        finally:
            if daemon.process.alive():
                daemon.stop()
            with contextlib.suppress(Exception):
                broker.stop()


def sensor(daemon, **more):
    unit = daemon.ctl("units", "create", "slug=u1", "name=Unit", "code=U1", "country=IS", "nameplate_kg_per_hour=62")["id"]
    point = daemon.ctl("metering-points", "create", f"unit_id={unit}", "code=C", "name=captured", "role=captured", "claimable=true", "nameplate_per_hour=60")["id"]
    return daemon.ctl("sensors", "create", f"metering_point_id={point}", "tag=FT-1", "name=flow", "quantity=mass_flow", "unit=kg/h", "sampling_period_us=1000000",
                      "range_low=0", "range_high=400", "manufacturer=Acme", "serial_number=1", *[f"{key}={value}" for key, value in more.items()])["id"]


def test_sound_installation_is_told_so(plant):
    daemon, _ = plant
    subprocess.run([str(CARBONCTL), "backup", str(daemon.folder / "backup")], env=environment(daemon), check=True, capture_output=True)
    found = doctor(daemon)
    bad = {name: row for name, row in found.items() if row["verdict"] == "bad" and name != "timers"}
    assert not bad, bad
    assert found["backup"]["verdict"] == "ok" and found["broker"]["verdict"] == "ok" and found["start"]["verdict"] == "ok"


def test_what_the_daemon_knows(plant):
    daemon, _ = plant
    sensor_id = sensor(daemon)
    day = datetime.timedelta(days=1)
    daemon.ctl("calibrations", "create", f"sensor_id={sensor_id}", "certificate=C-1", "laboratory=Lab", f"performed_at={iso(NOW - 400 * day)}",
               f"valid_from={iso(NOW - 400 * day)}", f"valid_until={iso(NOW - 35 * day)}", "factor=1", "offset=0", "uncertainty_ppm=100")
    named(doctor(daemon), "calibrations", "bad", "FT-1")

    operator = daemon.ctl("keys", "create", f"org_id={daemon.first['organisation_id']}", "label=operator", 'roles=["operator"]')["key"]

    # silent: a reading, old for a sensor of 1 Hz
    old = [{"t": iso(NOW - datetime.timedelta(hours=2)), "v": {"FT-1": 50}}]
    status, answer, _ = daemon.request("POST", "/v1/readings?unit=u1", old, key=operator)
    assert status in (200, 202) and answer["accepted"] == 1, answer
    named(doctor(daemon), "sensors", "warning", "FT-1")

    # quarantine filling: 90 of 100 rows
    base = NOW - datetime.timedelta(hours=3)
    refused = [{"t": iso(base + datetime.timedelta(seconds=i)), "v": {"FT-1": 5000 + i}} for i in range(90)]
    status, answer, _ = daemon.request("POST", "/v1/readings?unit=u1", refused, key=operator)
    assert answer["quarantined"] == 90, answer
    named(doctor(daemon), "quarantine", "bad", "90 of 100")

    # a verifier whose key has ended
    org = daemon.ctl("organisations", "create", "slug=north", "name=north", "country=IS")["id"]
    key = daemon.ctl("sign", "keygen", daemon.folder / "north.key")["key"]
    daemon.ctl("verifiers", "create", f"org_id={org}", f"key={key}", f"valid_from={iso(NOW - 400 * day)}", f"valid_to={iso(NOW - 10 * day)}")
    wait_until(lambda: doctor(daemon)["verifiers"]["verdict"] == "bad", "the view has the verifier")
    named(doctor(daemon), "verifiers", "bad", "1 have ended")

    # a snapshot that is never written: the views' file refuses it
    views = sqlite3.connect(daemon.data / "views.db")
    table = [name for (name,) in views.execute("SELECT name FROM sqlite_schema WHERE type='table' AND name LIKE '%batch%'") if name != "batches"]
    views.execute(f"CREATE TRIGGER no_snapshots BEFORE INSERT ON {table[0]} WHEN NEW.stream LIKE 'snapshot%' BEGIN SELECT RAISE(ABORT, 'no'); END")
    views.commit()
    for number in range(14):
        other = daemon.ctl("sign", "keygen", daemon.folder / f"n{number}.key")["key"]
        daemon.ctl("verifiers", "create", f"org_id={org}", f"key={other}", f"valid_from={iso(NOW - 400 * day)}", f"valid_to={iso(NOW + 400 * day)}")
    named(doctor(daemon), "snapshot", "warning", "events since the newest snapshot")
    views.execute("DROP TRIGGER no_snapshots")
    views.commit()
    views.close()

    # the last backup is three days old
    (daemon.data / "last-backup").write_text(iso(NOW - 3 * day) + "\n")
    named(doctor(daemon), "backup", "bad", "last backup")
    (daemon.data / "last-backup").unlink()
    named(doctor(daemon), "backup", "warning", "no backup")

    # wrong key; no way to the admin socket
    named(doctor(daemon, CARBOND_API_KEY="cck_00000000000000000000000000_x"), "api key", "bad", "not accepted")
    named(doctor(daemon, CARBOND_SOCKET=str(daemon.folder / "nowhere.sock")), "admin socket", "warning", "nowhere.sock")


def test_what_the_machine_says(plant):
    daemon, broker = plant
    named(doctor(daemon, prefix=["prlimit", "--nofile=500:500"]), "open files", "warning", "500")
    named(doctor(daemon, CARBOND_STORE_LOW_WATER_MB="1048576"), "disk space", "bad", "MB free")
    named(doctor(daemon, CARBOND_HTTP_THREADS="1000"), "configuration", "bad", "http.threads")

    # watchdog too short: a unit file where the administrator's stand
    unit = (TOP / "config/systemd/carbond.service").read_text().replace("WatchdogSec=30", "WatchdogSec=2")
    (daemon.folder / "carbond.service").write_text(unit)
    prefix = ["unshare", "--mount", "--propagation", PRIVATE, "sh", "-c", "mkdir -p /run/systemd && mount -t tmpfs none /run/systemd && mkdir /run/systemd/system && mount -t tmpfs none /etc/systemd && "
              f"mkdir -p /etc/systemd/system && cp {daemon.folder}/carbond.service /etc/systemd/system/ && exec \"$@\"", "sh"]
    named(doctor(daemon, prefix=prefix), "watchdog", "bad", "WatchdogSec is 2 s")

    # the data directory: entered by others; a file that is another user's
    os.chmod(daemon.data, 0o755)
    named(doctor(daemon), "data folder", "bad", "can be entered by others")
    os.chmod(daemon.data, 0o700)
    os.chown(daemon.data / "node.json", 12345, -1)
    named(doctor(daemon), "data folder", "bad", "is not its owner's")
    os.chown(daemon.data / "node.json", os.geteuid(), -1)

    # broker: a password that it does not take; down
    with scratch() as folder:
        (folder / "passwords").write_text("")
        subprocess.run(["mosquitto_passwd", "-b", str(folder / "passwords"), "carbond", "right"], check=True, capture_output=True)
        os.chmod(folder, 0o755)
        os.chmod(folder / "passwords", 0o644)
        locked = Broker(folder / "broker", extra=f"password_file {folder}/passwords\nallow_anonymous false")
        (folder / "wrong").write_text("wrong\n")
        os.chmod(folder / "wrong", 0o600)
        named(doctor(daemon, CARBOND_MQTT_PORT=str(locked.port), CARBOND_MQTT_USERNAME="carbond", CARBOND_MQTT_PASSWORD_FILE=str(folder / "wrong")),
              "broker", "bad", "uthori")
        locked.stop()
        named(doctor(daemon, CARBOND_MQTT_PORT=str(locked.port)), "broker", "bad", str(locked.port))


def test_daemon_that_is_not_ready_or_not_there(plant):
    daemon, broker = plant
    broker.stop()
    wait_until(lambda: doctor(daemon)["ready"]["verdict"] == "bad", "carbond notices that the broker is gone")
    named(doctor(daemon), "ready", "bad", "not ready")
    assert daemon.stop() == 0
    named(doctor(daemon), "daemon", "bad", "127.0.0.1")

    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", daemon.port))
        other.listen()
        named(doctor(daemon), "daemon", "bad", "taken")

    # keys that others can read; keys that are gone; shipped files that are gone
    os.chmod(daemon.data / "seal.keys", 0o644)
    named(doctor(daemon), "start", "bad", "seal.keys")
    os.chmod(daemon.data / "seal.keys", 0o600)
    (daemon.data / "checkpoint.key").rename(daemon.data / "kept.key")
    named(doctor(daemon), "start", "bad", "checkpoint.key")
    (daemon.data / "kept.key").rename(daemon.data / "checkpoint.key")

    # data of a newer version
    store = sqlite3.connect(daemon.data / "value.db")
    store.execute("INSERT INTO store_migrations SELECT 99, '0099-future.sql', sum, applied_at_us FROM store_migrations LIMIT 1")
    store.commit()
    store.close()
    named(doctor(daemon), "start", "bad", "0099-future.sql")


def test_twenty_faults_were_named():
    print(f"\n{len(set(COUNTED))} seeded faults named of 20 asked")
    assert len(set(COUNTED)) >= 20, COUNTED
