"""Header compression: libnghttp2 decodes; fields are written as literals that enter no table."""
import ctypes
import functools

from .text import Failure


class Nv(ctypes.Structure):
    _fields_ = [('name', ctypes.POINTER(ctypes.c_uint8)), ('value', ctypes.POINTER(ctypes.c_uint8)),
                ('name_size', ctypes.c_size_t), ('value_size', ctypes.c_size_t), ('flags', ctypes.c_uint8)]


@functools.lru_cache(None)
def library():
    lib = ctypes.CDLL('libnghttp2.so.14')
    lib.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
    lib.nghttp2_hd_inflate_hd2.argtypes = [ctypes.c_void_p, ctypes.POINTER(Nv), ctypes.POINTER(ctypes.c_int),
                                           ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
    lib.nghttp2_hd_inflate_new.argtypes = [ctypes.POINTER(ctypes.c_void_p)]
    lib.nghttp2_hd_inflate_end_headers.argtypes = [ctypes.c_void_p]
    lib.nghttp2_hd_inflate_del.argtypes = [ctypes.c_void_p]
    return lib


class Decoder:
    def __init__(self):
        self.state = ctypes.c_void_p()
        if library().nghttp2_hd_inflate_new(ctypes.byref(self.state)):
            raise MemoryError

    def __del__(self):
        library().nghttp2_hd_inflate_del(self.state)

    def decode(self, block):
        """The fields of one whole header block."""
        fields, nv, flags = [], Nv(), ctypes.c_int()
        while True:
            used = library().nghttp2_hd_inflate_hd2(self.state, nv, flags, block, len(block), 1)
            if used < 0:
                raise Failure(f'a header block cannot be decoded: {used}')
            block = block[used:]
            if flags.value & 2:  # a field
                fields.append((ctypes.string_at(nv.name, nv.name_size).decode('utf-8', 'surrogateescape'),
                               ctypes.string_at(nv.value, nv.value_size).decode('utf-8', 'surrogateescape')))
            if flags.value & 1:  # the end
                library().nghttp2_hd_inflate_end_headers(self.state)
                return fields


def integer(value, bits, first=0):
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = [first | most], value - most
    while value >= 128:
        out.append(value % 128 | 128)
        value //= 128
    return bytes(out + [value])


def encode(fields, indexed=False):
    out, first = b'', b'\x40' if indexed else b'\0'
    for name, value in fields:
        name, value = (x if isinstance(x, bytes) else x.encode('utf-8', 'surrogateescape') for x in (name, value))
        out += first + integer(len(name), 7) + name + integer(len(value), 7) + value
    return out
