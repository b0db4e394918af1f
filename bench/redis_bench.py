"""Commands (transfers over REST) at a steady rate, with the cache shared by a real Redis: while nothing is wrong, and while Redis
is killed and started again, stopped for five seconds, flushed all the time, and gone with a server in its place that answers
nonsense. No command waits for Redis, so none of it should show. What a command does wait for is said beside it: the disk, by the store's
commits and by bare ones of the same folder, and a core, by the kernel's account of each thread."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/e2e"))
from harness import wait_until  # noqa: E402
from say import say  # noqa: E402
from story import uuid7  # noqa: E402
from test_main_job import issued_world  # noqa: E402
from test_redis import PASSWORD, Redis, scratch  # noqa: E402

RATE, SENDERS, SECONDS = 200, 20, 10  # so many that the rate is kept while an answer takes up to 100 ms


def sender(world, number, begin, times):
    connection = http.client.HTTPConnection("127.0.0.1", world.daemon.port, timeout=30)
    for turn in range(RATE // SENDERS * SECONDS):
        due = begin + (turn * SENDERS + number) / RATE
        time.sleep(max(0.0, due - time.monotonic()))
        taker, key = (("globex", "trader"), ("acme", "buyer"))[turn % 2]  # there, and back
        body = json.dumps({"to_org_id": world.orgs[taker], "batch": world.issued["number"], "kg": 1})
        connection.request("POST", "/v1/transfers", body, {"Authorization": f"Bearer {world.keys[key]}", "Content-Type": "application/json",
                                                           "Idempotency-Key": uuid7()})
        answer = connection.getresponse()
        text = answer.read()
        times.append((time.monotonic() - due, answer.status, text))


def syncs(folder, end, longest):
    """What the disk takes for a block that is written and made durable, ten times a second beside the commands."""
    file = os.open(folder / "bare", os.O_CREAT | os.O_WRONLY, 0o600)
    while not end.wait(0.1):
        begin = time.monotonic()
        os.pwrite(file, b"x" * 4096, 0)
        os.fdatasync(file)
        longest[0] = max(longest[0], time.monotonic() - begin)
    os.close(file)


def longest_of(before, after, name):
    """Upper end in seconds of the highest bucket of a histogram that anything fell into."""
    tops = lambda text: {top: int(count) for top, count in re.findall(rf'^{name}_bucket{{le="([^"]+)"}} (\d+)$', text, re.M)}
    then, now, below, longest = tops(before), tops(after), 0, 0.0
    for top, count in now.items():
        count -= then[top]
        if count > below:
            longest = float(top)
        below = count
    return longest


def waited_for_a_core(pid):
    """Seconds of each thread by its number and name."""
    waits = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            waits[task.name, (task / "comm").read_text().strip()] = int((task / "schedstat").read_text().split()[1]) / 1e9
    return waits


def transfers(world, fault):
    """(p50, p99, what the commands waited for) of the answers' times in ms, from when each was due; all are 2xx."""
    times, end, bare, daemon = [], threading.Event(), [0.0], world.daemon
    before, cores = daemon.get("/metrics").decode(), waited_for_a_core(daemon.process.pid)
    begin = time.monotonic() + 0.1
    threads = [threading.Thread(target=sender, args=(world, number, begin, times)) for number in range(SENDERS)]
    beside = [threading.Thread(target=fault, args=(end,)), threading.Thread(target=syncs, args=(daemon.folder, end, bare))]
    for thread in threads + beside:
        thread.start()
    for thread in threads:
        thread.join()
    end.set()
    for thread in beside:
        thread.join()
    bad = [(status, text) for _, status, text in times if status not in (200, 201)]
    assert not bad and len(times) == RATE * SECONDS, (bad[:3], len(times))
    took = sorted(seconds for seconds, _, _ in times)
    after, late = daemon.get("/metrics").decode(), {key: wait - cores.get(key, 0) for key, wait in waited_for_a_core(daemon.process.pid).items()}
    (_, slowest), wait = max(late.items(), key=lambda item: item[1])
    told = (f"slowest {took[-1] * 1000:.0f} ms; longest commit of the engine ≤ {longest_of(before, after, 'carbond_engine_commit_seconds'):g} s, of a durable file "
            f"≤ {longest_of(before, after, 'carbond_store_sync_seconds'):g} s, bare write and fdatasync beside it {bare[0]:.2f} s; "
            f"waited for a core: {slowest} {wait:.2f} s of {time.monotonic() - begin:.0f} s")
    return took[len(took) // 2] * 1000, took[len(took) * 99 // 100] * 1000, told


def killed(redis):
    def fault(end):
        while not end.is_set():
            redis.process.kill(signal.SIGKILL)
            end.wait(2)
            redis.start()
            end.wait(2)
    return fault


def stopped(redis):
    def fault(end):
        redis.process.process.send_signal(signal.SIGSTOP)
        end.wait(5)
        redis.process.process.send_signal(signal.SIGCONT)
    return fault


def flushed(redis):
    def fault(end):
        with socket.create_connection(("127.0.0.1", redis.port)) as sock:
            sock.sendall(f"AUTH {PASSWORD}\r\n".encode())
            sock.recv(100)
            while not end.wait(0.05):
                sock.sendall(b"FLUSHALL\r\n")
                sock.recv(100)
    return fault


def nonsense(redis):
    def fault(end):
        redis.process.kill(signal.SIGKILL)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", redis.port))
        listener.listen()
        listener.settimeout(0.1)
        while not end.is_set():
            with contextlib.suppress(OSError):
                sock = listener.accept()[0]
                sock.sendall(b"$-7\r\n*99999999\r\n:x\r\n" * 50)
                sock.close()
        listener.close()
        redis.start()
    return fault


def main():
    with scratch() as folder:
        redis = Redis(folder / "redis")
        try:
            with issued_world({**redis.settings(), "log.level": "error"}) as world:
                say("what", f"transfers over REST at {RATE}/s, the cache shared by Redis, while Redis fails")
                say("how", f"{SENDERS} connections of one Python client, {SECONDS} s each; an answer's time runs from when its command was due; load {os.getloadavg()[0]:.1f}")
                shared = lambda: world.daemon.metric("carbond_cache_redis_connections") == 2
                cases = {"nothing": lambda end: None, "killed every 4 s": killed(redis), "stopped for 5 s": stopped(redis), "flushed 20 times a second": flushed(redis),
                         "nonsense in its place": nonsense(redis), "nothing, again": lambda end: None}
                found = {}
                for name, fault in cases.items():
                    wait_until(shared, "Redis answers")
                    found[name] = transfers(world, fault)
                    say("measured" if name == "nothing" else "beside" if name == "nothing, again" else "", f"{name}: p50 {found[name][0]:.2f} ms, p99 {found[name][1]:.2f} ms; {found[name][2]}")
                normal = max(found.pop("nothing")[1], found.pop("nothing, again")[1])
                worst = max(p99 for _, p99, _ in found.values())
                say("target", f"p99 below twice the normal: {worst / normal:.2f} times, {'met' if worst < 2 * normal else 'missed'}; all commands carried out, "
                              f"{world.daemon.metric('carbond_engine_unbalanced_kilograms'):.0f} kg unbalanced")
        finally:
            with contextlib.suppress(ProcessLookupError, subprocess.SubprocessError):
                redis.process.kill(signal.SIGKILL)


if __name__ == "__main__":
    main()
