"""Runs a configuration of conf/examples/ on free ports."""

import os
import re

from servers import process, web


def read(name):
    with open(os.path.join(web.ROOT, "conf/examples", name)) as f:
        return f.read()


def start(name, ports=(), files=()):
    """The example as it is, but for its ports: 8080, 8081 and 8082 become free ones, `ports` names more."""
    conf = read(name)
    ports = dict(ports)
    for port in ("8080", "8081", "8082"):
        if re.search(rf"\b{port}\b", conf):
            ports.setdefault(port, process.free_port())
    for old, new in ports.items():
        conf, n = re.subn(rf"\b{old}\b", str(new), conf)
        if n == 0:
            raise AssertionError(f"{name} does not mention {old}")
    files = dict(files)
    if "mime.types" in conf:
        with open(os.path.join(web.ROOT, "conf/mime.types")) as f:
            files["conf/mime.types"] = f.read()
    server = web.Web(conf, ports["8080"], files=files)
    server.ports = ports
    return server
