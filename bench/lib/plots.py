"""The figures as pictures (SVG)."""
import html
import math

from budgets import median
from tls import TITLES

COLOURS = {'moonphase': '#3b5bdb', 'nginx': '#2f9e44', 'haproxy': '#e8590c', 'h2o': '#9c36b5'}


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


def against_budgets(verdicts):
    """Every ratio on one logarithmic axis: to the right of the line the budget is met, so many times over."""
    left, right, line, width = 400, 70, 18, 960
    rows = []
    for v in verdicts:
        merits = [v.limit / x if v.at_most else x / v.limit for x in (v.value, *(v.spread or ())) if x > 0]
        rows.append((v, merits[0], min(merits), max(merits)))
    rows.sort(key=lambda row: row[1])
    low, high = math.log(min(row[2] for row in rows) * 0.9), math.log(max(row[3] for row in rows) * 1.1)
    low, high = min(low, math.log(0.5)), max(high, math.log(2))

    def at(merit):
        return left + (math.log(merit) - low) / (high - low) * (width - left - right)

    height = 66 + len(rows) * line
    body = [label(10, 20, 'Every budget: how far it is missed (left of the line; grey: within that of the floor) or met (right of it)',
                  weight='bold')]
    for merit in (0.25, 0.5, 1, 2, 4, 8, 16, 32):
        if low <= math.log(merit) <= high:
            body.append(f'<line x1="{at(merit):.1f}" y1="44" x2="{at(merit):.1f}" y2="{height - 16}" '
                        f'stroke="{"#212529" if merit == 1 else "#dee2e6"}"/>')
            body.append(label(f'{at(merit):.1f}', 40, f'{merit:g}x', 'middle'))
    for i, (v, merit, least, most) in enumerate(rows):
        y = 58 + i * line
        ink = '#2f9e44' if v.met else '#868e96' if v.excused else '#e03131'
        body.append(label(left - 8, y + 4, v.key, 'end'))
        body.append(f'<line x1="{at(least):.1f}" y1="{y}" x2="{at(most):.1f}" y2="{y}" stroke="{ink}" opacity="0.5"/>')
        body.append(f'<circle cx="{at(merit):.1f}" cy="{y}" r="4" fill="{ink}"/>')
        body.append(label(f'{at(most) + 8:.1f}', y + 4, f'{v.value:.2f}' if not v.unit else f'{v.value:.0f}{v.unit}'))
    return svg(width, height, body)


def all_of(results, workloads, verdicts):
    """Name -> picture."""
    out = {}
    if verdicts:
        out['budgets'] = against_budgets(verdicts)
    for w in workloads:
        samples = results['samples'].get(w.key)
        if samples:
            out[w.key] = bars(f'{w.title}: CPU a request (dark: user, light: system)', two_parts(samples), 'us')
    if results.get('dict'):
        out['dict'] = bars('9 shared dict, all workers at once: operations a second', [
            (n, [(median(v) / 1e6, 1)], f'{op}, {n}') for op, values in results['dict'].items()
            for n, v in values.items()], 'M/s')
    for key, title in TITLES.items():
        values = results.get('tls', {}).get(key)
        if values:
            out[f'tls-{key}'] = bars(f'12 {title}: CPU of each (dark: user, light: system)', two_parts(values), 'us')
    if results.get('idle'):
        out['idle'] = bars('14 idle connections: user memory of each', [
            (n, [(v['bytes'], 1)]) for n, v in results['idle'].items()], 'bytes')
    for kind, servers in results.get('many', {}).items():
        out[f'many-{kind}'] = curve(f'15 {kind}: CPU a request as their number grows',
                                    {n: [(int(size), median(rows[size]['cpu'])) for size in sorted(rows, key=int)]
                                     for n, rows in servers.items()}, 'entries', 'us')
    for what in ('start', 'test', 'reload') if results.get('blocks') else ():
        out[f'blocks-{what}'] = bars(f'16 many server blocks: {what}', [
            (n, [(median(v[what]), 1)]) for n, v in results['blocks'].items()], 's')
    if results.get('timers'):
        out['timers'] = bars('18 pending timers: memory of each', [
            (n, [(v['bytes'], 1)]) for n, v in results['timers'].items()], 'bytes')
    return out
