"""Ed25519 from RFC 8032 and the ZIP-215 rules, slow and plain: for vectors, never for secrets."""

import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P
    return x, y


ZERO = (0, 1)


def mul(n, point):
    result = ZERO
    while n:
        if n & 1:
            result = add(result, point)
        point = add(point, point)
        n >>= 1
    return result


def decode(raw):
    """Any encoding, as ZIP-215 takes it: y is reduced, and x = 0 may have either sign."""
    value = int.from_bytes(raw, "little")
    sign, y = value >> 255, (value & (2**255 - 1)) % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P:
        return None
    return ((P - x) % P if x & 1 != sign else x), y


def encode(point):
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def torsion():
    """The eight points of order 1, 2, 4 and 8."""
    y = 2
    while True:
        point = decode(y.to_bytes(32, "little"))
        if point:
            small = mul(L, point)
            if mul(4, small) != ZERO:
                return [mul(n, small) for n in range(8)]
        y += 1


def encodings(point):
    """Every encoding of a point, canonical first."""
    x, y = point
    found = [encode(point)]
    for value in (y, y + P):
        for sign in ((0, 1) if x == 0 else (x & 1,)):
            if value < 2**255:
                raw = (value | sign << 255).to_bytes(32, "little")
                if raw not in found:
                    found.append(raw)
    return found


def number(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L


def expand(seed):
    h = hashlib.sha512(seed).digest()
    a = int.from_bytes(h[:32], "little") & (2**254 - 8) | 2**254
    return a, h[32:]


def public(seed):
    return encode(mul(expand(seed)[0], BASE))


def sign(seed, message, key=None, nonce_torsion=ZERO, nonce_encoding=None):
    """A signature; `key` may be any encoding of the public key plus a torsion point.

    `nonce_torsion` is added to R, `nonce_encoding` replaces R (whose logarithm is then 0).
    """
    a, prefix = expand(seed)
    key = key or public(seed)
    r = 0 if nonce_encoding else number(prefix, message)
    encoded = nonce_encoding or encode(add(mul(r, BASE), nonce_torsion))
    s = (r + number(encoded, key, message) * a) % L
    return encoded + s.to_bytes(32, "little")


def verify(key, message, signature):
    """ZIP-215."""
    a, r = decode(key), decode(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    k = number(signature[:32], key, message)
    left, right = mul(8 * s, BASE), mul(8, add(r, mul(k, a)))
    return left == right
