"""ssh, as paramiko does it: with_paramiko.py PORT KEY KNOWN_HOSTS REKEY_BYTES COMMAND"""

import os
import sys
import threading

import paramiko

port, key, known_hosts, rekey_bytes, command = sys.argv[1:]
client = paramiko.SSHClient()
client.load_host_keys(known_hosts)
try:
    client.connect("127.0.0.1", int(port), "root", key_filename=key, allow_agent=False, look_for_keys=False)
except paramiko.SSHException as error:
    sys.exit(f"{type(error).__name__}: {error}")
if int(rekey_bytes):
    client.get_transport().packetizer.REKEY_BYTES = int(rekey_bytes)
channel = client.get_transport().open_session()
channel.exec_command(command)


def upload():
    while chunk := os.read(0, 65536):
        channel.sendall(chunk)
    channel.shutdown_write()


def complain():
    while chunk := channel.recv_stderr(65536):
        sys.stderr.buffer.write(chunk)


others = [threading.Thread(target=upload, daemon=True), threading.Thread(target=complain)]
for thread in others:
    thread.start()
while chunk := channel.recv(65536):
    sys.stdout.buffer.write(chunk)
others[1].join()
sys.stdout.flush()
sys.stderr.flush()
os._exit(channel.recv_exit_status() & 255)
