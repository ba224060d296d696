"""Arguments that are one of a few numbers: flags, clocks, whences, advice, signals, times, magic numbers."""

from z3 import And, BoolRef, Extract, Or

from proofs.monitor.frame import ALWAYS, Call, Decision, Row, admits, refuses
from proofs.monitor.wasi import ATIM, ATIM_NOW, INVAL, MTIM, MTIM_NOW, NOTCAPABLE, NOTSUP


def flag_rows(call: Call, defined: int, errno=INVAL) -> list[Row]:
    """Only defined bits, of all 32, and the same bits as a value."""
    bits = call.bits.number
    return [
        Row(bits & ~defined != 0, refuses(errno)),
        Row(ALWAYS, admits(lambda value: value.number == Extract(15, 0, bits))),
    ]


def flags(name: str, what: str, count: int) -> Decision:
    """The flags of one argument, of which the first `count` bits are defined."""
    defined = (1 << count) - 1
    return Decision(
        name,
        f"{what}: {count} bits are defined, and any other is INVAL",
        ("bits",),
        lambda call, defined=defined, errno=INVAL: flag_rows(call, defined, errno),
        {"one bit more": {"defined": 2 * defined + 1}, "others are NOTSUP": {"errno": NOTSUP}},
        inlined=True,
    )


def one_of_rows(call: Call, names: tuple[str, ...], refused: dict[int, int] | None = None, errno=INVAL) -> list[Row]:
    """A number that stands for a variant."""
    value = call.value.number
    rows = [Row(value == number, refuses(why)) for number, why in (refused or {}).items()]
    rows += [
        Row(value == number, admits(lambda result, name=name: result.is_variant(name)))
        for number, name in enumerate(names)
    ]
    return [*rows, Row(ALWAYS, refuses(errno))]


def one_of(name: str, what: str, names: tuple[str, ...], refused: dict[int, int] | None = None) -> Decision:
    """An argument that is one of these, in this order."""
    swapped = (names[1], names[0], *names[2:])
    return Decision(
        name,
        f"{what}, and any other number is INVAL",
        ("value",),
        lambda call, names=names, errno=INVAL: one_of_rows(call, names, refused, errno),
        {"the first two are swapped": {"names": swapped}, "others are NOTSUP": {"errno": NOTSUP}},
        inlined=True,
    )


# `$signal`: what is ignored by default, what stops, and the numbers of Linux (signal(7)) for what terminates.
IGNORED = ("none", "pipe", "chld", "cont", "urg", "winch")
STOPS = ("stop", "tstp", "ttin", "ttou")
SIGNALS = (
    "none", "hup", "int", "quit", "ill", "trap", "abrt", "bus", "fpe", "kill", "usr1", "segv", "usr2", "pipe", "alrm",
    "term", "chld", "cont", "stop", "tstp", "ttin", "ttou", "urg", "xcpu", "xfsz", "vtalrm", "prof", "winch", "poll",
    "pwr", "sys",
)  # fmt: skip
LINUX = {
    "hup": 1, "int": 2, "quit": 3, "ill": 4, "trap": 5, "abrt": 6, "bus": 7, "fpe": 8, "kill": 9, "usr1": 10,
    "segv": 11, "usr2": 12, "alrm": 14, "term": 15, "xcpu": 24, "xfsz": 25, "vtalrm": 26, "prof": 27, "poll": 29,
    "pwr": 30, "sys": 31,
}  # fmt: skip


def raise_rows(call: Call, stops=NOTSUP, linux=None) -> list[Row]:
    numbers = linux or LINUX
    rows = []
    for number, name in enumerate(SIGNALS):
        if name in IGNORED:
            outcome = admits(lambda value: value.is_variant("Ignored"))
        elif name in STOPS:
            outcome = refuses(stops)
        else:
            outcome = admits(
                lambda value, to=numbers[name]: And(
                    value.is_variant("Terminates"), value.variant("Terminates")._0.number == to
                )
            )
        rows.append(Row(call.signal.number == number, outcome))
    return [*rows, Row(ALWAYS, refuses(INVAL))]


def time_of(value, flags_, argument, set_: int, now: int) -> BoolRef:
    """What a timestamp becomes: the argument, the time of the call, or what it is."""
    is_set, is_now = flags_ & set_ != 0, flags_ & now != 0
    return And(
        value.is_variant("At") == is_set,
        value.is_variant("Now") == And(is_now, flags_ & set_ == 0),
        value.is_variant("Keep") == And(flags_ & (set_ | now) == 0),
        Or(flags_ & set_ == 0, value.variant("At")._0.number == argument),
    )


def new_times_rows(call: Call, both=INVAL, swapped=False) -> list[Row]:
    bits, first, second = call.flags.number, call.atim.number, call.mtim.number
    if swapped:
        first, second = second, first

    def times_of(times):
        return And(
            time_of(times.access, bits, first, ATIM, ATIM_NOW),
            time_of(times.modification, bits, second, MTIM, MTIM_NOW),
        )

    return [
        Row(bits & ~(ATIM | ATIM_NOW | MTIM | MTIM_NOW) != 0, refuses(INVAL)),
        Row(Or(*[bits & pair == pair for pair in (ATIM | ATIM_NOW, MTIM | MTIM_NOW)]), refuses(both)),
        Row(ALWAYS, admits(times_of)),
    ]


# `linux/magic.h`; those that are not there have the source that defines them.
KERNEL_INTERFACES = {
    "proc": 0x9FA0,
    "openprom": 0x9FA1,
    "sysfs": 0x62656572,
    "debugfs": 0x64626720,
    "tracefs": 0x74726163,
    "securityfs": 0x73636673,
    "cgroup": 0x27E0EB,
    "cgroup2": 0x63677270,
    "bpf": 0xCAFE4A11,
    "pstore": 0x6165676C,
    "efivarfs": 0xDE5E81E4,
    "configfs (fs/configfs/mount.c)": 0x62656570,
    "devpts": 0x1CD1,
    "binfmt_misc": 0x42494E4D,
    "selinuxfs": 0xF97CFF8C,
    "smackfs": 0x43415D53,
    "mqueue (ipc/mqueue.c)": 0x19800202,
    "nsfs": 0x6E736673,
    "fusectl (fs/fuse/control.c)": 0x65735543,
    "resctrl": 0x07655821,
    "xenfs": 0xABBA1974,
    "apparmorfs": 0x5A3C69F0,
    "binder": 0x6C6F6F70,
    "nfsd (fs/nfsd/nfsctl.c)": 0x6E667364,
    "rpc_pipefs (net/sunrpc/rpc_pipe.c)": 0x67596969,
    "functionfs (drivers/usb/gadget/function/f_fs.c)": 0x0A647361,
    "gadgetfs (drivers/usb/gadget/legacy/inode.c)": 0xAEE71EE7,
    "hypfs (arch/s390/hypfs/inode.c)": 0x00687970,
}
EXT4 = 0xEF53


def filesystem_rows(call: Call, more=(), less=()) -> list[Row]:
    magics = [*(number for name, number in KERNEL_INTERFACES.items() if name not in less), *more]
    return [
        Row(Or(*[call.magic.number == number for number in magics]), refuses(NOTCAPABLE)),
        Row(ALWAYS, admits()),
    ]


DECISIONS = [
    flags("fd_flags", "flags of a descriptor", 5),
    flags("o_flags", "flags of an open", 4),
    flags("lookup_flags", "flags of a lookup", 1),
    flags("ri_flags", "flags of a receive", 2),
    flags("sd_flags", "directions of a shutdown", 2),
    flags("subclock_flags", "flags of a clock", 1),
    one_of("whence", "0, 1 and 2 are from the start, from here and from the end", ("Set", "Current", "End")),
    one_of("whence_unstable", "0, 1 and 2 are from here, from the end and from the start", ("Current", "End", "Set")),
    one_of(
        "advice",
        "0 to 5 are the kinds of advice",
        ("Normal", "Sequential", "Random", "WillNeed", "DontNeed", "NoReuse"),
    ),
    one_of(
        "clock",
        "0 and 1 are the clocks a guest may read, 2 and 3 are NOTSUP",
        ("Realtime", "Monotonic"),
        {2: NOTSUP, 3: NOTSUP},
    ),
    Decision(
        "raise",
        "a signal that terminates has the number of Linux, others are ignored, and those that stop are NOTSUP",
        ("signal",),
        raise_rows,
        {"stopping is NOTCAPABLE": {"stops": NOTCAPABLE}, "SYS is 30": {"linux": {**LINUX, "sys": 30}}},
    ),
    Decision(
        "new_times",
        "each timestamp is kept, set to now or to its argument; both is INVAL",
        ("atim", "mtim", "flags"),
        new_times_rows,
        {"both is NOTSUP": {"both": NOTSUP}, "the arguments are swapped": {"swapped": True}},
    ),
    Decision(
        "filesystem",
        "no file of a file system that is an interface of the kernel is opened",
        ("magic",),
        filesystem_rows,
        {"ext4 is one": {"more": (EXT4,)}, "sysfs is none": {"less": ("sysfs",)}},
        unrolled=True,
    ),
]
