"""The hardened profile of ASoc, after docs/src/protocols/asoc.md, on standard input and output."""

import hashlib
import hmac
import os
import struct
import sys
import time
import uuid

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

DATA, END, CONTROL, HELLO, ACCEPT, PROOF = 1, 2, 3, 16, 17, 18
CIPHERS = {1: AESGCM, 2: ChaCha20Poly1305}
CHUNK = 5000


class Refused(Exception):
    """The peer broke a rule; nothing is answered."""


def need(condition, why):
    if not condition:
        raise Refused(why)


def hkdf(salt, ikm, info):
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(ikm)


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def same(a, b):
    return hmac.compare_digest(a, b)


def read(size):
    data = sys.stdin.buffer.read(size)
    if len(data) < size:
        raise EOFError
    return data


def send(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def header(kind, stream, sequence, length):
    return struct.pack(">BBIII", 1, kind, stream, sequence, length)


def handshake_frame(kind, size):
    version, got, _, _, length = struct.unpack(">BBIII", read(14))
    need(version == 1, "version")
    need(got == kind, "type")
    need(length == size, "length")
    return read(size)


class Session:
    """Both directions after the handshake."""

    def __init__(self, suite, transcript, shared, mac_key, client):
        secret = shared + mac_key
        labels = [b"client to server", b"server to client"]
        keys = [hkdf(transcript, secret, b"stillwire asoc hardened 1 " + label) for label in labels]
        ciphers = [CIPHERS[suite](key) for key in keys]
        self.tx, self.rx = ciphers if client else reversed(ciphers)
        self.sent = self.received = 0
        self.next = 1 if client else 2
        self.incoming = {}
        self.finished = set()

    def seal(self, kind, stream, sequence, payload):
        head = header(kind, stream, sequence, len(payload) + 16)
        nonce = bytes(4) + self.sent.to_bytes(8, "big")
        self.sent += 1
        return head + self.tx.encrypt(nonce, payload, head)

    def send_stream(self, data):
        stream, self.next = self.next, self.next + 2
        sequence = 0
        for at in range(0, len(data), CHUNK):
            send(self.seal(DATA, stream, sequence, data[at : at + CHUNK]))
            sequence += 1
        send(self.seal(CONTROL, 0, 0, b""))
        send(self.seal(END, stream, sequence, b""))

    def receive_stream(self):
        """The next whole stream; the peer's END must be there."""
        while True:
            head = read(14)
            version, kind, stream, sequence, length = struct.unpack(">BBIII", head)
            need(version == 1, "version")
            need(16 <= length <= (16 << 20) + 16, "length")
            nonce = bytes(4) + self.received.to_bytes(8, "big")
            self.received += 1
            payload = self.rx.decrypt(nonce, read(length), head)
            if kind not in (DATA, END):
                need(kind not in (4, 5, HELLO, ACCEPT, PROOF), "state")
                continue
            need(stream != 0 and stream not in self.finished, "stream")
            parts = self.incoming.setdefault(stream, [])
            need(sequence == len(parts), "sequence")
            if kind == DATA:
                parts.append(payload)
                continue
            need(payload == b"", "END with a payload")
            self.finished.add(stream)
            return b"".join(self.incoming.pop(stream))


def identity(key, community):
    salt = hashlib.sha256(community.encode()).digest()
    return hkdf(salt, key.encode(), b"stillwire asoc hardened 1 mac")


def fields(own, share):
    public = share.public_key().public_bytes_raw()
    return own.bytes + struct.pack(">Q", int(time.time())) + os.urandom(32) + public


def on_time(seconds):
    need(abs(int(time.time()) - seconds) <= 60, "time")


def exchange(share, public):
    # The package itself refuses a result that is all zero.
    return share.exchange(X25519PublicKey.from_public_bytes(public))


def dial(key, own, suite):
    share = X25519PrivateKey.generate()
    hello = bytes([suite]) + fields(own, share)
    hello += mac(key, b"hello", hello)
    send(header(HELLO, 0, 0, 121) + hello)
    accept = handshake_frame(ACCEPT, 120)
    digest = hashlib.sha256(hello).digest()
    need(same(accept[88:], mac(key, b"accept", digest, accept[:88])), "auth")
    need(accept[:16] != own.bytes, "identity")
    on_time(struct.unpack(">Q", accept[16:24])[0])
    transcript = hashlib.sha256(hello + accept).digest()
    shared = exchange(share, accept[56:88])
    send(header(PROOF, 0, 0, 32) + mac(key, b"proof", transcript))
    return Session(suite, transcript, shared, key, True)


def listen(key, own):
    hello = handshake_frame(HELLO, 121)
    need(same(hello[89:], mac(key, b"hello", hello[:89])), "auth")
    need(hello[1:17] != own.bytes, "identity")
    on_time(struct.unpack(">Q", hello[17:25])[0])
    need(hello[0] in CIPHERS, "type")
    share = X25519PrivateKey.generate()
    accept = fields(own, share)
    digest = hashlib.sha256(hello).digest()
    accept += mac(key, b"accept", digest, accept)
    shared = exchange(share, hello[57:89])
    send(header(ACCEPT, 0, 0, 120) + accept)
    transcript = hashlib.sha256(hello + accept).digest()
    need(same(handshake_frame(PROOF, 32), mac(key, b"proof", transcript)), "auth")
    return Session(hello[0], transcript, shared, key, False)


def pattern(size):
    return bytes((at * 7 + size) & 0xFF for at in range(size))


def main():
    role, key, community, own, *rest = sys.argv[1:]
    key, own = identity(key, community), uuid.UUID(own)
    if role == "client":
        session = dial(key, own, int(rest[0]))
        for size in (0, 1, 16, 4999, 5000, 5001, 123_457):
            session.send_stream(pattern(size))
            need(session.receive_stream() == pattern(size), "another stream came back")
        return
    session = listen(key, own)
    while True:
        try:
            stream = session.receive_stream()
        except EOFError:
            return
        session.send_stream(stream)


try:
    main()
except Refused as refused:
    sys.exit(f"refused: {refused}")
except EOFError:
    sys.exit("the peer closed")
