"""Components with one call between two others, and what the canonical ABI's `definitions.py` makes of random values that are passed.

    canonical.py FOLDER SEED COMPONENTS VALUES

FOLDER has `definitions.py`. Lines of output are read by `canonical.rs`:

    component TEXT
    case CALLER CALLEE trap
    case CALLER CALLEE CALLER-AFTERWARDS CALLEE-AFTERWARDS

Each memory is written as `ADDRESS:BYTES,…`, all in hexadecimal, with zeros in between. The caller loads its arguments from
ARGUMENTS on and stores a flat result at RESULT; the callee stores there what it gets and loads what it returns.
"""
import math
import random
import struct
import sys

sys.path.insert(0, sys.argv[1])
import definitions as D  # noqa: E402

PAGES = 2
BYTES = PAGES << 16
# Where values are prepared, and where `realloc` gives out memory.
DATA, HEAP = 0x100, 0x8000
ARGUMENTS, RESULT = 0x1F000, 0x1F100
# The state of `realloc`: what it gives out next, what it was asked for, how far its result is from where it should be, and whether the
# callee has cleaned up.
NEXT, ASKED, WRONG, CLEANED = 0x1FF00, 0x1FF08, 0x1FF10, 0x1FF18

D.DETERMINISTIC_PROFILE = True


class Skip(Exception):
    """A value of which the canonical ABI does not say exactly what becomes of it."""


def exact_float(decode, canonical):
    def decoded(bits):
        value = decode(bits)
        if math.isnan(value) and bits != canonical:
            raise Skip
        return value
    return decoded


D.decode_i32_as_float = exact_float(D.core_f32_reinterpret_i32, D.CANONICAL_FLOAT32_NAN)
D.decode_i64_as_float = exact_float(D.core_f64_reinterpret_i64, D.CANONICAL_FLOAT64_NAN)
store_string_into_range = D.store_string_into_range


class Context(D.LiftLowerContext):
    """One side of the call, with the `realloc` that it has as code in `LIBRARY`."""

    def __init__(self, encoding):
        self.opts = D.LiftLowerOptions(encoding, D.MemInst(bytearray(BYTES), "i32"), None)
        self.inst = None
        self.at = DATA
        self.prepares = True

    def bytes(self):
        return self.opts.memory.bytes

    def word(self, at, value=None):
        if value is not None:
            self.bytes()[at:at + 4] = (value % 2**32).to_bytes(4, "little")
        return int.from_bytes(self.bytes()[at:at + 4], "little")

    def reallocate(self, old, old_size, align, size):
        if self.prepares:
            assert old == 0
            at = D.align_to(self.at, align)
            self.at = at + size
            assert self.at < HEAP
            return at
        self.word(ASKED, self.word(ASKED) * 31 + old + old_size * 3 + align * 5 + size * 7)
        at = D.align_to(self.word(NEXT), align)
        self.word(NEXT, at + size)
        D.trap_if(at + size > ARGUMENTS)
        kept = min(old_size, size)
        self.bytes()[at:at + kept] = self.bytes()[old:old + kept]
        return (at + self.word(WRONG)) % 2**32


LIBRARY = f"""(memory (export "memory") {PAGES})
(func (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $bytes i32) (result i32) (local $at i32)
(i32.store (i32.const {ASKED}) (i32.add (i32.mul (i32.load (i32.const {ASKED})) (i32.const 31)) (i32.add (local.get $old)
(i32.add (i32.mul (local.get $size) (i32.const 3)) (i32.add (i32.mul (local.get $align) (i32.const 5))
(i32.mul (local.get $bytes) (i32.const 7)))))))
(local.set $at (i32.and (i32.add (i32.load (i32.const {NEXT})) (i32.sub (local.get $align) (i32.const 1)))
(i32.sub (i32.const 0) (local.get $align))))
(i32.store (i32.const {NEXT}) (i32.add (local.get $at) (local.get $bytes)))
(if (i32.gt_u (i32.load (i32.const {NEXT})) (i32.const {ARGUMENTS})) (then unreachable))
(memory.copy (local.get $at) (local.get $old) (select (local.get $size) (local.get $bytes)
(i32.lt_u (local.get $size) (local.get $bytes))))
(i32.add (local.get $at) (i32.load (i32.const {WRONG}))))
(func (export "look") (result i32) (i32.const 0))"""

ENCODINGS = ["utf8", "utf16", "latin1+utf16"]
PRIMITIVES = [
    (D.BoolType, "bool"), (D.U8Type, "u8"), (D.S8Type, "s8"), (D.U16Type, "u16"), (D.S16Type, "s16"), (D.U32Type, "u32"),
    (D.S32Type, "s32"), (D.U64Type, "u64"), (D.S64Type, "s64"), (D.F32Type, "f32"), (D.F64Type, "f64"), (D.CharType, "char"),
    (D.StringType, "string"), (D.StringType, "string"), (D.StringType, "string"),
]


class Types:
    """Random types, and their definitions as text: a number, the body, and whether the type has a name."""

    def __init__(self):
        self.definitions = []

    def define(self, body, named):
        self.definitions.append((body, named))
        return f"$t{len(self.definitions) - 1}"

    def any(self, depth):
        """A type and the text that refers to it."""
        others = ["record", "tuple", "variant", "enum", "option", "result", "flags"]
        kind = random.choice(["primitive"] * 4 + ["list"] * 3 + others)
        if depth == 0 and kind not in ("enum", "flags"):
            kind = "primitive"
        inner = lambda: self.any(depth - 1)
        maybe = lambda: inner() if random.random() < 0.7 else (None, None)
        match kind:
            case "primitive":
                ty, text = random.choice(PRIMITIVES)
                return ty(), text
            case "list":
                ty, text = inner()
                return D.ListType(ty), self.define(f"(list {text})", False)
            case "option":
                ty, text = inner()
                return D.OptionType(ty), self.define(f"(option {text})", False)
            case "result":
                (ok, ok_text), (error, error_text) = maybe(), maybe()
                text = (f" {ok_text}" if ok else "") + (f" (error {error_text})" if error else "")
                return D.ResultType(ok, error), self.define(f"(result{text})", False)
            case "tuple":
                parts = [inner() for _ in range(random.randint(1, 4))]
                text = " ".join(text for _, text in parts)
                return D.TupleType([ty for ty, _ in parts]), self.define(f"(tuple {text})", False)
            case "record":
                parts = [inner() for _ in range(random.randint(1, 5))]
                text = "".join(f' (field "f{at}" {text})' for at, (_, text) in enumerate(parts))
                fields = [D.FieldType(f"f{at}", ty) for at, (ty, _) in enumerate(parts)]
                return D.RecordType(fields), self.define(f"(record{text})", True)
            case "variant":
                parts = [maybe() for _ in range(random.randint(1, 5))]
                text = "".join(f' (case "c{at}"{" " + text if ty else ""})' for at, (ty, text) in enumerate(parts))
                cases = [D.CaseType(f"c{at}", ty) for at, (ty, _) in enumerate(parts)]
                return D.VariantType(cases), self.define(f"(variant{text})", True)
            case "enum":
                labels = [f"e{at}" for at in range(random.choice([1, 2, 5, 255, 256, 257, 300]))]
                return D.EnumType(labels), self.define("(enum" + "".join(f' "{label}"' for label in labels) + ")", True)
            case "flags":
                labels = [f"g{at}" for at in range(random.choice([1, 3, 8, 9, 16, 17, 31, 32]))]
                return D.FlagsType(labels), self.define("(flags" + "".join(f' "{label}"' for label in labels) + ")", True)


CHARACTERS = [
    (0x20, 0x7F), (0, 0x80), (0x80, 0x100), (0x80, 0x800), (0x100, 0x110), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000),
]


def character(ranges):
    return chr(random.randrange(*random.choice(ranges)))


def string():
    # Some of one kind only: what is Latin-1, or ASCII, is copied in other ways.
    ranges = random.choice([CHARACTERS, CHARACTERS[:1], CHARACTERS[:3], CHARACTERS[1:2] + CHARACTERS[5:6]])
    length = random.choice([0, 1, 2, 7, 8, 9, 20])
    return "".join(character(ranges) for _ in range(length))


def prepared_string(context, value):
    """Writes a string as a program would: in the encodings that it may choose from."""
    if not context.prepares:
        return store_string_into_range(context, value)
    text, encoding, tag = value[0], context.opts.string_encoding, 0
    if encoding == "latin1+utf16":
        if random.random() < 0.5 and all(ord(each) < 256 for each in text):
            encoding = "latin-1"
        else:
            encoding, tag = "utf16", 1 << 31
    encoded = text.encode("utf-16-le" if encoding == "utf16" else encoding)
    at = context.reallocate(0, 0, 1 if context.opts.string_encoding == "utf8" else 2, len(encoded))
    context.bytes()[at:at + len(encoded)] = encoded
    return at, len(encoded) // (2 if encoding == "utf16" else 1) | tag


D.store_string_into_range = prepared_string


def integer(bits, signed):
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return random.choice([low, high, 0, 1, random.randint(low, high)])


def rounded(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


def value(ty):
    match ty:
        case D.BoolType(): return random.random() < 0.5
        case D.U8Type(): return integer(8, False)
        case D.S8Type(): return integer(8, True)
        case D.U16Type(): return integer(16, False)
        case D.S16Type(): return integer(16, True)
        case D.U32Type(): return integer(32, False)
        case D.S32Type(): return integer(32, True)
        case D.U64Type(): return integer(64, False)
        case D.S64Type(): return integer(64, True)
        case D.F32Type(): return rounded(random.choice([0.0, -0.0, 1.5, math.inf, math.nan, random.gauss(0, 1e9)]))
        case D.F64Type(): return random.choice([0.0, -0.0, 1.5, -math.inf, math.nan, random.gauss(0, 1e99)])
        case D.CharType(): return character(CHARACTERS)
        case D.StringType(): return (string(), "utf8", 0)
        case D.ListType(t, _): return [value(t) for _ in range(random.choice([0, 1, 2, 3]))]
        case D.RecordType(fields): return {field.label: value(field.t) for field in fields}
        case D.TupleType(ts): return {str(at): value(t) for at, t in enumerate(ts)}
        case D.VariantType(cases): return case_of(random.choice(cases))
        case D.EnumType(labels): return {random.choice(labels): None}
        case D.OptionType(t): return {"none": None} if random.random() < 0.4 else {"some": value(t)}
        case D.ResultType(ok, error): return case_of(random.choice([D.CaseType("ok", ok), D.CaseType("error", error)]))
        case D.FlagsType(labels): return {label: random.random() < 0.5 for label in labels}
    raise TypeError(ty)


def case_of(case):
    return {case.label: None if case.t is None else value(case.t)}


def put(context, at, types, values):
    """Writes flat values where the code of a component loads or stores them."""
    for ty, each in zip(types, values):
        context.bytes()[at:at + 8] = {
            "i32": lambda: each.to_bytes(8, "little"),
            "i64": lambda: each.to_bytes(8, "little"),
            "f32": lambda: struct.pack("<fI", each, 0),
            "f64": lambda: struct.pack("<d", each),
        }[ty]()
        at += 8


def take(context, at, types):
    values = []
    for ty in types:
        bits = context.bytes()[at:at + (4 if ty in ("i32", "f32") else 8)]
        values.append(int.from_bytes(bits, "little") if ty in ("i32", "i64") else float_of(ty, bits))
        at += 8
    return values


def float_of(ty, bits):
    bits = int.from_bytes(bits, "little")
    return D.decode_i32_as_float(bits) if ty == "f32" else D.decode_i64_as_float(bits)


def damage(context, slots):
    """Changes what was prepared: a byte of it, or an argument."""
    if slots and random.random() < 0.5:
        at = random.choice(slots)
        word = context.word(at)
        near = [word ^ 1 << random.randrange(32), word + 1, word - 1]
        context.word(at, random.choice([random.getrandbits(32), random.getrandbits(8), *near]))
    elif context.at > DATA:
        at = random.randrange(DATA, context.at)
        context.bytes()[at] = random.choice([random.getrandbits(8), context.bytes()[at] ^ 1 << random.randrange(8), 0, 0xFF])


def written(memory):
    parts, at = [], 0
    while at < len(memory):
        # Long zeros are between the parts.
        end = memory.find(bytes(16), at)
        end = len(memory) if end < 0 else end
        if end > at:
            parts.append(f"{at:x}:{memory[at:end].hex()}")
        at = end
        while at < len(memory) and memory[at:at + 256] == bytes(min(256, len(memory) - at)):
            at += 256
        while at < len(memory) and memory[at] == 0:
            at += 1
    return ",".join(parts) or "-"


def one_case(call, harm):
    caller, callee = Context(call.encodings[0]), Context(call.encodings[1])
    # What the caller passes, and what the callee returns.
    if len(call.flat_params) > D.MAX_FLAT_PARAMS:
        tuple_type = D.TupleType(call.params)
        at = caller.reallocate(0, 0, D.alignment(tuple_type, "i32"), D.elem_size(tuple_type, "i32"))
        D.store(caller, {str(index): value(ty) for index, ty in enumerate(call.params)}, tuple_type, at)
        arguments = [at]
    else:
        arguments = [each for ty in call.params for each in D.lower_flat(caller, value(ty), ty)]
    if call.result_in_memory:
        align, size = D.alignment(call.result, "i32"), D.elem_size(call.result, "i32")
        arguments.append(caller.reallocate(0, 0, align, size))
        at = callee.reallocate(0, 0, align, size)
        D.store(callee, value(call.result), call.result, at)
        returned = [at]
    else:
        returned = D.lower_flat(callee, value(call.result), call.result) if call.result else []
    put(caller, ARGUMENTS, call.above.params, arguments)
    put(callee, RESULT, call.below.results, returned)
    for context in (caller, callee):
        context.prepares = False
        context.word(NEXT, HEAP + random.randrange(8))
    if harm:
        slots = lambda at, types: [at + 8 * index for index, ty in enumerate(types) if ty in ("i32", "i64")]
        match random.randrange(10):
            case 0: random.choice([caller, callee]).word(WRONG, random.choice([1, 2, 4, 0x7FFF0000, -0x9000]))
            case 1 | 2 | 3: damage(callee, slots(RESULT, call.below.results))
            case _: damage(caller, slots(ARGUMENTS, call.above.params))
    before = written(caller.bytes()), written(callee.bytes())
    try:
        passed = D.CoreValueIter(take(caller, ARGUMENTS, call.above.params))
        values = D.lift_flat_values(caller, D.MAX_FLAT_PARAMS, passed, call.params)
        flat = D.lower_flat_values(callee, D.MAX_FLAT_PARAMS, values, call.params)
        put(callee, ARGUMENTS, call.below.params, flat)
        if call.result:
            result = D.CoreValueIter(take(callee, RESULT, call.below.results))
            values = D.lift_flat_values(callee, D.MAX_FLAT_RESULTS, result, [call.result])
            flat = D.lower_flat_values(caller, D.MAX_FLAT_RESULTS, values, [call.result], passed)
            put(caller, RESULT, call.above.results, flat)
        if call.cleans:
            callee.word(CLEANED, 1)
    except D.Trap:
        return f"case {before[0]} {before[1]} trap"
    return f"case {before[0]} {before[1]} {written(caller.bytes())} {written(callee.bytes())}"


class Call:
    def __init__(self):
        types = Types()
        count = random.choice([0, 1, 1, 2, 3, 5]) if random.random() < 0.9 else random.randint(8, 20)
        params = [types.any(random.randint(0, 3)) for _ in range(count)]
        result = types.any(random.randint(0, 3)) if random.random() < 0.6 else None
        self.params, self.result = [ty for ty, _ in params], result and result[0]
        self.encodings = [random.choice(ENCODINGS), random.choice(ENCODINGS)]
        self.cleans = random.random() < 0.3
        context = Context("utf8")
        ft = D.FuncType(self.params, [self.result] if result else [])
        self.flat_params = D.flatten_types(self.params, context.opts)
        options = D.CanonicalOptions("utf8", context.opts.memory)
        self.above, self.below = D.flatten_functype(options, ft, "lower"), D.flatten_functype(options, ft, "lift")
        self.result_in_memory = bool(result) and len(D.flatten_types([self.result], context.opts)) > D.MAX_FLAT_RESULTS
        self.text = self.component(types, params, result)

    def component(self, types, params, result):
        ty = "".join(f' (param "p{at}" {text})' for at, (_, text) in enumerate(params))
        ty += f" (result {result[1]})" if result else ""
        here, there, given = [], [], []
        for at, (body, named) in enumerate(types.definitions):
            if named:
                there.append(f'(type $u{at} {body}) (export $t{at} "t{at}" (type $u{at}))')
                here.append(f'(type $u{at} {body}) (import "t{at}" (type $t{at} (eq $u{at})))')
                given.append(f'(with "t{at}" (type $callee "t{at}"))')
            else:
                there.append(f"(type $t{at} {body})")
                here.append(f"(type $t{at} {body})")
        core = lambda ty: f"(param {' '.join(ty.params)})" + (f" (result {ty.results[0]})" if ty.results else "")
        slot = lambda at: f"(i32.const {ARGUMENTS + 8 * at})"
        stores = "".join(f"({ty}.store {slot(at)} (local.get {at}))" for at, ty in enumerate(self.below.params))
        returns = f"({self.below.results[0]}.load (i32.const {RESULT}))" if self.below.results else ""
        results = " ".join(self.below.results)
        post = f'(func (export "post") (param {results}) (i32.store (i32.const {CLEANED}) (i32.const 1)))'
        loads = "".join(f"({ty}.load {slot(at)})" for at, ty in enumerate(self.above.params))
        calls = f"(call $f {loads})"
        if self.above.results:
            calls = f"({self.above.results[0]}.store (i32.const {RESULT}) {calls})"
        memory = lambda instance: f'(memory (core memory {instance} "memory"))'
        options = lambda instance, encoding: f'{memory(instance)} (realloc (core func {instance} "realloc")) string-encoding={encoding}'
        cleans = '(post-return (core func $m "post"))' if self.cleans else ""
        look = lambda instance: f'(func (export "look") (result string) (canon lift (core func {instance} "look") {memory(instance)}))'
        return " ".join(f"""(component
(component $callee {' '.join(there)}
(core module $m {LIBRARY} (func (export "f") {core(self.below)} {stores} {returns}) {post})
(core instance $m (instantiate $m))
(func (export "f") {ty} (canon lift (core func $m "f") {options("$m", self.encodings[1])} {cleans})) {look("$m")})
(component $caller {' '.join(here)} (import "f" (func $f {ty}))
(core module $library {LIBRARY}) (core instance $library (instantiate $library))
(core func $f (canon lower (func $f) {options("$library", self.encodings[0])}))
(core module $m (import "" "f" (func $f {core(self.above)})) (import "" "memory" (memory {PAGES})) (func (export "g") {calls}))
(core instance $m (instantiate $m (with "" (instance (export "f" (func $f)) (export "memory" (memory $library "memory"))))))
(func (export "g") (canon lift (core func $m "g"))) {look("$library")})
(instance $callee (instantiate $callee))
(instance $caller (instantiate $caller {' '.join(given)} (with "f" (func $callee "f"))))
(export "g" (func $caller "g")) (export "caller" (func $caller "look")) (export "callee" (func $callee "look")))""".split("\n"))


def main():
    random.seed(int(sys.argv[2]))
    for _ in range(int(sys.argv[3])):
        call = Call()
        print("component", call.text)
        count = 0
        while count < int(sys.argv[4]):
            try:
                print(one_case(call, count % 3 == 2))
                count += 1
            except Skip:
                pass


main()
