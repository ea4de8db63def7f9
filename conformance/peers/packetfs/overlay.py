"""The PacketFS overlay, a second time: written from the page docs/src/protocols/packetfs.md, not from the
Rust code. Bytes, keys, records, the window, blueprints. Nothing here reads or writes a socket."""

import hashlib
import hmac
import struct

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

AES, XCHACHA = 1, 2
CONTROL, DESCRIPTORS, PAYLOAD, REPAIR = range(4)
LIMIT = 1 << 20
WINDOW = 65536
LAST_SEQUENCE = 2**64 - 2
LARGEST_SEEDED = 256 << 30


class Fault(Exception):
    """A fault of one of the classes of the conformance page."""

    def __init__(self, name):
        super().__init__(name)
        self.name = name


def need(condition, name):
    if not condition:
        raise Fault(name)


# Preface -------------------------------------------------------------------------------------


def preface(alg, salt, epk=None):
    need(alg in (AES, XCHACHA), "type")
    need(len(salt) == 32 and (epk is None or len(epk) == 32), "length")
    return b"PFSO" + bytes([1, alg, epk is not None, 0]) + salt + (epk or b"")


def read_preface(data):
    for at, byte in enumerate(data[:8]):
        if at < 4:
            need(byte == b"PFSO"[at], "type")
        elif at == 4:
            need(byte == 1, "version")
        elif at == 5:
            need(byte in (AES, XCHACHA), "type")
        else:
            need(byte & ~(at == 6) == 0, "encoding")
    need(len(data) >= 8, "truncated")
    length = 72 if data[6] else 40
    need(len(data) >= length, "truncated")
    need(len(data) == length, "length")
    return data[5], data[8:40], data[40:72] or None


# Keys ----------------------------------------------------------------------------------------


class Schedule:
    def __init__(self, psk, initiator, responder, dh=None):
        need(len(psk) >= 32, "weak_key")
        alg, salt_i, epk_i = read_preface(initiator)
        other, salt_r, epk_r = read_preface(responder)
        need(alg == other and (epk_i is None) == (epk_r is None), "downgrade")
        need((dh is None) == (epk_i is None), "state")
        if dh is not None:
            need(len(dh) == 32, "length")
            need(any(dh), "weak_key")
        self.alg = alg
        self.prefaces = hashlib.sha256(initiator + responder).digest()
        self.prk = hmac.digest(salt_i + salt_r, psk + (dh or b""), "sha256")

    def key(self, channel, direction, epoch):
        need(channel in range(4) and direction in ("i2r", "r2i"), "type")
        info = b"stillwire pfs v1" + bytes([self.alg, channel]) + direction.encode()
        info += struct.pack(">I", epoch) + self.prefaces
        okm, block, count = b"", b"", 1
        length = 44 if self.alg == AES else 56
        while len(okm) < length:
            block = hmac.digest(self.prk, block + info + bytes([count]), "sha256")
            okm, count = okm + block, count + 1
        return okm[:32], okm[32:length]


# Records -------------------------------------------------------------------------------------


def _rotate(word, by):
    return (word << by | word >> (32 - by)) & 0xFFFFFFFF


def hchacha20(key, nonce):
    state = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))
    rounds = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]
    rounds += [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
    for _ in range(10):
        for a, b, c, d in rounds:
            for one, two, three, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                state[one] = (state[one] + state[two]) & 0xFFFFFFFF
                state[three] = _rotate(state[three] ^ state[one], by)
    return struct.pack("<8I", *state[:4], *state[12:])


class Record:
    """Seals and opens the records of one key."""

    def __init__(self, alg, key, base, channel, epoch):
        need(alg in (AES, XCHACHA) and channel in range(4), "type")
        need(len(key) == 32 and len(base) == (12 if alg == AES else 24), "length")
        self.alg, self.secret, self.base = alg, key, base
        self.flags = channel | (epoch % 64) << 2

    def _cipher(self, seq):
        tail = int.from_bytes(self.base[-8:], "big") ^ seq
        nonce = self.base[:-8] + tail.to_bytes(8, "big")
        if self.alg == AES:
            return AESGCM(self.secret), nonce
        return ChaCha20Poly1305(hchacha20(self.secret, nonce[:16])), bytes(4) + nonce[16:]

    def seal(self, seq, plain, limit=LIMIT):
        need(seq <= LAST_SEQUENCE, "nonce_limit")
        need(len(plain) + 16 <= limit, "limit")
        header = b"PF" + struct.pack(">QIB", seq, len(plain) + 16, self.flags)
        cipher, nonce = self._cipher(seq)
        return header + cipher.encrypt(nonce, plain, header)

    def open(self, wire, limit=LIMIT, expected=None):
        header, seq, _ = read_header(wire, limit)
        need(len(wire) >= 15 + header, "truncated")
        need(len(wire) == 15 + header, "length")
        need(seq <= LAST_SEQUENCE, "nonce_limit")
        if expected is not None:
            need(seq >= expected, "replay")
            need(seq <= expected, "state")
        need(wire[14] == self.flags, "auth")
        cipher, nonce = self._cipher(seq)
        try:
            return seq, cipher.decrypt(nonce, wire[15:], wire[:15])
        except InvalidTag:
            raise Fault("auth") from None


def read_header(wire, limit=LIMIT):
    """Length, sequence and flags."""
    need(len(wire) >= 15, "truncated")
    need(wire[:2] == b"PF", "type")
    seq, length, flags = struct.unpack(">QIB", wire[2:15])
    need(length >= 16, "length")
    need(length <= limit, "limit")
    return length, seq, flags


class Window:
    def __init__(self):
        self.highest, self.seen = None, set()

    def accept(self, seq):
        if seq > LAST_SEQUENCE:
            return False
        if self.highest is not None and seq <= self.highest:
            if self.highest - seq > 1023 or seq in self.seen:
                return False
        self.highest = seq if self.highest is None else max(seq, self.highest)
        self.seen.add(seq)
        self.seen = {one for one in self.seen if self.highest - one <= 1023}
        return True


# Blobs and blueprints ------------------------------------------------------------------------


class Seeded:
    def __init__(self, seed, size):
        need(len(seed) == 32, "length")
        need(size <= LARGEST_SEEDED, "limit")
        self.seed, self.size = seed, size

    def read(self, offset, length):
        nonce = struct.pack("<I", offset // 64) + bytes(12)
        stream = Cipher(algorithms.ChaCha20(self.seed, nonce), None).encryptor()
        skip = offset % 64
        return stream.update(bytes(skip + length))[skip:]


class Held:
    def __init__(self, data):
        self.data, self.size = data, len(data)

    def read(self, offset, length):
        return self.data[offset : offset + length]


def transform(data, kind, value):
    if kind == 1:
        return bytes(byte ^ value for byte in data)
    if kind == 2:
        return bytes((byte + value) % 256 for byte in data)
    return data


def rebuild(blob, descriptors, limit=None):
    """Descriptors are literals (bytes) or (offset, length, kind, value)."""
    for one in descriptors:
        if not isinstance(one, bytes):
            need(one[0] + one[1] <= blob.size, "length")
    total = sum(len(one) if isinstance(one, bytes) else one[1] for one in descriptors)
    need(limit is None or total <= limit, "limit")
    parts = []
    for one in descriptors:
        if not isinstance(one, bytes):
            offset, length, kind, value = one
            one = transform(blob.read(offset, length), kind, value)
        parts.append(one)
    return b"".join(parts)


def digests(data):
    return [blake3(data[at : at + WINDOW]).digest() for at in range(0, len(data), WINDOW)]


def encode_blueprint(descriptors, data):
    out = [struct.pack(">QI", len(data), len(descriptors))]
    for one in descriptors:
        if isinstance(one, bytes):
            out.append(b"\0" + struct.pack(">I", len(one)) + one)
        else:
            out.append(b"\1" + struct.pack(">QIBB", *one))
    return b"".join(out + digests(data))


def decode_blueprint(data):
    at = 0

    def take(length):
        nonlocal at
        need(at + length <= len(data), "truncated")
        at += length
        return data[at - length : at]

    size, count = struct.unpack(">QI", take(12))
    descriptors, total = [], 0
    for _ in range(count):
        kind = take(1)[0]
        need(kind in (0, 1), "type")
        if kind == 0:
            descriptors.append(take(struct.unpack(">I", take(4))[0]))
            total += len(descriptors[-1])
            continue
        offset, length, how, value = struct.unpack(">QIBB", take(14))
        need(how <= 2, "type")
        need(how != 0 or value == 0, "encoding")
        descriptors.append((offset, length, how, value))
        total += length
    need(total == size, "length")
    found = [take(32) for _ in range(-(-size // WINDOW))]
    need(at == len(data), "length")
    return size, descriptors, found
