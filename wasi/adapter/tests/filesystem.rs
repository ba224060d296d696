//! wasi:filesystem: what each function asks of preview 1, and what it makes of the answers.

mod script;

use script::{BUFFER, FILL, HEAP, PATH, PATH2, RESULTS, Rig, Step, iovec, long, step, word};
use wasmi::TrapCode;

/// Where the guest wants results, and has paths and bytes.
const OUT: u64 = 0x200;
const TEXT: u64 = 0x1003;
const TEXT2: u64 = 0x2001;

/// Rights of preview 1, by their bits.
const FD_READ: u64 = 1 << 1;
const FD_WRITE: u64 = 1 << 6;
const FD_ALLOCATE: u64 = 1 << 8;
const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
const EVERYTHING: u64 = 0x3fff_ffff;
/// All rights of a directory.
const DIRECTORY: u64 = rights(&[0, 3, 4, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26]);
/// All rights but those that change something.
const READ_ONLY: u64 = EVERYTHING & !rights(&[6, 8, 9, 10, 11, 12, 16, 17, 19, 20, 22, 23, 24, 25, 26]);
/// Those under an append-only grant.
const APPEND: u64 = READ_ONLY | rights(&[6, 9, 10]);
/// Those of a list of granted files.
const LIST: u64 = rights(&[3, 10, 13, 14, 18, 19, 21]);

const fn rights(bits: &[u64]) -> u64 {
    let (mut rights, mut index) = (0, 0);
    while index < bits.len() {
        rights |= 1 << bits[index];
        index += 1;
    }
    rights
}

/// What is asked for in any case, and with `write`.
const ALWAYS: u64 = 0x0fff_ffff & !(FD_READ | FD_WRITE | FD_ALLOCATE | FD_FILESTAT_SET_SIZE);
const FOR_WRITE: u64 = FD_WRITE | FD_ALLOCATE | FD_FILESTAT_SET_SIZE;
const INHERITING: u64 = 0x0fff_ffff;

/// Types of preview 1.
const DIR: u64 = 3;
const FILE: u64 = 4;

/// Descriptor-flags.
const READ: u64 = 1;
const WRITE: u64 = 2;
const MUTATE: u64 = 32;

/// Numbers of preview 1, and error-codes.
const BADF: u16 = 8;
const NOENT: u16 = 44;
const NOTCAPABLE: u16 = 76;
const BAD_DESCRIPTOR: u64 = 3;
const INVALID: u64 = 12;
const IS_DIRECTORY: u64 = 14;
const NAME_TOO_LONG: u64 = 18;
const NO_ENTRY: u64 = 20;
const NOT_PERMITTED: u64 = 31;

const GET_DIRECTORIES: &str = "wasi:filesystem/preopens@0.2#get-directories";

fn method(name: &str) -> String {
    format!("wasi:filesystem/types@0.2#[method]descriptor.{name}")
}

fn drop_of(resource: &str) -> String {
    format!("wasi:filesystem/types@0.2#[resource-drop]{resource}")
}

fn fdstat(file_type: u64, fdflags: u64, base: u64, inheriting: u64) -> Vec<u8> {
    [word(file_type | fdflags << 16), word(0), long(base), long(inheriting)].concat()
}

/// The calls that find preopens: descriptor, name, rights.
fn found(preopens: &[(u64, &str, u64, u64)]) -> Vec<Step> {
    let mut steps = Vec::new();
    for (fd, name, base, inheriting) in preopens {
        let prestat = [word(0), word(name.len() as u64)].concat();
        steps.push(step("fd_prestat_get", [*fd, RESULTS]).writes(RESULTS, prestat));
        steps.push(step("fd_fdstat_get", [*fd, RESULTS]).writes(RESULTS, fdstat(DIR, 0, *base, *inheriting)));
    }
    steps.push(step("fd_prestat_get", [3 + preopens.len() as u64, RESULTS]).answers(BADF));
    steps
}

fn named(preopens: &[(u64, &str, u64, u64)]) -> Vec<Step> {
    preopens
        .iter()
        .map(|(fd, name, ..)| step("fd_prestat_dir_name", [*fd, PATH, name.len() as u64]).writes(PATH, *name))
        .collect()
}

/// An instance with one preopen of these rights, and its descriptor.
fn with_grant(base: u64, inheriting: u64) -> (Rig, u64) {
    let mut rig = Rig::new();
    let preopens = [(3, "/", base, inheriting)];
    rig.expect(found(&preopens));
    rig.expect(named(&preopens));
    rig.call(GET_DIRECTORIES, &[OUT]);
    let dir = rig.guest_word(rig.guest_word(OUT));
    rig.set_guest(OUT, &[FILL; 8]);
    (rig, dir)
}

fn with_dir() -> (Rig, u64) {
    with_grant(DIRECTORY, EVERYTHING)
}

/// Opens something under a directory, with these flags; preview 1 says that it has the descriptor `fd`, type and rights.
fn open(rig: &mut Rig, dir: u64, flags: u64, fd: u64, file_type: u64, base: u64) -> u64 {
    let len = rig.put(TEXT, "name");
    let mut asked = ALWAYS;
    asked |= if flags & WRITE == 0 { 0 } else { FOR_WRITE };
    asked |= if flags & (READ | WRITE) == WRITE { 0 } else { FD_READ };
    rig.expect([
        step("path_open", [3, 0, PATH, len, 0, asked, INHERITING, 0, RESULTS]).writes(RESULTS, word(fd)),
        step("fd_fdstat_get", [fd, RESULTS]).writes(RESULTS, fdstat(file_type, 0, base, 0)),
    ]);
    rig.call(&method("open-at"), &[dir, 0, TEXT, len, 0, flags, OUT]);
    handle(rig)
}

/// An instance with a file that is open for reading and writing, as descriptor 4 of preview 1.
fn with_file() -> (Rig, u64) {
    let (mut rig, dir) = with_dir();
    let file = open(&mut rig, dir, READ | WRITE, 4, FILE, ALWAYS | FD_READ | FOR_WRITE);
    (rig, file)
}

/// One with a file that is open for reading.
fn with_file_to_read() -> (Rig, u64) {
    let (mut rig, dir) = with_dir();
    let file = open(&mut rig, dir, READ, 4, FILE, ALWAYS | FD_READ);
    (rig, file)
}

/// The result<HANDLE, error-code> is a handle.
fn handle(rig: &mut Rig) -> u64 {
    assert_eq!(rig.guest(OUT, 1), [0]);
    let handle = rig.guest_word(OUT + 4);
    rig.set_guest(OUT, &[FILL; 8]);
    handle
}

/// The result is this error, with the code `offset` bytes after it.
#[track_caller]
fn is_error(rig: &Rig, offset: u64, code: u64) {
    assert_eq!((rig.guest(OUT, 1)[0], u64::from(rig.guest(OUT + offset, 1)[0])), (1, code));
}

#[track_caller]
fn is_done(rig: &Rig) {
    assert_eq!(rig.guest(OUT, 1), [0]);
}

// ---- what there is ----

/// Functions of WASI 0.2.0 to 0.2.12, and their flat types: `i` is i32, `l` is i64.
const FUNCTIONS: [(&str, &str, &str); 32] = [
    ("wasi:filesystem/types@0.2#[resource-drop]descriptor", "i", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.read-via-stream", "ili", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.write-via-stream", "ili", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.append-via-stream", "ii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.advise", "illii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.sync-data", "ii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.get-flags", "ii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.get-type", "ii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.set-size", "ili", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.set-times", "iiliilii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.read", "illi", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.write", "iiili", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.read-directory", "ii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.sync", "ii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.create-directory-at", "iiii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.stat", "ii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.stat-at", "iiiii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.set-times-at", "iiiiiliilii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.link-at", "iiiiiiii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.open-at", "iiiiiii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.readlink-at", "iiii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.remove-directory-at", "iiii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.rename-at", "iiiiiii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.symlink-at", "iiiiii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.unlink-file-at", "iiii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.is-same-object", "ii", "i"),
    ("wasi:filesystem/types@0.2#[method]descriptor.metadata-hash", "ii", ""),
    ("wasi:filesystem/types@0.2#[method]descriptor.metadata-hash-at", "iiiii", ""),
    ("wasi:filesystem/types@0.2#[resource-drop]directory-entry-stream", "i", ""),
    ("wasi:filesystem/types@0.2#[method]directory-entry-stream.read-directory-entry", "ii", ""),
    ("wasi:filesystem/types@0.2#filesystem-error-code", "ii", ""),
    ("wasi:filesystem/preopens@0.2#get-directories", "i", ""),
];

#[test]
fn every_function_is_there_with_its_type() {
    script::check_functions("wasi:filesystem/", &FUNCTIONS);
}

#[test]
fn a_wrong_handle_traps_before_anything_is_done() {
    for (name, params, _) in FUNCTIONS {
        if name == GET_DIRECTORIES {
            continue;
        }
        // Nothing, an open file, the free one after all others, the last one, beyond, and far beyond. An entry has 32 bytes, so the
        // last ones would have the address of another entry if they wrapped.
        for wrong in [0, 1, 100, 8191, 8192, 0x0800_0002, 0x8000_0002, 0xffff_ffff] {
            let (mut rig, _) = with_dir();
            let mut arguments = vec![0; params.len()];
            arguments[0] = wrong;
            rig.traps(name, &arguments);
        }
        // A handle of another type.
        let (mut rig, dir) = with_dir();
        let is_descriptor = name.contains("descriptor.") || name.ends_with("]descriptor");
        let other = if is_descriptor { stream_of_entries(&mut rig, dir) } else { dir };
        let mut arguments = vec![0; params.len()];
        arguments[0] = other;
        rig.traps(name, &arguments);
    }
}

#[test]
fn a_second_descriptor_is_checked_too() {
    for name in ["link-at", "rename-at", "is-same-object"] {
        let (mut rig, dir) = with_dir();
        let arguments: &[u64] = match name {
            "link-at" => &[dir, 0, TEXT, 1, 77, TEXT, 1, OUT],
            "rename-at" => &[dir, TEXT, 1, 77, TEXT, 1, OUT],
            _ => &[dir, 77],
        };
        rig.traps(&method(name), arguments);
    }
}

#[test]
fn a_result_that_is_not_aligned_traps_before_anything_is_done() {
    let long_results = ["stat", "stat-at", "metadata-hash", "metadata-hash-at", "write"];
    let word_results = [
        "read-via-stream",
        "write-via-stream",
        "append-via-stream",
        "read",
        "read-directory",
        "open-at",
        "readlink-at",
    ];
    for (names, wrong) in [(&long_results[..], &[1, 2, 4, 7][..]), (&word_results, &[1, 2, 3])] {
        for (name, off) in names.iter().flat_map(|name| wrong.iter().map(move |off| (*name, *off))) {
            let (mut rig, file) = with_file();
            let (_, params, _) = FUNCTIONS.into_iter().find(|function| function.0 == method(name)).expect("a function");
            let mut arguments = vec![0; params.len()];
            arguments[0] = file;
            *arguments.last_mut().expect("a result") = OUT + off;
            rig.traps(&method(name), &arguments);
        }
    }
    Rig::new().traps(GET_DIRECTORIES, &[OUT + 2]);
    let (mut rig, dir) = with_dir();
    let stream = stream_of_entries(&mut rig, dir);
    rig.traps(READ_ENTRY, &[stream, OUT + 2]);
}

// ---- preopens ----

#[test]
fn preopens_are_the_descriptors_from_3_on() {
    let mut rig = Rig::new();
    let preopens =
        [(3, "/data", DIRECTORY, EVERYTHING), (4, "", READ_ONLY & DIRECTORY, READ_ONLY), (5, "/é", LIST, EVERYTHING)];
    rig.expect(found(&preopens));
    rig.expect(named(&preopens));
    rig.call(GET_DIRECTORIES, &[OUT]);
    let (list, len) = (rig.guest_word(OUT), rig.guest_word(OUT + 4));
    assert_eq!((len, list % 4), (3, 0));
    let mut handles = Vec::new();
    for (index, (_, name, ..)) in (0..).zip(preopens) {
        let at = list + 12 * index;
        handles.push(rig.guest_word(at));
        assert_eq!(rig.guest_word(at + 8), name.len() as u64);
        assert_eq!(rig.guest(rig.guest_word(at + 4), name.len()), name.as_bytes());
    }
    handles.dedup();
    assert_eq!(handles.len(), 3);
    assert_eq!(rig.guest(OUT + 8, 4), [FILL; 4], "nothing after the result");

    // Again: other handles, of the same descriptors. To drop them does not close anything.
    rig.expect(named(&preopens));
    rig.call(GET_DIRECTORIES, &[OUT]);
    let again = rig.guest_word(rig.guest_word(OUT));
    assert!(!handles.contains(&again));
    for handle in handles.into_iter().chain([again]) {
        rig.call(&drop_of("descriptor"), &[handle]);
    }
    rig.expect(named(&preopens));
    rig.call(GET_DIRECTORIES, &[OUT]);
    let dir = rig.guest_word(rig.guest_word(OUT));
    rig.expect([step("fd_sync", [3])]);
    rig.call(&method("sync"), &[dir, OUT]);
    is_done(&rig);
}

#[test]
fn without_preopens_the_list_is_empty_and_they_are_not_looked_for_again() {
    let mut rig = Rig::new();
    rig.expect(found(&[]));
    for _ in 0..2 {
        rig.call(GET_DIRECTORIES, &[OUT]);
        assert_eq!(rig.guest_word(OUT + 4), 0);
    }
}

#[test]
fn a_preopen_of_another_kind_is_passed_over() {
    let mut rig = Rig::new();
    rig.expect([step("fd_prestat_get", [3, RESULTS]).writes(RESULTS, [word(1), word(9)].concat())]);
    rig.expect([
        step("fd_prestat_get", [4, RESULTS]).writes(RESULTS, [word(0), word(1)].concat()),
        step("fd_fdstat_get", [4, RESULTS]).writes(RESULTS, fdstat(DIR, 0, DIRECTORY, EVERYTHING)),
        step("fd_prestat_get", [5, RESULTS]).answers(BADF),
        step("fd_prestat_dir_name", [4, PATH, 1]).writes(PATH, "/"),
    ]);
    rig.call(GET_DIRECTORIES, &[OUT]);
    assert_eq!(rig.guest_word(OUT + 4), 1);
}

#[test]
fn a_preopen_that_has_no_name_for_a_string_is_a_trap() {
    let mut rig = Rig::new();
    let preopens = [(3, "ab", DIRECTORY, EVERYTHING)];
    rig.expect(found(&preopens));
    rig.expect([step("fd_prestat_dir_name", [3, PATH, 2]).writes(PATH, [b'a', 0xff])]);
    rig.traps(GET_DIRECTORIES, &[OUT]);

    let mut rig = Rig::new();
    rig.expect([
        step("fd_prestat_get", [3, RESULTS]).writes(RESULTS, [word(0), word(0x1_0001)].concat()),
        step("fd_fdstat_get", [3, RESULTS]).writes(RESULTS, fdstat(DIR, 0, DIRECTORY, EVERYTHING)),
        step("fd_prestat_get", [4, RESULTS]).answers(BADF),
    ]);
    rig.traps(GET_DIRECTORIES, &[OUT]);
}

#[test]
fn a_host_that_fails_to_list_preopens_is_a_trap() {
    let mut rig = Rig::new();
    rig.expect([step("fd_prestat_get", [3, RESULTS]).answers(29)]);
    rig.traps(GET_DIRECTORIES, &[OUT]);
}

// ---- flags and types ----

fn flags_of(rig: &mut Rig, descriptor: u64) -> u64 {
    rig.call(&method("get-flags"), &[descriptor, OUT]);
    is_done(rig);
    rig.guest(OUT + 1, 1)[0].into()
}

#[test]
fn flags_of_a_directory_say_what_its_grant_allows() {
    for (base, inheriting, flags) in [
        (DIRECTORY, EVERYTHING, READ | MUTATE),
        (DIRECTORY & READ_ONLY, READ_ONLY, READ),
        (DIRECTORY & APPEND, APPEND, READ | MUTATE),
        (LIST, EVERYTHING, READ | MUTATE),
        (LIST & READ_ONLY, READ_ONLY, READ),
        (0, 0, 0),
    ] {
        let (mut rig, dir) = with_grant(base, inheriting);
        assert_eq!(flags_of(&mut rig, dir), flags, "{base:x} {inheriting:x}");
    }
}

#[test]
fn flags_of_a_file_are_those_it_has_from_preview_1() {
    for (fdflags, rights, flags) in [
        (0, FD_READ, READ),
        (0, FD_WRITE, WRITE),
        (0, FD_READ | FD_WRITE, READ | WRITE),
        (0, 0, 0),
        (1, FD_WRITE, WRITE),
        (4, FD_WRITE, WRITE),
        (16, FD_WRITE, WRITE | 4),
        (2, FD_WRITE, WRITE | 8),
        (8, FD_WRITE, WRITE | 16),
        (31, FD_READ | FD_WRITE, READ | WRITE | 4 | 8 | 16),
    ] {
        let (mut rig, dir) = with_dir();
        let len = rig.put(TEXT, "name");
        rig.expect([
            step("path_open", [3, 0, PATH, len, 0, ALWAYS | FD_READ, INHERITING, 0, RESULTS]).writes(RESULTS, word(9)),
            step("fd_fdstat_get", [9, RESULTS]).writes(RESULTS, fdstat(FILE, fdflags, rights, EVERYTHING)),
        ]);
        rig.call(&method("open-at"), &[dir, 0, TEXT, len, 0, READ, OUT]);
        let file = handle(&mut rig);
        assert_eq!(flags_of(&mut rig, file), flags, "{fdflags} {rights:x}");
    }
}

#[test]
fn types_are_those_of_preview_1() {
    for (found, expected) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 6), (5, 7), (6, 7), (7, 5), (8, 0), (255, 0)] {
        let (mut rig, dir) = with_dir();
        let descriptor = open(&mut rig, dir, READ, 4, found, EVERYTHING);
        rig.call(&method("get-type"), &[descriptor, OUT]);
        assert_eq!(rig.guest(OUT, 3), [0, expected, FILL], "{found}");
    }
}

// ---- open-at ----

#[test]
fn rights_and_flags_of_an_open_follow_from_the_descriptor_flags() {
    for (flags, rights, fdflags) in [
        (0, FD_READ, 0),
        (READ, FD_READ, 0),
        (WRITE, FOR_WRITE, 0),
        (READ | WRITE, FD_READ | FOR_WRITE, 0),
        (READ | MUTATE, FD_READ, 0),
        (MUTATE, FD_READ, 0),
        (WRITE | MUTATE, FOR_WRITE, 0),
        (READ | 4, FD_READ, 16),
        (READ | 8, FD_READ, 2),
        (READ | 16, FD_READ, 8),
        (WRITE | 4 | 8 | 16, FOR_WRITE, 26),
        // Bits that are no flags.
        (READ | 0xffff_ffc0, FD_READ, 0),
    ] {
        let (mut rig, dir) = with_dir();
        let len = rig.put(TEXT, "a/b");
        rig.expect([step("path_open", [3, 0, PATH, len, 0, ALWAYS | rights, INHERITING, fdflags, RESULTS])
            .sees(PATH, "a/b")
            .answers(NOENT)]);
        rig.call(&method("open-at"), &[dir, 0, TEXT, len, 0, flags, OUT]);
        is_error(&rig, 4, NO_ENTRY);
        assert_eq!(rig.guest(OUT + 5, 3), [FILL; 3]);
    }
}

#[test]
fn path_flags_and_open_flags_are_passed_on_without_unknown_bits() {
    for (path_flags, open_flags) in [(0, 0), (1, 1), (0, 2), (1, 4), (0, 8), (1, 13), (0xffff_fffe, 0xffff_fff0)] {
        let (mut rig, dir) = with_dir();
        let len = rig.put(TEXT, "x");
        let asked = [3, path_flags & 1, PATH, len, open_flags & 15, ALWAYS | FD_READ, INHERITING, 0, RESULTS];
        rig.expect([step("path_open", asked).answers(NOENT)]);
        rig.call(&method("open-at"), &[dir, path_flags, TEXT, len, open_flags, READ, OUT]);
        is_error(&rig, 4, NO_ENTRY);
    }
}

/// A program opens a directory for reading and then removes what is in it.
#[test]
fn a_directory_that_is_opened_can_do_what_the_one_above_it_can() {
    let (mut rig, dir) = with_dir();
    let len = rig.put(TEXT, "sub");
    rig.expect([
        step("path_open", [3, 0, PATH, len, 2, ALWAYS | FD_READ, INHERITING, 0, RESULTS]).writes(RESULTS, word(4)),
        step("fd_fdstat_get", [4, RESULTS])
            .writes(RESULTS, fdstat(DIR, 0, DIRECTORY & ALWAYS, EVERYTHING & INHERITING)),
    ]);
    rig.call(&method("open-at"), &[dir, 0, TEXT, len, 2, READ, OUT]);
    let sub = handle(&mut rig);
    assert_eq!(flags_of(&mut rig, sub), READ | MUTATE);
    rig.expect([step("path_unlink_file", [4, PATH, len])]);
    rig.call(&method("unlink-file-at"), &[sub, TEXT, len, OUT]);
    is_done(&rig);
}

#[test]
fn a_descriptor_that_may_mutate_is_not_given_out_by_one_that_may_not() {
    let read_only = 33;
    let (mut rig, dir) = with_grant(DIRECTORY & READ_ONLY, READ_ONLY);
    let len = rig.put(TEXT, "sub");
    rig.call(&method("open-at"), &[dir, 0, TEXT, len, 0, READ | MUTATE, OUT]);
    is_error(&rig, 4, read_only);
    // Whether something can be written, preview 1 knows.
    let asked = [3, 0, PATH, len, 0, ALWAYS | FOR_WRITE, INHERITING, 0, RESULTS];
    rig.expect([step("path_open", asked).answers(NOTCAPABLE)]);
    rig.call(&method("open-at"), &[dir, 0, TEXT, len, 0, WRITE | MUTATE, OUT]);
    is_error(&rig, 4, NOT_PERMITTED);
    // That a file is no directory, too.
    let file = open(&mut rig, dir, READ, 4, FILE, FD_READ);
    rig.expect([step("path_open", [4, 0, PATH, len, 0, ALWAYS | FD_READ, INHERITING, 0, RESULTS]).answers(54)]);
    rig.call(&method("open-at"), &[file, 0, TEXT, len, 0, READ | MUTATE, OUT]);
    is_error(&rig, 4, 24);
}

#[test]
fn where_files_can_be_written_at_their_end_alone_they_are_opened_in_append_mode() {
    let (mut rig, dir) = with_grant(DIRECTORY & APPEND, APPEND);
    let len = rig.put(TEXT, "log");
    rig.expect([
        step("path_open", [3, 0, PATH, len, 1, ALWAYS | FOR_WRITE, INHERITING, 1, RESULTS]).writes(RESULTS, word(4)),
        step("fd_fdstat_get", [4, RESULTS]).writes(RESULTS, fdstat(FILE, 1, ALWAYS & APPEND | FD_WRITE, 0)),
    ]);
    rig.call(&method("open-at"), &[dir, 0, TEXT, len, 1, WRITE, OUT]);
    let file = handle(&mut rig);
    assert_eq!(flags_of(&mut rig, file), WRITE);
    // To write anywhere else, append mode would have to end.
    rig.expect([step("fd_fdstat_set_flags", [4, 0]).answers(NOTCAPABLE)]);
    rig.call(&method("write"), &[file, TEXT, 3, 0, OUT]);
    is_error(&rig, 8, NOT_PERMITTED);
    // To read, it does not matter.
    rig.expect([step("path_open", [3, 0, PATH, len, 0, ALWAYS | FD_READ, INHERITING, 0, RESULTS]).answers(NOENT)]);
    rig.call(&method("open-at"), &[dir, 0, TEXT, len, 0, READ, OUT]);
    is_error(&rig, 4, NO_ENTRY);
}

#[test]
fn in_a_list_an_open_that_is_refused_is_tried_in_append_mode() {
    let (mut rig, dir) = with_grant(LIST, EVERYTHING);
    let len = rig.put(TEXT, "log");
    let asked = |fdflags| [3, 0, PATH, len, 0, ALWAYS | FD_READ | FOR_WRITE, INHERITING, fdflags, RESULTS];
    rig.expect([
        step("path_open", asked(16)).answers(NOTCAPABLE),
        step("path_open", asked(17)).writes(RESULTS, word(5)),
        step("fd_fdstat_get", [5, RESULTS]).writes(RESULTS, fdstat(FILE, 17, FD_READ | FD_WRITE, 0)),
    ]);
    rig.call(&method("open-at"), &[dir, 0, TEXT, len, 0, READ | WRITE | 4, OUT]);
    let file = handle(&mut rig);
    rig.expect([step("fd_fdstat_set_flags", [5, 16]).answers(NOTCAPABLE)]);
    rig.call(&method("write"), &[file, TEXT, 3, 0, OUT]);
    is_error(&rig, 8, NOT_PERMITTED);
    // Not twice; and not for another error, for reading, or in a directory.
    rig.expect([step("path_open", asked(0)).answers(NOTCAPABLE), step("path_open", asked(1)).answers(NOTCAPABLE)]);
    rig.call(&method("open-at"), &[dir, 0, TEXT, len, 0, READ | WRITE, OUT]);
    is_error(&rig, 4, NOT_PERMITTED);
    rig.expect([step("path_open", asked(0)).answers(NOENT)]);
    rig.call(&method("open-at"), &[dir, 0, TEXT, len, 0, READ | WRITE, OUT]);
    is_error(&rig, 4, NO_ENTRY);
    rig.expect([step("path_open", [3, 0, PATH, len, 0, ALWAYS | FD_READ, INHERITING, 0, RESULTS]).answers(NOTCAPABLE)]);
    rig.call(&method("open-at"), &[dir, 0, TEXT, len, 0, READ, OUT]);
    is_error(&rig, 4, NOT_PERMITTED);
    let (mut rig, dir) = with_dir();
    rig.put(TEXT, "log");
    rig.expect([step("path_open", asked(0)).answers(NOTCAPABLE)]);
    rig.call(&method("open-at"), &[dir, 0, TEXT, len, 0, READ | WRITE, OUT]);
    is_error(&rig, 4, NOT_PERMITTED);
}

#[test]
fn what_is_opened_is_closed_when_its_flags_cannot_be_had() {
    let (mut rig, dir) = with_dir();
    let len = rig.put(TEXT, "x");
    rig.expect([
        step("path_open", [3, 0, PATH, len, 0, ALWAYS | FD_READ, INHERITING, 0, RESULTS]).writes(RESULTS, word(7)),
        step("fd_fdstat_get", [7, RESULTS]).answers(29),
        step("fd_close", [7]),
    ]);
    rig.call(&method("open-at"), &[dir, 0, TEXT, len, 0, READ, OUT]);
    is_error(&rig, 4, 13);
}

// ---- references ----

#[test]
fn a_descriptor_is_closed_once_with_the_last_that_refers_to_it() {
    let (mut rig, dir) = with_dir();
    let sub = open(&mut rig, dir, READ, 6, DIR, DIRECTORY);
    let one = stream_of_entries(&mut rig, sub);
    let two = stream_of_entries(&mut rig, sub);
    rig.call(&drop_of("descriptor"), &[sub]);
    rig.call(&drop_of("directory-entry-stream"), &[one]);
    rig.expect([step("fd_readdir", [6, ENTRIES, ENTRIES_LEN, 0, RESULTS]).writes(RESULTS, word(0))]);
    rig.call(READ_ENTRY, &[two, OUT]);
    rig.expect([step("fd_close", [6])]);
    rig.call(&drop_of("directory-entry-stream"), &[two]);

    // Its number in preview 1 may be given out again.
    let file = open(&mut rig, dir, READ, 6, FILE, FD_READ);
    rig.expect([step("fd_close", [6]).answers(29)]);
    rig.call(&drop_of("descriptor"), &[file]);
    rig.traps(&drop_of("descriptor"), &[file]);
}

/// The entry of a handle: kind, file, position, mode.
fn entry(rig: &Rig, handle: u64) -> (u64, u64, u64, u64) {
    let at = 0x2_1000 + 32 * handle;
    let word_at = |at| u64::from(u32::from_le_bytes(rig.own(at, 4).try_into().expect("4 bytes")));
    (
        word_at(at),
        word_at(at + 12),
        u64::from_le_bytes(rig.own(at + 16, 8).try_into().expect("8 bytes")),
        word_at(at + 24),
    )
}

#[test]
fn streams_have_the_file_of_their_descriptor_their_mode_and_their_position() {
    let (mut rig, file) = with_file();
    let (_, open_file, ..) = entry(&rig, file);
    rig.call(&method("read-via-stream"), &[file, 1 << 40, OUT]);
    let input = handle(&mut rig);
    assert_eq!(entry(&rig, input), (2, open_file, 1 << 40, 1));
    rig.call(&method("write-via-stream"), &[file, 7, OUT]);
    let output = handle(&mut rig);
    assert_eq!(entry(&rig, output), (3, open_file, 7, 1));
    rig.call(&method("append-via-stream"), &[file, OUT]);
    let output = handle(&mut rig);
    assert_eq!(entry(&rig, output), (3, open_file, 0, 2));

    // Something without a position is read and written as it comes.
    let (mut rig, dir) = with_dir();
    for file_type in [0, 2, 6] {
        let pipe = open(&mut rig, dir, READ | WRITE, 4, file_type, FD_READ | FD_WRITE);
        rig.call(&method("read-via-stream"), &[pipe, 9, OUT]);
        let input = handle(&mut rig);
        assert_eq!(entry(&rig, input).3, 0);
        rig.call(&method("write-via-stream"), &[pipe, 9, OUT]);
        let output = handle(&mut rig);
        assert_eq!(entry(&rig, output).3, 0);
        rig.call(&method("append-via-stream"), &[pipe, OUT]);
        let output = handle(&mut rig);
        assert_eq!(entry(&rig, output).3, 0);
    }
}

/// A grant that is read-only does not permit it. Otherwise it is the descriptor's fault.
#[test]
fn streams_need_the_flag_of_their_direction() {
    let streams: [(&str, &[u64]); 3] =
        [("read-via-stream", &[0]), ("write-via-stream", &[0]), ("append-via-stream", &[])];
    for (base, inheriting, refused) in
        [(DIRECTORY, EVERYTHING, BAD_DESCRIPTOR), (DIRECTORY & READ_ONLY, READ_ONLY, NOT_PERMITTED)]
    {
        let (mut rig, dir) = with_grant(base, inheriting);
        let file = open(&mut rig, dir, READ, 4, FILE, FD_READ);
        let blind = open(&mut rig, dir, WRITE, 5, FILE, FD_WRITE);
        for (name, offset) in streams {
            let expected = if name == "read-via-stream" { IS_DIRECTORY } else { BAD_DESCRIPTOR };
            rig.call(&method(name), &[&[dir][..], offset, &[OUT]].concat());
            is_error(&rig, 4, expected);
            let (bad, good, expected) =
                if name == "read-via-stream" { (blind, file, BAD_DESCRIPTOR) } else { (file, blind, refused) };
            rig.call(&method(name), &[&[bad][..], offset, &[OUT]].concat());
            is_error(&rig, 4, expected);
            rig.call(&method(name), &[&[good][..], offset, &[OUT]].concat());
            handle(&mut rig);
        }
    }
}

// ---- read and write ----

fn pread(fd: u64, len: u64, offset: u64) -> Step {
    step("fd_pread", [fd, RESULTS, 1, offset, RESULTS + 8]).sees(RESULTS, iovec(BUFFER, len))
}

fn pwrite(fd: u64, offset: u64, bytes: &[u8]) -> Step {
    step("fd_pwrite", [fd, RESULTS, 1, offset, RESULTS + 8])
        .sees(RESULTS, iovec(BUFFER, bytes.len() as u64))
        .sees(BUFFER, bytes)
        .writes(RESULTS + 8, word(bytes.len() as u64))
}

/// The result of `read`: the bytes, and whether that was the end.
fn bytes_read(rig: &Rig) -> (Vec<u8>, u8) {
    is_done(rig);
    let len = usize::try_from(rig.guest_word(OUT + 8)).expect("a length");
    assert_eq!(rig.guest(OUT + 13, 3), [FILL; 3]);
    (rig.guest(rig.guest_word(OUT + 4), len), rig.guest(OUT + 12, 1)[0])
}

#[test]
fn read_gives_what_preview_1_reads() {
    let (mut rig, file) = with_file_to_read();
    for (len, offset, asked, got, end) in [
        (5, 0, 5, &b"hello"[..], 0),
        (5, 1 << 40, 5, b"he", 0),
        (5, 3, 5, b"", 1),
        // The end was not looked for.
        (0, 3, 0, b"", 0),
        (0x1_0000, 3, 0x1_0000, b"x", 0),
        (0x1_0001, 3, 0x1_0000, b"x", 0),
        (u64::MAX, 3, 0x1_0000, b"x", 0),
        (1 << 32, 3, 0x1_0000, b"x", 0),
    ] {
        rig.expect([pread(4, asked, offset).writes(BUFFER, got).writes(RESULTS + 8, word(got.len() as u64))]);
        rig.call(&method("read"), &[file, len, offset, OUT]);
        assert_eq!(bytes_read(&rig), (got.to_vec(), end), "{len}");
    }
    let all: Vec<u8> = (0..=255).cycle().take(0x1_0000).collect();
    rig.expect([pread(4, 0x1_0000, 0).writes(BUFFER, &*all).writes(RESULTS + 8, word(0x1_0000))]);
    rig.call(&method("read"), &[file, 0x1_0000, 0, OUT]);
    assert_eq!(bytes_read(&rig), (all, 0));
}

#[test]
fn a_read_that_fails_allocates_nothing() {
    let (mut rig, file) = with_file_to_read();
    rig.realloc_answers(0xffff_fff0);
    rig.expect([pread(4, 5, u64::MAX).answers(28)]);
    rig.call(&method("read"), &[file, 5, u64::MAX, OUT]);
    is_error(&rig, 4, 12);
    assert_eq!(rig.guest(OUT + 5, 11), [FILL; 11]);
}

#[test]
fn what_realloc_answers_is_checked() {
    for wrong in [0x4_0000 - 4, 0xffff_fffe] {
        let (mut rig, file) = with_file_to_read();
        rig.realloc_answers(wrong);
        rig.expect([pread(4, 5, 0).writes(RESULTS + 8, word(5))]);
        rig.traps(&method("read"), &[file, 5, 0, OUT]);
        assert_eq!(rig.guest(OUT, 16), [FILL; 16], "nothing was written");
    }
    let mut rig = Rig::new();
    rig.expect(found(&[]));
    rig.realloc_answers(HEAP + 2);
    rig.traps(GET_DIRECTORIES, &[OUT]);
}

#[test]
fn a_host_that_reads_or_writes_more_than_it_is_asked_for_is_a_trap() {
    let (mut rig, file) = with_file();
    rig.expect([pread(4, 5, 0).writes(RESULTS + 8, word(6))]);
    rig.traps(&method("read"), &[file, 5, 0, OUT]);
    let (mut rig, file) = with_file();
    let len = rig.put(TEXT, "hello");
    rig.expect([pwrite(4, 0, b"hello").writes(RESULTS + 8, word(6))]);
    rig.traps(&method("write"), &[file, TEXT, len, 0, OUT]);
}

/// As for streams.
#[test]
fn a_refusal_to_read_or_write_says_whose_fault_it_is() {
    for (base, inheriting, refused, size) in [
        (DIRECTORY, EVERYTHING, BAD_DESCRIPTOR, INVALID),
        (DIRECTORY & READ_ONLY, READ_ONLY, NOT_PERMITTED, NOT_PERMITTED),
    ] {
        let (mut rig, dir) = with_grant(base, inheriting);
        let file = open(&mut rig, dir, READ, 4, FILE, FD_READ);
        rig.expect([pwrite(4, 0, b"").answers(NOTCAPABLE)]);
        rig.call(&method("write"), &[file, TEXT, 0, 0, OUT]);
        is_error(&rig, 8, refused);
        rig.expect([step("fd_filestat_set_size", [4, 3]).answers(NOTCAPABLE)]);
        rig.call(&method("set-size"), &[file, 3, OUT]);
        is_error(&rig, 1, size);
        // It has the flag, so this is something else.
        rig.expect([pread(4, 1, 0).answers(NOTCAPABLE)]);
        rig.call(&method("read"), &[file, 1, 0, OUT]);
        is_error(&rig, 4, NOT_PERMITTED);
    }
    let (mut rig, dir) = with_dir();
    let file = open(&mut rig, dir, WRITE, 4, FILE, FD_WRITE);
    rig.expect([pread(4, 1, 0).answers(NOTCAPABLE)]);
    rig.call(&method("read"), &[file, 1, 0, OUT]);
    is_error(&rig, 4, BAD_DESCRIPTOR);
    rig.expect([pwrite(4, 0, b"").answers(NOTCAPABLE)]);
    rig.call(&method("write"), &[file, TEXT, 0, 0, OUT]);
    is_error(&rig, 8, NOT_PERMITTED);
}

#[test]
fn a_directory_has_no_bytes() {
    let (mut rig, dir) = with_dir();
    rig.call(&method("read"), &[dir, 1, 0, OUT]);
    is_error(&rig, 4, IS_DIRECTORY);
    rig.call(&method("write"), &[dir, TEXT, 1, 0, OUT]);
    is_error(&rig, 8, BAD_DESCRIPTOR);
    rig.call(&method("set-size"), &[dir, 1, OUT]);
    is_error(&rig, 1, INVALID);
    rig.call(&method("advise"), &[dir, 0, 0, 0, OUT]);
    is_error(&rig, 1, BAD_DESCRIPTOR);
}

fn written(rig: &Rig) -> u64 {
    is_done(rig);
    rig.guest_long(OUT + 8)
}

#[test]
fn write_writes_all_in_parts() {
    let (mut rig, file) = with_file();
    let all: Vec<u8> = (0..=250).cycle().take(0x2_0003).collect();
    rig.set_guest(TEXT, &all);
    rig.expect([
        pwrite(4, 10, &all[..0x1_0000]),
        pwrite(4, 0x1_000a, &all[0x1_0000..0x2_0000]),
        pwrite(4, 0x2_000a, &all[0x2_0000..]),
    ]);
    rig.call(&method("write"), &[file, TEXT, 0x2_0003, 10, OUT]);
    assert_eq!(written(&rig), 0x2_0003);
    // Exactly so many parts, and nothing at all.
    rig.expect([pwrite(4, 0, &all[..0x1_0000])]);
    rig.call(&method("write"), &[file, TEXT, 0x1_0000, 0, OUT]);
    assert_eq!(written(&rig), 0x1_0000);
    rig.expect([pwrite(4, 5, b"")]);
    rig.call(&method("write"), &[file, TEXT, 0, 5, OUT]);
    assert_eq!(written(&rig), 0);
}

#[test]
fn a_write_ends_where_preview_1_writes_less() {
    let (mut rig, file) = with_file();
    let all = vec![7; 0x1_8000];
    rig.set_guest(TEXT, &all);
    rig.expect([pwrite(4, 0, &all[..0x1_0000]).writes(RESULTS + 8, word(0xffff))]);
    rig.call(&method("write"), &[file, TEXT, 0x1_8000, 0, OUT]);
    assert_eq!(written(&rig), 0xffff);
    // An error after something was written is not lost: the next write meets it again.
    rig.expect([pwrite(4, 0, &all[..0x1_0000]), pwrite(4, 0x1_0000, &all[0x1_0000..]).answers(51)]);
    rig.call(&method("write"), &[file, TEXT, 0x1_8000, 0, OUT]);
    assert_eq!(written(&rig), 0x1_0000);
    rig.expect([pwrite(4, 0x1_0000, &all[0x1_0000..]).answers(51)]);
    rig.call(&method("write"), &[file, TEXT, 0x8000, 0x1_0000, OUT]);
    is_error(&rig, 8, 23);
    // A part of which nothing is written.
    rig.expect([pwrite(4, 0, b"\x07").writes(RESULTS + 8, word(0))]);
    rig.call(&method("write"), &[file, TEXT, 1, 0, OUT]);
    assert_eq!(written(&rig), 0);
}

#[test]
fn bytes_to_write_must_lie_in_memory() {
    for (ptr, len) in [(0x3_fffc, 5), (0xffff_ffff, 1), (0xffff_ffff, 0xffff_ffff), (0x4_0001, 0), (TEXT, 0xffff_0000)]
    {
        let (mut rig, file) = with_file();
        rig.traps(&method("write"), &[file, ptr, len, 0, OUT]);
    }
    let (mut rig, file) = with_file();
    rig.expect([pwrite(4, 0, &[FILL; 4])]);
    rig.call(&method("write"), &[file, 0x3_fffc, 4, 0, OUT]);
    assert_eq!(written(&rig), 4);
}

/// Linux appends what is written at an offset, too, as long as the descriptor is in append mode.
#[test]
fn a_write_at_an_offset_ends_append_mode() {
    let (mut rig, dir) = with_dir();
    let len = rig.put(TEXT, "x");
    rig.expect([
        step("path_open", [3, 0, PATH, len, 0, ALWAYS | FOR_WRITE, INHERITING, 2, RESULTS]).writes(RESULTS, word(4)),
        step("fd_fdstat_get", [4, RESULTS]).writes(RESULTS, fdstat(FILE, 3, FD_WRITE, 0)),
    ]);
    rig.call(&method("open-at"), &[dir, 0, TEXT, len, 0, WRITE | 8, OUT]);
    let file = handle(&mut rig);
    rig.expect([step("fd_fdstat_set_flags", [4, 2]), pwrite(4, 0, b"x")]);
    rig.call(&method("write"), &[file, TEXT, 1, 0, OUT]);
    assert_eq!(written(&rig), 1);
    rig.expect([pwrite(4, 0, b"x")]);
    rig.call(&method("write"), &[file, TEXT, 1, 0, OUT]);
    assert_eq!(written(&rig), 1);
}

/// A stream goes on when its descriptor is dropped. The descriptor of preview 1 is closed once, with the last stream.
#[test]
fn streams_keep_the_file_of_a_dropped_descriptor_open() {
    const BLOCKING_READ: &str = "wasi:io/streams@0.2#[method]input-stream.blocking-read";
    const BLOCKING_WRITE: &str = "wasi:io/streams@0.2#[method]output-stream.blocking-write-and-flush";
    let (mut rig, file) = with_file();
    rig.call(&method("read-via-stream"), &[file, 3, OUT]);
    let input = handle(&mut rig);
    rig.call(&method("write-via-stream"), &[file, 9, OUT]);
    let output = handle(&mut rig);
    rig.call(&drop_of("descriptor"), &[file]);
    let len = rig.put(TEXT, "new");
    rig.expect([pwrite(4, 9, b"new")]);
    rig.call(BLOCKING_WRITE, &[output, TEXT, len, OUT]);
    is_done(&rig);
    rig.call("wasi:io/streams@0.2#[resource-drop]output-stream", &[output]);
    rig.expect([pread(4, 5, 3).writes(BUFFER, "ab").writes(RESULTS + 8, word(2))]);
    rig.call(BLOCKING_READ, &[input, 5, OUT]);
    is_done(&rig);
    assert_eq!(rig.guest(rig.guest_word(OUT + 4), 2), b"ab");
    rig.expect([pread(4, 5, 5).writes(RESULTS + 8, word(0))]);
    rig.call(BLOCKING_READ, &[input, 5, OUT]);
    assert_eq!((rig.guest(OUT, 1), rig.guest(OUT + 4, 1)), (vec![1], vec![1]), "closed");
    rig.expect([step("fd_close", [4])]);
    rig.call("wasi:io/streams@0.2#[resource-drop]input-stream", &[input]);
}

/// Streams at a position, streams at the end and `write` share a descriptor of preview 1, of which append mode is a state.
#[test]
fn append_mode_is_switched_when_the_next_write_needs_it() {
    const BLOCKING_WRITE: &str = "wasi:io/streams@0.2#[method]output-stream.blocking-write-and-flush";
    let (mut rig, file) = with_file();
    rig.call(&method("append-via-stream"), &[file, OUT]);
    let end = handle(&mut rig);
    rig.call(&method("write-via-stream"), &[file, 0, OUT]);
    let start = handle(&mut rig);
    let len = rig.put(TEXT, "x");
    let append = || {
        step("fd_write", [4, RESULTS, 1, RESULTS + 8])
            .sees(RESULTS, iovec(BUFFER, 1))
            .sees(BUFFER, "x")
            .writes(RESULTS + 8, word(1))
    };
    let switch = |on| step("fd_fdstat_set_flags", [4, on]);
    let mut stream = |stream, steps: Vec<Step>| {
        rig.expect(steps);
        rig.call(BLOCKING_WRITE, &[stream, TEXT, len, OUT]);
        is_done(&rig);
    };
    stream(start, vec![pwrite(4, 0, b"x")]);
    stream(end, vec![switch(1), append()]);
    stream(end, vec![append()]);
    stream(start, vec![switch(0), pwrite(4, 1, b"x")]);
    stream(end, vec![switch(1), append()]);
    rig.expect([switch(0), pwrite(4, 7, b"x")]);
    rig.call(&method("write"), &[file, TEXT, 1, 7, OUT]);
    assert_eq!(written(&rig), 1);
    // To read does not matter.
    rig.expect([switch(1), append()]);
    rig.call(BLOCKING_WRITE, &[end, TEXT, len, OUT]);
    rig.expect([pread(4, 1, 0).writes(RESULTS + 8, word(1))]);
    rig.call(&method("read"), &[file, 1, 0, OUT]);
    is_done(&rig);
}

// ---- the other functions of descriptors ----

#[test]
fn advise_and_synchronization_are_passed_on() {
    let (mut rig, file) = with_file_to_read();
    for advice in 0..6 {
        rig.expect([step("fd_advise", [4, 1 << 33, u64::MAX, advice])]);
        rig.call(&method("advise"), &[file, 1 << 33, u64::MAX, advice, OUT]);
        assert_eq!(rig.guest(OUT, 2), [0, FILL]);
    }
    rig.expect([step("fd_sync", [4])]);
    rig.call(&method("sync"), &[file, OUT]);
    is_done(&rig);
    rig.expect([step("fd_datasync", [4]).answers(29)]);
    rig.call(&method("sync-data"), &[file, OUT]);
    is_error(&rig, 1, 13);
    rig.expect([step("fd_filestat_set_size", [4, 1 << 50]).answers(22)]);
    rig.call(&method("set-size"), &[file, 1 << 50, OUT]);
    is_error(&rig, 1, 8);
    for advice in [6, 0xffff_ffff] {
        let (mut rig, file) = with_file_to_read();
        rig.traps(&method("advise"), &[file, 0, 0, advice, OUT]);
    }
}

#[test]
fn times_are_set_as_they_are_given() {
    const SECOND: u64 = 1_000_000_000;
    let (mut rig, file) = with_file();
    let most = u64::MAX / SECOND;
    // Case, seconds, nanoseconds; flags if it is the first, and the time. What the other cases have is not looked at.
    let cases = [
        ((0, 9, 9), 0, 0),
        ((1, u64::MAX, 9), 2, 0),
        ((2, 0, 0), 1, 0),
        ((2, 3, 999_999_999), 1, 3 * SECOND + 999_999_999),
        ((2, 3, 0xffff_ffff), 1, 3 * SECOND + 0xffff_ffff),
        ((2, most, 709_551_615), 1, u64::MAX),
    ];
    for (access, access_flags, access_time) in cases {
        for (change, change_flags, change_time) in cases {
            let times = [access.0, access.1, access.2, change.0, change.1, change.2];
            let expected = [access_time, change_time, access_flags | change_flags << 2];
            rig.expect([step("fd_filestat_set_times", [&[4][..], &expected].concat())]);
            rig.call(&method("set-times"), &[&[file][..], &times, &[OUT]].concat());
            is_done(&rig);
            let len = rig.put(TEXT, "x");
            rig.expect([step("path_filestat_set_times", [&[4, 1, PATH, len][..], &expected].concat()).answers(NOENT)]);
            rig.call(&method("set-times-at"), &[&[file, 1, TEXT, len][..], &times, &[OUT]].concat());
            is_error(&rig, 1, NO_ENTRY);
        }
    }
    // 64 bits are not enough.
    for late in [[2, most, 709_551_616], [2, most + 1, 0], [2, u64::MAX, 0xffff_ffff]] {
        for times in [[&late[..], &[0, 0, 0]].concat(), [&[0, 0, 0], &late[..]].concat()] {
            rig.call(&method("set-times"), &[&[file][..], &times, &[OUT]].concat());
            is_error(&rig, 1, 30);
            rig.call(&method("set-times-at"), &[&[file, 1, TEXT, 1][..], &times, &[OUT]].concat());
            is_error(&rig, 1, 30);
        }
    }
    for wrong in [[3, 0, 0, 0, 0, 0], [0, 0, 0, 3, 0, 0]] {
        let (mut rig, file) = with_file();
        rig.traps(&method("set-times"), &[&[file][..], &wrong, &[OUT]].concat());
        let (mut rig, file) = with_file();
        rig.traps(&method("set-times-at"), &[&[file, 0, TEXT, 1][..], &wrong, &[OUT]].concat());
    }
}

/// `$filestat`: device, inode, type, links, size, times.
fn filestat(words: [u64; 8]) -> Vec<u8> {
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}

#[test]
fn attributes_are_those_of_preview_1_without_device_and_inode() {
    let (mut rig, file) = with_file();
    let stat = filestat([0x1111, 0x2222, FILE, 3, 5 << 32, 7_000_000_008, 0, u64::MAX]);
    let expected = |rig: &Rig| {
        let stat = rig.guest(OUT, 112);
        assert_eq!((stat[0], stat[8]), (0, 6));
        assert_eq!((rig.guest_long(OUT + 16), rig.guest_long(OUT + 24)), (3, 5 << 32));
        assert_eq!((stat[32], rig.guest_long(OUT + 40), rig.guest_word(OUT + 48)), (1, 7, 8));
        assert_eq!(stat[56], 0, "there is no such time");
        assert_eq!((stat[80], rig.guest_long(OUT + 88), rig.guest_word(OUT + 96)), (1, 18_446_744_073, 709_551_615));
        assert_eq!(stat[104..], [FILL; 8]);
        for number in [0x1111_u64, 0x2222] {
            assert!(!stat.windows(2).any(|pair| pair == &number.to_le_bytes()[..2]));
        }
    };
    rig.expect([step("fd_filestat_get", [4, RESULTS]).writes(RESULTS, &*stat)]);
    rig.call(&method("stat"), &[file, OUT]);
    expected(&rig);
    let len = rig.put(TEXT, "a/b");
    rig.set_guest(OUT, &[FILL; 104]);
    rig.expect([step("path_filestat_get", [4, 1, PATH, len, RESULTS]).sees(PATH, "a/b").writes(RESULTS, stat)]);
    rig.call(&method("stat-at"), &[file, 0xffff_ffff, TEXT, len, OUT]);
    expected(&rig);

    rig.set_guest(OUT, &[FILL; 104]);
    rig.expect([step("path_filestat_get", [4, 0, PATH, len, RESULTS]).answers(NOENT)]);
    rig.call(&method("stat-at"), &[file, 0xffff_fffe, TEXT, len, OUT]);
    is_error(&rig, 8, NO_ENTRY);
    assert_eq!(rig.guest(OUT + 9, 95), [FILL; 95]);
    rig.expect([step("fd_filestat_get", [4, RESULTS]).answers(29)]);
    rig.call(&method("stat"), &[file, OUT]);
    is_error(&rig, 8, 13);
}

#[test]
fn the_same_object_has_the_same_device_and_inode() {
    let (mut rig, dir) = with_dir();
    let one = open(&mut rig, dir, READ, 4, FILE, FD_READ);
    let two = open(&mut rig, dir, READ, 5, FILE, FD_READ);
    let get = |fd, device, inode| {
        step("fd_filestat_get", [fd, RESULTS]).writes(RESULTS, filestat([device, inode, 0, 0, 0, 0, 0, 0]))
    };
    for (device, inode, same) in [(1, 2, 1), (1, 3, 0), (2, 2, 0), (1 << 32 | 1, 2, 0), (1, 1 << 32 | 2, 0), (2, 1, 0)]
    {
        rig.expect([get(4, 1, 2), get(5, device, inode)]);
        assert_eq!(rig.get(&method("is-same-object"), &[one, two]), same, "{device:x} {inode:x}");
    }
    assert_eq!(rig.get(&method("is-same-object"), &[one, one]), 1);
    rig.expect([get(4, 1, 2), step("fd_filestat_get", [5, RESULTS]).answers(29)]);
    rig.traps(&method("is-same-object"), &[one, two]);
}

/// SipHash-2-4 with 128 bits of result, of whole words.
fn sip_hash(key: [u64; 2], words: &[u64]) -> [u64; 2] {
    fn round(v: &mut [u64; 4]) {
        v[0] = v[0].wrapping_add(v[1]);
        v[1] = v[1].rotate_left(13) ^ v[0];
        v[0] = v[0].rotate_left(32);
        v[2] = v[2].wrapping_add(v[3]);
        v[3] = v[3].rotate_left(16) ^ v[2];
        v[0] = v[0].wrapping_add(v[3]);
        v[3] = v[3].rotate_left(21) ^ v[0];
        v[2] = v[2].wrapping_add(v[1]);
        v[1] = v[1].rotate_left(17) ^ v[2];
        v[2] = v[2].rotate_left(32);
    }
    let text = *b"somepseudorandomlygeneratedbytes";
    let mut v = [0, 1, 2, 3]
        .map(|index: usize| u64::from_be_bytes(*text[8 * index..].first_chunk().expect("8 bytes")) ^ key[index % 2]);
    v[1] ^= 0xee;
    let length = words.len() as u64 * 8;
    for word in words.iter().copied().chain([length << 56]) {
        v[3] ^= word;
        round(&mut v);
        round(&mut v);
        v[0] ^= word;
    }
    v[2] ^= 0xee;
    (0..4).for_each(|_| round(&mut v));
    let lower = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    (0..4).for_each(|_| round(&mut v));
    [lower, v[0] ^ v[1] ^ v[2] ^ v[3]]
}

#[test]
fn the_metadata_hash_is_a_keyed_hash_of_device_and_inode() {
    let key: Vec<u8> = (0..16).collect();
    let numbers = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
    // The first vector of the authors of SipHash: nothing, with this key.
    let nothing = [0xe6a8_25ba_047f_81a3, 0x9302_55c7_1472_f66d];
    assert_eq!(sip_hash(numbers, &[]), nothing);

    let (mut rig, file) = with_file();
    let stat = |device, inode, size| filestat([device, inode, FILE, 1, size, 1, 2, 3]);
    rig.expect([
        step("fd_filestat_get", [4, RESULTS]).writes(RESULTS, stat(7, 9, 0)),
        step("random_get", [0x58, 16]).writes(0x58, key),
    ]);
    rig.call(&method("metadata-hash"), &[file, OUT]);
    is_done(&rig);
    assert_eq!([rig.guest_long(OUT + 8), rig.guest_long(OUT + 16)], sip_hash(numbers, &[7, 9]));
    assert_eq!(rig.guest(OUT + 24, 4), [FILL; 4]);
    // The key stays. Size and times do not count: libraries take the hash for the number of the inode.
    for (device, inode) in [(7, 9), (9, 7), (0, 0), (u64::MAX, 1)] {
        let len = rig.put(TEXT, "x");
        rig.expect([step("path_filestat_get", [4, 0, PATH, len, RESULTS]).writes(RESULTS, stat(device, inode, 77))]);
        rig.call(&method("metadata-hash-at"), &[file, 0, TEXT, len, OUT]);
        is_done(&rig);
        assert_eq!([rig.guest_long(OUT + 8), rig.guest_long(OUT + 16)], sip_hash(numbers, &[device, inode]));
    }
    rig.expect([step("fd_filestat_get", [4, RESULTS]).answers(29)]);
    rig.call(&method("metadata-hash"), &[file, OUT]);
    is_error(&rig, 8, 13);

    let (mut rig, file) = with_file();
    rig.expect([step("fd_filestat_get", [4, RESULTS]), step("random_get", [0x58, 16]).answers(29)]);
    rig.traps(&method("metadata-hash"), &[file, OUT]);
}

// ---- paths ----

#[test]
fn names_are_made_and_removed() {
    for (name, function) in [
        ("create-directory-at", "path_create_directory"),
        ("remove-directory-at", "path_remove_directory"),
        ("unlink-file-at", "path_unlink_file"),
    ] {
        let (mut rig, dir) = with_dir();
        let len = rig.put(TEXT, "ä/b");
        rig.expect([step(function, [3, PATH, len]).sees(PATH, "ä/b")]);
        rig.call(&method(name), &[dir, TEXT, len, OUT]);
        assert_eq!(rig.guest(OUT, 2), [0, FILL]);
        rig.expect([step(function, [3, PATH, 0]).answers(NOENT)]);
        rig.call(&method(name), &[dir, TEXT, 0, OUT]);
        assert_eq!(rig.guest(OUT, 3), [1, 20, FILL]);
    }
}

#[test]
fn functions_with_two_paths_pass_both() {
    let (mut rig, dir) = with_dir();
    let to = open(&mut rig, dir, READ, 4, DIR, DIRECTORY);
    let (len, len2) = (rig.put(TEXT, "from"), rig.put(TEXT2, "to/that"));
    let both = |step: Step| step.sees(PATH, "from").sees(PATH2, "to/that");
    for (path_flags, follow) in [(0, 0), (1, 1), (0xffff_fffe, 0)] {
        rig.expect([both(step("path_link", [3, follow, PATH, len, 4, PATH2, len2]))]);
        rig.call(&method("link-at"), &[dir, path_flags, TEXT, len, to, TEXT2, len2, OUT]);
        is_done(&rig);
    }
    rig.expect([both(step("path_rename", [3, PATH, len, 4, PATH2, len2])).answers(75)]);
    rig.call(&method("rename-at"), &[dir, TEXT, len, to, TEXT2, len2, OUT]);
    is_error(&rig, 1, 36);
    rig.expect([both(step("path_symlink", [PATH, len, 3, PATH2, len2]))]);
    rig.call(&method("symlink-at"), &[dir, TEXT, len, TEXT2, len2, OUT]);
    is_done(&rig);
}

#[test]
fn paths_of_the_greatest_length_do_not_overlap() {
    let (mut rig, dir) = with_dir();
    let (one, two) = ("a".repeat(32752), "b".repeat(32752));
    rig.put(TEXT, &one);
    rig.put(0x1_0000, &two);
    rig.expect([step("path_rename", [3, PATH, 32752, 3, PATH2, 32752]).sees(PATH, &*one).sees(PATH2, two)]);
    rig.call(&method("rename-at"), &[dir, TEXT, 32752, dir, 0x1_0000, 32752, OUT]);
    is_done(&rig);
}

/// Calls of all functions with a path, with this path: each alone, and as first and as second of two.
fn all_with_path(dir: u64, ptr: u64, len: u64) -> Vec<(String, Vec<u64>, u64)> {
    let (good, path) = ([TEXT2, 1], [ptr, len]);
    let one = |name: &str, before: &[u64], after: &[u64], offset| {
        (method(name), [&[dir][..], before, &path, after, &[OUT]].concat(), offset)
    };
    let two = |name: &str, before: &[u64], between: &[u64]| {
        let call = |first: [u64; 2], second: [u64; 2]| {
            (method(name), [&[dir][..], before, &first, between, &second, &[OUT]].concat(), 1)
        };
        [call(path, good), call(good, path)]
    };
    let mut calls = vec![
        one("create-directory-at", &[], &[], 1),
        one("remove-directory-at", &[], &[], 1),
        one("unlink-file-at", &[], &[], 1),
        one("readlink-at", &[], &[], 4),
        one("stat-at", &[0], &[], 8),
        one("metadata-hash-at", &[0], &[], 8),
        one("set-times-at", &[0], &[0, 0, 0, 0, 0, 0], 1),
        one("open-at", &[0], &[0, READ], 4),
    ];
    calls.extend(two("link-at", &[0], &[dir]));
    calls.extend(two("rename-at", &[], &[dir]));
    calls.extend(two("symlink-at", &[], &[]));
    calls
}

#[test]
fn a_path_that_is_too_long_is_an_error() {
    let (mut rig, dir) = with_dir();
    rig.put(TEXT2, "x");
    rig.set_guest(0x1_0000, &[b'a'; 0x9000]);
    for len in [32753, 0x9000, 0x2_ffff] {
        for (name, arguments, offset) in all_with_path(dir, 0x1_0001, len) {
            rig.call(&name, &arguments);
            is_error(&rig, offset, NAME_TOO_LONG);
            rig.set_guest(OUT, &[FILL; 16]);
        }
    }
}

#[test]
fn a_path_that_is_not_utf_8_traps() {
    let wrong: [&[u8]; 10] = [
        b"a\x80",
        b"\xc3",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xed\xa0\x80",
        b"\xf0\x80\x80\x80",
        b"\xf4\x90\x80\x80",
        b"\xff",
        b"aaaaaaa\xc3a",
        b"aaaaaaaa\xe2\x82",
    ];
    for bytes in wrong {
        for index in 0..all_with_path(0, 0, 0).len() {
            let (mut rig, dir) = with_dir();
            rig.put(TEXT2, "x");
            let len = rig.put(TEXT, bytes);
            let (name, arguments, _) = all_with_path(dir, TEXT, len).swap_remove(index);
            rig.traps(&name, &arguments);
        }
    }
}

#[test]
fn a_path_that_is_not_in_memory_traps() {
    for (ptr, len) in [(0x3_ffff, 2), (0xffff_ffff, 1), (0x4_0001, 0), (0x3_0000, 0x1_0001), (1, 0xffff_ffff)] {
        for index in 0..all_with_path(0, 0, 0).len() {
            let (mut rig, dir) = with_dir();
            rig.put(TEXT2, "x");
            let (name, arguments, _) = all_with_path(dir, ptr, len).swap_remove(index);
            let trap = if len > 32752 { TrapCode::UnreachableCodeReached } else { TrapCode::MemoryOutOfBounds };
            rig.traps_by(&name, &arguments, trap);
        }
    }
}

fn readlink(len: u64) -> Step {
    step("path_readlink", [3, PATH, len, BUFFER, 0x1_0000, RESULTS])
}

#[test]
fn link_targets_are_read_unless_they_are_absolute_or_no_string() {
    let (mut rig, dir) = with_dir();
    let len = rig.put(TEXT, "link");
    let max = "a".repeat(0xffff);
    for target in ["", "../a/ü", &max] {
        rig.expect([readlink(len)
            .sees(PATH, "link")
            .writes(BUFFER, target)
            .writes(RESULTS, word(target.len() as u64))]);
        rig.call(&method("readlink-at"), &[dir, TEXT, len, OUT]);
        is_done(&rig);
        assert_eq!(rig.guest_word(OUT + 8), target.len() as u64);
        assert_eq!(rig.guest(rig.guest_word(OUT + 4), target.len()), target.as_bytes());
    }
    for (target, code) in
        [(&b"/"[..], NOT_PERMITTED), (b"/a", NOT_PERMITTED), (b"a\xff", 9), (&[b'a'; 0x1_0000], NAME_TOO_LONG)]
    {
        rig.expect([readlink(len).writes(BUFFER, target).writes(RESULTS, word(target.len() as u64))]);
        rig.call(&method("readlink-at"), &[dir, TEXT, len, OUT]);
        is_error(&rig, 4, code);
    }
    rig.expect([readlink(len).answers(28)]);
    rig.call(&method("readlink-at"), &[dir, TEXT, len, OUT]);
    is_error(&rig, 4, 12);
}

// ---- errors ----

/// Error-codes of wasi:filesystem in their order, with the numbers of preview 1 that are each.
const CODES: [(&str, &[u16]); 37] = [
    ("access", &[2]),
    ("would-block", &[6]),
    ("already", &[7]),
    ("bad-descriptor", &[8]),
    ("busy", &[10]),
    ("deadlock", &[16]),
    ("quota", &[19]),
    ("exist", &[20]),
    ("file-too-large", &[22]),
    ("illegal-byte-sequence", &[25]),
    ("in-progress", &[26]),
    ("interrupted", &[27]),
    ("invalid", &[1, 28]),
    ("io", &[29]),
    ("is-directory", &[31]),
    ("loop", &[32]),
    ("too-many-links", &[34]),
    ("message-size", &[35]),
    ("name-too-long", &[37]),
    ("no-device", &[43]),
    ("no-entry", &[44]),
    ("no-lock", &[46]),
    ("insufficient-memory", &[48]),
    ("insufficient-space", &[51]),
    ("not-directory", &[54]),
    ("not-empty", &[55]),
    ("not-recoverable", &[56]),
    ("unsupported", &[52, 58]),
    ("no-tty", &[59]),
    ("no-such-device", &[60]),
    ("overflow", &[61]),
    ("not-permitted", &[63, 76]),
    ("pipe", &[64]),
    ("read-only", &[69]),
    ("invalid-seek", &[70]),
    ("text-file-busy", &[74]),
    ("cross-device", &[75]),
];

fn code_of(errno: u16) -> u64 {
    let found = CODES.iter().position(|(_, numbers)| numbers.contains(&errno));
    found.unwrap_or_else(|| CODES.iter().position(|(name, _)| *name == "io").expect("a code")) as u64
}

#[test]
fn every_errno_is_an_error_code() {
    let (mut rig, dir) = with_dir();
    let len = rig.put(TEXT, "x");
    for errno in (1..=300).chain([u16::MAX]) {
        rig.expect([step("path_unlink_file", [3, PATH, len]).answers(errno)]);
        rig.call(&method("unlink-file-at"), &[dir, TEXT, len, OUT]);
        is_error(&rig, 1, code_of(errno));
    }
}

#[test]
fn the_error_of_a_stream_has_the_code_of_its_errno() {
    let mut rig = Rig::new();
    for errno in (1..=77).chain([u16::MAX]) {
        // A handle of kind 5, as a stream makes it.
        let handle = 40;
        rig.set_own(0x2_1000 + 32 * handle, &word(5));
        rig.set_own(0x2_1000 + 32 * handle + 24, &word(errno.into()));
        rig.call("wasi:filesystem/types@0.2#filesystem-error-code", &[handle, OUT]);
        assert_eq!(rig.guest(OUT, 3), [1, u8::try_from(code_of(errno)).expect("8 bits"), FILL]);
    }
}

// ---- directories ----

const READ_ENTRY: &str = "wasi:filesystem/types@0.2#[method]directory-entry-stream.read-directory-entry";
const ENTRIES: u64 = 0x400;
const ENTRIES_LEN: u64 = 0xc00;

fn stream_of_entries(rig: &mut Rig, dir: u64) -> u64 {
    rig.call(&method("read-directory"), &[dir, OUT]);
    handle(rig)
}

/// The listing of a directory from a cookie on, as much as fits. A cookie is the number of the next entry.
fn listing(fd: u64, names: &[(&[u8], u8)], cookie: u64) -> Step {
    let mut bytes = Vec::new();
    for ((name, file_type), next) in names.iter().zip(1_u64..).skip(usize::try_from(cookie).expect("a number")) {
        let len = u32::try_from(name.len()).expect("a length");
        bytes.extend([next.to_le_bytes(), (next + 1000).to_le_bytes()].concat());
        bytes.extend([len.to_le_bytes(), u32::from(*file_type).to_le_bytes()].concat());
        bytes.extend_from_slice(name);
    }
    bytes.truncate(usize::try_from(ENTRIES_LEN).expect("a length"));
    step("fd_readdir", [fd, ENTRIES, ENTRIES_LEN, cookie, RESULTS])
        .writes(ENTRIES, &*bytes)
        .writes(RESULTS, word(bytes.len() as u64))
}

/// The next entry: its type and name.
fn next_entry(rig: &mut Rig, stream: u64) -> Option<(u8, Vec<u8>)> {
    rig.set_guest(OUT, &[FILL; 24]);
    rig.call(READ_ENTRY, &[stream, OUT]);
    is_done(rig);
    let len = usize::try_from(rig.guest_word(OUT + 16)).expect("a length");
    match rig.guest(OUT + 4, 1)[0] {
        0 => None,
        some => {
            assert_eq!((some, rig.guest(OUT + 20, 4)), (1, vec![FILL; 4]));
            Some((rig.guest(OUT + 8, 1)[0], rig.guest(rig.guest_word(OUT + 12), len)))
        }
    }
}

#[test]
fn entries_come_one_by_one_without_the_dots() {
    let (mut rig, dir) = with_dir();
    let stream = stream_of_entries(&mut rig, dir);
    let names: [(&[u8], u8); 7] =
        [(b".", 3), (b"..", 3), (b"file", 4), (b".hidden", 3), (b"...", 7), (b"\xc3\xa9", 0), (b"x.", 6)];
    rig.expect([listing(3, &names, 0)]);
    for (expected_type, name) in [(6, &b"file"[..]), (3, b".hidden"), (5, b"..."), (0, b"\xc3\xa9"), (7, b"x.")] {
        assert_eq!(next_entry(&mut rig, stream), Some((expected_type, name.to_vec())));
    }
    for _ in 0..3 {
        assert_eq!(next_entry(&mut rig, stream), None);
    }
}

#[test]
fn read_directory_is_for_directories() {
    let (mut rig, file) = with_file();
    rig.call(&method("read-directory"), &[file, OUT]);
    is_error(&rig, 4, 24);
}

/// Buffers that end in the middle of an entry, in the middle of its head, and exactly after one.
#[test]
fn entries_that_a_buffer_cuts_are_read_again() {
    for first in 1..=60 {
        let (mut rig, dir) = with_dir();
        let stream = stream_of_entries(&mut rig, dir);
        let names: Vec<Vec<u8>> = (0..100)
            .map(|index: u8| vec![b'a' + index % 26; if index == 0 { first } else { 20 + usize::from(index) % 7 }])
            .collect();
        let entries: Vec<(&[u8], u8)> = names.iter().map(|name| (&**name, 4)).collect();
        let (mut used, mut start) = (0, 0);
        let mut fills = Vec::new();
        for (index, name) in names.iter().enumerate() {
            used += 24 + name.len();
            if used > 0xc00 {
                fills.push(start);
                start = index;
                used = 24 + name.len();
            }
        }
        fills.push(start);
        assert!(fills.len() >= 2);
        for (index, name) in names.iter().enumerate() {
            if fills.contains(&index) {
                rig.expect([listing(3, &entries, index as u64)]);
            }
            assert_eq!(next_entry(&mut rig, stream), Some((6, name.clone())), "{first} {index}");
        }
        assert_eq!(next_entry(&mut rig, stream), None);
    }
}

/// The buffer is full to the last byte, so whether there is more has to be asked.
#[test]
fn a_buffer_that_is_exactly_full_is_not_the_end() {
    let (mut rig, dir) = with_dir();
    let stream = stream_of_entries(&mut rig, dir);
    let names = vec![[b'n'; 24]; 64];
    let entries: Vec<(&[u8], u8)> = names.iter().map(|name| (&name[..], 4)).collect();
    rig.expect([listing(3, &entries, 0)]);
    for _ in 0..64 {
        assert_eq!(next_entry(&mut rig, stream), Some((6, vec![b'n'; 24])));
    }
    for _ in 0..2 {
        rig.expect([listing(3, &entries, 64)]);
        assert_eq!(next_entry(&mut rig, stream), None);
        // Nothing is kept of an empty buffer but that it is the end.
        assert_eq!(next_entry(&mut rig, stream), None);
        let other = stream_of_entries(&mut rig, dir);
        rig.expect([listing(3, &[], 0)]);
        assert_eq!(next_entry(&mut rig, other), None);
        rig.call(&drop_of("directory-entry-stream"), &[other]);
    }
}

#[test]
fn streams_do_not_interfere() {
    let (mut rig, dir) = with_dir();
    let sub = open(&mut rig, dir, READ, 4, DIR, DIRECTORY);
    let (one, two, three) =
        (stream_of_entries(&mut rig, dir), stream_of_entries(&mut rig, dir), stream_of_entries(&mut rig, sub));
    let names: [(&[u8], u8); 3] = [(b"a", 4), (b"b", 4), (b"c", 4)];
    let others: [(&[u8], u8); 2] = [(b"x", 3), (b"y", 3)];
    rig.expect([listing(3, &names, 0)]);
    assert_eq!(next_entry(&mut rig, one), Some((6, b"a".to_vec())));
    rig.expect([listing(3, &names, 0)]);
    assert_eq!(next_entry(&mut rig, two), Some((6, b"a".to_vec())));
    rig.expect([listing(4, &others, 0)]);
    assert_eq!(next_entry(&mut rig, three), Some((3, b"x".to_vec())));
    rig.expect([listing(3, &names, 1)]);
    assert_eq!(next_entry(&mut rig, one), Some((6, b"b".to_vec())));
    assert_eq!(next_entry(&mut rig, one), Some((6, b"c".to_vec())));
    // A new stream with the number of a dropped one begins at the beginning.
    rig.call(&drop_of("directory-entry-stream"), &[one]);
    let again = stream_of_entries(&mut rig, dir);
    assert_eq!(again, one);
    rig.expect([listing(3, &names, 0)]);
    assert_eq!(next_entry(&mut rig, again), Some((6, b"a".to_vec())));
}

#[test]
fn an_entry_whose_name_is_no_string_is_an_error_and_the_next_one_follows() {
    let (mut rig, dir) = with_dir();
    let stream = stream_of_entries(&mut rig, dir);
    rig.expect([listing(3, &[(b"a", 4), (b"b\xff", 4), (b"c", 4)], 0)]);
    assert_eq!(next_entry(&mut rig, stream), Some((6, b"a".to_vec())));
    rig.call(READ_ENTRY, &[stream, OUT]);
    is_error(&rig, 4, 9);
    assert_eq!(next_entry(&mut rig, stream), Some((6, b"c".to_vec())));
    assert_eq!(next_entry(&mut rig, stream), None);
}

#[test]
fn an_entry_that_no_buffer_holds_is_an_error_and_the_next_one_follows() {
    let (mut rig, dir) = with_dir();
    let stream = stream_of_entries(&mut rig, dir);
    let (fits, long) = ([b'f'; 0xc00 - 24], [b'l'; 0xc00 - 23]);
    let names: [(&[u8], u8); 4] = [(b"a", 4), (&fits, 4), (&long, 4), (b"c", 4)];
    rig.expect([listing(3, &names, 0)]);
    assert_eq!(next_entry(&mut rig, stream), Some((6, b"a".to_vec())));
    rig.expect([listing(3, &names, 1)]);
    assert_eq!(next_entry(&mut rig, stream), Some((6, fits.to_vec())));
    rig.expect([listing(3, &names, 2)]);
    rig.call(READ_ENTRY, &[stream, OUT]);
    is_error(&rig, 4, NAME_TOO_LONG);
    rig.expect([listing(3, &names, 3)]);
    assert_eq!(next_entry(&mut rig, stream), Some((6, b"c".to_vec())));
    assert_eq!(next_entry(&mut rig, stream), None);
}

#[test]
fn an_error_of_a_listing_does_not_lose_entries() {
    let (mut rig, dir) = with_dir();
    let stream = stream_of_entries(&mut rig, dir);
    let names: [(&[u8], u8); 1] = [(b"a", 4)];
    rig.expect([listing(3, &names, 0).answers(29)]);
    rig.call(READ_ENTRY, &[stream, OUT]);
    is_error(&rig, 4, 13);
    assert_eq!(rig.guest(OUT + 5, 3), [FILL; 3]);
    rig.expect([listing(3, &names, 0)]);
    assert_eq!(next_entry(&mut rig, stream), Some((6, b"a".to_vec())));
}

#[test]
fn a_host_whose_listing_makes_no_sense_is_a_trap() {
    // More bytes than the buffer has; less than the head of an entry, in a buffer that has room.
    for used in [0xc01, 23] {
        let (mut rig, dir) = with_dir();
        let stream = stream_of_entries(&mut rig, dir);
        rig.expect([listing(3, &[(b"a", 4)], 0).writes(RESULTS, word(used))]);
        rig.traps(READ_ENTRY, &[stream, OUT]);
    }
}
