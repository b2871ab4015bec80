"""TLS for the tests: certificates, made once a run by the openssl command, and the client's side of handshakes."""
import atexit
import os
import shutil
import ssl
import subprocess
import tempfile
import threading

from .text import Failure, expand

LOCK = threading.Lock()
MADE = {}

CONFIG = """
[ca]
default_ca = it
[it]
dir = .
new_certs_dir = .
database = index.txt
serial = serial
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
default_days = 30
default_crl_days = 30
certificate = ca.crt
private_key = ca.key
[any]
commonName = supplied
"""


def openssl(folder, *args, **more):
    subprocess.run(['openssl', *args], cwd=folder, check=True, capture_output=True, **more)


def new_key(folder, name, kind='ec'):
    options = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'] if kind == 'ec' else ['rsa:2048']
    return ['-newkey', *options, '-nodes', '-keyout', f'{name}.key']


def self_signed(folder, name, subject, *more, kind='ec'):
    openssl(folder, 'req', '-x509', *new_key(folder, name, kind), '-days', '30', '-subj', f'/CN={subject}',
            '-out', f'{name}.crt', *more)


def signed(folder, name, subject, *more):
    """By the authority of the folder; `more` are options of `openssl ca`."""
    openssl(folder, 'req', '-new', *new_key(folder, name), '-subj', f'/CN={subject}',
            '-addext', f'subjectAltName=DNS:{subject}', '-out', f'{name}.csr')
    openssl(folder, 'ca', '-batch', '-config', 'ca.conf', '-in', f'{name}.csr', '-out', f'{name}.crt', '-notext', *more)


def make(folder):
    """localhost (EC), rsa (the same name), second.test; an authority with client, server, expired and revoked, its list
    and its answers about them; stranger, whom nobody knows; a key with a password."""
    with open(f'{folder}/ca.conf', 'w', encoding='ascii') as f:
        f.write(CONFIG)
    for name, text in (('index.txt', ''), ('serial', '1000\n'), ('password.txt', 'wrong\nsecret\n')):
        with open(f'{folder}/{name}', 'w', encoding='ascii') as f:
            f.write(text)
    self_signed(folder, 'localhost', 'localhost', '-addext', 'subjectAltName=DNS:localhost')
    self_signed(folder, 'rsa', 'localhost', '-addext', 'subjectAltName=DNS:localhost', kind='rsa')
    self_signed(folder, 'second', 'second.test', '-addext', 'subjectAltName=DNS:second.test')
    self_signed(folder, 'ca', 'authority')
    self_signed(folder, 'stranger', 'stranger')
    signed(folder, 'client', 'client')
    signed(folder, 'server', 'localhost')
    signed(folder, 'revoked', 'revoked')
    signed(folder, 'expired', 'localhost', '-startdate', '20200101000000Z', '-enddate', '20200102000000Z')
    openssl(folder, 'ca', '-config', 'ca.conf', '-revoke', 'revoked.crt')
    openssl(folder, 'ca', '-config', 'ca.conf', '-gencrl', '-out', 'ca.crl')
    for name in ('server', 'client', 'revoked'):
        openssl(folder, 'ocsp', '-index', 'index.txt', '-CA', 'ca.crt', '-rsigner', 'ca.crt', '-rkey', 'ca.key',
                '-issuer', 'ca.crt', '-cert', f'{name}.crt', '-ndays', '1', '-no_nonce', '-noverify',
                '-respout', f'{name}.ocsp')
    openssl(folder, 'ec', '-in', 'localhost.key', '-aes128', '-passout', 'pass:secret', '-out', 'locked.key')
    for name in ('ticket1', 'ticket2'):
        with open(f'{folder}/{name}.bin', 'wb') as f:
            f.write(os.urandom(80))


def certificates(target):
    """Puts the files into the folder `target`, which is made."""
    with LOCK:
        if 'folder' not in MADE:
            folder = tempfile.mkdtemp(prefix='spec.certs.')
            atexit.register(shutil.rmtree, folder, True)
            make(folder)
            MADE['folder'] = folder
    shutil.copytree(MADE['folder'], target)


def handshake(name, protocols):
    """A handshake that must succeed and trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(protocols)
    return lambda sock: context.wrap_socket(sock, server_hostname=name)


def wrap(sock, section, names, connections):
    """The handshake that the words of a step describe: sni=NAME version=1.2 cert=NAME alpn=a,b resume=CONN."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    versions = {'1.2': ssl.TLSVersion.TLSv1_2, '1.3': ssl.TLSVersion.TLSv1_3}
    session = None
    if section.option('resume'):
        other = connections[section.option('resume')].sock
        context, session = other.context, other.session
    elif section.option('version'):
        context.minimum_version = context.maximum_version = versions[section.option('version')]
    if section.option('cert'):
        path = expand(f'$CERTS/{section.option("cert")}', names)
        context.load_cert_chain(path + '.crt', path + '.key')
    if section.option('alpn'):
        context.set_alpn_protocols(section.option('alpn').split(','))
    if section.option('ciphers'):
        context.set_ciphers(section.option('ciphers'))
    wanted = section.option('refused')
    try:
        wrapped = context.wrap_socket(sock, server_hostname=section.option('sni'), session=session)
        if wanted and section.option('version') == '1.3':
            wrapped.recv(1)  # the client is done before the server has judged
    except (ssl.SSLError, ConnectionResetError) as error:
        if wanted is None:
            raise Failure(f'the handshake failed: {error}') from None
        if wanted not in str(error):
            raise Failure(f'the handshake failed otherwise: {error}') from None
        return None
    if wanted is not None:
        raise Failure('the handshake was accepted')
    return wrapped
