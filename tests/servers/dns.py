"""A DNS server, over UDP and TCP on one port of 127.0.0.1, with the records a test gives it."""

import contextlib
import ipaddress
import socket
import struct
import threading

from . import process

TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def rdata(kind, value):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "TXT":
        return bytes([len(value)]) + value.encode()
    if kind == "MX":
        return struct.pack("!H", value[0]) + name(value[1])
    if kind == "SRV":
        return struct.pack("!HHH", *value[:3]) + name(value[3])
    return name(value)


class DnsServer(contextlib.AbstractContextManager):
    """`records` maps (name, type) to a list of values; a CNAME answers for every type. Names in `truncated` are
    answered in full over TCP only. The first `ignore` queries over UDP get no answer at all."""

    def __init__(self, records, truncated=(), ignore=0):
        self.records = records
        self.truncated = set(truncated)
        self.ignore = ignore
        self.queries = []
        self.port = process.free_port()
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        self._tcp = socket.socket()
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._tcp.bind(("127.0.0.1", self.port))
        self._tcp.listen(16)
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def __exit__(self, *_):
        self._udp.close()
        self._tcp.close()

    def _serve_udp(self):
        with contextlib.suppress(OSError):
            while True:
                query, client = self._udp.recvfrom(4096)
                answer = self._answer(query, "udp")
                if self.ignore:
                    self.ignore -= 1
                else:
                    self._udp.sendto(answer, client)

    def _serve_tcp(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._tcp.accept()
                with client:
                    size, = struct.unpack("!H", client.recv(2))
                    answer = self._answer(client.recv(size), "tcp")
                    client.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, query, transport):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        qname = ".".join(labels)
        qtype, = struct.unpack("!H", query[at + 1:at + 3])
        question = query[12:at + 5]
        kind = {v: k for k, v in TYPES.items()}.get(qtype, "?")
        self.queries.append((qname, kind, transport))

        answers, asked = [], qname
        known = any(n == qname for n, _ in self.records)
        while (asked, "CNAME") in self.records:
            target = self.records[asked, "CNAME"][0]
            answers.append((asked, "CNAME", target))
            asked = target
        answers += [(asked, kind, value) for value in self.records.get((asked, kind), ())]

        flags = 0x8180 if known else 0x8183
        if qname in self.truncated and transport == "udp":
            flags, answers = flags | 0x0200, []
        data = query[:2] + struct.pack("!HHHHH", flags, 1, len(answers), 0, 0) + question
        for owner, k, value in answers:
            rd = rdata(k, value)
            data += name(owner) + struct.pack("!HHIH", TYPES[k], 1, 60, len(rd)) + rd
        return data
