"""Reads a .spec file into blocks: a setup (what the server needs) and a list of steps and checks, in order."""
import re

# Sections that describe the server; a block with none of the CONFIG ones takes over the previous block's setup.
CONFIG = {'config', 'http', 'main', 'conf', 'files'}
SETUP = CONFIG | {'env', 'workers', 'log_level', 'args', 'tcp', 'udp', 'dns', 'service', 'start_error'}
BLOCK = {'skip_unless', 'peer', 'timeout', 'fresh', 'skip', 'must_fail'}
STEPS = {'request', 'raw', 'frames', 'next', 'reload', 'signal', 'stop', 'run', 'wait', 'close', 'worker_exit'}
CHECKS = {'status', 'reason', 'headers', 'body', 'wire', 'interim', 'trailers', 'closed', 'no_response', 'error_log',
          'access_log', 'file', 'saw', 'connections', 'exit', 'stdout', 'stderr'}
KNOWN = SETUP | BLOCK | STEPS | CHECKS


class SpecError(Exception):
    pass


class Section:
    """One `--- name words` section. `text` is None when the section has neither a value nor a body."""

    def __init__(self, name, words, value, line):
        self.name, self.words, self.value, self.line = name, words, value, line
        self.lines = []

    @property
    def inline(self):
        return self.value is not None

    @property
    def text(self):
        if self.value is not None:
            return self.value
        return ''.join(x + '\n' for x in self.lines)

    def flag(self, word):
        return word in self.words

    def option(self, name, default=None):
        for word in self.words:
            if word.startswith(name + '='):
                return word[len(name) + 1:]
        return default

    def key(self):
        return (self.name, tuple(self.words), self.text)


class Block:
    def __init__(self, path, line, title):
        self.path, self.line, self.title = path, line, title
        self.setup, self.steps, self.marks = [], [], {}
        self.inherits = False

    def all_of(self, name):
        return [s for s in self.setup if s.name == name]

    def one(self, name, default=''):
        found = self.all_of(name)
        return found[0].text if found else default

    def setup_key(self):
        return (self.speaks_http2(), *(s.key() for s in self.setup))

    def speaks_http2(self):
        return any(s.name == 'frames' or s.name == 'request' and s.flag('h2') for s in self.steps)

    def __str__(self):
        return f'{self.path}:{self.line}: {self.title}'


HEADER = re.compile(r'---\s+(\w+)(.*)$')


def parse_header(line, number, where):
    match = HEADER.match(line)
    if not match:
        raise SpecError(f'{where}:{number}: not a section: {line}')
    name, rest = match[1], match[2]
    if name not in KNOWN:
        raise SpecError(f'{where}:{number}: unknown section "{name}"')
    value = None
    if rest.startswith(':'):
        value, words = rest[1:].strip(), []
    else:
        head, colon, tail = rest.partition(': ')
        if not colon and rest.endswith(':'):
            head, colon, tail = rest[:-1], ':', ''
        words = head.split()
        if colon:
            value = tail.strip()
    return Section(name, words, value, number)


def read(path, shown):
    """The blocks of a file. `shown` is the path printed in messages."""
    blocks, block, section = [], None, None
    with open(path, encoding='utf-8') as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip('\n')
            if line.startswith('=== '):
                block, section = Block(shown, number, line[4:].strip()), None
                blocks.append(block)
            elif line.startswith('--- ') and block is not None:
                section = parse_header(line, number, shown)
                place(block, section, shown)
            elif section is not None and section.value is None:
                section.lines.append(line[1:] if line.startswith('\\---') or line.startswith('\\===') else line)
            elif section is not None and line.strip():
                raise SpecError(f'{shown}:{number}: section "{section.name}" has a value and a body')
    finish(blocks, shown)
    return blocks


def place(block, section, shown):
    if section.name in BLOCK:
        block.marks[section.name] = section.text
    elif section.name in SETUP:
        if section.name != 'start_error' and block.steps:
            raise SpecError(f'{shown}:{section.line}: "{section.name}" must stand before the first step')
        block.setup.append(section)
    else:
        if section.name in CHECKS - {'error_log', 'access_log', 'file', 'saw', 'connections'} and not any(
                s.name in STEPS for s in block.steps):
            raise SpecError(f'{shown}:{section.line}: "{section.name}" checks a step, and none stands before it')
        block.steps.append(section)


def finish(blocks, shown):
    titles, previous = set(), None
    for block in blocks:
        for section in block.setup + block.steps:
            while section.lines and not section.lines[-1].strip():
                section.lines.pop()
        if block.title in titles:
            raise SpecError(f'{shown}:{block.line}: two blocks are called "{block.title}"')
        titles.add(block.title)
        if not any(s.name in CONFIG for s in block.setup):
            if previous is not None:
                block.setup = previous.setup + block.setup
                block.inherits = True
                for mark in ('skip_unless', 'peer'):
                    if mark in previous.marks:
                        block.marks.setdefault(mark, previous.marks[mark])
            elif not block.steps or any(s.name != 'run' for s in block.steps if s.name in STEPS):
                raise SpecError(f'{shown}:{block.line}: the first block of a file needs a configuration')
        if not block.steps and not block.all_of('start_error'):
            raise SpecError(f'{shown}:{block.line}: "{block.title}" does nothing')
        previous = block


def groups(blocks):
    """Blocks that build on one another, to be run in order by one worker."""
    out = []
    for block in blocks:
        if block.inherits and out:
            out[-1].append(block)
        else:
            out.append([block])
    return out
