"""A Kafka broker for producers: topics with partitions in memory, spoken to with Metadata v0 and Produce v0 to v2."""

import contextlib
import socket
import struct
import threading
import zlib

from . import process

PRODUCE, METADATA = 0, 3
UNKNOWN_TOPIC = 3


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        part = self.data[self.at:self.at + size]
        if len(part) != size:
            raise ValueError("the request ends too early")
        self.at += size
        return part

    def number(self, kind):
        return struct.unpack("!" + kind, self.take(struct.calcsize("!" + kind)))[0]

    def string(self):
        return self.take(self.number("h")).decode()

    def octets(self):
        return self.take(self.number("i"))


def string(text):
    return struct.pack("!h", len(text)) + text.encode()


class KafkaBroker(contextlib.AbstractContextManager):
    """`topics` maps a name to its number of partitions. The next answers to Produce carry the codes in `errors`
    instead of success. `messages` maps (topic, partition) to the list of (key, value) that came."""

    def __init__(self, topics):
        self.topics = topics
        self.errors = []
        self.messages = {}
        self.requests = []  # api keys, in order
        self.port = process.free_port()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self.port))
        self._socket.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # closing alone does not end accept()
        self._socket.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, client.makefile("rb") as stream, contextlib.suppress(OSError):
            while True:
                size = stream.read(4)
                if len(size) < 4:
                    return
                answer = self._answer(Reader(stream.read(struct.unpack("!i", size)[0])))
                client.sendall(struct.pack("!i", len(answer)) + answer)

    def _answer(self, request):
        kind, version = request.number("h"), request.number("h")
        correlation = request.number("i")
        request.string()  # the client
        self.requests.append(kind)
        body = self._metadata(request) if kind == METADATA else self._produce(request, version)
        return struct.pack("!i", correlation) + body

    def _metadata(self, request):
        out = struct.pack("!ii", 1, 0) + string("127.0.0.1") + struct.pack("!i", self.port)
        names = [request.string() for _ in range(request.number("i"))]
        out += struct.pack("!i", len(names))
        for name in names:
            count = self.topics.get(name, 0)
            out += struct.pack("!h", 0 if count else UNKNOWN_TOPIC) + string(name) + struct.pack("!i", count)
            for partition in range(count):
                out += struct.pack("!hii", 0, partition, 0) + struct.pack("!ii", 1, 0) * 2
        return out

    def _produce(self, request, version):
        request.number("h")  # acknowledgements wanted
        request.number("i")  # time limit
        topics = request.number("i")
        out = struct.pack("!i", topics)
        for _ in range(topics):
            topic = request.string()
            partitions = request.number("i")
            out += string(topic) + struct.pack("!i", partitions)
            for _ in range(partitions):
                partition = request.number("i")
                stored = self.messages.setdefault((topic, partition), [])
                offset = len(stored)
                batch = self._read_messages(Reader(request.octets()))
                error = self.errors.pop(0) if self.errors else 0
                if error == 0:
                    stored += batch
                out += struct.pack("!ihq", partition, error, offset)
                if version >= 2:
                    out += struct.pack("!q", -1)
        return out + (struct.pack("!i", 0) if version >= 1 else b"")

    @staticmethod
    def _read_messages(batch):
        messages = []
        while batch.at < len(batch.data):
            batch.number("q")  # the producer does not know its offset
            message = Reader(batch.octets())
            crc = message.number("I")
            if crc != zlib.crc32(message.data[4:]):
                raise ValueError("wrong checksum")
            magic = message.number("b")
            message.number("b")  # compression
            if magic == 1:
                message.number("q")
            messages.append((message.octets().decode(), message.octets().decode()))
        return messages
