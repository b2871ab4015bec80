"""What is written in a spec file and what it stands for: placeholders, repetition, escapes, matching, diffs."""
import difflib
import re

REPEAT = re.compile(r"%\{'((?:[^'\\]|\\.)*)'\s*\*\s*(\d+)\}")
NAME = re.compile(r'\$\{?(PORT[1-9]?|PREFIX|CERTS|BINARY)\b\}?')
ESCAPE = re.compile(r'\\(x[0-9a-fA-F]{2}|.)', re.S)
PLAIN = {'r': '\r', 'n': '\n', 't': '\t', '0': '\0', '\\': '\\', '"': '"'}


class Failure(Exception):
    """A check of a block did not hold."""


def unescape(text):
    r"""\r \n \t \0 \\ \" and \xNN, into bytes. Anything else after a backslash stays as written."""

    def one(match):
        code = match[1]
        if code[0] == 'x' and len(code) == 3:
            return chr(0xdc00 + int(code[1:], 16)) if int(code[1:], 16) >= 0x80 else chr(int(code[1:], 16))
        return PLAIN.get(code, '\\' + code)

    return ESCAPE.sub(one, text).encode('utf-8', 'surrogateescape')


def expand(text, names):
    """Placeholders ($PORT, $PREFIX, ...) and %{'text' * N}."""
    text = NAME.sub(lambda m: str(names[m[1]]), text)
    if '%{' in text:
        text = REPEAT.sub(lambda m: unescape(m[1]).decode('utf-8', 'surrogateescape') * int(m[2]), text)
    return text


def raw_bytes(section, names):
    """A byte-exact section: escapes are resolved, line ends of the file do not count."""
    return unescape(expand(section.text.replace('\n', ''), names))


def clip(data, limit=1500):
    shown = data.decode('utf-8', 'backslashreplace') if isinstance(data, bytes) else data
    return shown if len(shown) <= limit else f'{shown[:limit]}... ({len(data)} in all)'


def diff(want, got, limit=40):
    if isinstance(want, bytes):
        want = want.decode('utf-8', 'backslashreplace')
    if isinstance(got, bytes):
        got = got.decode('utf-8', 'backslashreplace')
    if max(len(want), len(got)) > 20000:
        at = next((i for i, (a, b) in enumerate(zip(want, got)) if a != b), min(len(want), len(got)))
        return (f'wanted {len(want)} characters, got {len(got)}; they differ from {at} on:\n'
                f'  wanted {want[at:at + 60]!r}\n  got    {got[at:at + 60]!r}')
    quote = lambda s: [repr(x)[1:-1] for x in s.splitlines(True)]
    rows = list(difflib.unified_diff(quote(want), quote(got), 'wanted', 'got', lineterm='', n=2))
    return '\n'.join(rows[:limit] + (['...'] if len(rows) > limit else []))


def check_text(what, section, got, names):
    """Compares bytes with a section: exact, or by its words `like`, `has`, `lacks`, `esc`, `chomp`."""
    if section.flag('like'):
        pattern = expand(section.text, names).rstrip('\n')
        if not re.search(pattern.encode(), got, re.M | re.S):
            raise Failure(f'{what} does not match\n  {pattern}\ngot:\n{clip(got)}')
    elif section.flag('has') or section.flag('lacks'):
        for line in expand(section.text, names).splitlines():
            if (line.encode('utf-8', 'surrogateescape') in got) != section.flag('has'):
                verb = 'does not have' if section.flag('has') else 'has'
                raise Failure(f'{what} {verb}\n  {line}\ngot:\n{clip(got)}')
    elif section.option('size') is not None:
        if len(got) != int(section.option('size')):
            raise Failure(f'{what} has {len(got)} bytes, not {section.option("size")}')
    else:
        if section.flag('esc'):
            want = raw_bytes(section, names)
        else:
            want = expand(section.text, names).encode('utf-8', 'surrogateescape')
            if section.flag('chomp'):
                want = want.rstrip(b'\n')
        if got != want:
            raise Failure(f'{what} differs:\n{diff(want, got)}')
