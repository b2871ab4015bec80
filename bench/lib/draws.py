"""The turns of a workload, each with servers of its own: copies of one binary differ by some per cent for as long as they
live, and so every turn draws that lot again, for everybody."""
from measure import FAILURES


def take(farm, names, start, turn, numbers, failed):
    """Measures all turn by turn: name -> samples, and the servers of the last turn, which still run.

    `start(name)` starts a server, `turn(servers)` says what it measured of each or its error, `numbers(samples)` counts the
    turns, `failed(name, error)` is told of everybody who is missing from then on.
    """
    samples, servers = {n: [] for n in names}, {}

    def lose(name, error):
        failed(name, error)
        del samples[name]

    for _ in numbers(samples):
        for server in servers.values():
            farm.stop(server)
        servers = {}
        for name in list(samples):
            try:
                servers[name] = start(name)
            except FAILURES as e:
                lose(name, e)
        for name, one in turn(servers).items():
            if isinstance(one, Exception):
                lose(name, one)
            else:
                samples[name].append(one)
    return samples, {n: servers[n] for n in samples}
