"""A client of server-sent events as one behind a balancer is: it reads a stream of one of several daemons, and when that is silent, breaks
off or ends, it goes on at the next one behind the last position that it has heard of (Last-Event-ID)."""
import contextlib
import http.client
import json
import threading
import traceback

from harness import wait_until

SILENCE_SECONDS = 3  # longer, and the daemon is given up


class Watcher:
    def __init__(self, nodes, path, key, at=None):
        """`at`: the number of the daemon to begin with."""
        self.nodes, self.path, self.key, self.turn = nodes, path, key, at or 0
        self.frames, self.last, self.resumed, self.refused, self.failure = [], None, 0, {}, None
        self.begun, self.ended = threading.Event(), False
        self.node = self.connection = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.ended:
                self.node = self.nodes[self.turn % len(self.nodes)]
                self.turn += 1
                with contextlib.suppress(OSError, http.client.HTTPException, ValueError, AttributeError):  # the last two: broken off in mid-frame
                    self.follow()
                threading.Event().wait(0.05)
        except Exception:  # told by the main thread
            self.failure = traceback.format_exc()

    def follow(self):
        self.connection = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=SILENCE_SECONDS)
        try:
            headers = {"Authorization": f"Bearer {self.key}", "Accept": "text/event-stream"}
            if self.last is not None:
                headers["Last-Event-ID"] = str(self.last)
            self.connection.request("GET", self.path, headers=headers)
            answer = self.connection.getresponse()
            if answer.status != 200:
                self.refused[answer.status] = self.refused.get(answer.status, 0) + 1
                answer.read()
                return
            self.resumed += self.last is not None
            self.read(answer)
        finally:
            self.connection.close()

    def read(self, answer):
        """An event counts when all of its frames are there: the last of them bears the position."""
        frame, event = {}, []
        while not self.ended:
            line = answer.readline().decode()
            if not line.endswith("\n"):
                return
            line = line.rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                frame[name] = value
                continue
            if "event" in frame:
                event.append((frame["event"], json.loads(frame["data"])))
            if "id" in frame:
                self.last = int(frame["id"])
                self.frames += [(self.last, *told) for told in event]
                self.begun.set()
                event = []
            frame = {}

    def events(self, *names):
        """[(position, data)] of those names, as they came."""
        return [(position, data) for position, name, data in list(self.frames) if name in names]

    def __str__(self):
        counts = {name: sum(told == name for _, told, _ in self.frames) for name in sorted({name for _, name, _ in self.frames})}
        return f"{self.path} at {self.node.name}, last {self.last}, resumed {self.resumed} times, refused {self.refused}, has {counts} {self.failure or ''}"

    def end(self):
        self.ended = True
        with contextlib.suppress(OSError, AttributeError):
            self.connection.sock.shutdown(2)
        self.thread.join(2 * SILENCE_SECONDS)
        assert not self.failure, self.failure


def wait_told(watchers, condition, what):
    """As wait_until, and says what was told instead."""
    try:
        wait_until(lambda: any(watcher.failure for watcher in watchers) or condition(), what)
        assert not any(watcher.failure for watcher in watchers), "a watcher has failed"
    except AssertionError as error:
        raise AssertionError("\n".join([str(error), *map(str, watchers)])) from None
