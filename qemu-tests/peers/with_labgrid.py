"""A word of the appliance's, as labgrid's SSHDriver runs it: with_labgrid.py PORT KEY KNOWN_HOSTS REKEY_BYTES COMMAND"""

import sys

from labgrid import Target
from labgrid.driver import SSHDriver
from labgrid.resource import NetworkService

port, key, _, _, command = sys.argv[1:]
target = Target("box")
NetworkService(target, "service", "127.0.0.1", "root", port=int(port))
driver = SSHDriver(target, "driver", keyfile=key)
target.activate(driver)
try:
    stdout, stderr, code = driver.run(command)
    print(*stdout, sep="\n")
    print(*stderr, sep="\n", file=sys.stderr)
finally:
    target.deactivate(driver)
sys.exit(code)
