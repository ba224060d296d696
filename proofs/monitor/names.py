"""`path_*`: decisions on one path or two under directories."""

from z3 import And, Not

from proofs.monitor.descriptors import is_directory, is_open, needs, valid_entry
from proofs.monitor.frame import ALWAYS, Call, Decision, Row, admits, refuses
from proofs.monitor.parsed import answer, hooks, is_name, is_place, refused
from proofs.monitor.wasi import BUSY, EXIST, INVAL, ISDIR, NOTCAPABLE, NOTEMPTY, PERM, SYMLINK_FOLLOW

DIRECTORIES = ("Directory",)


def under(call: Call, fd, right: str, path: str, kinds=DIRECTORIES) -> list[Row]:
    """A path is under an open directory that has the right, and its parser accepts it."""
    return [is_open(call, fd), *is_directory(call, fd, kinds), needs(call, fd, right), refused(call, path)]


def unknown_flags(call: Call, defined=SYMLINK_FOLLOW) -> Row:
    return Row(call.lookup.number & ~defined != 0, refuses(INVAL))


def followed(effect, lookup, inverted=False):
    follow = lookup & SYMLINK_FOLLOW != 0
    return (effect.follow.number == 1) == (Not(follow) if inverted else follow)


def stat_rows(call: Call, inverted=False, kinds=DIRECTORIES) -> list[Row]:
    fd = call.fd.number

    def effect_of(effect):
        return And(is_place(call, effect.place, fd, "path"), followed(effect, call.lookup.number, inverted))

    return [
        unknown_flags(call),
        *under(call, fd, "path_filestat_get", "path", kinds),
        Row(ALWAYS, admits(effect_of)),
    ]


def set_times_rows(call: Call, defined=SYMLINK_FOLLOW, right="path_filestat_set_times") -> list[Row]:
    fd = call.fd.number

    def effect_of(effect):
        return And(
            is_place(call, effect.place, fd, "path"),
            followed(effect, call.lookup.number),
            effect.times.same(call.times),
        )

    return [unknown_flags(call, defined), *under(call, fd, right, "path"), Row(ALWAYS, admits(effect_of))]


def on_a_name(right: str, dot: int, dot_dot: int):
    """The rows of a call on the last component of a path."""

    def rows(call: Call, right=right, dot=dot, dot_dot=dot_dot) -> list[Row]:
        fd = call.fd.number

        def effect_of(effect):
            return And(is_place(call, effect.place, fd, "path"), is_name(call, effect.name, "path", dot, dot_dot))

        return [*under(call, fd, right, "path"), Row(ALWAYS, admits(effect_of))]

    return rows


def both_names(call: Call, effect, old: tuple[int, int], new: tuple[int, int]):
    return And(
        is_place(call, effect.old, call.old_fd.number, "old_path"),
        is_place(call, effect.new, call.new_fd.number, "new_path"),
        is_name(call, effect.old_name, "old_path", *old),
        is_name(call, effect.new_name, "new_path", *new),
    )


def link_rows(call: Call, source="path_link_source", target="path_link_target", follow=INVAL) -> list[Row]:
    return [
        unknown_flags(call),
        *under(call, call.old_fd.number, source, "old_path"),
        *under(call, call.new_fd.number, target, "new_path"),
        Row(call.lookup.number & SYMLINK_FOLLOW != 0, refuses(follow)),
        Row(ALWAYS, admits(lambda effect: both_names(call, effect, (PERM, PERM), (EXIST, EXIST)))),
    ]


def rename_rows(call: Call, target="path_rename_target", dots=BUSY) -> list[Row]:
    return [
        *under(call, call.old_fd.number, "path_rename_source", "old_path"),
        *under(call, call.new_fd.number, target, "new_path"),
        Row(ALWAYS, admits(lambda effect: both_names(call, effect, (BUSY, BUSY), (dots, dots)))),
    ]


def symlink_rows(call: Call, dots=EXIST, right="path_symlink") -> list[Row]:
    fd = call.fd.number
    target = answer(call, "target", "LinkTarget").variant("Ok")._0

    def effect_of(effect):
        return And(
            is_place(call, effect.place, fd, "path"),
            is_name(call, effect.name, "path", dots, dots),
            effect.target.same(target),
        )

    return [
        *under(call, fd, right, "path"),
        refused(call, "target", "LinkTarget"),
        Row(ALWAYS, admits(effect_of)),
    ]


def of_name(name: str, what: str, right: str, dot: int, dot_dot: int, wrong_right: str) -> Decision:
    """A decision on the last component of a path."""
    return Decision(
        name,
        f"{what} with `{right}` on the directory; `.` and `..` at the end have the errno of Linux",
        ("monitor", "fd", "path"),
        on_a_name(right, dot, dot_dot),
        {
            f"`{wrong_right}` is enough": {"right": wrong_right},
            "`.` is NOTCAPABLE": {"dot": NOTCAPABLE},
            "`..` is NOTCAPABLE": {"dot_dot": NOTCAPABLE},
        },
        assumptions=("parser",),
        facts=valid_entry("fd"),
        hooks=hooks,
    )


BOTH = {"facts": valid_entry("old_fd", "new_fd"), "hooks": hooks, "assumptions": ("parser",)}
ONE = {"facts": valid_entry("fd"), "hooks": hooks, "assumptions": ("parser",)}
DECISIONS = [
    Decision(
        "stat_at",
        "attributes of a path are shown with `path_filestat_get` on the directory; only one flag is defined",
        ("monitor", "fd", "lookup", "path"),
        stat_rows,
        {
            "links are followed if not asked for": {"inverted": True},
            "files have paths": {"kinds": ("Directory", "RegularFile")},
        },
        **ONE,
    ),
    Decision(
        "set_times_at",
        "times of a path are set with `path_filestat_set_times` on the directory",
        ("monitor", "fd", "lookup", "path", "times"),
        set_times_rows,
        {"two flags are defined": {"defined": 3}, "`path_filestat_get` is enough": {"right": "path_filestat_get"}},
        **ONE,
    ),
    of_name("create_directory", "a directory is made", "path_create_directory", EXIST, EXIST, "path_create_file"),
    of_name("remove_directory", "a directory is removed", "path_remove_directory", INVAL, NOTEMPTY, "path_unlink_file"),
    of_name("unlink", "a name is removed", "path_unlink_file", ISDIR, ISDIR, "path_remove_directory"),
    of_name("readlink", "the target of a link is read", "path_readlink", INVAL, INVAL, "path_open"),
    Decision(
        "link",
        "a hard link is made with `path_link_source` on one directory and `path_link_target` on the other",
        ("monitor", "old_fd", "lookup", "old_path", "new_fd", "new_path"),
        link_rows,
        {
            "the right of the other side is enough": {"source": "path_link_target"},
            "no right is needed to add a name": {"target": "path_open"},
            "to follow is NOTCAPABLE": {"follow": NOTCAPABLE},
        },
        **BOTH,
    ),
    Decision(
        "rename",
        "a name is moved with `path_rename_source` on one directory and `path_rename_target` on the other",
        ("monitor", "old_fd", "old_path", "new_fd", "new_path"),
        rename_rows,
        {"the source is enough": {"target": "path_rename_source"}, "new dots are EXIST": {"dots": EXIST}},
        **BOTH,
    ),
    Decision(
        "symlink",
        "a symbolic link is made with `path_symlink` on the directory, to a target that its parser accepts",
        ("monitor", "target", "fd", "path"),
        symlink_rows,
        {"dots are BUSY": {"dots": BUSY}, "`path_create_file` is enough": {"right": "path_create_file"}},
        **ONE,
    ),
]
