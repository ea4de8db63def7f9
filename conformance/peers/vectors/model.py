"""A small model of the three Noise patterns, for crafting messages that honest code never sends.

Whatever it makes is confirmed by flynn/noise before it becomes a vector (see peer.py).
"""

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NAMES = {
    "nn": b"Noise_NN_25519_AESGCM_SHA256",
    "nnpsk0": b"Noise_NNpsk0_25519_AESGCM_SHA256",
    "nk": b"Noise_NK_25519_AESGCM_SHA256",
}

# Every encoding whose u-coordinate is of small order once the top bit is masked off.
P = 2**255 - 19
ORDER_8 = (
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
LOW_ORDER = sorted(
    (u + (top << 255)).to_bytes(32, "little")
    for u in (0, 1, P - 1, P, P + 1, *ORDER_8)
    for top in (0, 1)
)


def public(secret):
    key = X25519PrivateKey.from_private_bytes(secret).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def dh(secret, peer):
    """X25519, all zero where the library refuses a point of small order."""
    try:
        return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError:
        return bytes(32)


def nonce(n):
    return bytes(4) + n.to_bytes(8, "big")


def seal(key, n, plain, ad=b""):
    return AESGCM(key).encrypt(nonce(n), plain, ad)


def opens(key, n, sealed, ad=b""):
    try:
        return AESGCM(key).decrypt(nonce(n), sealed, ad)
    except InvalidTag:
        return None


def hkdf(ck, material, count):
    temp = hmac.digest(ck, material, "sha256")
    outputs, last = [], b""
    for index in range(1, count + 1):
        last = hmac.digest(temp, last + bytes([index]), "sha256")
        outputs.append(last)
    return outputs


class Symmetric:
    def __init__(self, profile, rs=None, prologue=b""):
        name = NAMES[profile]
        self.h = name + bytes(32 - len(name)) if len(name) <= 32 else hashlib.sha256(name).digest()
        self.ck, self.key, self.n = self.h, None, 0
        self.mix_hash(prologue)
        if rs is not None:
            self.mix_hash(rs)

    def mix_hash(self, data):
        self.h = hashlib.sha256(self.h + data).digest()

    def mix_key(self, material):
        self.ck, self.key = hkdf(self.ck, material, 2)
        self.n = 0

    def mix_psk(self, psk):
        self.ck, temp, self.key = hkdf(self.ck, psk, 3)
        self.mix_hash(temp)
        self.n = 0

    def seal(self, plain):
        if self.key is None:
            out = plain
        else:
            out = seal(self.key, self.n, plain, self.h)
            self.n += 1
        self.mix_hash(out)
        return out


def first(profile, e, payload, psk=None, rs=None, e_public=None):
    """Message 1 and the state after it. `e_public` stands for the key that belongs to `e`."""
    state = Symmetric(profile, rs)
    if psk is not None:
        state.mix_psk(psk)
    e_public = e_public or public(e)
    state.mix_hash(e_public)
    if psk is not None:
        state.mix_key(e_public)
    if rs is not None:
        state.mix_key(bytes(32) if e is None else dh(e, rs))
    return e_public + state.seal(payload), state


def second(profile, state, e, re, payload, e_public=None):
    """Message 2 to who sent the key `re`, hash and split keys. Without `e`: the DH is all zero."""
    e_public = e_public or public(e)
    state.mix_hash(e_public)
    if profile == "nnpsk0":
        state.mix_key(e_public)
    state.mix_key(bytes(32) if e is None else dh(e, re))
    sealed = state.seal(payload)
    i2r, r2i = hkdf(state.ck, b"", 2)
    return e_public + sealed, {"hash": state.h.hex(), "i2r": i2r.hex(), "r2i": r2i.hex()}
