"""Ports of this machine, and a TCP link to the database that can lose answers.

Of a Link, everything that a client sends goes through at once. Once hold_answers_to(needle) is armed,
the first connection whose request contains the needle gets no answer any more: the server has done the
work, and nobody learns of it. Other connections are not affected."""

import socket
import threading


def free_port():
    """One that nobody listens at, for a server that comes back to it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Link:
    def __init__(self, target_port):
        self._target = ("127.0.0.1", target_port)
        self._needle = None
        self._lock = threading.Lock()
        self.held = threading.Event()
        self._released = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def hold_answers_to(self, needle):
        with self._lock:
            self._needle = needle.encode()
            self.held.clear()
            self._released.clear()

    def release(self):
        self._released.set()

    def close(self):
        self._released.set()
        self._listener.close()
        with self._lock:
            for each in self._sockets:
                each.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target, timeout=10)
            except OSError:
                return
            server.settimeout(None)
            with self._lock:
                self._sockets += [client, server]
            holding = threading.Event()
            for source, sink, watch in ((client, server, True), (server, client, False)):
                threading.Thread(
                    target=self._pump, args=(source, sink, watch, holding), daemon=True
                ).start()

    def _pump(self, source, sink, from_client, holding):
        try:
            while data := source.recv(65536):
                if from_client and self._matches(data):
                    holding.set()
                    self.held.set()
                if not from_client and holding.is_set():
                    self._released.wait(120)
                sink.sendall(data)
        except OSError:
            pass
        finally:
            # An end of the client reaches the server even while answers are held.
            try:
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def _matches(self, data):
        with self._lock:
            if self._needle is None or self._needle not in data:
                return False
            self._needle = None
            return True
