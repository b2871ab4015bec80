"""Finds spec files, runs their blocks in worker processes, prints failures and the totals."""
import argparse
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor

from . import spec_file
from .server import Options, Ports, Server
from .steps import BlockRun, start_peers
from .text import Failure, clip, expand

SPEC = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def parse_args():
    ap = argparse.ArgumentParser(prog='tests/spec/run', description=__doc__)
    ap.add_argument('binary', nargs='?', help='server to test')
    ap.add_argument('paths', nargs='*', help='spec files or folders (default: all)')
    ap.add_argument('--peer', help="run the blocks against this nginx, with Debian's Lua module, to check the tests")
    ap.add_argument('-k', dest='filter', default='', help='only blocks whose path or title has this text')
    ap.add_argument('-j', dest='jobs', type=int, default=2, help='worker processes')
    ap.add_argument('--flavour', default='release', choices=['release', 'asan', 'debug'])
    ap.add_argument('--h2', action='store_true', help='send the plain requests over HTTP/2')
    ap.add_argument('--repeat', type=int, default=1, help='run everything this many times')
    ap.add_argument('--keep', help='keep the folders of failed blocks below this one')
    ap.add_argument('--list', action='store_true', help='only list the blocks')
    ap.add_argument('-v', dest='verbose', action='store_true', help='print every block and its time')
    args = ap.parse_args()
    if args.peer and args.binary:
        args.paths.insert(0, args.binary)
    args.binary = args.peer or args.binary
    if not args.binary and not args.list:
        ap.error('name the binary to test')
    if args.binary and not args.list and not os.access(args.binary, os.X_OK):
        ap.error(f'{args.binary} is not an executable')
    return args


def find(paths):
    out = []
    for path in paths or [SPEC]:
        if os.path.isdir(path):
            for folder, _, names in sorted(os.walk(path)):
                out += [os.path.join(folder, n) for n in sorted(names) if n.endswith('.spec')]
        else:
            out.append(path)
    return out


def reason_to_skip(block, options):
    if options.peer and 'peer' in block.marks:
        return 'not for the peer'
    if 'skip' in block.marks:
        return block.marks['skip'].strip()
    for need in block.marks.get('skip_unless', '').split('\n'):
        kind, _, value = need.strip().partition(':')
        held = {
            '': lambda: True,
            'root': lambda: os.getuid() == 0,
            'ipv6': has_ipv6,
            'command': lambda: shutil.which(value, path=os.environ['PATH'] + ':/usr/sbin') is not None,
            'flavour': lambda: options.flavour == value,
            'configure': lambda: value in options.about,
            'module': lambda: value in (options.modules if options.peer else options.about),
            'directive': lambda: knows_directive(options.binary, value),
            'lua_module': lambda: has_lua_module(options.binary, value),
            'http1': lambda: not options.h2,
            'file': lambda: os.path.exists(value),
        }.get(kind)
        if held is None:
            raise spec_file.SpecError(f'{block}: unknown condition "{need}"')
        if not held():
            return f'needs {need.strip()}'
    if options.h2 and any(s.name in ('raw', 'next') for s in block.steps):
        return 'HTTP/1 only'
    return None


@functools.lru_cache(None)
def knows_directive(binary, name):
    """A server that does not know a directive says so before anything else."""
    with tempfile.TemporaryDirectory(prefix='spec.') as folder:
        path = os.path.join(folder, 'probe.conf')
        with open(path, 'w') as conf:
            conf.write(f'events {{}}\nhttp {{ {name}; }}\n')
        said = subprocess.run([binary, '-t', '-p', folder, '-c', path, '-e', 'stderr'], capture_output=True, text=True, timeout=20)
    return f'unknown directive "{name}"' not in said.stderr


@functools.lru_cache(None)
def has_lua_module(binary, name):
    """Modules are linked into the binary under their names."""
    with open(binary, 'rb') as file:
        return b'\0' + name.encode() + b'\0' in file.read()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(('::1', 0))
        return True
    except OSError:
        return False


class Group:
    """Runs blocks that build on one another; neighbours with the same setup share a server."""

    ports = None

    def __init__(self, blocks, options, keep):
        self.blocks, self.options, self.keep = blocks, options, keep
        self.server, self.server_key = None, None

    def run(self):
        if Group.ports is None:
            Group.ports = Ports()
        out = []
        for i, block in enumerate(self.blocks):
            skip = reason_to_skip(block, self.options)
            if skip:
                out.append((str(block), 'skip', skip, 0))
                continue
            begin = time.monotonic()
            verdict, detail = self.judge(block, self.blocks[i + 1] if i + 1 < len(self.blocks) else None)
            out.append((str(block), verdict, detail, time.monotonic() - begin))
        if self.server is not None:
            self.drop(False)
        return out

    def judge(self, block, after):
        """A block passes, or fails with a reason; one marked `must_fail` passes by failing with that reason."""
        try:
            self.one(block, after)
            failure = None
        except Failure as error:
            failure = str(error)
        except Exception as error:  # a fault of the runner or of the block: say so and go on
            return 'fail', f'{error!r}\n{traceback.format_exc(limit=-3)}'
        wanted = block.marks.get('must_fail')
        if wanted is None:
            return ('ok', '') if failure is None else ('fail', failure)
        if failure is None:
            return 'fail', 'the runner found no fault with it'
        if wanted.strip() not in failure:
            return 'fail', f'the failure does not say "{wanted.strip()}":\n{failure}'
        return 'ok', ''

    def one(self, block, after):
        key = block.setup_key()
        if self.server is not None and (self.server_key != key or 'fresh' in block.marks):
            self.drop(False)
        refusal = block.all_of('start_error')
        only_commands = all(s.name in ('run', 'exit', 'stdout', 'stderr', 'file') for s in block.steps)
        if self.server is None:
            self.server, self.server_key = Server(block, self.options, Group.ports.names), key
        server = self.server
        mocks, services, run = {}, [], None
        try:
            try:
                if refusal:
                    server.refuse(refusal[0])
                if refusal or only_commands:
                    run = BlockRun(block, server, self.options, {})
                    run.run()
                    run.finish()
                    self.drop(False)
                    return
                if server.process is None:
                    mocks, services = start_peers(block, server)
                    server.start()
                run = BlockRun(block, server, self.options, mocks)
                run.run()
            finally:
                if run is not None:
                    run.close()
            server.scan(run.allowed)
            if not self.shares(block, after, run):
                server.stop()
                run.finish()
                server.scan(run.allowed)
                self.drop(False)
        except BaseException as error:
            if isinstance(error, Failure) and server.pid:
                lines = server.read(server.error_log).splitlines()
                tail = b'\n'.join([x for x in lines if b' [notice] ' not in x][-8:])
                if tail:
                    error.args = (f'{error}\nend of error.log:\n{clip(tail, 2500)}',)
                if server.process is not None and server.wait_exit(0.1) is not None:
                    error.args = (f'{error}\nthe server has ended with status {server.process.returncode}; stderr:\n'
                                  f'{clip(server.read(server.stderr)[-2500:], 2500)}',)
                try:
                    server.scan(run.allowed if run else [])
                except Failure as more:
                    error.args = (f'{error}\n{more}',)
            self.drop(True)
            raise
        finally:
            if self.server is None:
                for peer in [*mocks.values(), *services]:
                    peer.stop()

    def shares(self, block, after, run):
        """Whether the next block goes on with this server."""
        return (after is not None and after.inherits and after.setup_key() == block.setup_key() and
                'fresh' not in after.marks and not run.at_end and not run.mocks and
                not block.all_of('service') and self.server.process is not None and
                not reason_to_skip(after, self.options) and
                not any(s.name in ('reload', 'signal', 'stop', 'worker_exit') for s in block.steps))

    def drop(self, failed):
        server, self.server = self.server, None
        if server is None:
            return
        if server.process is not None:
            server.kill(server.process)
        if failed and self.keep:
            os.makedirs(self.keep, exist_ok=True)
            shutil.copytree(server.prefix, os.path.join(self.keep, os.path.basename(server.prefix)), symlinks=True,
                            ignore_dangling_symlinks=True)
        server.remove()


def run_group(blocks, options, keep):
    return Group(blocks, options, keep).run()


def collect(args):
    groups = []
    for path in find(args.paths):
        shown = os.path.relpath(path)
        for group in spec_file.groups(spec_file.read(path, shown)):
            last = max((i for i, b in enumerate(group) if args.filter.lower() in str(b).lower()), default=None)
            if last is not None:
                # A filter picks blocks, but what they inherit was already resolved when the file was read.
                groups.append([b for b in group if args.filter.lower() in str(b).lower()])
    return groups


def report(results, args, totals):
    for name, verdict, detail, seconds in results:
        totals[verdict] += 1
        if verdict == 'fail':
            text = '\n'.join('    ' + x for x in detail.splitlines())
            print(f'FAIL {name}\n{text}')
        elif args.verbose:
            print(f'{verdict:4} {seconds * 1000:6.0f} ms  {name}' + (f'  ({detail})' if detail else ''))
    sys.stdout.flush()


def main():
    args = parse_args()
    try:
        groups = collect(args)
        if args.list:
            for group in groups:
                for block in group:
                    print(block)
            return 0
        options = Options(args.binary, bool(args.peer), args.flavour, args.h2)
        totals, begin = {'ok': 0, 'fail': 0, 'skip': 0}, time.monotonic()
        with ProcessPoolExecutor(max(1, args.jobs)) as pool:
            pending = [pool.submit(run_group, g, options, args.keep) for g in groups * args.repeat]
            for future in pending:
                report(future.result(), args, totals)
    except spec_file.SpecError as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{sum(totals.values())} blocks in {time.monotonic() - begin:.1f} s')
    print(f'{totals["ok"]} passed, {totals["fail"]} failed' + (f', {totals["skip"]} skipped' if totals['skip'] else ''))
    return 1 if totals['fail'] else 0
