"""What stands between carbond and its broker in the tests of broker faults: a TCP proxy in front of a real mosquitto that
delays, trickles, cuts and refuses; and, because no real broker does such things, a peer that answers with wrong packets."""
import contextlib
import socket
import struct
import threading
import time

from harness import free_port

DOWN, UP = "to carbond", "to the broker"


class Proxy:
    """Takes carbond's connections on `port`. `serve(proxy, client)` says what is done with one; `relay` is the usual thing,
    and `tamper(direction, data, state)` may then change, delay or (None) cut what flows; `state` is a dict a connection."""

    def __init__(self, target):
        self.target, self.port = target, free_port()
        self.serve, self.tamper, self.attempts, self.answered = relay, None, [], 0
        self.listener, self.sockets, self.lock, self.pace = None, set(), threading.Lock(), threading.Event()
        self.open()

    def open(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(16)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._run, args=(client,), daemon=True).start()

    def _run(self, client):
        self.keep(client)
        with contextlib.suppress(OSError):
            if first := client.recv(1, socket.MSG_PEEK):  # nothing: only a knock
                assert first == b"\x10"
                self.attempts.append(time.monotonic())
                self.serve(self, client)
        self.drop(client)

    def keep(self, sock):
        with self.lock:
            self.sockets.add(sock)

    def drop(self, sock):
        with self.lock:
            self.sockets.discard(sock)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()

    def cut(self):
        """Ends every connection there is."""
        with self.lock:
            for sock in self.sockets:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        """Nobody listens any more: connections are refused."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()


def relay(proxy, client):
    broker = socket.create_connection(("127.0.0.1", proxy.target))
    broker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    proxy.keep(broker)
    state = {}
    back = threading.Thread(target=pump, args=(proxy, broker, client, DOWN, state), daemon=True)
    back.start()
    pump(proxy, client, broker, UP, state)
    back.join()
    proxy.drop(broker)


def pump(proxy, source, sink, direction, state):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            if proxy.tamper:
                data = proxy.tamper(direction, data, state)
            if data is None:
                break
            for piece in data if isinstance(data, list) else [data]:
                sink.sendall(piece)
                if isinstance(data, list):
                    proxy.pace.wait(0.002)  # how slow the line is
    for sock in (source, sink):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


# ---- how it is tampered with ----

def trickle(direction, data, state):
    """Seven bytes every two milliseconds."""
    return [data[at:at + 7] for at in range(0, len(data), 7)] if direction == DOWN else data


def cut_after(size):
    """The connection ends `size` bytes after the broker's first answer: inside of a PUBLISH, in most cases."""
    def tamper(direction, data, state):
        if direction == UP:
            return data
        state["seen"] = state.get("seen", 0) + len(data)
        return None if state["seen"] > size else data
    return tamper


def cut_before_puback(direction, data, state):
    """Nothing of what comes with the first acknowledgement, or after it, reaches the broker: it may stand behind a SUBSCRIBE."""
    if direction == UP:
        state["up"] = state.get("up", b"") + data
        while len(state["up"]) > 1:
            if state["up"][0] == 0x40:
                return None
            length, at = 0, 1
            while at < len(state["up"]) and at < 5:
                length |= (state["up"][at] & 0x7F) << 7 * (at - 1)
                at += 1
                if state["up"][at - 1] < 0x80:
                    break
            if len(state["up"]) < at + length:
                break  # the rest of the packet is still to come
            state["up"] = state["up"][at + length:]
    return data


# ---- a peer that is no broker ----

CONNACK = bytes([0x20, 3, 0, 0, 0])
MALFORMED = {
    "nothing, and the end": b"",
    "an HTTP answer": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a remaining length of five bytes": bytes([0x20, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
    "a PUBLISH before the CONNACK": bytes([0x32, 9, 0, 1]) + b"a" + bytes([0, 1, 0]) + b"{}",
    "a reserved packet type": CONNACK + bytes([0x00, 2, 0, 0]),
    "two CONNACKs": CONNACK + CONNACK,
    "a CONNACK cut short": bytes([0x20, 1, 0]),
    "a CONNACK with a property that does not exist": bytes([0x20, 5, 0, 0, 2, 0xFE, 1]),
    "a PUBLISH with a property that does not exist": CONNACK + bytes([0x32, 10, 0, 1]) + b"a" + bytes([0, 1, 2, 0x7F, 0]) + b"{}",
    "a DISCONNECT with a property that does not exist": CONNACK + bytes([0xE0, 4, 0x8B, 2, 0x40, 0]),
    "half a CONNACK, and silence": CONNACK[:3],
    "a PUBLISH without its topic": CONNACK + bytes([0x32, 2, 0, 200]),
    "a PUBLISH with the packet id 0": CONNACK + bytes([0x32, 8, 0, 1]) + b"a" + bytes([0, 0, 0]) + b"{}",
    "a PUBLISH with QoS 3": CONNACK + bytes([0x36, 8, 0, 1]) + b"a" + bytes([0, 1, 0]) + b"{}",
    "a topic that is not UTF-8": CONNACK + bytes([0x32, 9, 0, 2, 0xC3, 0x28, 0, 1, 0]) + b"{}",
    "a PUBLISH of 256 MB that never comes": CONNACK + bytes([0x32, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1]) + b"a",
    "an acknowledgement of what was not sent": CONNACK + bytes([0x62, 2, 0, 77]),
    "a client's packet, CONNECT": CONNACK + bytes([0x10, 4, 0, 0, 0, 0]),
    "a DISCONNECT: server shutting down": CONNACK + bytes([0xE0, 2, 0x8B, 0]),
}
REFUSED = {code: bytes([0x20, 3, 0, code, 0]) for code in (0x81, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x97, 0x9F)}


def answering(data, patience=0.1):
    """A peer that answers CONNECT with `data`, reads on for `patience` and ends the connection."""
    def serve(proxy, client):
        client.recv(65536)
        client.sendall(data)
        client.settimeout(patience)
        proxy.answered += 1
        with contextlib.suppress(OSError):
            while read := client.recv(65536):
                assert not any(first == 0x40 and size == 2 for first, size in zip(read, read[1:2])), "it acknowledged a message"
    return serve


def silent(proxy, client):
    """Takes the connection and never says a word."""
    while client.recv(65536):
        pass


def refusing_subscriptions(proxy, client):
    """SUBACK "not authorized". mosquitto's acl_file refuses no subscription; its dynamic-security plugin and other brokers do."""
    client.recv(65536)
    client.sendall(CONNACK)
    while data := client.recv(65536):
        at = data.find(b"\x82")
        if at >= 0:
            client.sendall(bytes([0x90, 4]) + data[at + 2:at + 4] + bytes([0, 0x87]))


def deaf_to_subscribe(proxy, client):
    """A CONNACK, and nothing else ever but answers to pings."""
    client.recv(65536)
    client.sendall(CONNACK)
    while data := client.recv(65536):
        if data[0] == 0xC0:
            client.sendall(struct.pack("BB", 0xD0, 0))
