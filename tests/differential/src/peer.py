"""Runs modules with Wasmtime: reads a line of words for each request, and answers each with a line.

    instantiate MODULE          -> ok | trap CODE | limit | exception
    call NAME ARGUMENT...       -> returned VALUE... | trap CODE | limit | exception
    global NAME                 -> returned VALUE
    memory NAME                 -> bytes BYTES
    anything that fails         -> error MESSAGE

Modules, names and memories are in hexadecimal, a name after `=`. A value is `KIND:BITS`, or `KIND:null` or `KIND:some` for a reference, with the kinds
below. The calls are those of Wasmtime's C interface, as the package declares them: its own classes know no references to objects.
"""

import sys
from ctypes import POINTER, byref, c_char, c_size_t, c_uint8, cast, memmove, string_at

import wasmtime
from wasmtime import _ffi as ffi

# The C interface numbers kinds in this order.
KINDS = ["i32", "i64", "f32", "f64", "v128", "func", "extern", "any", "exn"]
NUMBER_BYTES = {"i32": 4, "i64": 8, "f32": 4, "f64": 8, "v128": 16}

# Heap of objects and linear memories of a module, each.
MEMORY_BYTES = 256 << 20
STACK_BYTES = 2 << 20


def engine():
    config = wasmtime.Config()
    for feature in [
        "bulk_memory",
        "custom_page_sizes",
        "exceptions",
        "function_references",
        "gc",
        "memory64",
        "multi_memory",
        "multi_value",
        "reference_types",
        "simd",
        "tail_call",
        "wide_arithmetic",
    ]:
        setattr(config, f"wasm_{feature}", True)
    config.max_wasm_stack = STACK_BYTES
    config.cranelift_opt_level = "none"
    # Code pages of each module are wanted once.
    config.parallel_compilation = False
    return wasmtime.Engine(config)


def parse(word):
    kind, text = word.split(":")
    value = ffi.wasmtime_val_t()
    value.kind = KINDS.index(kind)
    if kind in NUMBER_BYTES:
        size = NUMBER_BYTES[kind]
        memmove(byref(value.of), int(text, 16).to_bytes(size, "little"), size)
    else:
        assert text == "null", "only null comes from outside"
        # Null has no store; that is the first word of a reference.
        memmove(byref(value.of), bytes(8), 8)
    return value


def show(value):
    kind = KINDS[value.kind]
    size = NUMBER_BYTES.get(kind, 8)
    bits = int.from_bytes(string_at(byref(value.of), size), "little")
    if kind in NUMBER_BYTES:
        return f"{kind}:{bits:x}"
    return f"{kind}:{'some' if bits else 'null'}"


class Stopped(Exception):
    """A call that does not return, with the answer."""


class Run:
    """One module in a store of its own."""

    def __init__(self, machine, module):
        self.store = wasmtime.Store(machine)
        self.store.set_limits(memory_size=MEMORY_BYTES)
        module = wasmtime.Module(machine, module)
        self.instance = ffi.wasmtime_instance_t()
        self.guarded(lambda context, trap: ffi.wasmtime_instance_new(context, module.ptr(), None, 0, byref(self.instance), trap))

    def guarded(self, call):
        """Makes a call that may run code of the guest."""
        context = self.store._context()
        trap = POINTER(ffi.wasm_trap_t)()
        error = call(context, byref(trap))
        exception = ffi.wasmtime_exnref_t()
        thrown = ffi.wasmtime_context_take_exception(context, byref(exception))
        if thrown:
            ffi.wasmtime_exnref_unroot(byref(exception))
        message = str(wasmtime.WasmtimeError._from_ptr(error)) if error else ""
        code = None
        if trap:
            trap = wasmtime.Trap._from_ptr(trap)
            code, message = trap.trap_code, message or trap.message
        if thrown:
            raise Stopped("exception")
        if code is not None:
            raise Stopped(f"trap {code.name}")
        if "out of memory" in message.lower():
            raise Stopped("limit")
        if message:
            raise Stopped("error " + " ".join(message.split()))

    def export(self, name):
        name = bytes.fromhex(name.removeprefix("="))
        found = ffi.wasmtime_extern_t()
        text = (c_char * len(name)).from_buffer_copy(name) if name else (c_char * 1)()
        if not ffi.wasmtime_instance_export_get(self.store._context(), byref(self.instance), text, len(name), byref(found)):
            raise Stopped(f"error no export {name}")
        return found.of

    def call(self, name, *arguments):
        function = self.export(name).func
        ty = ffi.wasmtime_func_type(self.store._context(), byref(function))
        count = ffi.wasm_functype_results(ty).contents.size
        ffi.wasm_functype_delete(ty)
        given = (ffi.wasmtime_val_t * len(arguments))(*map(parse, arguments))
        results = (ffi.wasmtime_val_t * count)()
        self.guarded(
            lambda context, trap: ffi.wasmtime_func_call(context, byref(function), given, len(given), results, count, trap)
        )
        answer = " ".join(["returned", *map(show, results)])
        for result in results:
            ffi.wasmtime_val_unroot(byref(result))
        return answer

    def read_global(self, name):
        value = ffi.wasmtime_val_t()
        ffi.wasmtime_global_get(self.store._context(), byref(self.export(name).global_), byref(value))
        answer = f"returned {show(value)}"
        ffi.wasmtime_val_unroot(byref(value))
        return answer

    def memory(self, name):
        memory = self.export(name).memory
        size = ffi.wasmtime_memory_data_size(self.store._context(), byref(memory))
        data = ffi.wasmtime_memory_data(self.store._context(), byref(memory))
        return f"bytes {string_at(data, size).hex()}"


def main():
    machine = engine()
    run = None
    for line in sys.stdin:
        request, *words = line.split()
        try:
            if request == "instantiate":
                run = None
                run = Run(machine, bytes.fromhex(words[0]))
                answer = "ok"
            else:
                answer = {"call": run.call, "global": run.read_global, "memory": run.memory}[request](*words)
        except Stopped as stopped:
            answer = str(stopped)
        except wasmtime.WasmtimeError as error:
            answer = "error " + " ".join(str(error).split())
        print(answer, flush=True)


main()
