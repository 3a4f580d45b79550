"""Key packets, version 1, written from the format's description for checking
the Go code against: SHA-1 and SHA-256 from Python, AES-256-CBC from OpenSSL.

    keypacket.py seal SECRET PASSPHRASE HASH-KR CIPHER-KR RANDOM-HEX
    keypacket.py open PACKET PASSPHRASE
    keypacket.py vectors
"""
import base64
import ctypes
import ctypes.util
import hashlib
import struct
import sys

crypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
for name in ("EVP_CIPHER_CTX_new", "EVP_aes_256_cbc"):
    getattr(crypto, name).restype = ctypes.c_void_p


def cbc(key, data, passes, encrypt):
    ctx = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
    kind = ctypes.c_void_p(crypto.EVP_aes_256_cbc())
    out = ctypes.create_string_buffer(len(data) + 32)
    size = ctypes.c_int()
    for _ in range(passes):
        ok = crypto.EVP_CipherInit_ex(ctx, kind, None, key, bytes(16), encrypt)
        ok &= crypto.EVP_CIPHER_CTX_set_padding(ctx, 0)
        ok &= crypto.EVP_CipherUpdate(ctx, out, ctypes.byref(size), data, len(data))
        assert ok == 1 and size.value == len(data)
        data = out.raw[:len(data)]
    return data


def key_of(passphrase, passes):
    key = passphrase
    for _ in range(passes):
        key = hashlib.sha256(key).digest()
    return key


def seal(secret, passphrase, hash_kr, cipher_kr, random):
    payload = random[:4] + hashlib.sha1(secret).digest() + secret
    padding = -(len(payload) + 2) % 16
    assert len(random) >= 4 + padding
    plain = random[4:4 + padding] + payload + struct.pack(">H", len(payload))
    key = key_of(passphrase, hash_kr * 1000 + 1)
    sealed = cbc(key, plain, cipher_kr * 1000 + 1, 1)
    head = struct.pack(">BHH", 1, hash_kr, cipher_kr) + hashlib.sha1(secret).digest()[:6]
    return base64.b64encode(head + sealed)


def open_packet(packet, passphrase):
    raw = base64.b64decode(packet)
    version, hash_kr, cipher_kr = struct.unpack(">BHH", raw[:5])
    assert version == 1
    if not passphrase:
        hash_kr = cipher_kr = 0
    key = key_of(passphrase, hash_kr * 1000 + 1)
    plain = cbc(key, raw[11:], cipher_kr * 1000 + 1, 0)
    (size,) = struct.unpack(">H", plain[-2:])
    payload = plain[-2 - size:-2]
    secret = payload[24:]
    assert payload[4:24] == hashlib.sha1(secret).digest(), "wrong passphrase"
    assert raw[5:11] == payload[4:10]
    return secret


def vectors():
    random = bytes(range(0xA0, 0xC0))
    for secret, passphrase, hash_kr, cipher_kr in (
        ("GiCdGZs7Z0s2Yhc2TG5yTb4zXOk", "", 0, 0),
        ("GiCdGZs7Z0s2Yhc2TG5yTb4zXOk", "correct horse", 80, 80),
        ("GiCdGZs7Z0s2Yhc2TG5yTb4zXOk", "p\u00e4ss w\u00f6rd ", 1, 0),
        ("GiCdGZs7Z0s2Yhc2TG5yTb4zXOk", "x", 0, 1),
        ("GiCdGZs7Z0s2Yhc2TG5yTb4zXOk", "x", 0, 0),
        ("s", "x", 2, 3),
        ("1234567890123456789012", "no padding", 1, 1),
        ("12345678901234567890123", "most padding", 1, 1),
        ("long " * 199, "x", 1, 1),
    ):
        packet = seal(secret.encode(), passphrase.encode(), hash_kr, cipher_kr, random)
        assert open_packet(packet, passphrase.encode()) == secret.encode()
        print(secret, passphrase, hash_kr, cipher_kr, packet.decode(), sep="\t")


def main():
    command, *args = sys.argv[1:]
    if command == "vectors":
        vectors()
    elif command == "seal":
        secret, passphrase, hash_kr, cipher_kr, random = args
        print(seal(secret.encode(), passphrase.encode(), int(hash_kr), int(cipher_kr),
                   bytes.fromhex(random)).decode())
    else:
        packet, passphrase = args
        sys.stdout.buffer.write(open_packet(packet, passphrase.encode()))


main()
