"""What the figures are judged by. Every budget is a ratio inside one run; no absolute time is ever asserted."""
import statistics

from special import MANY_FLOOR
from tls import FLOORS, TITLES


class Verdict:
    """`floor`: the verdict against the floor program, when that is what excuses this one."""

    def __init__(self, key, what, value, limit, at_most=True, spread=None, unit=''):
        self.key, self.what, self.value, self.limit, self.at_most = key, what, value, limit, at_most
        self.spread, self.unit, self.floor = spread, unit, None

    @property
    def met(self):
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    @property
    def excused(self):
        return not self.met and self.floor is not None

    @property
    def missed(self):
        return not self.met and self.floor is None

    @property
    def doubtful(self):
        """Whether turns disagree about it: some were within the limit, some were not."""
        return not self.excused and self.spread is not None and self.spread[0] <= self.limit <= self.spread[1]

    def as_dict(self):
        return {'key': self.key, 'what': self.what, 'value': self.value, 'limit': self.limit,
                'at_most': self.at_most, 'spread': self.spread, 'met': self.met, 'excused': self.excused, 'unit': self.unit}


def turns(alternations, verdicts):
    """Numbers the turns: `alternations`, and as many again as long as a verdict of those so far (`verdicts()`) is doubtful."""
    for i in range(2 * alternations):
        if i >= alternations and not any(v.doubtful for v in verdicts()):
            return
        yield i


def ratios(ours, theirs):
    """Turn by turn: what was measured one after the other belongs together."""
    return [a / b for a, b in zip(ours, theirs) if b > 0]


def median(values):
    return statistics.median(values) if values else 0.0


def judged(key, what, values, limit, at_most=True):
    return Verdict(key, what, statistics.median(values), limit, at_most, (min(values), max(values)))


# Where no limit was given, that of the closest workload that has one: a connection for every request and the requests over
# TLS do what `return` does, and what comes on top (connections, handshakes, records) is the kernel's and OpenSSL's, of
# which the floor program has as much. Where one of many entries is looked up by its name (no pattern), `return` is what else
# is done.
FLOOR_LIMITS = {'return': 1.10, 'lua': 1.10, 'handlers': 1.15, 'static-1k': 1.25, 'proxy-1k': 1.15, 'proxy-1m': 1.15,
                'proxy-post': 1.15, 'connect': 1.10, 'many-locations': 1.10, 'many-servers': 1.10, 'many-map': 1.10,
                'tls-handshake': 1.10, 'tls-resumed': 1.10, 'tls-https': 1.10}
BEST_PEER = 1.2
LUA_WAITS = ('redis', 'threads', 'coroutine', 'sleep0')


def column(samples, server, what):
    return [s[what] for s in samples[server]]


def user_of_all(turns):
    return sum(s['user'] * s['requests'] for s in turns) / sum(s['requests'] for s in turns)


def best_of(values):
    """The peer with the least median; None when there is none."""
    peers = [p for p in values if p != 'moonphase' and values[p]]
    return min(peers, key=lambda p: statistics.median(values[p])) if peers else None


def against_floor(key, title, samples, floor):
    """None when there is no such budget, or nothing to judge it by."""
    if key not in FLOOR_LIMITS or not samples.get(floor):
        return None
    return judged(f'{key}/floor', f'{title}: CPU against the floor program',
                  ratios(column(samples, 'moonphase', 'cpu'), column(samples, floor, 'cpu')), FLOOR_LIMITS[key])


def against_best(key, title, samples, best, floor_verdict=None):
    """Excused when ours is within the budget of the floor program: nobody could be so much cheaper."""
    v = judged(key, f'{title}: CPU, best peer ({best}) against ours',
               ratios(column(samples, best, 'cpu'), column(samples, 'moonphase', 'cpu')), BEST_PEER, at_most=False)
    if floor_verdict is not None and floor_verdict.met:
        v.floor = floor_verdict
    return v


def of_workload(key, title, samples, floor):
    """Verdicts of one request workload: against its floor, and against the best peer."""
    if not samples.get('moonphase'):
        return []
    ours = column(samples, 'moonphase', 'cpu')
    on_floor = against_floor(key, title, samples, floor)
    out = [on_floor] if on_floor is not None else []
    best = best_of({p: column(samples, p, 'cpu') for p in samples if p != floor})
    if best is None:
        return out
    if key.startswith('gzip'):
        # Both ends of the trade at once: a peer that is quick because it compresses less is no measure.
        peer = 'nginx' if 'nginx' in samples else best
        per_byte = judged(f'{key}/peer', f'{title}: CPU a byte, {peer} against ours',
                          ratios(column(samples, peer, 'cpu'), ours), 2.0, at_most=False)
        size = judged(f'{key}/size', f'{title}: compressed size against {peer}',
                      ratios(column(samples, 'moonphase', 'bytes'), column(samples, peer, 'bytes')), 1.005)  # heads differ
        return out + [per_byte, size]
    if key in LUA_WAITS and 'nginx' in samples:
        v = judged(f'{key}/user', f'{title}: user CPU, nginx against ours',
                   ratios(column(samples, 'nginx', 'user'), column(samples, 'moonphase', 'user')), 1.5, at_most=False)
        # The kernel counts user time in ticks, too few in one turn: all turns together.
        v.value = user_of_all(samples['nginx']) / max(user_of_all(samples['moonphase']), 1e-9)
        out.append(v)
    out.append(against_best(f'{key}/peer', title, samples, best, on_floor))
    return out


def of_tls(results):
    out = []
    for key, title in TITLES.items():
        samples = {n: s for n, s in results.get('tls', {}).get(key, {}).items() if s}
        if 'moonphase' not in samples:
            continue
        floor = FLOORS.get(key)
        on_floor = against_floor(f'tls-{key}', f'12 {title}', samples, floor)
        if on_floor is not None:
            out.append(on_floor)
        best = best_of({n: column(samples, n, 'cpu') for n in samples if n != floor})
        if best is not None:
            out.append(against_best(f'tls-{key}', f'12 {title}', samples, best, on_floor))
    return out


def of_many(results):
    out = []
    for kind, servers in results.get('many', {}).items():
        rows = servers.get('moonphase')
        if not rows:
            continue
        least, most = min(rows, key=int), max(rows, key=int)
        out.append(judged(f'many-{kind}', f'15 {kind}: CPU with {int(most):,} entries against {least}',
                          ratios(rows[most]['cpu'], rows[least]['cpu']), 1.10))
        if 'instructions' in rows[least]:
            out.append(Verdict(f'many-{kind}/instructions',
                               f'15 {kind}: instructions with {int(most):,} entries against {least}',
                               rows[most]['instructions'] / rows[least]['instructions'], 1.10))
        samples = {n: [{'cpu': x} for x in r[most]['cpu']] for n, r in servers.items() if most in r}
        title = f'15 {kind}, {int(most):,} entries'
        best = best_of({n: column(samples, n, 'cpu') for n in samples if n != MANY_FLOOR})
        if best:
            floor = against_floor(f'many-{kind}', title, samples, MANY_FLOOR)  # an excuse, not a budget of its own
            out.append(against_best(f'many-{kind}/peer', title, samples, best, floor))
    return out


def of_special(results):
    out = []
    for operation, values in results.get('dict', {}).items():
        if values.get('nginx') and values.get('moonphase'):
            out.append(judged(f'dict-{operation}', f'9 shared dict {operation}, all workers: throughput against nginx',
                              ratios(values['moonphase'], values['nginx']), 3.0, at_most=False))
    out += of_tls(results)
    idle = results.get('idle', {}).get('moonphase')
    if idle:
        out.append(Verdict('idle', f"14 an idle connection of {idle['connections']:,}: user memory", idle['bytes'], 500,
                           unit=' bytes'))
    out += of_many(results)
    blocks = results.get('blocks', {})
    if blocks.get('moonphase') and blocks.get('nginx'):
        for what in ('start', 'test', 'reload'):
            out.append(judged(f'blocks-{what}', f'16 many server blocks, {what}: time, nginx against ours',
                              ratios(blocks['nginx'][what], blocks['moonphase'][what]), BEST_PEER, at_most=False))
    timers = results.get('timers', {})
    if timers.get('moonphase') and timers.get('nginx'):
        out.append(judged('timers', '18 making a timer: CPU, nginx against ours',
                          ratios(timers['nginx']['make_usec'], timers['moonphase']['make_usec']), BEST_PEER, at_most=False))
    return out


def of_results(results, workloads):
    out = []
    for w in workloads:
        if w.key in results['samples']:
            out += of_workload(w.key, w.title, results['samples'][w.key], w.floor)
    return out + of_special(results)
