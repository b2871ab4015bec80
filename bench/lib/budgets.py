"""What the figures are judged by. Every budget is a ratio inside one run; no absolute time is ever asserted."""
import statistics

WHY = {}  # key of a budget -> why it is missed, when that is known: notes.py


class Verdict:
    def __init__(self, key, what, value, limit, at_most=True, spread=None, unit=''):
        self.key, self.what, self.value, self.limit, self.at_most = key, what, value, limit, at_most
        self.spread, self.unit = spread, unit

    @property
    def met(self):
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def as_dict(self):
        return {'key': self.key, 'what': self.what, 'value': self.value, 'limit': self.limit,
                'at_most': self.at_most, 'spread': self.spread, 'met': self.met, 'unit': self.unit}


def ratios(ours, theirs):
    return [a / b for a, b in zip(ours, theirs) if b > 0]


def judged(key, what, values, limit, at_most=True):
    return Verdict(key, what, statistics.median(values), limit, at_most, (min(values), max(values)))


FLOOR_LIMITS = {'return': 1.10, 'lua': 1.10, 'handlers': 1.15, 'static-1k': 1.25, 'proxy-1k': 1.15}
LUA_WAITS = ('redis', 'threads', 'coroutine', 'sleep0')


def column(samples, server, what):
    return [s[what] for s in samples[server]]


def of_workload(key, title, samples, floor):
    """Verdicts of one request workload: against its floor, and against the best peer."""
    out = []
    ours = column(samples, 'moonphase', 'cpu')
    within_floor = False
    if floor in samples and key in FLOOR_LIMITS:
        v = judged(f'{key}/floor', f'{title}: CPU against the floor program',
                   ratios(ours, column(samples, floor, 'cpu')), FLOOR_LIMITS[key])
        within_floor = v.met
        out.append(v)
    peers = [p for p in samples if p not in ('moonphase', floor)]
    if not peers:
        return out
    best = min(peers, key=lambda p: statistics.median(column(samples, p, 'cpu')))
    if key.startswith('gzip'):
        per_byte = judged(f'{key}/peer', f'{title}: CPU a byte, {best} against ours',
                          ratios(column(samples, best, 'cpu'), ours), 2.0, at_most=False)
        size = judged(f'{key}/size', f'{title}: compressed size against {best}',
                      ratios(column(samples, 'moonphase', 'bytes'), column(samples, best, 'bytes')), 1.005)  # heads differ
        return out + [per_byte, size]
    if key in LUA_WAITS and 'nginx' in samples:
        out.append(judged(f'{key}/user', f'{title}: user CPU, nginx against ours',
                          ratios(column(samples, 'nginx', 'user'), column(samples, 'moonphase', 'user')), 1.5,
                          at_most=False))
        return out
    v = judged(f'{key}/peer', f'{title}: CPU, best peer ({best}) against ours',
               ratios(column(samples, best, 'cpu'), ours), 1.2, at_most=False)
    if not (within_floor and not v.met):
        out.append(v)
    return out


def of_special(results):
    out = []
    for operation, values in results.get('dict', {}).items():
        if operation == 'error' or 'nginx' not in values or not values['moonphase']:
            continue
        out.append(judged(f'dict-{operation}', f'9 shared dict {operation}, all workers: throughput against nginx',
                          ratios(values['moonphase'], values['nginx']), 3.0, at_most=False))
    for key, values in results.get('tls', {}).items():
        peers = [p for p in values if p != 'moonphase' and values[p]]
        if not peers or not values.get('moonphase'):
            continue
        best = min(peers, key=lambda p: statistics.median(values[p]))
        out.append(judged(f'tls-{key}', f'12 {key}: CPU, best peer ({best}) against ours',
                          ratios(values[best], values['moonphase']), 1.2, at_most=False))
    idle = results.get('idle', {}).get('moonphase')
    if idle:
        out.append(Verdict('idle', '14 an idle connection: user memory', idle['bytes'], 500, unit=' bytes'))
    for kind, servers in results.get('many', {}).items():
        rows = servers.get('moonphase', {})
        if not rows:
            continue
        sizes = sorted(rows)
        out.append(judged(f'many-{kind}', f'15 {kind}: CPU with {sizes[-1]:,} entries against {sizes[0]}',
                          ratios(rows[sizes[-1]]['cpu'], rows[sizes[0]]['cpu']), 1.10))
        if 'instructions' in rows[sizes[0]]:
            out.append(Verdict(f'many-{kind}/instructions',
                               f'15 {kind}: instructions with {sizes[-1]:,} entries against {sizes[0]}',
                               rows[sizes[-1]]['instructions'] / rows[sizes[0]]['instructions'], 1.10))
    return out
