"""ssh, as asyncssh does it: with_asyncssh.py PORT KEY KNOWN_HOSTS REKEY_BYTES COMMAND"""

import asyncio
import os
import sys

import asyncssh

port, key, known_hosts, rekey_bytes, command = sys.argv[1:]
options = {"rekey_bytes": int(rekey_bytes)} if int(rekey_bytes) else {}
BLOCK = 65536


async def main():
    try:
        connection = await asyncssh.connect(
            "127.0.0.1", int(port), username="root", client_keys=[key], agent_path=None,
            known_hosts=known_hosts, **options)
    except asyncssh.Error as error:
        sys.exit(f"{type(error).__name__}: {error}")
    loop = asyncio.get_running_loop()
    async with connection:
        stdin, stdout, stderr = await connection.open_session(command, encoding=None)

        async def upload():
            while chunk := await loop.run_in_executor(None, os.read, 0, BLOCK):
                stdin.write(chunk)
                await stdin.drain()
            stdin.write_eof()

        async def download(stream, out):
            while chunk := await stream.read(BLOCK):
                await loop.run_in_executor(None, out.write, chunk)

        await asyncio.gather(upload(), download(stdout, sys.stdout.buffer), download(stderr, sys.stderr.buffer))
        await stdout.channel.wait_closed()
        if stdout.channel.get_exit_signal():
            sys.exit(f"signal {stdout.channel.get_exit_signal()[0]}")
        return stdout.channel.get_exit_status()


sys.exit(asyncio.run(main()))
