"""One run: its steps in order, what it says meanwhile, and the results so far on disk after every step."""
import concurrent.futures
import json
import os
import platform
import subprocess
import sys
import time
import traceback

import alternate
import budgets
import draws
import measure
import report
import special
import tls
import workloads
from servers import HERE, LOAD_CORE, SERVER_CORE, Server, free_port

SPECIAL = ('dict', 'tls', 'idle', 'many', 'blocks', 'timers')
PREPARING = 'programs and data'
STARTING = 0.1  # seconds that a server of a turn takes to start and to stop
COUNTED = ('moonphase', 'nginx')  # under callgrind
TRACED = ('moonphase', 'nginx', 'floor')  # kinds, by strace


def machine():
    model = '?'
    with open('/proc/cpuinfo') as f:
        for line in f:
            if line.startswith('model name'):
                model = line.split(':', 1)[1].strip()
                break
    return {'when': time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime()), 'cpus': os.cpu_count(), 'model': model,
            'kernel': platform.release(), 'load': f'{os.getloadavg()[0]:.2f}'}


def reasons():
    """Why a budget is missed, by its key."""
    return read_json(os.path.join(HERE, 'results', 'why.json'), {})


def report_again(folder):
    """The report and the plots of a run that has been, with the reasons known now."""
    results = read_json(os.path.join(folder, 'results.json'), None)
    if results is None:
        sys.exit(f'no results.json in {folder}')
    verdicts = budgets.of_results(results, workloads.ALL)
    report.write_all(results, workloads.ALL, verdicts, reasons(), folder)


def read_json(path, default):
    try:
        with open(path) as f:
            return json.load(f)
    except FileNotFoundError:
        return default


class Run:
    """`results` is all that reports are made of; it is written whole after every step."""

    def __init__(self, args, farm, versions):
        self.args, self.farm, self.began = args, farm, time.monotonic()
        self.results = {'samples': {}, 'extra': {}, 'failures': []}
        if args.keep:
            self.results.update(read_json(os.path.join(args.out, 'results.json'), {}))
        self.results.update(machine=machine(), alternations=args.alternations, seconds=args.seconds, versions=versions,
                            slices=[alternate.SHORT_SLICE, alternate.SLICE])
        self.results.setdefault('when', {})  # what was measured when; with --keep some of it before this run
        self.notes = reasons()
        self.chosen = [w for w in workloads.ALL if args.wanted is None or w.key in args.wanted]

    def say(self, text):
        print(f'== {text}', file=sys.stderr, flush=True)

    # --- steps -------------------------------------------------------------------------------------------------

    def everything(self):
        """Steps are (title, seconds it will take about, what to call)."""
        a = self.args
        steps = [(PREPARING, 2, self.prepare)]
        for w in self.chosen:
            n = len(self.names_of(w))
            turns = a.alternations * n * (alternate.lasting(a.seconds, w.slice_seconds) + STARTING + w.load.warm) + n * (a.seconds + 0.15)
            steps.append((w.title, turns + (0 if a.quick else 2.6), lambda w=w: self.workload(w)))
        names = ['moonphase'] + [n for n in self.farm.peers if n not in ('haproxy', 'h2o')]
        for key, seconds, call in special_steps(self.farm, names, a, self.failed):
            if a.wanted is None or key in a.wanted:
                steps.append((key, seconds, lambda key=key, call=call: self.results.__setitem__(key, call())))
        if not a.quick and (a.wanted is None or 'instructions' in a.wanted):
            steps.append(('instructions', 60, lambda: self.count_all(self.chosen or workloads.ALL)))
        self.take(steps)

    def take(self, steps):
        left = sum(s[1] for s in steps)
        planned, pace = left, 1.0
        for title, seconds, call in steps:
            spent = time.monotonic() - self.began
            self.say(f'{spent / 60:4.1f} min, about {left * pace / 60:.1f} left: {title}')
            self.results['failures'] = [f for f in self.results['failures'] if f[0] != title]  # of an earlier run
            try:
                call()
                if title != PREPARING:
                    self.results['when'][title] = self.results['machine']['when']
            except Exception as e:  # a row less, not a run less
                self.failed(title, '', e)
                traceback.print_exc()
            left -= seconds
            if planned - left > 20:
                pace = (time.monotonic() - self.began) / (planned - left)
            self.results['minutes'] = round((time.monotonic() - self.began) / 60, 1)
            self.results['unfinished'] = left > 0.001
            self.write()

    def failed(self, what, who, error):
        self.say(f'{what} {who}: {error}')
        self.results['failures'].append([what, who, str(error)[:300]])

    def write(self):
        verdicts = budgets.of_results(self.results, workloads.ALL)
        report.write_all(self.results, workloads.ALL, verdicts, self.notes, self.args.out)
        self.verdicts = verdicts

    def summary(self):
        count = {}
        for state in ('missed', 'excused', 'met'):
            those = [v for v in self.verdicts if getattr(v, state)]
            count[state] = len(those)
            for v in those if state != 'met' else ():
                print(f'{state:7} ' + ' '.join(str(c) for c in report.budget_line(v, {})[:3]))
        for failure in self.results['failures']:
            print('failed  ' + ' '.join(failure))
        print(f"{count['met']} budgets met, {count['excused']} excused by the floor's, {count['missed']} missed, "
              f"{self.results.get('minutes')} minutes; {os.path.relpath(self.args.out)}/results.md")

    # --- what the servers serve, and the servers ---------------------------------------------------------------

    def prepare(self):
        data = self.farm.data
        for name, text in (('1k.txt', 'x' * 1024), ('1m.txt', 'x' * (1 << 20)), ('hello.txt', 'hello world\n'),
                           ('64k.json', sample_json(65536))):
            with open(os.path.join(data, name), 'w') as f:
                f.write(text)
        farm = self.farm
        for program in ('responder', 'relay'):
            farm.compile(program)
        origin = farm.floor('responder', 1024, core=LOAD_CORE)
        slow = farm.floor('responder', 1024, 5, core=LOAD_CORE)
        port = free_port()
        redis = farm.started(Server('redis', 'redis', ['redis-server', '--port', str(port), '--bind', '127.0.0.1',
                                                       '--save', '', '--appendonly', 'no'], port, LOAD_CORE,
                                    cwd=farm.folder))
        subprocess.run(['redis-cli', '-p', str(port), 'set', 'bench', 'x' * 100], capture_output=True, check=True)
        farm.values.update(origin=origin.port, slow_origin=slow.port, redis=redis.port)

    def start(self, name):
        """A server of one turn."""
        farm = self.farm
        floors = {'responder': ('responder', 12), 'responder-1k': ('responder', 1024),
                  'responder-file': ('responder', 0, 0, os.path.join(farm.data, '1m.txt')),
                  'responder-close': ('responder', 12, 0, '-', 'close'), 'relay': ('relay', farm.values['origin']),
                  'relay-slow': ('relay', farm.values['slow_origin'])}
        if name in floors:
            return farm.floor(*floors[name], copied=True)
        return farm.other(name, copied=True) if name in ('haproxy', 'h2o') else farm.compatible(name, copied=True)

    def names_of(self, w):
        """Who takes part, ours first, its floor last."""
        names = []
        for name in w.servers:
            names += [n for n in self.farm.peers if n not in ('nginx', 'haproxy', 'h2o')] if name == '+peers' else [name]
        return [n for n in names if n == 'moonphase' or n in self.farm.peers] + ([w.floor] if w.floor else [])

    # --- one request, again and again --------------------------------------------------------------------------

    def workload(self, w):
        def turn(servers):
            measure.warm_up(servers, w.load)
            return measure.turn(servers, dict.fromkeys(servers, w.load), self.args.seconds, w.slice_seconds)

        def numbers(samples):
            return budgets.turns(self.args.alternations, lambda: budgets.of_workload(w.key, w.title, samples, w.floor))

        def fail(name, error):
            self.failed(w.title, name, error)

        with self.farm.stopping():
            samples, servers = draws.take(self.farm, self.names_of(w), self.start, turn, numbers, fail)
            self.results['samples'][w.key] = samples
            self.results['extra'].setdefault(w.key, {}).update(self.beyond_turns(servers, w.load, fail))

    def beyond_turns(self, servers, load, fail):
        """Of each alone: latencies and memory. Of all that are still well: system calls."""
        alone, calls = {}, {}
        for n, server in servers.items():
            try:
                alone[n] = measure.undisturbed(server, load, self.args.seconds)
            except measure.FAILURES as e:
                fail(n, e)
        if not self.args.quick:
            traced = {n: servers[n] for n in alone if servers[n].kind in TRACED}
            for n, one in measure.system_calls(traced, load).items():
                if isinstance(one, Exception):
                    fail(n, one)
                else:
                    calls[n] = one
        return {'calls': calls, 'alone': alone}

    def count_all(self, counted):
        """All at the same time, each on a processor: nothing depends on a clock here."""
        names = [n for n in COUNTED if n == 'moonphase' or n in self.farm.peers]
        with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
            running = {n: pool.submit(self.count_instructions, n, counted, core)
                       for n, core in zip(names, (LOAD_CORE, SERVER_CORE))}
        for n, future in running.items():
            if future.exception() is not None:
                self.failed('instructions', n, future.exception())

    def count_instructions(self, name, counted, core):
        """One server under callgrind, asked for every workload that can be counted."""
        out = os.path.join(self.farm.dir(f'callgrind-{name}'), 'callgrind')
        server = self.farm.compatible(name, label=f'callgrind-{name}', core=core,
                                      wrapper=[*measure.CALLGRIND, f'--callgrind-out-file={out}'])
        for w in counted:
            if not w.instructions:
                continue
            if time.monotonic() - self.began > self.args.minutes * 60:
                self.failed('instructions', name, f'no time left from {w.key} on')
                break
            try:
                counts = self.results['extra'].setdefault(w.key, {}).setdefault('instructions', {})
                counts[name] = measure.instructions(server, out, w.load)
            except (OSError, RuntimeError, IndexError, TypeError) as e:
                self.failed(w.key, f'{name} under callgrind', e)
        self.farm.stop(server)


def sample_json(size):
    rows, i = [], 0
    while len(json.dumps(rows)) < size:
        i += 1
        rows.append({'id': i, 'name': f'customer {i * 7919 % 1000}', 'email': f'user{i * 31 % 977}@example.org',
                     'balance': i * 104729 % 100000 / 100, 'active': i % 3 == 0, 'tags': ['a', 'bb', 'ccc'][:i % 4]})
    return json.dumps(rows)[:size]


def special_steps(farm, names, args, failed):
    a, s, quick = args.alternations, args.seconds, args.quick
    everybody = names + [n for n in ('haproxy', 'h2o') if n in farm.peers]
    return [
        ('dict', 3 + 4 * len(names) * a * (0.3 if quick else 0.7),
         lambda: special.shared_dict(farm, names, a, 0.15 if quick else 0.5)),
        ('tls', 5 + a * (len(everybody) * 4 + 3) * (alternate.lasting(s, alternate.SLICE) + STARTING + alternate.WARM),
         lambda: tls.measure(farm, everybody, lambda key, samples: budgets.turns(
             a, lambda: budgets.of_tls({'tls': {key: samples}})), s, failed)),
        ('idle', 7 * len(everybody), lambda: special.idle(farm, everybody, 2000 if quick else 10000, failed)),
        ('many', 4 * len(names) * ((2 * a + (0 if quick else 1)) * alternate.lasting(s, alternate.SHORT_SLICE) + 3) + (0 if quick else 30),
         lambda: special.many_entries(farm, names, lambda kind, rows: budgets.turns(
             a, lambda: budgets.of_many({'many': {kind: rows}})), s, quick)),
        ('blocks', len(names) * (3 if quick else a * 8),
         lambda: special.server_blocks(farm, names, 500 if quick else 5000, 1 if quick else a)),
        ('timers', len(names) * (2 * a * (s + 0.12) + 5), lambda: special.timers(farm, names, 100000, a, s)),
    ]
