"""The figures as Markdown, JSON and SVG."""
import html
import json
import os
import statistics

from budgets import ratios
from tls import TITLES

COLOURS = {'moonphase': '#3b5bdb', 'nginx': '#2f9e44', 'haproxy': '#e8590c', 'h2o': '#9c36b5'}


def median(values):
    return statistics.median(values) if values else 0.0


def spread(values, digits=2):
    return f'{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})' if values else '-'


def table(head, rows):
    lines = ['| ' + ' | '.join(head) + ' |', '|' + ' --- |' * len(head)]
    lines += ['| ' + ' | '.join(str(c) for c in row) + ' |' for row in rows]
    return '\n'.join(lines) + '\n'


def budget_line(v, notes):
    sign = '<=' if v.at_most else '>='
    text = f'{v.value:.2f}' if not v.unit else f'{v.value:.0f}{v.unit}'
    if v.spread:
        text += f' ({v.spread[0]:.2f} to {v.spread[1]:.2f})'
    return [v.what, text, f'{sign} {v.limit:g}{v.unit}', notes.get(v.key, '')]


def workload_section(w, samples, extra):
    rows = []
    ours = [s['cpu'] for s in samples.get('moonphase', ())]
    for name, values in samples.items():
        cpu = [s['cpu'] for s in values]
        calls = extra.get('calls', {}).get(name)
        rows.append([
            name, f"{median([s['rps'] for s in values]):,.0f}", f'{median(cpu):.2f}',
            f"{median([s['user'] for s in values]):.2f}", f"{median([s['system'] for s in values]):.2f}",
            spread(ratios(cpu, ours)), '/'.join(f"{median([s[p] for s in values]) / 1000:.2f}" for p in ('p50', 'p99', 'p999')),
            f'{sum(calls.values()):.2f}' if calls else '-',
            f"{extra['instructions'][name]:,.0f}" if name in extra.get('instructions', {}) else '-',
            f"{extra['memory'][name] / 1e6:.1f}" if name in extra.get('memory', {}) else '-',
            sum(s['errors'] for s in values)])
    text = f'### {w.title}\n\n' + table(
        ['server', 'requests/s', 'CPU us', 'user', 'system', 'CPU / ours', 'p50/p99/p99.9 ms', 'calls', 'instructions',
         'memory MB', 'errors'], rows)
    if w.bytes_matter:
        text += '\nBytes of an answer: ' + ', '.join(
            f"{n} {median([s['bytes'] for s in v]):,.0f}" for n, v in samples.items()) + '\n'
    if extra.get('calls', {}).get('moonphase'):
        text += '\nOurs: ' + ', '.join(f'{c} {n:.2f}' for c, n in extra['calls']['moonphase'].items()) + '\n'
    return text


def special_sections(results):
    out = []
    if results.get('dict'):
        rows = []
        for op, values in results['dict'].items():
            for n, v in values.items():
                rows.append([op, n, f'{median(v):,.0f}', spread(ratios(values['moonphase'], v))])
        out.append('### 9 shared dict, every worker in a loop at once\n\n' +
                   table(['operation', 'server', 'operations/s', 'ours / this'], rows))
    if results.get('tls'):
        rows = []
        for key, title in TITLES.items():
            values = results['tls'].get(key, {})
            ours = [s['cpu'] for s in values.get('moonphase', ())]
            for n, v in values.items():
                cpu = [s['cpu'] for s in v]
                rows.append([title, n, f'{median(cpu):.1f}', f"{median([s['user'] for s in v]):.1f}",
                             f"{median([s['system'] for s in v]):.1f}", spread(ratios(cpu, ours))])
        out.append('### 12 TLS and HTTP/2\n\n' + table(['what', 'server', 'CPU us', 'user', 'system', 'CPU / ours'], rows) +
                   ''.join(f'\nNot measured: {f}\n' for f in results['tls'].get('failures', ())))
    if results.get('idle'):
        rows = [[n, f"{v['bytes']:.0f}", f"{v['cpu_share'] * 100:.2f} %"] for n, v in results['idle'].items()]
        most = max(v['connections'] for v in results['idle'].values())
        out.append(f'### 14 {most:,} idle keepalive connections\n\n' +
                   table(['server', 'user memory a connection, bytes', 'CPU while idle'], rows))
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
            ['server', 'entries', 'start s', 'memory MB', 'CPU us', 'CPU / fewest', 'instructions'], rows))
    if results.get('blocks'):
        rows = [[n, *(spread(v[k], 3) for k in ('start', 'test', 'reload')), f"{median(v['memory']) / 1e6:.0f}"]
                for n, v in results['blocks'].items()]
        out.append('### 16 a configuration with many server blocks, seconds\n\n' +
                   table(['server', 'start', '-t', 'reload', 'memory MB (all processes)'], rows))
    if results.get('timers'):
        rows = [[n, f"{v['bytes']:.0f}", f"{v['make_usec']:.2f}", f"{v['idle_cpu_share'] * 100:.2f} %",
                 f"{median(v['cpu_before']):.2f}", f"{median(v['cpu_beside']):.2f}"] for n, v in results['timers'].items()]
        count = max(v['count'] for v in results['timers'].values())
        out.append(f'### 18 {count:,} pending timers\n\n' + table(
            ['server', 'bytes a timer', 'us to make one', 'CPU while they wait', 'CPU us of return before', 'beside them'],
            rows))
    return out


def markdown(results, workloads, verdicts, notes):
    head = results['machine']
    parts = [f"# Measured by `./dev bench`\n\n{head['when']}; {head['cpus']} processors ({head['model']}), Linux {head['kernel']}; "
             f"{results['alternations']} alternations of {results['seconds']} s, server on one core, load generator on "
             f"another. CPU is that of the server's processes, microseconds a request. Ratios are medians over the "
             f"alternations, with the least and the greatest. Load average at the start {head['load']}; "
             f"{results.get('minutes', 0)} minutes.\n\n"
             'Versions: ' + ', '.join(f'{k} {v}' for k, v in results['versions'].items()) + '.\n']
    if results.get('unfinished'):
        parts.append('**This run is not finished: what is missing below was not measured.**\n')
    missed = [v for v in verdicts if not v.met]
    met = [v for v in verdicts if v.met]
    columns = ['what', 'ratio', 'budget', 'why']
    parts.append(f'## Budgets missed: {len(missed)}\n\n' + table(columns, [budget_line(v, notes) for v in missed]))
    parts.append(f'## Budgets met: {len(met)}\n\n' + table(columns[:3], [budget_line(v, {})[:3] for v in met]))
    if results['failures']:
        parts.append('## What could not be measured\n\n' + table(['what', 'who', 'why'], results['failures']))
    parts.append('## Figures\n')
    for w in workloads:
        if results['samples'].get(w.key):
            parts.append(workload_section(w, results['samples'][w.key], results['extra'].get(w.key, {})))
    parts += special_sections(results)
    return '\n'.join(parts)


# --- plots ----------------------------------------------------------------------------------------------------------

def colour(name):
    return COLOURS.get(name, '#868e96')


def svg(width, height, body):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
            f'font-size="12"><rect width="100%" height="100%" fill="white"/>{"".join(body)}</svg>\n')


def label(x, y, text, anchor='start', weight='normal'):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}">{html.escape(text)}</text>'


def two_parts(samples):
    return [(n, [(median([s['user'] for s in v]), 1), (median([s['system'] for s in v]), 0.5)])
            for n, v in samples.items() if v]


def bars(title, rows, unit):
    """Horizontal bars; a row is (name, [(value, opacity)...]), and what is written before it unless the name."""
    left, right, line = 130, 110, 22
    widest = max((sum(v for v, _ in row[1]) for row in rows), default=1) or 1
    width = 720
    body = [label(10, 20, title, weight='bold')]
    for i, (name, parts, *text) in enumerate(rows):
        y, x = 34 + i * line, left
        body.append(label(left - 6, y + 13, text[0] if text else name, 'end'))
        for value, opacity in parts:
            w = value / widest * (width - left - right)
            body.append(f'<rect x="{x:.1f}" y="{y}" width="{w:.1f}" height="16" fill="{colour(name)}" opacity="{opacity}"/>')
            x += w
        body.append(label(x + 5, y + 13, f'{sum(v for v, _ in parts):,.2f} {unit}'))
    return svg(width, 44 + len(rows) * line, body)


def curve(title, series, x_label, y_label):
    """Lines over a logarithmic x axis; series: name -> [(x, y)]."""
    import math
    width, height, left, bottom, top = 640, 320, 60, 40, 40
    points = [p for s in series.values() for p in s]
    most = max(y for _, y in points) * 1.1 or 1
    low, high = math.log10(min(x for x, _ in points)), math.log10(max(x for x, _ in points))

    def at(x, y):
        fx = (math.log10(x) - low) / (high - low or 1)
        return left + fx * (width - left - 120), height - bottom - y / most * (height - bottom - top)

    body = [label(10, 20, title, weight='bold'), label(width / 2, height - 8, x_label, 'middle'),
            label(6, top - 6, y_label)]
    for i in range(5):
        y = at(10 ** low, most / 1.1 * i / 4)[1]
        body.append(f'<line x1="{left}" y1="{y:.1f}" x2="{width - 120}" y2="{y:.1f}" stroke="#dee2e6"/>')
        body.append(label(left - 6, y + 4, f'{most / 1.1 * i / 4:.1f}', 'end'))
    for name, line in series.items():
        path = ' '.join(f'{at(x, y)[0]:.1f},{at(x, y)[1]:.1f}' for x, y in line)
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour(name)}" stroke-width="2"/>')
        body += [f'<circle cx="{at(x, y)[0]:.1f}" cy="{at(x, y)[1]:.1f}" r="3" fill="{colour(name)}"/>' for x, y in line]
    body += [label(at(x, 0)[0], height - bottom + 16, f'{x:,}', 'middle') for x in sorted({x for x, _ in points})]
    free = float(height)  # names beside the ends of their lines, none over another
    for name, line in sorted(series.items(), key=lambda s: s[1][-1][1]):
        x, y = at(*line[-1])
        free = min(y + 4, free - 14)
        body.append(label(x + 8, free, f'{name} {line[-1][1]:.1f}'))
    return svg(width, height, body)


def plots(results, workloads, folder):
    def write(name, text):
        write_whole(os.path.join(folder, name + '.svg'), text)

    for w in workloads:
        samples = results['samples'].get(w.key)
        if not samples:
            continue
        write(w.key, bars(f'{w.title}: CPU a request (dark: user, light: system)', two_parts(samples), 'us'))
    if results.get('dict'):
        write('dict', bars('9 shared dict, all workers at once: operations a second', [
            (n, [(median(v) / 1e6, 1)], f'{op}, {n}') for op, values in results['dict'].items()
            for n, v in values.items()], 'M/s'))
    for key, title in TITLES.items():
        values = results.get('tls', {}).get(key)
        if values:
            write(f'tls-{key}', bars(f'12 {title}: CPU of each (dark: user, light: system)', two_parts(values), 'us'))
    if results.get('idle'):
        write('idle', bars('14 idle connections: user memory of each', [
            (n, [(v['bytes'], 1)]) for n, v in results['idle'].items()], 'bytes'))
    for kind, servers in results.get('many', {}).items():
        write(f'many-{kind}', curve(f'15 {kind}: CPU a request as their number grows',
                                    {n: [(int(size), median(rows[size]['cpu'])) for size in sorted(rows, key=int)]
                                     for n, rows in servers.items()}, 'entries', 'us'))
    for what in ('start', 'test', 'reload') if results.get('blocks') else ():
        write(f'blocks-{what}', bars(f'16 many server blocks: {what}', [
            (n, [(median(v[what]), 1)]) for n, v in results['blocks'].items()], 's'))
    if results.get('timers'):
        write('timers', bars('18 pending timers: memory of each', [
            (n, [(v['bytes'], 1)]) for n, v in results['timers'].items()], 'bytes'))


def write_whole(path, text):
    """Never half of it, whenever the run is stopped."""
    with open(path + '.new', 'w') as f:
        f.write(text)
    os.replace(path + '.new', path)


def write_all(results, workloads, verdicts, notes, folder):
    os.makedirs(folder, exist_ok=True)
    write_whole(os.path.join(folder, 'results.md'), markdown(results, workloads, verdicts, notes))
    everything = {**results, 'budgets': [v.as_dict() for v in verdicts]}
    write_whole(os.path.join(folder, 'results.json'), json.dumps(everything, indent=1) + '\n')
    plots(results, workloads, folder)
