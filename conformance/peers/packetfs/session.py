"""Sessions of the overlay over a socket: an end that echoes, sends an object or receives one.

    python session.py PORT '{"mode":"echo","role":"responder","alg":1,"secrecy":true,"psk":"…"}'

Connects to PORT on the loopback; who is initiator in the overlay's sense is what `role` says.
Prints one JSON line when it is done, and fails loudly on anything the page forbids."""

import json
import os
import socket
import struct
import sys

from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import overlay
from overlay import CONTROL, DESCRIPTORS, PAYLOAD, REPAIR, need

END, COMPLETE = b"\2", b"\3"


class Keys:
    """The keys of one direction, by channel and epoch."""

    def __init__(self, schedule, direction):
        self.schedule, self.direction, self.epoch, self.made = schedule, direction, 0, {}

    def at(self, channel, epoch=None):
        place = channel, self.epoch if epoch is None else epoch
        if place not in self.made:
            secret = self.schedule.key(channel, self.direction, place[1])
            record = overlay.Record(self.schedule.alg, *secret, *place)
            self.made[place] = record, overlay.Window()
            record.next = 0
        return self.made[place]


class Side:
    """What streams and datagrams share: our preface, and keys when the peer's is there."""

    def __init__(self, options):
        self.initiator = options["role"] == "initiator"
        self.psk = bytes.fromhex(options["psk"])
        self.secret = X25519PrivateKey.generate() if options["secrecy"] else None
        epk = None
        if self.secret:
            epk = self.secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.preface = overlay.preface(options["alg"], os.urandom(32), epk)
        self.out = None

    def meet(self, peer):
        _, _, epk = overlay.read_preface(peer)
        dh = None
        if self.secret and epk:
            dh = self.secret.exchange(X25519PublicKey.from_public_bytes(epk))
        pair = (self.preface, peer) if self.initiator else (peer, self.preface)
        schedule = overlay.Schedule(self.psk, *pair, dh)
        names = ("i2r", "r2i") if self.initiator else ("r2i", "i2r")
        self.out, self.into = (Keys(schedule, name) for name in names)

    def seal(self, channel, payload):
        record, _ = self.out.at(channel)
        record.next += 1
        return record.seal(record.next - 1, payload)

    def announcement(self):
        return self.seal(CONTROL, b"\1" + struct.pack(">I", self.out.epoch + 1))


class Stream(Side):
    def __init__(self, sock, options):
        super().__init__(options)
        self.sock = sock
        if self.initiator:
            sock.sendall(self.preface)
        start = self.exactly(8)
        peer = start + self.exactly(64 if start[6] else 32)
        self.meet(peer)
        if not self.initiator:
            sock.sendall(self.preface)
        self.send(CONTROL, b"")

    def exactly(self, length):
        data = b""
        while len(data) < length:
            more = self.sock.recv(length - len(data))
            need(more, "eof")
            data += more
        return data

    def send(self, channel, payload):
        self.sock.sendall(self.seal(channel, payload))

    def rekey(self):
        self.sock.sendall(self.announcement())
        self.out.epoch += 1

    def receive(self):
        """The next record that is not about epochs, nor ignored."""
        while True:
            header = self.exactly(15)
            length, _, flags = overlay.read_header(header)
            channel, epoch = flags & 3, self.into.epoch
            need(flags >> 2 == epoch % 64, "auth")
            record, _ = self.into.at(channel)
            _, plain = record.open(header + self.exactly(length), expected=record.next)
            record.next += 1
            if channel != CONTROL:
                return channel, plain
            if plain[:1] == b"\1":
                need(plain[1:] == struct.pack(">I", epoch + 1), "state")
                self.into.epoch += 1
            elif plain in (END, COMPLETE):
                return channel, plain

    def finish(self):
        """Our end is said: only the peer's may come, then the end of the stream."""
        need(not self.sock.recv(1), "state")


def echo(stream, options):
    count = 0
    while True:
        channel, plain = stream.receive()
        if (channel, plain) == (CONTROL, END):
            stream.send(CONTROL, END)
            return {"records": count, "epoch": stream.out.epoch, "peer_epoch": stream.into.epoch}
        need(channel == PAYLOAD, "state")
        count += 1
        if options.get("rekey") and count % options["rekey"] == 0:
            stream.rekey()
        stream.send(PAYLOAD, plain)


def pieces(options):
    """Descriptors of every kind over the blob, and the object they stand for."""
    blob = overlay.Seeded(bytes.fromhex(options["seed"]), options["size"])
    descriptors = []
    for at in range(options["pieces"]):
        offset = at * 7919 % (options["size"] - 70000)
        descriptors.append((offset, 4096 + at * 977 % 60000, at % 3, at % 3 and 1 + at % 255))
        descriptors.append(b"literal %d" % at)
    return blob, descriptors, overlay.rebuild(blob, descriptors)


def send(stream, options):
    _, descriptors, data = pieces(options)
    blueprint = overlay.encode_blueprint(descriptors, data)
    parts = [blueprint[at : at + 10000] for at in range(0, len(blueprint), 10000)]
    for at, part in enumerate(parts):
        stream.send(DESCRIPTORS, bytes([at + 1 < len(parts)]) + part)
    repaired = 0
    while True:
        channel, plain = stream.receive()
        if (channel, plain) == (CONTROL, COMPLETE):
            break
        need(channel == REPAIR and plain[0] == 1 and len(plain) == 5, "type")
        index = struct.unpack(">I", plain[1:])[0]
        need(index * overlay.WINDOW < len(data), "length")
        window = data[index * overlay.WINDOW : (index + 1) * overlay.WINDOW]
        stream.send(REPAIR, b"\2" + plain[1:] + window)
        repaired += 1
    stream.send(CONTROL, END)
    need(stream.receive() == (CONTROL, END), "state")
    return {"repaired": repaired, "blake3": blake3(data).hexdigest(), "size": len(data)}


def receive(stream, options):
    blob = overlay.Seeded(bytes.fromhex(options["seed"]), options["size"])
    blueprint, more = b"", True
    while more:
        channel, plain = stream.receive()
        need(channel == DESCRIPTORS and plain[:1] in (b"\0", b"\1"), "type")
        blueprint, more = blueprint + plain[1:], plain[0]
    size, descriptors, digests = overlay.decode_blueprint(blueprint)
    data = bytearray(overlay.rebuild(blob, descriptors))
    # As if these windows had failed.
    for index in options.get("fail", []):
        data[index * overlay.WINDOW] ^= 1
    failed = [at for at, digest in enumerate(overlay.digests(data)) if digest != digests[at]]
    for index in failed:
        stream.send(REPAIR, b"\1" + struct.pack(">I", index))
    for index in failed:
        channel, plain = stream.receive()
        need(channel == REPAIR and plain[:5] == b"\2" + struct.pack(">I", index), "state")
        data[index * overlay.WINDOW : (index + 1) * overlay.WINDOW] = plain[5:]
    need(len(data) == size and overlay.digests(data) == digests, "auth")
    stream.send(CONTROL, COMPLETE)
    need(stream.receive() == (CONTROL, END), "state")
    stream.send(CONTROL, END)
    references = sum(one[1] for one in descriptors if not isinstance(one, bytes))
    found = {"failed": failed, "referenced": references, "size": size}
    return found | {"blake3": blake3(data).hexdigest()}


def datagrams(sock, options):
    """Echoes messages until the peer's end mark; prefaces are repeated until they are answered."""
    side, peer, count = Side(options), None, 0
    sock.settimeout(0.2)
    if not side.initiator:
        # So that the initiator learns where we are; it is no preface and is dropped.
        sock.send(b"knock")
    for _ in range(100_000):
        if side.initiator and peer is None:
            sock.send(side.preface)
        try:
            data = sock.recv(65536)
        except TimeoutError:
            continue
        if data[:4] == b"PFSO":
            if peer is None:
                side.meet(data)
                peer = data
            if data == peer:
                if not side.initiator:
                    sock.send(side.preface)
                sock.send(side.seal(CONTROL, b""))
            continue
        try:
            _, seq, flags = overlay.read_header(data)
            current = side.into.epoch
            epochs = [one for one in (current, current - 1) if one >= 0 and one % 64 == flags >> 2]
            need(epochs, "auth")
            record, window = side.into.at(flags & 3, epochs[0])
            _, plain = record.open(data)
        except overlay.Fault:
            continue
        if not window.accept(seq):
            continue
        if flags & 3 == PAYLOAD:
            count += 1
            if options.get("rekey") and count % options["rekey"] == 0:
                for _ in range(4):
                    sock.send(side.announcement())
                side.out.epoch += 1
            sock.send(side.seal(PAYLOAD, plain))
        elif plain[:1] == b"\1" and plain[1:] == struct.pack(">I", current + 1):
            side.into.epoch += 1
        elif plain == END:
            for _ in range(4):
                sock.send(side.seal(CONTROL, END))
            return {"records": count, "epoch": side.out.epoch, "peer_epoch": side.into.epoch}
    raise TimeoutError("the peer never ended")


def main():
    port, options = int(sys.argv[1]), json.loads(sys.argv[2])
    modes = {"echo": echo, "send": send, "receive": receive}
    if options["mode"] == "datagrams":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", port))
            print(json.dumps(datagrams(sock, options)))
        return
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        stream = Stream(sock, options)
        found = modes[options["mode"]](stream, options)
        sock.shutdown(socket.SHUT_WR)
        stream.finish()
        print(json.dumps(found))


main()
