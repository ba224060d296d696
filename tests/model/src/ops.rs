//! Choices as hostcalls with structured arguments, mostly valid.

use super::calls::{Call, Op, Sequence, Text};
use super::predict::Model;
use super::source::Source;
use super::table::{Desc, Table};
use wave_monitor::{Kind, Limits, Rights};

/// Limits that a sequence reaches.
const TIGHT: Limits = Limits {
    open_files: 13,
    file_size_bytes: 1000,
    written_bytes: 3 * 4096 + 90,
    entries: 4,
    output_bytes: 20,
    iovecs: 2,
    subscriptions: 2,
    call_bytes: 200,
};

/// The most calls of one sequence.
const MAX_CALLS: usize = 60;

// Where arguments and results lie unless a pointer is to be odd.
const RESULT: u32 = 64;
const SECOND_RESULT: u32 = 80;
const STRUCT: u32 = 128;
const PATH: u32 = 1024;
const SECOND_PATH: u32 = 6144;
const LIST: u32 = 12_288;
const DATA: u32 = 20_480;

/// The end of memory.
const END: u32 = super::MEMORY_BYTES as u32;

/// The sequence that some bytes stand for.
///
/// The model is at hand while choices are made, so that most calls are on descriptors that are open.
pub fn sequence(bytes: &[u8], start: impl FnOnce(Limits) -> Model) -> Sequence {
    let mut source = Source::new(bytes);
    let tight = source.one_in(4);
    let limits = if tight { TIGHT } else { Limits { open_files: super::MAX_OPEN_FILES, ..Limits::default() } };
    let mut model = start(limits);
    let mut ops = Vec::new();
    while !source.is_empty() && ops.len() < MAX_CALLS {
        let mut one = Builder { source: &mut source, puts: Vec::new(), table: &model.table };
        let call = one.call();
        let op = Op { call, puts: one.puts };
        model.predict(&op.call, &op.memory());
        ops.push(op);
    }
    Sequence { limits, ops }
}

struct Builder<'s, 'b> {
    source: &'s mut Source<'b>,
    puts: Vec<(u32, Vec<u8>)>,
    table: &'s Table,
}

impl Builder<'_, '_> {
    /// One arm per kind of call, with the share of 256 it gets.
    fn call(&mut self) -> Call {
        if self.source.one_in(8) {
            return self.open();
        }
        match self.source.byte() {
            0..=47 => self.open(),
            48..=63 => Call::PathUnlinkFile { fd: self.dir(), path: self.path(PATH) },
            64..=75 => Call::PathRename {
                old_fd: self.dir(),
                old: self.path(PATH),
                new_fd: self.dir(),
                new: self.path(SECOND_PATH),
            },
            76..=85 => Call::PathSymlink { target: self.path(PATH), fd: self.dir(), path: self.path(SECOND_PATH) },
            86..=95 => Call::PathLink {
                old_fd: self.dir(),
                lookup: self.odd(&[0, 0, 0, 0, 0, 0, 0, 1]),
                old: self.path(PATH),
                new_fd: self.dir(),
                new: self.path(SECOND_PATH),
            },
            96..=105 => Call::PathCreateDirectory { fd: self.dir(), path: self.path(PATH) },
            106..=112 => Call::PathRemoveDirectory { fd: self.dir(), path: self.path(PATH) },
            113..=120 => Call::PathFilestatGet {
                fd: self.dir(),
                lookup: self.lookup(),
                path: self.path(PATH),
                out: self.place(STRUCT),
                old: self.source.one_in(6),
            },
            121..=125 => Call::PathFilestatSetTimes {
                fd: self.dir(),
                lookup: self.lookup(),
                path: self.path(PATH),
                atim: self.time(),
                mtim: self.time(),
                flags: self.odd(&[4, 5, 1, 8, 10, 6, 9, 0, 3, 12]),
            },
            126..=131 => Call::PathReadlink {
                fd: self.dir(),
                path: self.path(PATH),
                buf: self.place(DATA),
                len: self.odd(&[64, 0, 1, 2, 3, 4096, 300]),
                out: self.place(RESULT),
            },
            132..=141 => {
                let (iovs, count) = self.list(false);
                Call::FdRead { fd: self.fd(), iovs, count, out: self.place(RESULT) }
            }
            142..=154 => {
                let (iovs, count) = self.list(true);
                Call::FdWrite { fd: self.fd(), iovs, count, out: self.place(RESULT) }
            }
            155..=160 => {
                let (iovs, count) = self.list(false);
                Call::FdPread { fd: self.fd(), iovs, count, offset: self.offset(), out: self.place(RESULT) }
            }
            161..=168 => {
                let (iovs, count) = self.list(true);
                Call::FdPwrite { fd: self.fd(), iovs, count, offset: self.offset(), out: self.place(RESULT) }
            }
            169..=174 => Call::FdSeek {
                fd: self.fd(),
                offset: self.offset(),
                whence: self.odd(&[0, 1, 2]),
                out: self.place(RESULT),
                old: self.source.one_in(6),
            },
            175..=176 => Call::FdTell { fd: self.fd(), out: self.place(RESULT) },
            177..=184 => Call::FdClose { fd: self.own_fd() },
            185..=190 => Call::FdRenumber { from: self.own_fd(), to: self.own_fd() },
            191..=195 => Call::FdReaddir {
                fd: self.dir(),
                buf: self.place(DATA),
                len: self.odd(&[4096, 24, 100, 300, 0, 1, 8192]),
                cookie: self.cookie(),
                out: self.place(RESULT),
            },
            196..=200 => Call::FdFilestatGet { fd: self.fd(), out: self.place(STRUCT), old: self.source.one_in(6) },
            201..=204 => Call::FdFilestatSetSize { fd: self.fd(), size: self.offset() },
            205..=207 => Call::FdAllocate { fd: self.fd(), offset: self.offset(), len: self.offset() },
            208..=210 => Call::FdFilestatSetTimes {
                fd: self.fd(),
                atim: self.time(),
                mtim: self.time(),
                flags: self.odd(&[4, 5, 1, 8, 10, 6, 9, 0, 3, 12]),
            },
            211..=213 => Call::FdFdstatGet { fd: self.fd(), out: self.place(STRUCT) },
            214..=217 => Call::FdFdstatSetFlags { fd: self.fd(), flags: self.odd(&[0, 1, 4, 5, 2, 8, 16]) },
            218..=220 => {
                let base = match self.source.below(4) {
                    0 => Rights::REGULAR_FILE.without(Rights::FD_SEEK).bits(),
                    1 => Rights::DIRECTORY.without(Rights::PATH_UNLINK_FILE).bits(),
                    2 => Rights::FD_READ.bits(),
                    _ => self.rights(),
                };
                let inheriting = if self.source.one_in(4) { self.rights() } else { 0 };
                Call::FdFdstatSetRights { fd: self.fd(), base, inheriting }
            }
            221 => Call::FdAdvise {
                fd: self.fd(),
                offset: self.offset(),
                len: self.offset(),
                advice: self.odd(&[0, 1, 2, 3, 4, 5, 6]),
            },
            222 => Call::FdDatasync { fd: self.fd() },
            223 => Call::FdSync { fd: self.fd() },
            224..=225 => Call::FdPrestatGet { fd: self.fd(), out: self.place(STRUCT) },
            226..=227 => {
                Call::FdPrestatDirName { fd: self.fd(), buf: self.place(DATA), len: self.odd(&[2, 3, 6, 64, 1, 0]) }
            }
            228..=232 => self.poll(),
            233..=234 => {
                Call::SockAccept { fd: self.socket(), flags: self.odd(&[0, 4, 4, 1]), out: self.place(RESULT) }
            }
            235..=237 => {
                let (list, count) = self.list(false);
                let flags = self.odd(&[0, 0, 1, 2]);
                let (out, out_flags) = (self.place(RESULT), self.place(SECOND_RESULT));
                Call::SockRecv { fd: self.socket(), list, count, flags, out, out_flags }
            }
            238..=240 => {
                let (list, count) = self.list(true);
                Call::SockSend { fd: self.socket(), list, count, flags: self.odd(&[0]), out: self.place(RESULT) }
            }
            241 => Call::SockShutdown { fd: self.socket(), how: self.odd(&[1, 2, 3, 0]) },
            242 => Call::ArgsGet { array: self.place(STRUCT), buf: self.place(DATA) },
            243 => Call::ArgsSizesGet { count: self.place(RESULT), size: self.place(SECOND_RESULT) },
            244 => Call::EnvironGet { array: self.place(STRUCT), buf: self.place(DATA) },
            245 => Call::EnvironSizesGet { count: self.place(RESULT), size: self.place(SECOND_RESULT) },
            246 => Call::ClockResGet { id: self.odd(&[0, 1, 2, 3]), out: self.place(RESULT) },
            247..=248 => {
                Call::ClockTimeGet { id: self.odd(&[0, 1, 2, 3]), precision: self.offset(), out: self.place(RESULT) }
            }
            249..=251 => Call::RandomGet { buf: self.place(DATA), len: self.odd(&[16, 0, 1, 300, 12_000]) },
            252 => Call::SchedYield {},
            253 => Call::ProcRaise { signal: self.odd(&[0, 13, 16, 17, 18, 22, 1, 6, 30, 31]) },
            254 => Call::ProcExit { code: self.odd(&[0, 1, 255]) },
            255 => Call::FdClose { fd: self.source.u32() },
        }
    }

    /// Opens a file to write, to read or to append, a directory, or anything anyhow.
    fn open(&mut self) -> Call {
        let (all, write) = (Rights::ALL.bits(), Rights::FD_WRITE.bits());
        let mut fd = self.dir();
        let lookup = self.lookup();
        let (path, oflags, base, fdflags);
        match self.source.below(16) {
            0..=4 => (path, oflags, base, fdflags) = (self.path(PATH), self.odd(&[1, 0, 9, 1, 5, 8]), all, 0),
            5..=7 => (path, oflags, base, fdflags) = (self.path(PATH), 0, all & !write, self.odd(&[0, 0, 4])),
            8..=9 => {
                fd = self.source.pick(&[5, 5, 3, 6]);
                (path, oflags, base, fdflags) = (self.path(PATH), self.odd(&[1, 0, 5]), all, self.odd(&[1, 1, 5]));
            }
            10..=12 => (path, oflags, base, fdflags) = (self.path(PATH), self.odd(&[2, 2, 0]), all & !write, 0),
            _ => {
                let flags = [0, 1, 2, 4, 5, 8, 9, 13, 10, 6, 3, 12];
                (path, oflags, base) = (self.path(PATH), self.odd(&flags), self.rights());
                fdflags = self.odd(&[0, 1, 4, 5, 0, 0, 0, 0, 0, 0, 16, 2, 8]);
            }
        }
        let inheriting = if self.source.one_in(4) { self.rights() } else { all };
        Call::PathOpen { fd, lookup, path, oflags, base, inheriting, fdflags, out: self.place(RESULT) }
    }

    /// 3 is granted read-write, 4 read-only, 5 to append; 6 lies in 3 and 7 is a read-only view
    /// into 3; 8 and 9 are sockets. What the guest opens starts at 10.
    fn fd(&mut self) -> u32 {
        match self.source.below(16) {
            0..=10 => self.open_as(|desc| desc.node().is_some() && desc.kind != Kind::Directory && !desc.stdio),
            11 => self.open_as(|_| true),
            12 => self.source.pick(&[0, 1, 2, 3]),
            13..=14 => self.source.pick(&[3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
            _ => match self.source.below(3) {
                0 => self.source.u32(),
                _ => self.source.pick(&[u32::MAX, 16, 17, 63, 64, 1 << 16, 1 << 31, 99]),
            },
        }
    }

    /// An open descriptor that is as asked for, if there is one.
    fn open_as(&mut self, is: impl Fn(&Desc) -> bool) -> u32 {
        let open: Vec<_> = self.table.open.iter().filter(|(_, desc)| is(desc)).map(|(fd, _)| *fd).collect();
        if open.is_empty() { 3 } else { self.source.pick(&open) }
    }

    /// Mostly one the guest opened, so that the grants last a while.
    fn own_fd(&mut self) -> u32 {
        match self.source.below(8) {
            0 => self.fd(),
            _ => match self.open_as(|desc| desc.preopen.is_none() && !desc.stdio && desc.node().is_some()) {
                // A grant stood in, because there is none.
                3 => 10,
                fd => fd,
            },
        }
    }

    fn dir(&mut self) -> u32 {
        const GRANTS: [u32; 12] = [3, 3, 3, 3, 5, 3, 6, 3, 7, 3, 4, 3];
        match self.source.below(16) {
            0..=10 => self.source.pick(&GRANTS),
            11..=14 => self.open_as(|desc| desc.kind == Kind::Directory && desc.preopen.is_none()),
            _ => self.fd(),
        }
    }

    fn socket(&mut self) -> u32 {
        if self.source.one_in(8) { self.fd() } else { self.source.pick(&[9, 8, 9, 10, 11]) }
    }

    /// A valid value, or rarely some other.
    fn odd(&mut self, valid: &[u32]) -> u32 {
        if self.source.one_in(64) { self.source.u32() } else { self.source.pick(valid) }
    }

    fn lookup(&mut self) -> u32 {
        self.odd(&[1, 0])
    }

    fn rights(&mut self) -> u64 {
        let (read, write) = (Rights::FD_READ.bits(), Rights::FD_WRITE.bits());
        let all = Rights::ALL.bits();
        match self.source.below(20) {
            0..=8 => all,
            9..=11 => all & !write,
            12 => all & !read,
            13 => read,
            14 => write,
            15 => read | write | Rights::FD_SEEK.bits(),
            16 => 0,
            17 => self.source.u64() & all,
            18 => all & !(1 << self.source.below(30)),
            _ => self.source.u64(),
        }
    }

    fn time(&mut self) -> u64 {
        match self.source.below(8) {
            6 => self.source.pick(&[0, 1, u64::MAX, 1 << 63, 999_999_999, 1_000_000_000]),
            7 => self.source.u64(),
            at => 1_000_000_007 * (1 + at as u64),
        }
    }

    fn offset(&mut self) -> u64 {
        const EDGES: [u64; 15] = [
            1 << 63,
            (1 << 63) - 1,
            u64::MAX,
            u64::MAX - 1,
            (1 << 63) + 1,
            0xffff_ffff_ffff_fff0,
            (1 << 62) + 5,
            super::FILE_MAX_BYTES,
            super::FILE_MAX_BYTES - 1,
            super::FILE_MAX_BYTES + 1,
            1 << 32,
            (1 << 32) - 1,
            (1 << 63) - 16,
            4095,
            1 << 44,
        ];
        match self.source.below(12) {
            9..=10 => self.source.pick(&EDGES),
            11 => self.source.u64(),
            8 => u64::from(self.source.u32() & 0x1_ffff),
            _ => self.source.below(40) as u64,
        }
    }

    fn cookie(&mut self) -> u64 {
        match self.source.below(8) {
            0..=3 => 0,
            4..=6 => self.source.below(16) as u64,
            _ => self.offset(),
        }
    }

    /// The usual place, or rarely one that overlaps others or lies outside.
    fn place(&mut self, usual: u32) -> u32 {
        const ODD: [u32; 16] = [
            0,
            1,
            LIST,
            LIST + 4,
            PATH,
            DATA,
            DATA + 3,
            END - 2,
            END - 4,
            END - 1,
            END,
            END + 1,
            u32::MAX,
            u32::MAX - 3,
            0x8000_0000,
            END - 64,
        ];
        match self.source.below(100) {
            97..=98 => self.source.pick(&ODD),
            99 => self.source.u32(),
            _ => usual,
        }
    }

    fn put(&mut self, at: u32, bytes: Vec<u8>) {
        if at as usize + bytes.len() <= super::MEMORY_BYTES {
            self.puts.push((at, bytes));
        }
    }

    fn path(&mut self, usual: u32) -> Text {
        let bytes = self.path_bytes();
        let mut len = u32::try_from(bytes.len()).unwrap_or(0);
        let ptr = self.place(usual);
        self.put(ptr, bytes);
        if self.source.one_in(128) {
            len = self.source.pick(&[0, 1, 4095, 4096, END, u32::MAX]);
        }
        Text { ptr, len }
    }

    fn path_bytes(&mut self) -> Vec<u8> {
        const NAMES: [&str; 32] = [
            "a", "b", "c", "d", "a", "b", "c", "d", "link", "up", "out", "..", ".", "a", "b", "e", "fifo", "abs",
            "loop", "gone", "secret", "..", "d", "c", "dir", "link", "up", "x", "a", "b", "e", "in",
        ];
        /// What is there at first, or would be a plausible name for something new.
        const LIKELY: [&str; 35] = [
            "d/e/e",
            "d/e/e/../x",
            "d/e/e/b",
            "d/e/e/up",
            "d/e/e/../../a",
            "c/end",
            "c/new",
            "b",
            "a/b",
            "c/a",
            "d/a",
            "e",
            "a/e",
            "a",
            "c",
            "d",
            "a/c",
            "e",
            "c/e",
            "e/a",
            "a/c/e",
            "fifo",
            "link",
            "dir",
            "dir/b",
            "a/link",
            "x",
            ".",
            "d/link",
            "e/e",
            "c/e/a",
            "a/b",
            "b",
            "e",
            "f",
        ];
        if self.source.byte() < 160 {
            let mut bytes = self.source.pick(&LIKELY).as_bytes().to_vec();
            if self.source.one_in(20) {
                bytes.push(b'/');
            }
            return bytes;
        }
        let mut bytes = Vec::new();
        match self.source.below(48) {
            44 => return bytes,
            45 => bytes.push(b'/'),
            46 => bytes.extend(b"./"),
            47 => match self.source.below(9) {
                0 => bytes.extend(b"../"),
                1 => return b"a\0b".to_vec(),
                2 => return vec![b'n'; 255],
                3 => return vec![b'n'; 256],
                4 => return b"a/../".repeat(820)[..4095].to_vec(),
                5 => return vec![b'/'; 4096],
                // The last number of links that can be followed, and one more.
                _ => return b"a/up/".repeat(39 + self.source.below(4)),
            },
            _ => {}
        }
        let count = self.source.pick(&[1, 1, 1, 2, 2, 2, 3, 4]);
        for at in 0..count {
            if at > 0 {
                bytes.push(b'/');
                if self.source.one_in(24) {
                    bytes.push(b'/');
                }
            }
            bytes.extend(self.source.pick(&NAMES).bytes());
        }
        if self.source.one_in(10) {
            bytes.push(b'/');
        }
        bytes
    }

    /// A list of buffers at the usual place, for a write with something in them.
    fn list(&mut self, write: bool) -> (u32, u32) {
        let ptr = self.place(LIST);
        let count = match self.source.below(32) {
            29 => 0,
            30 => 20,
            31 => self.source.pick(&[1023, 1024, 1025, 0x2000_0001, u32::MAX, 4094]),
            at => [1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 1][at % 13],
        };
        let mut list = Vec::new();
        for _ in 0..count.min(4) {
            let at = match self.source.below(32) {
                29 => self.source.pick(&[LIST, LIST + 8, RESULT, 0, LIST, LIST + 4]),
                30 => self.source.pick(&[END - 1, END, u32::MAX, 8192]),
                31 => self.source.u32(),
                at => DATA + 16 * (at as u32),
            };
            let len = match self.source.below(32) {
                28..=29 => 300,
                30 => self.source.pick(&[0, 1, 4096, 5000, 12_000, END, u32::MAX]),
                31 => self.source.u32() & 0xffff,
                at => [8, 5, 16, 1, 0, 12, 8, 3, 30, 2][at % 10],
            };
            list.extend(at.to_le_bytes());
            list.extend(len.to_le_bytes());
        }
        for at in 4..count.min(1025) {
            list.extend((DATA + at).to_le_bytes());
            list.extend((at % 3).to_le_bytes());
        }
        self.put(ptr, list);
        if write {
            let seed = self.source.byte();
            self.put(DATA, (0..=255).map(|at: u8| at.wrapping_mul(7).wrapping_add(seed)).collect());
        }
        (ptr, count)
    }

    fn poll(&mut self) -> Call {
        let old = self.source.one_in(6);
        let size = if old { 56 } else { 48 };
        let mut bytes = Vec::new();
        let count = self.source.pick(&[1, 2, 1, 3]);
        for at in 0..count {
            let mut one = vec![0xaa; size];
            one[..8].copy_from_slice(&u64::from(at).to_le_bytes());
            one[8] = self.source.pick(&[0, 1, 2, 1, 2, 0, 0, 3]);
            if one[8] == 0 {
                let clock = if old { 24 } else { 16 };
                let timeout = self.source.pick(&[0, 1, 1000, 50_000, u64::MAX]);
                one[clock..clock + 4].copy_from_slice(&self.odd(&[1, 0, 1, 2]).to_le_bytes());
                one[clock + 8..clock + 16].copy_from_slice(&timeout.to_le_bytes());
                let flags = self.source.pick(&[0, 0, 1, 2]);
                one[clock + 24..clock + 26].copy_from_slice(&u16::to_le_bytes(flags));
            } else {
                one[16..20].copy_from_slice(&self.fd().to_le_bytes());
            }
            bytes.extend(one);
        }
        let input = self.place(LIST);
        self.put(input, bytes);
        let count = if self.source.one_in(16) { self.source.pick(&[0, 4097, 0x1000_0000, u32::MAX, 5]) } else { count };
        Call::PollOneoff { input, output: self.place(DATA), count, out: self.place(RESULT), old }
    }
}
