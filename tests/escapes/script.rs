//! Hostile guests as lists of calls.
//!
//! ```text
//! open 3 FOLLOW "link" CREAT READ|WRITE = NOTCAPABLE    # one call, and the errno it must give; nothing means success
//! fd_read [FD] {BUF 100} OUT                            # [FD] is the number stored at FD; {...} is a list of iovecs
//! text BUF [OUT] = "what was read"                      # shows memory
//! ```
//!
//! A text in quotes is a pointer and a length. Each line becomes a call of the function with that name and prints what it
//! answered; a line that starts with `(` is WebAssembly text and stays as it is.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use wave_test_support::{Outcome, WALL_LIMIT, Wave, finish};

/// Where things are in the guest's memory of 32 pages. Texts and lists lie from 64 KiB on.
const PLACES: [(&str, u64); 11] = [
    ("FD", 64),
    ("OUT", 128),
    ("OUT2", 256),
    ("FILE", 512),
    ("LINK", 520),
    ("LIST", 528),
    ("CLOCK", 576),
    ("NEW", 1024),
    ("BUF", 0x1000),
    ("TALLY", 0x8000),
    ("END", 0x20_0000),
];
const DATA: usize = 0x1_0000;

/// Flags, rights, enumerations and errnos of WASI, by name.
const NAMES: [(&str, u64); 52] = [
    ("FOLLOW", 1),
    ("CREAT", 1),
    ("DIRECTORY", 2),
    ("EXCL", 4),
    ("TRUNC", 8),
    ("APPEND", 1),
    ("NONBLOCK", 4),
    ("READ", 1 << 1),
    ("SEEK", 1 << 2),
    ("TELL", 1 << 5),
    ("WRITE", 1 << 6),
    ("READDIR", 1 << 14),
    ("STAT", 1 << 21),
    ("ALL", (1 << 30) - 1),
    // All but reading and writing, which a directory cannot be asked for.
    ("ALL_DIR", ((1 << 30) - 1) ^ (1 << 1) ^ (1 << 6)),
    ("SET", 0),
    ("CUR", 1),
    ("FROM_END", 2),
    ("ATIM", 1),
    ("ATIM_NOW", 2),
    ("MTIM", 4),
    ("MTIM_NOW", 8),
    ("SUCCESS", 0),
    ("ACCES", 2),
    ("AGAIN", 6),
    ("BADF", 8),
    ("BUSY", 10),
    ("EXIST", 20),
    ("FAULT", 21),
    ("FBIG", 22),
    ("INVAL", 28),
    ("ISDIR", 31),
    ("LOOP", 32),
    ("MFILE", 33),
    ("NAMETOOLONG", 37),
    ("NOENT", 44),
    ("NOSPC", 51),
    ("NOTDIR", 54),
    ("NOTEMPTY", 55),
    ("NOTSOCK", 57),
    ("NOTSUP", 58),
    ("NXIO", 60),
    ("PERM", 63),
    ("PIPE", 64),
    ("SPIPE", 70),
    ("XDEV", 75),
    ("NOTCAPABLE", 76),
    ("REALTIME", 0),
    ("MONOTONIC", 1),
    ("RD", 1),
    ("WR", 2),
    ("MAX", 0xffff_ffff),
];

/// The functions of `wasi_snapshot_preview1` with their parameters: `i` has 32 bits, `I` has 64.
pub const FUNCTIONS: [(&str, &str); 46] = [
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_exit", "i"),
    ("proc_raise", "i"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// What every guest has besides its calls.
const PRELUDE: &str = r#"
  (memory (export "memory") 32)
  (global $printed (mut i32) (i32.const 0x180000))
  (global $started (mut i64) (i64.const 0))
  (global $left (mut i32) (i32.const 0))
  (global $scratch (mut i32) (i32.const 0))

  (func $byte (param $byte i32)
    (i32.store8 (global.get $printed) (local.get $byte))
    (global.set $printed (i32.add (global.get $printed) (i32.const 1))))
  (func $decimal (param $n i64)
    (if (i64.gt_u (local.get $n) (i64.const 9)) (then (call $decimal (i64.div_u (local.get $n) (i64.const 10)))))
    (call $byte (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $n) (i64.const 10))))))
  (func $say64 (param $n i64) (call $decimal (local.get $n)) (call $byte (i32.const 10)))
  (func $say (param $n i32) (call $say64 (i64.extend_i32_u (local.get $n))))
  (func $text (param $at i32) (param $len i32)
    (memory.copy (global.get $printed) (local.get $at) (local.get $len))
    (global.set $printed (i32.add (global.get $printed) (local.get $len)))
    (call $byte (i32.const 10)))
  (func $digit (param $n i32)
    (call $byte (i32.add (local.get $n)
      (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $n) (i32.const 10))))))
  (func $hex (param $at i32) (param $len i32)
    (loop $next
      (if (local.get $len) (then
        (call $digit (i32.shr_u (i32.load8_u (local.get $at)) (i32.const 4)))
        (call $digit (i32.and (i32.load8_u (local.get $at)) (i32.const 15)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $len (i32.sub (local.get $len) (i32.const 1)))
        (br $next))))
    (call $byte (i32.const 10)))

  ;; Counts an answer in the table at TALLY, one word per errno.
  (func $tally (param $errno i32) (local $at i32)
    (local.set $at (i32.add (i32.const 0x8000) (i32.mul (local.get $errno) (i32.const 4))))
    (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (i32.const 1))))
  (func $show_tally (local $errno i32) (local $count i32)
    (loop $next
      (local.set $count (i32.load offset=0x8000 (i32.mul (local.get $errno) (i32.const 4))))
      (if (local.get $count) (then
        (call $decimal (i64.extend_i32_u (local.get $errno)))
        (call $byte (i32.const 58))
        (call $decimal (i64.extend_i32_u (local.get $count)))
        (call $byte (i32.const 32))))
      (local.set $errno (i32.add (local.get $errno) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $errno) (i32.const 100))))
    (call $byte (i32.const 10)))
  ;; Says an answer only if it is not the expected one.
  (func $must (param $errno i32) (param $expected i32)
    (if (i32.ne (local.get $errno) (local.get $expected)) (then (call $say (local.get $errno)))))

  ;; The iovec is at 8, the count at 16.
  (func $flush (local $at i32)
    (local.set $at (i32.const 0x180000))
    (loop $next
      (i32.store (i32.const 8) (local.get $at))
      (i32.store (i32.const 12) (i32.sub (global.get $printed) (local.get $at)))
      (if (i32.load (i32.const 12)) (then
        (if (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)) (then unreachable))
        (local.set $at (i32.add (local.get $at) (i32.load (i32.const 16))))
        (br $next))))
    (global.set $printed (i32.const 0x180000)))
  ;; Says a line of its own and waits for a byte.
  (func $pause
    (call $byte (i32.const 33)) (call $byte (i32.const 10))
    (call $flush)
    (i32.store (i32.const 8) (i32.const 32))
    (i32.store (i32.const 12) (i32.const 1))
    (drop (call $fd_read (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 16))))
  (func $now (result i64)
    (drop (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 24)))
    (i64.load (i32.const 24)))
  ;; 0 if less than this many milliseconds have passed since the start, else how many have.
  (func $within (param $limit i64) (local $passed i64)
    (local.set $passed (i64.div_u (i64.sub (call $now) (global.get $started)) (i64.const 1000000)))
    (call $say64 (select (i64.const 0) (local.get $passed) (i64.lt_u (local.get $passed) (local.get $limit)))))
"#;

/// A guest, and what it must print.
pub struct Script {
    module: String,
    expected: Vec<(String, String)>,
}

/// Makes a guest of its lines.
///
/// Besides the functions there are: `open DIRFD LOOKUP PATH OFLAGS RIGHTS`, which is `path_open` into `FD` with all rights
/// to hand on; `show [AT]`, `show64 AT`, `bytes AT LEN`, `text AT LEN`; `fill AT LEN BYTE`, `store AT WORD`, `copy AT TEXT`; `start` and `within MS`;
/// `pause`, which ends when the test says so; `flush`; and `repeat N` to `end`, where answers are printed only if they are
/// unexpected, or counted if `ANY` is expected; `tally` prints these counts.
pub fn script(lines: impl AsRef<str>) -> Script {
    let mut writer = Writer::default();
    for line in lines.as_ref().lines() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            writer.line(line);
        }
    }
    writer.finish()
}

#[derive(Default)]
struct Writer {
    data: Vec<u8>,
    known: HashMap<Vec<u8>, u64>,
    body: String,
    in_loop: bool,
    expected: Vec<(String, String)>,
}

impl Writer {
    fn line(&mut self, line: &str) {
        if line.starts_with('(') {
            self.body.push_str(line);
            return self.body.push('\n');
        }
        let mut tokens = tokens(line);
        let expected = tokens.iter().position(|token| token == "=").map(|at| {
            let expected = tokens.get(at + 1).unwrap_or_else(|| panic!("nothing is expected: {line}")).clone();
            tokens.truncate(at);
            expected
        });
        let name = tokens.remove(0);
        let name = name.as_str();
        let mut args = self.arguments(&tokens);
        let all = "(i64.const 0x3fffffff)";
        let unit = |text: &str| text.to_owned() + "\n";
        match name {
            "open" => {
                args.insert(6, all.to_owned());
                args.extend(["0", "64"].map(|value| format!("(i32.const {value})")));
                self.answer("path_open", &args, line, expected);
            }
            "show" => self.shown(&format!("(call $say {})", args[0]), line, expected),
            "show64" => self.shown(&format!("(call $say64 (i64.load {}))", args[0]), line, expected),
            "bytes" => self.shown(&format!("(call $hex {} {})", args[0], args[1]), line, expected),
            "text" => self.shown(&format!("(call $text {} {})", args[0], args[1]), line, expected),
            // Ten times what is said: others may hold the processor for a while. What does not end is caught all the same.
            "within" => {
                let limit = format!("(i64.mul (i64.const 10) (i64.extend_i32_u {}))", args[0]);
                self.shown(&format!("(call $within {limit})"), line, Some("0".into()));
            }
            "tally" => self.shown("(call $show_tally)", line, Some("ANY".into())),
            "fill" => self.body += &unit(&format!("(memory.fill {} {} {})", args[0], args[2], args[1])),
            "copy" => self.body += &unit(&format!("(memory.copy {} {} {})", args[0], args[1], args[2])),
            "store" => self.body += &unit(&format!("(i32.store {} {})", args[0], args[1])),
            "start" => self.body += "(global.set $started (call $now))\n",
            "pause" => self.shown("(call $pause)", line, Some("!".into())),
            "flush" => self.body += "(call $flush)\n",
            "repeat" => {
                self.in_loop = true;
                self.body += &unit(&format!("(global.set $left {}) (loop $again", args[0]));
            }
            "end" => {
                self.in_loop = false;
                self.body += "(global.set $left (i32.sub (global.get $left) (i32.const 1))) (br_if $again (global.get $left)))\n";
            }
            _ => self.answer(name, &args, line, expected),
        }
    }

    /// A call whose answer is an errno.
    fn answer(&mut self, name: &str, args: &[String], line: &str, expected: Option<String>) {
        let (_, params) =
            FUNCTIONS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no function: {line}"));
        assert_eq!(params.len(), args.len(), "arguments: {line}");
        let wide = |(arg, param): (&String, char)| if param == 'I' { widen(arg) } else { arg.clone() };
        let args: Vec<_> = args.iter().zip(params.chars()).map(wide).collect();
        let call = format!("(call ${name} {})", args.join(" "));
        let expected = expected.unwrap_or_else(|| "SUCCESS".to_owned());
        match (self.in_loop, &*expected) {
            _ if name == "proc_exit" => self.body += &(call + "\n"),
            (true, "ANY") => writeln!(self.body, "(call $tally {call})").expect("strings grow"),
            (true, _) => {
                writeln!(self.body, "(call $must {call} (i32.const {}))", number(&expected)).expect("strings grow");
            }
            (false, _) => self.shown(&format!("(call $say {call})"), line, Some(expected)),
        }
    }

    /// A statement that prints a line, and which.
    fn shown(&mut self, statement: &str, line: &str, expected: Option<String>) {
        assert!(!self.in_loop, "in a loop only answers can be checked: {line}");
        self.body.push_str(statement);
        self.body.push('\n');
        let expected = expected.unwrap_or_else(|| panic!("what is expected? {line}"));
        let expected = match NAMES.iter().find(|(name, _)| *name == expected) {
            Some((_, number)) => number.to_string(),
            None => expected.trim_matches('"').to_owned(),
        };
        self.expected.push((line.to_owned(), expected));
    }

    fn arguments(&mut self, tokens: &[String]) -> Vec<String> {
        let mut args = Vec::new();
        for token in tokens {
            if let Some(text) = token.strip_prefix('"') {
                let (at, len) = self.put(&unescape(text.strip_suffix('"').expect("texts end")));
                args.extend([constant(at), constant(len)]);
            } else if let Some(list) = token.strip_prefix('{') {
                let items: Vec<_> =
                    list.trim_end_matches('}').split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
                let mut bytes = Vec::new();
                for item in &items {
                    for word in self.iovec(item) {
                        bytes.extend(u32::try_from(word).expect("iovecs have 32 bits").to_le_bytes());
                    }
                }
                let (at, _) = self.put(&bytes);
                args.extend([constant(at), constant(items.len() as u64)]);
            } else if let Some(place) = token.strip_prefix('[') {
                args.push(format!("(i32.load {})", narrow(&constant(number(place.trim_end_matches(']'))))));
            } else {
                args.push(format!("(i64.const {})", number(token)));
            }
        }
        args.into_iter().map(|arg| narrow(&arg)).collect()
    }

    /// `"text"`, or a place and a length.
    fn iovec(&mut self, item: &str) -> [u64; 2] {
        match item.strip_prefix('"') {
            Some(text) => {
                let (at, len) = self.put(&unescape(text.trim_end_matches('"')));
                [at, len]
            }
            None => {
                let (at, len) = item.split_once(' ').unwrap_or_else(|| panic!("no iovec: {item}"));
                [number(at), number(len)]
            }
        }
    }

    /// Where these bytes are; the same ones only once.
    fn put(&mut self, bytes: &[u8]) -> (u64, u64) {
        if let Some(at) = self.known.get(bytes) {
            return (*at, bytes.len() as u64);
        }
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        let at = DATA + self.data.len();
        self.data.extend(bytes);
        self.known.insert(bytes.to_vec(), at as u64);
        (at as u64, bytes.len() as u64)
    }

    fn finish(self) -> Script {
        let mut module = String::from("(module\n");
        for (name, params) in FUNCTIONS {
            let params: Vec<_> = params.chars().map(|param| if param == 'i' { "i32" } else { "i64" }).collect();
            let result = if name == "proc_exit" { "" } else { "(result i32)" };
            writeln!(
                module,
                r#"(import "wasi_snapshot_preview1" "{name}" (func ${name} (param {}) {result}))"#,
                params.join(" ")
            )
            .expect("strings grow");
        }
        module.push_str(PRELUDE);
        assert!(self.data.len() < 0x17_0000, "the texts are too long");
        writeln!(module, "(data (i32.const {DATA}) \"{}\")", escape(&self.data)).expect("strings grow");
        writeln!(module, "(func (export \"_start\")\n{}(call $flush)))", self.body).expect("strings grow");
        Script { module, expected: self.expected }
    }
}

/// The value of a number, a name, or several names with `|` between them.
pub fn number(text: &str) -> u64 {
    text.split('|').fold(0, |sum, part| sum | single(part))
}

fn single(text: &str) -> u64 {
    if let Some((_, value)) = NAMES.iter().chain(&PLACES).find(|(name, _)| *name == text) {
        return *value;
    }
    if let Some((place, offset)) = text.split_once('+') {
        return single(place) + single(offset);
    }
    if let Some((place, offset)) = text.split_once('-').filter(|(place, _)| !place.is_empty()) {
        return single(place) - single(offset);
    }
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok().or_else(|| text.parse::<i64>().ok().map(i64::cast_unsigned)),
    };
    parsed.unwrap_or_else(|| panic!("no number: {text}"))
}

fn constant(value: u64) -> String {
    format!("(i64.const {value})")
}

/// A constant that fits becomes one of 32 bits.
fn narrow(arg: &str) -> String {
    let value =
        arg.strip_prefix("(i64.const ").and_then(|rest| rest.strip_suffix(')')).and_then(|n| n.parse::<u64>().ok());
    match value {
        Some(value) => u32::try_from(value).map_or_else(|_| arg.to_owned(), |value| format!("(i32.const {value})")),
        None => arg.to_owned(),
    }
}

fn widen(arg: &str) -> String {
    if arg.starts_with("(i32.load") {
        format!("(i64.extend_i32_u {arg})")
    } else {
        arg.replace("(i32.const", "(i64.const")
    }
}

fn tokens(line: &str) -> Vec<String> {
    let (mut tokens, mut token) = (Vec::new(), String::new());
    let (mut quoted, mut listed) = (false, false);
    for char in line.chars() {
        match char {
            '"' => quoted = !quoted,
            '{' if !quoted => listed = true,
            '}' if !quoted => listed = false,
            '#' if !quoted && !listed => break,
            _ => {}
        }
        if char == ' ' && !quoted && !listed {
            if !token.is_empty() {
                tokens.push(std::mem::take(&mut token));
            }
        } else {
            token.push(char);
        }
    }
    if !token.is_empty() {
        tokens.push(token);
    }
    tokens
}

/// The bytes of a text with escapes as in WebAssembly text: `\00` to `\ff`.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'\\' {
            let digits = std::str::from_utf8(&rest[..2]).expect("two digits");
            bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    bytes
}

fn escape(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:02x}").expect("strings grow");
        text
    })
}

impl Script {
    /// The module, in a fresh directory.
    pub fn file(&self) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let path = dir.path().join("guest.wat");
        fs::write(&path, &self.module).expect("own directory can be written");
        (dir, path)
    }

    /// Runs the guest, whatever comes of it.
    pub fn outcome(&self, wave: Wave) -> Outcome {
        let (_dir, path) = self.file();
        wave.run(path, [""; 0])
    }

    /// Runs the guest to its end and asserts every answer; returns each line with its answer.
    #[track_caller]
    pub fn run(&self, wave: Wave) -> Vec<(String, String)> {
        self.check(&self.outcome(wave))
    }

    /// Asserts that a run ended well and that every answer was the expected one.
    #[track_caller]
    pub fn check(&self, run: &Outcome) -> Vec<(String, String)> {
        let seen: Vec<_> = run.stdout.lines().map(str::to_owned).collect();
        let wrong = |((line, expected), seen): (&(String, String), &String)| {
            (expected != "ANY" && expected != seen).then(|| format!("  {line}\n    answered {}\n", named(seen)))
        };
        let wrong: String = self.expected.iter().zip(&seen).filter_map(wrong).collect();
        assert!(wrong.is_empty(), "\n{wrong}");
        assert_eq!(seen.len(), self.expected.len(), "lines\n{run:?}");
        let said = run.stderr.lines().find(|line| !line.starts_with("wave: relaxed by --"));
        assert_eq!((run.status.code(), said), (Some(0), None), "{run:?}");
        self.expected.iter().map(|(line, _)| line.clone()).zip(seen).collect()
    }

    /// Starts the guest, which runs to its first `pause`.
    pub fn start(&self, wave: Wave) -> Paused<'_> {
        let (dir, path) = self.file();
        let child = Some(wave.spawn(path, [""; 0]));
        let mut paused = Paused { script: self, _dir: dir, child, seen: String::new() };
        paused.wait();
        paused
    }
}

/// An answer with its name, if it may be an errno.
fn named(seen: &str) -> String {
    let errnos = NAMES.iter().skip_while(|(name, _)| *name != "SUCCESS");
    match seen.parse().ok().and_then(|seen: u64| errnos.clone().find(|(_, number)| *number == seen)) {
        Some((name, _)) => format!("{seen} ({name})"),
        None => seen.to_owned(),
    }
}

/// A guest that waits for the test.
pub struct Paused<'s> {
    script: &'s Script,
    _dir: TempDir,
    child: Option<Child>,
    seen: String,
}

impl Paused<'_> {
    /// The process.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Lets the guest run to its next `pause`.
    pub fn go_on(&mut self) {
        self.nudge();
        self.wait();
    }

    /// Lets the guest run to its end, and asserts every answer as [`Script::run`] does.
    #[track_caller]
    pub fn finish(mut self) -> Vec<(String, String)> {
        self.nudge();
        let mut run = finish(self.child.take().expect("it runs"));
        run.stdout.insert_str(0, &self.seen);
        self.script.check(&run)
    }

    /// How the guest ended, once it has. Nothing of its output is read.
    pub fn status(mut self) -> ExitStatus {
        self.child.take().expect("it runs").wait().expect("own child can be awaited")
    }

    /// Lets the guest run and does not wait for anything.
    pub fn nudge(&mut self) {
        let stdin = self.child.as_mut().and_then(|child| child.stdin.as_mut()).expect("it runs, and stdin is piped");
        stdin.write_all(b"!").expect("the guest waits");
    }

    /// Waits until the pipe behind standard error takes no more.
    pub fn wait_for_full_stderr(&self) {
        let stderr = self.child.as_ref().and_then(|child| child.stderr.as_ref()).expect("it runs, and stderr is piped");
        let capacity = rustix::pipe::fcntl_getpipe_size(stderr).expect("a pipe") as u64;
        let deadline = Instant::now() + WALL_LIMIT;
        while rustix::io::ioctl_fionread(stderr).expect("a pipe") < capacity {
            assert!(Instant::now() < deadline, "the pipe does not get full");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn wait(&mut self) {
        let stdout = self.child.as_mut().and_then(|child| child.stdout.as_mut()).expect("it runs, and stdout is piped");
        let mut line = Vec::new();
        while line != b"!\n" {
            if line.ends_with(b"\n") {
                line.clear();
            }
            let mut byte = [0];
            let read = stdout.read(&mut byte).expect("pipes can be read");
            assert_ne!(read, 0, "the guest ended: {}", self.seen);
            self.seen.push(char::from(byte[0]));
            line.push(byte[0]);
        }
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
