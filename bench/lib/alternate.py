"""Several servers measured side by side: their load generators run one at a time, a slice each, again and again, and are
stopped in between. What the machine does to one of them in a second it does to all, so ratios inside a turn hold."""
import math
import signal
import subprocess
import time

from servers import LOAD_CORE, pinned

SLICE = 0.1    # seconds; of the order of a thousand requests and more
# Seconds, where all connections are answered in a millisecond or two: what the machine does in one slice it still does in
# the next one, so that ratios of one turn scatter by 3 %, not 6.
SHORT_SLICE = 0.02
WARM = 2 * SLICE  # seconds after which traces are compiled, and pools filled for some connections
SETTLE = 0.004  # seconds for a server to end what its stopped client has asked for


def lasting(seconds, slice_seconds):
    """How long a server's part of a turn takes."""
    return seconds * (1.01 + SETTLE / slice_seconds)


class Shift:
    """A load generator that works only when told to, beside what its server has spent since it began."""

    def __init__(self, server, args):
        self.server, self.active, self.before = server, 0.0, server.cpu()
        self.process = subprocess.Popen(pinned(LOAD_CORE, args), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.process.send_signal(signal.SIGSTOP)

    def work(self, seconds):
        """True when it has come to its end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGSTOP)
        self.active += time.monotonic() - began
        return self.process.returncode is not None

    def outcome(self, read):
        """What `read` finds in what it printed, the number of requests among it, and what each of them took; or an error."""
        spent = [a - b for a, b in zip(self.server.cpu(), self.before)]
        printed = self.process.communicate()[0]
        try:
            if self.server.process.poll() is not None:
                raise RuntimeError(f'the server has ended with status {self.server.process.returncode}')
            found = read(printed)
            if not found['requests']:
                raise RuntimeError(f'nothing was done: {printed[-200:]}')
        except RuntimeError as e:
            return e
        return {**found, **each(spent, found['requests']), 'busy': spent[0] / 1e9 / self.active}

    def abandon(self):
        if self.process.returncode is None:
            self.process.kill()
            self.process.communicate()


def turn(servers, command, read, seconds, slice_seconds):
    """One turn of all `servers` (name -> server), each of which gets about `seconds`, a slice at a time: name -> what
    outcome(read) says.

    `command(name, wall)` is a load generator that ends by itself, `wall` seconds after its start or when its work is done.
    """
    wall = max(1, math.ceil(seconds * len(servers)))
    shifts, done, deadline = {}, {}, time.monotonic() + 4 * wall + 30
    try:
        for name, server in servers.items():
            shifts[name] = Shift(server, command(name, wall))
        order = list(servers)
        while order:
            for name in list(order):
                if shifts[name].work(slice_seconds):
                    done[name] = shifts[name].outcome(read)
                    order.remove(name)
                time.sleep(SETTLE)
            order.reverse()
            if time.monotonic() > deadline:
                raise RuntimeError(f'no end of the load on {", ".join(order)}')
    finally:
        for shift in shifts.values():
            shift.abandon()
    return done


def warm_up(servers, command, seconds=WARM):
    """Load for each, which nobody counts."""
    for name, server in servers.items():
        shift = Shift(server, command(name, math.ceil(2 * seconds)))
        try:
            shift.work(seconds)
        finally:
            shift.abandon()
    time.sleep(SLICE / 2)  # for the last of them to close its connections


def each(cpu, count):
    """Microseconds for each of `count`, and their parts in user and system as the ticks say."""
    nanoseconds, user, system = cpu
    total = nanoseconds / 1000 / count
    share = user / (user + system) if user + system else 0
    return {'cpu': total, 'user': total * share, 'system': total * (1 - share)}
