"""ASoc's hardened profile, bytes and sessions without any input or output.

Written from docs/src/protocols/asoc.md and the protocol's wire page alone, on the package
`cryptography`. Whatever is random, and the time, is handed in.
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = 1
DATA, END, CONTROL, PLAIN_HELLO, PLAIN_ACCEPT = 1, 2, 3, 4, 5
HELLO, ACCEPT, PROOF = 16, 17, 18
HANDSHAKE_BYTES = {HELLO: 121, ACCEPT: 120, PROOF: 32}
HEADER = struct.Struct(">BBIII")
TAG = 16
TOLERANCE_S = 60
DATA_LIMIT = 2**38
CHUNK = 1 << 20
HANDSHAKE_MS, SILENCE_MS, KEEP_ALIVE_MS = 10_000, 30_000, 10_000
SUITES = {1: AESGCM, 2: ChaCha20Poly1305}


class Refused(Exception):
    """What the page says is refused; `kind` is a class of the conformance page."""

    def __init__(self, kind, why):
        super().__init__(f"{kind}: {why}")
        self.kind = kind


def derive(salt, secret, info):
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info.encode()).derive(secret)


def mac_key(key, community):
    """K: what the handshake is authenticated with; both are text."""
    salt = hashlib.sha256(community.encode()).digest()
    return derive(salt, key.encode(), "stillwire asoc hardened 1 mac")


def mac(k, label, *parts):
    return hmac.new(k, label + b"".join(parts), hashlib.sha256).digest()


def public_key(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def shared_secret(private, public):
    try:
        ours = X25519PrivateKey.from_private_bytes(private)
        return ours.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise Refused("weak_key", "the key share gives an all-zero secret") from error


def hello_payload(k, suite, uuid, unix_s, nonce, public):
    head = bytes([suite]) + uuid.bytes + struct.pack(">Q", unix_s) + nonce + public
    return head + mac(k, b"hello", head)


def accept_payload(k, hello, uuid, unix_s, nonce, public):
    head = uuid.bytes + struct.pack(">Q", unix_s) + nonce + public
    return head + mac(k, b"accept", hashlib.sha256(hello).digest(), head)


def transcript(hello, accept):
    return hashlib.sha256(hello + accept).digest()


def proof_payload(k, hello, accept):
    return mac(k, b"proof", transcript(hello, accept))


def direction_keys(k, hello, accept, secret):
    """The keys client to server and server to client."""
    salt = transcript(hello, accept)
    names = ("client to server", "server to client")
    return tuple(derive(salt, secret + k, f"stillwire asoc hardened 1 {name}") for name in names)


def header(kind, stream, sequence, length):
    return HEADER.pack(VERSION, kind, stream, sequence, length)


def key_id(key):
    return hashlib.sha256(key.encode()).digest()[:8]


class Direction:
    """One direction's frames, numbered from 0 whatever their type."""

    def __init__(self, suite, key, number=0, used=0):
        if suite not in SUITES:
            raise Refused("type", f"suite {suite}")
        self.cipher = SUITES[suite](key)
        self.number = number
        self.used = used

    def _nonce(self, size):
        if self.used + size > DATA_LIMIT:
            raise Refused("data_limit", "this key has sealed 2^38 bytes")
        if self.number == 2**64 - 1:
            raise Refused("nonce_limit", "the numbers of this key are used up")
        nonce = bytes(4) + struct.pack(">Q", self.number)
        self.number += 1
        self.used += size
        return nonce

    def seal(self, kind, stream, sequence, plain=b""):
        size = len(plain) + TAG
        head = header(kind, stream, sequence, size)
        return head + self.cipher.encrypt(self._nonce(size), plain, head)

    def open(self, head, sealed):
        nonce = self._nonce(len(sealed))
        try:
            return self.cipher.decrypt(nonce, sealed, head)
        except InvalidTag as error:
            raise Refused("auth", "a sealed frame does not open") from error


@dataclass
class Settings:
    keys: list  # API keys as text; the first one is what we speak under
    community: str
    uuid: UUID
    suite: int = 1  # the client's choice; a server takes either
    max_frame: int = 16 << 20
    expected: UUID | None = None  # the node that a client wants
    seen: set = field(default_factory=set)  # of (UUID, nonce), which a server's sessions share


class Session:
    """One connection. `feed` takes what arrived and gives events; `out` is what to send."""

    def __init__(self, settings, server, unix_s, nonce, private):
        self.settings = settings
        self.server = server
        self.nonce = nonce
        self.private = private
        self.out = bytearray()
        self.buffer = bytearray()
        self.sending = self.receiving = None
        self.next_stream = 2 if server else 1
        self.sent = {}  # next sequence by stream, both ways
        self.received = {}
        self.over = set()
        self.failed = None
        self.now_ms = self.heard_ms = self.keep_alive_ms = 0
        self.hello = self.accept = None
        self.awaits = HELLO if server else ACCEPT
        if not server:
            self.k = mac_key(settings.keys[0], settings.community)
            public = public_key(private)
            made = hello_payload(self.k, settings.suite, settings.uuid, unix_s, nonce, public)
            self.hello = made
            self.send_plain(HELLO, made)

    @property
    def established(self):
        return self.awaits is None

    def send_plain(self, kind, payload):
        self.out += header(kind, 0, 0, len(payload)) + payload

    # What arrives.

    def feed(self, data, unix_s):
        """The events in `data`, as tuples. A refusal ends the session, and repeats."""
        if self.failed:
            raise self.failed
        self.buffer += data
        self.heard_ms = self.now_ms
        try:
            while (frame := self.whole_frame()) is not None:
                event = self.on_frame(*frame, unix_s)
                if event:
                    yield event
        except Refused as refused:
            self.failed = refused
            raise

    def whole_frame(self):
        if not self.buffer:
            return None
        if self.buffer[0] != VERSION:
            raise Refused("version", f"version {self.buffer[0]}, not 1")
        if len(self.buffer) < HEADER.size:
            return None
        head = bytes(self.buffer[: HEADER.size])
        _, kind, stream, sequence, length = HEADER.unpack(head)
        self.judge(kind, stream, sequence, length)
        if len(self.buffer) < HEADER.size + length:
            return None
        payload = bytes(self.buffer[HEADER.size : HEADER.size + length])
        del self.buffer[: HEADER.size + length]
        return head, kind, stream, sequence, payload

    def judge(self, kind, stream, sequence, length):
        """What a header alone tells."""
        if self.awaits is not None:
            if kind in (PLAIN_HELLO, PLAIN_ACCEPT):
                raise Refused("downgrade", "the peer speaks the default profile")
            if kind != self.awaits:
                known = kind in (DATA, END, CONTROL, *HANDSHAKE_BYTES)
                raise Refused("state" if known else "type", f"type {kind} in the handshake")
            if length != HANDSHAKE_BYTES[kind]:
                raise Refused("length", f"{length} bytes of type {kind}")
            return
        if kind in (PLAIN_HELLO, PLAIN_ACCEPT, *HANDSHAKE_BYTES):
            raise Refused("state", f"type {kind} after the handshake")
        if length < TAG or (kind == END and length != TAG):
            raise Refused("length", f"{length} bytes sealed in type {kind}")
        if length > self.settings.max_frame + TAG:
            raise Refused("limit", f"{length} bytes sealed")
        if kind not in (DATA, END):
            return
        if stream == 0:
            raise Refused("state", "stream 0 carries no data")
        if stream in self.over or sequence != self.received.get(stream, 0):
            raise Refused("state", f"stream {stream} has no sequence {sequence} now")

    def on_frame(self, head, kind, stream, sequence, payload, unix_s):
        if self.awaits == HELLO:
            return self.on_hello(payload, unix_s)
        if self.awaits == ACCEPT:
            return self.on_accept(payload, unix_s)
        if self.awaits == PROOF:
            return self.on_proof(payload)
        plain = self.receiving.open(head, payload)
        if kind == CONTROL:
            return self.on_control(plain)
        if kind not in (DATA, END):
            return ("ignored", kind)
        if kind == END:
            self.received.pop(stream, None)
            self.over.add(stream)
            return ("end", stream)
        self.received[stream] = sequence + 1
        return ("data", stream, plain)

    def on_hello(self, payload, unix_s):
        head, tag = payload[:89], payload[89:]
        for key in self.settings.keys:
            k = mac_key(key, self.settings.community)
            if hmac.compare_digest(tag, mac(k, b"hello", head)):
                break
        else:
            raise Refused("auth", "HELLO is not from a node with our key")
        peer = UUID(bytes=head[1:17])
        self.fresh(peer, struct.unpack(">Q", head[17:25])[0], unix_s)
        if head[0] not in SUITES:
            raise Refused("type", f"suite {head[0]}")
        if (peer, head[25:57]) in self.settings.seen:
            raise Refused("replay", "this HELLO has been seen before")
        self.settings.seen.add((peer, head[25:57]))
        secret = shared_secret(self.private, head[57:89])
        self.k, self.hello, self.peer = k, payload, peer
        public = public_key(self.private)
        made = accept_payload(k, payload, self.settings.uuid, unix_s, self.nonce, public)
        self.accept = made
        self.send_plain(ACCEPT, made)
        self.key_up(secret)
        self.awaits = PROOF
        return None

    def on_accept(self, payload, unix_s):
        head, tag = payload[:88], payload[88:]
        bound = hashlib.sha256(self.hello).digest()
        if not hmac.compare_digest(tag, mac(self.k, b"accept", bound, head)):
            raise Refused("auth", "ACCEPT does not answer our HELLO")
        peer = UUID(bytes=head[:16])
        self.fresh(peer, struct.unpack(">Q", head[16:24])[0], unix_s)
        if self.settings.expected not in (None, peer):
            raise Refused("identity", f"{peer} answers, not the node that was dialed")
        self.accept, self.peer = payload, peer
        secret = shared_secret(self.private, head[56:88])
        self.send_plain(PROOF, proof_payload(self.k, self.hello, payload))
        self.key_up(secret)
        self.opened()
        return ("established", peer, payload[24:32])

    def on_proof(self, payload):
        if not hmac.compare_digest(payload, proof_payload(self.k, self.hello, self.accept)):
            raise Refused("auth", "PROOF does not fit")
        self.opened()
        return ("established", self.peer, self.nonce[:8])

    def fresh(self, peer, sent_s, unix_s):
        if peer == self.settings.uuid:
            raise Refused("identity", "the peer has our own UUID")
        if sent_s < unix_s - TOLERANCE_S:
            raise Refused("stale", f"{unix_s - sent_s} s old")
        if sent_s > unix_s + TOLERANCE_S:
            raise Refused("future", f"{sent_s - unix_s} s ahead")

    def key_up(self, secret):
        keys = direction_keys(self.k, self.hello, self.accept, secret)
        mine, theirs = reversed(keys) if self.server else keys
        self.sending = Direction(self.hello[0], mine)
        self.receiving = Direction(self.hello[0], theirs)
        self.private = None

    def opened(self):
        self.awaits = None
        self.keep_alive_ms = self.now_ms + KEEP_ALIVE_MS

    def tick(self, now_ms):
        """Lets time pass; true when the connection has timed out."""
        self.now_ms = max(self.now_ms, now_ms)
        if not self.established:
            late = self.now_ms >= HANDSHAKE_MS
        else:
            busy = bool(self.received or self.buffer)
            late = busy and self.now_ms >= self.heard_ms + SILENCE_MS
            if not late and self.now_ms >= self.keep_alive_ms:
                self.keep_alive_ms = self.now_ms + KEEP_ALIVE_MS
                self.control()
        if late:
            self.failed = Refused("timeout", "the peer is silent")
        return late

    def on_control(self, plain):
        if len(plain) == 17 and plain[0] == 1:
            named = plain[1:9]
            for key in self.settings.keys:
                if key_id(key) == named:
                    return ("announced", named, struct.unpack(">Q", plain[9:])[0], True)
            return ("announced", named, struct.unpack(">Q", plain[9:])[0], False)
        if len(plain) == 9 and plain[0] == 2:
            return ("acknowledged", plain[1:])
        return ("keep-alive",) if not plain else ("ignored", CONTROL)

    # What we send, once established.

    def open_stream(self):
        stream = self.next_stream
        self.next_stream += 2
        self.sent[stream] = 0
        return stream

    def write(self, stream, plain, chunk=CHUNK):
        size = min(chunk, self.settings.max_frame)
        for at in range(0, len(plain), size):
            self.frame(DATA, stream, bytes(plain[at : at + size]))

    def frame(self, kind, stream, plain=b""):
        if not self.established:
            raise Refused("state", "the handshake is not done")
        sequence = self.sent[stream]
        self.out += self.sending.seal(kind, stream, sequence, plain)
        self.sent[stream] = sequence + 1

    def end(self, stream):
        self.frame(END, stream)
        del self.sent[stream]

    def control(self, plain=b""):
        self.out += self.sending.seal(CONTROL, 0, 0, plain)

    def announce(self, named, unix_s):
        self.control(b"\x01" + named + struct.pack(">Q", unix_s))

    def acknowledge(self, named):
        self.control(b"\x02" + named)

    def taken(self):
        """What is to be sent, once."""
        out = bytes(self.out)
        self.out.clear()
        return out
