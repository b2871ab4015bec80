"""The figures as Markdown and JSON, with the plots beside them."""
import json
import os

import plots
from budgets import BEST_PEER, median, ratios
from tls import TITLES


def spread(values, digits=2):
    return f'{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})' if values else '-'


def table(head, rows):
    lines = ['| ' + ' | '.join(head) + ' |', '|' + ' --- |' * len(head)]
    lines += ['| ' + ' | '.join(str(c) for c in row) + ' |' for row in rows]
    return '\n'.join(lines) + '\n'


def busy(samples):
    """How much of its time a server was at work; nothing in results of a run that did not note it."""
    shares = [s['busy'] for s in samples if 'busy' in s]
    return f'{median(shares) * 100:.0f} %' if shares else '-'


def budget_line(v, notes):
    sign = '<=' if v.at_most else '>='
    digits = 0 if v.unit else 3 if round(v.value, 2) == v.limit and not v.met else 2  # 1.103 is no 1.10
    text = f'{v.value:.{digits}f}{v.unit}'
    if v.spread:
        text += f' ({v.spread[0]:.2f} to {v.spread[1]:.2f})'
    return [v.what, text, f'{sign} {v.limit:g}{v.unit}', notes.get(v.key, '')]


def workload_section(w, samples, extra):
    rows = []
    ours = [s['cpu'] for s in samples.get('moonphase', ())]
    for name, values in samples.items():
        cpu = [s['cpu'] for s in values]
        calls = extra.get('calls', {}).get(name)
        alone = extra.get('alone', {}).get(name)
        rows.append([
            name, f"{alone['rps']:,.0f}" if alone else '-', f'{median(cpu):.2f}',
            f"{median([s['user'] for s in values]):.2f}", f"{median([s['system'] for s in values]):.2f}", busy(values),
            spread(ratios(cpu, ours)), '/'.join(f'{alone[p] / 1000:.2f}' for p in ('p50', 'p99', 'p999')) if alone else '-',
            f'{sum(calls.values()):.2f}' if calls else '-',
            f"{extra['instructions'][name]:,.0f}" if name in extra.get('instructions', {}) else '-',
            f"{alone['memory'] / 1e6:.1f}" if alone else '-',
            sum(s['errors'] for s in (*values, *([alone] if alone else [])))])
    text = f'### {w.title}\n\n' + table(
        ['server', 'requests/s', 'CPU us', 'user', 'system', 'busy', 'CPU / ours', 'p50/p99/p99.9 ms', 'calls', 'instructions',
         'memory MB', 'errors'], rows)
    if w.bytes_matter:
        text += '\nBytes of an answer: ' + ', '.join(
            f"{n} {median([s['bytes'] for s in v]):,.0f}" for n, v in samples.items()) + '\n'
    if extra.get('calls', {}).get('moonphase'):
        text += '\nOurs: ' + ', '.join(f'{c} {n:.2f}' for c, n in extra['calls']['moonphase'].items()) + '\n'
    return text


def special_sections(results, pictures):
    out = []
    if results.get('dict'):
        rows = []
        for op, values in results['dict'].items():
            for n, v in values.items():
                rows.append([op, n, f'{median(v):,.0f}', spread(ratios(values['moonphase'], v))])
        out.append('### 9 shared dict, every worker in a loop at once\n\n' +
                   table(['operation', 'server', 'operations/s', 'ours / this'], rows) + shown(pictures, 'dict'))
    if results.get('tls'):
        rows = []
        for key, title in TITLES.items():
            values = results['tls'].get(key, {})
            ours = [s['cpu'] for s in values.get('moonphase', ())]
            for n, v in values.items():
                cpu = [s['cpu'] for s in v]
                rows.append([title, n, f'{median(cpu):.1f}', f"{median([s['user'] for s in v]):.1f}",
                             f"{median([s['system'] for s in v]):.1f}", busy(v), spread(ratios(cpu, ours))])
        out.append('### 12 TLS and HTTP/2\n\n' +
                   table(['what', 'server', 'CPU us', 'user', 'system', 'busy', 'CPU / ours'], rows) +
                   shown(pictures, *(f'tls-{key}' for key in TITLES)))
    if results.get('idle'):
        rows = [[n, f"{v['bytes']:.0f}", f"{v['cpu_share'] * 100:.2f} %"] for n, v in results['idle'].items()]
        most = max(v['connections'] for v in results['idle'].values())
        out.append(f'### 14 {most:,} idle keepalive connections\n\n' +
                   table(['server', 'user memory a connection, bytes', 'CPU while idle'], rows) + shown(pictures, 'idle'))
    for kind, servers in results.get('many', {}).items():
        rows = []
        for name, sizes in servers.items():
            first = None
            for n, row in sorted(sizes.items(), key=lambda x: int(x[0])):
                first = first or row
                rows.append([name, f'{int(n):,}', f"{row['start']:.3f}", f"{row['memory'] / 1e6:.1f}", f"{median(row['cpu']):.2f}",
                             spread(ratios(row['cpu'], first['cpu'])),
                             f"{row['instructions']:,.0f}" if 'instructions' in row else '-'])
        out.append(f'### 15 {kind}\n\n' + table(
            ['server', 'entries', 'start s', 'memory MB', 'CPU us', 'CPU / fewest', 'instructions'], rows) +
            shown(pictures, f'many-{kind}'))
    if results.get('blocks'):
        rows = [[n, *(spread(v[k], 3) for k in ('start', 'test', 'reload')), f"{median(v['memory']) / 1e6:.0f}"]
                for n, v in results['blocks'].items()]
        out.append('### 16 a configuration with many server blocks, seconds\n\n' +
                   table(['server', 'start', '-t', 'reload', 'memory MB (all processes)'], rows) +
                   shown(pictures, 'blocks-start', 'blocks-test', 'blocks-reload'))
    if results.get('timers'):
        rows = [[n, f"{v['bytes']:.0f}", f"{median(v['make_usec']):.2f}", f"{v['idle_cpu_share'] * 100:.2f} %",
                 f"{median(v['cpu_before']):.2f}", f"{median(v['cpu_beside']):.2f}"] for n, v in results['timers'].items()]
        count = max(v['count'] for v in results['timers'].values())
        out.append(f'### 18 {count:,} pending timers\n\n' + table(
            ['server', 'bytes a timer', 'us to make one', 'CPU while they wait', 'CPU us of return before', 'beside them'],
            rows) + shown(pictures, 'timers'))
    return out


def shown(pictures, *names):
    """The plots of these names, where there are such."""
    return ''.join(f'\n![{n}]({n}.svg)\n' for n in names if n in pictures)


def budget_sections(verdicts, notes, pictures):
    """The missed ones first; then those that no server could meet, which must not look as if they were met."""
    missed, excused, met = ([v for v in verdicts if belongs(v)] for belongs in
                            (lambda v: v.missed, lambda v: v.excused, lambda v: v.met))
    columns = ['what', 'ratio', 'budget']
    parts = [f'## Budgets missed: {len(missed)}\n\n' + table([*columns, 'why'], [budget_line(v, notes) for v in missed])]
    if excused:
        parts.append(f"## Within the floor's budget, so not {BEST_PEER:g} times the best peer: {len(excused)}\n\n" + table(
            [*columns, 'CPU against the floor program', 'its budget'],
            [budget_line(v, {})[:3] + budget_line(v.floor, {})[1:3] for v in excused]))
    parts.append(shown(pictures, 'budgets').lstrip())
    parts.append(f'## Budgets met: {len(met)}\n\n' + table(columns, [budget_line(v, {})[:3] for v in met]))
    return parts


def markdown(results, workloads, verdicts, notes, pictures):
    head = results['machine']
    short, usual = results['slices']
    parts = [f"# Measured by `./dev bench`\n\n{head['when']}; {head['cpus']} processors ({head['model']}), Linux {head['kernel']}; "
             f"{results['alternations']} turns, up to twice as many where they disagree about a budget, in each of which every "
             f"server of a workload starts anew and gets {results['seconds']} s in slices of {short:g} s ({usual:g} s where "
             f'answers take longer), one after the other; servers on one core, load generators on another. CPU is that of the '
             f"server's processes, microseconds a request. Ratios are medians over the turns, with the least and the "
             f'greatest. Busy is the share of its slices that a server was on the processor. Requests a second, latencies '
             f'and memory are of one more second of each server alone. Load average at the start '
             f"{head['load']}; {results.get('minutes', 0)} minutes.\n\n"
             'Versions: ' + ', '.join(f'{k} {v}' for k, v in results['versions'].items()) + '.\n']
    if results.get('unfinished'):
        parts.append('**This run is not finished: what is missing below was not measured.**\n')
    earlier = [f'{what} ({when})' for what, when in results.get('when', {}).items() if when != head['when']]
    if earlier:
        parts.append('Kept from earlier runs: ' + ', '.join(earlier) + '.\n')
    parts += budget_sections(verdicts, notes, pictures)
    if results['failures']:
        parts.append('## What could not be measured\n\n' + table(['what', 'who', 'why'], results['failures']))
    parts.append('## Figures\n')
    for w in workloads:
        if results['samples'].get(w.key):
            parts.append(workload_section(w, results['samples'][w.key], results['extra'].get(w.key, {})) +
                         shown(pictures, w.key))
    parts += special_sections(results, pictures)
    return '\n'.join(parts)


def write_whole(path, text):
    """Never half of it, whenever the run is stopped."""
    with open(path + '.new', 'w') as f:
        f.write(text)
    os.replace(path + '.new', path)


def write_all(results, workloads, verdicts, notes, folder):
    os.makedirs(folder, exist_ok=True)
    pictures = plots.all_of(results, workloads, verdicts)
    write_whole(os.path.join(folder, 'results.md'), markdown(results, workloads, verdicts, notes, pictures))
    everything = {**results, 'budgets': [v.as_dict() for v in verdicts]}
    write_whole(os.path.join(folder, 'results.json'), json.dumps(everything, indent=1) + '\n')
    for name, picture in pictures.items():
        write_whole(os.path.join(folder, name + '.svg'), picture)
