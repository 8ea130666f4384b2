"""A crowd of strangers from ten addresses of 127.0.1.0/24, until standard input ends: flood.py PORT

Each address connects a hundred times a second and does one of five things: says nothing, sends what is no version, sends
messages that nobody knows and reads no answer, begins a key exchange and stops, or sends its version a byte at a time.
Says at the end how many connections there were, and how many of them were answered with a version.
"""

import collections
import os
import random
import select
import socket
import sys
import threading
import time

PORT = int(sys.argv[1])
IDENT = b"SSH-2.0-flood\r\n"
OPEN_AT_A_TIME = 40


def packet(payload):
    padding = 8 - (5 + len(payload)) % 8
    padding += 8 if padding < 4 else 0
    return (1 + len(payload) + padding).to_bytes(4, "big") + bytes([padding]) + payload + bytes(padding)


def kexinit():
    lists = [b"curve25519-sha256", b"ssh-ed25519"] + [b"chacha20-poly1305@openssh.com"] * 2
    lists += [b"hmac-sha2-256"] * 2 + [b"none"] * 2 + [b""] * 2
    names = b"".join(len(name).to_bytes(4, "big") + name for name in lists)
    return packet(bytes([20]) + os.urandom(16) + names + bytes(5))


KEX_ECDH_INIT = packet(bytes([30]) + (32).to_bytes(4, "big") + bytes([9]) + bytes(31))
HABITS = [b"", os.urandom(4096), IDENT + packet(bytes([192])) * 500, IDENT + kexinit() + KEX_ECDH_INIT, IDENT]

over = threading.Event()
connections = collections.Counter()
served = collections.Counter()


def stranger(address):
    held = collections.deque()
    due = time.monotonic()
    while not over.is_set():
        one = socket.socket()
        # A small window: what it is told does not fit.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        one.bind((address, 0))
        one.setblocking(False)
        says = random.choice(HABITS)
        try:
            one.connect(("127.0.0.1", PORT))
        except BlockingIOError:
            select.select([], [one], [], 0.1)
        except OSError:
            continue
        connections[address] += 1
        try:
            one.send(says[:1] if says == IDENT else says)
        except OSError:
            pass
        held.append(one)
        while len(held) > OPEN_AT_A_TIME:
            oldest = held.popleft()
            try:
                served[address] += oldest.recv(8) == b"SSH-2.0-"
            except OSError:
                pass
            oldest.close()
        due += 0.01
        time.sleep(max(0, due - time.monotonic()))


crowd = [threading.Thread(target=stranger, args=(f"127.0.1.{n}",), daemon=True) for n in range(1, 11)]
for one in crowd:
    one.start()
sys.stdin.read()
over.set()
for one in crowd:
    one.join()
print(sum(connections.values()), sum(served.values()))
